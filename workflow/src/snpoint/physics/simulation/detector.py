"""From charge on the wires to trigger primitives (TPs): response, noise, threshold, truth of each TP.

The responses, thresholds and noise were fitted to TPs and SimIDEs of a LArSoft production (60 events).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from snpoint.physics.compiled import compiled
from snpoint.physics.geometry import Detector
from snpoint.physics.simulation.charge import MAIN, NE, X_NE, Charge
from snpoint.physics.xoshiro import State, below, normal_pair, poisson, uniform
from snpoint.settings import Noise

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

REACH = 30
"""The response to a point charge is kept on -REACH .. REACH ticks."""
THRESHOLDS_ADC = (70.0, 70.0, 60.0)
"""A sample above belongs to a TP; planes U, V, X."""
TRUTH_SHIFT_TICKS = (8, 4, -3)
"""A TP owns the charge that arrives in its own window moved by this much (exactly what LArSoft does)."""

CHANNEL, START, LENGTH, TO_PEAK, INTEGRAL, PEAK, ORIGIN = range(7)
"""Columns of the TPs; `ORIGIN` is 0 the primary electron, 1 a daughter, -1 noise."""
SHARE, MEV, ELECTRONS, POSITION, OWN_POSITION = 0, 1, 2, 3, 6
"""Columns of the truth of TPs: share of the leading origin, energy, electrons, all charge's mean, its own mean."""

# Mean of the exponential height above threshold of noise samples, per plane, for TPs of 1, 2, 3, 4 samples; and
# how many of the noise TPs have at most so many samples.
_NOISE_HEIGHT_ADC = np.array([[3.1, 5.0, 6.5, 7.5], [3.1, 5.0, 6.5, 7.5], [3.0, 4.1, 5.5, 6.5]])
_NOISE_LENGTH_SUM = np.array(
    [[0.8593, 0.9836, 0.9992, 1.0], [0.8605, 0.9836, 0.9987, 1.0], [0.9320, 0.9926, 0.9987, 1.0]]
)


class Electronics(NamedTuple):
    """Readout as flat arrays for compiled loops."""

    response: FloatArray  # (3, 2 REACH + 1) ADC per electron against tick
    thresholds: FloatArray  # (3,) ADC
    white: FloatArray  # (3,) standard deviation of the noise under a signal [ADC]
    noise_tps: FloatArray  # (3,) mean standalone noise TPs per event
    planes: IntArray  # (channels per APA,) plane of each local channel
    ranges: IntArray  # (3, 2) first local channel and number of channels of each plane
    sizes: IntArray  # channels per APA, APAs, ticks


class TPs(NamedTuple):
    """TPs of one event."""

    rows: IntArray  # (capacity, 7)
    truth: FloatArray  # (capacity, 9)
    counts: IntArray  # (2,) number, full


def new_tps(capacity: int) -> TPs:
    """An empty list of TPs."""
    return TPs(np.zeros((capacity, 7), np.int64), np.zeros((capacity, 9)), np.zeros(2, np.int64))


def responses() -> FloatArray:
    """Response of the planes U, V, X to one electron arriving at tick 0, shape (3, 2 REACH + 1) [ADC].

    X is a Gaussian, U and V are the difference of two (induction currents are bipolar). The gain of U is 10 %
    above the fit to single TPs, as whole events ask for.
    """
    ticks = np.arange(-REACH, REACH + 1, dtype=np.float64)

    def gauss(center: float, sigma: float) -> FloatArray:
        return np.asarray(np.exp(-0.5 * ((ticks - center) / sigma) ** 2) / (sigma * math.sqrt(2 * math.pi)))

    u = 1.1 * 0.09181 * (gauss(-3.780, 3.096) - gauss(-3.780 + 4.281, 3.096))
    v = 0.07153 * (gauss(-0.727, 2.991) - gauss(-0.727 + 6.598, 2.991))
    x = 0.16526 * gauss(5.370, 3.109)
    return np.stack([u, v, x])


def electronics_of(detector: Detector, noise: Noise) -> Electronics:
    """Flat arrays of the readout of a detector."""
    planes = detector.plane(np.arange(detector.channels_per_apa))
    ranges = [(np.flatnonzero(planes == p)[0], np.count_nonzero(planes == p)) for p in range(3)]
    return Electronics(
        responses(),
        np.array(THRESHOLDS_ADC),
        np.array(noise.white_adc.as_tuple(), np.float64),
        np.array(noise.tps_per_event.as_tuple(), np.float64),
        planes,
        np.array(ranges, np.int64),
        np.array([detector.channels_per_apa, detector.n_apas, detector.n_ticks], np.int64),
    )


@compiled()
def find_tps(charge: Charge, order: IntArray, state: State, readout: Electronics, tps: TPs) -> None:
    """Digitize every channel with charge and find its TPs. ``order`` is that of `charge.order_rows`."""
    n_ticks = readout.sizes[2]
    samples, lit = np.zeros(n_ticks), np.zeros(n_ticks, np.bool_)
    first, n = 0, order.shape[0]
    while first < n:
        channel = charge.keys[order[first], 0]
        last = first
        while last < n and charge.keys[order[last], 0] == channel:
            last += 1
        plane = readout.planes[channel % readout.sizes[0]]
        low = max(charge.keys[order[first], 1] - REACH, 0)
        high = min(charge.keys[order[last - 1], 1] + REACH + 1, n_ticks)
        samples[low:high] = 0.0
        lit[low:high] = False
        for k in range(first, last):
            _shape_charge(charge, order[k], readout.response[plane], samples, lit)
        _add_noise(samples, lit, low, high, readout.white[plane], state)
        _scan(charge, order, first, last, channel, plane, low, high, samples, readout, tps)
        first = last


