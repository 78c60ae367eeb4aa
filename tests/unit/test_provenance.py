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
from toy_matching import match_settings

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


def test_what_it_had_and_what_it_took(files: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """On any computer; the children of a stage count, too."""
    record, source, output = files
    monkeypatch.delenv("SNPOINT_MACHINE", raising=False)
    burner = "import time; x = b'1' * 400_000_000\nwhile time.process_time() < 0.5: pass"
    with provenance.recorded(record, "predict", SETTINGS, [source], [output]):
        assert record_of(record)["machine"]["cpus"] == len(os.sched_getaffinity(0))
        subprocess.run([sys.executable, "-c", burner], check=True)
        output.write_bytes(b"result")
    machine, usage = record_of(record)["machine"], record_of(record)["usage"]
    assert machine.keys() == {"host", "cpus", "memory_limit_mb", "gpus"}
    assert 100 < machine["memory_limit_mb"] < 100_000_000
    assert usage.keys() == {"seconds", "cpu_seconds", "peak_memory_mb"}
    assert 0.5 <= usage["cpu_seconds"] < 5
    assert usage["peak_memory_mb"] >= 400


def test_in_a_batch_job_the_limits_are_those_of_the_job(
    files: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    record, source, output = files
    monkeypatch.setenv("SNPOINT_MACHINE", '{"node": "n7", "cpus": 3, "memory_mb": 512, "gpus": ["GPU 0: NVIDIA T4"]}')
    with provenance.recorded(record, "predict", SETTINGS, [source], [output]):
        output.write_bytes(b"result")
    machine = record_of(record)["machine"]
    assert (machine["cpus"], machine["memory_limit_mb"], machine["gpus"]) == (3, 512, ["GPU 0: NVIDIA T4"])


def test_running_out_of_memory_has_an_exit_code_of_its_own(tmp_path: Path) -> None:
    """137, as if the kernel had ended it: the batch executor repeats the job with more."""
    source, output = tmp_path / "tps.root", tmp_path / "out/0000.parquet"
    source.touch()
    code = (
        "import importlib, numpy, snpoint.cli\n"
        "importlib.import_module('snpoint.stages.match').run = lambda *_, **__: numpy.ones(10**15)\n"
        "snpoint.cli.main()"
    )
    settings = match_settings().canonical()
    arguments = ["match", str(source), "--tps", str(output), "--settings", settings]
    result = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=120)
    assert result.returncode == 137
    assert "error: out of memory (Unable to allocate 7.11 PiB" in result.stderr.splitlines()[-1]
    record = record_of(output.with_name("0000.provenance.json"))
    assert (record["state"], record["exit_code"]) == ("failed", 137)
    assert "MemoryError: Unable to allocate" in record["error"]


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
