"""Spectra of a supernova's neutrinos at the Earth, and what oscillation makes of them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad

from snpoint.physics.simulation.flux import KINDS, FluxModel, Kind, argon_atoms, pinched, sphere_cm2
from snpoint.physics.validation.elastic import Oscillation, flux
from snpoint.settings import Flavour

ENERGIES = np.linspace(0.1, 80.0, 400)
ERG_PER_MEV = 1.602176634e-6


def total(model: FluxModel, kind: Kind, power: int = 0) -> float:
    pieces = ((0.0, 10.0), (10.0, 40.0), (40.0, 250.0))
    return sum(quad(lambda e: e**power * float(model.number(kind, e)), *piece)[0] for piece in pieces)


@pytest.mark.parametrize("alpha", [0.0, 2.5, 7.0])
def test_a_pinched_spectrum_has_its_norm_mean_and_width(alpha: float) -> None:
    flavour = Flavour(mean_energy_mev=12.0, alpha=alpha, emitted_erg=5e52)
    moments = [quad(lambda e, k=k: e**k * float(pinched(flavour, e)), 0, 300, limit=200)[0] for k in range(3)]
    assert moments[0] == pytest.approx(1.0, rel=1e-7)
    assert moments[1] == pytest.approx(12.0, rel=1e-7)
    assert moments[2] / 144.0 == pytest.approx((2 + alpha) / (1 + alpha), rel=1e-6)


def test_there_are_no_neutrinos_of_negative_energy() -> None:
    flavour = Flavour(mean_energy_mev=12.0, alpha=0.0, emitted_erg=5e52)
    np.testing.assert_array_equal(pinched(flavour, [-1.0, -1e-9]), 0.0)


@pytest.mark.parametrize("oscillation", ["none", "NMO", "IMO"])
def test_the_energy_that_leaves_the_star_arrives(oscillation: Oscillation) -> None:
    model = FluxModel(flux(oscillation))
    energy = sum(total(model, kind, power=1) for kind in KINDS)
    assert energy * ERG_PER_MEV == pytest.approx(6 * 5e52, rel=1e-6)


@pytest.mark.parametrize("oscillation", ["NMO", "IMO"])
def test_oscillation_moves_neutrinos_between_flavors_but_loses_none_at_any_energy(oscillation: Oscillation) -> None:
    before, after = FluxModel(flux()), FluxModel(flux(oscillation))
    pairs: tuple[tuple[Kind, Kind], ...] = (("nue", "nux"), ("nuebar", "nuxbar"))
    for pair in pairs:
        sums = [sum(model.number(kind, ENERGIES) for kind in pair) for model in (before, after)]
        np.testing.assert_allclose(sums[1], sums[0], rtol=1e-12)
        assert not np.allclose(after.number(pair[0], ENERGIES), before.number(pair[0], ENERGIES), rtol=0.1)


# sin^2 theta12 = 0.303, sin^2 theta13 = 0.0220 (NuFIT 5.2): survival of neutrinos, of antineutrinos.
@pytest.mark.parametrize(("oscillation", "survival"), [("NMO", (0.022, 0.682)), ("IMO", (0.296, 0.022))])
def test_electron_flavor_survives_as_the_mass_ordering_says(
    oscillation: Oscillation, survival: tuple[float, float]
) -> None:
    before, after = FluxModel(flux()), FluxModel(flux(oscillation))
    electron: tuple[Kind, Kind] = ("nue", "nuebar")
    for kind, expected in zip(electron, survival, strict=True):
        # Two x kinds make nux, and each of them has this spectrum.
        single = 0.5 * before.number("nux", ENERGIES)
        own = before.number(kind, ENERGIES)
        found = (after.number(kind, ENERGIES) - single) / (own - single)
        np.testing.assert_allclose(found, expected, atol=5e-4)


def test_fluence_falls_with_the_square_of_the_distance() -> None:
    model = FluxModel(flux())
    assert sphere_cm2(10.0) == pytest.approx(4 * sphere_cm2(5.0), rel=1e-12)
    # 10 kpc: 3.09e22 cm. 5e52 erg of 9.5 MeV each: 3.3e57 neutrinos.
    number = quad(lambda e: float(model.number("nue", e)), 0, 200)[0]
    assert number / sphere_cm2(10.0) == pytest.approx(2.745e11, rel=1e-3)
    assert sphere_cm2(10.0) == pytest.approx(4 * np.pi * 3.0857e22**2, rel=1e-4)


def test_nothing_matters_above_the_highest_energy() -> None:
    model = FluxModel(flux())
    for kind in KINDS:
        beyond = quad(lambda e, k=kind: e**2 * float(model.number(k, e)), model.highest_mev, 1000)[0]
        assert beyond < 1e-10 * total(model, kind, power=2)


def test_forty_kilotons_of_argon() -> None:
    assert argon_atoms(40.0) == pytest.approx(6.03e32, rel=1e-3)
