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
from snpoint.physics.xoshiro import State, normal_pair

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

ELECTRONS_PER_MEV = 42_370.0
"""Ionization electrons before recombination."""
BOX_ALPHA, BOX_BETA_CM_MEV = 0.93, 0.212 / (1.396 * 0.5)
"""Recombination after the modified box model (ArgoNeuT's constants), at the density of argon and 0.5 kV/cm."""
DENSITY_FACTOR = 1.6
"""Ionization is denser than energy per path length says, as it fluctuates; fitted to the yield of real tracks."""
LIFETIME_US = 10_400.0
LONGITUDINAL_CM2_US = 3.94e-6
TRANSVERSE_CM2_US = 8.8e-6
POINTS_PER_DEPOSIT = 6
"""Each deposit is diffused as this many equal parts."""
MAIN, DAUGHTER = 0, 1
"""Whose charge: the primary electron's own, or that of its electromagnetic daughters."""

APA, CHANNEL_BASE = 6, 7
"""Columns of the volume table after its three ranges."""
NE, MEV, X_NE, Y_NE, Z_NE = range(5)
"""Columns of the amounts: electrons, energy [MeV], and position [cm] times electrons."""


class Layout(NamedTuple):
    """A detector as flat arrays for compiled loops."""

    volumes: FloatArray  # (n, 8) x, y, z ranges [cm], APA, first channel of the APA
    wires: FloatArray  # (n, 3, 6) dch_dy, dch_dz, offset, first channel, number, wrapped
    drift: FloatArray  # ticks_per_cm, tick_at_anode, tick_us


class Charge(NamedTuple):
    """Charge per channel, tick and origin: one row each, in that order after `order`."""

    cells: npt.NDArray[np.int32]  # (slots, ticks, 2) row number + 1; 0 = none
    slots: npt.NDArray[np.int32]  # (channels,) slot + 1 of a channel; 0 = none
    keys: IntArray  # (rows, 3) channel, tick, origin
    amounts: FloatArray  # (rows, 5) electrons, MeV, x, y, z times electrons
    counts: IntArray  # rows, slots, full


ROWS, SLOTS, FULL = 0, 1, 2


def layout_of(detector: Detector) -> Layout:
    """Flat arrays of a detector."""
    volumes = [
        (*v.x_range_cm, *v.y_range_cm, *v.z_range_cm, v.apa, v.apa * detector.channels_per_apa)
        for v in detector.volumes
    ]
    wires = [
        [(w.dch_dy, w.dch_dz, w.offset, w.first_channel, w.n_channels, w.modulus is not None) for w in v.wires]
        for v in detector.volumes
    ]
    drift = [detector.ticks_per_cm, detector.tick_at_anode, detector.tick_us]
    return Layout(np.array(volumes, np.float64), np.array(wires, np.float64), np.array(drift, np.float64))


