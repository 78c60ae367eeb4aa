"""Drift volumes and wires of a detector as flat arrays, for compiled loops."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from snpoint.physics.compiled import compiled
from snpoint.physics.geometry import Detector

FloatArray = npt.NDArray[np.float64]

X_LOW, X_HIGH, Y_LOW, Y_HIGH, Z_LOW, Z_HIGH, FIRST_CHANNEL, ANODE, SIGN = range(9)
"""Columns of the volume table."""


class Layout(NamedTuple):
    """A detector as flat arrays for compiled loops."""

    volumes: FloatArray  # (n, 9) x, y, z ranges [cm], first channel of the APA, anode [cm], sign of the drift line
    wires: FloatArray  # (n, 3, 6) dch_dy, dch_dz, offset, first channel, number, wrapped
    drift: FloatArray  # ticks_per_cm, tick_at_anode, tick_us, ticks


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


@compiled()
def find_volume(volumes: FloatArray, x: float, y: float, z: float) -> int:
    """Index of the drift volume that holds a point; -1 outside all of them."""
    for k in range(volumes.shape[0]):
        across = volumes[k, Y_LOW] <= y < volumes[k, Y_HIGH] and volumes[k, Z_LOW] <= z < volumes[k, Z_HIGH]
        if across and volumes[k, X_LOW] <= x < volumes[k, X_HIGH]:
            return k
    return -1


@compiled(inline="always")
def wire_position(wires: FloatArray, volume: int, plane: int, y: float, z: float) -> float:
    """Position of a point across the wires of a plane, in wires; whole numbers are on a wire."""
    return float(wires[volume, plane, 0] * y + wires[volume, plane, 1] * z + wires[volume, plane, 2])


@compiled(inline="always")
def wire_channel(wires: FloatArray, volume: int, plane: int, wire: float) -> int:
    """APA-local channel of a wire by its whole number; -1 beyond the last one."""
    first, n = wires[volume, plane, 3], wires[volume, plane, 4]
    local = wire - first
    if wires[volume, plane, 5] > 0.0:
        local -= n * math.floor(local / n)
    return int(first + local) if 0.0 <= local < n else -1
