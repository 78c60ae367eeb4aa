"""The record beside a result: written before, after, and when the stage fails."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from snpoint import paths, provenance
from snpoint.errors import DataError, InputMissingError, NumericError
from snpoint.settings import PredictSettings

SETTINGS = PredictSettings(batch_size=7)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path, Path]:
    """Record, input and output."""
    source = tmp_path / "in put's.npz"
    source.write_bytes(b"abc")
    return tmp_path / "stage/provenance.json", source, tmp_path / "stage/predictions.npz"


def record_of(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def test_a_good_end_is_recorded_with_all_that_made_the_result(files: tuple[Path, Path, Path]) -> None:
    record, source, output = files
    with provenance.recorded(record, "predict", SETTINGS, [source], [output]):
        running = record_of(record)
        output.write_bytes(b"result")
    assert (running["state"], running["pid"], running["host"]) == ("running", os.getpid(), socket.gethostname())
    done = record_of(record)
    assert done["state"] == "ok"
    assert done["settings"] == {"batch_size": 7, "code": 1}
    assert done["inputs"] == {
        str(source): {"bytes": 3, "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}
    }
    assert done["outputs"][str(output)]["bytes"] == 6
    assert done["started"] <= done["stopped"]
    assert done["seconds"] >= 0
    assert {"command", "code", "packages", "python", "user", "job_id", "format_version"} <= done.keys()
    assert done["packages"]["numpy"]


def test_settings_read_back_are_the_same_string(files: tuple[Path, Path, Path]) -> None:
    record, source, output = files
    with provenance.recorded(record, "predict", SETTINGS, [source], [output]):
        output.write_bytes(b"result")
    assert PredictSettings.canonical_json(record_of(record)["settings"]) == SETTINGS.canonical()


def test_a_failure_is_recorded_with_its_cause_and_goes_on(files: tuple[Path, Path, Path]) -> None:
    record, source, output = files
    with pytest.raises(NumericError), provenance.recorded(record, "predict", SETTINGS, [source], [output]):
        raise NumericError("the loss became NaN")
    found = record_of(record)
    assert (found["state"], found["exit_code"]) == ("failed", 76)
    assert found["error"] == "NumericError: the loss became NaN"


def test_being_interrupted_is_a_failure(files: tuple[Path, Path, Path]) -> None:
    record, source, output = files
    with pytest.raises(KeyboardInterrupt), provenance.recorded(record, "predict", SETTINGS, [source], [output]):
        raise KeyboardInterrupt
    assert record_of(record)["state"] == "failed"


def test_an_end_without_the_output_is_a_failure(files: tuple[Path, Path, Path]) -> None:
    record, source, output = files
    with (
        pytest.raises(DataError, match=r"without writing .*predictions\.npz"),
        provenance.recorded(record, "predict", SETTINGS, [source], [output]),
    ):
        pass
    assert record_of(record)["state"] == "failed"


def test_a_missing_input_starts_nothing(files: tuple[Path, Path, Path]) -> None:
    record, source, output = files
    source.unlink()
    with pytest.raises(InputMissingError), provenance.recorded(record, "predict", SETTINGS, [source], [output]):
        pass
    assert not record.exists()


def test_no_temporary_file_stays(files: tuple[Path, Path, Path]) -> None:
    record, source, output = files
    with provenance.recorded(record, "predict", SETTINGS, [source], [output]):
        output.write_bytes(b"result")
    assert {path.name for path in record.parent.iterdir()} == {record.name, output.name}


def test_the_job_number_of_the_batch_system_is_kept(
    files: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    record, source, output = files
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    with provenance.recorded(record, "predict", SETTINGS, [source], [output]):
        output.write_bytes(b"result")
    assert record_of(record)["job_id"] == "4711"


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00\xff"])
def test_an_unreadable_record_names_its_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "provenance.json"
    assert provenance.read(path) is None
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=r"provenance\.json: not a provenance record"):
        provenance.read(path)


def test_who_is_running() -> None:
    here = {"host": socket.gethostname(), "pid": os.getpid(), "started": "2100-01-01T00:00:00+00:00"}
    assert provenance.is_running(here)
    assert provenance.is_running(here | {"host": "another.host", "pid": 2**22 + 1})
    assert not provenance.is_running(here | {"pid": 2**22 + 1})
    assert not provenance.is_running(here | {"started": "2001-01-01T00:00:00+00:00"}), "younger than the record"
    killed = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert provenance.is_running(here | {"pid": killed.pid})
    killed.kill()
    os.waitid(os.P_PID, killed.pid, os.WEXITED | os.WNOWAIT)  # ended, but still in the table of processes
    assert not provenance.is_running(here | {"pid": killed.pid})
    killed.communicate()


def test_records_of_chunks_and_pages_do_not_share_a_file() -> None:
    chunk = paths.provenance("results/samples/s/cluster/0001.parquet", "cluster")
    assert chunk == Path("results/samples/s/cluster/0001.provenance.json")
    page = paths.provenance("results/report/index.html", "report")
    assert page == Path("results/report/index.provenance.json")
    model = paths.provenance("results/electron_direction/v0/train/model.keras", "train")
    assert model == Path("results/electron_direction/v0/train/provenance.json")
