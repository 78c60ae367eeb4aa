"""Cross section and kinematics of elastic scattering of neutrinos on electrons at rest.

At tree level dsigma/dT = sigma0 [gL^2 + gR^2 (1 - T/E)^2 - gL gR m T / E^2], sigma0 = 2 GF^2 m / pi (Marciano & Parsa,
J. Phys. G 29 (2003) 2629). T: kinetic energy of the electron, E: energy of the neutrino, m: mass of the electron.
Left out: atomic binding (keV) and radiative corrections (a few percent of the rate).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from snpoint.physics.constants import ELECTRON_MASS_MEV, HBAR_C_MEV_CM
from snpoint.physics.simulation.flux import Kind

FloatArray = npt.NDArray[np.float64]

WEAK_MIXING = 0.2312
"""sin^2 of the weak mixing angle, MS-bar at the Z mass(PDG)."""
FERMI_MEV2 = 1.1663787e-11
"""Fermi's constant [1/MeV^2] (PDG)."""
SIGMA0_CM2_MEV = 2 * FERMI_MEV2**2 * ELECTRON_MASS_MEV / math.pi * HBAR_C_MEV_CM**2
"""Scale of the cross section [cm^2/MeV]."""
COUPLINGS: dict[Kind, tuple[float, float]] = {
    "nue": (0.5 + WEAK_MIXING, WEAK_MIXING),
    "nuebar": (WEAK_MIXING, 0.5 + WEAK_MIXING),
    "nux": (-0.5 + WEAK_MIXING, WEAK_MIXING),
    "nuxbar": (WEAK_MIXING, -0.5 + WEAK_MIXING),
}
"""Left and right coupling (gL, gR); of antineutrinos they change places, and only nue have the charged current."""


def largest_electron_mev(neutrino_mev: npt.ArrayLike) -> FloatArray:
    """Highest kinetic energy of the electron [MeV]: 2 E^2 / (2 E + m)."""
    energy = np.asarray(neutrino_mev, np.float64)
    return np.asarray(2 * energy**2 / (2 * energy + ELECTRON_MASS_MEV))


def least_neutrino_mev(electron_mev: npt.ArrayLike) -> FloatArray:
    """Lowest neutrino energy that gives an electron of this kinetic energy [MeV]."""
    electron = np.asarray(electron_mev, np.float64)
    return np.asarray(0.5 * (electron + np.sqrt(electron * (electron + 2 * ELECTRON_MASS_MEV))))


def scattering_cosine(neutrino_mev: float, electron_mev: float) -> float:
    """Cosine between neutrino and electron: (1 + m/E) sqrt(T / (T + 2m))."""
    root = math.sqrt(electron_mev / (electron_mev + 2 * ELECTRON_MASS_MEV))
    return min((1 + ELECTRON_MASS_MEV / neutrino_mev) * root, 1.0)


def shape(kind: Kind, neutrino_mev: npt.ArrayLike, electron_mev: npt.ArrayLike) -> FloatArray:
    """Cross section dsigma/dT in units of sigma0, where the kinematics allows it (not checked); arrays broadcast."""
    left, right = COUPLINGS[kind]
    energy = np.asarray(neutrino_mev, np.float64)
    ratio = np.asarray(electron_mev, np.float64) / energy
    return np.asarray(left**2 + right**2 * (1 - ratio) ** 2 - left * right * ELECTRON_MASS_MEV * ratio / energy)


def differential_cm2_mev(kind: Kind, neutrino_mev: npt.ArrayLike, electron_mev: npt.ArrayLike) -> FloatArray:
    """Cross section dsigma/dT per electron [cm^2/MeV], 0 beyond the highest T; arrays broadcast."""
    allowed = np.asarray(electron_mev) <= largest_electron_mev(neutrino_mev)
    return np.asarray(np.where(allowed, SIGMA0_CM2_MEV * shape(kind, neutrino_mev, electron_mev), 0.0))


def cross_section_cm2(
    kind: Kind, neutrino_mev: npt.ArrayLike, low_mev: float = 0.0, high_mev: float = np.inf
) -> FloatArray:
    """Cross section per electron [cm^2] for kinetic energies between two values, of the shape of ``neutrino_mev``."""
    left, right = COUPLINGS[kind]
    energy = np.asarray(neutrino_mev, np.float64)
    high = np.minimum(high_mev, largest_electron_mev(energy))
    low = np.minimum(low_mev, high)

    def integral(electron: FloatArray) -> FloatArray:
        ratio = electron / energy
        spin = right**2 * energy * (1 - (1 - ratio) ** 3) / 3
        return np.asarray(left**2 * electron + spin - left * right * ELECTRON_MASS_MEV * ratio**2 / 2)

    return np.asarray(SIGMA0_CM2_MEV * (integral(high) - integral(low)))
