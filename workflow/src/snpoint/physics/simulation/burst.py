"""A supernova burst as a list of events: how many interactions of each kind, when, and from where.

Everything follows from the settings and the sample's name, so that each part of the sample can be made alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from snpoint.physics.constants import BACKGROUND, CC, ES
from snpoint.physics.simulation.directions import Directions, isotropic, of_sample
from snpoint.settings import Burst, SimulateSettings

FloatArray = npt.NDArray[np.float64]
UIntArray = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class BurstEvents:
    """Events of a burst, or of a part of it, in the order of time."""

    time_s: FloatArray  # (n,) since the beginning of the burst
    interaction: UIntArray  # (n,) BACKGROUND, ES or CC of `snpoint.physics.constants`
    direction: FloatArray  # (3,) direction of flight of all its neutrinos, detector frame

    def __len__(self) -> int:
        return len(self.time_s)

    def part(self, number: int, of: int) -> BurstEvents:
        """Part ``number`` of ``of`` parts, which follow each other in time and differ by one event at most."""
        n = len(self)
        chosen = slice(number * n // of, (number + 1) * n // of)
        return BurstEvents(self.time_s[chosen], self.interaction[chosen], self.direction)


def burst_events(settings: SimulateSettings, sample: str, expected_es: float, expected_cc: float) -> BurstEvents:
    """The events of a whole burst.

    Parameters
    ----------
    settings, sample
        Settings of the stage and name of the sample. A burst has one direction: that of the settings, or a drawn one.
    expected_es, expected_cc
        Mean numbers of interactions for its mass and distance; not used where the settings give a number.
    """
    burst = settings.burst
    rng = of_sample(settings.seed, sample)
    drawn = isotropic(rng)  # always first: the direction `one` of the same sample is the same
    common = Directions(settings.direction, settings.seed, sample).common
    n_es = int(rng.poisson(expected_es)) if burst.n_es is None else burst.n_es
    n_cc = int(rng.poisson(expected_cc)) if burst.n_cc is None else burst.n_cc
    times = [
        interaction_times(rng.random(n_es + n_cc), burst),
        burst.duration_s * rng.random(burst.n_background),
    ]
    kinds = np.repeat(np.array([ES, CC, BACKGROUND], np.uint8), [n_es, n_cc, burst.n_background])
    time = np.concatenate(times)
    order = np.argsort(time, kind="stable")
    return BurstEvents(time[order], kinds[order], drawn if common is None else common)


def interaction_times(uniforms: FloatArray, burst: Burst) -> FloatArray:
    """Times [s], shape (n,), from uniform numbers: density (1 - exp(-t/rise)) exp(-t/fall) up to the duration.

    A smooth stand-in for the light curve: no model of a supernova. Its integral is inverted by bisection.
    """
    both = 1 / (1 / burst.rise_s + 1 / burst.fall_s)

    def integral(time: FloatArray) -> FloatArray:
        return np.asarray(both * np.expm1(-time / both) - burst.fall_s * np.expm1(-time / burst.fall_s))

    low, high = np.zeros_like(uniforms), np.full_like(uniforms, burst.duration_s)
    wanted = uniforms * integral(np.array(burst.duration_s))
    for _ in range(60):
        middle = 0.5 * (low + high)
        below = integral(middle) < wanted
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return 0.5 * (low + high)
