"""The 50 events of the real CC file, each beside 200 twins of its energies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import uproot
from scipy import stats
from toy_charged_current import charged_current, twin

from snpoint.physics.constants import ELECTRON_MASS_MEV
from snpoint.physics.simulation.events import ALPHA, ELECTRON, NEUTRON, NO_MOTHER, PHOTON, PROTON, Block
from snpoint.settings import Twin


def test_gammas_and_particles_of_real_events_are_those_of_their_twins(real_data: Path) -> None:
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


def test_real_neutrinos_have_the_energy_that_a_transition_needs(real_data: Path) -> None:
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
