"""From charge to trigger primitives: where charge arrives, how it is shaped, what is above threshold, whose it is."""

from __future__ import annotations

import numpy as np
import pytest
import toy_simulation
from toy_geometry import drift_tick

from snpoint.physics.simulation import charge as chg
from snpoint.physics.simulation import detector as det
from snpoint.physics.geometry import load_detector
from snpoint.settings import Noise

DETECTOR = load_detector("fdhd_1x2x2")
LAYOUT = chg.layout_of(DETECTOR)
CENTERS = [(v, np.mean([v.x_range_cm, v.y_range_cm, v.z_range_cm], axis=1)) for v in DETECTOR.volumes]


def random_state(seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 2**63, 4, dtype=np.uint64)


DENSITY = 1.9
"""Ionization along the track of a fast electron [MeV/cm]."""
YIELD = chg.ELECTRONS_PER_MEV * chg.escaping(DENSITY)
"""Electrons per MeV that escape recombination at this density."""


def drift(
    points: np.ndarray, mev: float = 1.0, origin: int = 0, seed: int = 1, density: float = DENSITY
) -> tuple[chg.Charge, np.ndarray]:
    """Charge of deposits of ``mev`` each, and the order of its rows."""
    charge = chg.new_charge(DETECTOR, 16384)
    deposits = np.column_stack([points, np.full(len(points), mev), np.full(len(points), density)])
    classes = np.full(len(points), origin, np.int64)
    chg.drift_deposits(deposits, classes, random_state(seed), LAYOUT, charge)
    assert charge.counts[chg.FULL] == 0
    return charge, chg.order_rows(charge)


def read_out(charge: chg.Charge, order: np.ndarray, noise: dict, seed: int = 2) -> det.TPs:
    tps = det.new_tps(4096)
    readout = det.electronics_of(DETECTOR, Noise(**noise))
    state = random_state(seed)
    det.find_tps(charge, order, state, readout, tps)
    det.add_noise_tps(state, readout, tps)
    n = tps.counts[0]
    return det.TPs(tps.rows[:n], tps.truth[:n], tps.counts)


@pytest.mark.parametrize(("volume", "center"), CENTERS)
def test_charge_arrives_where_the_geometry_says(volume, center: np.ndarray) -> None:
    charge, order = drift(np.repeat(center[None], 300, axis=0), mev=0.02)
    keys, electrons = charge.keys[order], charge.amounts[order, chg.NE]
    assert set(DETECTOR.apa(keys[:, 0])) == {volume.apa}
    assert set(DETECTOR.face(keys[:, 0])) == {0, volume.face}
    plane, local = DETECTOR.plane(keys[:, 0]), DETECTOR.local(keys[:, 0])
    line = drift_tick(DETECTOR, center[0])
    for number, wires in enumerate(volume.wires):
        here = plane == number
        distance = local[here] - volume.channel(number, center[1], center[2])
        if wires.modulus is not None:
            distance = (distance + wires.modulus / 2) % wires.modulus - wires.modulus / 2
        assert np.average(distance, weights=electrons[here]) == pytest.approx(0.0, abs=0.1)
        assert np.abs(distance).max() < 3
        assert np.average(keys[here, 1], weights=electrons[here]) == pytest.approx(line, abs=0.1)


def test_charge_decays_with_the_drift_time_and_keeps_its_energy() -> None:
    for x in (10.0, 180.0, 360.0):
        charge, order = drift(np.tile([[x, -300.0, 100.0]], (200, 1)), mev=0.05)
        amounts = charge.amounts[order]
        time_us = 0.5 * (12.455 * x - 53.93)
        assert amounts[:, chg.MEV].sum() == pytest.approx(3 * 10.0, rel=1e-9)
        assert amounts[:, chg.NE].sum() == pytest.approx(3 * 10.0 * YIELD * np.exp(-time_us / 10_400), rel=1e-9)


def test_dense_ionization_recombines() -> None:
    # As in the real files: tracks give 28,000 electrons per MeV, Compton electrons of 20 keV a third of that.
    assert pytest.approx(28_300, rel=0.02) == YIELD
    density = np.array([1.7, 3.0, 7.0, 11.0, 22.0, 36.0])
    found = np.array([chg.escaping(value) for value in density])
    assert (np.diff(found) < 0).all()
    charge, order = drift(np.tile([[100.0, -300.0, 100.0]], (20, 1)), mev=0.02, density=22.0)
    electrons = charge.amounts[order, chg.NE].sum() / charge.amounts[order, chg.MEV].sum()
    assert 8_000 < electrons < 13_000


def test_diffusion_grows_with_the_square_root_of_the_drift_time() -> None:
    x = 350.0
    charge, order = drift(np.tile([[x, -300.0, 100.0]], (4000, 1)), mev=0.001)
    keys, electrons = charge.keys[order], charge.amounts[order, chg.NE]
    here = DETECTOR.plane(keys[:, 0]) == 0
    ticks, weights = keys[here, 1], electrons[here]
    spread = np.sqrt(np.average((ticks - np.average(ticks, weights=weights)) ** 2, weights=weights))
    time_us = 0.5 * (12.455 * x - 53.93)
    expected = np.hypot(np.sqrt(2 * 3.94e-6 * time_us) * 12.455, 1 / np.sqrt(12))
    assert spread == pytest.approx(expected, rel=0.03)


