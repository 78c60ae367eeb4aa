"""The Coulomb field of the nucleus, and what it does to the electrons that leave it.

At the low energies of beta decay the Fermi function holds, at those of supernova neutrinos the modified effective
momentum approximation (Engel, Phys. Rev. C 57, 2004 (1998)). Where either could be used, the one nearer to 1 is
(Gardiner, Phys. Rev. C 103, 044604 (2021)).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln, loggamma

from snpoint.physics.constants import ELECTRON_MASS_MEV, FINE_STRUCTURE, HBAR_C_MEV_FM

FloatArray = npt.NDArray[np.float64]

RADIUS_FM = 1.2
"""Radius of a nucleus: this times A^(1/3)."""


def fermi_function(z_daughter: int, kinetic_mev: npt.ArrayLike, mass_number: int | None = None) -> FloatArray:
    """Fermi function F(Z, T) of electrons, of the shape of ``kinetic_mev``; at T = 0 it diverges as 1/p.

    2 (1 + g) (2 p R)^(2g - 2) exp(pi eta) |Gamma(g + i eta)|^2 / Gamma(2g + 1)^2, g^2 = 1 - (alpha Z)^2,
    eta = alpha Z E / p (Fermi, Z. Phys. 88, 161 (1934)). Without ``mass_number`` that of the valley of stability.
    """
    kinetic = np.asarray(kinetic_mev, np.float64)
    energy = kinetic + ELECTRON_MASS_MEV
    momentum = np.sqrt(kinetic * (kinetic + 2 * ELECTRON_MASS_MEV))
    charge = FINE_STRUCTURE * z_daughter
    power = np.sqrt(1 - charge**2)
    with np.errstate(divide="ignore", invalid="ignore"):
        eta = charge * energy / momentum
        size = 2 * momentum * _radius_fm(mass_number or _stable(z_daughter)) / HBAR_C_MEV_FM
        logarithm = (2 * power - 2) * np.log(size) + np.pi * eta + 2 * np.real(loggamma(power + 1j * eta))
        value = 2 * (1 + power) * np.exp(logarithm - 2 * gammaln(2 * power + 1))
    return np.asarray(np.where(kinetic > 0, value, np.inf))


def effective_momentum(z_daughter: int, kinetic_mev: npt.ArrayLike, mass_number: int) -> FloatArray:
    """Modified effective momentum approximation: p' E' / (p E), E' = E + 3 Z alpha / (2 R)."""
    kinetic = np.asarray(kinetic_mev, np.float64)
    depth = 1.5 * z_daughter * FINE_STRUCTURE * HBAR_C_MEV_FM / _radius_fm(mass_number)

    def phase_space(kinetic_energy: FloatArray) -> FloatArray:
        momentum = np.sqrt(kinetic_energy * (kinetic_energy + 2 * ELECTRON_MASS_MEV))
        return np.asarray(momentum * (kinetic_energy + ELECTRON_MASS_MEV))

    with np.errstate(divide="ignore"):
        return np.asarray(phase_space(kinetic + depth) / phase_space(kinetic))


def coulomb_factor(z_daughter: int, kinetic_mev: npt.ArrayLike, mass_number: int) -> FloatArray:
    """By what the Coulomb field changes the cross section for electrons of this energy: the smaller of the two."""
    # Both are larger than 1 for electrons.
    return np.minimum(
        fermi_function(z_daughter, kinetic_mev, mass_number),
        effective_momentum(z_daughter, kinetic_mev, mass_number),
    )


def _radius_fm(mass_number: int) -> float:
    return RADIUS_FM * float(mass_number ** (1 / 3))


def _stable(charge: int) -> int:
    """Mass number of the valley of stability at a charge: Z = A / (1.98 + 0.0155 A^(2/3)), the liquid drop's."""
    masses = np.arange(1, 300)
    return int(masses[np.argmin(np.abs(masses / (1.98 + 0.0155 * masses ** (2 / 3)) - charge))])
