"""nu_e CC interactions on argon: cross section, kinematics, twins, and what the 50 real events show."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pytest
import uproot
from scipy import stats
from toy_simulation import settings

from snpoint.errors import ConfigError
from snpoint.physics.constants import ELECTRON_MASS_MEV
from snpoint.physics.geometry import load_detector
from snpoint.physics.simulation.charged_current import ChargedCurrent
from snpoint.physics.simulation.events import (
    ALPHA,
    ARGON_40,
    ELECTRON,
    MASS_MEV,
    NEUTRON,
    NO_MOTHER,
    PHOTON,
    PROTON,
    Block,
)
from snpoint.physics.simulation.fermi import coulomb_factor, effective_momentum, fermi_function
from snpoint.physics.simulation.nuclides import nuclides
from snpoint.physics.simulation.strengths import Strengths, scattering_cosine
from snpoint.settings import Twin

DETECTOR = load_detector("fdhd_1x2x2")
STRENGTHS = Strengths()
Q_MEV = MASS_MEV[1000190400] + ELECTRON_MASS_MEV - MASS_MEV[ARGON_40]


def charged_current(**changes: Any) -> ChargedCurrent:
    return ChargedCurrent(settings(generator="cc", **changes), "toy", DETECTOR)


def twin(electron_mev: float, neutrino_mev: float, abs_x_cm: float = 150.0) -> Twin:
    return Twin(interaction="CC", electron_mev=electron_mev, neutrino_mev=neutrino_mev, abs_x_cm=abs_x_cm)


def drawn(generator: ChargedCurrent, n: int) -> list[Block]:
    return [generator.block(np.random.default_rng([3, k])) for k in range(n)]


def four_momentum(block: Block) -> np.ndarray:
    """Of everything that leaves, without what captures made later."""
    rows = block.particles.mother == NO_MOTHER
    masses = MASS_MEV | {nuclide.pdg: nuclide.mass_mev for nuclide in nuclides().values()}
    mass = np.array([masses[pdg] for pdg in block.particles.pdg[rows].tolist()])
    kinetic = block.particles.kinetic_mev[rows]
    momentum = np.sqrt(kinetic * (kinetic + 2 * mass))[:, None] * block.particles.direction[rows]
    return np.array([(kinetic + mass).sum(), *momentum.sum(axis=0)])


def before(block: Block) -> np.ndarray:
    assert block.neutrino is not None
    energy = block.neutrino.energy_mev
    return np.array([energy + MASS_MEV[ARGON_40], *(energy * block.neutrino.direction)])


class TestCrossSection:
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
    def test_is_that_of_snowglobes_but_for_the_axial_coupling(self, neutrino_mev: float, published_cm2: float) -> None:
        # SNOwGLoBES, xs_nue_Ar40_marley1.dat: made before MARLEY had g_A^2 (1.26^2) in its Gamow-Teller strengths.
        levels = STRENGTHS.cross_sections_cm2(neutrino_mev)[0]
        without = levels[STRENGTHS.fermi].sum() + levels[~STRENGTHS.fermi].sum() / 1.26**2
        assert without == pytest.approx(published_cm2, rel=0.035)

    def test_is_their_sum_and_zero_below_threshold(self) -> None:
        cc = charged_current()
        assert pytest.approx(1.5044, abs=1e-4) == Q_MEV
        assert cc.cross_section_cm2([0.5, 3.7]).tolist() == [0.0, 0.0]
        assert cc.cross_section_cm2(3.9) > 0
        np.testing.assert_allclose(cc.cross_section_cm2([20.0]), STRENGTHS.cross_sections_cm2(20.0).sum(), rtol=1e-12)

    def test_of_the_analog_state_by_hand(self) -> None:
        # G_F^2 V_ud^2 / pi p E F B(F), recoil neglected: 0.1%.
        energy = 30.0 - Q_MEV - 4.3837 + ELECTRON_MASS_MEV
        momentum = np.sqrt(energy**2 - ELECTRON_MASS_MEV**2)
        by_hand = (1.16638e-11 * 0.97373) ** 2 / np.pi * momentum * energy * 4 * 3.8938e-22
        factor = coulomb_factor(19, energy - ELECTRON_MASS_MEV, 40)
        assert STRENGTHS.cross_sections_cm2(30.0)[0, 0] == pytest.approx(float(by_hand * factor), rel=0.01)

    def test_number_of_interactions_is_the_integral(self) -> None:
        cc = charged_current(electron={"min_mev": 0.0, "max_mev": 200.0})
        # 40 kt, 10 kpc, nu_e of 9.5 MeV: 5e52 erg / (4 pi d^2) / 9.5 MeV neutrinos per cm^2.
        energy = np.linspace(3.8, 100.0, 20_001)
        spectrum = energy**2.5 * np.exp(-3.5 * energy / 9.5)
        spectrum *= 5e52 * 624150.9 / 9.5 / (4 * np.pi * 3.0857e22**2) / (9.5**3.5 / 3.5**3.5 * 3.32335)
        by_hand = 40e9 / 39.948 * 6.02214e23 * np.trapezoid(spectrum * cc.cross_section_cm2(energy), energy)
        assert cc.expected(40.0, 10.0) == pytest.approx(by_hand, rel=2e-3)
        assert cc.expected(20.0, 20.0) == pytest.approx(cc.expected(40.0, 10.0) / 8)

    def test_swapped_flavors_make_many_more(self) -> None:
        flux = settings().flux.model_dump()
        expected = [
            charged_current(flux=flux | {"oscillation": o}).expected(40.0, 10.0) for o in ("none", "IMO", "NMO")
        ]
        assert expected == sorted(expected)
        assert expected == pytest.approx([2397, 5580, 6821], rel=0.01)


class TestCoulomb:
    def test_fermi_function_has_its_limits(self) -> None:
        # Slow electrons: 2 pi eta, times 1.15 for the size of the nucleus; Z = 0: nothing.
        kinetic = np.array([1e-4])
        eta = 19 / 137.036 * (kinetic + ELECTRON_MASS_MEV) / np.sqrt(kinetic * (kinetic + 2 * ELECTRON_MASS_MEV))
        assert fermi_function(19, kinetic, 40)[0] == pytest.approx(1.15 * 2 * np.pi * eta[0], rel=0.02)
        np.testing.assert_allclose(fermi_function(0, np.array([0.1, 1.0, 10.0])), 1.0, rtol=1e-12)

    def test_the_smaller_of_the_two_is_used(self) -> None:
        kinetic = np.array([1.0, 10.0, 30.0, 60.0, 90.0])
        pair = fermi_function(19, kinetic, 40), effective_momentum(19, kinetic, 40)
        np.testing.assert_array_equal(coulomb_factor(19, kinetic, 40), np.minimum(*pair))
        assert (pair[0] < pair[1]).tolist() == [True, True, True, False, False]


class TestInteraction:
    def test_conserves_energy_and_momentum(self) -> None:
        for block in drawn(charged_current(), 300):
            np.testing.assert_allclose(four_momentum(block), before(block), rtol=0, atol=1e-8)

    def test_rows_are_those_of_the_real_files(self) -> None:
        for block in drawn(charged_current(), 300):
            pdg, mother = block.particles.pdg, block.particles.mother
            assert (block.generator, block.target_pdg, block.neutrino.pdg) == ("marley", ARGON_40, 12)  # type: ignore[union-attr]
            assert pdg[0] == ELECTRON
            assert pdg[1] > 10**9
            assert pdg[1] != ALPHA
            captured = mother != NO_MOTHER
            assert (pdg[captured] == PHOTON).all()
            assert (pdg[mother[captured]] == NEUTRON).all()
            assert (np.diff(captured.astype(int)) >= 0).all()
            assert (block.particles.time_us[~captured] == 0).all()
            assert (block.particles.time_us[captured] > 0).all()
            assert (block.particles.position_cm[~captured] == block.particles.position_cm[0]).all()

    def test_angles_follow_the_allowed_transitions(self) -> None:
        # b ~ 1: 1 + cos for the analog state, 1 - cos / 3 else; laboratory and center of mass differ by 0.1%.
        cc = charged_current()
        cosines = [[cc._electron(np.random.default_rng([k]), 40.0, level)[1] for k in range(2000)] for level in (0, 1)]
        for values, slope in zip(cosines, (1.0, -1 / 3), strict=True):
            assert stats.kstest(values, lambda c, a=slope: (c + 1) / 2 + a * (c * c - 1) / 4).pvalue > 0.01

    @pytest.mark.parametrize("slope", [-1 / 3, 0.0, 0.5, 1.0])
    def test_cosines_are_inverted_exactly(self, slope: float) -> None:
        for uniform in (0.0, 0.1, 0.7, 1.0):
            cosine = scattering_cosine(uniform, slope)
            assert (cosine + 1) / 2 + slope * (cosine**2 - 1) / 4 == pytest.approx(uniform, abs=1e-12)

    def test_electrons_at_one_energy_follow_the_strengths(self) -> None:
        # A narrow window of neutrino energies: levels as frequent as their cross sections (chi square).
        cc, energy = charged_current(), 30.0
        blocks = [block for block in drawn(cc, 4000) if abs(block.neutrino.energy_mev - energy) < 4]  # type: ignore[union-attr]
        assert len(blocks) > 200
        excitation = np.array([b.neutrino.energy_mev - b.particles.kinetic_mev[0] for b in blocks]) - Q_MEV  # type: ignore[union-attr]
        edges = np.array([0.0, 2.6, 3.4, 4.2, 4.49, 7.0, 10.0, 40.0])
        found = np.histogram(excitation, edges)[0]
        energies = np.array([b.neutrino.energy_mev for b in blocks])  # type: ignore[union-attr]
        shares = STRENGTHS.cross_sections_cm2(energies)
        shares /= shares.sum(axis=1)[:, None]
        wanted = np.histogram(np.broadcast_to(STRENGTHS.energy_mev, shares.shape), edges, weights=shares)[0]
        assert stats.chisquare(found, wanted * found.sum() / wanted.sum()).pvalue > 0.01

    def test_window_holds_for_every_electron(self) -> None:
        window = {"min_mev": 8.0, "max_mev": 15.0}
        cc = charged_current(electron=window)
        energies = [block.particles.kinetic_mev[0] for block in drawn(cc, 300)]
        assert 8.0 <= min(energies) < max(energies) <= 15.0
        assert 0 < cc.expected(40.0, 10.0) < charged_current().expected(40.0, 10.0)

    def test_an_empty_window_is_an_error_that_says_which(self) -> None:
        with pytest.raises(ConfigError, match=r"electron: .*min_mev 500 .*make the window wider"):
            charged_current(electron={"min_mev": 500.0, "max_mev": 501.0})

    def test_one_direction_is_that_of_all_neutrinos(self) -> None:
        blocks = drawn(charged_current(direction=[0.0, 3.0, 4.0]), 5)
        for block in blocks:
            np.testing.assert_allclose(block.neutrino.direction, [0.0, 0.6, 0.8])  # type: ignore[union-attr]

    def test_an_event_is_the_same_alone_and_in_any_order(self) -> None:
        cc = charged_current()
        once = drawn(cc, 40)
        for k in (39, 3, 17):
            again = charged_current().block(np.random.default_rng([3, k]))
            for first, second in zip(once[k].particles, again.particles, strict=True):
                np.testing.assert_array_equal(first, second)

    def test_costs_less_than_a_millisecond(self) -> None:
        # 0.12 ms on one core; the limit leaves room for a busy machine.
        cc, times = charged_current(), []
        drawn(cc, 200)
        for k in range(200):
            start = perf_counter()
            cc.block(np.random.default_rng([3, k]))
            times.append(perf_counter() - start)
        assert np.median(times) < 1e-3


class TestTwin:
    @pytest.mark.parametrize(
        ("electron_mev", "neutrino_mev"), [(12.0, 17.8878), (20.0, 25.9), (5.0, 24.3), (30.0, 60.0)]
    )
    def test_keeps_its_electron_and_conserves(self, electron_mev: float, neutrino_mev: float) -> None:
        cc = charged_current()
        for k in range(30):
            block = cc.twin(np.random.default_rng(k), twin(electron_mev, neutrino_mev))
            assert block.particles.kinetic_mev[0] == electron_mev
            np.testing.assert_allclose(four_momentum(block), before(block), rtol=0, atol=1e-8)
            assert abs(block.particles.position_cm[0, 0]) == 150.0

    def test_in_the_continuum_leaves_the_excitation_that_its_energies_say(self) -> None:
        # 12.4 MeV: between two calculated levels.
        block = charged_current().twin(np.random.default_rng(1), twin(20.0, 33.9))
        assert block.neutrino is not None
        assert block.neutrino.energy_mev == pytest.approx(33.9, abs=1e-9)

    def test_below_takes_the_nearest_level_and_the_neutrino_the_rest(self) -> None:
        # 3.4 MeV: halfway between levels; the next one is 40 keV away at most.
        block = charged_current().twin(np.random.default_rng(1), twin(20.0, 24.92))
        assert block.neutrino is not None
        assert block.neutrino.energy_mev == pytest.approx(24.92, abs=0.06)
        assert block.particles.pdg[1] == 1000190400

    def test_too_little_energy_is_an_error_that_says_how_much(self) -> None:
        with pytest.raises(
            ConfigError, match=r"twins: neutrino_mev 20 is too little .*electron_mev 19; CC needs 20\.5"
        ):
            charged_current().twin(np.random.default_rng(1), twin(19.0, 20.0))


class TestRealEvents:
    """The 50 events of the real CC file; each beside 200 twins of its energies."""

    def test_gammas_and_particles_agree(self, real_data: Path) -> None:
        events, cc, rng = real_events(real_data), charged_current(), np.random.default_rng(5)
        ranks: dict[str, list[float]] = {"gammas": [], "gamma energy": []}
        found, mean, variance = np.zeros(3), np.zeros(3), np.zeros(3)
        for k, (request, number, energy, heavy) in enumerate(events):
            rows = [summary(cc.twin(np.random.default_rng([k, t]), request)) for t in range(200)]
            numbers, energies = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
            # Doppler shifts move a sum by 20 keV; equal values share their rank at random.
            ranks["gammas"].append(rank(numbers, number, 0.0, rng))
            ranks["gamma energy"].append(rank(energies, energy, 0.02, rng))
            emitted = np.array([row[2] for row in rows])
            found, mean, variance = found + heavy, mean + emitted.mean(axis=0), variance + emitted.var(axis=0)
        for name, values in ranks.items():
            assert stats.kstest(values, "uniform").pvalue > 0.01, name
        # Neutrons 7, protons 6, alphas 2: within what 50 events can tell (2.6 standard deviations: p 0.01).
        assert (np.abs(found - mean) < 2.6 * np.sqrt(variance) + 0.5).all(), (found, mean, variance)

    def test_their_neutrinos_have_the_energy_that_a_transition_needs(self, real_data: Path) -> None:
        # Each real event is one of our transitions, at an angle that its recoil allows: its neutrino need not be moved.
        cc = charged_current()
        moved = [
            abs(cc.twin(np.random.default_rng(1), request).neutrino.energy_mev - request.neutrino_mev)  # type: ignore[union-attr]
            for request, *_ in real_events(real_data)
        ]
        assert np.quantile(moved, 0.9) < 1e-4
        assert max(moved) < 5e-3


def real_events(folder: Path) -> list[tuple[Twin, int, float, np.ndarray]]:
    """Energies of the real CC events; number and energy of their gammas; neutrons, protons and alphas."""
    names = ["Event", "pdg", "status_code", "energy"]
    with uproot.open(folder / "test_cc_tpstream.root") as file:
        rows = file["triggerAnaDumpTPs/mctruths"].arrays(names, library="np")
    out = []
    for event in np.unique(rows["Event"]):
        own = rows["Event"] == event
        pdg, energy, final = (
            rows["pdg"][own],
            1e3 * rows["energy"][own].astype(np.float64),
            rows["status_code"][own] == 1,
        )
        gammas = energy[final & (pdg == PHOTON)]
        heavy = np.array([(final & (pdg == code)).sum() for code in (NEUTRON, PROTON, ALPHA)])
        electron = float(energy[final & (pdg == ELECTRON)][0]) - ELECTRON_MASS_MEV
        out.append((twin(electron, float(energy[pdg == 12][0])), len(gammas), float(gammas.sum()), heavy))
    return out


def summary(block: Block) -> tuple[int, float, list[int]]:
    own = block.particles.mother == NO_MOTHER
    pdg, energy = block.particles.pdg[own], block.particles.kinetic_mev[own]
    gammas = energy[pdg == PHOTON]
    return len(gammas), float(gammas.sum()), [int((pdg == code).sum()) for code in (NEUTRON, PROTON, ALPHA)]


def rank(values: np.ndarray, real: float, tolerance: float, rng: np.random.Generator) -> float:
    """Place of the real value among simulated ones, from 0 to 1."""
    equal = np.abs(values - real) <= tolerance
    return float(((values < real) & ~equal).mean() + rng.random() * equal.mean())
