"""Random numbers inside compiled loops: xoshiro256++ (Blackman and Vigna), one state per event.

numpy's generators cannot be stepped from a compiled loop without a lock; this one can, and every event carries
its own state, so that it comes out the same alone, in any order and on any number of processes.
"""

from __future__ import annotations

import math
from typing import Any

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
def word(state: State) -> Any:
    """The next 64 random bits, as np.uint64."""
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
    return result


@compiled(inline="always")
def uniform(state: State) -> float:
    """A number in (0, 1), never its ends, so that its logarithm exists."""
    return (float(word(state) >> _SHIFT_DOWN) + 0.5) * _UNIT


@compiled()
def normal_pair(state: State) -> tuple[float, float]:
    """Two independent standard normal numbers (Box-Muller)."""
    radius = math.sqrt(-2.0 * math.log(uniform(state)))
    angle = 2.0 * math.pi * uniform(state)
    return radius * math.cos(angle), radius * math.sin(angle)


def _layers() -> npt.NDArray[np.float64]:
    """Right ends of the ziggurat's layers of equal area under exp(-x^2/2), from the bottom, and 0."""
    ends = np.zeros(_N_LAYERS + 1)
    ends[0], ends[1] = _AREA / math.exp(-0.5 * _TAIL**2), _TAIL
    for k in range(2, _N_LAYERS):
        ends[k] = math.sqrt(-2.0 * math.log(math.exp(-0.5 * ends[k - 1] ** 2) + _AREA / ends[k - 1]))
    return ends


_N_LAYERS, _TAIL, _AREA = 128, 3.442619855899, 9.91256303526217e-3
_ENDS = _layers()
_HEIGHTS = np.exp(-0.5 * _ENDS**2)
_LAYER_BITS, _SIGN_BIT = np.uint64(_N_LAYERS - 1), np.uint64(_N_LAYERS)


@compiled()
def normal(state: State) -> float:
    """One standard normal number (ziggurat: Marsaglia and Tsang, J. Stat. Softw. 5 (2000) 8, with 128 layers)."""
    while True:
        bits = word(state)
        layer = int(bits & _LAYER_BITS)
        x = (float(bits >> _SHIFT_DOWN) + 0.5) * _UNIT * _ENDS[layer]
        inside = x < _ENDS[layer + 1]
        if not inside and layer == 0:
            x = _TAIL + _beyond(_TAIL, state)
            inside = True
        if not inside:
            height = _HEIGHTS[layer] + uniform(state) * (_HEIGHTS[layer + 1] - _HEIGHTS[layer])
            inside = height < math.exp(-0.5 * x * x)
        if inside:
            return float(-x if bits & _SIGN_BIT else x)


@compiled()
def _beyond(least: float, state: State) -> float:
    """How far above ``least`` a standard normal number is that is above it (Marsaglia); ``least`` of 1 or more."""
    while True:
        x = -math.log(uniform(state)) / least
        if -2.0 * math.log(uniform(state)) > x * x:
            return x


@compiled()
def normal_above(least: float, state: State) -> float:
    """A standard normal number that is above ``least``, of 1 or more."""
    return least + _beyond(least, state)


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
