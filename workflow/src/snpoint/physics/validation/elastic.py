"""What elastic scattering of a supernova's neutrinos must give: numbers of events and scattering angles.

The reference numbers hold for the pinched flux of `FLUX` (5e52 erg per flavor) at 10 kpc, 40 kt of argon, no
oscillation. They were worked out apart from this code, by sums over a grid of both energies, whose coarseness is
0.2 to 0.5%.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from snpoint.physics.angles import angle_deg
from snpoint.physics.geometry import load_detector
from snpoint.physics.simulation.cross_section import cross_section_cm2
from snpoint.physics.simulation.elastic import ELECTRONS_PER_ATOM, ElasticScattering, rates
from snpoint.physics.simulation.flux import KINDS, FluxModel, argon_atoms, sphere_cm2
from snpoint.physics.statistics import containment
from snpoint.physics.validation.checks import Check
from snpoint.settings import Flavour, Flux, SimulateSettings, Window

FloatArray = npt.NDArray[np.float64]
Oscillation = Literal["none", "NMO", "IMO"]

MASS_KT, DISTANCE_KPC = 40.0, 10.0
FRACTIONS = (0.5, 0.68, 0.9, 0.95)
"""Shares of the events inside the angles that are compared."""
ABOVE_MEV = {0: 532.99, 3: 355.61, 5: 263.25, 10: 115.06}
"""Electrons with more kinetic energy; those up to 50 MeV, but for the first."""
BY_KIND = {"nue": 259.75, "nuebar": 110.22, "nux": 87.47, "nuxbar": 75.55}
LSND = 10.1e-45, 1.5e-45
"""Measured sigma(nue e) / E [cm^2/MeV] at about 35 MeV, and its error (LSND, Phys. Rev. D 63, 112001 (2001))."""


class Smearing(NamedTuple):
    """Angle between electron and neutrino for electrons of a range of kinetic energies."""

    low_mev: float
    high_mev: float
    events: float
    angles_deg: tuple[float, float, float, float]  # that hold the shares FRACTIONS of the events


SMEARING = (
    Smearing(3, 5, 92.36, (21.373, 23.030, 25.572, 26.470)),
    Smearing(5, 7, 72.12, (15.990, 17.589, 19.671, 20.417)),
    Smearing(7, 10, 76.07, (12.020, 13.670, 15.848, 16.622)),
    Smearing(10, 15, 67.50, (8.571, 10.118, 12.295, 13.084)),
    Smearing(15, 20, 28.10, (6.197, 7.491, 9.377, 10.057)),
    Smearing(20, 30, 16.20, (4.599, 5.663, 7.340, 7.988)),
    Smearing(30, 50, 3.26, (3.136, 3.922, 5.242, 5.779)),
)
COUNT_TOLERANCE, ANGLE_TOLERANCE = 0.01, 0.015


def flux(oscillation: Oscillation = "none") -> Flux:
    """The flux of the reference numbers."""
    nue, nuebar, nux = (Flavour(mean_energy_mev=mean, alpha=2.5, emitted_erg=5e52) for mean in (9.5, 12.0, 15.6))
    return Flux(nue=nue, nuebar=nuebar, nux=nux, oscillation=oscillation)


def expected(flux: Flux, low_mev: float, high_mev: float = 1000.0) -> dict[str, float]:
    """Mean number of electrons between two kinetic energies, by kind of neutrino, for `MASS_KT` and `DISTANCE_KPC`."""
    energy, rate = rates(FluxModel(flux), Window(min_mev=low_mev, max_mev=high_mev))
    scale = ELECTRONS_PER_ATOM * argon_atoms(MASS_KT) / sphere_cm2(DISTANCE_KPC)
    return {kind: float(scale * np.trapezoid(row, energy)) for kind, row in zip(KINDS, rate, strict=True)}


def spectrum(flux: Flux, edges_mev: FloatArray) -> dict[str, FloatArray]:
    """Mean number of electrons in bins of kinetic energy, by kind of neutrino; as `expected`."""
    bins = [expected(flux, float(low), float(high)) for low, high in pairwise(edges_mev)]
    return {kind: np.array([numbers[kind] for numbers in bins]) for kind in KINDS}


def count_checks() -> list[Check]:
    """Numbers of events, in all, by kind and by energy; the cross section beside a measured one."""
    everything = expected(flux(), 0.0)
    rows = [("all electrons", sum(everything.values()), ABOVE_MEV[0])]
    rows += [(f"from {kind}", everything[kind], BY_KIND[kind]) for kind in KINDS]
    rows += [(f"T {low} to 50 MeV", sum(expected(flux(), low, 50).values()), ABOVE_MEV[low]) for low in (3, 5, 10)]
    for row in SMEARING:
        number = sum(expected(flux(), row.low_mev, row.high_mev).values())
        rows.append((f"T {row.low_mev:g} to {row.high_mev:g} MeV", number, row.events))
    sigma = float(cross_section_cm2("nue", 35.0)) / 35.0
    measured = Check("sigma(nue e) / E, LSND [1e-45 cm2/MeV]", sigma * 1e45, 0.0, LSND[0] * 1e45, LSND[1] / LSND[0])
    return [*(Check(name, ours, 0.0, reference, COUNT_TOLERANCE) for name, ours, reference in rows), measured]


def scattering_angles(settings: SimulateSettings, low_mev: float, high_mev: float, n: int, seed: int) -> FloatArray:
    """Angles between electron and neutrino [deg], shape (n,), of drawn interactions with the settings' flux."""
    window = settings.model_copy(update={"electron": Window(min_mev=low_mev, max_mev=high_mev)})
    generator = ElasticScattering(window, "smearing", load_detector(settings.detector))
    rng = np.random.default_rng(seed)
    pairs = np.empty((n, 2, 3))
    for pair in pairs:
        block = generator.block(rng)
        assert block.neutrino is not None  # noqa: S101 -- for the type checker
        pair[0], pair[1] = block.neutrino.direction, block.particles.direction[1]
    return angle_deg(pairs[:, 0], pairs[:, 1])


def smearing_checks(settings: SimulateSettings, n: int, seed: int = 1) -> list[Check]:
    """Angles of ``n`` drawn events per range of kinetic energies."""
    settings = settings.model_copy(update={"flux": flux(), "direction": "isotropic"})
    checks = []
    for row in SMEARING:
        angles = scattering_angles(settings, row.low_mev, row.high_mev, n, seed)
        for fraction, reference in zip(FRACTIONS, row.angles_deg, strict=True):
            # Angles that hold one standard error more or less than the share give the error of the angle.
            spread = math.sqrt(fraction * (1 - fraction) / n)
            error = 0.5 * (containment(angles, fraction + spread) - containment(angles, fraction - spread))
            name = f"angle of {fraction:.0%}, T {row.low_mev:g} to {row.high_mev:g} MeV [deg]"
            checks.append(Check(name, containment(angles, fraction), error, reference, ANGLE_TOLERANCE))
    return checks
