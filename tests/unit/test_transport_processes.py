"""Each process of the transport against its formula: what it makes, how often, and in which directions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kstest
from toy_transport import TABLE, looked_up, moving, random_state

from snpoint.physics.constants import ELECTRON_MASS_MEV as MASS
from snpoint.physics.simulation import electrons, photons
from snpoint.physics.simulation.materials import (
    BREMS,
    BREMS_CUT_MEV,
    COMPTON,
    DELTA_CUT_MEV,
    DENSITY_G_CM3,
    HARD,
    HARD_BORDER,
    PAIR,
    PHOTO,
    SCREENING,
    SOFT,
    SPIN_BOUND,
    brems_shape,
    collision_loss,
    radiative_loss,
    spin_factor,
)
from snpoint.physics.simulation.particles import DELTA, DESCENDANT, ENERGY, PHOTON, POSITRON, PRIMARY, Lists, new_lists

N = 8000
LEAST_P = 1e-3
"""Samples are the same each time: a p-value that passes once passes always."""


def distributed(sample: np.ndarray, x: np.ndarray, density: np.ndarray) -> float:
    """p-value that a sample follows a density given on a grid."""
    steps = 0.5 * (density[1:] + density[:-1]) * np.diff(x)
    cumulated = np.concatenate([[0.0], np.cumsum(steps)])
    return float(kstest(sample, lambda value: np.interp(value, x, cumulated / cumulated[-1])).pvalue)


def restarted(lists: Lists) -> Lists:
    lists.counts[:] = 0
    return lists


def klein_nishina(kept: np.ndarray, cosine: np.ndarray) -> np.ndarray:
    """dsigma/dOmega over r_e^2 / 2; kept = k'/k."""
    return kept**2 * (kept + 1 / kept - 1 + cosine**2)


# --- electrons -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("energy", [0.5, 3.0, 20.0])
def test_delta_rays_follow_moller(energy: float) -> None:
    state = random_state(1)
    sample = np.array([electrons._moller_fraction(energy, state) for _ in range(N)])
    x = np.geomspace(DELTA_CUT_MEV / energy, 0.5, 4001)
    tau = energy / MASS
    weight = 1 / x**2 + 1 / (1 - x) ** 2 + (tau / (tau + 1)) ** 2 - (2 * tau + 1) / (tau + 1) ** 2 / (x * (1 - x))
    assert distributed(sample, x, weight) > LEAST_P
    if energy < 1:  # plain Rutherford is told apart (higher up the two are alike)
        assert distributed(sample, x, 1 / x**2) < LEAST_P


def test_a_delta_ray_and_its_electron_share_energy_and_momentum() -> None:
    state, lists = random_state(2), new_lists(64)
    for _ in range(50):
        particle = moving(8.0)
        electrons._knock(particle, PRIMARY, state, restarted(lists))
        parts = np.array([particle, lists.stack[0]])
        assert parts[:, ENERGY].sum() == pytest.approx(8.0, rel=1e-12)
        size = np.sqrt(parts[:, ENERGY] * (parts[:, ENERGY] + 2 * MASS))
        total = size @ parts[:, 4:]
        np.testing.assert_allclose(total, [0, 0, np.sqrt(8.0 * (8.0 + 2 * MASS))], atol=1e-9)


def test_soft_delta_rays_are_the_particles_own() -> None:
    state, lists = random_state(12), new_lists(64)
    for parent, harder in ((PRIMARY, DELTA), (DELTA, DELTA), (DESCENDANT, DESCENDANT)):
        seen = set()
        for _ in range(300):
            electrons._knock(moving(8.0), parent, state, restarted(lists))
            seen.add((bool(lists.stack[0, ENERGY] > 0.343), int(lists.kinds[0, 1])))
        assert seen == {(False, parent), (True, harder)}


def brems_photons(energy: float, n: int) -> np.ndarray:
    state, lists = random_state(3), new_lists(64)
    found = []
    for _ in range(n):
        electrons._radiate(moving(energy), state, restarted(lists))
        found.append(lists.stack[0, ENERGY])
    return np.array(found)


@pytest.mark.parametrize("energy", [6.0, 20.0, 50.0])
def test_bremsstrahlung_has_the_shape_of_seltzer_and_berger_and_not_that_of_tsai(energy: float) -> None:
    photon = np.geomspace(BREMS_CUT_MEV, energy, 4001)
    sample = brems_photons(energy, N)
    assert distributed(sample, photon, brems_shape(photon / energy, energy) / photon) > LEAST_P
    y = photon / energy
    assert distributed(sample, photon, (4 / 3 * (1 - y) + y**2) / photon) < LEAST_P


