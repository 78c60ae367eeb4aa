"""What nu_e CC interactions with argon must give: cross section, number of events, de-excitation."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from snpoint.physics.geometry import load_detector
from snpoint.physics.simulation.charged_current import ChargedCurrent
from snpoint.physics.simulation.deexcitation import deexcitation
from snpoint.physics.simulation.events import ALPHA, NEUTRON, PHOTON, PROTON
from snpoint.physics.simulation.flux import FluxModel, argon_atoms, sphere_cm2
from snpoint.physics.simulation.neutron_capture import CAPTURE_US, cascade
from snpoint.physics.simulation.strengths import Strengths
from snpoint.physics.validation.checks import SAMPLING, Check
from snpoint.physics.validation.elastic import DISTANCE_KPC, MASS_KT
from snpoint.settings import SimulateSettings

FloatArray = npt.NDArray[np.float64]

MARLEY1_CM2 = {
    9.9956: 5.2300e-42,
    19.9825: 5.2432e-41,
    30.0442: 1.8413e-40,
    40.0673: 4.1414e-40,
    50.0219: 7.4029e-40,
}
"""Neutrino energy [MeV] and cross section: SNOwGLoBES, xscns/xs_nue_Ar40_marley1.dat. Strengths of charge exchange."""
MARLEY2_CM2 = {
    9.9956: 4.7395e-42,
    19.9825: 4.8099e-41,
    25.0219: 9.9274e-41,
    40.0673: 3.9818e-40,
    50.0219: 7.1669e-40,
}
"""The same of xs_nue_Ar40_marley2.dat. Strengths of the mirror decay."""
FIRST_LINES = {0.1673: 74.0, 1.1866: 48.5, 4.7450: 51.2}
"""Gammas per 100 captures of slow neutrons on Ar-40, evaluated."""
TOLERANCE, LINE_TOLERANCE = 0.035, 0.15
_CAPTURES = 4000
_FIRST = {PHOTON: "gamma", NEUTRON: "neutron", PROTON: "proton", ALPHA: "alpha"}


class Curves(NamedTuple):
    """What the figure shows: lines by their names."""

    neutrino_mev: FloatArray  # (n,)
    cross_section_cm2: dict[str, FloatArray]  # of each (n,)
    published_cm2: dict[str, dict[float, float]]  # neutrino energy -> cross section
    excitation_mev: FloatArray  # (m,)
    first: dict[str, FloatArray]  # probability to be emitted first, of each particle (m,)


def checks(settings: SimulateSettings) -> list[Check]:
    """Numbers beside their references; seconds."""
    return [*cross_section_checks(), *count_checks(settings), *deexcitation_checks(), *capture_checks()]


def without_axial_coupling(strengths: Strengths, neutrino_mev: npt.ArrayLike) -> FloatArray:
    """Cross sections [cm^2] as they are if g_A^2 is forgotten, shape (energies,)."""
    return np.asarray((strengths.cross_sections_cm2(neutrino_mev) / strengths.axial**2).sum(axis=1))


def cross_section_checks() -> list[Check]:
    """Cross sections [cm^2] beside both tables of SNOwGLoBES, without g_A^2, as those are; then as simulated.

    Both tables agree with the strengths named in them if g_A^2 is left out, as MARLEY did until 2018.
    """
    simulated, mirror = Strengths(), Strengths("mirror_decay")
    rows = []
    for name, strengths, table in (("marley1", simulated, MARLEY1_CM2), ("marley2, Ti-40", mirror, MARLEY2_CM2)):
        bare = without_axial_coupling(strengths, list(table))
        for (energy, published), ours in zip(table.items(), bare, strict=True):
            rows.append(Check(f"CC without g_A^2, {name}, {energy:.0f} MeV", float(ours), 0.0, published, TOLERANCE))
    for name, table in (("marley1", MARLEY1_CM2), ("marley2", MARLEY2_CM2)):
        as_simulated = simulated.cross_sections_cm2(list(table)).sum(axis=1)
        for (energy, published), ours in zip(table.items(), as_simulated, strict=True):
            rows.append(Check(f"CC as simulated, {name}, {energy:.0f} MeV", float(ours), 0.0, published, None))
    return rows


def count(settings: SimulateSettings, strengths: Strengths) -> float:
    """Number of events for the settings' flux, by a sum over a grid of its own."""
    energy = np.linspace(3.8, 120.0, 8001)
    section = strengths.cross_sections_cm2(energy).sum(axis=1)
    number = float(np.trapezoid(FluxModel(settings.flux).number("nue", energy) * section, energy))
    return float(argon_atoms(MASS_KT) / sphere_cm2(DISTANCE_KPC)) * number


