"""A number for the content of a group of rows: equal content gives an equal number, in whatever order the rows are.

Each row is mixed into 64 bits, one column after the other, with the finalizer of SplitMix64 (Steele, Lea and Flood
2014, doi:10.1145/2660193.2660195); the rows of a group are added up, and the sum is mixed once more with their count.
Among a million different groups, two get the same number by chance in one of 4 * 10^7 samples.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from snpoint.physics.compiled import compiled

_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


def content_hash(group: npt.NDArray[Any], n_groups: int, *columns: npt.NDArray[Any]) -> npt.NDArray[np.uint64]:
    """Hash of the rows of each group.

    Parameters
    ----------
    group
        Group of each row, shape (T,), below ``n_groups``; rows of a negative group count nowhere.
    n_groups
        Number of groups.
    *columns
        Integer columns, shape (T,), at least one. Their order matters, their width does not: 5 as ``u2`` and 5 as
        ``i8`` are the same.

    Returns
    -------
    array
        Shape (n_groups,), u8, never 0. Groups without rows share one value.

    Raises
    ------
    TypeError
        A column holds no integers.
    ValueError
        There is no column, lengths differ, or a group number is too large.
    """
    numbers = np.asarray(group, np.int64)
    if not columns or any(len(column) != len(numbers) for column in columns):
        raise ValueError("a content hash needs columns, all as long as the groups")
    if len(numbers) and numbers.max() >= n_groups:
        raise ValueError(f"group {numbers.max()} is not below {n_groups}")
    rows = np.zeros(len(numbers), np.uint64)
    for column in columns:
        if column.dtype.kind not in "iub":
            raise TypeError(f"a content hash takes integers, not {column.dtype}")
        _mix_into(rows, column.astype(np.int64, copy=False).view(np.uint64))
    return np.asarray(_summed(numbers, rows, n_groups), np.uint64)


@compiled()
def _mixed(value: Any) -> Any:
    value = (value ^ (value >> np.uint64(30))) * _FIRST
    value = (value ^ (value >> np.uint64(27))) * _SECOND
    return value ^ (value >> np.uint64(31))


@compiled()
def _mix_into(rows: Any, values: Any) -> None:
    for i in range(len(rows)):
        rows[i] = _mixed((rows[i] ^ values[i]) + _STEP)


@compiled()
def _summed(group: Any, rows: Any, n_groups: Any) -> Any:
    total = np.zeros(n_groups, np.uint64)
    count = np.zeros(n_groups, np.uint64)
    for i in range(len(rows)):
        if group[i] >= 0:
            total[group[i]] += rows[i]
            count[group[i]] += np.uint64(1)
    for g in range(n_groups):
        total[g] = max(_mixed(total[g] + (count[g] + np.uint64(1)) * _STEP), np.uint64(1))
    return total
