"""SLURM's backend on commands that a test writes: submissions, polls, finding jobs again."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from snakemake_executor_plugin_templated import backend_slurm
from snakemake_executor_plugin_templated.backend import BackendError, BusyError, Place, UnclearError
from snakemake_executor_plugin_templated.backend_slurm import Slurm


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


def slurm(queue: str = "") -> Slurm:
    return Slurm(Place("token", Path("events.log"), queue=queue))


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
    ended = "|".join(["8", "COMPLETED", "0", "0", "n1", "None", "/x", "snpoint:token:k8"])
    write(commands, "squeue", rows("7|PENDING|0|0||JobHeldUser|/x|snpoint:token:k", ended))
    poll = slurm().poll(["7", "8"])
    assert {job: end.kind for job, end in poll.outcomes.items()} == {"8": "completed"}, "the other end counts"
    assert "permission denied" in poll.notes[0][1]


def test_jobs_of_other_folders_and_strange_rows_are_not_ours(commands: Path) -> None:
    mine, others = "7|RUNNING|0|0|n1|None|/x|snpoint:token:k", "8|RUNNING|0|0|n1|None|/x|snpoint:another:k"
    write(commands, "squeue", rows(mine, others, "9_[1-4]|PENDING|0|0||None|/x|", "a | comment"))
    assert {key: found.id for key, found in slurm().find({}).items()} == {"k": "7"}


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
    with pytest.raises(BackendError, match=r"sbatch refused .*Invalid partition") as caught:
        backend.submit(commands / "x.sbatch", "", "k")
    assert not isinstance(caught.value, BusyError | UnclearError)
    assert backend.queries == 0


def test_full_queue_is_no_reason_to_give_up(commands: Path) -> None:
    backend = slurm()
    write(commands, "sbatch", "echo 'sbatch: error: QOSMaxSubmitJobPerUserLimit' >&2; exit 1")
    with pytest.raises(BusyError, match="QOSMaxSubmitJobPerUserLimit"):
        backend.submit(commands / "x.sbatch", "", "k")
    assert backend.queries == 0


@pytest.fixture
def unanswered(commands: Path, monkeypatch: pytest.MonkeyPatch) -> Slurm:
    """A backend whose sbatch gets no answer."""
    monkeypatch.setattr(backend_slurm, "AFTERTHOUGHTS_S", (0.0,) * 4)
    backend = slurm()
    write(
        commands,
        "sbatch",
        "echo 'sbatch: error: Batch job submission failed: Socket timed out on send/recv operation' >&2; exit 1",
    )
    return backend


def appearing(folder: Path, row: str, *, at: int) -> None:
    """A squeue that shows a row from its n-th call on."""
    write(folder, "squeue", f"echo >> {folder}/asked; (( $(wc -l < {folder}/asked) < {at} )) || echo '{row}'")


@pytest.mark.parametrize("at", [1, 2])
def test_unanswered_submission_is_looked_for_twice(commands: Path, unanswered: Slurm, at: int) -> None:
    appearing(commands, "7|PENDING|0|0||None|/x|snpoint:token:k", at=at)
    assert unanswered.submit(commands / "x.sbatch", "", "k") == "7"


def test_unanswered_submission_is_known_by_its_output_file_where_comments_are_cleared(
    commands: Path, unanswered: Slurm
) -> None:
    write(commands, "squeue", rows("6|RUNNING|0|0|n1|None|/x/5.out|", "7|PENDING|0|0||None|/x/6.out|"))
    assert unanswered.submit(commands / "x.sbatch", "#!/bin/bash\n#SBATCH --output=/x/6.out\n", "k") == "7"


def test_submission_that_comes_late_is_cancelled_because_it_is_made_again(commands: Path, unanswered: Slurm) -> None:
    appearing(commands, "7|RUNNING|0|0|n1|None|/x|snpoint:token:k", at=3)
    write(commands, "scancel", f'echo "$@" > {commands}/cancelled')
    with pytest.raises(BusyError, match="did not appear"):
        unanswered.submit(commands / "x.sbatch", "", "k")
    assert not (commands / "cancelled").exists()
    unanswered.poll([])
    assert (commands / "cancelled").read_text() == "7\n"


def test_submission_that_nobody_can_be_asked_about_is_unclear(commands: Path, unanswered: Slurm) -> None:
    write(commands, "squeue", "echo 'slurm_load_jobs error: Socket timed out on send/recv operation' >&2; exit 1")
    with pytest.raises(UnclearError, match="not known whether"):
        unanswered.submit(commands / "x.sbatch", "", "k")


def test_one_answer_is_not_enough_to_say_that_a_job_is_not_there(commands: Path, unanswered: Slurm) -> None:
    write(commands, "squeue", f"echo >> {commands}/asked; (( $(wc -l < {commands}/asked) == 1 ))")
    with pytest.raises(UnclearError):
        unanswered.submit(commands / "x.sbatch", "", "k")


def test_job_whose_comment_was_cleared_is_found_by_its_id(commands: Path) -> None:
    write(commands, "squeue", rows("7|RUNNING|0|0|n1|None|/x|(null)", "8|RUNNING|0|0|n1|None|/x|snpoint:other:k"))
    found = slurm().find({"k": "7", "l": "8", "m": None})
    assert {key: (job.id, job.outcome) for key, job in found.items()} == {"k": ("7", None)}


@pytest.mark.parametrize("state", ["PENDING", "RUNNING", "REQUEUED", "SUSPENDED", "COMPLETING"])
def test_job_that_sacct_alone_calls_live_is_not_done_twice(commands: Path, state: str) -> None:
    write(commands, "squeue", "true")
    write(commands, "sacct", f"echo '7|{state}|0:0|n1|'")
    found = slurm().find({"k": "7"})
    assert (found["k"].id, found["k"].outcome) == ("7", None)


def test_job_that_scancel_does_not_know_is_gone_whatever_sacct_says(commands: Path) -> None:
    """A controller that lost a job leaves it running in the database for ever."""
    write(commands, "squeue", "true")
    write(commands, "sacct", "echo '7|RUNNING|0:0|n1|sbatch --comment=snpoint:token:k x'")
    write(
        commands, "scancel", "echo 'scancel: error: Kill job error on job id 7: Invalid job id specified' >&2; exit 1"
    )
    backend = slurm()
    backend.cancel(["7"])
    assert backend.find({"k": "7"})["k"].outcome.kind == "vanished"


def test_cluster_is_named_and_another_one_is_refused(commands: Path) -> None:
    write(commands, "scontrol", f"echo >> {commands}/asked; echo 'ClusterName             = north'")
    backend = slurm(queue="north")
    assert (backend.queue_name, backend.queue_name) == ("north", "north")
    assert (commands / "asked").read_text() == "\n", "it is asked once"
    with pytest.raises(BackendError, match=r"jobs of this folder .* cluster south.*talks to north"):
        slurm(queue="south")


def test_cluster_that_does_not_say_its_name_is_no_obstacle(commands: Path) -> None:
    write(commands, "scontrol", f"echo >> {commands}/asked; echo 'Unable to contact slurm controller' >&2; exit 1")
    backend = slurm(queue="south")
    assert (backend.queue_name, backend.queue_name) == ("", "")
    assert (commands / "asked").read_text() == "\n", "it is asked once"


def test_machine_without_slurm_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BackendError, match=r"no SLURM here.*submit node"):
        slurm()


def test_removal_command_names_this_folder_alone(commands: Path) -> None:
    write(commands, "squeue", "echo '7 snpoint:token:k'; echo '8 snpoint:another:k'; echo '9 (null)'")
    write(commands, "scancel", f'echo "$@" > {commands}/cancelled')
    subprocess.run(["bash", "-c", slurm().removal_command], check=True)
    assert (commands / "cancelled").read_text() == "7\n"
