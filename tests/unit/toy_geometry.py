"""Where points lie in a detector, worked out by the simulation's own functions."""

from __future__ import annotations

import math

import numpy as np

from snpoint.physics.geometry import Detector, Volume
from snpoint.physics.simulation.wires import find_volume, layout_of, wire_channel, wire_position


def nearest_channel(detector: Detector, volume: Volume, plane: int, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """APA-local number of the nearest wire; -1 beyond the last one."""
    wires, index = layout_of(detector).wires, detector.volumes.index(volume)
    points = np.broadcast(y, z)
    where = (math.floor(wire_position(wires, index, plane, float(a), float(b)) + 0.5) for a, b in points)
    return np.array([wire_channel(wires, index, plane, wire) for wire in where])


def volume_numbers(detector: Detector, points: np.ndarray) -> np.ndarray:
    """Number of the drift volume that holds each point, shape (n, 3); -1 outside all of them."""
    volumes = layout_of(detector).volumes
    return np.array([find_volume(volumes, *map(float, point)) for point in points])


def drift_tick(detector: Detector, x: float) -> float:
    """Arrival of charge from ``x`` on the drift line, without the planes' offsets [ticks]."""
    return detector.ticks_per_cm * abs(float(x)) + detector.tick_at_anode
