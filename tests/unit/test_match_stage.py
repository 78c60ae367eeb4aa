"""The stage `match`: files in any state -> one table, or one clear error."""

from __future__ import annotations

import errno
import hashlib
import logging
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import toy_tpstream as toy
import uproot
import yaml

from snpoint.data import tpstream
from snpoint.data.tables import TP_TABLE, Columns, iter_table, read_sources, read_table
from snpoint.data.tpstream import BACKTRACKER, Trees, read_tpstream, write_tpstream
from snpoint.data.truthneeds import best_truth
from snpoint.errors import DataError, InputMissingError
from snpoint.settings import MatchSettings
from snpoint.stages import match as stage

DEFAULTS = yaml.safe_load((Path(__file__).parents[2] / "configs/samples/_base.yaml").read_text())["match"]
ES_SHA256 = "734c78ee9228da7ffbb6bfe4c4042f2a66f626ba0907a5b77edb7c349d45fd1c"
FAR = 1 << 41
"""Clock ticks: ten hours, as timestamps of a running experiment are larger than 32 bits."""


def matched(
    folder: Path,
    files: list[Path],
    background: list[Path] | None = None,
    tps_per_batch: int = stage.TPS_PER_BATCH,
    **changes: Any,
) -> Columns:
    settings = MatchSettings(**(DEFAULTS | changes))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage, "TPS_PER_BATCH", tps_per_batch)
        stage.run(settings, tpstream=files, tps=folder / "tps.parquet", background=background or [])
    return read_table(folder / "tps.parquet", TP_TABLE)


def sources(folder: Path) -> dict[str, Any]:
    return read_sources(folder / "tps.parquet")


def write(path: Path, *trees: Trees) -> Path:
    write_tpstream(path, toy.joined(*trees))
    return path


def broken(path: Path) -> Path:
    """A file that ends in the middle."""
    write(path, toy.event(99))
    path.write_bytes(path.read_bytes()[:2000])
    return path


def assert_equal(ours: Columns, theirs: Columns) -> None:
    for key, values in ours.items():
        np.testing.assert_array_equal(theirs[key], values, err_msg=key)


# --- real files --------------------------------------------------------------------------------------------------


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


# --- files in odd states -----------------------------------------------------------------------------------------


