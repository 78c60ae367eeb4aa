"""Background laid over signal: seeded, no background event twice, its noise left out, the signal's truth untouched."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from toy_matching import joined, match_settings, toy_trees

from snpoint.data.tables import TP_TABLE
from snpoint.physics.geometry import load_detector
from snpoint.physics.matching import match
from snpoint.physics.overlay import OverlayError, Pool, lay_over, overlay, pair_events
from snpoint.settings import Overlay

DETECTOR = load_detector("fdhd_1x2x2")


def settings(seed=1, noise="drop", shortage="error"):
    return Overlay(seed=seed, noise=noise, shortage=shortage)


def table(events, tps, deposits, run):
    """Events of the same content but for the channel, which is that of ``tps`` plus 10 times the event's number."""
    parts = [
        toy_trees(
            [(channel + 10 * event, start, samples) for channel, start, samples in tps],
            [(channel + 10 * event, *deposit) for channel, *deposit in deposits],
            event,
        )
        for event in events
    ]
    trees = joined(*parts)
    for content in trees.values():
        content["Run"][:] = run
    return match(trees, DETECTOR, settings=match_settings(truth="simide"))


def signal(events):
    return table(events, [(0, 10, 9), (1, 12, 9)], [(0, 20, 5e4, 2)], run=1)


def background(events):
    """Two TPs of a radiological decay and one of noise in each event."""
    return table(events, [(4, 30, 9), (4, 5, 4), (5, 30, 3)], [(4, 13, 1e4, 7), (4, 40, 1e4, 7)], run=9)


def of_event(columns, event):
    return {key: values[columns["event"] == event] for key, values in columns.items()}


