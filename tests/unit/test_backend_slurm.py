"""SLURM's words as typed outcomes, and what is told about jobs that wait."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from snakemake_executor_plugin_templated import backend_slurm
from snakemake_executor_plugin_templated.backend import BackendError, Place
from snakemake_executor_plugin_templated.backend_slurm import Slurm
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


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of SLURM commands that a test writes as shell scripts; sbatch is there."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    write(tmp_path, "sbatch", "true")
    return tmp_path


def write(folder: Path, name: str, body: str) -> None:
    (folder / name).write_text(f"#!/bin/bash\n{body}\n")
    (folder / name).chmod(0o755)


def rows(*cells: str) -> str:
    """A squeue that prints these rows."""
    return "\n".join(f"echo '{row}'" for row in cells)


def slurm() -> Slurm:
    return Slurm(Place("token", Path("events.log")))


def test_requeue_is_told_once(commands: Path) -> None:
    backend = slurm()
    write(commands, "squeue", rows("7|RUNNING|0|0|n1|None|/x|snpoint:token:k"))
    assert backend.poll(["7"]).notes == []
    write(commands, "squeue", rows("7|PENDING|0|1||BeginTime|/x|snpoint:token:k"))
    assert backend.poll(["7"]).notes == [("7", "requeued, waits to run again (start 2)")]
    assert backend.poll(["7"]).notes == []
    assert backend.queries == 3


def test_job_cancelled_meanwhile_does_not_spoil_the_poll(commands: Path) -> None:
    write(commands, "squeue", rows("7|PENDING|0|0||JobHeldUser|/x|snpoint:token:k"))
    write(
        commands, "scancel", "echo 'scancel: error: Kill job error on job id 7: Invalid job id specified' >&2; exit 1"
    )
    assert slurm().poll(["7"]).outcomes["7"].kind == "held"
    write(commands, "scancel", "echo 'scancel: error: Access/permission denied' >&2; exit 1")
    with pytest.raises(BackendError, match="permission denied"):
        slurm().poll(["7"])


def test_jobs_of_other_folders_and_strange_rows_are_not_ours(commands: Path) -> None:
    mine, others = "7|RUNNING|0|0|n1|None|/x|snpoint:token:k", "8|RUNNING|0|0|n1|None|/x|snpoint:another:k"
    write(commands, "squeue", rows(mine, others, "9_[1-4]|PENDING|0|0||None|/x|", "a | comment"))
    assert {key: found.id for key, found in slurm().find({}).items()} == {"k": "7"}
    write(commands, "scancel", f'echo "$@" > {commands}/cancelled')
    slurm().cancel_all()
    assert (commands / "cancelled").read_text() == "7\n"


def test_lost_job_is_given_time(commands: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(commands, "squeue", "true")
    write(commands, "sacct", "echo 'Slurm accounting storage is disabled' >&2; exit 1")
    backend = slurm()
    assert backend.poll(["7"]).outcomes == {}
    monkeypatch.setattr(backend_slurm, "LOST_AFTER_S", 0.0)
    assert backend.poll(["7"]).outcomes["7"].kind == "vanished"


def test_accounting_that_is_late_is_not_believed_to_say_running(
    commands: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(commands, "squeue", "true")
    write(commands, "sacct", "echo '7|RUNNING|0:0|n1|sbatch --comment=snpoint:token:k x'")
    backend = slurm()
    assert backend.poll(["7"]).outcomes == {}
    monkeypatch.setattr(backend_slurm, "LOST_AFTER_S", 0.0)
    assert backend.poll(["7"]).outcomes["7"].kind == "vanished"
    assert "k" not in backend.find({"k": "7"})


def test_database_that_is_away_for_a_while_is_asked_again(commands: Path) -> None:
    write(commands, "squeue", "true")
    write(commands, "sacct", "echo 'Problem talking to the database: Connection refused' >&2; exit 1")
    backend = slurm()
    assert backend.poll(["7"]).outcomes == {}
    write(commands, "sacct", "echo '7|COMPLETED|0:0|n1|sbatch --comment=snpoint:token:k x'")
    assert backend.poll(["7"]).outcomes["7"].kind == "completed"


def test_environment_of_the_driver_does_not_reach_sbatch(commands: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SLURM copies sbatch's environment into the job."""
    write(commands, "sbatch", f"env > {commands}/environment; echo 12")
    monkeypatch.setenv("SECRET_TOKEN", "x")
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    assert slurm().submit(commands / "x.sbatch", "", "k") == "12"
    names = {line.split("=")[0] for line in (commands / "environment").read_text().splitlines()}
    assert not names & {"SECRET_TOKEN", "SLURM_JOB_ID"}


def test_refused_submission_is_not_looked_for(commands: Path) -> None:
    backend = slurm()
    write(commands, "sbatch", "echo 'sbatch: error: Invalid partition name specified' >&2; exit 1")
    with pytest.raises(BackendError, match=r"sbatch refused .*Invalid partition"):
        backend.submit(commands / "x.sbatch", "", "k")
    assert backend.queries == 0


def test_machine_without_slurm_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BackendError, match=r"no SLURM here.*submit node"):
        slurm()


def test_removal_command_names_this_folder_alone(commands: Path) -> None:
    write(commands, "squeue", "echo '7 snpoint:token:k'; echo '8 snpoint:another:k'; echo '9 (null)'")
    write(commands, "scancel", f'echo "$@" > {commands}/cancelled')
    subprocess.run(["bash", "-c", slurm().removal_command], check=True)
    assert (commands / "cancelled").read_text() == "7\n"
