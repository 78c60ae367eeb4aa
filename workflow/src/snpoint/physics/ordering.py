"""Order of rows by several integer keys, in linear time.

The keys are packed into one number of 64 bits, as narrow as their ranges allow, and sorted digit by digit. Files are
often in order already, which is found out first.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from snpoint.physics.compiled import compiled

Ints = npt.NDArray[np.int64]

_DIGIT_BITS = 11
_FEW = 256
"""Below this many rows numpy's own sort is as fast."""


def sorted_order(*keys: npt.NDArray[Any]) -> Ints:
    """Rows sorted by the keys, the first key counting most; rows with equal keys stay in their order.

    Parameters
    ----------
    *keys
        Integer arrays of shape (T,), at least one; values must fit into 64 bits with a sign.

    Returns
    -------
    array
        Row numbers, shape (T,): the same as ``np.lexsort(keys[::-1])``.
    """
    n = len(keys[0])
    if n < _FEW:
        return np.lexsort(keys[::-1])
    lows = [int(key.min()) for key in keys]
    spans = [int(key.max()) - low for key, low in zip(keys, lows, strict=True)]
    shifts = [_common_zeros(key, low) for key, low in zip(keys, lows, strict=True)]
    widths = [(span >> shift).bit_length() for span, shift in zip(spans, shifts, strict=True)]
    if sum(widths) > 63:
        return np.lexsort(keys[::-1])
    packed = np.zeros(n, np.int64)
    for key, low, shift, width in zip(keys, lows, shifts, widths, strict=True):
        _append_digits(packed, key, low, shift, width)
    return np.asarray(_radix_order(packed, sum(widths)), np.int64)


def _common_zeros(key: npt.NDArray[Any], low: int) -> int:
    """Number of low bits that are the same in all values: times are multiples of the clock ticks per sample."""
    bits = int(_all_bits(key, low))
    return (bits & -bits).bit_length() - 1 if bits else 0


@compiled()
def _all_bits(key: Any, low: Any) -> Any:
    bits = 0
    for value in key:
        bits |= np.int64(value) - low
    return bits


@compiled()
def _append_digits(packed: Any, key: Any, low: Any, shift: Any, width: Any) -> None:
    for i in range(len(packed)):
        packed[i] = packed[i] << width | (np.int64(key[i]) - low) >> shift


@compiled()
def _radix_order(packed: Any, n_bits: Any) -> Any:
    n = len(packed)
    in_order = True
    for i in range(1, n):
        if packed[i] < packed[i - 1]:
            in_order = False
            break
    order = np.arange(n)
    if in_order:
        return order
    n_passes = (n_bits + _DIGIT_BITS - 1) // _DIGIT_BITS
    bits = (n_bits + n_passes - 1) // n_passes
    size = 1 << bits
    keys, other_keys, other = packed, np.empty(n, np.int64), np.empty(n, np.int64)
    for step in range(n_passes):
        shift = step * bits
        place = np.zeros(size + 1, np.int64)
        for i in range(n):
            place[(keys[i] >> shift & (size - 1)) + 1] += 1
        for d in range(size):
            place[d + 1] += place[d]
        for i in range(n):
            digit = keys[i] >> shift & (size - 1)
            other_keys[place[digit]] = keys[i]
            other[place[digit]] = order[i]
            place[digit] += 1
        keys, other_keys = other_keys, keys
        order, other = other, order
    return order
