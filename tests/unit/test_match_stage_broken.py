"""The stage `match`: broken files stop a chunk or are left out; other troubles are not taken for them."""

from __future__ import annotations

import errno
import logging
import re
from pathlib import Path
from typing import Any

import pytest
import toy_tpstream as toy
import uproot
from toy_match_stage import broken, matched, sources, write

from snpoint.data import tpstream
from snpoint.data.tpstream import Trees
from snpoint.errors import DataError, InputMissingError
from snpoint.stages import match as stage


def test_broken_file_stops_the_chunk(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cut\.root: not a readable TPStream file"):
        matched(tmp_path, [write(tmp_path / "a.root", toy.event(1)), broken(tmp_path / "cut.root")])


def test_broken_files_are_left_out_and_named_in_quarantine(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "zero.root").touch()
    files = [broken(tmp_path / "cut.root"), write(tmp_path / "a.root", toy.event(1)), tmp_path / "zero.root"]
    table = matched(tmp_path, files, quarantine=True)
    assert table["event"].tolist() == [1, 1]
    found = sources(tmp_path)["files"]
    assert [file["name"] for file in found] == ["cut.root", "a.root", "zero.root"]
    assert [file["problem"] is None for file in found] == [False, True, False]
    assert re.fullmatch(r"truncated: ends after \d\d?% of its bytes", found[0]["problem"])
    assert found[2]["problem"] == "empty file"
    assert found[0]["size"] == 2000
    assert "left out: " in caplog.text


def test_chunk_of_broken_files_is_an_empty_table(tmp_path: Path) -> None:
    table = matched(tmp_path, [broken(tmp_path / "cut.root")], [broken(tmp_path / "bg.root")], quarantine=True)
    assert len(table["channel"]) == 0
    assert sources(tmp_path)["background"][0]["problem"].startswith("truncated: ")


def test_file_that_breaks_in_its_middle_leaves_nothing_of_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = write(tmp_path / "good.root", *(toy.event(number) for number in (1, 3, 5)))
    bad = write(tmp_path / "bad.root", *(toy.event(number) for number in (2, 4, 6)))
    read = stage.EventFile.read

    def breaking(self: stage.EventFile, first: int, last: int) -> Trees:
        if first == 1 and self.uid[0] & 0xFF == 2:
            raise DataError(f"{bad}: a basket is damaged")
        return read(self, first, last)

    monkeypatch.setattr(stage.EventFile, "read", breaking)
    table = matched(tmp_path, [good, bad], quarantine=True, tps_per_batch=1)
    assert table["event"].tolist() == [1, 1, 3, 3, 5, 5]
    assert [file["problem"] for file in sources(tmp_path)["files"]] == [None, "a basket is damaged"]


def test_file_of_another_detector_is_left_out_too(tmp_path: Path) -> None:
    files = [write(tmp_path / "a.root", toy.event(1)), write(tmp_path / "b.root", toy.event(2, [20000], [0]))]
    assert matched(tmp_path, files, quarantine=True)["event"].tolist() == [1, 1]
    assert "is 'match.detector' right" in sources(tmp_path)["files"][1]["problem"]


@pytest.mark.parametrize(("branch", "value"), [("bt_edep", -1.0), ("time_start", 1 << 63)])
def test_numbers_that_cannot_be_are_named_with_their_file(tmp_path: Path, branch: str, value: float) -> None:
    trees = toy.event(1)
    trees["tps"][branch][:] = value
    with pytest.raises(DataError, match=r"odd\.root: '.*' holds -\d.*, below the smallest legal value 0"):
        matched(tmp_path, [write(tmp_path / "odd.root", trees)])


@pytest.mark.parametrize("quarantine", [False, True])
def test_mistake_in_the_program_is_no_broken_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quarantine: bool
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ValueError("operands could not be broadcast together")

    for name in ("match", "lay_over"):
        with monkeypatch.context() as patch:
            patch.setattr(stage, name, fail)
            files = [write(tmp_path / f"{number}.root", toy.event(number)) for number in (1, 2)]
            with pytest.raises(ValueError, match=r"^operands could not be broadcast together$"):
                matched(tmp_path, files[:1], files[1:], quarantine=quarantine)


def test_run_number_too_large_in_the_truth_names_the_file(tmp_path: Path) -> None:
    trees = toy.event(1)
    trees["mctruths"]["Run"][:] = 1 << 20
    with pytest.raises(DataError, match=r"a\.root: run 1048576 or subrun 2 is too large"):
        matched(tmp_path, [write(tmp_path / "a.root", trees)])


def test_lack_of_memory_is_no_broken_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.root", toy.event(1))

    def fail(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(tpstream, "_arrays", fail)
    with pytest.raises(MemoryError):
        matched(tmp_path, [path], quarantine=True)


def test_missing_file_is_no_broken_file(tmp_path: Path) -> None:
    with pytest.raises(InputMissingError, match=r"nowhere\.root"):
        matched(tmp_path, [tmp_path / "nowhere.root"], quarantine=True)


def test_failing_disk_is_no_broken_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.root", toy.event(1))

    def fail(*_: Any, **__: Any) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(uproot, "open", fail)
    with pytest.raises(InputMissingError, match=r"a\.root: cannot be opened \(Input/output error\)"):
        matched(tmp_path, [path], quarantine=True)


def test_progress_is_said_file_by_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    matched(tmp_path, [write(tmp_path / "a.root", toy.event(1), toy.event(2))], tps_per_batch=2, compare=False)
    assert [record.message.removeprefix(f"{tmp_path}/") for record in caplog.records] == [
        "a.root: 4 TPs in 2 events, a:1x2x2:v1",
        "2 of 4 TPs",
        "a.root: 4 of 4 TPs (100.0%) are signal",
        "tps.parquet: 4 TPs in 2 events from 1 files",
    ]
