"""Cross section of nu_e CC on argon, level by level, and the numbers of interactions that follow."""

from __future__ import annotations

import numpy as np
import pytest
from toy_charged_current import charged_current
from toy_simulation import settings

from snpoint.physics.constants import ELECTRON_MASS_MEV
from snpoint.physics.simulation.events import ARGON_40, MASS_MEV
from snpoint.physics.simulation.fermi import coulomb_factor
from snpoint.physics.simulation.strengths import Strengths, scattering_cosine

STRENGTHS = Strengths()
Q_MEV = MASS_MEV[1000190400] + ELECTRON_MASS_MEV - MASS_MEV[ARGON_40]


@pytest.mark.parametrize(
    ("neutrino_mev", "published_cm2"),
    [
        (9.9956, 5.2300e-42),
        (19.9825, 5.2432e-41),
        (30.0442, 1.8413e-40),
        (40.0673, 4.1414e-40),
        (50.0219, 7.4029e-40),
    ],
)
def test_cross_section_is_that_of_snowglobes_but_for_g_a_squared(neutrino_mev: float, published_cm2: float) -> None:
    # SNOwGLoBES, xs_nue_Ar40_marley1.dat: made before MARLEY had g_A^2 (1.26^2) in its Gamow-Teller strengths.
    levels = STRENGTHS.cross_sections_cm2(neutrino_mev)[0]
    without = levels[STRENGTHS.fermi].sum() + levels[~STRENGTHS.fermi].sum() / 1.26**2
    assert without == pytest.approx(published_cm2, rel=0.035)


def test_cross_section_is_the_sum_over_levels_and_zero_below_threshold() -> None:
    cc = charged_current()
    assert pytest.approx(1.5044, abs=1e-4) == Q_MEV
    assert cc.cross_section_cm2([0.5, 3.7]).tolist() == [0.0, 0.0]
    assert cc.cross_section_cm2(3.9) > 0
    np.testing.assert_allclose(cc.cross_section_cm2([20.0]), STRENGTHS.cross_sections_cm2(20.0).sum(), rtol=1e-12)


def test_cross_section_of_the_analog_state_by_hand() -> None:
    # G_F^2 V_ud^2 / pi p E F B(F), recoil neglected: 0.1%.
    energy = 30.0 - Q_MEV - 4.3837 + ELECTRON_MASS_MEV
    momentum = np.sqrt(energy**2 - ELECTRON_MASS_MEV**2)
    by_hand = (1.16638e-11 * 0.97373) ** 2 / np.pi * momentum * energy * 4 * 3.8938e-22
    factor = coulomb_factor(19, energy - ELECTRON_MASS_MEV, 40)
    assert STRENGTHS.cross_sections_cm2(30.0)[0, 0] == pytest.approx(float(by_hand * factor), rel=0.01)


def test_number_of_interactions_is_the_integral() -> None:
    cc = charged_current(electron={"min_mev": 0.0, "max_mev": 200.0})
    # 40 kt, 10 kpc, nu_e of 9.5 MeV: 5e52 erg / (4 pi d^2) / 9.5 MeV neutrinos per cm^2.
    energy = np.linspace(3.8, 100.0, 20_001)
    spectrum = energy**2.5 * np.exp(-3.5 * energy / 9.5)
    spectrum *= 5e52 * 624150.9 / 9.5 / (4 * np.pi * 3.0857e22**2) / (9.5**3.5 / 3.5**3.5 * 3.32335)
    by_hand = 40e9 / 39.948 * 6.02214e23 * np.trapezoid(spectrum * cc.cross_section_cm2(energy), energy)
    assert cc.expected(40.0, 10.0) == pytest.approx(by_hand, rel=2e-3)
    assert cc.expected(20.0, 20.0) == pytest.approx(cc.expected(40.0, 10.0) / 8)


def test_swapped_flavors_make_many_more() -> None:
    flux = settings().flux.model_dump()
    own, swapped, inverted, normal = (
        charged_current(flux=flux | changes).expected(40.0, 10.0)
        for changes in (
            {"oscillation": "none"},
            {"oscillation": "none", "nue": flux["nux"]},
            {"oscillation": "IMO"},
            {"oscillation": "NMO"},
        )
    )
    # nu_e survive with sin^2 theta12 cos^2 theta13 (IMO) or sin^2 theta13 (NMO); the others arrive as nu_x.
    assert swapped > 2.5 * own
    for found, survival in ((inverted, 0.296), (normal, 0.022)):
        assert found == pytest.approx(survival * own + (1 - survival) * swapped, rel=2e-3)


@pytest.mark.parametrize("slope", [-1 / 3, 0.0, 0.5, 1.0])
def test_cosines_are_inverted_exactly(slope: float) -> None:
    for uniform in (0.0, 0.1, 0.7, 1.0):
        cosine = scattering_cosine(uniform, slope)
        assert (cosine + 1) / 2 + slope * (cosine**2 - 1) / 4 == pytest.approx(uniform, abs=1e-12)