@pytest.mark.parametrize("energy", [5.0, 20.0, 50.0])
def test_photons_and_the_soft_rest_carry_the_radiative_stopping_power(energy: float) -> None:
    soft = np.linspace(0, BREMS_CUT_MEV, 101)
    rest = radiative_loss(energy) / energy * np.trapezoid(brems_shape(soft / energy, energy), soft)
    sample = brems_photons(energy, N)
    radiated = looked_up(BREMS, energy) * sample.mean() + rest
    error = looked_up(BREMS, energy) * sample.std() / np.sqrt(N)
    assert radiated == pytest.approx(float(radiative_loss(energy)), abs=3 * error + 0.003 * radiated)


def test_hard_and_soft_scattering_add_up() -> None:
    """Wherever the border is: the mean of 1 - cos per cm is that of screened Rutherford with the spin factor."""
    for energy in (0.2, 3.0, 30.0):
        screening, border = looked_up(SCREENING, energy), looked_up(HARD_BORDER, energy)
        hard = looked_up(HARD, energy) / SPIN_BOUND
        mu = np.geomspace(1e-6 * screening, 1.0, 20_001)
        rutherford = 1 / (mu + screening) ** 2
        with_spin = 2 * mu * rutherford * spin_factor(mu, beta2_of(energy))
        above = mu >= border
        per_collision = np.trapezoid(with_spin[above], mu[above]) / np.trapezoid(rutherford[above], mu[above])
        total = np.trapezoid(with_spin, mu) / np.trapezoid(rutherford[above], mu[above])
        assert hard * per_collision + looked_up(SOFT, energy) == pytest.approx(hard * total, rel=0.01)


def beta2_of(energy: float) -> float:
    return energy * (energy + 2 * MASS) / (energy + MASS) ** 2


def test_the_spin_factor_stays_below_its_bound() -> None:
    mu = np.linspace(0, 1, 2001)
    for beta2 in np.linspace(0.01, 1, 100):
        assert spin_factor(mu, beta2).max() <= SPIN_BOUND
        assert spin_factor(mu, beta2, charge=1.0).min() >= 0.0


@pytest.mark.parametrize("positron", [False, True])
def test_hard_scattering_has_the_spin_factor(positron: bool) -> None:
    energy = 5.0
    state = random_state(5)
    screening, border = looked_up(SCREENING, energy), looked_up(HARD_BORDER, energy)
    found = []
    for _ in range(N):
        particle = moving(energy)
        electrons._scatter(particle, positron, state, TABLE)
        found.append(0.5 * (1 - particle[6]))
    mu = np.geomspace(border, 1.0, 4001)
    rutherford = 1 / (mu + screening) ** 2
    spin = spin_factor(mu, beta2_of(energy), charge=1.0 if positron else -1.0)
    scattered = np.array(found)[np.array(found) > 0]
    assert distributed(scattered, mu, spin * rutherford) > LEAST_P
    accepted = np.trapezoid(spin * rutherford, mu) / np.trapezoid(rutherford, mu) / SPIN_BOUND
    assert len(scattered) / N == pytest.approx(accepted, abs=0.01)


def test_a_resting_positron_gives_two_photons_of_511_kev_back_to_back() -> None:
    state, lists = random_state(6), new_lists(64)
    cosines = []
    for _ in range(2000):
        electrons.track_electron(moving(0.02), True, PRIMARY, state, TABLE, restarted(lists))
        assert (lists.counts[0], lists.kinds[:2].tolist()) == (2, [[PHOTON, DESCENDANT]] * 2)
        np.testing.assert_array_equal(lists.stack[:2, ENERGY], [MASS, MASS])
        np.testing.assert_array_equal(lists.stack[0, 4:], -lists.stack[1, 4:])
        cosines.append(lists.stack[0, 6])
    assert kstest(cosines, "uniform", (-1, 2)).pvalue > LEAST_P


# --- photons -------------------------------------------------------------------------------------------------------


