"""Gammas and neutrons of the cavern, as they enter the active volume."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from snpoint.physics.constants import AVOGADRO, ELECTRON_MASS_MEV
from snpoint.physics.geometry import Detector
from snpoint.physics.simulation.materials import ATOMIC_NUMBER, ATOMS_PER_CM3, ELECTRON_RADIUS_CM
from snpoint.physics.simulation.nuclides import reference
from snpoint.physics.simulation.vertices import Volumes, shares

FloatArray = npt.NDArray[np.float64]

DEAD_ARGON_CM = 40.0
"""Argon between cryostat and active volume; that of the outer APAs of FD-HD in the DUNE radiological model (v3.6)."""
NEUTRON_DEPTH_CM = 40.0
"""Attenuation length of the neutrons in liquid argon; a fit to a LArSoft simulation (DUNE radiological model, v3.6)."""
LEAST_MEV = 0.02
"""Softer gammas are left out."""
_MOST_MEV = 2.65
_BINS = 526
_CHARGE_PER_MASS = 0.5
"""Z/A of rock and concrete [mol/g]."""
_PHOTOELECTRIC = (0.0184, -3.2)
"""Photoelectric absorption of aluminum, as a stand-in for rock: 0.0184 (E / 0.1 MeV)^-3.2 cm2/g; NIST XCOM to 5% from
0.05 MeV to 0.5 MeV, above which it does not matter."""
WATT_A_MEV, WATT_B_MEV = 0.6483, 6.811
"""Spontaneous fission of U-238, exp(-E/a) sinh(sqrt(b E)) (b in 1/MeV): MCNP manual, LA-UR-03-1987, appendix H."""


class GammaSpectrum(NamedTuple):
    """Gammas in bins of energy, n of them; a line is a bin of no width."""

    low_mev: FloatArray  # (n,)
    high_mev: FloatArray  # (n,)
    flux: FloatArray  # (n,) [1/cm2/s], all directions

    def energy(self, rng: np.random.Generator, n: int) -> FloatArray:
        """Kinetic energies of n gammas [MeV]."""
        share = np.cumsum(self.flux)
        chosen = np.searchsorted(share / share[-1], rng.random(n), side="right")
        chosen = np.minimum(chosen, len(share) - 1)
        width = self.high_mev[chosen] - self.low_mev[chosen]
        return np.asarray(self.low_mev[chosen] + width * rng.random(n))


def compton(energy_mev: npt.ArrayLike) -> FloatArray:
    """Klein-Nishina cross section per electron [cm2]."""
    a = np.asarray(energy_mev, np.float64) / ELECTRON_MASS_MEV
    log = np.log1p(2 * a)
    shape = (1 + a) / a**2 * (2 * (1 + a) / (1 + 2 * a) - log / a) + log / (2 * a) - (1 + 3 * a) / (1 + 2 * a) ** 2
    return np.asarray(2 * np.pi * ELECTRON_RADIUS_CM**2 * shape)


def scattered(before_mev: float, after_mev: FloatArray) -> FloatArray:
    """Klein-Nishina cross section per electron and energy of the scattered gamma [cm2/MeV]."""
    a = before_mev / ELECTRON_MASS_MEV
    with np.errstate(divide="ignore"):
        ratio = after_mev / before_mev
        t = (1 / ratio - 1) / a
    shape = np.pi * ELECTRON_RADIUS_CM**2 / (a * before_mev) * (1 / ratio + ratio - t * (2 - t))
    return np.asarray(np.where((ratio <= 1) & (t <= 2), shape, 0.0))


def absorption(energy_mev: npt.ArrayLike) -> FloatArray:
    """Attenuation of rock [cm2/g]: Compton scattering and photoelectric effect (not: pairs, 4% at 2.6 MeV)."""
    energy = np.asarray(energy_mev, np.float64)
    scale, power = _PHOTOELECTRIC
    return np.asarray(AVOGADRO * _CHARGE_PER_MASS * compton(energy) + scale * (energy / 0.1) ** power)


@lru_cache(maxsize=1)
def rock_spectrum() -> GammaSpectrum:
    """Gammas in the cavern: lines and their scattered continuum.

    Inside of a large body of even activity, and so in a cavity of it, the flux obeys
    flux(E) mu(E) = source(E) + integral of flux(E') N dsigma/dE(E' -> E) over E' > E, whatever the directions.
    """
    table = reference("cavern")
    lines = [
        (energy / 1000, table["activities_bq_kg"][chain] / 1000 * share / 100)
        for chain, chain_lines in table["lines"].items()
        for energy, share in chain_lines.items()
    ]
    line_mev, source = np.array(lines).T
    line_flux = source / absorption(line_mev)
    edges = np.linspace(LEAST_MEV, _MOST_MEV, _BINS + 1)
    middle, width = 0.5 * (edges[1:] + edges[:-1]), edges[1] - edges[0]
    electrons = AVOGADRO * _CHARGE_PER_MASS
    gain = np.zeros(_BINS)
    for energy, flux in zip(line_mev, line_flux, strict=True):
        gain += flux * electrons * scattered(energy, middle)
    flux = np.zeros(_BINS)
    for k in range(_BINS - 1, -1, -1):
        # Scattering inside of the bin counts half, as it needs the upper half of it.
        own = 0.5 * width * electrons * scattered(middle[k], middle[k : k + 1])[0]
        flux[k] = gain[k] / (absorption(middle[k]) - own)
        gain[:k] += flux[k] * width * electrons * scattered(middle[k], middle[:k])
    low = np.concatenate([line_mev, edges[:-1]])
    high = np.concatenate([line_mev, edges[1:]])
    return GammaSpectrum(low, high, np.concatenate([line_flux, flux * width]))


@lru_cache(maxsize=4)
def entering_spectrum(argon_cm: float = DEAD_ARGON_CM) -> GammaSpectrum:
    """Gammas of the rock behind some argon, of which those count that did not scatter in it.

    The attenuation is that of Compton scattering; the photoelectric effect matters where next to nothing is left.
    """
    rock = rock_spectrum()
    energy = 0.5 * (rock.low_mev + rock.high_mev)
    passed = np.exp(-argon_cm * ATOMS_PER_CM3 * ATOMIC_NUMBER * compton(energy))
    return GammaSpectrum(rock.low_mev, rock.high_mev, rock.flux * passed)


class Walls:
    """The walls of the box that holds the drift volumes of a detector."""

    def __init__(self, detector: Detector) -> None:
        volumes = Volumes(detector)
        self.low_cm, self.high_cm = volumes.low_cm.min(axis=0), volumes.high_cm.max(axis=0)
        size = self.high_cm - self.low_cm
        self.areas_cm2 = np.repeat(size.prod() / size, 2)  # (6,) low x, high x, low y, ...
        self._borders = shares(self.areas_cm2)

    def enter(self, rng: np.random.Generator, n: int) -> tuple[FloatArray, FloatArray]:
        """Points [cm] and directions, each of shape (n, 3), of particles of an isotropic flux that enter the box.

        What passes a wall has a cosine with it that is distributed as the cosine (Lambert).
        """
        wall = np.searchsorted(self._borders, rng.random(n), side="right")
        rows, axis, upper = np.arange(n), wall // 2, wall % 2 == 1
        position = self.low_cm + rng.random((n, 3)) * (self.high_cm - self.low_cm)
        position[rows, axis] = np.where(upper, self.high_cm[axis], self.low_cm[axis])
        cosine, azimuth = np.sqrt(1.0 - rng.random(n)), 2 * np.pi * rng.random(n)
        sine = np.sqrt(1 - cosine**2)
        direction = np.empty((n, 3))
        direction[rows, axis] = np.where(upper, -cosine, cosine)
        direction[rows, (axis + 1) % 3] = sine * np.cos(azimuth)
        direction[rows, (axis + 2) % 3] = sine * np.sin(azimuth)
        return position, direction

    def inward(self, position_cm: FloatArray) -> FloatArray:
        """Normals of the walls at points on them, shape (n, 3)."""
        return np.asarray((position_cm == self.low_cm).astype(np.float64) - (position_cm == self.high_cm))


def watt_energy(rng: np.random.Generator, n: int) -> FloatArray:
    """Kinetic energies of n neutrons of fission [MeV], after Watt.

    A Maxwell spectrum of temperature a, boosted: E = W + a^2 b / 4 + (2u - 1) sqrt(a^2 b W) (MCNP manual, as above).
    """
    maxwell = WATT_A_MEV * rng.gamma(1.5, size=n)
    shift = WATT_A_MEV**2 * WATT_B_MEV
    return np.asarray(maxwell + shift / 4 + (2 * rng.random(n) - 1) * np.sqrt(shift * maxwell))
