"""Truth by energy deposits: by channel and time, every deposit once, the particle with the largest share."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from toy_matching import ELECTRON, GAMMA, RADIOLOGICAL, match_settings, simide_matching, toy_trees

from snpoint.data.tpstream import read_tpstream
from snpoint.physics.geometry import load_detector
from snpoint.physics.matching import compare, match

DETECTOR = load_detector("fdhd_1x2x2")
NO_OFFSET = {"U": 0.0, "V": 0.0, "X": 0.0}
U, V, X = 5, 805, 1605


def matched(tps, deposits, **window):
    settings = match_settings(truth="simide", simide=simide_matching(offset_ticks=NO_OFFSET) | window)
    return match(toy_trees(tps, deposits), DETECTOR, settings=settings)


@pytest.mark.parametrize("name", ["es", "cc"])
def test_real_tps_get_the_truth_of_the_upstream_backtracking(real_data, name):
    trees = read_tpstream(real_data / f"test_{name}_tpstream.root")
    upstream = match(trees, DETECTOR, settings=match_settings())
    ours = match(trees, DETECTOR, settings=match_settings(truth="simide"))
    for key in ("track_id", "pdg", "is_signal"):
        np.testing.assert_array_equal(ours[key], upstream[key], err_msg=key)
    for key in ("edep_mev", "n_electrons", "x_cm", "y_cm", "z_cm"):
        np.testing.assert_allclose(ours[key], upstream[key], rtol=1e-5, atol=1e-4, err_msg=key)


@pytest.mark.parametrize("name", ["es", "cc"])
def test_a_window_that_is_only_guessed_is_still_efficient_and_pure(real_data, name):
    trees = read_tpstream(real_data / f"test_{name}_tpstream.root")
    guess = simide_matching(before_ticks=6.0, after_ticks=6.0, offset_ticks=NO_OFFSET, min_fraction=0.3)
    for plane, found in compare(trees, DETECTOR, match_settings(simide=guess))["simide"].items():
        assert found["both"] >= 0.98 * found["bt"], plane
        assert found["both"] >= 0.95 * found["found"], plane


def test_deposits_in_the_interval_count_and_no_others():
    inside, outside = [(U, 8, 100, 2), (U, 24, 200, 2)], [(U, 7, 1, 2), (U, 25, 1, 2), (U + 1, 15, 1, 2)]
    table = matched([(U, 10, 10)], inside + outside, before_ticks=2.0, after_ticks=4.0)
    assert table["n_electrons"].tolist() == [300]
    assert table["edep_mev"][0] == pytest.approx(0.3)


def test_offset_of_the_plane_is_subtracted_from_the_times_of_tps():
    deposits = [(channel, 30, 100, ELECTRON) for channel in (U, V, X)]
    shift = {"U": -20.0, "V": 0.0, "X": 20.0}
    table = matched([(U, 10, 4), (V, 28, 4), (X, 48, 4), (X, 30, 4)], deposits, offset_ticks=shift)
    assert table["plane"].tolist() == [0, 1, 2, 2]
    assert (table["time_start"] // 32).tolist() == [10, 28, 30, 48]
    assert table["n_electrons"].tolist() == [100, 100, 0, 100]


def test_deposit_in_reach_of_two_tps_goes_to_the_nearer_one():
    deposits = [(U, 13, 1, 2), (U, 17, 10, 2), (U, 15, 100, 2)]
    table = matched([(U, 8, 4), (U, 18, 4)], deposits, before_ticks=9.0, after_ticks=9.0)
    assert table["n_electrons"].tolist() == [101, 10]


def test_deposit_goes_to_the_tp_whose_interval_holds_it():
    table = matched([(U, 8, 4), (U, 13, 4)], [(U, 13, 1, 2)], before_ticks=5.0, after_ticks=5.0)
    assert table["n_electrons"].tolist() == [0, 1]


def test_one_tp_out_of_reach_does_not_take_the_deposit_from_the_other():
    tps = [(U, 8, 4), (U, 18, 4)]
    assert matched(tps, [(U, 14, 1, 2)], before_ticks=5.0, after_ticks=0.0)["n_electrons"].tolist() == [0, 1]
    assert matched(tps, [(U, 16, 1, 2)], before_ticks=0.0, after_ticks=5.0)["n_electrons"].tolist() == [1, 0]


def test_track_with_most_charge_is_the_track_of_the_tp():
    table = matched([(U, 10, 10)], [(U, 12, 40, ELECTRON), (U, 12, 30, GAMMA), (U, 14, 35, GAMMA)])
    assert (table["track_id"][0], table["pdg"][0], table["is_signal"][0]) == (GAMMA, 22, 1)


def test_charge_of_a_particle_and_of_its_daughters_counts_together():
    deposits = [(U, 12, 30, ELECTRON), (U, 13, 31, -ELECTRON), (U, 14, 60, GAMMA)]
    table = matched([(U, 10, 10)], deposits)
    assert (table["track_id"][0], table["pdg"][0]) == (-ELECTRON, 11)


def test_positions_are_charge_weighted():
    table = matched([(U, 10, 10)], [(U, 12, 10, ELECTRON), (U, 16, 30, ELECTRON)])
    assert table["x_cm"][0] == pytest.approx((10 * 10 + 30 * 30) / 40)
    assert table["y_cm"][0] == pytest.approx((10 * 12 + 30 * 16) / 40)


def test_track_of_too_small_a_share_is_no_truth():
    deposits = [(U, 12, 40, ELECTRON), (U, 12, 30, GAMMA), (U, 14, 30, RADIOLOGICAL)]
    assert matched([(U, 10, 10)], deposits, min_fraction=0.4)["track_id"].tolist() == [ELECTRON]
    table = matched([(U, 10, 10)], deposits, min_fraction=0.41)
    assert (table["track_id"][0], table["is_signal"][0], table["pdg"][0]) == (0, 0, 0)
    assert np.isnan(table["x_cm"][0])
    assert table["n_electrons"][0] == 100


def test_charge_of_background_is_no_signal_but_has_a_particle():
    table = matched([(U, 10, 10)], [(U, 12, 40, RADIOLOGICAL)])
    assert (table["track_id"][0], table["pdg"][0], table["is_signal"][0]) == (RADIOLOGICAL, 11, 0)


def test_charge_of_a_track_that_was_not_stored_has_no_particle():
    table = matched([(U, 10, 10)], [(U, 12, 40, 99)])
    assert (table["track_id"][0], table["pdg"][0], table["is_signal"][0]) == (99, 0, 0)


def owners(tps, deposits, before, after):
    """TP of each deposit, by looking at all: the latest that holds it, else the nearest, the earlier if equal."""
    for channel, tick, electrons, _ in deposits:
        best, at = None, None
        for index, (own, start, samples) in enumerate(tps):
            if own != channel or not start - before <= tick <= start + samples + after:
                continue
            early, late = start - tick, tick - start - samples
            distance = max(early, late, 0)
            # Of several that hold it the latest; of several after it the first; before it the one that ends last.
            rank = (distance, early > 0, -start if early <= 0 else start)
            if best is None or rank < best:
                best, at = rank, index
        yield at, electrons


@given(
    st.lists(st.tuples(st.sampled_from([U, U + 1, X]), st.integers(0, 60), st.integers(1, 9)), max_size=12),
    st.lists(st.tuples(st.sampled_from([U, U + 1, X]), st.integers(0, 70)), max_size=30),
    st.integers(0, 6),
    st.integers(0, 6),
)
@hypothesis_settings(max_examples=150, deadline=None)
def test_every_deposit_counts_once_and_where_a_slow_search_puts_it(tps, places, before, after):
    # TPs of one channel do not overlap: a channel is over threshold or not.
    tps = sorted(set(tps), key=lambda tp: (tp[1], tp[0]))
    tps = [tp for i, tp in enumerate(tps) if all(tp[0] != q[0] or tp[1] > q[1] + q[2] or tp[1] < q[1] for q in tps[:i])]
    deposits = [(channel, tick, float(1 << index % 20), ELECTRON) for index, (channel, tick) in enumerate(places)]
    expected = np.zeros(len(tps))
    for at, electrons in owners(tps, deposits, before, after):
        if at is not None:
            expected[at] += electrons
    table = matched(tps, deposits, before_ticks=float(before), after_ticks=float(after))
    np.testing.assert_array_equal(table["n_electrons"], expected)


@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(1, 40)), min_size=1, max_size=10),
    st.lists(st.integers(0, 90), max_size=20),
)
@hypothesis_settings(max_examples=100, deadline=None)
def test_overlapping_tps_share_their_deposits_without_loss(tps, ticks):
    deposits = [(U, tick, 1.0, ELECTRON) for tick in ticks]
    table = matched([(U, *tp) for tp in tps], deposits, before_ticks=3.0, after_ticks=2.0)
    reached = [any(start - 3 <= tick <= start + samples + 2 for start, samples in tps) for tick in ticks]
    assert table["n_electrons"].sum() == sum(reached)
