"""The executor on real Snakemake runs, with commands that behave like SLURM's.

``job.shellcmd`` is not part of Snakemake's plugin interface: these tests hold what the executor takes for granted.
"""

from __future__ import annotations

import importlib.metadata
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fake_cluster import REPOSITORY, calls, command, environment, make_folder, set_state, snakemake

PINNED = "9.27.1"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A workflow folder beside stand-ins for SLURM's commands."""
    return make_folder(tmp_path)


def test_snakemake_is_the_pinned_one() -> None:
    """Another version may build shell commands differently: run this file against it before the pin is moved."""
    assert importlib.metadata.version("snakemake") == PINNED
    assert re.search(rf"^snakemake=={PINNED}\b", (REPOSITORY / "envs/workflow.txt").read_text(), re.MULTILINE)


COMMANDS = """
import json
SETTINGS = json.dumps({"loss": "head's \\"tail\\"", "cut": "{3} $HOME `id` \\\\ %", "why": "ü"}, ensure_ascii=False)
rule all:
    input: "out/a.txt", "out/b.txt"
rule one:
    output: "out/{name}.txt"
    log: "out/logs/{name}.log"
    params: settings=lambda wildcards: SETTINGS
    threads: 4
    resources: mem_mb=77, runtime="2h"
    shell:
        "printf '%s\\n' {params.settings:q} {wildcards.name} {threads} {resources.mem_mb} {resources.runtime}"
        " $OMP_NUM_THREADS $(pwd) {log} > {output} 2> {log}"
"""


def test_job_runs_exactly_the_command_that_snakemake_would_run(folder: Path) -> None:
    run = snakemake(folder, COMMANDS)
    assert run.returncode == 0, run.stderr
    ours = {path.name: path.read_bytes() for path in folder.glob("out/*.txt")}
    assert sorted(ours) == ["a.txt", "b.txt"]
    subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "4", "--forceall", "--quiet", "all"], cwd=folder, check=True
    )
    assert {path.name: path.read_bytes() for path in folder.glob("out/*.txt")} == ours


def test_submit_file_is_kept_beside_the_logs_and_numbered(folder: Path) -> None:
    for _ in range(2):
        assert snakemake(folder, COMMANDS, "--force", "out/a.txt").returncode == 0
    assert sorted(path.name for path in (folder / "out/jobs").iterdir()) == ["a.1.sbatch", "a.2.sbatch"]
    assert "--mem=77M" in (folder / "out/jobs/a.1.sbatch").read_text()
    assert "--time=120" in (folder / "out/jobs/a.1.sbatch").read_text()
    wrappers = list((folder / ".snakemake/templated").glob("*/one.a.*.sh"))
    assert len(wrappers) == 2
    assert "printf" in wrappers[0].read_text()


def test_stale_output_is_gone_before_the_job_starts(folder: Path) -> None:
    (folder / "deep/er").mkdir(parents=True)
    (folder / "deep/er/x.txt").write_text("stale")
    snakefile = 'rule all:\n    output: "deep/er/x.txt"\n    shell: "test ! -e {output} && echo new > {output}"\n'
    run = snakemake(folder, snakefile, "--forceall")
    assert run.returncode == 0, run.stderr
    assert (folder / "deep/er/x.txt").read_text() == "new\n"


FAILING = """
rule all:
    input: "out/a.txt", "out/b.txt"
rule good:
    output: "out/a.txt"
    shell: "echo a > {output}"
rule bad:
    output: "out/b.txt"
    log: "out/logs/bad.log"
    shell: "echo half > {output}; echo no such key: colour > {log}; echo on the screen; exit 78"
"""


def test_failure_shows_exit_code_and_log_and_leaves_no_output(folder: Path) -> None:
    run = snakemake(folder, FAILING, "--keep-going")
    assert run.returncode == 1
    assert "exit code 78" in run.stderr
    assert "| no such key: colour" in run.stderr
    assert "| on the screen" in run.stderr
    assert (folder / "out/a.txt").read_text() == "a\n"
    assert not (folder / "out/b.txt").exists()


MANY = """
rule all:
    input: expand("out/{n}.txt", n=range(6))
rule one:
    output: "out/{n}.txt"
    shell: "sleep 2; echo {wildcards.n} > {output}"
"""


