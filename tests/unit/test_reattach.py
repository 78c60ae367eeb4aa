"""What a pipeline that starts again makes of the jobs it finds: wait, harvest, replace, submit anew."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from snakemake_interface_common.exceptions import WorkflowError

from snakemake_executor_plugin_templated import reattach
from snakemake_executor_plugin_templated.backend import BackendError, Found
from snakemake_executor_plugin_templated.outcome import Outcome, ended
from snakemake_executor_plugin_templated.reattach import Reattachment, driver, left_behind, queue_of
from snpoint import memory
from snpoint.journal import Entry, Journal

LOG = logging.getLogger(__name__)


class Queue:
    """A batch system that knows some jobs; removed ones leave at the next look but one."""

    def __init__(self, *jobs: Found, broken: bool = False) -> None:
        self.jobs = {job.key: job for job in jobs}
        self.broken = broken
        self.removed: list[str] = []
        self.looks = 0

    def find(self, known: Mapping[str, str | None]) -> Mapping[str, Found]:
        if self.broken:
            raise BackendError("no answer")
        self.looks += 1
        return dict(self.jobs)

    def cancel(self, ids: Sequence[str]) -> None:
        self.removed += ids
        self.jobs = {key: Found(key, job.id, Outcome("removed")) for key, job in self.jobs.items()}


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits a minute for late submissions."""
    monkeypatch.setattr(reattach, "LATE_S", 0.0)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """One submission that nobody has seen the end of."""
    journal = Journal(tmp_path)
    submit(journal, "k1")
    return journal


def submit(journal: Journal, key: str, job: str | None = "17", **more: str) -> None:
    shared = {"target": "out/a", "name": "a", "system": "slurm", "digest": "same", "record": f"{journal.folder}/r.json"}
    journal.intend(Entry(key=key, **(shared | more)))  # type: ignore[arg-type]
    if job:
        journal.submitted(key, job)


def again(journal: Journal, queue: Queue, wanted: Sequence[str] = ("out/a",)) -> Reattachment:
    return Reattachment(Journal(journal.folder), queue, "slurm", wanted, LOG)  # type: ignore[arg-type]


def test_job_in_the_queue_is_waited_for(journal: Journal) -> None:
    found = again(journal, Queue(Found("k1", "17"))).take("out/a", "same")
    assert found is not None
    assert found[0].id == "17"
    assert found[1] is None


@pytest.mark.parametrize("end", [ended(0), ended(78), Outcome("out_of_memory"), Outcome("out_of_time")])
def test_end_that_says_something_about_the_work_counts(journal: Journal, end: Outcome) -> None:
    found = again(journal, Queue(Found("k1", "17", end))).take("out/a", "same")
    assert found is not None
    assert found[1] == end


@pytest.mark.parametrize("kind", ["removed", "held", "vanished", "never_matched"])
def test_end_that_says_nothing_about_the_work_is_forgotten(journal: Journal, kind: str) -> None:
    end = Outcome(kind)  # type: ignore[arg-type]
    assert again(journal, Queue(Found("k1", "17", end))).take("out/a", "same") is None
    closed = Journal(journal.folder).entries["k1"].outcome
    assert closed is not None
    assert closed["kind"] == kind


def test_job_that_does_outdated_work_is_gone_before_its_successor_is_submitted(journal: Journal) -> None:
    queue = Queue(Found("k1", "17"))
    assert again(journal, queue).take("out/a", "other") is None
    assert queue.removed == ["17"]
    assert queue.looks == 2
    assert Journal(journal.folder).open_entries() == []


def test_outdated_end_does_not_count(journal: Journal) -> None:
    assert again(journal, Queue(Found("k1", "17", ended(0)))).take("out/a", "other") is None


def test_forgotten_job_is_known_by_what_it_wrote_down_itself(journal: Journal) -> None:
    record = {"format_version": 1, "state": "ended", "exit_code": 0, "signal": None, "node": "n1"}
    (journal.folder / "r.json").write_text(json.dumps(record))
    found = again(journal, Queue()).take("out/a", "same")
    assert found is not None
    assert found[1] == ended(0, node="n1")


def running(journal: Journal, *, minutes_ago: float) -> None:
    """The record of a job at work, with a heartbeat."""
    beat = (datetime.now(UTC) - timedelta(minutes=minutes_ago)).isoformat(timespec="seconds")
    record = {"format_version": 1, "state": "running", "node": "n1", "job_id": "17.0", "heartbeat": beat}
    (journal.folder / "r.json").write_text(json.dumps(record))


