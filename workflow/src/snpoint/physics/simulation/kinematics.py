"""Primary electrons of elastic neutrino-electron scattering, and the neutrinos that made them.

The electron comes first: its energy from a spectrum of the settings, its direction isotropic. The neutrino
follows: energy from p(E | T) ~ flux(E) dsigma/dT(E, T), angle from two-body kinematics, azimuth random. All
functions turn uniform numbers into samples, so that an event depends on its own numbers alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import gammainc, gammaincinv

from snpoint.errors import ConfigError
from snpoint.physics.angles import isotropic
from snpoint.physics.constants import ELECTRON_MASS_MEV
from snpoint.physics.geometry import Detector
from snpoint.settings import Flux, Spectrum

FloatArray = npt.NDArray[np.float64]

N_UNIFORMS = 9
"""Uniform numbers one event needs."""
WEAK_MIXING = 0.2312
"""sin^2 of the weak mixing angle."""
COUPLINGS = (0.5 + WEAK_MIXING, WEAK_MIXING)
"""Left and right coupling (gL, gR) of electron neutrinos."""
_GRID = 513


@dataclass(frozen=True)
class Primaries:
    """Primary electrons of n events and their neutrinos; directions are unit vectors, shape (n, 3)."""

    energy_mev: FloatArray  # kinetic energy of the electron
    direction: FloatArray
    neutrino_energy_mev: FloatArray
    neutrino_direction: FloatArray
    vertex_cm: FloatArray  # (n, 3)


def draw_primaries(
    uniforms: FloatArray, spectrum: Spectrum, flux: Flux, detector: Detector, margin_cm: float
) -> Primaries:
    """Turn uniform numbers, shape (n, `N_UNIFORMS`), into primaries.

    Raises
    ------
    ConfigError
        The vertex margin leaves no room, or the spectrum has no events in its window.
    """
    energy = electron_energy(uniforms[:, 0], spectrum)
    direction = isotropic(uniforms[:, 1], uniforms[:, 2])
    neutrino_energy = parent_energy(uniforms[:, 3], energy, flux)
    cosine = scattering_cosine(neutrino_energy, energy)
    neutrino_direction = rotated(direction, cosine, 2 * np.pi * uniforms[:, 4])
    vertex = uniform_vertices(uniforms[:, 5:9], detector, margin_cm)
    return Primaries(energy, direction, neutrino_energy, neutrino_direction, vertex)


def electron_energy(uniform: FloatArray, spectrum: Spectrum) -> FloatArray:
    """Kinetic energies [MeV] from the Gamma distribution cut to its window, by inverting its integral."""
    low, high = (gammainc(spectrum.shape, edge / spectrum.scale_mev) for edge in (spectrum.min_mev, spectrum.max_mev))
    if not high > low:
        raise ConfigError(
            f"spectrum: no events between min_mev {spectrum.min_mev} and max_mev {spectrum.max_mev};"
            " make the window wider or change shape and scale_mev"
        )
    value = spectrum.scale_mev * gammaincinv(spectrum.shape, low + uniform * (high - low))
    return np.asarray(np.clip(value, spectrum.min_mev, spectrum.max_mev))


def least_parent_energy(electron_mev: FloatArray) -> FloatArray:
    """Lowest neutrino energy that gives an electron of this kinetic energy [MeV]."""
    return np.asarray(0.5 * (electron_mev + np.sqrt(electron_mev * (electron_mev + 2 * ELECTRON_MASS_MEV))))


def scattering_cosine(neutrino_mev: FloatArray, electron_mev: FloatArray) -> FloatArray:
    """Cosine between neutrino and electron: (1 + m/E) sqrt(T / (T + 2m))."""
    root = np.sqrt(electron_mev / (electron_mev + 2 * ELECTRON_MASS_MEV))
    return np.minimum((1 + ELECTRON_MASS_MEV / neutrino_mev) * root, 1.0)


def cross_section_shape(neutrino_mev: FloatArray, electron_mev: FloatArray) -> FloatArray:
    """Shape of dsigma/dT for electron neutrinos: gL^2 + gR^2 (1 - T/E)^2 - gL gR m T/E^2."""
    left, right = COUPLINGS
    ratio = electron_mev / neutrino_mev
    return np.asarray(left**2 + right**2 * (1 - ratio) ** 2 - left * right * ELECTRON_MASS_MEV * ratio / neutrino_mev)


def parent_energy(uniform: FloatArray, electron_mev: FloatArray, flux: Flux) -> FloatArray:
    """Neutrino energies [MeV] given those of the electrons, from the pinched flux times the cross section.

    The integral is inverted on a grid of 513 points over 30 decay lengths of the flux above the least energy.
    """
    least = least_parent_energy(electron_mev)
    decay = flux.mean_energy_mev / (flux.alpha + 1)
    # Quadratic spacing: the density is largest, and may change fastest, at the least energy.
    above = (30 * decay * np.linspace(0, 1, _GRID) ** 2)[None, :]
    energy = least[:, None] + above
    density = (energy / least[:, None]) ** flux.alpha * np.exp(-above / decay)
    density = density * np.maximum(cross_section_shape(energy, electron_mev[:, None]), 0.0)
    steps = 0.5 * (density[:, 1:] + density[:, :-1]) * np.diff(above)
    integral = np.concatenate([np.zeros((len(least), 1)), np.cumsum(steps, axis=1)], axis=1)
    wanted = uniform * integral[:, -1]
    drawn = [np.interp(w, row, above[0]) for w, row in zip(wanted, integral, strict=True)]
    return least + np.array(drawn, np.float64)


def rotated(direction: FloatArray, cosine: FloatArray, azimuth: FloatArray) -> FloatArray:
    """Unit vectors at a polar angle from ``direction`` (cosine, shape (n,)) and an azimuth around it."""
    # A helper axis that is never parallel to the direction.
    helper = np.where(np.abs(direction[:, 2:3]) < 0.9, [[0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0]])
    first = np.cross(helper, direction)
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    second = np.cross(direction, first)
    sine = np.sqrt(np.maximum(1 - cosine**2, 0.0))[:, None]
    around = np.cos(azimuth)[:, None] * first + np.sin(azimuth)[:, None] * second
    out = cosine[:, None] * direction + sine * around
    return np.asarray(out / np.linalg.norm(out, axis=1, keepdims=True))


def uniform_vertices(uniforms: FloatArray, detector: Detector, margin_cm: float) -> FloatArray:
    """Points [cm], shape (n, 3), even over the drift volumes, at least ``margin_cm`` from the walls of each.

    ``uniforms`` has shape (n, 4): the volume, then x, y, z.
    """
    ranges = np.array([(v.x_range_cm, v.y_range_cm, v.z_range_cm) for v in detector.volumes])
    low, size = ranges[..., 0] + margin_cm, ranges[..., 1] - ranges[..., 0] - 2 * margin_cm
    if not (size > 0).all():
        raise ConfigError(
            f"vertex_margin_cm: {margin_cm} leaves no room in the volumes of {detector.name};"
            f" choose less than {(ranges[..., 1] - ranges[..., 0]).min() / 2:.1f}"
        )
    share = np.cumsum(size.prod(axis=1))
    index = np.minimum(np.searchsorted(share / share[-1], uniforms[:, 0], side="right"), len(share) - 1)
    return np.asarray(low[index] + uniforms[:, 1:] * size[index])
