"""Nuclei that an argon nucleus can become: masses, discrete levels, and the density of levels above them."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from snpoint import yamlfile
from snpoint.physics.constants import ELECTRON_MASS_MEV
from snpoint.physics.simulation.events import MASS_MEV

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

ATOMIC_MASS_UNIT_MEV = 931.49410242
BOUND_ELECTRONS = 18
"""Electrons of the argon atom: what its nucleus becomes keeps them, as far as the masses of the files go."""
HIGHEST_TWICE_SPIN = 18
_EDGES = np.concatenate([np.arange(0.0, 12.0, 0.25), np.arange(12.0, 30.0, 0.5), np.arange(30.0, 62.0, 2.0)])


@dataclass(frozen=True)
class Targets:
    """Where a decay can end: discrete levels, then the continuum in cells of energy, spin and parity; n of them."""

    energy_mev: FloatArray  # (n,) of a cell its middle
    width_mev: FloatArray  # (n,) 0: a discrete level
    twice_spin: IntArray  # (n,)
    parity: IntArray  # (n,) +1 or -1
    levels: FloatArray  # (n,) how many levels that is


@dataclass(frozen=True)
class Nuclide:
    """A nucleus. ``mass_mev`` is that of its ground state, with the electrons of the argon atom."""

    z: int
    a: int
    mass_mev: float
    energy_mev: FloatArray  # (levels,)
    twice_spin: IntArray  # (levels,)
    parity: IntArray  # (levels,)
    branches: tuple[tuple[IntArray, FloatArray], ...]  # of each level: final levels, cumulated probabilities
    targets: Targets

    @property
    def pdg(self) -> int:
        """PDG code."""
        return 1_000_000_000 + 10_000 * self.z + 10 * self.a

    @property
    def continuum_mev(self) -> float:
        """Excitation above which levels are no longer told apart."""
        return float(self.energy_mev[-1])

    def nearest_level(self, energy_mev: float) -> int:
        """Number of the level nearest to an excitation energy."""
        return int(np.argmin(np.abs(self.energy_mev - energy_mev)))


def reference(name: str) -> dict[str, Any]:
    """A table of numbers of the package, ``reference/<name>.yaml``; where they come from is said at its top."""
    with resources.as_file(resources.files("snpoint") / "reference" / f"{name}.yaml") as path:
        return yamlfile.read(Path(path))


@lru_cache(maxsize=1)
def nuclides() -> dict[tuple[int, int], Nuclide]:
    """All nuclei by charge and mass number."""
    return {(row["z"], row["a"]): _nuclide(row) for row in reference("nuclei").values()}


def _nuclide(row: dict[str, Any]) -> Nuclide:
    z, a, atomic_mass = row["z"], row["a"], row["atomic_mass_u"] * ATOMIC_MASS_UNIT_MEV
    mass = MASS_MEV.get(1_000_000_000 + 10_000 * z + 10 * a, atomic_mass + (BOUND_ELECTRONS - z) * ELECTRON_MASS_MEV)
    energy = np.array([level[0] for level in row["levels"]], np.float64)
    twice_spin = np.array([int(2 * Fraction(level[1])) for level in row["levels"]], np.int64)
    parity = np.array([level[2] for level in row["levels"]], np.int64)
    branches = tuple(_branches(level[3]) for level in row["levels"])
    density = LevelDensity(z, a, atomic_mass)
    return Nuclide(z, a, mass, energy, twice_spin, parity, branches, _targets(energy, twice_spin, parity, density))


def _branches(weights: dict[int, float]) -> tuple[IntArray, FloatArray]:
    final = np.array(list(weights), np.int64)
    cumulated = np.cumsum(np.array(list(weights.values()), np.float64))
    return final, cumulated / cumulated[-1] if len(final) else cumulated


class LevelDensity:
    """Back-shifted Fermi gas, with the global parameters of Koning, Hilaire & Goriely, Nucl. Phys. A 810, 13 (2008).

    Their effective parameters; at low energy the total density goes over into that of Demetriou & Goriely, Nucl.
    Phys. A 695, 95 (2001). Shell corrections: Myers & Swiatecki, Nucl. Phys. 81, 1 (1966).
    """

    def __init__(self, z: int, a: int, atomic_mass_mev: float) -> None:
        self._asymptotic = 0.0722396 * a + 0.195267 * a ** (2 / 3)
        self._damping = 0.410289 * a ** (-1 / 3)
        self._shell = atomic_mass_mev - _liquid_drop_mev(z, a)
        even = (z % 2 == 0) + ((a - z) % 2 == 0)
        self._shift = 0.173015 + (even - 1) * 12 / np.sqrt(a)
        self._a = a

    def of(self, energy_mev: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Levels of any spin and parity per MeV, and the spin cut-off sigma^2, of the shape of ``energy_mev``."""
        effective = np.maximum(energy_mev - self._shift, 0.05)
        damped = 1 + self._shell * (1 - np.exp(-self._damping * effective)) / effective
        parameter = np.maximum(self._asymptotic * damped, 0.5)
        root = np.sqrt(parameter * effective)
        # The Fermi gas falls below the cut-off of the lowest levels, (0.83 A^0.26)^2, at low energy.
        cutoff = np.maximum(0.01389 * self._a ** (5 / 3) / self._asymptotic * root, (0.83 * self._a**0.26) ** 2)
        fermi = np.exp(2 * root) / (np.sqrt(2 * cutoff) * 12 * parameter**0.25 * effective**1.25)
        low = np.e * parameter / 12 * np.exp(np.minimum(root**2, 300.0))
        return np.asarray(1 / (1 / fermi + 1 / low)), np.asarray(cutoff)


def _liquid_drop_mev(z: int, a: int) -> float:
    """Mass of an atom without shell effects [MeV]; Myers & Swiatecki (1966)."""
    asymmetry = 1 - 1.79 * ((a - 2 * z) / a) ** 2
    volume, surface = -15.677 * asymmetry * a, 18.56 * asymmetry * a ** (2 / 3)
    coulomb = 0.717 * z * z / a ** (1 / 3) - 1.21129 * z * z / a
    pairing = (1 - (z % 2) - ((a - z) % 2)) * 11 / np.sqrt(a)
    excess = 7.28899 * z + 8.07144 * (a - z)
    return float(a * ATOMIC_MASS_UNIT_MEV + excess + volume + surface + coulomb - pairing)


def _targets(energy: FloatArray, twice_spin: IntArray, parity: IntArray, density: LevelDensity) -> Targets:
    first = energy[-1] + 0.05
    edges = np.concatenate([[energy[-1]], _EDGES[first < _EDGES]])
    middle, width = 0.5 * (edges[1:] + edges[:-1]), np.diff(edges)
    total, cutoff = density.of(middle)
    spins = np.arange(twice_spin[0] % 2, HIGHEST_TWICE_SPIN + 1, 2)
    share = (spins + 1) / (2 * cutoff[:, None]) * np.exp(-((spins + 1) ** 2) / (8 * cutoff[:, None]))
    levels = 0.5 * (total * width)[:, None] * share
    # Cells in the order energy, spin, parity; half of the levels have either parity.
    shape = (len(middle), len(spins), 2)
    cells = [
        np.broadcast_to(values, shape).ravel()
        for values in (_cells(middle), _cells(width), spins[:, None], np.array([1, -1]), levels[..., None])
    ]
    firsts = (energy, np.zeros_like(energy), twice_spin, parity, np.ones_like(energy))
    return Targets(*(np.concatenate([first, rest]) for first, rest in zip(firsts, cells, strict=True)))


def _cells(values: FloatArray) -> FloatArray:
    return values[:, None, None]