def test_forgotten_job_without_a_sign_of_life_is_submitted_again(journal: Journal) -> None:
    running(journal, minutes_ago=60)
    assert again(journal, Queue()).take("out/a", "same") is None
    assert Journal(journal.folder).open_entries() == []


def test_job_that_only_its_own_record_knows_is_not_submitted_twice(journal: Journal) -> None:
    """Another login node, another schedd."""
    running(journal, minutes_ago=1)
    taken = again(journal, Queue())
    with pytest.raises(BackendError, match=r"job 17 \(a\) is at work on n1"):
        taken.take("out/a", "same")
    assert len(Journal(journal.folder).open_entries()) == 1


def test_jobs_of_two_queues_are_named(journal: Journal) -> None:
    submit(journal, "k2", "18", target="out/b", queue="bigbird2")
    assert queue_of(left_behind(journal, "slurm")) == "bigbird2"
    submit(journal, "k3", "19", target="out/c", queue="bigbird3")
    with pytest.raises(WorkflowError, match="bigbird2 and bigbird3"):
        queue_of(left_behind(journal, "slurm"))


def test_id_that_a_crash_kept_from_being_written_is_found_by_the_key(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    submit(journal, "k1", job=None)
    found = again(journal, Queue(Found("k1", "99"))).take("out/a", "same")
    assert found is not None
    assert found[0].id == "99"
    assert Journal(tmp_path).entries["k1"].id == "99"


def test_id_that_only_the_job_itself_has_written_down_is_found(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    submit(journal, "k1", job=None)
    record = {"format_version": 1, "state": "ended", "exit_code": 0, "job_id": "99.0", "node": "n1"}
    (tmp_path / "r.json").write_text(json.dumps(record))
    found = again(journal, Queue()).take("out/a", "same")
    assert found is not None
    assert found[0].id == "99"
    assert found[1] is not None
    assert found[1].ok


def test_intent_that_was_never_carried_out_is_closed(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    submit(journal, "k1", job=None)
    assert again(journal, Queue()).take("out/a", "same") is None
    assert Journal(tmp_path).open_entries() == []


def test_jobs_of_a_pipeline_that_is_still_there_are_its_own(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    submit(journal, "k1", driver=driver())
    taken = again(journal, Queue(Found("k1", "17")))
    assert taken.take("out/a", "same") is None
    assert taken.left() == []
    assert len(Journal(tmp_path).open_entries()) == 1


def test_what_the_run_will_want_is_its_own_and_other_jobs_are_left_alone(
    journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    submit(journal, "k2", "18", target="out/b")
    submit(journal, "k3", "19", target="out/c")
    queue = Queue(Found("k1", "17"), Found("k2", "18"), Found("k3", "19"))
    taken = again(journal, queue, wanted=["out/a", "out/b"])
    taken.take("out/a", "same")
    assert [entry.id for entry in taken.left()] == ["18"]
    assert "left there: a (19)" in caplog.text


def test_nothing_is_asked_where_nothing_is_open(tmp_path: Path) -> None:
    queue = Queue(broken=True)
    assert again(Journal(tmp_path), queue).take("out/a", "same") is None


def test_without_an_answer_nothing_is_submitted(journal: Journal) -> None:
    with pytest.raises(WorkflowError, match=r"1 jobs .* cannot be asked \(no answer\); nothing is submitted"):
        again(journal, Queue(broken=True))


def test_late_submission_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed while sbatch was trying: its job comes into the queue after the next pipeline has looked."""
    monkeypatch.setattr(reattach, "LATE_S", 2.0)
    journal, queue = Journal(tmp_path), Queue()
    submit(journal, "k1", job=None)
    monkeypatch.setattr(reattach.time, "sleep", lambda seconds: queue.jobs.update(k1=Found("k1", "99")))
    found = again(journal, queue).take("out/a", "same")
    assert found is not None
    assert found[0].id == "99"


def test_success_that_snakemake_took_no_note_of_is_not_repeated(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    journal.ended("k1", ended(0).as_json())
    taken = again(journal, Queue())
    assert not taken.finished("out/a", "same", ["out/a"]), "the output is not there"
    (tmp_path / "out").mkdir()
    (tmp_path / "out/a").touch()
    assert not taken.finished("out/a", "same", ["out/a"]), "somebody asks for it anew"
    memory.write("out/a")
    mark = memory._file(memory.INCOMPLETE, "out/a")
    mark.touch()
    assert taken.finished("out/a", "same", ["out/a"])
    assert not taken.finished("out/a", "other", ["out/a"])
