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
