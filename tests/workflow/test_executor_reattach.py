"""A pipeline that starts again finds its jobs: whatever the last one did not live to see."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from fake_cluster import (
    calls,
    command,
    ended,
    environment,
    journal,
    kill_driver,
    make_folder,
    set_state,
    snakemake,
    start,
    wait_for,
)

ONE = """
rule all:
    output: "out/x.txt"
    log: "out/logs/x.log"
    resources: mem_mb=100
    shell: "COMMAND"
"""


def one(work: str) -> str:
    """A workflow of one job."""
    return ONE.replace("COMMAND", work)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A workflow folder beside stand-ins for SLURM's commands."""
    return make_folder(tmp_path)


def left_behind(folder: Path, workflow: str) -> None:
    """Kill -9 a pipeline whose job is in the queue."""
    process = start(folder, workflow)
    wait_for(lambda: calls(folder, "squeue"), "the job is polled")
    kill_driver(folder, process)


def test_job_that_still_runs_is_waited_for(folder: Path) -> None:
    workflow = one("sleep 8; echo done > {output}")
    left_behind(folder, workflow)
    run = snakemake(folder, workflow)
    assert run.returncode == 0, run.stderr
    assert "is in the queue of slurm since" in run.stderr
    assert (folder / "out/x.txt").read_text() == "done\n"
    assert len(calls(folder, "sbatch")) == 1


@pytest.mark.parametrize("remembered_by", ["squeue", "sacct", "the job's own record"])
def test_job_that_has_ended_counts(folder: Path, remembered_by: str) -> None:
    workflow = one("sleep 3; date +%N > {output}")
    left_behind(folder, workflow)
    wait_for(lambda: ended(folder), "the job has ended")
    made = (folder / "out/x.txt").read_text()
    record = next((folder / ".snakemake/templated").glob("*/*.job.json"))
    if remembered_by != "squeue":
        set_state(folder, "forget")
    if remembered_by == "sacct":
        set_state(folder, "accounting")
        record.unlink()
    run = snakemake(folder, workflow)
    assert run.returncode == 0, run.stderr
    assert (folder / "out/x.txt").read_text() == made
    assert len(calls(folder, "sbatch")) == 1
    assert journal(folder)[-1]["outcome"]["kind"] == "completed"


def test_job_that_has_failed_meanwhile_is_reported_and_not_repeated(folder: Path) -> None:
    workflow = one("sleep 3; echo no such key > {log}; exit 78")
    left_behind(folder, workflow)
    wait_for(lambda: ended(folder), "the job has ended")
    run = snakemake(folder, workflow)
    assert run.returncode == 1
    assert "exit code 78" in run.stderr
    assert "| no such key" in run.stderr
    assert len(calls(folder, "sbatch")) == 1


def test_job_that_nobody_remembers_is_done_again(folder: Path) -> None:
    workflow = one("sleep 3; echo done > {output}")
    left_behind(folder, workflow)
    wait_for(lambda: ended(folder), "the job has ended")
    set_state(folder, "forget", "101")
    next((folder / ".snakemake/templated").glob("*/*.job.json")).unlink()
    (folder / "out/x.txt").unlink()
    run = snakemake(folder, workflow)
    assert run.returncode == 0, run.stderr
    assert len(calls(folder, "sbatch")) == 2


def test_job_whose_results_are_gone_is_done_again(folder: Path) -> None:
    workflow = one("sleep 3; date +%N > {output}")
    left_behind(folder, workflow)
    wait_for(lambda: ended(folder), "the job has ended")
    (folder / "out/x.txt").unlink()
    run = snakemake(folder, workflow)
    assert run.returncode == 0, run.stderr
    assert "its results are gone, so it is done again" in run.stderr
    assert (folder / "out/x.txt").exists()
    assert len(calls(folder, "sbatch")) == 2
    assert [line["outcome"]["kind"] for line in journal(folder) if "outcome" in line] == ["completed", "completed"]


def test_job_that_does_outdated_work_is_removed_before_the_new_one_is_submitted(folder: Path) -> None:
    left_behind(folder, one("sleep 60; echo old > {output}"))
    run = snakemake(folder, one("echo new > {output}"))
    assert run.returncode == 0, run.stderr
    assert (folder / "out/x.txt").read_text() == "new\n"
    names = [
        line.split()[0] for line in (folder.parent / "bin/calls").read_text().splitlines() if "--version" not in line
    ]
    assert names.index("scancel") < [number for number, name in enumerate(names) if name == "sbatch"][1]


