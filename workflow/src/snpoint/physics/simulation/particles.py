"""What the compiled transport shares: particles, the stack they wait on, and the energy they leave.

A particle is seven numbers: kinetic energy [MeV], position [cm], unit direction. Lists that grow have a capacity;
`counts` holds their lengths and a mark that one was full, upon which the caller starts again with longer ones.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from snpoint.physics.compiled import compiled
from snpoint.physics.simulation.materials import LOG_FIRST, LOG_STEP, N_POINTS
from snpoint.physics.xoshiro import State, uniform

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

ELECTRON, POSITRON, PHOTON, PROTON, ALPHA, NOTHING = range(6)
"""Kinds of particles; `NOTHING`: all that leave no energy."""
PRIMARY, DELTA, DESCENDANT = 0, 1, 2
"""Class of a deposit: the particle itself and soft delta rays, a delta ray and its offspring, a photon's descendant."""
ENERGY = 0
N_STACK, N_DEPOSITS, FULL, OWNER = 0, 1, 2, 3
"""Indices into ``counts``."""


class Lists(NamedTuple):
    """Growing lists of one event."""

    stack: FloatArray  # (capacity, 7) particles that wait
    kinds: IntArray  # (capacity, 2) their kind and class
    deposits: FloatArray  # (capacity, 5) x, y, z [cm], energy [MeV], density of the ionization [MeV/cm]
    classes: IntArray  # (capacity,) class of each deposit
    owners: IntArray  # (capacity,) the particle of the event that each deposit descends from
    counts: IntArray  # (4,) N_STACK, N_DEPOSITS, FULL, and OWNER: the particle that is followed now


def new_lists(capacity: int) -> Lists:
    """Empty lists with room for ``capacity`` deposits."""
    waiting = max(64, capacity // 16)
    return Lists(
        np.zeros((waiting, 7)),
        np.zeros((waiting, 2), np.int64),
        np.zeros((capacity, 5)),
        np.zeros(capacity, np.int64),
        np.zeros(capacity, np.int64),
        np.zeros(4, np.int64),
    )


@compiled()
def push(
    lists: Lists, kind: int, family: int, energy: float, particle: FloatArray, direction: tuple[float, float, float]
) -> None:
    """Put a new particle on the stack, at the position of ``particle``."""
    stack, kinds, counts = lists.stack, lists.kinds, lists.counts
    n = counts[N_STACK]
    if n >= stack.shape[0]:
        counts[FULL] = 1
        return
    stack[n, ENERGY] = energy
    for axis in range(3):
        stack[n, 1 + axis] = particle[1 + axis]
    stack[n, 4], stack[n, 5], stack[n, 6] = direction
    kinds[n, 0] = kind
    kinds[n, 1] = family
    counts[N_STACK] = n + 1


@compiled()
def deposit(lists: Lists, family: int, energy: float, density: float, x: float, y: float, z: float) -> None:
    """Leave energy at a point; ``density`` [MeV/cm] is that along the tiny track it stands for."""
    deposits, counts = lists.deposits, lists.counts
    n = counts[N_DEPOSITS]
    if n >= deposits.shape[0]:
        counts[FULL] = 1
        return
    deposits[n, 0] = x
    deposits[n, 1] = y
    deposits[n, 2] = z
    deposits[n, 3] = energy
    deposits[n, 4] = density
    lists.classes[n] = family
    lists.owners[n] = counts[OWNER]
    counts[N_DEPOSITS] = n + 1


@compiled(inline="always")
def locate(energy: float) -> tuple[int, float]:
    """Left table point of an energy, and how far the energy is towards the next one."""
    at = (math.log(energy) - LOG_FIRST) / LOG_STEP
    index = min(max(int(at), 0), N_POINTS - 2)
    return index, min(max(at - index, 0.0), 1.0)


@compiled(inline="always")
def table_value(table: FloatArray, row: int, index: int, part: float) -> float:
    """Linear interpolation in one row of the table."""
    return float(table[row, index] * (1.0 - part) + table[row, index + 1] * part)


@compiled()
def turned(particle: FloatArray, cosine: float, azimuth: float) -> tuple[float, float, float]:
    """Direction of ``particle`` turned by a polar angle with this cosine, at this azimuth around it.

    Numbers, not an array: making one costs as much as the rest of a step.
    """
    u, v, w = particle[4], particle[5], particle[6]
    sine = math.sqrt(max(0.0, 1.0 - cosine * cosine))
    a, b = sine * math.cos(azimuth), sine * math.sin(azimuth)
    across = math.sqrt(u * u + v * v)
    if across < 1e-10:
        return a, b, cosine if w > 0 else -cosine
    x = u * cosine + (a * u * w - b * v) / across
    y = v * cosine + (a * v * w + b * u) / across
    z = w * cosine - a * across
    norm = 1.0 / math.sqrt(x * x + y * y + z * z)
    return x * norm, y * norm, z * norm


@compiled()
def random_azimuth(state: State) -> float:
    """An angle in (0, 2 pi)."""
    return 2.0 * math.pi * uniform(state)


@compiled()
def turn(particle: FloatArray, cosine: float, azimuth: float) -> None:
    """Turn the direction of a particle in place."""
    particle[4], particle[5], particle[6] = turned(particle, cosine, azimuth)


@compiled()
def move(particle: FloatArray, distance: float) -> None:
    """Move a particle along its direction."""
    for axis in range(3):
        particle[1 + axis] += distance * particle[4 + axis]