def test_one_query_per_poll_and_a_broken_query_is_survived(folder: Path) -> None:
    set_state(folder, "squeue.broken", "x\nx")
    start = time.monotonic()
    run = snakemake(folder, MANY)
    seconds = time.monotonic() - start
    assert run.returncode == 0, run.stderr
    assert run.stderr.count("could not be asked") == 2
    assert len(calls(folder, "sbatch")) == 6
    assert 3 <= len(calls(folder, "squeue")) <= seconds + 1


def test_interrupted_pipeline_leaves_no_job(folder: Path) -> None:
    (folder / "Snakefile").write_text(MANY.replace("sleep 2", "sleep 300"))
    process = subprocess.Popen(
        command(), cwd=folder, env=environment(folder), stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    deadline = time.monotonic() + 60
    while len(calls(folder, "squeue")) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    stderr = process.communicate(timeout=60)[1]
    assert process.returncode == 1
    assert "Removed 6 jobs from slurm" in stderr
    assert len(calls(folder, "scancel")) == 1
    alive = subprocess.run(["pgrep", "--full", str(folder)], check=False, capture_output=True, text=True).stdout
    assert alive == ""


def test_held_job_fails_with_its_reason_and_leaves_the_queue(folder: Path) -> None:
    set_state(folder, "hold")
    run = snakemake(folder, 'rule all:\n    output: "x"\n    shell: "touch x"\n')
    assert run.returncode == 1
    assert "held by SLURM (JobHeldUser)" in run.stderr
    assert calls(folder, "scancel") == ["scancel 101"]


def test_refused_submission_names_the_reason(folder: Path) -> None:
    set_state(folder, "refuse")
    run = snakemake(folder, 'rule all:\n    output: "x"\n    shell: "touch x"\n')
    assert run.returncode == 1
    assert "Memory specification can not be satisfied" in run.stderr


@pytest.mark.parametrize(
    ("directive", "said"),
    [
        ('group: "g"', "group"),
        ('shadow: "minimal"', "shadow"),
        ('benchmark: "x.tsv"', "benchmark"),
        ('script: "x.py"', "script"),
        ("run: open(output[0], 'w')", "run"),
        ("pipe", "group"),
    ],
)
def test_what_needs_snakemake_inside_the_job_is_refused(folder: Path, directive: str, said: str) -> None:
    shell = '    shell: "touch {output}"\n' if directive.split(":")[0] not in ("script", "run") else ""
    snakefile = f'rule all:\n    input: "x"\nrule one:\n    output: "x"\n    {directive}\n{shell}'
    if directive == "pipe":
        snakefile = (
            'rule all:\n    input: "x"\nrule one:\n    output: pipe("y")\n    shell: "echo > {output}"\n'
            'rule two:\n    input: "y"\n    output: "x"\n    shell: "cat {input} > {output}"\n'
        )
    (folder / "x.py").touch()
    run = snakemake(folder, snakefile)
    assert run.returncode == 1
    assert re.search(rf"rule (one|two) uses .*{said}.* --executor templated does not support", run.stderr), run.stderr
    assert calls(folder, "sbatch") == []


def test_local_rules_may_use_everything(folder: Path) -> None:
    run = snakemake(folder, "localrules: all\nrule all:\n    output: 'x'\n    run: open(output[0], 'w')\n")
    assert run.returncode == 0, run.stderr
    assert calls(folder, "sbatch") == []


def test_folder_with_a_space_is_refused(folder: Path) -> None:
    spaced = folder / "my work"
    spaced.mkdir()
    (spaced / "Snakefile").write_text('rule all:\n    output: "x"\n    shell: "touch x"\n')
    run = subprocess.run(
        command(), cwd=spaced, env=environment(folder), check=False, capture_output=True, text=True, timeout=100
    )
    assert run.returncode == 1
    assert "contains a space" in run.stderr
    assert calls(folder, "sbatch") == []


def test_missing_template_is_named(folder: Path) -> None:
    run = snakemake(folder, 'rule all:\n    output: "x"\n    shell: "touch x"\n', "--templated-template", "gone.j2")
    assert run.returncode == 1
    assert "gone.j2: no such file" in run.stderr
