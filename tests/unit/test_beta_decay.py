"""Electron energies of beta decays: Coulomb field, forbidden shape, sampling."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kstest

from snpoint.physics.constants import ELECTRON_MASS_MEV
from snpoint.physics.simulation.beta_decay import BetaSpectrum, beta_spectrum, coulomb_ratio, spectrum
from snpoint.physics.simulation.decays import nuclides


@pytest.mark.parametrize(("name", "mean_kev"), [("Ar39", 218.8), ("Ar42", 233.0), ("K42", 1430.5)])
def test_mean_energies_are_the_published_ones(name: str, mean_kev: float) -> None:
    assert 1000 * nuclides()[name].beta_mean_mev == pytest.approx(mean_kev, rel=0.005)


def test_the_forbidden_shape_is_what_brings_argon_39_there() -> None:
    allowed = BetaSpectrum(19, 39, 0.565, "allowed")
    assert 1000 * allowed.mean_mev < 200


def test_the_ratio_of_coulomb_functions_is_one_without_a_charge() -> None:
    energies = np.array([0.01, 0.1, 0.5, 3.0])
    assert coulomb_ratio(0, 39, energies) == pytest.approx(np.ones(4))
    # Non-relativistic limit: electrons of j = 3/2 gain 1 + eta^2 more.
    momentum = np.sqrt(0.001 * (0.001 + 2 * ELECTRON_MASS_MEV))
    eta = 10 / 137.036 * (0.001 + ELECTRON_MASS_MEV) / momentum
    assert coulomb_ratio(10, 20, np.array([0.001])) == pytest.approx(1 + eta**2, rel=0.02)


def test_the_ratio_depends_on_the_size_of_the_nucleus() -> None:
    """Twice the radius: (2 p R)^(2 (g_2 - 2) - 2 (g_1 - 1)) with g_k^2 = k^2 - (alpha Z)^2."""
    first, second = (np.sqrt(k**2 - (84 / 137.036) ** 2) for k in (1, 2))
    ratio = coulomb_ratio(84, 8 * 27, np.array([0.5])) / coulomb_ratio(84, 27, np.array([0.5]))
    assert ratio == pytest.approx(2 ** (2 * (second - 2) - 2 * (first - 1)), rel=1e-6)


def test_without_a_field_an_allowed_spectrum_is_phase_space() -> None:
    kinetic = np.linspace(0.01, 0.99, 50)
    momentum = np.sqrt(kinetic * (kinetic + 2 * ELECTRON_MASS_MEV))
    expected = momentum * (kinetic + ELECTRON_MASS_MEV) * (1 - kinetic) ** 2
    found = spectrum(0, 40, 1.0, "allowed", kinetic)
    assert found / found.sum() == pytest.approx(expected / expected.sum(), rel=1e-9)


def test_there_is_nothing_outside_of_the_end_point() -> None:
    assert spectrum(19, 39, 0.565, "unique", np.array([-0.1, 0.0, 0.565, 0.6])).tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("charge", "mass", "endpoint", "shape"), [(19, 39, 0.565, "unique"), (84, 214, 3.269, "allowed")]
)
def test_samples_follow_the_density(charge: int, mass: int, endpoint: float, shape: str) -> None:
    beta = beta_spectrum(charge, mass, endpoint, shape)  # type: ignore[arg-type]
    energies = beta.energy(np.random.default_rng(5).random(20_000))
    assert energies.min() > 0
    assert energies.max() < endpoint
    assert energies.mean() == pytest.approx(beta.mean_mev, rel=0.01)
    # The integral on a grid of its own, ten times finer and evenly spaced.
    fine = np.linspace(0, endpoint, 40_001)
    density = spectrum(charge, mass, endpoint, shape, fine)  # type: ignore[arg-type]
    density[0] = density[1]
    cumulative = np.concatenate([[0], np.cumsum(0.5 * (density[1:] + density[:-1]))])
    assert kstest(energies, lambda e: np.interp(e, fine, cumulative / cumulative[-1])).pvalue > 0.01


def test_a_spectrum_is_made_once() -> None:
    assert beta_spectrum(19, 39, 0.565, "unique") is beta_spectrum(19, 39, 0.565, "unique")
