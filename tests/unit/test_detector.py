"""From charge on the wires to trigger primitives: shape, threshold, truth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from toy_geometry import drift_tick
from toy_readout import AS_MEASURED, DETECTOR, NOISE_FREE, YIELD, drift, noise_tps, read_out

from snpoint.physics.geometry import known_detectors, load_detector
from snpoint.physics.simulation import charge as chg
from snpoint.physics.simulation import detector as det
from snpoint.settings import Noise


def test_tps_sit_at_the_measured_offsets_from_the_drift_line() -> None:
    rng = np.random.default_rng(4)
    residuals = []
    for _ in range(20):
        point = np.array([rng.uniform(50, 340), rng.uniform(-500, -100), rng.uniform(50, 200)])
        charge, order = drift(np.tile(point, (30, 1)), mev=0.03)
        rows = read_out(charge, order).rows
        peak = rows[:, det.START] + rows[:, det.TO_PEAK] - drift_tick(DETECTOR, point[0])
        residuals.append(np.column_stack([DETECTOR.plane(rows[:, det.CHANNEL]), peak]))
    plane, offset = np.concatenate(residuals).T
    # The measured offsets are those of extended tracks; a point-like charge peaks at the response's own maximum.
    for number, expected in enumerate(DETECTOR.time_offsets_ticks):
        assert np.median(offset[plane == number]) == pytest.approx(expected, abs=2.0)


def test_a_tp_is_a_maximal_run_above_threshold() -> None:
    charge, order = drift(np.tile([[100.0, -300.0, 100.0]], (40, 1)), mev=0.05)
    tps = read_out(charge, order)
    rows = tps.rows
    plane = DETECTOR.plane(rows[:, det.CHANNEL])
    thresholds = np.array(DETECTOR.threshold_adc)[plane]
    assert set(plane) == {0, 1, 2}
    assert (rows[:, det.PEAK] > thresholds).all()
    assert (rows[:, det.INTEGRAL] > thresholds * rows[:, det.LENGTH]).all()
    assert (rows[:, det.INTEGRAL] <= rows[:, det.PEAK] * rows[:, det.LENGTH]).all()
    assert (rows[:, det.TO_PEAK] < rows[:, det.LENGTH]).all()
    collected = rows[plane == 2]
    assert collected[:, det.INTEGRAL].sum() == pytest.approx(2.0 * YIELD * 0.165 * np.exp(-0.06), rel=0.1)


@pytest.mark.parametrize(("owner", "kind", "expected"), [(0, 0, 0), (0, 1, 1), (0, 2, 1), (7, 0, 14), (7, 2, 15)])
def test_truth_of_a_tp_is_the_charge_under_it(owner: int, kind: int, expected: int) -> None:
    point = np.array([150.0, -300.0, 100.0])
    charge, order = drift(np.tile(point, (40, 1)), mev=0.05, owners=owner, classes=kind)
    tps = read_out(charge, order)
    large = tps.rows[:, det.INTEGRAL] > 1000
    assert large.any() and set(tps.rows[large, det.ORIGIN]) == {expected}
    truth = tps.truth[large]
    np.testing.assert_allclose(truth[:, det.SHARE], 1.0)
    np.testing.assert_allclose(truth[:, det.POSITION : det.POSITION + 3], np.tile(point, (large.sum(), 1)), atol=1e-9)
    assert truth[:, det.ELECTRONS] / truth[:, det.MEV] == pytest.approx(YIELD * np.exp(-0.0872), rel=0.01)
    for plane in range(3):
        here = DETECTOR.plane(tps.rows[:, det.CHANNEL]) == plane
        assert tps.truth[here, det.MEV].sum() <= 2.0 + 1e-9
        assert tps.truth[here, det.MEV].sum() > 1.4


def test_the_leader_has_the_largest_charge_and_the_sums_hold_everybody() -> None:
    owners = np.array([0] * 20 + [1] * 50 + [2] * 30)
    points = np.tile([150.0, -300.0, 100.0], (100, 1))
    points[:, 0] += np.array([0.0, 0.5, 1.0])[owners]
    charge, order = drift(points, mev=0.03, owners=owners)
    tps = read_out(charge, order)
    large = tps.rows[:, det.INTEGRAL] > 2000
    assert large.any() and set(tps.rows[large, det.ORIGIN]) == {2}
    # The first of the three also owns cells that it shares with the second.
    np.testing.assert_allclose(tps.truth[large, det.SHARE], 0.5, atol=0.1)
    collected = large & (DETECTOR.plane(tps.rows[:, det.CHANNEL]) == 2)
    assert tps.truth[collected, det.MEV].sum() == pytest.approx(3.0, rel=0.05)


def test_a_tp_owns_what_arrives_in_its_window_moved_by_8_4_and_minus_3_ticks() -> None:
    charge, order = drift(np.tile([150.0, -300.0, 100.0], (60, 1)), mev=0.03)
    tps = read_out(charge, order)
    keys, amounts = charge.keys[order], charge.amounts[order]
    for row, truth in zip(tps.rows, tps.truth, strict=True):
        begin = row[det.START] + (8, 4, -3)[DETECTOR.plane(row[det.CHANNEL])]
        own = (keys[:, 0] == row[det.CHANNEL]) & (keys[:, 1] >= begin) & (keys[:, 1] < begin + row[det.LENGTH])
        assert truth[det.ELECTRONS] == pytest.approx(amounts[own, chg.NE].sum())
        assert (row[det.ORIGIN] >= 0) == own.any()


@pytest.mark.parametrize("noise", [NOISE_FREE, AS_MEASURED])
def test_a_tp_that_is_open_at_the_end_of_the_window_is_not_written(noise: dict[str, Any]) -> None:
    # As in the real files: the last tick in any of their 77,000 TPs is the last but one of the window.
    n_ticks, ends = DETECTOR.n_ticks, []
    line = drift_tick(DETECTOR, 150.0)
    for late in np.arange(-12.0, 6.0):
        time_us = (n_ticks - line + late) * DETECTOR.tick_us
        rows = read_out(*drift(np.tile([150.0, -300.0, 100.0], (60, 1)), mev=0.03, times_us=time_us), noise).rows
        ends.extend(rows[:, det.START] + rows[:, det.LENGTH])
    assert max(ends) == n_ticks - 1


def test_noise_alone_never_reaches_the_last_tick() -> None:
    rows = noise_tps(200)
    ends = rows[:, det.START] + rows[:, det.LENGTH]
    assert ends.max() == DETECTOR.n_ticks - 1


def test_pieces_of_charge_far_apart_on_a_wire_do_not_know_of_each_other() -> None:
    near, far = np.tile([60.0, -300.0, 100.0], (40, 1)), np.tile([200.0, -300.0, 100.0], (40, 1))
    together = read_out(*drift(np.concatenate([near, far]), mev=0.05)).rows
    windows = [read_out(*drift(part, mev=0.05)).rows for part in (near, far)]
    for part, line in zip(windows, (drift_tick(DETECTOR, 60.0), drift_tick(DETECTOR, 200.0)), strict=True):
        here = together[np.abs(together[:, det.START] - line) < 100]
        assert len(here) == pytest.approx(len(part), abs=2)
        assert here[:, det.INTEGRAL].sum() == pytest.approx(part[:, det.INTEGRAL].sum(), rel=0.05)


def test_a_window_full_of_small_decays_is_read_out() -> None:
    # 1,700 decays of Ar-39 in the volume of four APAs: charge on most channels.
    rng, n = np.random.default_rng(1), 1700
    side, half = rng.choice([-1, 1], n), rng.choice([-1, 1], n)
    points = np.column_stack([side * rng.uniform(5, 362, n), half * rng.uniform(1, 599, n), rng.uniform(1, 462, n)])
    times = rng.uniform(-2000, 3000, n)
    charge, order = drift(points, mev=0.4, owners=np.arange(n), times_us=times, rows=131072)
    assert charge.counts[chg.FULL] == 0
    tps = read_out(charge, order, AS_MEASURED)
    signal = tps.rows[:, det.ORIGIN] >= 0
    assert len(np.unique(charge.keys[order][:, 0])) > 3000
    assert signal.sum() > 1000
    assert (~signal).sum() > 1200


@pytest.mark.parametrize("name", known_detectors())
def test_every_layout_is_read_out_with_its_own_thresholds(name: str) -> None:
    detector = load_detector(name)
    for volume in detector.volumes:
        point = [np.mean(r) for r in (volume.x_range_cm, volume.y_range_cm, volume.z_range_cm)]
        charge, order = drift(np.tile(point, (60, 1)), mev=0.05, detector=detector)
        tps = read_out(charge, order, AS_MEASURED, detector=detector)
        signal = tps.rows[tps.rows[:, det.ORIGIN] >= 0]
        assert set(detector.plane(signal[:, det.CHANNEL])) == {0, 1, 2}
        assert set(detector.apa(signal[:, det.CHANNEL])) == {volume.apa}
        threshold = np.array(detector.threshold_adc)[detector.plane(tps.rows[:, det.CHANNEL])]
        assert (tps.rows[:, det.PEAK] > threshold).all()


def test_a_short_list_of_tps_says_so() -> None:
    charge, order = drift(np.tile([150.0, -300.0, 100.0], (60, 1)), mev=0.05)
    tps = det.new_tps(2)
    readout = det.electronics_of(DETECTOR, Noise(**NOISE_FREE))
    det.find_tps(charge, order, np.arange(1, 5, dtype=np.uint64), readout, tps)
    assert (tps.counts[det.TPS], tps.counts[det.TPS_FULL]) == (2, 1)
