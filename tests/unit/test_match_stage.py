"""The stage `match` on the real files: order, batches, sources, background laid over."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import toy_tpstream as toy
from toy_match_stage import ES_SHA256, FAR, assert_equal, matched, sources, write

from snpoint.data.tpstream import read_tpstream, write_tpstream
from snpoint.errors import DataError
from snpoint.stages import match as stage


@pytest.fixture(scope="module")
def real_files(real_data: Path) -> list[Path]:
    return [real_data / "test_cc_tpstream.root", real_data / "test_es_tpstream.root"]


def test_table_holds_all_files_in_the_order_of_the_events(real_files: list[Path], tmp_path: Path) -> None:
    table = matched(tmp_path, real_files)
    assert len(table["event"]) == 12782 + 66254
    assert table["is_signal"].sum() == 251 + 2609
    keys = np.stack([table[key].astype(np.int64) for key in ("event_uid", "time_start", "channel")])
    assert (np.lexsort(keys[::-1]) == np.arange(keys.shape[1])).all()


def test_sources_describe_the_files(real_files: list[Path], tmp_path: Path) -> None:
    matched(tmp_path, real_files)
    found = sources(tmp_path)
    assert found["files"][1] == {
        "name": "test_es_tpstream.root",
        "sha256": ES_SHA256,
        "size": 259437,
        "production": "test_es:1x2x2:v1",
        "tree": "tpmakerTPC__TriggerAnaTree1x2x2",
        "n_events": 10,
        "n_tps": 12782,
        "lowest_adc_peak": {"U": 71, "V": 71, "X": 61},
        "problem": None,
    }
    assert found["background"] == []
    assert found["truth"] == "backtracker"
    assert "overlay" not in found
    planes = found["comparison"]["simide"]
    assert sum(planes[plane]["bt"] for plane in "UVX") == 232 + 2458
    for plane in "UVX":
        assert planes[plane]["both"] > 0.98 * max(planes[plane]["bt"], planes[plane]["found"])


def test_size_of_the_batches_changes_nothing(real_files: list[Path], tmp_path: Path) -> None:
    (tmp_path / "small").mkdir()
    whole = matched(tmp_path, real_files)
    small = matched(tmp_path / "small", real_files, tps_per_batch=5000)
    assert_equal(whole, small)
    assert sources(tmp_path) == sources(tmp_path / "small")


@pytest.mark.parametrize("truth", ["simide", "predecessor"])
def test_size_of_the_batches_changes_nothing_by_other_methods(
    real_files: list[Path], tmp_path: Path, truth: str
) -> None:
    (tmp_path / "small").mkdir()
    whole = matched(tmp_path, real_files[1:], truth=truth)
    assert_equal(whole, matched(tmp_path / "small", real_files[1:], truth=truth, tps_per_batch=1))
    assert whole["is_signal"].sum() > 200


def test_rows_of_the_trees_may_be_in_any_order(real_files: list[Path], tmp_path: Path) -> None:
    trees = read_tpstream(real_files[1])
    rng = np.random.default_rng(3)
    for tree in ("tps", "mcparticles", "simides"):
        order = rng.permutation(len(trees[tree]["Event"]))
        trees[tree] = {key: values[order] for key, values in trees[tree].items()}
    write_tpstream(tmp_path / "shuffled.root", trees)
    whole = matched(tmp_path, real_files[1:])
    assert_equal(whole, matched(tmp_path, [tmp_path / "shuffled.root"], tps_per_batch=2000))


def test_absolute_times_keep_the_truth_of_the_backtracker(real_files: list[Path], tmp_path: Path) -> None:
    trees = read_tpstream(real_files[1])
    trees["tps"]["time_start"] += np.uint64(FAR)
    write_tpstream(tmp_path / "far.root", trees)
    near, far = matched(tmp_path, real_files[1:]), matched(tmp_path, [tmp_path / "far.root"])
    assert (far.pop("time_start") - near.pop("time_start") == FAR).all()
    assert_equal(near, far)


def test_absolute_times_have_no_deposits_to_be_compared_with(
    real_files: list[Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trees = read_tpstream(real_files[1])
    trees["tps"]["time_start"] += np.uint64(FAR)
    write_tpstream(tmp_path / "far.root", trees)
    for truth in ("simide", "predecessor"):
        caplog.clear()
        assert matched(tmp_path, [tmp_path / "far.root"], truth=truth)["is_signal"].sum() == 0
        assert f"match.truth '{truth}' finds nothing; use backtracker" in caplog.text


def test_background_lies_over_events_without_changing_them(real_files: list[Path], tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    plain = matched(tmp_path / "plain", real_files[1:])
    table = matched(tmp_path, real_files[1:], background=real_files[:1])
    own = table["is_overlay"] == 0
    for key, values in plain.items():
        if not key.startswith("background_"):
            np.testing.assert_array_equal(table[key][own], values, err_msg=key)
    assert (table["track_id"][~own] != 0).all(), "noise is not doubled"
    assert table["is_signal"][~own].sum() == 0
    pairs = np.unique(np.stack([table["event_uid"], table["background_uid"]]), axis=1)
    assert len(set(pairs[1])) == pairs.shape[1] == 10, "a background event for each, none twice"
    counts = sources(tmp_path)["overlay"]
    assert counts | {"noise_tps_dropped": 0} == {
        "events": 10,
        "with_background": 10,
        "pool_events": 50,
        "pool_duplicates": 0,
        "noise_tps_dropped": 0,
    }
    assert counts["noise_tps_dropped"] > 1000 * 10
    assert [file["name"] for file in sources(tmp_path)["background"]] == ["test_cc_tpstream.root"]


def test_overlay_is_the_same_for_any_size_of_the_batches(real_files: list[Path], tmp_path: Path) -> None:
    (tmp_path / "small").mkdir()
    whole = matched(tmp_path, real_files[1:], real_files[:1])
    assert_equal(whole, matched(tmp_path / "small", real_files[1:], real_files[:1], tps_per_batch=3000))
    assert sources(tmp_path) == sources(tmp_path / "small")


def test_too_few_background_events_are_an_error_unless_allowed(real_files: list[Path], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"50 events but only 10 .* match\.overlay\.shortage: leave"):
        matched(tmp_path, real_files[:1], real_files[1:])
    assert list(tmp_path.iterdir()) == []
    table = matched(tmp_path, real_files[:1], real_files[1:], overlay={"seed": 1, "noise": "drop", "shortage": "leave"})
    assert len(np.unique(table["event_uid"][table["background_uid"] != 0])) == 10
    assert sources(tmp_path)["overlay"]["with_background"] == 10


def test_background_in_memory_is_without_its_noise(
    real_files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pools: list[stage.Pool] = []
    joined = stage.Pool.joined

    def noted(parts: list[stage.Pool]) -> stage.Pool:
        pools.extend(parts)
        return joined(parts)

    monkeypatch.setattr(stage.Pool, "joined", noted)
    matched(tmp_path, real_files[1:], real_files[:1], tps_per_batch=5000)
    assert len(pools) > 10
    assert sum(len(pool.tps["track_id"]) for pool in pools) == 2609
    assert sum(int(pool.n_noise.sum()) for pool in pools) == 66254 - 2609
    assert set(pools[1].tps).isdisjoint({"direction_x", "run"})


def test_event_does_not_lie_over_itself(real_files: list[Path], tmp_path: Path) -> None:
    es = real_files[1]
    with pytest.raises(DataError, match=r"is given as background, but is the same file as"):
        matched(tmp_path, [es], [es])
    trees = read_tpstream(es)
    first = {
        tree: {key: values[content["Event"] == trees["tps"]["Event"][0]] for key, values in content.items()}
        for tree, content in trees.items()
    }
    write_tpstream(tmp_path / "first.root", first)
    write_tpstream(tmp_path / "again.root", first | {"simides": trees["simides"]})
    with pytest.raises(DataError, match=r"background: 1 events lie over themselves, such as run 8106, subrun 0, event"):
        matched(tmp_path, [tmp_path / "first.root"], [tmp_path / "again.root"])
    other = read_tpstream(real_files[0])
    one = {tree: content["Event"] == other["tps"]["Event"][0] for tree, content in other.items()}
    namesake = {tree: {key: values[one[tree]] for key, values in content.items()} for tree, content in other.items()}
    for content in namesake.values():
        content["Run"][:], content["Event"][:] = 8106, trees["tps"]["Event"][0]
    write_tpstream(tmp_path / "namesake.root", namesake)
    table = matched(tmp_path, [tmp_path / "first.root"], [tmp_path / "namesake.root"])
    assert table["is_overlay"].any(), "another event of the same number is no copy"


def test_overlay_says_how_many_events_it_covers(
    real_files: list[Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    leave = {"seed": 1, "noise": "drop", "shortage": "leave"}
    for files, background, level, text in (
        (real_files[1:], real_files[:1], "INFO", "background over 10 of 10 events"),
        (real_files[:1], real_files[1:], "WARNING", "background over 10 of 50 events"),
    ):
        caplog.clear()
        matched(tmp_path, files, background, overlay=leave)
        assert [record.levelname for record in caplog.records if record.message.startswith(text)] == [level]
    caplog.clear()
    nothing = {tree: {key: values[:0] for key, values in rows.items()} for tree, rows in toy.event(9).items()}
    write(tmp_path / "nothing.root", nothing)
    matched(tmp_path, real_files[1:], [tmp_path / "nothing.root"], overlay=leave)
    assert "background over 0 of 10 events (0 TPs; 0 events in the background files)" in caplog.text


def test_tps_that_the_rule_of_the_predecessor_drops_are_counted(
    real_files: list[Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    n = len(matched(tmp_path, real_files[1:], truth="predecessor", compare=False)["channel"])
    assert f"{n} of 12782 TPs are kept, 'predecessor' drops those of one sample" in caplog.text
    assert f" of {n} TPs (" in caplog.text
