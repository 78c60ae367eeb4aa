"""What a result was made from: tags of productions, records of files, and their sums."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snpoint.data.sources import (
    add_counts,
    add_lowest_adc,
    check_sha256,
    file_record,
    merge_sources,
    production_tag,
)
from snpoint.errors import DataError, InputMissingError

NAME = "prodmarley_nue_flat_es_dune10kt_1x2x2_20251110T123456Z_gen_000017_20251111T010203Z_g4_tpstream.root"


@pytest.mark.parametrize(
    ("path", "tag"),
    [
        (NAME, "prodmarley_nue_flat_es_dune10kt_1x2x2_gen_g4"),
        (
            NAME.replace("000017", "004000").replace("T123456Z", "T000000Z"),
            "prodmarley_nue_flat_es_dune10kt_1x2x2_gen_g4",
        ),
        (NAME.replace("_es_", "_cc_"), "prodmarley_nue_flat_cc_dune10kt_1x2x2_gen_g4"),
        ("prod-es__20251110_123456.run8106.root", "prod_es_run"),
        ("prod_es_1f0e2d3c-aaaa-bbbb-cccc-0123456789ab_tpstream.root", "prod_es"),
        ("0000.root", "unnamed"),
        ("0017_tpstream.root", "unnamed"),
        ("20251110T123456Z.root", "unnamed"),
    ],
)
def test_tag_is_the_name_without_what_differs_between_files_of_a_production(path: str, tag: str) -> None:
    assert production_tag(path) == tag


@given(run=st.integers(0, 10**9), number=st.integers(0, 10**6), moment=st.datetimes(datetime(2001, 1, 1)))
def test_number_and_time_of_a_file_are_not_part_of_the_tag(run: int, number: int, moment: datetime) -> None:
    name = f"prod_es_1x2x2_{moment:%Y%m%dT%H%M%S}Z_gen_{number:06d}_run{run:05d}_tpstream.root"
    assert production_tag(name) == "prod_es_1x2x2_gen_run"


@pytest.mark.parametrize(
    "folder",
    [
        *("nov10", "prod_nov11", "2025-11-10", "20251110", "es_Nov10_v2", "10nov", "2025-11", "prod_es_nov11"),
        *("nov_2025", "2025nov", "10nov2025", "v2", "prod_v2", "v10_04_00", "prod_20251110T123456Z"),
    ],
)
def test_folder_with_a_date_is_part_of_the_tag(folder: str) -> None:
    assert production_tag(f"/eos/{folder}/prod_es_000001_tpstream.root") == f"{folder}/prod_es"


@pytest.mark.parametrize("below", ["000", "run8106/000", "a/b/c"])
def test_folder_with_a_date_need_not_be_the_direct_parent(below: str) -> None:
    assert production_tag(f"/eos/prod_es/nov10/{below}/{NAME}").startswith("nov10/prodmarley")


def test_date_counts_beside_a_version_that_is_nearer() -> None:
    tags = [production_tag(f"/eos/{folder}/v2/000/prod_es.root") for folder in ("nov10", "nov11")]
    assert tags == ["nov10/v2/prod_es", "nov11/v2/prod_es"]


@pytest.mark.parametrize(
    "folder",
    [
        *("data", "decay10", "es", "novel", "v2025", "000", "run8106", "8106", "20259999", "2025", "1x2x2", "dev2"),
        *("pytest-of-root/pytest-123/test_files0", "tmpab12cd", "may", "nov", "v", "123456", "maybe3", "x_v2b"),
    ],
)
def test_folder_without_a_date_is_not(folder: str) -> None:
    assert production_tag(f"/eos/{folder}/prod_es_000001_tpstream.root") == "prod_es"


def test_same_name_in_folders_of_two_productions_is_two_productions() -> None:
    tags = {production_tag(f"/eos/{folder}/{NAME}", None, "1x2x2", 1) for folder in ("nov10", "nov11")}
    assert len(tags) == 2


def test_layout_and_version_are_part_of_the_tag() -> None:
    assert production_tag("prod_es.root", None, "1x2x6", 2) == "prod_es:1x2x6:v2"


def test_declared_tag_is_taken_as_it_is() -> None:
    assert production_tag("/eos/nov10/prod_es.root", "es, autumn", "1x2x2", 1) == "es, autumn"


def test_record_of_a_file_holds_its_checksum(tmp_path: Path) -> None:
    (tmp_path / "a.root").write_bytes(b"abc")
    record = file_record(tmp_path / "a.root")
    assert (record["name"], record["size"], record["problem"]) == ("a.root", 3, None)
    assert record["sha256"].startswith("ba7816bf")
    check_sha256(tmp_path / "a.root", record["sha256"], {"other.root": "0"})
    check_sha256(tmp_path / "a.root", record["sha256"], {"a.root": record["sha256"].upper()})
    with pytest.raises(DataError, match=r"a\.root: sha256 is ba7816bf.* names 00"):
        check_sha256(tmp_path / "a.root", record["sha256"], {"a.root": "00"})
    with pytest.raises(InputMissingError, match=r"nowhere\.root"):
        file_record(tmp_path / "nowhere.root")


def test_checksum_belongs_to_whole_components_at_the_end_of_a_path(tmp_path: Path) -> None:
    path = tmp_path / "run1" / "a.root"
    for end in ("a.root", "run1/a.root", f"{tmp_path.name}/run1/a.root", str(path)):
        with pytest.raises(DataError, match="names 00"):
            check_sha256(path, "11", {end: "00"})
    for end in ("b.root", "run2/a.root", "n1/a.root", "oot", "run1", "/run1/a.root", ""):
        check_sha256(path, "11", {end: "00"})
    check_sha256(path, "11", {"a.root": "00", "run1/a.root": "11"})


def test_relative_path_is_known_by_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run1").mkdir()
    monkeypatch.chdir(tmp_path / "run1")
    with pytest.raises(DataError, match="names 00"):
        check_sha256(Path("a.root"), "11", {"run1/a.root": "00"})


def test_lowest_peak_is_kept_over_batches_and_unknown_where_a_plane_has_no_tp(tmp_path: Path) -> None:
    (tmp_path / "a.root").touch()
    record = file_record(tmp_path / "a.root")
    add_lowest_adc(record, np.array([0, 0, 2], np.uint8), np.array([75, 71, 61], np.uint16))
    add_lowest_adc(record, np.array([0, 2], np.uint8), np.array([73, 60], np.uint16))
    assert record["lowest_adc_peak"] == {"U": 71, "V": None, "X": 60}


def test_counts_are_added_key_by_key() -> None:
    total = {"simide": {"U": {"bt": 1}}}
    assert add_counts(total, {"simide": {"U": {"bt": 2}, "V": {"bt": 3}}, "n": 1}) == {
        "simide": {"U": {"bt": 3}, "V": {"bt": 3}},
        "n": 1,
    }
    assert total == {"simide": {"U": {"bt": 1}}}, "the first is left as it is"


def test_sources_of_several_tables_are_joined() -> None:
    first = {"files": [{"name": "a"}], "background": [], "truth": "backtracker", "overlay": {"events": 2}}
    second = {"files": [{"name": "b"}], "background": [{"name": "c"}], "truth": "backtracker", "overlay": {"events": 3}}
    merged = merge_sources([first, second, {"files": [], "background": [], "truth": "none"}])
    assert [file["name"] for file in merged["files"]] == ["a", "b"]
    assert [file["name"] for file in merged["background"]] == ["c"]
    assert merged["overlay"] == {"events": 5}
    assert merged["truth"] == "backtracker, none"
    assert merge_sources([merged, first, {"files": []}])["truth"] == "backtracker, none"
    assert "comparison" not in merged
    assert merge_sources([]) == {"files": [], "background": [], "truth": "none"}
