"""nu_e CC interactions on argon: kinematics, rows, levels, twins."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from toy_charged_current import charged_current, twin

from snpoint.errors import ConfigError
from snpoint.physics.constants import ELECTRON_MASS_MEV
from snpoint.physics.simulation.charged_current import ChargedCurrent
from snpoint.physics.simulation.events import ALPHA, ARGON_40, ELECTRON, MASS_MEV, NEUTRON, NO_MOTHER, PHOTON, Block
from snpoint.physics.simulation.nuclides import nuclides
from snpoint.physics.simulation.strengths import Strengths

STRENGTHS = Strengths()
Q_MEV = MASS_MEV[1000190400] + ELECTRON_MASS_MEV - MASS_MEV[ARGON_40]


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


def test_interaction_conserves_energy_and_momentum() -> None:
    for block in drawn(charged_current(), 300):
        np.testing.assert_allclose(four_momentum(block), before(block), rtol=0, atol=1e-8)


def test_rows_are_those_of_the_real_files() -> None:
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


def test_angles_follow_the_allowed_transitions() -> None:
    # b ~ 1: 1 + cos for the analog state, 1 - cos / 3 else; laboratory and center of mass differ by 0.1%.
    cc = charged_current()
    cosines = [[cc._electron(np.random.default_rng([k]), 40.0, level)[1] for k in range(2000)] for level in (0, 1)]
    for values, slope in zip(cosines, (1.0, -1 / 3), strict=True):
        assert stats.kstest(values, lambda c, a=slope: (c + 1) / 2 + a * (c * c - 1) / 4).pvalue > 0.01


def test_electrons_at_one_energy_follow_the_strengths() -> None:
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


def test_window_holds_for_every_electron() -> None:
    window = {"min_mev": 8.0, "max_mev": 15.0}
    cc = charged_current(electron=window)
    energies = [block.particles.kinetic_mev[0] for block in drawn(cc, 300)]
    assert 8.0 <= min(energies) < max(energies) <= 15.0
    assert 0 < cc.expected(40.0, 10.0) < charged_current().expected(40.0, 10.0)


def test_an_empty_window_is_an_error_that_says_which() -> None:
    with pytest.raises(ConfigError, match=r"electron: .*min_mev 500 .*make the window wider"):
        charged_current(electron={"min_mev": 500.0, "max_mev": 501.0})


def test_one_direction_is_that_of_all_neutrinos() -> None:
    blocks = drawn(charged_current(direction=[0.0, 3.0, 4.0]), 5)
    for block in blocks:
        np.testing.assert_allclose(block.neutrino.direction, [0.0, 0.6, 0.8])  # type: ignore[union-attr]


def test_an_event_is_the_same_alone_and_in_any_order() -> None:
    cc = charged_current()
    once = drawn(cc, 40)
    for k in (39, 3, 17):
        again = charged_current().block(np.random.default_rng([3, k]))
        for first, second in zip(once[k].particles, again.particles, strict=True):
            np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(("electron_mev", "neutrino_mev"), [(12.0, 17.8878), (20.0, 25.9), (5.0, 24.3), (30.0, 60.0)])
def test_twin_keeps_its_electron_and_conserves(electron_mev: float, neutrino_mev: float) -> None:
    cc = charged_current()
    for k in range(30):
        block = cc.twin(np.random.default_rng(k), twin(electron_mev, neutrino_mev))
        assert block.particles.kinetic_mev[0] == electron_mev
        np.testing.assert_allclose(four_momentum(block), before(block), rtol=0, atol=1e-8)
        assert abs(block.particles.position_cm[0, 0]) == 150.0


def test_twin_in_the_continuum_leaves_the_excitation_that_its_energies_say() -> None:
    # 12.4 MeV: between two calculated levels.
    block = charged_current().twin(np.random.default_rng(1), twin(20.0, 33.9))
    assert block.neutrino is not None
    assert block.neutrino.energy_mev == pytest.approx(33.9, abs=1e-9)


def test_twin_below_takes_the_nearest_level_and_the_neutrino_the_rest() -> None:
    # 3.4 MeV: halfway between levels; the next one is 40 keV away at most.
    block = charged_current().twin(np.random.default_rng(1), twin(20.0, 24.92))
    assert block.neutrino is not None
    assert block.neutrino.energy_mev == pytest.approx(24.92, abs=0.06)
    assert block.particles.pdg[1] == 1000190400


def test_twin_with_too_little_energy_is_an_error_that_says_how_much() -> None:
    with pytest.raises(ConfigError, match=r"twins: neutrino_mev 20 is too little .*electron_mev 19; CC needs 20\.5"):
        charged_current().twin(np.random.default_rng(1), twin(19.0, 20.0))
