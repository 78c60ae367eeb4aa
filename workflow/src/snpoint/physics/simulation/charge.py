"""From energy deposits to the charge that reaches each wire: drift, lifetime, diffusion, channel map.

Numbers were fitted to the SimIDEs of a LArSoft production (60 events), except the transverse diffusion constant,
which is LArSoft's default.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from snpoint.physics.compiled import compiled
from snpoint.physics.geometry import Detector
from snpoint.physics.simulation.recombination import ELECTRONS_PER_MEV, escaping
from snpoint.physics.xoshiro import State, normal

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

LIFETIME_US = 10_400.0
LONGITUDINAL_CM2_US = 3.94e-6
TRANSVERSE_CM2_US = 8.8e-6
ELECTRONS_PER_POINT, MOST_POINTS = 250.0, 20
"""Each deposit is diffused in equal parts of at most so many electrons, but no more than 20 parts."""

X_LOW, X_HIGH, Y_LOW, Y_HIGH, Z_LOW, Z_HIGH, FIRST_CHANNEL, ANODE, SIGN = range(9)
"""Columns of the volume table."""
NE, MEV, X_NE, Y_NE, Z_NE = range(5)
"""Columns of the amounts: electrons, energy [MeV], and position [cm] times electrons."""
VOLUME, TICK, ACROSS, ALONG, ELECTRONS, WHOSE, POINTS, PARTS_COLUMNS = range(8)
"""Columns of what is known of a deposit on its way: volume (-1: none), arrival [ticks], diffusion across [cm] and along
[ticks], electrons in each of its equal parts, origin, number of parts (0 without a volume)."""
_BLOCK = 128
_ORIGIN_BITS = 24
"""A key is one number: (channel * ticks + tick) * 2^24 + origin."""
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_HALF = np.uint64(32)


class Layout(NamedTuple):
    """A detector as flat arrays for compiled loops."""

    volumes: FloatArray  # (n, 9) x, y, z ranges [cm], first channel of the APA, anode [cm], sign of the drift line
    wires: FloatArray  # (n, 3, 6) dch_dy, dch_dz, offset, first channel, number, wrapped
    drift: FloatArray  # ticks_per_cm, tick_at_anode, tick_us, ticks


class Charge(NamedTuple):
    """Charge per channel, tick and origin: one row each, found by hashing; sorted by `order_rows`.

    The origin says whose charge it is: 2 * particle + (0 its own, 1 that of the electrons and photons it made).
    """

    table: npt.NDArray[np.int32]  # (power of two,) row + 1 of a key, by open addressing; 0 = none
    codes: IntArray  # (rows,) key of each row as one number
    places: npt.NDArray[np.int32]  # (rows,) where in the table each row stands
    keys: IntArray  # (rows, 3) channel, tick, origin
    amounts: FloatArray  # (rows, 5) electrons, MeV, x, y, z times electrons
    counts: IntArray  # rows, not in use, full


ROWS, FULL = 0, 2


def layout_of(detector: Detector) -> Layout:
    """Flat arrays of a detector."""
    volumes = [
        (
            *v.x_range_cm, *v.y_range_cm, *v.z_range_cm, v.apa * detector.channels_per_apa, v.anode_cm, v.time_sign,
        )
        for v in detector.volumes
    ]  # fmt: skip
    wires = [
        [(w.dch_dy, w.dch_dz, w.offset, w.first_channel, w.n_channels, w.modulus is not None) for w in v.wires]
        for v in detector.volumes
    ]
    drift = [detector.ticks_per_cm, detector.tick_at_anode, detector.tick_us, detector.n_ticks]
    return Layout(np.array(volumes, np.float64), np.array(wires, np.float64), np.array(drift, np.float64))


def new_charge(detector: Detector, rows: int) -> Charge:
    """Empty charge lists with room for ``rows`` rows, whatever the detector."""
    del detector
    size = 1 << max(10, (2 * rows - 1).bit_length())
    return Charge(
        np.zeros(size, np.int32),
        np.zeros(rows, np.int64),
        np.zeros(rows, np.int32),
        np.zeros((rows, 3), np.int64),
        np.zeros((rows, 5)),
        np.zeros(3, np.int64),
    )


@compiled()
def find_volume(volumes: FloatArray, x: float, y: float, z: float) -> int:
    """Index of the drift volume that holds a point; -1 outside all of them."""
    for k in range(volumes.shape[0]):
        across = volumes[k, Y_LOW] <= y < volumes[k, Y_HIGH] and volumes[k, Z_LOW] <= z < volumes[k, Z_HIGH]
        if across and volumes[k, X_LOW] <= x < volumes[k, X_HIGH]:
            return k
    return -1


@compiled()
def nearest_wire(wires: FloatArray, volume: int, plane: int, y: float, z: float) -> int:
    """APA-local channel of the nearest wire; -1 beyond the last one."""
    value = wires[volume, plane, 0] * y + wires[volume, plane, 1] * z + wires[volume, plane, 2]
    first, n = wires[volume, plane, 3], wires[volume, plane, 4]
    local = math.floor(value + 0.5) - first
    if wires[volume, plane, 5] > 0.0:
        local -= n * math.floor(local / n)
    return int(first + local) if 0.0 <= local < n else -1


@compiled()
def drift_deposits(
    deposits: FloatArray, classes: IntArray, owners: IntArray, times_us: FloatArray,
    state: State, layout: Layout, charge: Charge,
) -> None:  # fmt: skip
    """Drift all deposits of an event to the wires. Deposits outside the drift volumes are lost.

    Parameters
    ----------
    deposits, classes, owners
        Of the shower, shapes (n, 5), (n,), (n,): x, y, z [cm], energy [MeV], density of the ionization [MeV/cm]; class
        (0 the particle's own); index of the particle.
    times_us
        When each particle was made, counted from the begin of the readout, shape (particles,) [us].
    state, layout
        Random state, shape (4,), which is stepped on; the detector.
    charge
        Lists that are added to. ``charge.counts[FULL]`` is set when they were too short: start again with longer ones.
    """
    n, n_ticks = charge.counts[ROWS], int(layout.drift[3])
    opened = n
    parts = np.empty((_BLOCK, PARTS_COLUMNS))
    codes = np.empty(_BLOCK * MOST_POINTS * 3, np.int64)
    for first in range(0, deposits.shape[0], _BLOCK):
        some = slice(first, min(first + _BLOCK, deposits.shape[0]))
        _arrivals(deposits[some], classes[some], owners[some], times_us, layout.volumes, layout.drift, parts)
        _keys(deposits[some], parts, layout.volumes, layout.wires, n_ticks, state, codes)
        n = _add(deposits[some], parts, codes, charge.table, charge.codes, charge.places, charge.amounts, n)
        if n < 0:
            charge.counts[FULL] = 1
            return
    charge.counts[ROWS] = n
    for row in range(opened, n):
        code = charge.codes[row]
        charge.keys[row, 0] = (code >> _ORIGIN_BITS) // n_ticks
        charge.keys[row, 1] = (code >> _ORIGIN_BITS) % n_ticks
        charge.keys[row, 2] = code & ((1 << _ORIGIN_BITS) - 1)


# A block of deposits goes through three loops over plain arrays. In one loop with calls in it, or with the fields of
# a NamedTuple read in it, numba's reference counts cost three to five times as much as the rest.
@compiled()
def _arrivals(
    deposits: FloatArray, classes: IntArray, owners: IntArray, times_us: FloatArray,
    volumes: FloatArray, drift: FloatArray, parts: FloatArray,
) -> None:  # fmt: skip
    """Where and when each deposit arrives: its columns of ``parts``."""
    per_cm, at_anode, tick_us = drift[0], drift[1], drift[2]
    for k in range(deposits.shape[0]):
        volume = find_volume(volumes, deposits[k, 0], deposits[k, 1], deposits[k, 2])
        parts[k, VOLUME], parts[k, POINTS] = volume, 0.0
        if volume < 0:
            continue
        line = per_cm * volumes[volume, SIGN] * (deposits[k, 0] - volumes[volume, ANODE]) + at_anode
        drift_us = max(line, 0.0) * tick_us
        electrons = ELECTRONS_PER_MEV * escaping(deposits[k, 4]) * deposits[k, 3]
        points = min(math.floor(electrons / ELECTRONS_PER_POINT) + 1, MOST_POINTS)
        parts[k, POINTS] = points
        parts[k, ELECTRONS] = electrons * math.exp(-drift_us / LIFETIME_US) / points
        parts[k, TICK] = line + times_us[owners[k]] / tick_us
        parts[k, ACROSS] = math.sqrt(2.0 * TRANSVERSE_CM2_US * drift_us)
        parts[k, ALONG] = math.sqrt(2.0 * LONGITUDINAL_CM2_US * drift_us) * per_cm
        parts[k, WHOSE] = 2 * owners[k] + (0 if classes[k] == 0 else 1)


@compiled()
def _keys(
    deposits: FloatArray, parts: FloatArray, volumes: FloatArray, wires: FloatArray, n_ticks: int, state: State,
    codes: IntArray,
) -> None:  # fmt: skip
    """Diffuse the deposits, and key what arrives on the nearest wire of each plane; -1 what arrives nowhere."""
    place = 0
    for k in range(deposits.shape[0]):
        volume = int(parts[k, VOLUME])
        base, origin = int(volumes[volume, FIRST_CHANNEL]), int(parts[k, WHOSE])
        for _ in range(int(parts[k, POINTS])):
            y = deposits[k, 1] + parts[k, ACROSS] * normal(state)
            z = deposits[k, 2] + parts[k, ACROSS] * normal(state)
            tick = math.floor(parts[k, TICK] + parts[k, ALONG] * normal(state) + 0.5)
            for plane in range(3):
                local = nearest_wire(wires, volume, plane, y, z)
                codes[place] = -1
                if local >= 0 and 0 <= tick < n_ticks:
                    codes[place] = (((base + local) * n_ticks + tick) << _ORIGIN_BITS) | origin
                place += 1


@compiled()
def _add(
    deposits: FloatArray, parts: FloatArray, wanted: IntArray, table: npt.NDArray[np.int32], codes: IntArray,
    places: npt.NDArray[np.int32], amounts: FloatArray, n: int,
) -> int:  # fmt: skip
    """Add the deposits to the rows of their keys; gives the number of rows then, -1 if there was no room."""
    mask, point = table.shape[0] - 1, 0
    for k in range(deposits.shape[0]):
        electrons, mev = parts[k, ELECTRONS], deposits[k, 3] / max(parts[k, POINTS], 1.0)
        for _ in range(3 * int(parts[k, POINTS])):
            code = wanted[point]
            point += 1
            if code < 0:
                continue
            place = int((np.uint64(code) * _GOLDEN) >> _HALF) & mask
            row = int(table[place]) - 1
            while row >= 0 and codes[row] != code:
                place = (place + 1) & mask
                row = int(table[place]) - 1
            if row < 0:
                if n >= codes.shape[0]:
                    return -1
                row, n = n, n + 1
                table[place], codes[row], places[row] = n, code, place
                for column in range(5):
                    amounts[row, column] = 0.0
            amounts[row, NE] += electrons
            amounts[row, MEV] += mev
            for axis in range(3):
                amounts[row, X_NE + axis] += electrons * deposits[k, axis]
    return n


def order_rows(charge: Charge) -> IntArray:
    """Rows in the order channel, tick, origin, shape (rows,)."""
    return np.argsort(charge.codes[: charge.counts[ROWS]])


@compiled()
def clear_charge(charge: Charge) -> None:
    """Empty the lists; costs as much as they hold."""
    for row in range(charge.counts[ROWS]):
        charge.table[charge.places[row]] = 0
    charge.counts[:] = 0