def test_file_without_events_gives_an_empty_table(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    trees = {tree: {key: values[:0] for key, values in content.items()} for tree, content in toy.event(1).items()}
    table = matched(tmp_path, [write(tmp_path / "empty.root", trees)])
    assert len(table["channel"]) == 0
    assert sources(tmp_path)["files"][0]["n_events"] == 0
    assert caplog.text == ""
    assert list(iter_table(tmp_path / "tps.parquet", TP_TABLE)) == []


def test_one_event_with_one_tp(tmp_path: Path) -> None:
    table = matched(tmp_path, [write(tmp_path / "one.root", toy.event(7, [1600], [64]))])
    assert {key: table[key].item() for key in ("run", "subrun", "event", "channel", "time_start", "is_signal")} == {
        "run": toy.RUN,
        "subrun": toy.SUBRUN,
        "event": 7,
        "channel": 1600,
        "time_start": 64,
        "is_signal": 1,
    }
    assert table["direction_z"].item() == 1.0
    assert table["energy_true_mev"].item() == pytest.approx(1e3 * toy.ENERGY_GEV - 0.511, abs=1e-3)


def test_runs_of_simulated_samples_are_large(tmp_path: Path) -> None:
    trees = toy.joined(toy.event(1), toy.event(2))
    for content in trees.values():
        content["Run"][:] = (1 << 20) - 1
    for tps_per_batch in (2, 1000):
        table = matched(tmp_path, [write(tmp_path / "a.root", trees)], tps_per_batch=tps_per_batch)
        assert table["event_uid"].tolist() == [(2**20 - 1 << 44) + (toy.SUBRUN << 32) + event for event in (1, 1, 2, 2)]


def test_first_and_last_channel_belong_to_the_first_and_last_apa(tmp_path: Path) -> None:
    table = matched(tmp_path, [write(tmp_path / "edges.root", toy.event(1, [10239, 0], [0, 0]))])
    assert table["channel"].tolist() == [0, 10239]
    assert (table["apa"].tolist(), table["plane"].tolist(), table["face"].tolist()) == ([0, 3], [0, 2], [0, 1])


def test_channel_beyond_the_last_is_of_another_detector(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"other\.root: channel 10240 is not one of .* 'match\.detector'"):
        matched(tmp_path, [write(tmp_path / "other.root", toy.event(1, [10240], [0]))])


@pytest.mark.parametrize("layout", ["1x2x2", "1x2x4", "ProtoDUNE", ""])
def test_tree_of_any_layout_is_read_and_noted(tmp_path: Path, layout: str) -> None:
    write_tpstream(tmp_path / "prod_es.root", toy.event(1), layout=layout)
    matched(tmp_path, [tmp_path / "prod_es.root"])
    (file,) = sources(tmp_path)["files"]
    assert (file["tree"], file["production"]) == (
        f"tpmakerTPC__TriggerAnaTree{layout}",
        f"prod_es{layout and ':'}{layout}:v1",
    )


def test_tree_of_an_arrangement_that_has_its_own_layout_needs_that_layout(tmp_path: Path) -> None:
    write_tpstream(tmp_path / "a.root", toy.event(1), layout="1x2x6")
    text = r"a\.root: its tree says 1x2x6, but match\.detector is 'fdhd_1x2x2'; set match\.detector: fdhd_1x2x6 \(and"
    with pytest.raises(DataError, match=text):
        matched(tmp_path, [tmp_path / "a.root"])
    assert len(matched(tmp_path, [tmp_path / "a.root"], detector="fdhd_1x2x6")["channel"]) == 2


@pytest.mark.parametrize(("given", "contradicted"), [("CC", False), ("ES", True), ("truth", False)])
def test_interaction_that_contradicts_the_truth_tables_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, given: str, contradicted: bool
) -> None:
    path = write(tmp_path / "a.root", toy.event(1), toy.event(2))  # no neutrino is left: CC
    table = matched(tmp_path, [path], interaction=given, tps_per_batch=2)
    assert set(table["interaction"]) == {1 if given == "ES" else 2}
    forced = sources(tmp_path)["files"][0].get("forced")
    assert forced == (None if given == "truth" else {"as": given, "ES": 0, "CC": 2})
    text = "match.interaction is 'ES', but by its truth tables 2 of 2 interactions are not"
    assert (text in caplog.text) is contradicted


def test_generator_without_a_name_is_no_neutrino(tmp_path: Path) -> None:
    trees = toy.event(1)
    trees["mctruths"]["generator_name"][:] = ""
    table = matched(tmp_path, [write(tmp_path / "unnamed.root", trees)])
    assert table["is_signal"].sum() == 0
    assert np.isnan(table["energy_true_mev"]).all()


def test_events_only_in_the_tps_or_only_in_the_truth(tmp_path: Path) -> None:
    trees = toy.joined(*(toy.event(number) for number in (1, 2, 3)))
    trees["tps"] = {key: values[2:] for key, values in trees["tps"].items()}  # event 1 has no TP
    for tree in ("mctruths", "mcparticles"):
        rows = trees[tree]["Event"] != 3  # event 3 has no truth
        trees[tree] = {key: values[rows] for key, values in trees[tree].items()}
    for tps_per_batch in (1, 1000):
        table = matched(tmp_path, [write(tmp_path / "a.root", trees)], tps_per_batch=tps_per_batch)
        assert table["event"].tolist() == [2, 2, 3, 3]
        assert table["is_signal"].tolist() == [1, 1, 0, 0]
        assert np.isnan(table["energy_true_mev"]).tolist() == [False, False, True, True]