def test_laid_over_tps_belong_to_the_signal_event_and_are_no_signal():
    result, counts = overlay(signal([1]), background([3]), settings())
    assert set(result) == set(TP_TABLE)
    assert (result["time_start"] // 32).tolist() == [5, 10, 12, 30]
    assert result["is_overlay"].tolist() == [1, 0, 0, 1]
    assert result["is_signal"].tolist() == [0, 1, 0, 0]
    assert result["track_id"].tolist() == [7, 2, 0, 7]
    assert set(result["event_uid"].tolist()) == {1 << 44 | 1}
    assert set(result["background_uid"].tolist()) == {9 << 44 | 3}
    assert counts == {
        "events": 1,
        "with_background": 1,
        "pool_events": 1,
        "pool_duplicates": 0,
        "noise_tps_dropped": 1,
    }


def test_truth_of_the_event_is_that_of_the_signal():
    ours = signal([1])
    ours["vertex_x_cm"] += 5
    ours["interaction"][:] = 2
    result, _ = overlay(ours, background([3]), settings())
    for key in ("vertex_x_cm", "interaction", "direction_x", "energy_true_mev", "neutrino_energy_mev"):
        assert set(result[key].tolist()) == {ours[key][0].item()}, key


def test_pool_holds_only_what_is_laid_over_and_counts_the_rest():
    theirs = background([3, 4])
    theirs["track_id"][theirs["event"] == 4] = 0
    pool = Pool.of(theirs, settings())
    assert len(pool.tps["channel"]) == 2
    assert (pool.uid & np.uint64(0xFF)).tolist() == [3, 4]
    assert pool.n_noise.tolist() == [1, 3]
    assert (pool.fingerprint != 0).tolist() == [True, False]
    assert Pool.of(theirs, settings(noise="keep")).n_noise.tolist() == [0, 0]


def test_noise_can_be_kept():
    result, counts = overlay(signal([1]), background([3]), settings(noise="keep"))
    assert len(result["event"]) == 5
    assert counts["noise_tps_dropped"] == 0


def test_no_background_event_is_used_twice():
    result, _ = overlay(signal(range(1, 21)), background(range(1, 31)), settings())
    used = [set(of_event(result, event)["background_uid"].tolist()) for event in range(1, 21)]
    assert all(len(uids) == 1 for uids in used)
    assert len(set.union(*used)) == 20


def test_equal_background_events_count_as_one():
    twin = background([3])
    twin["event"] += 100
    twin["event_uid"] += np.uint64(100)
    twin["time_start"] += 64  # the same event, in another place of the window
    pool = {key: np.concatenate([values, twin[key]]) for key, values in background([3, 4]).items()}
    result, counts = overlay(signal([1, 2]), pool, settings())
    assert counts["pool_duplicates"] == 1
    assert set(result["background_uid"].tolist()) == {9 << 44 | 3, 9 << 44 | 4}
    assert len(np.unique(result["background_fingerprint"])) == 2
    with pytest.raises(OverlayError, match=r"3 events but only 2 different background events .1 of 3 repeat another"):
        overlay(signal([1, 2, 5]), pool, settings())


def test_noise_does_not_hide_that_two_events_are_equal():
    pool = background([3, 3 + 1])
    pool["channel"][pool["event"] == 4] -= 10
    pool["adc_peak"][(pool["event"] == 4) & (pool["track_id"] == 0)] += 1
    _, counts = overlay(signal([1]), pool, settings())
    assert counts["pool_duplicates"] == 1
    _, counts = overlay(signal([1]), pool, settings(noise="keep"))
    assert counts["pool_duplicates"] == 0


def test_seed_decides_the_pairs():
    def pairs(seed):
        result, _ = overlay(signal(range(1, 11)), background(range(1, 31)), settings(seed=seed))
        return result["background_uid"].tolist()

    assert pairs(1) == pairs(1)
    assert pairs(1) != pairs(2)


def test_shortage_can_leave_events_as_they_are():
    with pytest.raises(OverlayError, match=r"match\.overlay\.shortage: leave"):
        overlay(signal([1, 2, 3]), background([5]), settings())
    result, counts = overlay(signal([1, 2, 3]), background([5]), settings(shortage="leave"))
    assert counts["with_background"] == 1
    untouched = result["background_uid"] == 0
    assert untouched.sum() == 4
    assert not result["is_overlay"][untouched].any()
    assert not result["background_fingerprint"][untouched].any()


def test_background_without_any_truth_is_refused_rather_than_dropped_as_noise():
    pool = background([3])
    pool["track_id"][:] = 0
    with pytest.raises(OverlayError, match=r"no background TP has truth.*noise: keep"):
        overlay(signal([1]), pool, settings())
    result, _ = overlay(signal([1]), pool, settings(noise="keep"))
    assert result["is_overlay"].sum() == 3


def test_quiet_background_events_are_no_copies_of_each_other():
    pool = background([3, 4, 5])
    pool["track_id"][pool["event"] != 3] = 0
    result, counts = overlay(signal([1, 2, 6]), pool, settings())
    assert (counts["with_background"], counts["pool_duplicates"]) == (3, 0)
    quiet = result["background_uid"] != (9 << 44 | 3)
    assert not result["background_fingerprint"][quiet].any()


def test_signal_without_events_stays_empty():
    empty = {key: values[:0] for key, values in signal([1]).items()}
    result, counts = overlay(empty, background([3]), settings())
    assert len(result["event"]) == counts["events"] == 0
    none, _ = overlay(signal([1]), {key: values[:0] for key, values in empty.items()}, settings(shortage="leave"))
    assert len(none["event"]) == 2


def test_other_clocks_are_refused():
    ours = signal([1])
    ours["time_start"] += 1 << 45
    with pytest.raises(OverlayError, match="not the same readout window"):
        overlay(ours, background([3]), settings())


@given(st.lists(st.integers(1, 12), min_size=1, max_size=8, unique=True), st.integers(1, 7), st.randoms())
@hypothesis_settings(max_examples=25, deadline=None)
def test_parts_of_a_file_give_the_same_as_the_whole(events, cut, random):
    ours, theirs = signal(sorted(events)), background(range(1, 15))
    whole, counts = overlay(ours, theirs, settings())
    order = np.array(random.sample(range(len(theirs["event"])), len(theirs["event"])))
    theirs = {key: values[order] for key, values in theirs.items()}
    pool = Pool.joined(
        [
            Pool.of({key: values[part] for key, values in theirs.items()}, settings())
            for part in (theirs["event"] > cut, theirs["event"] <= cut)
        ]
    )
    chosen, _ = pair_events(np.unique(ours["event_uid"]), pool, settings())
    parts = []
    for part in (ours["event"] <= cut, ours["event"] > cut):
        own = {key: values[part] for key, values in ours.items()}
        parts.append(lay_over(own, pool, np.unique(ours["event_uid"]), chosen))
    assert sum(dropped for _, dropped in parts) == counts["noise_tps_dropped"]
    for key, values in whole.items():
        np.testing.assert_array_equal(np.concatenate([part[key] for part, _ in parts]), values, err_msg=key)
