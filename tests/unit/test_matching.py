"""Truth of TPs: joined by track, block and event; ES and CC told apart by the truth tables."""

import numpy as np
import pytest
from toy_matching import joined, match_settings, shuffled, tiled, toy_trees

from snpoint.data.tables import TP_TABLE
from snpoint.data.tpstream import read_tpstream
from snpoint.physics.constants import BACKGROUND, CC, ES, UNKNOWN
from snpoint.physics.geometry import load_detector
from snpoint.physics.matching import UnmatchableError, compare, match
from snpoint.physics.matching_rows import event_uid

DETECTOR = load_detector("fdhd_1x2x2")
METHODS = ("backtracker", "simide", "predecessor", "none")


def read(real_data, name):
    return read_tpstream(real_data / f"test_{name}_tpstream.root")


def matched(trees, **changes):
    return match(trees, DETECTOR, settings=match_settings(**changes))


def assert_same(ours, theirs):
    assert set(ours) == set(theirs)
    for key, values in ours.items():
        np.testing.assert_array_equal(theirs[key], values, err_msg=key)


@pytest.mark.parametrize(
    ("name", "kind", "electron_mev", "neutrino_mev", "signal"),
    [("es", ES, 13.882, 32.229, 251), ("cc", CC, 26.095, 34.505, 2609)],
)
def test_real_events_have_their_documented_truth(real_data, name, kind, electron_mev, neutrino_mev, signal):
    table = matched(read(real_data, name))
    _, first = np.unique(table["event_uid"], return_index=True)
    assert set(table["interaction"]) == {kind}
    assert table["energy_true_mev"][first].mean() == pytest.approx(electron_mev, abs=0.002)
    assert table["neutrino_energy_mev"][first].mean() == pytest.approx(neutrino_mev, abs=0.002)
    assert table["is_signal"].sum() == (table["track_id"] != 0).sum() == signal


def test_electrons_of_es_follow_the_neutrino(real_data):
    table = matched(read(real_data, "es"))
    _, first = np.unique(table["event_uid"], return_index=True)
    cosine = sum(table[f"direction_{a}"][first] * table[f"neutrino_direction_{a}"][first] for a in "xyz")
    assert cosine.mean() == pytest.approx(0.979, abs=0.002)


def test_side_of_signal_is_the_face_of_its_channel(real_data):
    table = matched(read(real_data, "es"))
    rows = (table["plane"] == 2) & (table["is_signal"] == 1)
    np.testing.assert_array_equal(np.sign(table["x_cm"][rows]), table["face"][rows])


def test_particles_of_es_are_electrons_and_of_cc_gammas_and_nuclei_too(real_data):
    for name, particles in (("es", {0, 11}), ("cc", {0, 11, 22, 2212, 1000190390, 1000190400})):
        table = matched(read(real_data, name))
        assert set(table["pdg"].tolist()) == particles
        assert ((table["pdg"] != 0) == (table["track_id"] != 0)).all()


@pytest.mark.parametrize("method", METHODS)
def test_table_is_sorted_and_complete(real_data, method):
    trees = read(real_data, "es")
    table = matched(trees, truth=method)
    assert set(table) == set(TP_TABLE)
    assert {key: values.dtype for key, values in table.items()} == {
        key: np.dtype(array.dtype) for key, array in TP_TABLE.items()
    }
    keys = list(zip(*(table[key].tolist() for key in ("event_uid", "time_start", "channel")), strict=True))
    assert keys == sorted(keys)
    rows = trees["tps"]["samples_over_threshold"] >= (2 if method == "predecessor" else 0)
    assert table["adc_integral"].sum() == trees["tps"]["adc_integral"][rows].sum()
    assert not table["is_overlay"].any()
    assert not table["background_uid"].any()


@pytest.mark.parametrize("method", METHODS)
def test_order_of_the_file_does_not_matter(real_data, method):
    trees = read(real_data, "es")
    assert_same(matched(trees, truth=method), matched(shuffled(trees, 3), truth=method))


@pytest.mark.parametrize("method", METHODS)
def test_other_events_of_the_file_do_not_matter(real_data, method):
    trees = read(real_data, "es")
    alone, among = matched(trees, truth=method), matched(tiled(trees, 3), truth=method)
    copy = among["event"] >= 14651
    for key in set(alone) - {"event", "event_uid"}:
        np.testing.assert_array_equal(among[key][copy], alone[key], err_msg=key)


def test_background_block_is_no_signal(real_data):
    trees = read(real_data, "es")
    # The second particle of the first event, which makes its TPs, now comes from a radiological block.
    trees["mcparticles"]["truth_block_id"][1] = 1
    radiological = {key: values[:1].copy() for key, values in trees["mctruths"].items()}
    radiological |= {"generator_name": np.array(["Ar39GenInLAr"]), "block_id": np.array([1]), "pdg": np.array([11])}
    radiological["status_code"] = np.array([1])
    trees["mctruths"] = {key: np.concatenate([radiological[key], values]) for key, values in trees["mctruths"].items()}
    table = matched(trees)
    first = table["event"] == 12651
    assert table["is_signal"][first].sum() == 0
    assert (table["track_id"][first] != 0).sum() > 0
    assert table["energy_true_mev"][first][0] == pytest.approx(13.673 - 0.511, abs=0.001)


