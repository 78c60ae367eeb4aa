"""Showers: where the energy of each kind of particle goes, whose it is, and what a shower depends on.

Processes one by one: test_transport_processes.py; electrons beside Geant4's: test_validate_transport.py.
"""

from __future__ import annotations

import numpy as np
import pytest
from toy_transport import ALONG_Z, one, random_state

from snpoint.physics.constants import ELECTRON_MASS_MEV as MASS
from snpoint.physics.simulation.events import (
    ALPHA,
    ARGON_40,
    ELECTRON,
    NEUTRON,
    PHOTON,
    POSITRON,
    PROTON,
    Particles,
    particles,
)
from snpoint.physics.simulation.recombination import ELECTRONS_PER_MEV, escaping
from snpoint.physics.simulation.transport import Shower, Transport
from snpoint.physics.xoshiro import below, normal_pair, poisson, uniform


def copied(shower: Shower) -> list[np.ndarray]:
    return [np.copy(part) for part in shower]


def some_event() -> Particles:
    """One of each kind, apart from each other."""
    kinds = [ELECTRON, 12, PHOTON, POSITRON, NEUTRON, PROTON, ALPHA, ARGON_40, ELECTRON]
    n = len(kinds)
    places = np.arange(3 * n, dtype=float).reshape(n, 3)
    return particles(kinds, np.linspace(20.0, 2.0, n), places, ALONG_Z)


# --- energy --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kinetic", [0.012, 0.03, 0.2, 1.0, 10.0, 50.0])
@pytest.mark.parametrize(
    ("pdg", "annihilated"), [(ELECTRON, 0.0), (POSITRON, 2 * MASS), (PHOTON, 0.0), (PROTON, 0.0), (ALPHA, 0.0)]
)
def test_all_energy_is_deposited(pdg: int, annihilated: float, kinetic: float) -> None:
    transport, state = Transport(), random_state(3)
    for _ in range(20):
        deposits = transport.shower(one(pdg, kinetic), state).deposits
        assert deposits[:, 3].sum() == pytest.approx(kinetic + annihilated, rel=1e-10)
        assert (deposits[:, 3] >= 0).all() and (deposits[:, 4] > 0).all()
        assert np.isfinite(deposits).all()


@pytest.mark.parametrize("pdg", [12, -12, 14, NEUTRON, ARGON_40, 1000190400])
def test_neutrinos_neutrons_and_nuclei_leave_nothing(pdg: int) -> None:
    shower = Transport().shower(particles([pdg], 5.0, [1.0, 2.0, 3.0], ALONG_Z), random_state(1))
    assert (len(shower.deposits), shower.paths_cm.tolist(), shower.ends_cm.tolist()) == (0, [0.0], [[1.0, 2.0, 3.0]])


def test_a_particle_at_rest_is_no_problem() -> None:
    for pdg, energy in ((ELECTRON, 0.0), (PHOTON, 0.0), (PROTON, 0.0), (ALPHA, 0.0), (POSITRON, 2 * MASS)):
        shower = Transport().shower(one(pdg, 0.0), random_state(1))
        assert shower.deposits[:, 3].sum() == pytest.approx(energy)
        assert np.isfinite(shower.deposits).all() and shower.paths_cm[0] == 0.0


def test_an_event_without_particles_has_no_deposits() -> None:
    shower = Transport().shower(particles([], [], np.zeros((0, 3)), np.zeros((0, 3))), random_state(1))
    assert [len(part) for part in shower] == [0, 0, 0, 0, 0]


# --- whose energy --------------------------------------------------------------------------------------------------


def test_classes_tell_the_particle_from_its_descendants() -> None:
    transport, state = Transport(), random_state(4)
    photon = transport.shower(one(PHOTON, 6.1), state)
    assert set(photon.classes.tolist()) == {2}
    proton = transport.shower(one(PROTON, 5.0), state)
    assert set(proton.classes.tolist()) == {0}
    positron = transport.shower(one(POSITRON, 0.1), state)
    own = positron.deposits[positron.classes == 0, 3].sum()
    assert own == pytest.approx(0.1) and positron.deposits[positron.classes == 2, 3].sum() == pytest.approx(2 * MASS)
    # Not every electron makes a hard delta ray and a photon.
    classes = [set(transport.shower(one(ELECTRON, 30.0), state).classes.tolist()) for _ in range(10)]
    assert all(0 in own for own in classes) and set.union(*classes) == {0, 1, 2}


def test_each_deposit_knows_its_particle() -> None:
    event = some_event()
    shower = Transport().shower(event, random_state(5))
    assert (np.diff(shower.owners) >= 0).all()
    energy = np.bincount(shower.owners, shower.deposits[:, 3], minlength=len(event.pdg))
    silent = np.isin(event.pdg, [12, NEUTRON, ARGON_40])
    expected = np.where(silent, 0.0, event.kinetic_mev + 2 * MASS * (event.pdg == POSITRON))
    np.testing.assert_allclose(energy, expected, atol=1e-9)


def test_an_event_is_its_particles_one_after_the_other() -> None:
    event, state, again = some_event(), random_state(6), random_state(6)
    together = copied(Transport().shower(event, state))
    transport = Transport()
    for k in range(len(event.pdg)):
        alone = transport.shower(Particles(*(part[k : k + 1] for part in event)), again)
        own = together[2] == k
        np.testing.assert_array_equal(together[0][own], alone.deposits)
        np.testing.assert_array_equal(together[1][own], alone.classes)
        assert together[3][k] == alone.paths_cm[0]
        np.testing.assert_array_equal(together[4][k], alone.ends_cm[0])
    np.testing.assert_array_equal(state, again)


# --- what a shower depends on --------------------------------------------------------------------------------------


