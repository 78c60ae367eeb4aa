"""How easily a nucleus lets particles and gammas out: transmission coefficients.

Particles: a potential well of constant depth inside a radius, from which nothing is reflected back (the strong
absorption limit; Blatt & Weisskopf, Theoretical Nuclear Physics, chapter VIII), with the Coulomb and centrifugal
barrier outside. The radii for charged particles were fitted to a LArSoft production (50 CC events: 7 with a neutron, 6
with a proton, 2 with an alpha). Gammas: standard Lorentzian strength functions with the global parameters of RIPL-2
(IAEA-TECDOC-1506) and Kopecky & Uhl, Phys. Rev. C 41, 1941 (1990).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from snpoint.physics.constants import FINE_STRUCTURE, HBAR_C_MEV_FM
from snpoint.physics.simulation.events import ALPHA, MASS_MEV, NEUTRON, PROTON

FloatArray = npt.NDArray[np.float64]
ComplexArray = npt.NDArray[np.complex128]

HIGHEST_L = 7
LOWEST_NEUTRON_MEV, LOWEST_CHARGED_MEV = 0.02, 0.4
_GRID_MEV = np.concatenate([np.arange(0.02, 1.0, 0.04), np.arange(1.0, 10.0, 0.25), np.arange(10.0, 61.0, 2.0)])
_STEPS = 500


@dataclass(frozen=True)
class Fragment:
    """A particle that a nucleus emits."""

    pdg: int
    z: int
    a: int
    twice_spin: int
    radius_fm: tuple[float, float]  # R = first * A^(1/3) of what is left + second
    depth_mev: float  # kinetic energy inside minus that outside


FRAGMENTS = (
    Fragment(NEUTRON, 0, 1, 1, (1.35, 0.0), 42.0),
    Fragment(PROTON, 1, 1, 1, (1.35, 2.0), 42.0),
    Fragment(ALPHA, 2, 4, 0, (1.35, 3.4), 100.0),
)


class ParticleTransmission:
    """T_l(E) of one kind of particle and one nucleus."""

    def __init__(self, fragment: Fragment, z: int, a: int, mass_mev: float) -> None:
        reduced = MASS_MEV[fragment.pdg] * mass_mev / (MASS_MEV[fragment.pdg] + mass_mev)
        radius = fragment.radius_fm[0] * a ** (1 / 3) + fragment.radius_fm[1]
        per_mev = 2 * reduced / HBAR_C_MEV_FM**2
        charges = fragment.z * z * FINE_STRUCTURE * HBAR_C_MEV_FM
        lowest = LOWEST_CHARGED_MEV if fragment.z else LOWEST_NEUTRON_MEV
        self._energy = _GRID_MEV[lowest <= _GRID_MEV]
        derivative = radius * _outgoing(self._energy, per_mev, charges, radius)
        inside = radius * np.sqrt(per_mev * (self._energy + fragment.depth_mev))
        penetration, shift = np.maximum(derivative.imag, 1e-30), derivative.real
        self._logarithm = np.log(4 * penetration * inside / ((inside + penetration) ** 2 + shift**2))

    def of(self, energy_mev: FloatArray) -> FloatArray:
        """T_l, shape (l, energies); 0 below the lowest energies, where hardly a particle comes out."""
        inside = energy_mev >= self._energy[0]
        rows = [np.where(inside, np.exp(np.interp(energy_mev, self._energy, row)), 0.0) for row in self._logarithm]
        return np.asarray(rows)


def _outgoing(energies_mev: FloatArray, per_mev: float, charges: float, radius: float) -> ComplexArray:
    """u'/u of the outgoing wave at the radius [1/fm], shape (l, energies).

    Far outside it is that of the WKB wave; inwards the Riccati equation y' = V - y^2 is integrated.
    """
    energy = energies_mev[None, :]
    momenta = np.arange(HIGHEST_L + 1)[:, None]
    # Beyond both turning points, and some wavelengths further.
    wave = np.sqrt(per_mev * energy)
    far = radius + 3 * charges / energy + 3 * (momenta + 8) / wave
    stretch = np.log(far / radius)

    def potential(r: FloatArray) -> FloatArray:
        return np.asarray(per_mev * (charges / r - energy) + momenta * (momenta + 1) / r**2)

    def slope(t: float, y: ComplexArray) -> ComplexArray:
        r = radius * np.exp(stretch * t)
        return np.asarray(stretch * r * (potential(r) - y * y))

    local = np.sqrt(-potential(far))
    change = (per_mev * charges / far**2 + 2 * momenta * (momenta + 1) / far**3) / (2 * local)
    y = np.asarray(1j * local - change / (2 * local))
    step = -1.0 / _STEPS
    for k in range(_STEPS):
        t = 1.0 + k * step
        first = slope(t, y)
        second = slope(t + step / 2, y + step / 2 * first)
        third = slope(t + step / 2, y + step / 2 * second)
        fourth = slope(t + step, y + step * third)
        y = y + step / 6 * (first + 2 * second + 2 * third + fourth)
    return y


class GammaTransmission:
    """T(E) of electric and magnetic dipole and electric quadrupole radiation of one nucleus: 2 pi E^(2L+1) f(E)."""

    def __init__(self, z: int, a: int) -> None:
        root = a ** (1 / 3)
        energy, width = 31.2 / root + 20.6 / np.sqrt(root), 0.026 * (31.2 / root + 20.6 / np.sqrt(root)) ** 1.91
        self._dipole = (energy, width, 1.2 * 120 * (a - z) * z / (a * np.pi * width))
        energy, width = 63 / root, 6.11 - 0.012 * a
        self._quadrupole = (energy, width, 1.5e-4 * z * z * energy / (root * width))
        # At 7 MeV the electric dipole is 0.0588 A^0.878 times as strong as the magnetic one.
        self._magnetic = (41 / root, 4.0, 1.0)
        at_seven = np.array([7.0])
        ratio = 0.0588 * a**0.878 * _strength(at_seven, *self._magnetic, 1) / _strength(at_seven, *self._dipole, 1)
        self._magnetic = (41 / root, 4.0, float(1 / ratio[0]))

    def electric_dipole(self, energy_mev: FloatArray) -> FloatArray:
        """E1, of the shape of ``energy_mev``."""
        return np.asarray(2 * np.pi * energy_mev**3 * _strength(energy_mev, *self._dipole, 1))

    def magnetic_dipole(self, energy_mev: FloatArray) -> FloatArray:
        """M1, of the shape of ``energy_mev``."""
        return np.asarray(2 * np.pi * energy_mev**3 * _strength(energy_mev, *self._magnetic, 1))

    def electric_quadrupole(self, energy_mev: FloatArray) -> FloatArray:
        """E2, of the shape of ``energy_mev``."""
        return np.asarray(2 * np.pi * energy_mev**5 * _strength(energy_mev, *self._quadrupole, 2))


def _strength(energy: FloatArray, resonance: float, width: float, millibarn: float, multipole: int) -> FloatArray:
    """Standard Lorentzian f(E) [MeV^-(2L+1)]; 1 / (3 (pi hbar c)^2) = 8.674e-8 / (mb MeV^2)."""
    scale = 8.674e-8 * 3 / (2 * multipole + 1)
    shape = energy ** (3 - 2 * multipole) * width**2
    return np.asarray(scale * millibarn * shape / ((energy**2 - resonance**2) ** 2 + (energy * width) ** 2))
