"""Decay schemes: which particles a nuclide emits, from the tables in ``reference/decays.yaml``."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from snpoint.physics.simulation.beta_decay import BetaSpectrum, Shape, beta_spectrum
from snpoint.physics.simulation.events import ALPHA, ELECTRON, PHOTON
from snpoint.physics.simulation.nuclides import reference

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_LEAST_SHARE = 1e-7
"""Ways to decay that are rarer are left out."""


class Emitted(NamedTuple):
    """Particles of many decays, m of them, those of a decay in a row."""

    decay: IntArray  # (m,) number of the decay
    pdg: IntArray  # (m,)
    kinetic_mev: FloatArray  # (m,)
    delay_us: FloatArray  # (m,) after the decay


class _Emission(NamedTuple):
    """One particle of a way to decay."""

    pdg: int
    energy_mev: float  # 0: from a beta spectrum
    branch: int  # number of that spectrum; -1: none
    conversion: float = 0.0  # probability of an electron instead of the gamma
    mean_delay_us: float = 0.0


@dataclass(frozen=True)
class _Way:
    """One of the ways to decay, and its share of the decays."""

    share: float
    emissions: tuple[_Emission, ...]


class Nuclide:
    """A nuclide that decays.

    Parameters
    ----------
    name
        Symbol and mass number, such as ``Bi214``.
    raw
        Its entry of ``reference/decays.yaml``, where the keys are explained.
    """

    def __init__(self, name: str, raw: Mapping[str, Any]) -> None:
        self.name = name
        self.generator = str(raw["generator"])
        self.source = " ".join(str(raw["source"]).split())
        self.published: dict[str, Any] = dict(raw["published"])
        self.branches: list[tuple[float, BetaSpectrum]] = []
        self._levels: dict[float, dict[float, list[float]]] = raw.get("levels", {})
        mass_number = int(re.findall(r"\d+$", name)[0])
        ways: list[_Way] = []
        for level, (share, shape) in raw.get("beta", {}).items():
            ways += self._beta(mass_number, int(raw["daughter_z"]), raw["q_kev"] - level, shape, share, level)
        for level, (share, kinetic) in raw.get("alpha", {}).items():
            first = _Emission(ALPHA, kinetic / 1000, -1)
            ways += [_Way(share * way.share, (first, *way.emissions)) for way in self._cascades(level)]
        if "then" in raw:
            mean = float(raw["then"]["half_life_us"]) / math.log(2)
            last = _Emission(ALPHA, raw["then"]["alpha_kev"] / 1000, -1, mean_delay_us=mean)
            ways = [_Way(way.share, (*way.emissions, last)) for way in ways]
        self.mean_delay_us = max((e.mean_delay_us for way in ways for e in way.emissions), default=0.0)
        total = sum(way.share for way in ways)
        self.ways = [_Way(way.share / total, way.emissions) for way in ways if way.share / total > _LEAST_SHARE]
        branches = sum(share for share, _ in self.branches)
        self.branches = [(share / branches, spectrum) for share, spectrum in self.branches]
        self._tabulate()

    def _beta(
        self, mass_number: int, daughter_z: int, endpoint_kev: float, shape: Shape, share: float, level: float
    ) -> list[_Way]:
        self.branches.append((share, beta_spectrum(daughter_z, mass_number, endpoint_kev / 1000, shape)))
        first = _Emission(ELECTRON, 0.0, len(self.branches) - 1)
        return [_Way(share * way.share, (first, *way.emissions)) for way in self._cascades(level)]

    def _cascades(self, level: float) -> list[_Way]:
        """All ways from a level of the daughter to its ground state."""
        if level == 0:
            return [_Way(1.0, ())]
        total = sum(share for share, _ in self._levels[level].values())
        ways: list[_Way] = []
        for below, (share, conversion) in self._levels[level].items():
            first = _Emission(PHOTON, (level - below) / 1000, -1, conversion / (1 + conversion))
            ways += [_Way(share / total * way.share, (first, *way.emissions)) for way in self._cascades(below)]
        return ways

    def _tabulate(self) -> None:
        rows = [emission for way in self.ways for emission in way.emissions]
        counts = [len(way.emissions) for way in self.ways]
        self._borders = np.cumsum([way.share for way in self.ways])
        self._borders[-1] = 1.0
        self._count = np.array(counts, np.int64)
        self._first = np.cumsum(self._count) - self._count
        self._pdg = np.array([row.pdg for row in rows], np.int64)
        self._energy = np.array([row.energy_mev for row in rows])
        self._branch = np.array([row.branch for row in rows], np.int64)
        self._conversion = np.array([row.conversion for row in rows])
        self._delay = np.array([row.mean_delay_us for row in rows])

    def decay(self, rng: np.random.Generator, n: int) -> Emitted:
        """Particles of n decays."""
        way = np.searchsorted(self._borders, rng.random(n), side="right")
        count = self._count[way]
        decay = np.repeat(np.arange(n), count)
        inside = np.arange(len(decay)) - np.repeat(np.cumsum(count) - count, count)
        row = self._first[way][decay] + inside
        kinetic, branch, pdg = self._energy[row], self._branch[row], self._pdg[row]
        for number in np.unique(branch[branch >= 0]):
            chosen = np.flatnonzero(branch == number)
            kinetic[chosen] = self.branches[number][1].energy(rng.random(len(chosen)))
        if self._conversion.any():
            pdg = np.where(rng.random(len(row)) < self._conversion[row], ELECTRON, pdg)
        delay = np.zeros(len(row))
        if self._delay.any():
            delay = self._delay[row] * rng.standard_exponential(len(row))
        return Emitted(decay, pdg, kinetic, delay)

    @property
    def beta_mean_mev(self) -> float:
        """Mean kinetic energy of the electrons of beta decay [MeV]."""
        return sum(share * spectrum.mean_mev for share, spectrum in self.branches)

    @property
    def endpoint_mev(self) -> float:
        """Largest kinetic energy of an electron of beta decay [MeV]; 0: no beta decay."""
        return max((spectrum.endpoint_mev for _, spectrum in self.branches), default=0.0)

    @property
    def lines(self) -> dict[float, float]:
        """Energy of each gamma [keV, to 0.1] -> gammas per 100 decays."""
        found: dict[float, float] = {}
        for way in self.ways:
            for row in way.emissions:
                if row.pdg == PHOTON:
                    energy = round(1000 * row.energy_mev, 1)
                    found[energy] = found.get(energy, 0.0) + 100 * way.share * (1 - row.conversion)
        return found


@lru_cache(maxsize=1)
def nuclides() -> dict[str, Nuclide]:
    """The nuclides of ``reference/decays.yaml`` by name."""
    return {name: Nuclide(name, raw) for name, raw in reference("decays").items()}
