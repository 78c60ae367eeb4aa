"""Electronics noise: one stationary Gaussian process for what lies under signals and for TPs of noise alone.

All noise TPs of a LArSoft production (60 events, 76,000 TPs) are what a Gaussian process of the right standard
deviation and correlation from tick to tick does above the thresholds: rates, lengths, heights, time of the peak,
second crossings. There, TPs are spread over wires as Poisson numbers (variance / mean 1.006 +- 0.014), so that the
noise differs by less than 0.4 % from wire to wire, and neighboring wires know nothing of each other.
"""

from __future__ import annotations

import math
import zlib
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import erfc

from snpoint.physics.compiled import compiled
from snpoint.physics.geometry import Detector
from snpoint.physics.xoshiro import State, normal, normal_above, uniform
from snpoint.settings import Noise

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

CORRELATION = ((0.787, 0.53), (0.787, 0.53), (0.694, 0.478))
"""Correlation of the noise with itself one and two ticks later; planes U, V, X. Fitted to the lengths of the noise
TPs; where the peak lies in them and their heights follow."""
EARLY_SHARE, EARLY_TICKS = 0.0125, 200.0
"""Of the noise TPs, this share comes on top of an even rate at the begin of the window, and dies away with this time.
Fitted; the cause is not known."""

_LEAST_SIGMA = 1e-3
"""Noise TPs may be asked for where there is no noise [ADC]."""
_WIRE_STREAM = 1
"""Tells the random numbers of the wires' noise from others of the same detector."""


class WireNoise(NamedTuple):
    """Noise as flat arrays for compiled loops."""

    sigma: FloatArray  # (channels,) standard deviation [ADC]
    process: FloatArray  # (3, 4) per plane: two coefficients, scale of the innovation, correlation to the next tick
    rates: FloatArray  # (3,) mean TPs per event of noise alone
    first: IntArray  # (4,) where the wires of each plane begin in `wires`
    wires: IntArray  # (n,) channels by plane
    share: FloatArray  # (n,) share of its plane's TPs on this wire and those before


def wire_sigmas(detector: Detector, noise: Noise) -> FloatArray:
    """Standard deviation of the noise of each channel, shape (channels,) [ADC].

    The mean of its plane times a lognormal factor of mean 1, fixed by the name of the detector and the channel.
    """
    rng = np.random.default_rng([zlib.crc32(detector.name.encode()), _WIRE_STREAM])
    width = math.sqrt(math.log1p(noise.wire_spread**2))
    factors = np.exp(width * rng.standard_normal(detector.n_channels) - 0.5 * width**2)
    plane = detector.plane(np.arange(detector.n_channels))
    means = np.array(noise.sigma_adc.as_tuple(), np.float64)
    return np.asarray(np.where(plane >= 0, means[plane] * factors, 0.0))


def wire_noise(detector: Detector, noise: Noise) -> WireNoise:
    """Flat arrays of the noise of a detector.

    A wire's share of the TPs goes with the probability that its noise is above threshold: with a standard deviation 1 %
    higher it has 18 % more.
    """
    sigma, plane = wire_sigmas(detector, noise), detector.plane(np.arange(detector.n_channels))
    wires = [np.flatnonzero(plane == number) for number in range(3)]
    share = []
    for number, own in enumerate(wires):
        with np.errstate(divide="ignore"):
            above = erfc((detector.threshold_adc[number] + 0.5) / (math.sqrt(2) * sigma[own]))
        weights = above if above.sum() > 0 else np.ones(len(own))
        share.append(np.cumsum(weights) / weights.sum())
    return WireNoise(
        sigma,
        np.array([_process(*pair) for pair in CORRELATION]),
        np.array(noise.tps_per_event.as_tuple(), np.float64),
        np.cumsum([0, *(len(own) for own in wires)]),
        np.concatenate(wires),
        np.concatenate(share),
    )


def _process(one: float, two: float) -> tuple[float, float, float, float]:
    """An autoregressive process of second order from its correlations (Yule-Walker)."""
    a, b = one * (1 - two) / (1 - one**2), (two - one**2) / (1 - one**2)
    return a, b, math.sqrt(1 - a * one - b * two), one


@compiled()
def add_noise(samples: FloatArray, low: int, high: int, sigma: float, process: FloatArray, state: State) -> None:
    """Add noise to the samples ``low .. high - 1`` of a wire, and round to whole ADC counts."""
    before, last = 0.0, 0.0
    if sigma > 0.0:
        last = normal(state)
        before = process[3] * last + math.sqrt(1.0 - process[3] * process[3]) * normal(state)
    for k in range(low, high):
        value = 0.0
        if sigma > 0.0:
            value = process[0] * last + process[1] * before + process[2] * normal(state)
        samples[k] = math.floor(samples[k] + sigma * value + 0.5)
        before, last = last, value


@compiled()
def draw_place(share: FloatArray, low: int, high: int, state: State) -> int:
    """A place from ``low`` to ``high``, by the rates of the wires there (`WireNoise.share`)."""
    wanted = uniform(state)
    while low < high:
        middle = (low + high) // 2
        if share[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low


@compiled()
def draw_start(n_ticks: int, state: State) -> int:
    """The first tick of a noise TP."""
    if uniform(state) < EARLY_SHARE:
        start = int(-EARLY_TICKS * math.log(uniform(state)))
        if start < n_ticks:
            return start
    return min(int(uniform(state) * n_ticks), n_ticks - 1)


@compiled()
def draw_run(sigma: float, threshold: float, most: int, process: FloatArray, state: State, samples: FloatArray) -> int:
    """Samples of a run of noise above threshold, at most ``most``; gives how many. The one before is below.

    The first sample is from the tail of a normal distribution, the one before it follows from the
    correlation and is drawn again with the first where it is above threshold too; the process goes on from both.
    """
    scale = max(sigma, _LEAST_SIGMA)
    least = (threshold + 0.5) / scale
    while True:
        last = normal_above(least, state)
        before = process[3] * last + math.sqrt(1.0 - process[3] * process[3]) * normal(state)
        if before < least:
            break
    n = 0
    while n < most and last >= least:
        samples[n] = math.floor(scale * last + 0.5)
        n += 1
        before, last = last, process[0] * last + process[1] * before + process[2] * normal(state)
    return n
