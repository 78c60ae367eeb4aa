"""What nu_e CC interactions with argon must give: cross section, number of events, de-excitation."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from snpoint.physics.geometry import load_detector
from snpoint.physics.simulation.charged_current import ChargedCurrent
from snpoint.physics.simulation.deexcitation import deexcitation
from snpoint.physics.simulation.events import NEUTRON, PHOTON
from snpoint.physics.simulation.neutron_capture import CAPTURE_US, cascade
from snpoint.physics.simulation.strengths import Strengths
from snpoint.physics.validation.elastic import DISTANCE_KPC, MASS_KT, Check
from snpoint.settings import SimulateSettings

FloatArray = npt.NDArray[np.float64]

AXIAL_COUPLING = 1.26
"""What Bhattacharya et al. (2009) use. SNOwGLoBES' table agrees if its square is left out, as MARLEY did until 2018."""
SNOWGLOBES_CM2 = {
    9.9956: 5.2300e-42,
    19.9825: 5.2432e-41,
    30.0442: 1.8413e-40,
    40.0673: 4.1414e-40,
    50.0219: 7.4029e-40,
}
"""Neutrino energy [MeV] and cross section: SNOwGLoBES, xscns/xs_nue_Ar40_marley1.dat."""
FIRST_LINES = {0.1673: 74.0, 1.1866: 48.5, 4.7450: 51.2}
"""Gammas per 100 captures of slow neutrons on Ar-40, evaluated."""
TOLERANCE, LINE_TOLERANCE = 0.035, 0.15
_CAPTURES = 4000


def checks(settings: SimulateSettings) -> list[Check]:
    """Numbers beside their references; seconds."""
    return [*cross_section_checks(), count_check(settings), *deexcitation_checks(), *capture_checks()]


def cross_section_checks() -> list[Check]:
    """Cross sections [cm^2] without the axial coupling, as the table is."""
    strengths = Strengths()
    rows = strengths.cross_sections_cm2(list(SNOWGLOBES_CM2)) * np.where(strengths.fermi, 1.0, AXIAL_COUPLING**-2)
    return [
        Check(f"CC cross section without g_A^2, {energy:.0f} MeV", float(ours), published, TOLERANCE)
        for (energy, published), ours in zip(SNOWGLOBES_CM2.items(), rows.sum(axis=1), strict=True)
    ]


def count_check(settings: SimulateSettings) -> Check:
    """Number of events for the settings' flux, beside flux times cross section summed over another grid."""
    generator = ChargedCurrent(settings, "checks", load_detector(settings.detector))
    energy = np.linspace(3.8, 120.0, 8001)
    flux = settings.flux.nue
    spectrum = energy**flux.alpha * np.exp(-(flux.alpha + 1) * energy / flux.mean_energy_mev)
    whole = np.linspace(0.0, 400.0, 40_001)
    norm = np.trapezoid(whole**flux.alpha * np.exp(-(flux.alpha + 1) * whole / flux.mean_energy_mev), whole)
    per_cm2 = flux.emitted_erg * 624150.9 / flux.mean_energy_mev / (4 * np.pi * (DISTANCE_KPC * 3.0857e21) ** 2)
    atoms = MASS_KT * 1e9 / 39.948 * 6.02214e23
    by_sum = atoms * per_cm2 / norm * np.trapezoid(spectrum * generator.cross_section_cm2(energy), energy)
    return Check("CC, all, no oscillation", generator.expected(MASS_KT, DISTANCE_KPC), float(by_sum), 0.01)


def deexcitation_checks() -> list[Check]:
    """Where only one thing can happen: gammas below the thresholds, the neutron just above its own."""
    nuclei = deexcitation()
    low, high = nuclei.state(19, 40, 7.4, 2, 1), nuclei.state(19, 40, 7.952, 2, 1)
    return [
        Check("share of gammas at 7.4 MeV", nuclei.probabilities(low)[PHOTON], 1.0, 0.001),
        Check("share of neutrons at 7.95 MeV", nuclei.probabilities(high)[NEUTRON], 1.0, 0.02),
    ]


def capture_checks() -> list[Check]:
    """Time until capture and the strongest lines after it."""
    rng = np.random.default_rng(1)
    gammas = np.concatenate([cascade(rng) for _ in range(_CAPTURES)])
    lines = [
        Check(
            f"capture: gammas of {1e3 * line:.0f} keV of 100",
            float(100 * (np.abs(gammas - line) < 5e-4).sum() / _CAPTURES),
            evaluated,
            LINE_TOLERANCE,
        )
        for line, evaluated in FIRST_LINES.items()
    ]
    # 1 / (n sigma v) with 1.396 g/cm^3 and 673 mb at 2200 m/s.
    return [Check("capture: mean delay [us]", CAPTURE_US, 321.0, 0.01), *lines]


def first_particles(excitation_mev: FloatArray) -> dict[int, FloatArray]:
    """Probability that K-40 (1+) emits a gamma, neutron, proton or alpha first, by PDG code."""
    nuclei = deexcitation()
    rows = [nuclei.probabilities(nuclei.state(19, 40, float(e), 2, 1)) for e in excitation_mev]
    return {pdg: np.array([row[pdg] for row in rows]) for pdg in rows[0]}
