"""Tables of TPs: whole events in row groups, their sources, and what is refused."""

from __future__ import annotations

import errno
import json
import os
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from snpoint.data import tables
from snpoint.data.events import check_distinct, check_single
from snpoint.data.tables import (
    CLUSTER_TABLE,
    TP_TABLE,
    Columns,
    iter_table,
    open_table,
    read_sources,
    read_table,
    write_table,
)
from snpoint.errors import DataError, InputMissingError


def rows(*uids: int) -> Columns:
    """One TP of each event number given, told apart by its channel."""
    table = {key: np.zeros(len(uids), array.dtype) for key, array in TP_TABLE.items()}
    return table | {"event_uid": np.array(uids, "u8"), "channel": np.arange(len(uids), dtype="i4")}


def test_table_survives_writing_and_reading(tmp_path: Path) -> None:
    written = rows(1, 1, 2) | {"time_start": np.array([5, 1 << 41, 7]), "background_uid": np.full(3, 2**64 - 1, "u8")}
    written["x_cm"] = np.array([np.nan, -360.5, 0], "f4")
    write_table(tmp_path / "a.parquet", written, TP_TABLE)
    again = read_table(tmp_path / "a.parquet", TP_TABLE)
    assert list(again) == list(TP_TABLE)
    for key, values in written.items():
        np.testing.assert_array_equal(again[key], values, err_msg=key)
        assert again[key].dtype == values.dtype
    assert list(read_table(tmp_path / "a.parquet", TP_TABLE, ["channel"])) == ["channel"]


def test_row_groups_hold_whole_events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_ROWS_PER_GROUP", 4)
    written = rows(*[1] * 3, *[2] * 2, 3, *[4] * 9, 5)
    write_table(tmp_path / "a.parquet", written, TP_TABLE)
    groups = [piece["event_uid"].tolist() for piece in iter_table(tmp_path / "a.parquet", TP_TABLE)]
    assert groups == [[1] * 3, [2, 2, 3], [4] * 9, [5]]
    channels = [piece["channel"] for piece in iter_table(tmp_path / "a.parquet", TP_TABLE, ["channel"])]
    np.testing.assert_array_equal(np.concatenate(channels), written["channel"])


def test_pieces_can_be_appended_and_sources_filled_in_until_the_end(tmp_path: Path) -> None:
    sources = {"truth": "none"}
    with open_table(tmp_path / "a.parquet", TP_TABLE, sources) as table:
        table.append(rows(1, 2))
        table.append(rows())
        table.append(rows(3))
        sources["files"] = [{"name": "é.root", "problem": None}]
    assert read_table(tmp_path / "a.parquet", TP_TABLE)["event_uid"].tolist() == [1, 2, 3]
    assert read_sources(tmp_path / "a.parquet") == sources


def test_event_numbers_take_all_of_their_64_bits(tmp_path: Path) -> None:
    uids = [1, 2**63 - 1, 2**63, 2**64 - 1]
    write_table(tmp_path / "a.parquet", rows(*uids), TP_TABLE)
    assert read_table(tmp_path / "a.parquet", TP_TABLE)["event_uid"].tolist() == uids
    assert next(iter_table(tmp_path / "a.parquet", TP_TABLE))["event_uid"].tolist() == uids


def test_empty_table_is_legal(tmp_path: Path) -> None:
    with open_table(tmp_path / "a.parquet", CLUSTER_TABLE):
        pass
    table = read_table(tmp_path / "a.parquet", CLUSTER_TABLE)
    assert {key: (len(values), values.dtype) for key, values in table.items()} == {
        key: (0, np.dtype(array.dtype)) for key, array in CLUSTER_TABLE.items()
    }
    assert list(iter_table(tmp_path / "a.parquet", CLUSTER_TABLE)) == []
    assert read_sources(tmp_path / "a.parquet") == {}


@pytest.mark.parametrize("pieces", [[rows(2, 1)], [rows(1, 2), rows(2, 3)], [rows(3), rows(1)]])
def test_events_out_of_order_or_in_parts_are_refused_and_nothing_is_written(
    tmp_path: Path, pieces: list[Columns]
) -> None:
    with (
        pytest.raises(DataError, match="ascending order, or an event was appended in two parts"),
        open_table(tmp_path / "a.parquet", TP_TABLE) as table,
    ):
        for piece in pieces:
            table.append(piece)
    assert list(tmp_path.iterdir()) == []


def test_columns_that_break_the_contract_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.parquet: 'channel' has dtype f8"):
        write_table(tmp_path / "a.parquet", rows(1) | {"channel": np.zeros(1)}, TP_TABLE)
    with pytest.raises(DataError, match=r"unknown keys \['cluster_id'\]"):
        write_table(tmp_path / "a.parquet", rows(1) | {"cluster_id": np.zeros(1, "i4")}, TP_TABLE)


def test_table_that_is_missing_or_broken_is_named(tmp_path: Path) -> None:
    for read in (lambda path: read_table(path, TP_TABLE), lambda path: list(iter_table(path, TP_TABLE)), read_sources):
        with pytest.raises(InputMissingError, match="no such file"):
            read(tmp_path / "nowhere.parquet")
        (tmp_path / "broken.parquet").write_bytes(b"PAR1 broken PAR1")
        with pytest.raises(DataError, match=r"broken\.parquet: not a readable parquet file"):
            read(tmp_path / "broken.parquet")


