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
from snpoint.physics.xoshiro import State, normal_pair

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

LIFETIME_US = 10_400.0
LONGITUDINAL_CM2_US = 3.94e-6
TRANSVERSE_CM2_US = 8.8e-6
PAIRS_PER_DEPOSIT = 3
"""Each deposit is diffused as this many pairs of equal parts."""

X_LOW, X_HIGH, Y_LOW, Y_HIGH, Z_LOW, Z_HIGH, FIRST_CHANNEL, ANODE, SIGN = range(9)
"""Columns of the volume table."""
NE, MEV, X_NE, Y_NE, Z_NE = range(5)
"""Columns of the amounts: electrons, energy [MeV], and position [cm] times electrons."""

_ORIGIN_BITS = 24
"""A key is one number: (channel * ticks + tick) * 2^24 + origin."""
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_WORD = 64


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


@compiled(inline="always")
def nearest_wire(wires: FloatArray, volume: int, plane: int, y: float, z: float) -> int:
    """APA-local channel of the nearest wire; -1 beyond the last one."""
    first, n = wires[volume, plane, 3], int(wires[volume, plane, 4])
    value = wires[volume, plane, 0] * y + wires[volume, plane, 1] * z + wires[volume, plane, 2] - first
    index: int = math.floor(value + 0.5)
    if wires[volume, plane, 5] > 0.0:
        index %= n
    return int(first) + index if 0 <= index < n else -1


@compiled(inline="always")  # as a call it costs more than the rest of the drift together
def row_of(channel: int, tick: int, origin: int, n_ticks: int, charge: Charge) -> int:
    """Row of this channel, tick and origin; a new one is opened where there is none, -1 if there is no room."""
    table, codes = charge.table, charge.codes
    mask = table.shape[0] - 1
    code = ((channel * n_ticks + tick) << _ORIGIN_BITS) | origin
    place = int((np.uint64(code) * _GOLDEN) >> np.uint64(_WORD // 2)) & mask
    row = table[place] - 1
    while row >= 0 and codes[row] != code:
        place = (place + 1) & mask
        row = table[place] - 1
    if row < 0:
        row = charge.counts[ROWS]
        if row >= codes.shape[0]:
            charge.counts[FULL] = 1
            return -1
        charge.counts[ROWS] = row + 1
        table[place] = row + 1
        codes[row], charge.places[row] = code, place
        charge.keys[row, 0], charge.keys[row, 1], charge.keys[row, 2] = channel, tick, origin
        for column in range(5):
            charge.amounts[row, column] = 0.0
    return int(row)


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
    per_cm, at_anode, tick_us = layout.drift[0], layout.drift[1], layout.drift[2]
    n_ticks, parts = int(layout.drift[3]), 2 * PAIRS_PER_DEPOSIT
    for k in range(deposits.shape[0]):
        x, y, z = deposits[k, 0], deposits[k, 1], deposits[k, 2]
        volume = find_volume(layout.volumes, x, y, z)
        if volume < 0:
            continue
        line = per_cm * layout.volumes[volume, SIGN] * (x - layout.volumes[volume, ANODE]) + at_anode
        drift_us = max(line, 0.0) * tick_us
        arrival = line + times_us[owners[k]] / tick_us
        mev = deposits[k, 3] / parts
        electrons = mev * ELECTRONS_PER_MEV * escaping(deposits[k, 4]) * math.exp(-drift_us / LIFETIME_US)
        across = math.sqrt(2.0 * TRANSVERSE_CM2_US * drift_us)
        along = math.sqrt(2.0 * LONGITUDINAL_CM2_US * drift_us) * per_cm
        origin = 2 * owners[k] + (0 if classes[k] == 0 else 1)
        base = int(layout.volumes[volume, FIRST_CHANNEL])
        later = 0.0
        for part in range(parts):
            dy, dz = normal_pair(state)
            if part % 2 == 0:
                dt, later = normal_pair(state)
            else:
                dt = later
            tick = math.floor(arrival + along * dt + 0.5)
            if tick < 0 or tick >= n_ticks:
                continue
            for plane in range(3):
                local = nearest_wire(layout.wires, volume, plane, y + across * dy, z + across * dz)
                row = row_of(base + local, tick, origin, n_ticks, charge) if local >= 0 else -1
                if row >= 0:
                    charge.amounts[row, NE] += electrons
                    charge.amounts[row, MEV] += mev
                    charge.amounts[row, X_NE] += electrons * x
                    charge.amounts[row, Y_NE] += electrons * y
                    charge.amounts[row, Z_NE] += electrons * z
        if charge.counts[FULL]:
            return


def order_rows(charge: Charge) -> IntArray:
    """Rows in the order channel, tick, origin, shape (rows,)."""
    return np.argsort(charge.codes[: charge.counts[ROWS]])


@compiled()
def clear_charge(charge: Charge) -> None:
    """Empty the lists; costs as much as they hold."""
    for row in range(charge.counts[ROWS]):
        charge.table[charge.places[row]] = 0
    charge.counts[:] = 0
