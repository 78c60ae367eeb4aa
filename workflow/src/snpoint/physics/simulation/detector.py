"""From charge on the wires to trigger primitives (TPs): response, noise, threshold, truth of each TP.

The responses, thresholds and noise were fitted to TPs and SimIDEs of a LArSoft production (60 events).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from snpoint.physics.compiled import compiled
from snpoint.physics.geometry import Detector
from snpoint.physics.simulation.charge import AMOUNTS, MEV, NE, X_NE, Charge
from snpoint.physics.simulation.fieldresponse import REACH, neighbors, responses
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

TRUTH_SHIFT_TICKS = (8, 4, -3)
"""A TP owns the charge that arrives in its own window moved by this much (exactly what LArSoft does)."""

FAINT = 0.3
"""Signals below this many standard deviations of the noise are left out: TPs of noise alone are there in any case."""
_LONGEST_NOISE = 32

CHANNEL, START, LENGTH, TO_PEAK, INTEGRAL, PEAK, ORIGIN = range(7)
"""Columns of the TPs; `ORIGIN` is that of most of the charge (`charge.Charge`), -1 for noise."""
SHARE, ENERGY, ELECTRONS, POSITION, OWN_POSITION = 0, 1, 2, 3, 6
"""Columns of the truth of TPs: share of the leading origin, energy, electrons, all charge's mean, its own mean."""


class Electronics(NamedTuple):
    """Readout as flat arrays for compiled loops."""

    response: FloatArray  # (3, 2, 2 REACH + 1) ADC per electron against tick: of its wire, of the wires beside
    thresholds: FloatArray  # (3,) ADC
    planes: IntArray  # (channels,) plane of each channel
    beside: IntArray  # (channels, 2) channels of the wires on both sides
    n_ticks: int
    noise: WireNoise


class TPs(NamedTuple):
    """TPs of one event."""

    rows: IntArray  # (capacity, 7)
    truth: FloatArray  # (capacity, 9)
    counts: IntArray  # number, full


TPS, TPS_FULL = 0, 1
"""Places in the counts."""


def new_tps(capacity: int) -> TPs:
    """An empty list of TPs."""
    return TPs(np.zeros((capacity, 7), np.int64), np.zeros((capacity, 9)), np.zeros(2, np.int64))


def electronics_of(detector: Detector, noise: Noise) -> Electronics:
    """Flat arrays of the readout of a detector."""
    return Electronics(
        responses(),
        np.array(detector.threshold_adc),
        detector.plane(np.arange(detector.n_channels)),
        neighbors(detector),
        detector.n_ticks,
        wire_noise(detector, noise),
    )


@compiled()
def find_tps(charge: Charge, order: IntArray, state: State, readout: Electronics, tps: TPs) -> None:
    """Digitize every channel with charge on or beside it, and find its TPs. ``order`` is that of `charge.order_rows`.

    A channel is taken in pieces, as far as the response to one piece of charge does not reach the next one's.
    """
    keys, amounts, beside, planes = charge.keys, charge.amounts, readout.beside, readout.planes
    samples, sums = np.zeros(readout.n_ticks), np.empty((order.shape[0], AMOUNTS))
    origins = np.empty(order.shape[0], np.int64)
    lit, ranges = _channels(keys, order, beside)
    at, wanted = np.zeros(3, np.int64), np.zeros(3, np.int64)
    for channel in range(lit.shape[0]):
        if not lit[channel]:
            continue
        plane = planes[channel]
        for source in range(3):
            other = channel if source == 0 else beside[channel, source - 1]
            at[source], wanted[source] = (ranges[other, 0], ranges[other, 1]) if other >= 0 else (0, 0)
        while at[0] < wanted[0] or at[1] < wanted[1] or at[2] < wanted[2]:
            first = at[0]
            low, high = _shape_piece(keys, amounts, order, at, wanted, readout.response[plane], samples)
            if _largest(samples, low, high) < FAINT * readout.noise.sigma[channel]:
                continue
            add_noise(samples, low, high, readout.noise.sigma[channel], readout.noise.process[plane], state)
            _scan(
                keys, amounts, order[first : at[0]], channel, plane, low, high, samples, readout.thresholds[plane],
                origins, sums, tps,
            )  # fmt: skip


@compiled()
def _channels(keys: IntArray, order: IntArray, beside: IntArray) -> tuple[npt.NDArray[np.bool_], IntArray]:
    """Which channels have charge on or beside them, and where the rows of each begin and end in ``order``."""
    lit, ranges = np.zeros(beside.shape[0], np.bool_), np.zeros(beside.shape, np.int64)
    for k in range(order.shape[0]):
        channel = keys[order[k], 0]
        if ranges[channel, 1] == 0:
            ranges[channel, 0] = k
            lit[channel] = True
            for side in range(2):
                if beside[channel, side] >= 0:
                    lit[beside[channel, side]] = True
        ranges[channel, 1] = k + 1
    return lit, ranges


