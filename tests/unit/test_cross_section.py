"""Cross section and kinematics of elastic scattering of neutrinos on electrons."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import uproot
from scipy.integrate import quad

from snpoint.physics.constants import ELECTRON_MASS_MEV
from snpoint.physics.simulation.cross_section import (
    COUPLINGS,
    SIGMA0_CM2_MEV,
    cross_section_cm2,
    differential_cm2_mev,
    largest_electron_mev,
    least_neutrino_mev,
    scattering_cosine,
)
from snpoint.physics.simulation.flux import KINDS, Kind

ENERGIES = np.array([0.3, 1.0, 5.0, 12.0, 30.0, 80.0])
KIND = pytest.mark.parametrize("kind", KINDS)


# High-energy limit sigma0 E (gL^2 + gR^2 / 3) with sin^2 theta_W = 0.2312 [1e-45 cm^2/MeV]; LSND measured
# 10.1 +- 1.5 for the first (Phys. Rev. D 63, 112001).
@pytest.mark.parametrize(("kind", "slope"), [("nue", 9.521), ("nuebar", 3.991), ("nux", 1.552), ("nuxbar", 1.336)])
def test_total_at_high_energies(kind: Kind, slope: float) -> None:
    assert float(cross_section_cm2(kind, 1e5)) / 1e5 == pytest.approx(slope * 1e-45, rel=1e-3)


def test_scale() -> None:
    assert pytest.approx(1.7233e-44, rel=1e-4) == SIGMA0_CM2_MEV


@KIND
def test_integral_of_the_differential_one(kind: Kind) -> None:
    for energy in ENERGIES:
        top = float(largest_electron_mev(energy))
        for low, high in ((0.0, np.inf), (0.2 * top, 0.7 * top), (0.9 * top, 2 * top)):
            exact = quad(lambda t, e=energy: float(differential_cm2_mev(kind, e, t)), low, min(high, top), epsabs=0)
            assert float(cross_section_cm2(kind, energy, low, high)) == pytest.approx(exact[0], rel=1e-9)


@KIND
def test_nothing_beyond_the_highest_electron_and_nothing_negative(kind: Kind) -> None:
    top = largest_electron_mev(ENERGIES)
    assert (differential_cm2_mev(kind, ENERGIES, top * 1.0001) == 0).all()
    grid = np.linspace(0, 1, 50)[:, None] * top
    assert (differential_cm2_mev(kind, ENERGIES, grid) >= 0).all()
    assert (cross_section_cm2(kind, ENERGIES, top * 1.1) == 0).all()


def test_antineutrinos_exchange_left_and_right() -> None:
    assert COUPLINGS["nuebar"] == COUPLINGS["nue"][::-1]
    assert COUPLINGS["nuxbar"] == COUPLINGS["nux"][::-1]
    # Helicity: an antineutrino of high energy cannot give all of it to a left-handed electron.
    full = [float(differential_cm2_mev(kind, 1e4, largest_electron_mev(1e4))) for kind in ("nue", "nuebar")]
    assert full[0] / full[1] == pytest.approx((COUPLINGS["nue"][0] / COUPLINGS["nuebar"][0]) ** 2, rel=1e-3)


def test_least_neutrino_and_highest_electron_are_inverse() -> None:
    np.testing.assert_allclose(least_neutrino_mev(largest_electron_mev(ENERGIES)), ENERGIES, rtol=1e-12)
    for energy in ENERGIES:
        assert scattering_cosine(energy, float(largest_electron_mev(energy))) == pytest.approx(1.0, abs=1e-12)


def test_real_events_have_these_kinematics(real_data: Path) -> None:
    with uproot.open(real_data / "test_es_tpstream.root") as file:
        rows = file["triggerAnaDumpTPs/mctruths"].arrays(library="np")
    momentum = 1e3 * np.stack([rows[f"p{axis}"] for axis in "xyz"], axis=1)
    before, electron = rows["status_code"] == 0, (rows["status_code"] == 1) & (rows["pdg"] == 11)
    before &= rows["pdg"] == 12
    assert before.sum() == electron.sum() == 10
    energy, kinetic = 1e3 * rows["energy"][before], 1e3 * rows["energy"][electron] - ELECTRON_MASS_MEV
    sizes = np.linalg.norm(momentum[before], axis=1) * np.linalg.norm(momentum[electron], axis=1)
    cosine = (momentum[before] * momentum[electron]).sum(axis=1) / sizes
    ours = [scattering_cosine(e, t) for e, t in zip(energy.tolist(), kinetic.tolist(), strict=True)]
    np.testing.assert_allclose(cosine, ours, atol=1e-7)