def count_checks(settings: SimulateSettings) -> list[Check]:
    """Number of events that the generator expects; and how much depends on the strengths."""
    ours = ChargedCurrent(settings, "checks", load_detector(settings.detector)).expected(MASS_KT, DISTANCE_KPC)
    by_sum, mirror = count(settings, Strengths()), count(settings, Strengths("mirror_decay"))
    return [
        Check(f"CC, all, no oscillation{SAMPLING}", ours, 0.0, by_sum, 0.01),
        Check("CC, all, beside strengths of Ti-40 decay", ours, 0.0, mirror, None),
    ]


def deexcitation_checks() -> list[Check]:
    """Where only one thing can happen: gammas below the thresholds, the neutron just above its own."""
    nuclei = deexcitation()
    low, high = nuclei.state(19, 40, 7.4, 2, 1), nuclei.state(19, 40, 7.952, 2, 1)
    return [
        Check(f"share of gammas at 7.4 MeV{SAMPLING}", nuclei.probabilities(low)[PHOTON], 0.0, 1.0, 0.001),
        Check(f"share of neutrons at 7.95 MeV{SAMPLING}", nuclei.probabilities(high)[NEUTRON], 0.0, 1.0, 0.02),
    ]


def capture_checks() -> list[Check]:
    """Time until capture and the strongest lines after it; their frequencies are weights of the cascade."""
    rng = np.random.default_rng(1)
    gammas = np.concatenate([cascade(rng) for _ in range(_CAPTURES)])
    # 1 / (n sigma v) with 1.396 g/cm^3 and 673 mb at 2200 m/s.
    rows = [Check("capture: mean delay [us]", CAPTURE_US, 0.0, 321.0, 0.01)]
    for line, evaluated in FIRST_LINES.items():
        share = float((np.abs(gammas - line) < 5e-4).sum() / _CAPTURES)
        error = 100 * np.sqrt(share * (1 - share) / _CAPTURES)
        name = f"capture: gammas of {1e3 * line:.0f} keV of 100{SAMPLING}"
        rows.append(Check(name, 100 * share, float(error), evaluated, LINE_TOLERANCE))
    return rows


def curves() -> Curves:
    """Cross sections against the energy of the neutrino, and the first particle against excitation."""
    energy, simulated, mirror = np.geomspace(5.0, 80.0, 120), Strengths(), Strengths("mirror_decay")
    levels = simulated.cross_sections_cm2(energy)
    sections = {
        "as simulated": levels.sum(axis=1),
        "with strengths of Ti-40 decay": mirror.cross_sections_cm2(energy).sum(axis=1),
        "as simulated, without $g_A^2$": without_axial_coupling(simulated, energy),
        "of it Fermi": levels[:, simulated.fermi].sum(axis=1),
    }
    excitation = np.arange(6.05, 26.0, 0.1)
    published = {"SNOwGLoBES, marley1": MARLEY1_CM2, "SNOwGLoBES, marley2": MARLEY2_CM2}
    return Curves(energy, sections, published, excitation, first_particles(excitation))


def first_particles(excitation_mev: FloatArray) -> dict[str, FloatArray]:
    """Probability that K-40 (1+) emits a gamma, neutron, proton or alpha first, by name."""
    nuclei = deexcitation()
    rows = [nuclei.probabilities(nuclei.state(19, 40, float(e), 2, 1)) for e in excitation_mev]
    return {name: np.array([row[pdg] for row in rows]) for pdg, name in _FIRST.items()}