@compiled()
def _shape_piece(
    keys: IntArray, amounts: FloatArray, order: IntArray, at: IntArray, wanted: IntArray, response: FloatArray,
    samples: FloatArray,
) -> tuple[int, int]:  # fmt: skip
    """Shape the next piece of charge of a wire and of those beside it; gives where its samples begin and end.

    ``at`` steps through the rows of the three wires, to ``wanted``, in time.
    """
    n_ticks, low, high, latest = samples.shape[0], -1, 0, 0
    while True:
        source, tick = -1, 0
        for k in range(3):
            if at[k] < wanted[k] and (source < 0 or keys[order[at[k]], 1] < tick):
                source, tick = k, keys[order[at[k]], 1]
        if source < 0 or (low >= 0 and tick - latest > 2 * REACH + 1):
            return low, high
        if low < 0:
            low = high = max(tick - REACH, 0)
        until, latest = min(tick + REACH + 1, n_ticks), tick
        if until > high:
            samples[high:until] = 0.0
            high = until
        electrons, kind = amounts[order[at[source]], NE], min(source, 1)
        begin = max(tick - REACH, 0)
        for k in range(begin, until):
            samples[k] += electrons * response[kind, k - tick + REACH]
        at[source] += 1


@compiled()
def _largest(samples: FloatArray, low: int, high: int) -> float:
    """The largest of the samples ``low .. high - 1``."""
    largest = samples[low]
    for k in range(low + 1, high):
        largest = max(largest, samples[k])
    return float(largest)


@compiled()
def _scan(
    keys: IntArray, amounts: FloatArray, own: IntArray, channel: int, plane: int, low: int, high: int,
    samples: FloatArray, threshold: float, origins: IntArray, sums: FloatArray, tps: TPs,
) -> None:  # fmt: skip
    """Every maximal run of samples above threshold is a TP; ``own`` are the rows of the wire's own charge.

    A run that is still open at the end of the window is none: the trigger writes a TP when the signal falls.
    """
    shift, k = TRUTH_SHIFT_TICKS[plane], low
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
        if k >= samples.shape[0]:
            return
        row = _new_tp(tps, channel, start, k - start, peak - start, int(total), int(min(samples[peak], 16383.0)))
        if row >= 0:
            _own(keys, amounts, own, start + shift, k + shift, row, origins, sums, tps)


@compiled()
def _new_tp(tps: TPs, channel: int, start: int, length: int, to_peak: int, integral: int, peak: int) -> int:
    """Append a TP without truth and give its row; -1 if the list is full."""
    n = tps.counts[TPS]
    if n >= tps.rows.shape[0]:
        tps.counts[TPS_FULL] = 1
        return -1
    row = tps.rows[n]
    row[CHANNEL], row[START], row[LENGTH], row[TO_PEAK] = channel, start, length, to_peak
    row[INTEGRAL], row[PEAK], row[ORIGIN] = integral, peak, -1
    tps.truth[n] = 0.0
    tps.counts[TPS] = n + 1
    return int(n)


@compiled()
def _own(
    keys: IntArray, amounts: FloatArray, own: IntArray, begin: int, end: int, row: int,
    origins: IntArray, sums: FloatArray, tps: TPs,
) -> None:  # fmt: skip
    """Truth of a TP: the charge of its channel that arrived at ticks begin .. end - 1; two arrays are scratch."""
    n = 0
    for k in range(own.shape[0]):
        source = own[k]
        if not begin <= keys[source, 1] < end:
            continue
        place = 0
        while place < n and origins[place] != keys[source, 2]:
            place += 1
        if place == n:
            origins[n] = keys[source, 2]
            sums[n] = 0.0
            n += 1
        for column in range(AMOUNTS):
            sums[place, column] += amounts[source, column]
    if n == 0:
        return
    leader, whole = 0, np.zeros(AMOUNTS)
    for place in range(n):
        if sums[place, NE] > sums[leader, NE]:
            leader = place
        whole += sums[place]
    if whole[NE] <= 0.0:
        return
    truth = tps.truth[row]
    tps.rows[row, ORIGIN] = origins[leader]
    truth[SHARE] = sums[leader, NE] / whole[NE]
    truth[ENERGY], truth[ELECTRONS] = whole[MEV], whole[NE]
    for axis in range(3):
        truth[POSITION + axis] = whole[X_NE + axis] / whole[NE]
        truth[OWN_POSITION + axis] = sums[leader, X_NE + axis] / sums[leader, NE]


@compiled()
def add_noise_tps(state: State, readout: Electronics, tps: TPs) -> None:
    """TPs of noise alone; none that touches another TP, or is open at the end of the window."""
    latest, previous = _chains(tps.rows, tps.counts[TPS], readout.planes.shape[0])
    noise, n_ticks, rows, n = readout.noise, readout.n_ticks, tps.rows, tps.counts[TPS]
    samples = np.empty(_LONGEST_NOISE)
    for plane in range(3):
        sigma, process, share, wires = noise.sigma, noise.process[plane], noise.share, noise.wires
        low, high, threshold = noise.first[plane], noise.first[plane + 1] - 1, readout.thresholds[plane]
        for _ in range(poisson(state, noise.rates[plane])):
            channel, start = wires[draw_place(share, low, high, state)], draw_start(n_ticks, state)
            most = min(_LONGEST_NOISE, n_ticks - start)
            length = draw_run(sigma[channel], threshold, most, process, state, samples)
            if start + length >= n_ticks or _meets(rows, latest, previous, channel, start, length):
                continue
            if n >= rows.shape[0]:
                tps.counts[TPS_FULL] = 1
                return
            tps.truth[n] = 0.0
            _noise_row(rows, n, channel, start, length, samples)
            previous[n], latest[channel] = latest[channel], n
            n += 1
            tps.counts[TPS] = n


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
