"""Fingerprints of clusters: hashes that two programs agree on if and only if they have found the same clusters."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np

from snpoint.physics.clustering import Columns

_PLANES = "UVX"


def cluster_lines(table: Columns) -> tuple[list[str], list[bool]]:
    """One line for each cluster of a table, and whether the cluster is accepted.

    A line is ``event|plane|channel:time,channel:time,...``: number of the event, name of the plane, and global channel
    and start [clock ticks] of the TPs in ascending order.

    Parameters
    ----------
    table
        Columns ``event, plane, channel, time_start, cluster_id, accepted`` of the cluster table, rows in any order.
    """
    rows = np.flatnonzero(table["cluster_id"] >= 0)
    keys = ("time_start", "channel", "cluster_id")
    rows = rows[np.lexsort([table[key][rows] for key in keys])]
    if not len(rows):
        return [], []
    first = np.flatnonzero(np.diff(table["cluster_id"][rows], prepend=-1))
    members = [
        f"{channel}:{start}"
        for channel, start in zip(*(table[key][rows].tolist() for key in ("channel", "time_start")), strict=True)
    ]
    heads = zip(*(table[key][rows[first]].tolist() for key in ("event", "plane", "accepted")), strict=True)
    ends = [*first[1:].tolist(), len(rows)]
    lines, accepted = [], []
    for (event, plane, passed), begin, end in zip(heads, first.tolist(), ends, strict=True):
        lines.append(f"{event}|{_PLANES[plane]}|" + ",".join(members[begin:end]))
        accepted.append(bool(passed))
    return lines, accepted


def fingerprint(lines: Iterable[str]) -> str:
    """SHA-256 of lines in ascending order, in hexadecimal digits."""
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()