def test_compton_scattering_keeps_energy_and_momentum() -> None:
    state, lists = random_state(7), new_lists(64)
    for energy in (0.05, 1.0, 8.0):
        for _ in range(50):
            photon = moving(energy)
            photons._scatter(photon, DESCENDANT, state, TABLE, restarted(lists))
            recoil = lists.stack[0]
            assert photon[ENERGY] + recoil[ENERGY] == pytest.approx(energy, rel=1e-12)
            # the relation of energy and angle
            assert 1 / photon[ENERGY] - 1 / energy == pytest.approx((1 - photon[6]) / MASS, rel=1e-6, abs=1e-9)
            size = np.sqrt(recoil[ENERGY] * (recoil[ENERGY] + 2 * MASS))
            total = photon[ENERGY] * photon[4:] + size * recoil[4:]
            np.testing.assert_allclose(total, [0, 0, energy], atol=1e-6 * energy)


@pytest.mark.parametrize("energy", [0.1, 1.0, 10.0])
def test_compton_angles_follow_klein_and_nishina(energy: float) -> None:
    a, state = energy / MASS, random_state(8)
    cosine = 1 - np.array([photons._compton_fraction(a, state)[1] for _ in range(N)])
    grid = 1 - np.geomspace(1e-6, 2.0, 8001)[::-1]
    kept = 1 / (1 + a * (1 - grid))
    assert distributed(cosine, grid, klein_nishina(kept, grid)) > LEAST_P
    assert distributed(cosine, grid, 1 + grid**2) < LEAST_P  # Thomson


@pytest.mark.parametrize(("energy", "pair_cm2_g"), [(1.46, 1.75e-4), (2.6, 1.93e-3), (4.7, 5.14e-3)])
def test_photons_go_as_far_as_their_cross_sections_say(energy: float, pair_cm2_g: float) -> None:
    """Lines of K-40, Tl-208 and of the capture on Ar-40; pair production interpolated by hand in the typed-in table."""
    state, lists = random_state(9), new_lists(4096)
    distance = np.empty(N)
    for k in range(N):
        photons.track_photon(moving(energy), DESCENDANT, state, TABLE, restarted(lists))
        distance[k] = np.linalg.norm(lists.stack[0, 1:4])  # the first electron it made
    cosine = np.linspace(-1, 1, 20_001)
    kept = 1 / (1 + energy / MASS * (1 - cosine))
    per_electron = 2.8179403e-13**2 / 2 * 2 * np.pi * np.trapezoid(klein_nishina(kept, cosine), cosine)
    per_gram = per_electron * 18 * 6.02214076e23 / 39.948 + pair_cm2_g
    expected = 1 / (DENSITY_G_CM3 * per_gram)
    assert distance.mean() == pytest.approx(expected, rel=0.01 + 3 / np.sqrt(N))
    assert kstest(distance / distance.mean(), "expon").pvalue > LEAST_P


def positrons_made(energy: float, n: int) -> int:
    state, lists = random_state(10), new_lists(4096)
    found = 0
    for _ in range(n):
        photons.track_photon(moving(energy), DESCENDANT, state, TABLE, restarted(lists))
        found += int((lists.kinds[: lists.counts[0], 0] == POSITRON).sum())
    return found


def test_pairs_start_at_twice_the_electron_mass() -> None:
    assert positrons_made(2 * MASS - 1e-4, 4000) == 0
    assert positrons_made(2.5, 1000) > 0


def test_photons_of_10_mev_make_pairs_as_often_as_the_cross_sections_say() -> None:
    state, lists = random_state(11), new_lists(4096)
    share = looked_up(PAIR, 10.0) / sum(looked_up(row, 10.0) for row in (PAIR, COMPTON, PHOTO))
    first = 0
    for _ in range(4000):
        photons.track_photon(moving(10.0), DESCENDANT, state, TABLE, restarted(lists))
        first += int(lists.kinds[:2, 0].tolist() == [0, POSITRON] and lists.stack[:2, ENERGY].sum() > 8.97)
    assert first / 4000 == pytest.approx(share, abs=3.5 * np.sqrt(share * (1 - share) / 4000))


# --- losses --------------------------------------------------------------------------------------------------------


def test_stopping_powers_are_those_of_estar() -> None:
    energy = np.array([0.1, 1.0, 10.0, 50.0])
    np.testing.assert_allclose(collision_loss(energy) / DENSITY_G_CM3, [2.9175, 1.3689, 1.5548, 1.7180], rtol=2e-3)
    np.testing.assert_allclose(radiative_loss(energy) / DENSITY_G_CM3, [0.009932, 0.02741, 0.3569, 2.1765], rtol=1e-6)
