"""Acceptance of the transport: single electrons in unbounded argon, ours beside those of Geant4.

A quantity is accepted at an energy if it differs from Geant4 by no more than a tolerance plus two standard errors of
the difference, the finite statistics of both sides included.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from snpoint.physics.compiled import compiled
from snpoint.physics.simulation.events import ELECTRON, particles
from snpoint.physics.simulation.nuclides import reference
from snpoint.physics.simulation.transport import Shower, Transport
from snpoint.physics.validation.checks import Check

FloatArray = npt.NDArray[np.float64]

TOLERANCE, TOLERANCE_LOWEST = 0.10, 0.20
LOWEST_MEV = 3.0
"""At this energy electrons scatter so much that step sizes matter, and the wider tolerance holds."""
BLIP_DISTANCE_CM = 1.0
CHUNK = 500
"""Electrons are simulated in chunks of this size, each with its own random numbers: same result on any number of
processes."""
_LEVEL = 0.68


@dataclass(frozen=True)
class Quantity:
    """One number per electron, and what is compared of its distribution."""

    name: str
    title: str
    judged: bool = True  # False: shown beside Geant4, without a verdict
    quantile: bool = False  # the 68% quantile is compared, else the mean


QUANTITIES = (
    Quantity("path", "path length [cm]"),
    Quantity("extent", "extent along the axis [cm]"),
    Quantity("forward", "forward displacement [cm]"),
    Quantity("blips", "energy share of blips"),
    Quantity("axis", "axis to direction, 68% [deg]", quantile=True),
    Quantity("distance", "distance from start to end [cm]", judged=False),
    Quantity("photons", "energy share of photons' descendants", judged=False),
    Quantity("with_blips", "share of events with a blip", judged=False),
)
"""In the order of the columns that `simulate` gives. Definitions: docs/validation/transport.md."""


@dataclass(frozen=True)
class Estimate:
    """A mean or a quantile and its standard error."""

    value: float
    error: float


@dataclass(frozen=True)
class Comparison:
    """One quantity at one energy."""

    energy_mev: float
    quantity: Quantity
    ours: Estimate
    geant4: Estimate

    @property
    def ratio(self) -> float:
        """Ours over Geant4."""
        return self.ours.value / self.geant4.value

    @property
    def ratio_error(self) -> float:
        """Standard error of the ratio."""
        return abs(self.ratio) * math.hypot(self.ours.error / self.ours.value, self.geant4.error / self.geant4.value)

    @property
    def check(self) -> Check:
        """The comparison with its verdict; the error is that of both sides."""
        return Check(
            f"{self.quantity.title}, {self.energy_mev:g} MeV",
            self.ours.value,
            math.hypot(self.ours.error, self.geant4.error),
            self.geant4.value,
            tolerance(self.energy_mev) if self.quantity.judged else None,
        )


def tolerance(energy_mev: float) -> float:
    """Allowed relative difference at an energy, before standard errors."""
    return TOLERANCE_LOWEST if energy_mev <= LOWEST_MEV else TOLERANCE


@lru_cache(maxsize=1)
def geant4_table() -> Mapping[float, Mapping[str, Estimate]]:
    """Geant4's values by kinetic energy [MeV] and name of the quantity."""
    content = reference("geant4")
    events = int(content["events"])
    return {
        float(energy): {name: _published(numbers, events) for name, numbers in quantities.items()}
        for energy, quantities in content["energies"].items()
    }


def _published(numbers: Mapping[str, float], events: int) -> Estimate:
    if "std" in numbers:
        return Estimate(numbers["mean"], numbers["std"] / math.sqrt(events))
    return Estimate(numbers["p68"], _quantile_error(numbers["p50"], numbers["p84"], events))


def _quantile_error(p50: float, p84: float, events: int) -> float:
    """Standard error of the 68% quantile: sqrt(q (1 - q) / n) over the density, here the mean one around it."""
    density = (0.84 - 0.50) / (p84 - p50)
    return math.sqrt(_LEVEL * (1 - _LEVEL) / events) / density


def estimate(values: FloatArray, quantity: Quantity) -> Estimate:
    """What is compared of the values of one quantity, shape (n,)."""
    if quantity.quantile:
        p50, p68, p84 = np.quantile(values, [0.50, _LEVEL, 0.84])
        return Estimate(float(p68), _quantile_error(float(p50), float(p84), len(values)))
    return Estimate(float(values.mean()), float(values.std(ddof=1)) / math.sqrt(len(values)))


def compare(samples: Mapping[float, FloatArray]) -> list[Comparison]:
    """All quantities at all energies of ``samples``: kinetic energy [MeV] -> columns of `simulate`."""
    table = geant4_table()
    return [
        Comparison(energy, quantity, estimate(values[:, column], quantity), table[energy][quantity.name])
        for energy, values in samples.items()
        for column, quantity in enumerate(QUANTITIES)
    ]


def simulate(energy_mev: float, events: int, chunk: int = 0, seed: int = 1) -> FloatArray:
    """Transport electrons along z and measure them.

    Parameters
    ----------
    energy_mev
        Kinetic energy.
    events
        How many.
    chunk, seed
        Decide the random numbers, with the energy.

    Returns
    -------
    ndarray, shape (events, 8)
        `QUANTITIES` of each electron.
    """
    rng = np.random.default_rng([seed, round(1000 * energy_mev), chunk])
    state = rng.integers(1, 2**63, 4, dtype=np.uint64)
    transport, electron = Transport(), particles([ELECTRON], energy_mev, [0.0, 0.0, 0.0], [0.0, 0.0, 1.0])
    return np.array([measure(transport.shower(electron, state), energy_mev) for _ in range(events)])


def measure(shower: Shower, energy_mev: float) -> tuple[float, ...]:
    """`QUANTITIES` of one electron that started at the origin along z."""
    track = shower.classes < 2
    position, weight = shower.deposits[track, :3], shower.deposits[track, 3]
    centered = position - weight @ position / weight.sum()
    axis = np.linalg.eigh((centered * weight[:, None]).T @ centered)[1][:, -1]
    along = centered @ axis
    blips = detached_energy(shower.deposits, shower.classes, BLIP_DISTANCE_CM)
    end = shower.ends_cm[0]
    return (
        float(shower.paths_cm[0]),
        float(along.max() - along.min()),
        float(end[2]),
        blips / energy_mev,
        math.degrees(math.acos(min(abs(float(axis[2])), 1.0))),
        float(np.linalg.norm(end)),
        float(shower.deposits[~track, 3].sum()) / energy_mev,
        float(blips > 0),
    )


@compiled()
def detached_energy(deposits: FloatArray, classes: npt.NDArray[np.int64], distance_cm: float) -> float:
    """Energy [MeV] further than a distance from every deposit of the track (primary electron and delta rays)."""
    total = 0.0
    for k in range(deposits.shape[0]):
        if classes[k] < 2:
            continue
        detached = True
        for j in range(deposits.shape[0]):
            if classes[j] < 2:
                x, y = deposits[k, 0] - deposits[j, 0], deposits[k, 1] - deposits[j, 1]
                z = deposits[k, 2] - deposits[j, 2]
                if x * x + y * y + z * z <= distance_cm * distance_cm:
                    detached = False
                    break
        if detached:
            total += deposits[k, 3]
    return total
