"""SLURM's words as typed outcomes and refusals."""

from __future__ import annotations

from pathlib import Path

import pytest

from snakemake_executor_plugin_templated.slurm_commands import meaning
from snakemake_executor_plugin_templated.slurm_states import Row, exit_status, never_reason, outcome, stdout_of


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("0", (0, 0)),
        ("768", (3, 0)),
        ("9", (0, 9)),
        ("137", (0, 9)),
        ("3:0", (3, 0)),
        ("0:125", (0, 125)),
        ("", (0, 0)),
    ],
)
def test_exit_status_of_squeue_and_sacct(text: str, status: tuple[int, int]) -> None:
    """Wait status 137 is signal 9 with a core dump."""
    assert exit_status(text) == status


@pytest.mark.parametrize(
    ("row", "kind", "exit_code", "signal"),
    [
        (Row("1", "COMPLETED"), "completed", 0, None),
        (Row("1", "FAILED", "NonZeroExitCode", 78), "failed", 78, None),
        (Row("1", "FAILED", "None", 0, 9), "failed", None, 9),
        (Row("1", "FAILED", "JobLaunchFailure"), "failed", None, None),
        (Row("1", "OUT_OF_MEMORY", "OutOfMemory", 0, 125), "out_of_memory", None, 125),
        (Row("1", "TIMEOUT", "TimeLimit", 0, 15), "out_of_time", None, 15),
        (Row("1", "TIMEOUT", "TimeLimit", 75), "failed", 75, None),
        (Row("1", "DEADLINE"), "out_of_time", None, None),
        (Row("1", "CANCELLED", "None", 0, 15), "removed", None, 15),
        (Row("1", "CANCELLED by 0", "", 75), "removed", 75, None),
        (Row("1", "NODE_FAIL", "None", 1), "vanished", None, None),
        (Row("1", "BOOT_FAIL"), "vanished", None, None),
        (Row("1", "PREEMPTED", "None", 0, 15), "vanished", None, None),
        (Row("1", "PREEMPTED", "None", 75), "failed", 75, None),
        (Row("1", "SOME_NEW_STATE", "None", 3), "failed", 3, None),
    ],
)
def test_every_end_has_a_type(row: Row, kind: str, exit_code: int | None, signal: int | None) -> None:
    end = outcome(row)
    assert (end.kind, end.exit_code, end.signal) == (kind, exit_code, signal)


@pytest.mark.parametrize(
    "state", ["PENDING", "CONFIGURING", "RUNNING", "SUSPENDED", "COMPLETING", "REQUEUED", "STAGE_OUT"]
)
def test_job_in_the_queue_has_not_ended(state: str) -> None:
    assert outcome(Row("1", state)) is None


def test_who_cancelled_a_job_is_said_by_name() -> None:
    assert outcome(Row("1", "CANCELLED by 0")).reason == "removed from the queue: CANCELLED by root"


def test_node_is_kept_for_the_next_try() -> None:
    assert outcome(Row("1", "FAILED", "NonZeroExitCode", 69, node="gpu07")).node == "gpu07"


def test_kill_for_memory_without_cgroups_stands_in_the_output_alone(tmp_path: Path) -> None:
    stdout = tmp_path / "job.out"
    row = Row("1", "FAILED", "JobLaunchFailure", 0, 9, stdout=str(stdout))
    assert outcome(row).kind == "failed"
    stdout.write_text("x" * 20_000 + "\nslurmstepd: error: Exceeded job memory limit\n")
    assert outcome(row).kind == "out_of_memory"


def test_output_file_that_cannot_be_opened_is_named() -> None:
    end = outcome(Row("1", "FAILED", "JobLaunchFailure", 15, 53, node="n1", stdout="/gone/x.out"))
    assert end.reason == "FAILED, n1 could not open the output file /gone/x.out"


