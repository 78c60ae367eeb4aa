"""Random numbers inside compiled loops: xoshiro256++ (Blackman and Vigna), one state per event.

numpy's generators cannot be stepped from a compiled loop without a lock; this one can, and every event carries
its own state, so that it comes out the same alone, in any order and on any number of processes.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from snpoint.physics.compiled import compiled

State = npt.NDArray[np.uint64]
"""Four 64-bit words, not all zero."""

_SHIFT_UP, _SHIFT_DOWN = np.uint64(17), np.uint64(11)
_LEFT_A, _RIGHT_A = np.uint64(23), np.uint64(41)
_LEFT_B, _RIGHT_B = np.uint64(45), np.uint64(19)
_UNIT = 1.0 / 9007199254740992.0


@compiled(inline="always")
def uniform(state: State) -> float:
    """A number in (0, 1), never its ends, so that its logarithm exists."""
    s0, s1, s2, s3 = state[0], state[1], state[2], state[3]
    total = s0 + s3
    result = ((total << _LEFT_A) | (total >> _RIGHT_A)) + s0
    shifted = s1 << _SHIFT_UP
    s2 ^= s0
    s3 ^= s1
    s1 ^= s2
    s0 ^= s3
    s2 ^= shifted
    state[0], state[1], state[2], state[3] = s0, s1, s2, (s3 << _LEFT_B) | (s3 >> _RIGHT_B)
    return (float(result >> _SHIFT_DOWN) + 0.5) * _UNIT


@compiled()
def normal_pair(state: State) -> tuple[float, float]:
    """Two independent standard normal numbers (Box-Muller)."""
    radius = math.sqrt(-2.0 * math.log(uniform(state)))
    angle = 2.0 * math.pi * uniform(state)
    return radius * math.cos(angle), radius * math.sin(angle)


@compiled()
def below(state: State, n: int) -> int:
    """An integer in 0 .. n - 1."""
    return min(int(uniform(state) * n), n - 1)


@compiled()
def poisson(state: State, mean: float) -> int:
    """A Poisson number, by adding exponential waiting times."""
    if mean <= 0.0:
        return 0
    count, waited = 0, -math.log(uniform(state))
    while waited < mean:
        count += 1
        waited -= math.log(uniform(state))
    return count
