"""The stage `match`: files in odd states give a right table, or one clear error."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import toy_tpstream as toy
from toy_match_stage import matched, sources, write

from snpoint.data import tpstream
from snpoint.data.tables import TP_TABLE, iter_table
from snpoint.data.tpstream import BACKTRACKER, write_tpstream
from snpoint.data.truthneeds import best_truth
from snpoint.errors import DataError


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