def test_a_shower_depends_on_its_state_only() -> None:
    transport = Transport()
    transport.shower(one(ELECTRON, 20.0), random_state(1))
    first = copied(transport.shower(one(ELECTRON, 20.0), random_state(2)))
    again = Transport(capacity=64).shower(one(ELECTRON, 20.0), random_state(2))
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    other = transport.shower(one(ELECTRON, 20.0), random_state(3))
    assert other.paths_cm[0] != first[3][0]


def test_the_particles_given_are_left_alone() -> None:
    event = some_event()
    before = [part.copy() for part in event]
    Transport(capacity=64).shower(event, random_state(1))
    for a, b in zip(before, event, strict=True):
        np.testing.assert_array_equal(a, b)


def test_many_soft_electrons_are_one_call() -> None:
    """As many as the Ar-39 decays of a readout window; the lists grow to hold them."""
    n = 3000
    event = particles(np.full(n, ELECTRON), 0.2, np.arange(3.0 * n).reshape(n, 3), ALONG_Z)
    shower = Transport().shower(event, random_state(7))
    energy = np.bincount(shower.owners, shower.deposits[:, 3])
    np.testing.assert_allclose(energy, 0.2, rtol=1e-10)
    assert np.linalg.norm(shower.ends_cm - event.position_cm, axis=1).max() < 0.1


@pytest.mark.parametrize(
    "direction", [(1.0, 0.0, 0.0), (0.0, -1.0, 0.0), (0.0, 0.0, -1.0), (2 / 3, -1 / 3, 2 / 3), (1e-12, 0.0, -1.0)]
)
def test_showers_turn_with_their_direction(direction: tuple[float, float, float]) -> None:
    """No axis is special: with the direction the end point turns, and its spread across is round."""
    transport, state, along = Transport(), random_state(5), np.array(direction)
    event = one(ELECTRON, 10.0, along)
    ends = np.array([transport.shower(event, state).ends_cm[0] for _ in range(2000)])
    error = 3.5 * 0.9 / np.sqrt(2000)
    assert (ends @ along).mean() == pytest.approx(2.46, abs=error)
    first = np.cross(along, [0.6, 0.64, 0.48])
    first /= np.linalg.norm(first)
    second = np.cross(along, first)
    across = ends @ np.stack([first, second], axis=1)
    assert np.abs(across.mean(axis=0)).max() < 3.5 * across.std() / np.sqrt(2000)
    assert abs(np.corrcoef(across.T)[0, 1]) < 3.5 / np.sqrt(2000)
    assert np.log(across[:, 0].std() / across[:, 1].std()) == pytest.approx(0.0, abs=3.5 / np.sqrt(2000))


# --- protons and alphas --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pdg", "kinetic", "range_cm"),
    [(PROTON, 2.90, 0.0168), (PROTON, 4.17, 0.0309), (PROTON, 8.03, 0.0946), (ALPHA, 4.83, 0.00435)],
)
def test_protons_and_alphas_go_straight_to_their_range(pdg: int, kinetic: float, range_cm: float) -> None:
    """Ranges: distances from start to end of particles in a LArSoft production."""
    shower = Transport().shower(one(pdg, kinetic), random_state(1))
    assert shower.paths_cm[0] == pytest.approx(range_cm, rel=0.06)
    np.testing.assert_allclose(shower.ends_cm[0], shower.paths_cm[0] * ALONG_Z, atol=1e-12)
    np.testing.assert_array_equal(shower.deposits[:, :2], 0.0)
    assert (np.diff(shower.deposits[:, 4]) > 0).all()  # denser and denser


@pytest.mark.parametrize(("kinetic", "per_mev"), [(2.90, 3300), (4.17, 3800), (8.03, 5300)])
def test_recombination_quenches_protons(kinetic: float, per_mev: float) -> None:
    """Electrons per MeV in the SimIDEs of such protons where nothing else left charge (LArSoft production)."""
    deposits = Transport().shower(one(PROTON, kinetic), random_state(1)).deposits
    electrons = sum(ELECTRONS_PER_MEV * row[3] * escaping(row[4]) for row in deposits)
    assert electrons / kinetic == pytest.approx(per_mev, rel=0.10)


# --- random numbers ------------------------------------------------------------------------------------------------


def test_random_numbers_have_their_distributions() -> None:
    state = random_state(11)
    values = np.array([uniform(state) for _ in range(20_000)])
    assert values.min() > 0 and values.max() < 1
    assert values.mean() == pytest.approx(0.5, abs=0.01) and values.var() == pytest.approx(1 / 12, rel=0.05)
    assert abs(np.corrcoef(values[:-1], values[1:])[0, 1]) < 0.03
    normal = np.array([normal_pair(state) for _ in range(10_000)])
    assert np.abs(normal.mean(axis=0)).max() < 0.04 and normal.std() == pytest.approx(1.0, abs=0.02)
    counts = np.array([poisson(state, 7.5) for _ in range(4000)])
    assert counts.mean() == pytest.approx(7.5, abs=0.2) and counts.var() == pytest.approx(7.5, rel=0.1)
    assert poisson(state, 0.0) == 0
    assert {below(state, 3) for _ in range(200)} == {0, 1, 2}


def test_the_generator_is_xoshiro256_plus_plus() -> None:
    # First outputs for the state (1, 2, 3, 4), as the reference implementation gives them, cut to 53 bits.
    state = np.array([1, 2, 3, 4], np.uint64)
    expected = [41943041, 58720359, 3588806011781223, 3591011842654386]
    for value in expected:
        assert uniform(state) == pytest.approx(((value >> 11) + 0.5) * 2.0**-53, rel=1e-15)
