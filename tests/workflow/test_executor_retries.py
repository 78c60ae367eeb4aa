"""What the executor does after a job has not ended well: the cause decides."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest
from fake_cluster import calls, lines, lose, make_folder, set_state, snakemake, start, wait_for

# a job that ends with each of these codes in turn, then well
IN_TURN = """
rule all:
    output: "out/x.txt"
    log: "out/logs/x.log"
    resources: mem_mb=100
    shell:
        "echo >> tries; set -- CODES; shift $(( $(wc -l < tries) - 1 ));"
        " test -z \\"${{1:-}}\\" || exit $1; touch {output}"
"""


def in_turn(*codes: int) -> str:
    """A workflow of one job that ends with these codes, one after the other."""
    return IN_TURN.replace("CODES", " ".join(map(str, codes)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A workflow folder beside stand-ins for SLURM's commands."""
    return make_folder(tmp_path)


def submitted(folder: Path) -> list[str]:
    """Texts of the submit files, in order."""
    return [Path(call.split()[-1]).read_text() for call in calls(folder, "sbatch")]


def test_job_that_ran_out_of_memory_gets_more(folder: Path) -> None:
    set_state(folder, "9.state", "OUT_OF_MEMORY")
    run = snakemake(folder, in_turn(9, 9))
    assert run.returncode == 0, run.stderr
    assert re.findall(r"--mem=(\d+)M", "".join(submitted(folder))) == ["100", "150", "225"]


def test_memory_grows_up_to_the_ceiling_of_the_site(folder: Path) -> None:
    (folder / "site.yaml").write_text("why: small\nceiling: {memory_gb: 0.12}\n")
    set_state(folder, "9.state", "OUT_OF_MEMORY")
    run = snakemake(folder, in_turn(9, 9, 9, 9), "--templated-site", "site.yaml")
    assert run.returncode == 1
    assert re.findall(r"--mem=(\d+)M", "".join(submitted(folder))) == ["100", "120"]
    assert "the site gives no more than 120 MB" in run.stderr


def test_machine_that_does_not_work_is_left_out(folder: Path) -> None:
    run = snakemake(folder, in_turn(69))
    assert run.returncode == 0, run.stderr
    assert ["--exclude=node1" in text for text in submitted(folder)] == [False, True]


def test_job_that_saved_its_state_goes_on(folder: Path) -> None:
    run = snakemake(folder, in_turn(75, 75, 75, 75))
    assert run.returncode == 0, run.stderr
    assert len(submitted(folder)) == 5


def test_input_output_error_is_tried_twice_more(folder: Path) -> None:
    run = snakemake(folder, in_turn(*[74] * 5))
    assert run.returncode == 1
    assert len(submitted(folder)) == 3
    assert "it happened 3 times in a row" in run.stderr


@pytest.mark.parametrize(
    ("state", "number"),
    [
        ("NODE_FAIL", signal.SIGKILL),
        ("PREEMPTED", signal.SIGKILL),
        ("PREEMPTED", signal.SIGTERM),
    ],
)
def test_job_that_lost_its_machine_is_tried_twice_more(folder: Path, state: str, number: signal.Signals) -> None:
    """Also one that was told to end, and wrote that down."""
    process = start(folder, 'rule all:\n    output: "x"\n    shell: "echo >> started; sleep 60"\n')
    for count in (1, 2, 3):
        wait_for(lambda count=count: lines(folder / "started") == count or process.poll(), f"try {count} is at work")
        assert process.poll() is None, process.communicate()[1]
        lose(folder, 100 + count, state, number)
    stderr = process.communicate(timeout=60)[1]
    assert process.returncode == 1
    assert len(submitted(folder)) == 3
    assert "it happened 3 times in a row" in stderr


def test_job_that_ran_out_of_time_is_not_repeated(folder: Path) -> None:
    set_state(folder, "9.state", "TIMEOUT")
    run = snakemake(folder, in_turn(9))
    assert run.returncode == 1
    assert "out of time" in run.stderr
    assert "runtime_h" in run.stderr
    assert len(submitted(folder)) == 1


@pytest.mark.parametrize("code", [65, 76, 78, 1])
def test_failure_of_its_own_is_not_repeated_until_something_changes(folder: Path, code: int) -> None:
    assert snakemake(folder, in_turn(code)).returncode == 1
    again = snakemake(folder, in_turn(code))
    assert again.returncode == 1
    assert f"exit code {code}" in again.stderr
    assert "--templated-repeat-failed" in again.stderr
    assert len(submitted(folder)) == 1
    assert snakemake(folder, in_turn(code), "--templated-repeat-failed").returncode == 0
    assert len(submitted(folder)) == 2


def test_a_refused_submission_does_not_make_a_failure_forgotten(folder: Path) -> None:
    assert snakemake(folder, in_turn(78)).returncode == 1
    set_state(folder, "refuse")
    assert "not submitted" in snakemake(folder, in_turn(78), "--templated-repeat-failed").stderr
    (folder.parent / "bin/refuse").unlink()
    assert "--templated-repeat-failed" in snakemake(folder, in_turn(78)).stderr


def test_changed_command_may_be_tried_again(folder: Path) -> None:
    assert snakemake(folder, in_turn(78)).returncode == 1
    run = snakemake(folder, in_turn(78, 65))
    assert "exit code 65" in run.stderr
    assert "--templated-repeat-failed" not in run.stderr
    assert len(submitted(folder)) == 2


@pytest.mark.parametrize(
    ("reason", "said"), [("PartitionTimeLimit", "run time is above"), ("QOSMaxMemoryPerJob", "limit for one job")]
)
def test_job_that_waits_in_vain_is_given_up(folder: Path, reason: str, said: str) -> None:
    (folder / "site.yaml").write_text("why: impatient\nunmatched_after_min: 0.04\n")
    set_state(folder, "in_vain", reason)
    run = snakemake(folder, in_turn(), "--templated-site", "site.yaml")
    assert run.returncode == 1
    assert f"{reason}: " in run.stderr
    assert said in run.stderr
    assert calls(folder, "scancel") == ["scancel 101"]
    assert len(submitted(folder)) == 1