@compiled()
def _shape_charge(
    charge: Charge, row: int, response: FloatArray, samples: FloatArray, lit: npt.NDArray[np.bool_]
) -> None:
    """Add the response to one row of charge."""
    tick, electrons = charge.keys[row, 1], charge.amounts[row, NE]
    for k in range(max(tick - REACH, 0), min(tick + REACH + 1, samples.shape[0])):
        samples[k] += electrons * response[k - tick + REACH]
        lit[k] = True


@compiled()
def _add_noise(
    samples: FloatArray, lit: npt.NDArray[np.bool_], low: int, high: int, sigma: float, state: State
) -> None:
    """Add white noise where there is signal, and round to whole ADC counts."""
    spare, have = 0.0, False
    for k in range(low, high):
        if not lit[k]:
            continue
        if have:
            value = spare
        else:
            value, spare = normal_pair(state)
        have = not have
        samples[k] = math.floor(samples[k] + sigma * value + 0.5)


@compiled()
def _scan(
    charge: Charge, order: IntArray, first: int, last: int, channel: int, plane: int, low: int, high: int,
    samples: FloatArray, readout: Electronics, tps: TPs,
) -> None:  # fmt: skip
    """Every maximal run of samples above threshold is a TP."""
    threshold = readout.thresholds[plane]
    k = low
    while k < high:
        if samples[k] <= threshold:
            k += 1
            continue
        start, peak, total = k, k, 0.0
        while k < high and samples[k] > threshold:
            if samples[k] > samples[peak]:
                peak = k
            total += samples[k]
            k += 1
        row = _new_tp(tps, channel, start, k - start, peak - start, int(total), int(min(samples[peak], 16383.0)))
        if row >= 0:
            _own(charge, order, first, last, start + TRUTH_SHIFT_TICKS[plane], k + TRUTH_SHIFT_TICKS[plane], row, tps)


@compiled()
def _new_tp(tps: TPs, channel: int, start: int, length: int, to_peak: int, integral: int, peak: int) -> int:
    """Append a TP without truth and give its row; -1 if the list is full."""
    n = tps.counts[0]
    if n >= tps.rows.shape[0]:
        tps.counts[1] = 1
        return -1
    row = tps.rows[n]
    row[CHANNEL], row[START], row[LENGTH], row[TO_PEAK] = channel, start, length, to_peak
    row[INTEGRAL], row[PEAK], row[ORIGIN] = integral, peak, -1
    tps.truth[n] = 0.0
    tps.counts[0] = n + 1
    return int(n)


@compiled()
def _own(charge: Charge, order: IntArray, first: int, last: int, begin: int, end: int, row: int, tps: TPs) -> None:
    """Truth of a TP: the charge on its channel that arrived at ticks begin .. end - 1."""
    sums = np.zeros((2, 5))
    for k in range(first, last):
        source = order[k]
        if begin <= charge.keys[source, 1] < end:
            sums[charge.keys[source, 2]] += charge.amounts[source]
    both = sums[0] + sums[1]
    if both[NE] <= 0.0:
        return
    leader = MAIN if sums[0, NE] >= sums[1, NE] else 1 - MAIN
    truth = tps.truth[row]
    tps.rows[row, ORIGIN] = leader
    truth[SHARE] = sums[leader, NE] / both[NE]
    truth[MEV], truth[ELECTRONS] = both[1], both[NE]
    for axis in range(3):
        truth[POSITION + axis] = both[X_NE + axis] / both[NE]
        truth[OWN_POSITION + axis] = sums[leader, X_NE + axis] / sums[leader, NE]


@compiled()
def add_noise_tps(state: State, readout: Electronics, tps: TPs) -> None:
    """Standalone noise TPs, even over channels and the readout window; none on top of a signal TP."""
    n_signal = tps.counts[0]
    per_apa, n_apas, n_ticks = readout.sizes[0], readout.sizes[1], readout.sizes[2]
    for plane in range(3):
        for _ in range(poisson(state, readout.noise_tps[plane])):
            local = readout.ranges[plane, 0] + below(state, readout.ranges[plane, 1])
            channel = below(state, n_apas) * per_apa + local
            length, choice = 1, uniform(state)
            while length < 4 and choice > _NOISE_LENGTH_SUM[plane, length - 1]:
                length += 1
            start = below(state, n_ticks - length + 1)
            height, peak, to_peak, total = _NOISE_HEIGHT_ADC[plane, length - 1], 0, 0, 0
            for k in range(length):
                sample = int(readout.thresholds[plane]) + 1 + int(-height * math.log(uniform(state)))
                total += sample
                if sample > peak:
                    peak, to_peak = sample, k
            if not _meets(tps, n_signal, channel, start, length):
                _new_tp(tps, channel, start, length, to_peak, total, peak)


@compiled()
def _meets(tps: TPs, n: int, channel: int, start: int, length: int) -> bool:
    """Whether one of the first n TPs touches this stretch of a channel."""
    for k in range(n):
        row = tps.rows[k]
        if row[CHANNEL] == channel and start <= row[START] + row[LENGTH] and row[START] <= start + length:
            return True
    return False