@pytest.mark.parametrize(("number", "kind"), [(errno.EIO, "file"), (errno.ESTALE, "file"), (errno.EINVAL, "content")])
def test_failing_disk_is_no_broken_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: str
) -> None:
    write_table(tmp_path / "a.parquet", rows(1), TP_TABLE)

    def fail(*_: object, **__: object) -> None:
        raise OSError(number, "seen by a test")

    monkeypatch.setattr(tables.pq.ParquetFile, "read", fail)
    if kind == "file":
        expected, text = InputMissingError, rf"a\.parquet: cannot be read \({re.escape(os.strerror(number))}\)"
    else:
        expected, text = DataError, "damaged or cut off: .*; run the stage that makes it again"
    with pytest.raises(expected, match=text):
        read_table(tmp_path / "a.parquet", TP_TABLE)


def test_lack_of_memory_is_no_broken_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_table(tmp_path / "a.parquet", rows(1), TP_TABLE)

    def fail(*_: object, **__: object) -> None:
        raise pa.ArrowMemoryError("malloc of size 64 failed")

    monkeypatch.setattr(tables.pq.ParquetFile, "read", fail)
    with pytest.raises(MemoryError):
        read_table(tmp_path / "a.parquet", TP_TABLE)


def test_truncated_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    write_table(path, rows(*range(1000)), TP_TABLE)
    whole = path.read_bytes()
    for share in (0.0, 0.3, 0.9, 0.999):
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(DataError, match="not a readable parquet file"):
            read_table(path, TP_TABLE)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"root\x00\x00\xf6\x14", "is a ROOT file; give the table of TPs that `snpoint match` makes"),
        (b"PK\x03\x04more", "is a ZIP archive, as NPZ files are; give the table of TPs that `snpoint match` makes"),
        (b"a,b\n1,2\n", r"not a readable parquet file \(text\); give the table of TPs"),
        (b"\x00\x01\x02", r"not a readable parquet file \(of an unknown kind\); give"),
        (b"", r"not a readable parquet file \(empty\); give"),
    ],
)
def test_file_of_another_kind_is_told_by_its_content_and_never_to_be_deleted(
    tmp_path: Path, content: bytes, text: str
) -> None:
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(DataError, match=text) as caught:
        read_table(tmp_path / "a.parquet", TP_TABLE)
    assert "delete" not in str(caught.value)
    with pytest.raises(DataError, match="`snpoint match` makes or of clusters that `snpoint cluster` makes"):
        read_sources(tmp_path / "a.parquet")


def test_clusters_and_tps_are_not_taken_for_each_other(tmp_path: Path) -> None:
    write_table(tmp_path / "tps.parquet", rows(1), TP_TABLE)
    with open_table(tmp_path / "clusters.parquet", CLUSTER_TABLE):
        pass
    with pytest.raises(DataError, match=r"this is a table of clusters; give the table of TPs that `snpoint match` mak"):
        read_table(tmp_path / "clusters.parquet", TP_TABLE)
    with pytest.raises(DataError, match=r"this is a table of TPs; give the table of clusters that `snpoint cluster` m"):
        read_table(tmp_path / "tps.parquet", CLUSTER_TABLE)


def test_table_of_another_kind_or_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.parquet"
    write_table(path, rows(1), TP_TABLE)
    with pytest.raises(DataError, match=r"missing columns \['odd'\]"):
        read_table(path, TP_TABLE | {"odd": TP_TABLE["channel"]})
    monkeypatch.setattr(tables, "FORMAT_VERSION", 1)
    with pytest.raises(DataError, match="format version 2, this snpoint reads 1"):
        read_table(path, TP_TABLE)
    pq.write_table(pq.read_table(path).replace_schema_metadata(), path)
    with pytest.raises(DataError, match="carries no format version"):
        read_table(path, TP_TABLE)


def test_event_in_two_row_groups_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    write_table(path, rows(1, 1, 2), TP_TABLE)
    metadata = {"snpoint": json.dumps({"format_version": tables.FORMAT_VERSION})}
    pq.write_table(pq.read_table(path).replace_schema_metadata(metadata), path, row_group_size=1)
    with pytest.raises(DataError, match="run 0, subrun 0, event 1 is not in one piece"):
        list(iter_table(path, TP_TABLE))


def test_event_in_two_files_is_named_with_both(tmp_path: Path) -> None:
    paths = [tmp_path / "a.root", tmp_path / "b.root"]
    check_distinct([np.array([1, 2], "u8"), np.array([3], "u8")], paths, "")
    uids = [np.array([1, 2], "u8"), np.array([2, 3], "u8")]
    with pytest.raises(DataError, match=r"b\.root: 1 events are there twice, such as .*event 2, also in a\.root; stop"):
        check_distinct(uids, paths, "stop")
    made_of = [["x.root"], ["1.root", "2.root", "3.root", "4.root"]]
    with pytest.raises(
        DataError,
        match=r"b\.root \(made of 1\.root, 2\.root, 3\.root and 1 more\): .*a\.root \(made of x\.root\); stop",
    ):
        check_distinct(uids, paths, "stop", made_of)


def test_event_that_is_twice_in_one_file_shows_by_its_copies(tmp_path: Path) -> None:
    def tps(*starts: tuple[int, int, int]) -> Columns:
        uid, time, channel = zip(*starts, strict=True)
        return {"event_uid": np.array(uid, "u8"), "time_start": np.array(time), "channel": np.array(channel)}

    check_single(tps((1, 0, 5), (1, 32, 5), (2, 32, 5)), tmp_path / "a.root")
    check_single(tps((1, 0, 5), (1, 0, 5), (1, 32, 5), (1, 64, 5)), tmp_path / "a.root")  # an odd TP, not an odd event
    with pytest.raises(DataError, match=r"a\.root: 1 events are there twice, such as run 0, subrun 0, event 2"):
        check_single(tps((1, 0, 5), (2, 0, 5), (2, 0, 5), (2, 0, 6), (2, 0, 6)), tmp_path / "a.root")
