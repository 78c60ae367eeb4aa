"""What jobs of an earlier run, still in a queue, may write, no run on this machine writes or removes meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from queue_of import Queue
from workplace import Workplace

REPOSITORY = Path(__file__).parents[2]
MATCH = "results/samples/sim_es/match/0000.parquet"


@pytest.fixture
def queue(workplace: Workplace) -> Queue:
    return Queue(workplace.folder)


def local(workplace: Workplace, *arguments: str) -> tuple[int, str]:
    """A run on this machine that makes one file anew."""
    result = workplace.snakemake("--profile", "local", "--force", *(arguments or (MATCH,)), check=False)
    return result.returncode, result.stderr


def test_local_run_of_what_is_in_a_queue_is_refused_in_one_line(workplace: Workplace, queue: Queue) -> None:
    queue.submit("17", MATCH)
    before = (workplace.folder / MATCH).stat().st_mtime_ns
    code, said = local(workplace)
    assert code == 79
    assert "Traceback" not in said
    (line,) = [line for line in said.splitlines() if line.startswith("error:")]
    assert f"1 job may still be in the queue of htcondor and write these files: 17 for {MATCH}." in line
    assert "`snakemake --profile htcondor` of these files goes on with it" in line
    assert f"condor_rm -constraint 'SnpointWorkdir == \"{queue.journal.token}\"'" in line
    assert (workplace.folder / MATCH).stat().st_mtime_ns == before, "nothing has run"
    assert list((workplace.folder / ".snakemake/locks").glob("*.lock")) == [], "the lock is given back"


def test_the_schedd_that_has_the_jobs_is_named(workplace: Workplace) -> None:
    Queue(workplace.folder, name="bigbird07.cern.ch").submit("17", MATCH)
    assert "`condor_rm -name bigbird07.cern.ch -constraint 'SnpointWorkdir == " in local(workplace)[1]


def test_nothing_stands_in_the_way_once_the_end_was_seen(workplace: Workplace, queue: Queue) -> None:
    key = queue.submit("17", MATCH)
    assert local(workplace)[0] == 79
    queue.journal.ended(key, {"kind": "removed"})
    code, said = local(workplace)
    assert code == 0, said


@pytest.mark.parametrize(
    ("record", "code"),
    [
        pytest.param({"state": "ended", "exit_code": 0, "cause": ""}, 0, id="ended"),
        pytest.param({"state": "ended", "exit_code": 74, "cause": "no progress"}, 0, id="ended by its supervisor"),
        pytest.param({"state": "running"}, 79, id="at work"),
        # evicted: the batch system starts it again
        pytest.param({"state": "ended", "signal": 15, "cause": "terminated"}, 79, id="told to end"),
    ],
)
def test_what_the_job_says_of_itself_counts(
    workplace: Workplace, queue: Queue, record: dict[str, Any], code: int
) -> None:
    queue.record(queue.submit("17", MATCH), **record)
    assert local(workplace)[0] == code


def test_jobs_for_other_files_and_dry_runs_are_not_concerned(workplace: Workplace, queue: Queue) -> None:
    queue.submit("17", MATCH.replace("0000", "0001"))
    assert local(workplace)[0] == 0
    queue.submit("18", MATCH)
    assert local(workplace, "-n", MATCH)[0] == 0


def test_a_journal_that_cannot_be_read_stops_a_local_run(workplace: Workplace, queue: Queue) -> None:
    queue.submit("17", MATCH)
    queue.journal.path.write_text("{\n", encoding="utf-8")
    code, said = local(workplace)
    assert code == 65
    assert "jobs.jsonl, line 1" in said


def test_jobs_of_slurm_are_removed_by_number_or_by_comment(workplace: Workplace) -> None:
    queue = Queue(workplace.folder, "slurm")
    queue.submit("17", MATCH)
    assert "`scancel 17`" in local(workplace)[1]
    queue.submit(None, MATCH)  # the driver was killed while it submitted
    said = local(workplace)[1]
    assert "17 for" in said
    assert "id unknown for" in said
    assert f"awk '$2 ~ /^snpoint:{queue.journal.token}:/ {{print $1}}' | xargs -r scancel" in said


def test_make_clean_leaves_the_files_of_queued_jobs_alone(workplace: Workplace, queue: Queue) -> None:
    (workplace.folder / "Makefile").symlink_to(REPOSITORY / "Makefile")
    clean = ("sh", "-c", "echo y | make clean")
    keys = [queue.submit(str(17 + number), f"results/{number}") for number in range(7)]
    result = workplace.run(*clean, check=False)
    assert result.returncode != 0
    assert "7 jobs may still be in the queue of htcondor" in result.stderr
    assert "21 for results/4 and 2 more" in result.stderr
    assert (workplace.folder / MATCH).exists()
    for key in keys[1:]:
        queue.journal.ended(key, {"kind": "completed"})
    queue.record(keys[0], state="ended", exit_code=0)
    workplace.run(*clean)
    assert not (workplace.folder / MATCH).exists()
    assert not (workplace.folder / ".snakemake").exists()