@pytest.mark.parametrize("truth", ["backtracker", "simide", "predecessor"])
def test_data_have_no_truth_and_need_none(tmp_path: Path, caplog: pytest.LogCaptureFixture, truth: str) -> None:
    tps = toy.without(toy.event(1)["tps"], *BACKTRACKER)
    empty = {tree: {key: values[:0] for key, values in rows.items()} for tree, rows in toy.event_truth(1).items()}
    for trees in ({"tps": tps}, {"tps": tps} | empty):
        caplog.clear()
        table = matched(tmp_path, [write(tmp_path / "data.root", trees)], truth=truth)
        assert np.isnan(table["direction_x"]).all()
        assert set(table["interaction"]) == {255}
        assert f"holds no truth, although match.truth is '{truth}'; taken as data" in caplog.text
        assert sources(tmp_path)["truth"] == "none"


def test_best_truth_is_that_which_the_file_has(tmp_path: Path) -> None:
    trees = toy.event(1)
    plain = trees | {"tps": toy.without(trees["tps"], *BACKTRACKER)}
    bare = {"tps": plain["tps"], "mctruths": trees["mctruths"]}
    for content, best in ((trees, "backtracker"), (plain, "simide"), (bare, "none")):
        with tpstream.TpStream(write(tmp_path / "a.root", content)) as stream:
            assert best_truth(stream) == best


def test_truth_is_said_as_it_was_used_file_by_file(tmp_path: Path) -> None:
    data = write(tmp_path / "data.root", {"tps": toy.without(toy.event(2)["tps"], *BACKTRACKER)})
    empty = {tree: {key: values[:0] for key, values in content.items()} for tree, content in toy.event(1).items()}
    files = [write(tmp_path / "a.root", toy.event(1)), write(tmp_path / "empty.root", empty), data]
    matched(tmp_path, files[:2])
    assert sources(tmp_path)["truth"] == "backtracker"
    matched(tmp_path, files)
    assert sources(tmp_path)["truth"] == "backtracker, none"
    matched(tmp_path, files[1:2])
    assert "truth" not in sources(tmp_path)


def test_simulation_without_the_branches_of_its_truth_says_which_truth_it_has(tmp_path: Path) -> None:
    trees = toy.event(1)
    trees["tps"] = toy.without(trees["tps"], *BACKTRACKER)
    write(tmp_path / "old.root", trees)
    with pytest.raises(DataError, match=r"old\.root: match\.truth is 'backtracker', .*'tps\.bt_edep'.*truth: simide$"):
        matched(tmp_path, [tmp_path / "old.root"])
    del trees["simides"]
    write(tmp_path / "older.root", trees)
    with pytest.raises(DataError, match=r"older\.root: match\.truth is 'backtracker', .* use match\.truth: none$"):
        matched(tmp_path, [tmp_path / "older.root"])
    assert len(matched(tmp_path, [tmp_path / "older.root"], truth="none")["channel"]) == 2


@pytest.mark.parametrize("tree", ["missing", "empty"])
def test_simulation_without_deposits_has_the_backtracker(tmp_path: Path, tree: str) -> None:
    trees = toy.event(1)
    deposits = trees.pop("simides")
    if tree == "empty":
        trees["simides"] = {key: values[:0] for key, values in deposits.items()}
    write(tmp_path / "a.root", trees)
    with pytest.raises(DataError, match=r"no tree 'simides'; use match\.truth: backtracker$"):
        matched(tmp_path, [tmp_path / "a.root"], truth="simide")
    matched(tmp_path, [tmp_path / "a.root"])
    assert "comparison" not in sources(tmp_path)


@pytest.mark.parametrize("branch", ["Event", "channel", "time_start", "samples_over_threshold", "adc_integral"])
def test_missing_branch_of_the_tps_is_named(tmp_path: Path, branch: str) -> None:
    trees = toy.event(1)
    path = toy.write_raw(tmp_path / "a.root", trees | {"tps": toy.without(trees["tps"], branch)})
    with pytest.raises(DataError, match=rf"a\.root: tree '.*Tree1x2x2' has no branch \['{branch}'\]"):
        matched(tmp_path, [path])