def test_generator_name_counts_in_any_case(real_data):
    trees = read(real_data, "es")
    trees["mctruths"]["generator_name"] = np.full(40, "MARLEY")
    assert matched(trees)["is_signal"].sum() == 251


def test_interaction_can_be_given(real_data):
    assert set(matched(read(real_data, "es"), interaction="CC")["interaction"]) == {CC}


def test_event_of_background_alone_is_background():
    trees = joined(toy_trees([(5, 10, 4)], [], event=1), toy_trees([(5, 10, 4)], [], event=2))
    of_second = (trees["mctruths"]["Event"] == 2) & (trees["mctruths"]["block_id"] == 0)
    trees["mctruths"] = {key: values[~of_second] for key, values in trees["mctruths"].items()}
    table = matched(trees, truth="simide")
    assert table["interaction"].tolist() == [ES, BACKGROUND]
    assert np.isfinite(table["energy_true_mev"]).tolist() == [True, False]


def test_event_that_the_truth_trees_do_not_know_is_unknown():
    trees = joined(toy_trees([(5, 10, 4)], [(5, 20, 1e4, 2)], event=1), toy_trees([(5, 10, 4)], [], event=2))
    for tree in ("mctruths", "mcparticles"):
        trees[tree] = {key: values[trees[tree]["Event"] == 1] for key, values in trees[tree].items()}
    for method in ("simide", "predecessor"):
        table = matched(trees, truth=method)
        assert table["interaction"].tolist() == [ES, UNKNOWN]
        assert table["is_signal"].tolist() == [1, 0]


def test_truth_of_events_without_tps_is_left_out():
    both = joined(toy_trees([(5, 10, 4)], [(5, 20, 1e4, 2)]), toy_trees([], [(5, 20, 1e4, 2)], event=2))
    for method in ("simide", "predecessor"):
        assert_same(matched(toy_trees([(5, 10, 4)], [(5, 20, 1e4, 2)]), truth=method), matched(both, truth=method))


def test_without_truth_everything_is_unknown(real_data):
    table = matched({"tps": read(real_data, "es")["tps"]}, truth="none")
    assert set(table["interaction"]) == {UNKNOWN}
    assert np.isnan(table["direction_x"]).all()
    assert np.isnan(table["energy_true_mev"]).all()
    assert table["is_signal"].sum() == 0


@pytest.mark.parametrize("method", METHODS)
def test_file_without_events_gives_an_empty_table(real_data, method):
    trees = {
        tree: {key: values[:0] for key, values in content.items()} for tree, content in read(real_data, "es").items()
    }
    table = matched(trees, truth=method)
    assert set(table) == set(TP_TABLE)
    assert {len(values) for values in table.values()} == {0}


@pytest.mark.parametrize("method", METHODS)
def test_absolute_times_stay_what_they_are(real_data, method):
    trees = read(real_data, "es")
    shift = np.uint64((1 << 45) + 7)
    plain = matched(trees, truth=method)
    trees["tps"]["time_start"] = trees["tps"]["time_start"] + shift
    late = matched(trees, truth=method)
    np.testing.assert_array_equal(late["time_start"] - np.int64(shift), plain["time_start"])
    # Deposits count their ticks in 16 bits: no method that uses them finds anything there.
    expected = plain["is_signal"].sum() if method == "backtracker" else 0
    assert late["is_signal"].sum() == expected


@pytest.mark.parametrize("tree", ["tps", "simides"])
def test_channel_of_another_detector_is_refused(tree):
    trees = toy_trees([(0, 10, 4), (10239, 10, 4)], [(0, 20, 1e4, 2), (10239, 10, 1e4, 2)])
    assert matched(trees, truth="simide")["apa"].tolist() == [0, 3]
    trees[tree]["channel"][1] += 1
    with pytest.raises(UnmatchableError, match=r"10240 is not one of the 10240 of 'fdhd_1x2x2'"):
        matched(trees, truth="simide")


def test_event_number_holds_run_and_subrun():
    assert event_uid([3], [2], [1]).tolist() == [3 << 44 | 2 << 32 | 1]
    with pytest.raises(UnmatchableError, match="too large"):
        event_uid([1 << 20], [0], [0])


def test_events_are_told_apart_by_run_and_subrun():
    first, second = (toy_trees([(5, 10, 4)], [(5, 20, 1e4, 2)]) for _ in range(2))
    for content in first.values():
        content["Run"] += 1
    table = matched(joined(first, second), truth="simide")
    assert table["run"].tolist() == [1, 2]
    assert table["n_electrons"].tolist() == [1e4, 1e4]


def test_methods_are_compared_with_the_upstream_backtracking(real_data):
    counts = compare(read(real_data, "es"), DETECTOR, match_settings())
    assert {plane: found["bt"] for plane, found in counts["simide"].items()} == {"U": 85, "V": 67, "X": 80}
    # The predecessor loses the 12 TPs of APA 0 in events that have deposits elsewhere too, and finds one of noise.
    own = counts["predecessor"].values()
    assert [sum(found[key] for found in own) for key in ("bt", "found", "both")] == [232, 221, 220]
