"""Neutrons in argon: when and where they are captured, and the gammas of that."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from snpoint.physics.simulation.events import PHOTON
from snpoint.physics.simulation.neutron_capture import CAPTURE_US, SEPARATION_MEV, capture, cascade, travel

N = 3000
CAPTURES = 30_000


def rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def gammas_mev() -> np.ndarray:
    """Energies of the gammas of many captures."""
    generator = rng()
    return np.concatenate([cascade(generator) for _ in range(CAPTURES)])


def test_gammas_of_a_capture_share_its_energy_exactly() -> None:
    generator = rng()
    sums = [cascade(generator).sum() for _ in range(N)]
    assert pytest.approx(6.0989) == SEPARATION_MEV
    np.testing.assert_allclose(sums, SEPARATION_MEV, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("line_mev", "per_100_captures"),
    [(0.1673, 74.0), (0.5160, 23.5), (0.8378, 8.93), (1.1866, 48.5), (4.7450, 51.2), (5.5829, 10.79), (3.7008, 9.11)],
)
def test_the_strong_lines_are_as_frequent_as_evaluated(
    line_mev: float, per_100_captures: float, gammas_mev: np.ndarray
) -> None:
    # The primary lines add up to 93 of 100: what is missing was shared among them. So 17% of tolerance.
    found = 100 / CAPTURES * (np.abs(gammas_mev - line_mev) < 5e-4).sum()
    assert found == pytest.approx(per_100_captures, rel=0.17)


def test_capture_is_exponential_in_time_with_the_measured_cross_section() -> None:
    assert pytest.approx(321, abs=2) == CAPTURE_US
    generator = rng()
    delays = [capture(generator, [0.0, 0.0, 0.0], 0.0).time_us[0] for _ in range(N)]
    assert stats.kstest(delays, stats.expon(scale=CAPTURE_US).cdf).pvalue > 0.01


def test_capture_is_after_start_and_all_gammas_leave_one_place() -> None:
    shift = np.array([10.0, 20.0, 30.0])
    here, there = capture(rng(4), np.zeros(3), 0.0), capture(rng(4), shift, 100.0)
    assert (here.pdg == PHOTON).all()
    assert (here.time_us > 0).all()
    np.testing.assert_allclose(there.time_us, here.time_us + 100.0)
    np.testing.assert_allclose(there.position_cm, here.position_cm + shift)
    assert (here.position_cm == here.position_cm[0]).all()


def test_way_is_isotropic_and_meters_long() -> None:
    generator = rng()
    ends = np.array([capture(generator, [0.0, 0.0, 0.0], 0.0).position_cm[0] for _ in range(N)])
    assert np.abs(ends.mean(axis=0)).max() < 4 * ends.std() / np.sqrt(N)
    assert 300 < np.median(np.linalg.norm(ends, axis=1)) < 2500


def test_a_neutron_flies_no_faster_than_its_energy_allows() -> None:
    generator = rng()
    for energy in (1e-3, 0.1, 5.0):
        speed = 29979.2458 * np.sqrt(2 * energy / 939.565)
        for _ in range(100):
            leg = travel(generator, np.zeros(3), energy, 50.0)
            assert leg.captured
            assert np.linalg.norm(np.diff(leg.points_cm, axis=0, prepend=0.0), axis=1).sum() <= speed * 50.0 * (
                1 + 1e-9
            )
            assert leg.kinetic_mev <= energy


def test_walls_keep_the_gammas_inside_and_some_neutrons_for_themselves() -> None:
    low, high = np.array([-400.0, -650.0, -50.0]), np.array([400.0, 650.0, 510.0])
    generator, kept = rng(), 0
    for _ in range(N):
        gammas = capture(generator, [100.0, 0.0, 200.0], 0.0, 1.0, (low, high))
        kept += bool(len(gammas.pdg))
        assert ((gammas.position_cm >= low) & (gammas.position_cm <= high)).all()
    # Of 7 neutrons of CC events of a production one was captured on argon (1 to 45% at 95%).
    assert 0.01 < kept / N < 0.45


def test_near_walls_leave_hardly_a_neutron_to_the_argon() -> None:
    # Between walls that are near, a neutron meets them again and again.
    low, high = np.full(3, -30.0), np.full(3, 30.0)
    generator = rng()
    kept = [bool(len(capture(generator, np.zeros(3), 0.0, 1.0, (low, high)).pdg)) for _ in range(N)]
    assert 0 < np.mean(kept) < 0.05
