"""De-excitation: conservation, thresholds, what real events show."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from scipy import stats

from snpoint.physics.simulation.deexcitation import Deexcitation, Emission, State, deexcitation
from snpoint.physics.simulation.events import ALPHA, MASS_MEV, NEUTRON, PHOTON, PROTON
from snpoint.physics.simulation.nuclides import LevelDensity, nuclides
from snpoint.physics.simulation.transmission import FRAGMENTS, Fragment, ParticleTransmission

NUCLEI = deexcitation()
SEPARATION_MEV = {PROTON: 7.582, NEUTRON: 7.800, ALPHA: 6.438}
"""Of K-40; AME2016."""


def potassium(energy_mev: float, twice_spin: int = 2) -> State:
    return NUCLEI.state(19, 40, energy_mev, twice_spin, 1)


def mass_of(pdg: int) -> float:
    known = {nuclide.pdg: nuclide.mass_mev for nuclide in nuclides().values()}
    return known[pdg] if pdg in known else MASS_MEV[pdg]


def four_momentum(row: Emission) -> np.ndarray:
    mass = mass_of(row.pdg)
    size = math.sqrt(row.kinetic_mev * (row.kinetic_mev + 2 * mass))
    return np.array([row.kinetic_mev + mass, *(size * np.array(row.direction))])


@pytest.mark.parametrize("energy_mev", [2.2899, 4.3837, 6.79, 7.952, 11.5911, 16.2332, 20.9457, 39.9])
def test_energy_and_momentum_are_conserved(energy_mev: float) -> None:
    rng, momentum = np.random.default_rng(1), (20.0, -30.0, 10.0)
    state = potassium(energy_mev, 0 if energy_mev == 4.3837 else 2)
    before = np.array([math.hypot(state.nuclide.mass_mev + state.energy_mev, *momentum), *momentum])
    for _ in range(100):
        emitted, nucleus = NUCLEI.cascade(rng, state, momentum)
        after = sum(four_momentum(row) for row in [*emitted, nucleus])
        np.testing.assert_allclose(after, before, rtol=0, atol=1e-8)


def test_charge_and_nucleons_are_conserved() -> None:
    rng = np.random.default_rng(2)
    carried = {PHOTON: (0, 0), NEUTRON: (0, 1), PROTON: (1, 1), ALPHA: (2, 4)}
    for _ in range(300):
        emitted, nucleus = NUCLEI.cascade(rng, potassium(24.0), (0.0, 0.0, 0.0))
        charge = nucleus.pdg // 10_000 % 1000 + sum(carried[row.pdg][0] for row in emitted)
        nucleons = nucleus.pdg // 10 % 1000 + sum(carried[row.pdg][1] for row in emitted)
        assert (charge, nucleons) == (19, 40)


@pytest.mark.parametrize("energy_mev", [2.2899, 2.7304, 3.8403, 4.3837])
def test_gammas_of_a_bound_level_share_its_energy(energy_mev: float) -> None:
    rng, state = np.random.default_rng(3), potassium(energy_mev)
    for _ in range(200):
        emitted, nucleus = NUCLEI.cascade(rng, state, (0.0, 0.0, 0.0))
        assert {row.pdg for row in emitted} == {PHOTON}
        assert sum(row.kinetic_mev for row in [*emitted, nucleus]) == pytest.approx(state.energy_mev, abs=1e-9)
        assert nucleus.kinetic_mev < 1e-3


def test_gammas_of_the_analog_state_are_those_of_the_scheme() -> None:
    # 4384 keV decays to the 1+ levels at 2290 (76%) and 2730 keV only.
    rng = np.random.default_rng(4)
    first = Counter(
        round(NUCLEI.cascade(rng, potassium(4.3837), (0.0, 0.0, 0.0))[0][0].kinetic_mev, 3) for _ in range(2000)
    )
    assert set(first) == {2.094, 1.653}
    assert first[2.094] / 2000 == pytest.approx(0.76, abs=0.04)


@pytest.mark.parametrize("pdg", [PROTON, NEUTRON, ALPHA])
def test_particles_need_their_separation_energy(pdg: int) -> None:
    threshold = SEPARATION_MEV[pdg]
    assert NUCLEI.probabilities(potassium(threshold - 0.1)).get(pdg, 0.0) == 0.0
    assert NUCLEI.probabilities(potassium(threshold + 8.0))[pdg] > 0.02


@pytest.mark.parametrize("energy_mev", [13.0, 16.2, 25.0])
def test_first_particles_are_as_frequent_as_their_probabilities(energy_mev: float) -> None:
    rng, state = np.random.default_rng(9), potassium(energy_mev)
    expected = {pdg: share for pdg, share in NUCLEI.probabilities(state).items() if share > 0.01}
    first = Counter(NUCLEI.cascade(rng, state, (0.0, 0.0, 0.0))[0][0].pdg for _ in range(1500))
    assert len(expected) > 1
    for pdg, share in expected.items():
        assert first[pdg] / 1500 == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / 1500)), pdg


def test_a_state_that_only_a_neutron_can_leave_takes_it() -> None:
    # 152 keV above the neutron threshold: protons are kept by the Coulomb barrier, gammas are slow.
    assert NUCLEI.probabilities(potassium(7.952))[NEUTRON] > 0.98


def test_protons_gain_on_neutrons_with_energy_above_the_barrier() -> None:
    ratio = [NUCLEI.probabilities(potassium(e)) for e in (9.0, 11.6, 16.2, 21.0)]
    protons = [row[PROTON] / row[NEUTRON] for row in ratio]
    assert protons == sorted(protons)
    assert protons[0] < 0.02


def test_particles_leave_isotropically_from_a_nucleus_at_rest() -> None:
    rng = np.random.default_rng(5)
    rows = [NUCLEI.cascade(rng, potassium(11.5911), (0.0, 0.0, 0.0))[0][0] for _ in range(2000)]
    for axis in range(3):
        assert stats.kstest([row.direction[axis] for row in rows], stats.uniform(-1, 2).cdf).pvalue > 0.001


def test_a_moving_nucleus_sends_its_gammas_forward() -> None:
    # cos' = (cos + b) / (1 + b cos): the mean is 2 b / 3.
    rng = np.random.default_rng(6)
    fast = potassium(4.3837).nuclide.mass_mev * 0.5
    rows = [NUCLEI.cascade(rng, potassium(4.3837), (0.0, 0.0, fast))[0][0] for _ in range(3000)]
    velocity = fast / math.hypot(fast, potassium(4.3837).nuclide.mass_mev)
    assert np.mean([row.direction[2] for row in rows]) == pytest.approx(2 * velocity / 3, abs=0.05)


def test_what_was_worked_out_before_changes_nothing() -> None:
    def one(nuclei: Deexcitation) -> tuple[list[Emission], Emission]:
        return nuclei.cascade(np.random.default_rng(8), nuclei.state(19, 40, 18.4256, 2, 1), (0.0, 0.0, 0.0))

    used, fresh = Deexcitation(), Deexcitation()
    for seed in range(20):
        used.cascade(np.random.default_rng(seed), used.state(19, 40, 20.0, 2, 1), (0.0, 0.0, 0.0))
    assert one(used) == one(fresh)


def test_every_branch_of_a_scheme_leads_down() -> None:
    for nuclide in nuclides().values():
        assert (np.diff(nuclide.energy_mev) > 0).all()
        for level, (final, cumulated) in enumerate(nuclide.branches):
            assert (final < level).all()
            assert not len(final) or cumulated[-1] == 1.0


@pytest.mark.parametrize(
    ("fragment", "z", "a"), [(FRAGMENTS[0], 19, 39), (FRAGMENTS[1], 18, 39), (FRAGMENTS[2], 17, 36)]
)
def test_transmission_rises_with_energy_and_falls_with_angular_momentum(fragment: Fragment, z: int, a: int) -> None:
    coefficients = ParticleTransmission(fragment, z, a, nuclides()[z, a].mass_mev).of(np.arange(0.5, 30.0, 0.25))
    assert ((coefficients >= 0) & (coefficients <= 1)).all()
    assert (np.diff(coefficients, axis=1) >= -1e-9).all()
    assert (np.diff(coefficients, axis=0) <= 1e-9).all()


def test_transmission_of_slow_neutrons_is_that_of_a_step_in_the_potential() -> None:
    # l = 0: 4 k K / (k + K)^2, k and K the wave numbers outside and inside (Blatt & Weisskopf).
    fragment = FRAGMENTS[0]
    energy = np.array([0.1, 1.0, 5.0])
    wave, inside = np.sqrt(energy), np.sqrt(energy + fragment.depth_mev)
    coefficients = ParticleTransmission(fragment, 19, 39, nuclides()[19, 39].mass_mev).of(energy)[0]
    np.testing.assert_allclose(coefficients, 4 * wave * inside / (wave + inside) ** 2, rtol=0.02)


def test_level_density_continues_the_counted_levels() -> None:
    # 85 levels of K-40 are known up to 4.70 MeV. Global formulas are good to a factor.
    nuclide = nuclides()[19, 40]
    density, _ = LevelDensity(19, 40, 39.963998166 * 931.49410242).of(np.array([4.0]))
    counted = ((nuclide.energy_mev > 3.3) & (nuclide.energy_mev < 4.7)).sum() / 1.4
    assert 0.5 < density[0] / counted < 3
