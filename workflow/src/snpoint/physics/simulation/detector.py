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
from snpoint.physics.simulation.charge import NE, X_NE, Charge
from snpoint.physics.simulation.noise import (
    WireNoise,
    add_noise,
    draw_place,
    draw_run,
    draw_start,
    wire_noise,
)
from snpoint.physics.xoshiro import State, poisson
from snpoint.settings import Noise

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

REACH = 30
"""The response to a point charge is kept on -REACH .. REACH ticks."""
TRUTH_SHIFT_TICKS = (8, 4, -3)
"""A TP owns the charge that arrives in its own window moved by this much (exactly what LArSoft does)."""

_LONGEST_NOISE = 32

CHANNEL, START, LENGTH, TO_PEAK, INTEGRAL, PEAK, ORIGIN = range(7)
"""Columns of the TPs; `ORIGIN` is that of most of the charge (`charge.Charge`), -1 for noise."""
SHARE, MEV, ELECTRONS, POSITION, OWN_POSITION = 0, 1, 2, 3, 6
"""Columns of the truth of TPs: share of the leading origin, energy, electrons, all charge's mean, its own mean."""


class Electronics(NamedTuple):
    """Readout as flat arrays for compiled loops."""

    response: FloatArray  # (3, 2 REACH + 1) ADC per electron against tick
    thresholds: FloatArray  # (3,) ADC
    planes: IntArray  # (channels,) plane of each channel
    n_ticks: int
    noise: WireNoise


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
    return Electronics(
        responses(),
        np.array(detector.threshold_adc),
        detector.plane(np.arange(detector.n_channels)),
        detector.n_ticks,
        wire_noise(detector, noise),
    )


@compiled()
def find_tps(charge: Charge, order: IntArray, state: State, readout: Electronics, tps: TPs) -> None:
    """Digitize every channel with charge and find its TPs. ``order`` is that of `charge.order_rows`.

    A channel is taken in pieces, as far as the response to one piece of charge does not reach the next one's.
    """
    n_ticks, n = readout.n_ticks, order.shape[0]
    samples, noise = np.zeros(n_ticks), readout.noise
    origins, sums = np.empty(n, np.int64), np.empty((n, 5))
    first = 0
    while first < n:
        channel, last = charge.keys[order[first], 0], first + 1
        while last < n and charge.keys[order[last], 0] == channel:
            if charge.keys[order[last], 1] - charge.keys[order[last - 1], 1] > 2 * REACH + 1:
                break
            last += 1
        plane = readout.planes[channel]
        low = max(charge.keys[order[first], 1] - REACH, 0)
        high = min(charge.keys[order[last - 1], 1] + REACH + 1, n_ticks)
        samples[low:high] = 0.0
        for k in range(first, last):
            _shape_charge(charge, order[k], readout.response[plane], samples)
        add_noise(samples, low, high, noise.sigma[channel], noise.process[plane], state)
        _scan(charge, order, first, last, channel, plane, low, high, samples, origins, sums, readout, tps)
        first = last


@compiled()
def _shape_charge(charge: Charge, row: int, response: FloatArray, samples: FloatArray) -> None:
    """Add the response to one row of charge."""
    tick, electrons = charge.keys[row, 1], charge.amounts[row, NE]
    for k in range(max(tick - REACH, 0), min(tick + REACH + 1, samples.shape[0])):
        samples[k] += electrons * response[k - tick + REACH]