# the process dies where its own journal says that the job is submitted
DYING = """
import os, signal, sys
import snpoint.journal
snpoint.journal.Journal.submitted = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
sys.argv[0] = "snakemake"
from snakemake.cli import main
main()
"""


def test_submission_that_was_not_written_down_is_found(folder: Path) -> None:
    workflow = one("sleep 8; echo done > {output}")
    (folder / "Snakefile").write_text(workflow)
    process = subprocess.Popen(
        [sys.executable, "-c", DYING, *command()[3:]],
        cwd=folder,
        env=environment(folder),
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.wait(timeout=60) == -signal.SIGKILL
    assert [line["event"] for line in journal(folder)] == ["intent"]
    kill_driver(folder, process)
    run = snakemake(folder, workflow)
    assert run.returncode == 0, run.stderr
    assert len(calls(folder, "sbatch")) == 1
    assert [line["event"] for line in journal(folder)] == ["intent", "submitted", "ended"]


def test_submission_without_an_answer_is_looked_for(folder: Path) -> None:
    set_state(folder, "silent")
    run = snakemake(folder, one("echo done > {output}"))
    assert run.returncode == 0, run.stderr
    assert len(calls(folder, "sbatch")) == 1


HASTY = """
import sys
import snakemake_executor_plugin_templated.backend_slurm
snakemake_executor_plugin_templated.backend_slurm.AFTERTHOUGHTS_S = (0.1,) * 4
sys.argv[0] = "snakemake"
from snakemake.cli import main
main()
"""


def test_submission_that_nobody_can_be_asked_about_is_looked_for_by_the_next_call(folder: Path) -> None:
    set_state(folder, "silent")
    set_state(folder, "squeue.broken", "x\n" * 4)
    workflow = one("sleep 12; echo done > {output}")
    (folder / "Snakefile").write_text(workflow)
    hasty = [sys.executable, "-c", HASTY, *command()[3:]]
    run = subprocess.run(
        hasty, cwd=folder, env=environment(folder), check=False, capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 1
    assert "not known whether submitted" in run.stderr
    assert [line["event"] for line in journal(folder)] == ["intent"]
    run = snakemake(folder, workflow)
    assert run.returncode == 0, run.stderr
    assert len(calls(folder, "sbatch")) == 1


def test_submission_that_is_refused_for_now_is_made_again(folder: Path) -> None:
    set_state(folder, "full", "x\nx")
    run = snakemake(folder, one("echo done > {output}"))
    assert run.returncode == 0, run.stderr
    assert run.stderr.count("slurm takes no job for now") == 1
    assert "QOSMaxSubmitJobPerUserLimit" in run.stderr
    assert len(calls(folder, "sbatch")) == 3
    ends = [line["outcome"]["kind"] for line in journal(folder) if line["event"] == "ended"]
    assert ends == ["removed", "removed", "completed"]


def test_nothing_is_submitted_while_the_queue_cannot_be_asked(folder: Path) -> None:
    workflow = one("sleep 8; echo done > {output}")
    left_behind(folder, workflow)
    set_state(folder, "squeue.broken", "x\n" * 9)
    run = snakemake(folder, workflow)
    assert run.returncode == 1
    assert "nothing is submitted" in run.stderr
    assert len(calls(folder, "sbatch")) == 1


def test_intent_and_id_and_end_are_written_down(folder: Path) -> None:
    assert snakemake(folder, one("echo done > {output}")).returncode == 0
    intent, submitted, end = journal(folder)
    assert (intent["event"], submitted["event"], end["event"]) == ("intent", "submitted", "ended")
    assert intent["target"] == "out/x.txt"
    assert submitted["id"] == "101"
    assert intent["queue"] == "standin"
    assert {"kind": "completed", "exit_code": 0, "node": "node1"}.items() <= end["outcome"].items()
    assert end["outcome"]["seconds"] < 60
    token = (folder / ".snakemake/templated/token").read_text().strip()
    assert f"--comment=snpoint:{token}:{intent['key']}" in calls(folder, "sbatch")[0]
