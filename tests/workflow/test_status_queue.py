"""What `snpoint status` says of jobs that were submitted: queued, running, held, failed."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from typing import Any

import pytest
from queue_of import Queue
from test_status import RAW, change_record, one
from workplace import Workplace

from snpoint.settings import Section

MODEL = f"{RAW}/train/model.keras"


class TrainingQueue(Queue):
    """Submissions that train `v0_raw`."""

    def train(self, workplace: Workplace, job: str | None) -> str:
        """A submission; the executor removes the outputs first."""
        for name in ("model.keras", "history.csv", "training.json"):
            (workplace.folder / RAW / "train" / name).unlink(missing_ok=True)
        return self.submit(job, MODEL)

    def begun(self, key: str, **content: Any) -> None:
        """What the job says about itself."""
        started = "2100-01-01T00:00:00+00:00"
        self.record(key, **({"state": "running", "node": "slot1@b7n1", "started": started} | content))


@pytest.fixture
def queue(workplace: Workplace) -> TrainingQueue:
    return TrainingQueue(workplace.folder)


def test_a_submitted_job_is_queued_until_it_begins(workplace: Workplace, queue: TrainingQueue) -> None:
    key = queue.train(workplace, "17")
    train = one(workplace, "train")
    assert (train["state"], train["job"], train["runs"]) == ("queued", "17", True)
    assert train["why"] == f"job 17, since {queue.journal.entries[key].intended}"
    assert one(workplace, "evaluate")["why"] == "upstream: train electron_direction/v0_raw"

    queue.begun(key)
    train = one(workplace, "train")
    assert train["state"] == "running"
    assert train["why"] == "job 17 on slot1@b7n1, since 2100-01-01T00:00:00+00:00"

    os.utime(queue.journal.entries[key].record, (0, 0))
    assert "no sign of life for" in one(workplace, "train")["why"]


def test_the_queue_is_known_without_snakemakes_records(workplace: Workplace, queue: TrainingQueue) -> None:
    queue.train(workplace, "17")
    shutil.rmtree(workplace.folder / ".snakemake/metadata")
    assert one(workplace, "train")["state"] == "queued"


def test_a_driver_killed_while_it_submits_leaves_a_job_of_unknown_number(
    workplace: Workplace, queue: TrainingQueue
) -> None:
    queue.train(workplace, None)
    assert one(workplace, "train")["why"].startswith("being submitted, since ")


@pytest.mark.parametrize(
    ("outcome", "state", "why"),
    [
        ({"kind": "failed", "reason": "exit code 76"}, "failed", "job 17: exit code 76, attempt 1; see LOG"),
        (
            {"kind": "out_of_memory", "reason": "3.1 GB of 3 GB used"},
            "failed",
            "job 17 out of memory: 3.1 GB of 3 GB used, attempt 1; see LOG",
        ),
        ({"kind": "never_matched", "reason": "no GPU"}, "failed", "job 17 never matched: no GPU, attempt 1; see LOG"),
        ({"kind": "removed", "reason": "removed by me"}, "failed", "job 17: removed by me, attempt 1; see LOG"),
        (
            {"kind": "held", "reason": "code 6/2: Failed to execute"},
            "held",
            "code 6/2: Failed to execute; job 17 was removed from the queue, attempt 1",
        ),
    ],
)
def test_how_a_job_ended_is_told(
    workplace: Workplace, queue: TrainingQueue, outcome: dict[str, str], state: str, why: str
) -> None:
    queue.journal.ended(queue.train(workplace, "17"), outcome)
    train = one(workplace, "train")
    assert (train["state"], train["why"]) == (state, why.replace("LOG", f"{RAW}/logs/train.log"))
    # a job that has left nothing must be done again, and Snakemake is told so
    assert "train electron_direction/v0_raw" in workplace.dry_run()


def test_a_log_that_was_never_written_is_not_named(workplace: Workplace, queue: TrainingQueue) -> None:
    (workplace.folder / RAW / "logs/train.log").unlink()
    queue.journal.ended(queue.train(workplace, "17"), {"kind": "never_matched", "reason": "no GPU"})
    assert one(workplace, "train")["why"] == "job 17 never matched: no GPU, attempt 1"


@pytest.mark.parametrize(
    "reason", ["by the pipeline, which was interrupted", "by the pipeline: settings or inputs have changed"]
)
def test_what_the_pipeline_took_out_of_the_queue_has_not_failed(
    workplace: Workplace, queue: TrainingQueue, reason: str
) -> None:
    key = queue.train(workplace, "17")
    queue.journal.ended(key, {"kind": "removed", "reason": reason})
    train = one(workplace, "train")
    assert (train["state"], train["job"]) == ("missing", ""), "nothing has changed: it is only not there"
    workplace.edit("electron_direction/v0_raw.yaml", ("status: active", "status: active\ntrain: {epochs: 4}"))
    train = one(workplace, "train")
    assert train["state"] == "missing"
    assert train["why"].startswith("settings: train.epochs ")
    assert "train electron_direction/v0_raw" in workplace.dry_run()


@pytest.mark.parametrize("state", ["failed", "running"])
def test_a_job_that_was_interrupted_at_work_is_done_again(
    workplace: Workplace, queue: TrainingQueue, state: str
) -> None:
    key = queue.train(workplace, "17")
    changes = {"state": state, "error": "Interrupted", "job_id": "17.0", "started": "2020-01-01T00:00:00+00:00"}
    change_record(workplace, f"{RAW}/train/provenance.json", **changes)
    queue.begun(key, state="ended", signal=15, started="2020-01-01T00:00:00+00:00")
    queue.journal.ended(key, {"kind": "removed", "reason": "by the pipeline, which was interrupted"})
    train = one(workplace, "train")
    assert (train["state"], train["why"], train["runs"]) == ("missing", "interrupted", True)
    assert "train electron_direction/v0_raw" in workplace.dry_run()


def test_what_the_pipeline_removed_is_no_attempt(workplace: Workplace, queue: TrainingQueue) -> None:
    queue.journal.ended(
        queue.train(workplace, "16"), {"kind": "removed", "reason": "by the pipeline, which was interrupted"}
    )
    queue.train(workplace, "17")
    assert "attempt" not in one(workplace, "train")["why"]


@pytest.mark.parametrize("begun", [False, True])
def test_a_job_whose_version_was_edited_since_is_outdated(
    workplace: Workplace, queue: TrainingQueue, begun: bool
) -> None:
    settings = json.loads((workplace.folder / RAW / "train/provenance.json").read_text())["settings"]
    key = queue.train(workplace, "17")
    wrapper = queue.journal.folder / f"{key}.sh"
    wrapper.write_text(f"snpoint train --settings {shlex.quote(Section.canonical_json(settings))} --model x\n")
    if begun:
        queue.begun(key)
    train = one(workplace, "train")
    assert (train["state"], "outdated" in train["why"]) == ("running" if begun else "queued", False)
    workplace.edit("electron_direction/v0_raw.yaml", ("status: active", "status: active\ntrain: {epochs: 4}"))
    train = one(workplace, "train")
    assert train["state"] == ("running" if begun else "queued")
    assert train["why"].endswith("; outdated: it will be removed and submitted again")


def test_the_next_step_goes_on_with_the_system_that_has_the_jobs(workplace: Workplace) -> None:
    def next_step(*targets: str) -> str:
        return workplace.run("snpoint", "status", *targets).stdout.splitlines()[-1]

    (workplace.folder / MODEL).unlink()
    queue = TrainingQueue(workplace.folder, system="slurm")
    key = queue.train(workplace, "17")
    count = sum(state != "ok" for state in workplace.states().values())
    assert next_step().endswith(f"{count} jobs to run, 1 of them in the queue of slurm: snakemake --profile slurm -n")
    queue.journal.ended(key, {"kind": "held", "reason": "somebody held it"})
    assert next_step().endswith(f"{count} jobs to run: snakemake --profile local -n")
    queue.submit("18", "results/other")
    assert next_step().endswith(f"{count} jobs to run: snakemake --profile slurm -n"), "the folder's jobs are there"


def test_attempts_are_counted_from_the_last_good_one(workplace: Workplace, queue: TrainingQueue) -> None:
    queue.journal.ended(queue.train(workplace, "15"), {"kind": "failed", "reason": "exit code 76"})
    queue.journal.ended(queue.train(workplace, "16"), {"kind": "completed"})
    queue.journal.ended(queue.train(workplace, "17"), {"kind": "out_of_memory", "reason": "too much"})
    queue.train(workplace, "18")
    train = one(workplace, "train")
    assert train["state"] == "queued"
    assert train["why"].startswith("job 18, since ")
    assert train["why"].endswith(", attempt 2")


def test_the_error_of_the_stage_says_more_than_its_exit_code(workplace: Workplace, queue: TrainingQueue) -> None:
    key = queue.train(workplace, "17")
    record = f"{RAW}/train/provenance.json"
    error = "NumericError: the loss became NaN"
    change_record(workplace, record, state="failed", error=error, job_id="17.0", started="2100-01-01T00:00:00+00:00")
    expected = f"{error}, attempt 1; see {RAW}/logs/train.log"
    assert one(workplace, "train")["why"] == expected, "also before the driver has seen it"
    queue.journal.ended(key, {"kind": "failed", "reason": "exit code 76"})
    assert one(workplace, "train")["why"] == expected


def test_a_job_killed_with_its_machine_is_not_at_work_for_ever(workplace: Workplace, queue: TrainingQueue) -> None:
    key = queue.train(workplace, "17")
    started = "2100-01-01T00:00:00+00:00"
    change_record(
        workplace, f"{RAW}/train/provenance.json", state="running", host="b7n1", job_id="17.0", started=started
    )
    assert one(workplace, "train")["state"] == "running"
    queue.begun(key, state="ended", signal=9)
    assert one(workplace, "train")["why"].startswith("job 17: killed by signal 9, attempt 1")
    queue.journal.ended(key, {"kind": "removed", "reason": "via condor_rm (by user me)"})
    assert one(workplace, "train")["state"] == "failed"
    assert one(workplace, "train")["why"].startswith("job 17 removed: via condor_rm (by user me), attempt 1")


def test_what_is_there_and_recorded_is_ok_whatever_the_journal_says(workplace: Workplace, queue: TrainingQueue) -> None:
    kept = {path: path.read_bytes() for path in (workplace.folder / RAW / "train").iterdir() if path.is_file()}
    times = {path: path.stat() for path in kept}
    queue.train(workplace, "17")
    for path, content in kept.items():
        path.write_bytes(content)
        os.utime(path, ns=(times[path].st_atime_ns, times[path].st_mtime_ns))
    assert one(workplace, "train")["state"] == "ok"


def test_a_later_run_without_a_batch_system_counts(workplace: Workplace, queue: TrainingQueue) -> None:
    queue.journal.ended(queue.train(workplace, "17"), {"kind": "held", "reason": "somebody held it"})
    record = f"{RAW}/train/provenance.json"
    change_record(
        workplace, record, state="failed", error="DataError: x", job_id=None, started="2100-01-01T00:00:00+00:00"
    )
    assert one(workplace, "train")["why"] == f"DataError: x; see {RAW}/logs/train.log"


def test_a_broken_journal_is_a_notice(workplace: Workplace, queue: TrainingQueue) -> None:
    queue.train(workplace, "17")
    queue.journal.path.write_text("{\n", encoding="utf-8")
    status = workplace.status("v0_raw")
    assert "what is in the queue is not known" in status["notices"][0]
    assert "jobs.jsonl, line 1" in status["notices"][0]