def test_output_file_is_found_by_the_command_that_submitted_the_job(tmp_path: Path) -> None:
    script = tmp_path / "x.sbatch"
    script.write_text("#!/bin/bash\n#SBATCH --job-name=x\n#SBATCH --output=/some/where/x.out\n")
    assert stdout_of(f"sbatch --parsable --comment=snpoint:t:k {script}") == "/some/where/x.out"
    script.unlink()
    assert stdout_of(f"sbatch --parsable {script}") == ""
    assert stdout_of("sbatch --wrap 'unfinished") == ""


@pytest.mark.parametrize(
    "reason",
    [
        "PartitionTimeLimit",
        "BadConstraints",
        "ReqNodeNotAvail, UnavailableNodes:n[1-4]",
        "PartitionNodeLimit",
        "QOSMaxWallDurationPerJobLimit",
        "QOSMaxMemoryPerJob",
        "AssocMaxCpuPerJobLimit",
        "QOSMinGRES",
        "InvalidQOS",
    ],
)
def test_reason_that_waiting_does_not_cure(reason: str) -> None:
    assert never_reason(reason)


@pytest.mark.parametrize(
    "reason",
    [
        "None",
        "",
        "Priority",
        "Resources",
        "BeginTime",
        "ReqNodeNotAvail, Reserved for maintenance",
        "Licenses",
        "QOSMaxJobsPerUserLimit",
        "AssocGrpCpuLimit",
        "QOSGrpGRES",
        "JobArrayTaskLimit",
        "Nodes required for job are DOWN",
    ],
)
def test_reason_that_passes_by(reason: str) -> None:
    assert never_reason(reason) == ""


@pytest.mark.parametrize(
    ("row", "held"),
    [
        (Row("1", "PENDING", "JobHeldUser"), True),
        (Row("1", "PENDING", "JobHeldAdmin"), True),
        (Row("1", "PENDING", "launch failed requeued held"), True),
        (Row("1", "PENDING", "JobHoldMaxRequeue"), True),
        (Row("1", "SPECIAL_EXIT", "None"), True),
        (Row("1", "PENDING", "Resources"), False),
        (Row("1", "COMPLETING", "JobHeldUser"), False),
        (Row("1", "CANCELLED", "JobHeldUser"), False),
    ],
)
def test_held_jobs(row: Row, held: bool) -> None:
    assert row.held is held


FAILED = "sbatch: error: Batch job submission failed: "


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (
            f"sbatch: error: QOSMaxSubmitJobPerUserLimit\n{FAILED}Job violates accounting/QOS policy (job submit limit,"
            " user's size and/or time limits)",
            "not now",
        ),
        (f"sbatch: error: AssocGrpSubmitJobsLimit\n{FAILED}Job violates accounting/QOS policy", "not now"),
        (
            "sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying\n"
            f"{FAILED}Resource temporarily unavailable",
            "not now",
        ),
        (f"{FAILED}Unable to contact slurm controller (connect failure)", "not now"),
        (f"{FAILED}Slurm backup controller in standby mode", "not now"),
        ("sbatch: fatal: Could not establish a configuration source", "not now"),
        (
            "sbatch: error: Munge encode failed: Failed to access socket (Did you start munged?)\n"
            f"{FAILED}Protocol authentication error",
            "not now",
        ),
        (f"{FAILED}Socket timed out on send/recv operation", "no answer"),
        (f"{FAILED}Unable to contact slurm controller (receive failure)", "no answer"),
        (f"{FAILED}Zero Bytes were transmitted or received", "no answer"),
        (f"{FAILED}Protocol authentication error", "no answer"),
        (
            f"sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying\n{FAILED}Invalid qos",
            "refused",
        ),
        (f"sbatch: error: the queue limit timed out, try again\n{FAILED}Unspecified error", "refused"),
        (f"sbatch: error: QOSMaxWallDurationPerJobLimit\n{FAILED}Job violates accounting/QOS policy", "refused"),
        (f"{FAILED}Invalid partition name specified", "refused"),
        (f"{FAILED}Requested node configuration is not available", "refused"),
    ],
)
def test_meaning_of_a_refusal(said: str, meant: str) -> None:
    assert meaning(1, said) == meant


def test_sbatch_that_was_killed_has_not_answered() -> None:
    assert meaning(-9, "") == "no answer"