def test_branches_that_no_method_needs_may_be_missing(tmp_path: Path) -> None:
    trees = toy.event(1)
    trees["tps"] = toy.without(trees["tps"], "version", "flag", "detid", "TPCSetID", "bt_primary_x", "readout_view")
    trees["mctruths"] = toy.without(trees["mctruths"], "process", "truth_track_id")
    trees["mcparticles"] = toy.without(trees["mcparticles"], "process", "generator_name", "edep")
    table = matched(tmp_path, [toy.write_raw(tmp_path / "prod_es.root", trees)])
    assert table["is_signal"].tolist() == [1, 1]
    assert sources(tmp_path)["files"][0]["production"] == "prod_es:1x2x2"


def test_event_that_is_twice_in_a_file_is_an_error(tmp_path: Path) -> None:
    for name, events in {"together": (1, 1, 2), "apart": (1, 2, 1)}.items():
        path = write(tmp_path / f"{name}.root", *(toy.event(number) for number in events))
        with pytest.raises(DataError, match=rf"{name}\.root: 1 events are there twice, such as .*event 1"):
            matched(tmp_path, [path])


def test_file_listed_twice_is_an_error_and_writes_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "a.root", toy.event(1))
    with pytest.raises(DataError, match="list each file once"):
        matched(tmp_path, [path, path])
    with pytest.raises(DataError, match="list each file once"):
        matched(tmp_path, [path], [path, path])
    copy = write(tmp_path / "copy.root", toy.event(1))
    with pytest.raises(DataError, match=r"also in a\.root; .* exclude: of the sample"):
        matched(tmp_path, [path, copy])
    copy.unlink()
    assert [file.name for file in tmp_path.iterdir()] == ["a.root"]


def test_file_that_is_not_the_one_meant_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.root", toy.event(1))
    with pytest.raises(DataError, match=r"a\.root: sha256 is .* match\.sha256 names 0000"):
        matched(tmp_path, [path], sha256={"a.root": "0" * 64})


def test_checksum_is_that_of_the_file_at_the_end_of_the_path(tmp_path: Path) -> None:
    files = [write(tmp_path / f"run{number}" / "a_tpstream.root", toy.event(number)) for number in (1, 2)]
    first, second = (hashlib.sha256(path.read_bytes()).hexdigest() for path in files)
    ends = [f"run{number}/a_tpstream.root" for number in (1, 2)]
    matched(tmp_path, files, sha256={ends[0]: first, ends[1]: second})
    with pytest.raises(DataError, match=rf"run1/a_tpstream\.root: sha256 is {first}, but match\.sha256 names {second}"):
        matched(tmp_path, files, sha256={ends[0]: second, ends[1]: second})


def test_checksum_of_a_file_is_not_that_of_a_background_file_of_its_name(tmp_path: Path) -> None:
    files = [write(tmp_path / folder / "a.root", toy.event(number)) for number, folder in enumerate(("es", "bg"), 1)]
    own, other = (hashlib.sha256(path.read_bytes()).hexdigest() for path in files)
    matched(tmp_path, files[:1], files[1:], sha256={"a.root": own})
    matched(tmp_path, files[:1], files[1:], sha256={"a.root": own, "bg/a.root": other})
    with pytest.raises(DataError, match=r"bg/a\.root: sha256 is"):
        matched(tmp_path, files[:1], files[1:], sha256={"a.root": own, "bg/a.root": own})


def test_declared_productions_are_noted_for_the_files_and_for_the_background(tmp_path: Path) -> None:
    files = [write(tmp_path / f"{name}.root", toy.event(number)) for number, name in enumerate(("es", "bg"), 1)]
    for background, tag in ((None, "bg:1x2x2:v1"), ("stand_in:pool", "stand_in:pool")):
        matched(tmp_path, files[:1], files[1:], production="es, autumn", background_production=background)
        found = sources(tmp_path)
        assert [found[kind][0]["production"] for kind in ("files", "background")] == ["es, autumn", tag]


# --- broken files ------------------------------------------------------------------------------------------------


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