@compiled()
def _scan(
    charge: Charge, order: IntArray, first: int, last: int, channel: int, plane: int, low: int, high: int,
    samples: FloatArray, origins: IntArray, sums: FloatArray, readout: Electronics, tps: TPs,
) -> None:  # fmt: skip
    """Every maximal run of samples above threshold is a TP."""
    threshold, shift = readout.thresholds[plane], TRUTH_SHIFT_TICKS[plane]
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
            _own(charge, order, first, last, start + shift, k + shift, row, origins, sums, tps)


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
def _own(
    charge: Charge, order: IntArray, first: int, last: int, begin: int, end: int, row: int,
    origins: IntArray, sums: FloatArray, tps: TPs,
) -> None:  # fmt: skip
    """Truth of a TP: the charge of its channel that arrived at ticks begin .. end - 1; two arrays are scratch."""
    n = 0
    for k in range(first, last):
        source = order[k]
        if not begin <= charge.keys[source, 1] < end:
            continue
        place = 0
        while place < n and origins[place] != charge.keys[source, 2]:
            place += 1
        if place == n:
            origins[n] = charge.keys[source, 2]
            sums[n] = 0.0
            n += 1
        for column in range(5):
            sums[place, column] += charge.amounts[source, column]
    if n == 0:
        return
    leader, whole = 0, np.zeros(5)
    for place in range(n):
        if sums[place, NE] > sums[leader, NE]:
            leader = place
        whole += sums[place]
    if whole[NE] <= 0.0:
        return
    truth = tps.truth[row]
    tps.rows[row, ORIGIN] = origins[leader]
    truth[SHARE] = sums[leader, NE] / whole[NE]
    truth[MEV], truth[ELECTRONS] = whole[1], whole[NE]
    for axis in range(3):
        truth[POSITION + axis] = whole[X_NE + axis] / whole[NE]
        truth[OWN_POSITION + axis] = sums[leader, X_NE + axis] / sums[leader, NE]


@compiled()
def add_noise_tps(state: State, readout: Electronics, tps: TPs) -> None:
    """TPs of noise alone; none that touches another TP."""
    latest, previous = _chains(tps.rows, tps.counts[0], readout.planes.shape[0])
    noise, n_ticks, rows, n = readout.noise, readout.n_ticks, tps.rows, tps.counts[0]
    samples = np.empty(_LONGEST_NOISE)
    for plane in range(3):
        sigma, process, share, wires = noise.sigma, noise.process[plane], noise.share, noise.wires
        low, high, threshold = noise.first[plane], noise.first[plane + 1] - 1, readout.thresholds[plane]
        for _ in range(poisson(state, noise.rates[plane])):
            channel, start = wires[draw_place(share, low, high, state)], draw_start(n_ticks, state)
            most = min(_LONGEST_NOISE, n_ticks - start)
            length = draw_run(sigma[channel], threshold, most, process, state, samples)
            if _meets(rows, latest, previous, channel, start, length):
                continue
            if n >= rows.shape[0]:
                tps.counts[1] = 1
                return
            tps.truth[n] = 0.0
            _noise_row(rows, n, channel, start, length, samples)
            previous[n], latest[channel] = latest[channel], n
            n += 1
            tps.counts[0] = n


@compiled()
def _noise_row(rows: IntArray, n: int, channel: int, start: int, length: int, samples: FloatArray) -> None:
    """Write the columns of a noise TP."""
    peak, total = 0, 0.0
    for k in range(length):
        total += samples[k]
        if samples[k] > samples[peak]:
            peak = k
    rows[n, CHANNEL], rows[n, START], rows[n, LENGTH], rows[n, TO_PEAK] = channel, start, length, peak
    rows[n, INTEGRAL], rows[n, PEAK], rows[n, ORIGIN] = int(total), int(min(samples[peak], 16383.0)), -1


@compiled()
def _chains(rows: IntArray, n: int, n_channels: int) -> tuple[IntArray, IntArray]:
    """The first n TPs by channel: the latest of each channel, and the one before each on its channel; -1 for none."""
    latest, previous = np.full(n_channels, -1), np.full(rows.shape[0], -1)
    for row in range(n):
        channel = rows[row, CHANNEL]
        previous[row], latest[channel] = latest[channel], row
    return latest, previous


@compiled()
def _meets(rows: IntArray, latest: IntArray, previous: IntArray, channel: int, start: int, length: int) -> bool:
    """Whether a TP touches this stretch of a channel."""
    row = latest[channel]
    while row >= 0:
        other = rows[row, START]
        if start <= other + rows[row, LENGTH] and other <= start + length:
            return True
        row = previous[row]
    return False