def test_deposits_outside_the_drift_volumes_are_lost() -> None:
    charge, _ = drift(np.array([[0.0, 10.0, 10.0], [400.0, 10.0, 10.0], [50.0, 601.0, 10.0], [50.0, 10.0, -1.0]]))
    assert charge.counts[chg.ROWS] == 0


def test_lists_are_empty_after_clearing() -> None:
    charge, _ = drift(np.tile([[100.0, 100.0, 100.0]], (50, 1)))
    chg.clear_charge(charge)
    assert not charge.cells.any() and not charge.slots.any() and not charge.counts.any()


def test_responses_have_the_measured_gain_and_shape() -> None:
    response = det.responses()
    ticks = np.arange(-det.REACH, det.REACH + 1)
    assert response[2].sum() == pytest.approx(0.16526, rel=1e-3)
    assert (response[2] * ticks).sum() / response[2].sum() == pytest.approx(5.37, abs=0.01)
    # Induction currents are bipolar: no net area, the positive lobe first.
    np.testing.assert_allclose(response[:2].sum(axis=1), 0.0, atol=1e-6)
    assert (response[:2].argmax(axis=1) < response[:2].argmin(axis=1)).all()


def test_tps_sit_at_the_measured_offsets_from_the_drift_line() -> None:
    rng = np.random.default_rng(4)
    residuals = []
    for k in range(20):
        point = np.array([rng.uniform(50, 340), rng.uniform(-500, -100), rng.uniform(50, 200)])
        charge, order = drift(np.tile(point, (30, 1)), mev=0.03, seed=k)
        rows = read_out(charge, order, toy_simulation.noise(white=0.0)).rows
        peak = rows[:, det.START] + rows[:, det.TO_PEAK] - drift_tick(DETECTOR, point[0])
        residuals.append(np.column_stack([DETECTOR.plane(rows[:, det.CHANNEL]), peak]))
    plane, offset = np.concatenate(residuals).T
    # The measured offsets are those of extended tracks; a point-like charge peaks at the response's own maximum.
    for number, expected in enumerate(DETECTOR.time_offsets_ticks):
        assert np.median(offset[plane == number]) == pytest.approx(expected, abs=2.0)


def test_a_tp_is_a_maximal_run_above_threshold() -> None:
    charge, order = drift(np.tile([[100.0, -300.0, 100.0]], (40, 1)), mev=0.05)
    tps = read_out(charge, order, toy_simulation.noise(white=0.0))
    rows = tps.rows
    plane = DETECTOR.plane(rows[:, det.CHANNEL])
    thresholds = np.array(det.THRESHOLDS_ADC)[plane]
    assert set(plane) == {0, 1, 2}
    assert (rows[:, det.PEAK] > thresholds).all()
    assert (rows[:, det.INTEGRAL] > thresholds * rows[:, det.LENGTH]).all()
    assert (rows[:, det.INTEGRAL] <= rows[:, det.PEAK] * rows[:, det.LENGTH]).all()
    assert (rows[:, det.TO_PEAK] < rows[:, det.LENGTH]).all()
    collected = rows[plane == 2]
    assert collected[:, det.INTEGRAL].sum() == pytest.approx(2.0 * YIELD * 0.165 * np.exp(-0.06), rel=0.1)


@pytest.mark.parametrize(("origin", "expected"), [(0, 0), (1, 1), (2, 1)])
def test_truth_of_a_tp_is_the_charge_under_it(origin: int, expected: int) -> None:
    point = np.array([150.0, -300.0, 100.0])
    charge, order = drift(np.tile(point, (40, 1)), mev=0.05, origin=origin)
    tps = read_out(charge, order, toy_simulation.noise(white=0.0))
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


def test_noise_tps_look_like_those_of_the_files() -> None:
    empty = chg.new_charge(DETECTOR, 1024)
    rows = np.concatenate(
        [read_out(empty, np.zeros(0, np.int64), toy_simulation.noise(standalone=1.0), seed).rows for seed in range(25)]
    )
    plane = DETECTOR.plane(rows[:, det.CHANNEL])
    assert (rows[:, det.ORIGIN] == -1).all()
    measured = {0: (365, 0.859, (73, 80, 88)), 1: (365, 0.860, (73, 79, 88)), 2: (540, 0.932, (63, 68, 75))}
    for number, (per_event, single, peaks) in measured.items():
        own = rows[plane == number]
        assert len(own) / 25 == pytest.approx(per_event, rel=0.03)
        assert (own[:, det.LENGTH] == 1).mean() == pytest.approx(single, abs=0.015)
        np.testing.assert_allclose(np.quantile(own[:, det.PEAK], [0.5, 0.9, 0.99]), peaks, atol=3)
        assert own[:, det.PEAK].min() == det.THRESHOLDS_ADC[number] + 1
    np.testing.assert_allclose(np.bincount(DETECTOR.apa(rows[:, det.CHANNEL])) / len(rows), 0.25, atol=0.01)
    assert rows[:, det.START].min() >= 0 and rows[:, det.START].max() < DETECTOR.n_ticks
    assert (rows[:, det.INTEGRAL] >= rows[:, det.PEAK]).all()