def new_charge(detector: Detector, rows: int) -> Charge:
    """Empty charge lists with room for ``rows`` rows (and a sixteenth as many channels)."""
    n_channels = detector.n_apas * detector.channels_per_apa
    return Charge(
        np.zeros((max(rows // 16, 64), detector.n_ticks, 2), np.int32),
        np.zeros(n_channels, np.int32),
        np.zeros((rows, 3), np.int64),
        np.zeros((rows, 5)),
        np.zeros(3, np.int64),
    )


@compiled()
def find_volume(volumes: FloatArray, x: float, y: float, z: float) -> int:
    """Index of the drift volume that holds a point; -1 outside all of them."""
    for k in range(volumes.shape[0]):
        across = volumes[k, 2] <= y < volumes[k, 3] and volumes[k, 4] <= z < volumes[k, 5]
        if across and volumes[k, 0] <= x < volumes[k, 1]:
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
def row_of(channel: int, tick: int, origin: int, charge: Charge) -> int:
    """Row of this channel, tick and origin; a new one is opened where there is none, -1 if there is no room."""
    counts = charge.counts
    slot = charge.slots[channel] - 1
    if slot < 0:
        if counts[SLOTS] >= charge.cells.shape[0]:
            counts[FULL] = 1
            return -1
        slot = counts[SLOTS]
        counts[SLOTS] += 1
        charge.slots[channel] = slot + 1
    row = charge.cells[slot, tick, origin] - 1
    if row < 0:
        if counts[ROWS] >= charge.keys.shape[0]:
            counts[FULL] = 1
            return -1
        row = counts[ROWS]
        counts[ROWS] += 1
        charge.cells[slot, tick, origin] = row + 1
        charge.keys[row, 0], charge.keys[row, 1], charge.keys[row, 2] = channel, tick, origin
        for column in range(5):
            charge.amounts[row, column] = 0.0
    return int(row)


@compiled(inline="always")
def escaping(density: float) -> float:
    """Share of the ionization electrons that escape recombination; falls with the density of the ionization [MeV/cm].

    It is small where electrons stop: a Compton electron of 20 keV gives 9,000 electrons per MeV, a track 28,000.
    """
    box = BOX_BETA_CM_MEV * DENSITY_FACTOR * density
    return math.log(BOX_ALPHA + box) / box


@compiled()
def drift_deposits(deposits: FloatArray, classes: IntArray, state: State, layout: Layout, charge: Charge) -> None:
    """Drift all deposits of an event to the wires. Deposits outside the drift volumes are lost."""
    per_cm, at_anode, tick_us = layout.drift[0], layout.drift[1], layout.drift[2]
    n_ticks, amounts = charge.cells.shape[1], charge.amounts
    for k in range(deposits.shape[0]):
        x, y, z = deposits[k, 0], deposits[k, 1], deposits[k, 2]
        volume = find_volume(layout.volumes, x, y, z)
        if volume < 0:
            continue
        line = per_cm * abs(x) + at_anode
        time_us = max(line, 0.0) * tick_us
        mev = deposits[k, 3] / POINTS_PER_DEPOSIT
        electrons = mev * ELECTRONS_PER_MEV * escaping(deposits[k, 4]) * math.exp(-time_us / LIFETIME_US)
        across = math.sqrt(2.0 * TRANSVERSE_CM2_US * time_us)
        along = math.sqrt(2.0 * LONGITUDINAL_CM2_US * time_us) * per_cm
        origin = MAIN if classes[k] == 0 else DAUGHTER
        base = int(layout.volumes[volume, CHANNEL_BASE])
        for _ in range(POINTS_PER_DEPOSIT):
            dy, dz = normal_pair(state)
            dt, _unused = normal_pair(state)
            tick = math.floor(line + along * dt + 0.5)
            if tick < 0 or tick >= n_ticks:
                continue
            for plane in range(3):
                local = nearest_wire(layout.wires, volume, plane, y + across * dy, z + across * dz)
                row = row_of(base + local, tick, origin, charge) if local >= 0 else -1
                if row >= 0:
                    amounts[row, NE] += electrons
                    amounts[row, MEV] += mev
                    amounts[row, X_NE] += electrons * x
                    amounts[row, Y_NE] += electrons * y
                    amounts[row, Z_NE] += electrons * z


@compiled()
def order_rows(charge: Charge) -> IntArray:
    """Rows in the order channel, tick, origin."""
    n = charge.counts[ROWS]
    keys = np.empty(n, np.int64)
    for row in range(n):
        keys[row] = (charge.keys[row, 0] * charge.cells.shape[1] + charge.keys[row, 1]) * 2 + charge.keys[row, 2]
    return np.argsort(keys)


@compiled()
def clear_charge(charge: Charge) -> None:
    """Empty the lists; costs as much as they hold."""
    for row in range(charge.counts[ROWS]):
        channel, tick, origin = charge.keys[row]
        slot = charge.slots[channel] - 1
        if slot >= 0:
            charge.cells[slot, tick, origin] = 0
    for row in range(charge.counts[ROWS]):
        charge.slots[charge.keys[row, 0]] = 0
    charge.counts[:] = 0
