"""Energies of the electrons of beta decays: phase space, Coulomb field of the daughter, forbidden shape."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln, loggamma

from snpoint.physics.constants import ELECTRON_MASS_MEV, FINE_STRUCTURE, HBAR_C_MEV_FM
from snpoint.physics.simulation.fermi import RADIUS_FM, fermi_function

FloatArray = npt.NDArray[np.float64]
Shape = Literal["allowed", "unique"]

_GRID = 4001


def spectrum(
    z_daughter: int, mass_number: int, endpoint_mev: float, shape: Shape, kinetic_mev: FloatArray
) -> FloatArray:
    """Density of the kinetic energy, not normalized: F(Z, T) p E q^2 C; zero outside of (0, end point).

    C is 1 for an ``allowed`` shape, q^2 + lambda_2 p^2 for a ``unique`` first forbidden one (Behrens and Jaenecke,
    Numerical Tables for Beta-Decay, Landolt-Boernstein I/4 (1969)); q is the momentum of the neutrino.
    """
    inside = (kinetic_mev > 0) & (kinetic_mev < endpoint_mev)
    kinetic = np.where(inside, kinetic_mev, 0.5 * endpoint_mev)
    momentum = np.sqrt(kinetic * (kinetic + 2 * ELECTRON_MASS_MEV))
    neutrino = endpoint_mev - kinetic
    density = fermi_function(z_daughter, kinetic, mass_number) * momentum * (kinetic + ELECTRON_MASS_MEV) * neutrino**2
    if shape == "unique":
        density = density * (neutrino**2 + coulomb_ratio(z_daughter, mass_number, kinetic) * momentum**2)
    return np.asarray(np.where(inside, density, 0.0))


def coulomb_ratio(z_daughter: int, mass_number: int, kinetic_mev: FloatArray) -> FloatArray:
    """lambda_2 = F_1/F_0 (2 + g_2) / (2 + 2 g_1): how much the field favors electrons of j = 3/2; 1 without a charge.

    F_(k-1) = [Gamma(2k + 1) / (Gamma(k) Gamma(2 g_k + 1))]^2 (2 p R)^(2 (g_k - k)) exp(pi eta) |Gamma(g_k + i eta)|^2,
    g_k^2 = k^2 - (alpha Z)^2 (Behrens and Jaenecke, as above).
    """
    momentum = np.sqrt(kinetic_mev * (kinetic_mev + 2 * ELECTRON_MASS_MEV))
    charge = FINE_STRUCTURE * z_daughter
    eta = charge * (kinetic_mev + ELECTRON_MASS_MEV) / momentum
    size = np.log(2 * momentum * RADIUS_FM * mass_number ** (1 / 3) / HBAR_C_MEV_FM)
    powers, logarithms = [], []
    for k in (1, 2):
        power = float(np.sqrt(k**2 - charge**2))
        constant = 2 * (gammaln(2 * k + 1) - gammaln(k) - gammaln(2 * power + 1))
        logarithms.append(constant + 2 * (power - k) * size + 2 * np.real(loggamma(power + 1j * eta)))
        powers.append(power)
    return np.asarray(np.exp(logarithms[1] - logarithms[0]) * (2 + powers[1]) / (2 + 2 * powers[0]))


class BetaSpectrum:
    """Kinetic energies of the electrons of one beta branch.

    Parameters
    ----------
    z_daughter, mass_number
        Charge and mass number of the daughter.
    endpoint_mev
        Largest kinetic energy [MeV].
    shape
        ``allowed`` or ``unique`` (first forbidden).
    """

    def __init__(self, z_daughter: int, mass_number: int, endpoint_mev: float, shape: Shape) -> None:
        self.endpoint_mev = endpoint_mev
        # Quadratic spacing: at low energies F p tends to a constant, but over a scale that shrinks with p.
        self.kinetic_mev = endpoint_mev * np.linspace(0.0, 1.0, _GRID) ** 2
        self.density = spectrum(z_daughter, mass_number, endpoint_mev, shape, self.kinetic_mev)
        self.density[0] = self.density[1]  # the limit; spectrum() is defined inside only
        steps = 0.5 * (self.density[1:] + self.density[:-1]) * np.diff(self.kinetic_mev)
        self.density /= steps.sum()
        self._integral = np.concatenate([[0.0], np.cumsum(steps) / steps.sum()])

    @property
    def mean_mev(self) -> float:
        """Mean kinetic energy [MeV]."""
        return float(np.trapezoid(self.kinetic_mev * self.density, self.kinetic_mev))

    def cumulative(self, kinetic_mev: npt.ArrayLike) -> FloatArray:
        """Share of the electrons below a kinetic energy."""
        return np.asarray(np.interp(np.asarray(kinetic_mev, np.float64), self.kinetic_mev, self._integral))

    def energy(self, uniform: FloatArray) -> FloatArray:
        """Kinetic energies [MeV] from uniform numbers in [0, 1), by inverting the integral."""
        return np.asarray(np.interp(uniform, self._integral, self.kinetic_mev))


@lru_cache(maxsize=64)
def beta_spectrum(z_daughter: int, mass_number: int, endpoint_mev: float, shape: Shape) -> BetaSpectrum:
    """The spectrum of a branch, made once."""
    return BetaSpectrum(z_daughter, mass_number, endpoint_mev, shape)
