"""`snpoint status` and what it stands on: words for every state, targets, and Snakemake's records."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from workplace import Workplace

from snpoint import memory
from snpoint.journal import Entry, Journal

RAW = "results/electron_direction/v0_raw"


def change_record(workplace: Workplace, name: str, **fields: Any) -> None:
    path = workplace.folder / name
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | fields), encoding="utf-8")


def one(workplace: Workplace, stage: str, target: str = "v0_raw") -> dict[str, Any]:
    return next(item for item in workplace.status(target)["stages"] if item["stage"] == stage)


def test_table_is_plain_text_with_one_line_per_stage(workplace: Workplace) -> None:
    result = workplace.run("snpoint", "status")
    lines = [line.rstrip() for line in result.stdout.splitlines()]
    assert "\x1b" not in result.stdout
    assert "WARNING" not in result.stdout
    assert "samples/sim_es             simulate    2/2 ok" in lines
    assert "electron_direction/v0_raw  train       ok" in lines
    assert lines[-1].endswith("ok. Nothing to run.")


def test_a_fresh_project_is_missing_and_no_error(empty_workplace: Workplace) -> None:
    result = empty_workplace.run("snpoint", "status")
    assert "train       missing" in result.stdout
    assert "6/6 missing" in result.stdout
    assert "WARNING" not in result.stdout
    assert "fdhd" not in result.stdout, "real files are shown once something was made from them"


def test_status_with_other_samples_and_no_data_says_what_is_not_shown(workplace: Workplace) -> None:
    shutil.rmtree(workplace.folder / "data")
    status = workplace.status()
    assert {item["state"] for item in status["stages"]} == {"ok"}
    assert "test_es_tpstream.root" in status["notices"][0] or "test_cc_tpstream.root" in status["notices"][0]


@pytest.mark.parametrize(
    ("target", "owners"),
    [
        ("v0_raw", {"electron_direction/v0_raw"}),
        ("electron_direction/v0", {"electron_direction/v0"}),
        ("results/electron_direction/v0/train/model.keras", {"electron_direction/v0"}),
        ("sim_es", {"samples/sim_es", "datasets/sim_es"}),
        ("datasets/sim_es", {"datasets/sim_es"}),
        ("pointing/demo_burst", {"point/demo_burst"}),
        ("results/report/index.html", {"report/index"}),
        ("v0_30k", {"electron_direction/v0_30k"}),
    ],
)
def test_targets(workplace: Workplace, target: str, owners: set[str]) -> None:
    assert {item["owner"] for item in workplace.status(target)["stages"]} == owners


def test_an_unknown_target_is_one_line_with_the_nearest_name(workplace: Workplace) -> None:
    result = workplace.run("snpoint", "status", "v0_row", check=False)
    assert result.returncode == 64
    assert "did you mean" in result.stderr
    assert "v0_raw" in result.stderr
    assert "Traceback" not in result.stderr


def test_running_failed_and_killed(workplace: Workplace) -> None:
    record = f"{RAW}/train/provenance.json"
    change_record(workplace, record, state="running", pid=os.getpid(), started="2100-01-01T00:00:00+00:00")
    train = one(workplace, "train")
    assert train["state"] == "running"
    assert train["why"] == f"{socket.gethostname()}, pid {os.getpid()}, since 2100-01-01T00:00:00+00:00"
    assert one(workplace, "evaluate")["why"] == "upstream: train electron_direction/v0_raw"

    change_record(workplace, record, pid=os.getpid(), started="2001-01-01T00:00:00+00:00")
    assert one(workplace, "train")["why"].startswith("killed: "), "the process is younger than the record"

    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    change_record(workplace, record, pid=gone.pid)
    assert one(workplace, "train")["why"].startswith(f"killed: {socket.gethostname()}, pid {gone.pid}")

    change_record(workplace, record, host="another.host", job_id="17.0")
    assert one(workplace, "train")["state"] == "running"
    assert one(workplace, "train")["why"].startswith("job 17.0 on another.host")

    change_record(workplace, record, state="failed", error="NumericError: the loss became NaN")
    assert one(workplace, "train")["state"] == "failed"
    assert one(workplace, "train")["why"] == f"NumericError: the loss became NaN; see {RAW}/logs/train.log"


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"state": "ok"}', '{"state": "failed"}'])
def test_a_broken_record_is_said_to_be_one(workplace: Workplace, text: str) -> None:
    (workplace.folder / RAW / "train/provenance.json").write_text(text, encoding="utf-8")
    train = one(workplace, "train")
    assert train["state"] == "stale"
    assert "not a provenance record" in train["why"]


def test_a_result_without_record_is_not_trusted(workplace: Workplace) -> None:
    (workplace.folder / RAW / "train/provenance.json").unlink()
    assert one(workplace, "train")["why"] == "no provenance record"
    workplace.run("snpoint", "repair")
    assert "train electron_direction/v0_raw" in workplace.dry_run()


def test_a_replaced_real_file_is_a_changed_input(workplace: Workplace) -> None:
    (workplace.folder / "data/test_es_tpstream.root").write_text("other events\n", encoding="utf-8")
    match = one(workplace, "match", "samples/fdhd_es")
    assert match["why"] == "changed input: data/test_es_tpstream.root"
    jobs = workplace.dry_run("real_data")
    assert {"match fdhd_es/0000", "point fdhd_es", "report real_data"} <= jobs
    runs = {f"{item['stage']} {item['key']}" for item in workplace.status()["stages"] if item["runs"]}
    assert runs == jobs


def test_chunks_are_counted(workplace: Workplace) -> None:
    workplace.edit("samples/sim_es.yaml", ("chunks: 2", "chunks: 3"))
    text = workplace.run("snpoint", "status", "sim_es").stdout
    assert "cluster     2/3 ok, 1 missing" in text
    assert "dataset     stale (set of inputs: + results/datasets/sim_es/image/shard_sim_es_0002.npz)" in text


def test_help_is_quick_and_explains_the_words(workplace: Workplace) -> None:
    text = workplace.run("snpoint", "status", "--help").stdout
    for word in ("ok", "stale", "queued", "running", "held", "failed", "missing", "--json"):
        assert f"  {word}" in text
    assert "Snakemake" in workplace.run("snpoint", "repair", "--help").stdout


def test_snakemakes_records_are_read_and_written_as_it_does(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    persistence = pytest.importorskip("snakemake.persistence")
    from snakemake.persistence.file import FilePersistence

    assert persistence.RECORD_FORMAT_VERSION == memory.FORMAT_VERSION
    monkeypatch.chdir(workplace.folder)
    snakemake = FilePersistence()
    output = f"{RAW}/train/model.keras"
    theirs = snakemake._read_record(output)
    ours = memory.read(output)
    assert ours is not None
    assert theirs.params == ours["params"]
    split = "results/datasets/sim_es_raw/dataset/split.npz"
    assert (
        memory.checksum(ours, split)
        == json.loads(Path(RAW, "train/provenance.json").read_text())["inputs"][split]["sha256"]
    )
    assert ours["endtime"] == Path(output).stat().st_mtime, "what status relies on to spare checksums"

    for name in ("results/short.npz", f"results/{'long_' * 60}/model.keras"):
        memory.write(name, rule="train", params=["'{}'"], input=["a"])
        record = snakemake._read_record(name)
        assert (record.rule, record.params, record.input, record.code) == ("train", ["'{}'"], ["a"], None)
        assert record.record_format_version == persistence.RECORD_FORMAT_VERSION


MODEL = f"{RAW}/train/model.keras"


class Queue:
    """A journal, as an executor writes it, of jobs that train `v0_raw`."""

    def __init__(self, workplace: Workplace) -> None:
        self.workplace = workplace
        self.journal = Journal(workplace.folder / ".snakemake/templated")

    def submit(self, job: str | None) -> str:
        """A submission: the executor removes the outputs first, writes its intent, then the id."""
        for name in ("model.keras", "history.csv", "training.json"):
            (self.workplace.folder / RAW / "train" / name).unlink(missing_ok=True)
        key = f"key{len(self.journal.entries)}"
        record = str(self.workplace.folder / f".snakemake/templated/{key}.job.json")
        self.journal.intend(Entry(key=key, target=MODEL, name="train", system="htcondor", digest="d", record=record))
        if job is not None:
            self.journal.submitted(key, job)
        return key

    def payload(self, key: str, **content: Any) -> None:
        """What the job says about itself."""
        begun = {"state": "running", "node": "slot1@b7n1", "started": "2100-01-01T00:00:00+00:00"}
        Path(self.journal.entries[key].record).write_text(json.dumps(begun | content), encoding="utf-8")


@pytest.fixture
def queue(workplace: Workplace) -> Queue:
    return Queue(workplace)


def test_a_submitted_job_is_queued_until_it_begins(workplace: Workplace, queue: Queue) -> None:
    key = queue.submit("17")
    train = one(workplace, "train")
    assert (train["state"], train["job"], train["runs"]) == ("queued", "17", True)
    assert train["why"] == f"job 17, since {queue.journal.entries[key].intended}"
    assert one(workplace, "evaluate")["why"] == "upstream: train electron_direction/v0_raw"

    queue.payload(key)
    train = one(workplace, "train")
    assert train["state"] == "running"
    assert train["why"] == "job 17 on slot1@b7n1, since 2100-01-01T00:00:00+00:00"

    os.utime(queue.journal.entries[key].record, (0, 0))
    assert "no sign of life for" in one(workplace, "train")["why"]


def test_the_queue_is_known_without_snakemakes_records(workplace: Workplace, queue: Queue) -> None:
    queue.submit("17")
    shutil.rmtree(workplace.folder / ".snakemake/metadata")
    assert one(workplace, "train")["state"] == "queued"


def test_a_driver_killed_while_it_submits_leaves_a_job_of_unknown_number(workplace: Workplace, queue: Queue) -> None:
    queue.submit(None)
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
    workplace: Workplace, queue: Queue, outcome: dict[str, str], state: str, why: str
) -> None:
    queue.journal.ended(queue.submit("17"), outcome)
    train = one(workplace, "train")
    assert (train["state"], train["why"]) == (state, why.replace("LOG", f"{RAW}/logs/train.log"))
    # a job that has left nothing must be done again, and Snakemake is told so
    assert "train electron_direction/v0_raw" in workplace.dry_run()


def test_attempts_are_counted_from_the_last_good_one(workplace: Workplace, queue: Queue) -> None:
    queue.journal.ended(queue.submit("15"), {"kind": "failed", "reason": "exit code 76"})
    queue.journal.ended(queue.submit("16"), {"kind": "completed"})
    queue.journal.ended(queue.submit("17"), {"kind": "out_of_memory", "reason": "too much"})
    queue.submit("18")
    train = one(workplace, "train")
    assert train["state"] == "queued"
    assert train["why"].startswith("job 18, since ")
    assert train["why"].endswith(", attempt 2")


def test_the_error_of_the_stage_says_more_than_its_exit_code(workplace: Workplace, queue: Queue) -> None:
    key = queue.submit("17")
    record = f"{RAW}/train/provenance.json"
    error = "NumericError: the loss became NaN"
    change_record(workplace, record, state="failed", error=error, job_id="17.0", started="2100-01-01T00:00:00+00:00")
    expected = f"{error}, attempt 1; see {RAW}/logs/train.log"
    assert one(workplace, "train")["why"] == expected, "also before the driver has seen it"
    queue.journal.ended(key, {"kind": "failed", "reason": "exit code 76"})
    assert one(workplace, "train")["why"] == expected


def test_a_job_killed_with_its_machine_is_not_at_work_for_ever(workplace: Workplace, queue: Queue) -> None:
    key = queue.submit("17")
    started = "2100-01-01T00:00:00+00:00"
    change_record(
        workplace, f"{RAW}/train/provenance.json", state="running", host="b7n1", job_id="17.0", started=started
    )
    assert one(workplace, "train")["state"] == "running"
    queue.payload(key, state="ended", signal=9)
    assert one(workplace, "train")["why"].startswith("job 17: killed by signal 9, attempt 1")
    queue.journal.ended(key, {"kind": "removed", "reason": "via condor_rm (by user me)"})
    assert one(workplace, "train")["state"] == "failed"
    assert one(workplace, "train")["why"].startswith("job 17 removed: via condor_rm (by user me), attempt 1")


def test_what_is_there_and_recorded_is_ok_whatever_the_journal_says(workplace: Workplace, queue: Queue) -> None:
    kept = {path: path.read_bytes() for path in (workplace.folder / RAW / "train").iterdir() if path.is_file()}
    times = {path: path.stat() for path in kept}
    queue.submit("17")
    for path, content in kept.items():
        path.write_bytes(content)
        os.utime(path, ns=(times[path].st_atime_ns, times[path].st_mtime_ns))
    assert one(workplace, "train")["state"] == "ok"


def test_a_later_run_without_a_batch_system_counts(workplace: Workplace, queue: Queue) -> None:
    queue.journal.ended(queue.submit("17"), {"kind": "held", "reason": "somebody held it"})
    record = f"{RAW}/train/provenance.json"
    change_record(
        workplace, record, state="failed", error="DataError: x", job_id=None, started="2100-01-01T00:00:00+00:00"
    )
    assert one(workplace, "train")["why"] == f"DataError: x; see {RAW}/logs/train.log"


def test_a_broken_journal_is_a_notice(workplace: Workplace, queue: Queue) -> None:
    queue.submit("17")
    queue.journal.path.write_text("{\n", encoding="utf-8")
    status = workplace.status("v0_raw")
    assert "what is in the queue is not known" in status["notices"][0]
    assert "jobs.jsonl, line 1" in status["notices"][0]
