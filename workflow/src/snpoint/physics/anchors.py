"""What images are about: clusters on the collection plane, what is linked to them, and what lies around them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from snpoint.physics.compiled import compiled
from snpoint.physics.constants import X

Columns = Mapping[str, npt.NDArray[Any]]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Anchors:
    """Clusters on plane X, one per image, sorted by event and cluster.

    ``row`` (one TP of the cluster), ``apa``, ``face``, ``first`` and ``last`` (rows of its event: first to last - 1)
    are per image; ``image`` is per TP of the table: the image whose clusters it belongs to, -1 none.
    """

    row: Ints
    apa: Ints
    face: Ints
    first: Ints
    last: Ints
    image: Ints


def find_anchors(table: Columns, which: str) -> Anchors:
    """The clusters that images are about.

    Parameters
    ----------
    table
        Columns of the cluster table, the rows of an event together.
    which
        ``main``: the main cluster of each event; ``links``: every accepted cluster.

    Raises
    ------
    ValueError
        The rows of an event do not lie together.
    """
    chosen = (table["plane"] == X) & (table["cluster_id"] >= 0)
    chosen &= table["is_main" if which == "main" else "accepted"] == 1
    rows = np.flatnonzero(chosen)
    event, begin = _events(table["event_uid"])
    _, one = np.unique(table["cluster_id"][rows], return_index=True)
    row = rows[one]
    row = row[np.lexsort((table["cluster_id"][row], event[row]))]
    image = _numbered(table["cluster_id"], table["cluster_id"][row])
    linked = _numbered(table["link_id"], np.where(table["link_id"][row] >= 0, table["link_id"][row], -1))
    image = np.where(table["plane"] == X, image, linked)
    apa, face = (table[key][row].astype(np.int64) for key in ("apa", "face"))
    return Anchors(row, apa, face, begin[event[row]], begin[event[row] + 1], image)


def _events(uid: npt.NDArray[np.uint64]) -> tuple[Ints, Ints]:
    """Number of the event of each row, and the first row of each event (and the end)."""
    new = np.ones(len(uid), bool)
    new[1:] = uid[1:] != uid[:-1]
    begin = np.append(np.flatnonzero(new), len(uid))
    if len(np.unique(uid[new])) != len(begin) - 1:
        raise ValueError("the rows of an event do not lie together; sort the table by event_uid")
    return np.cumsum(new) - 1, begin


def _numbered(values: npt.NDArray[Any], known: npt.NDArray[Any]) -> Ints:
    """Place of each value among the known ones; -1 for others and for negative values."""
    order = np.argsort(known, kind="stable")
    if not len(order):
        return np.full(len(values), -1, np.int64)
    at = np.minimum(np.searchsorted(known[order], values), len(order) - 1)
    return np.where((known[order][at] == values) & (values >= 0), order[at], -1)


def neighbors(table: Columns, anchors: Anchors, reach_clock: int, tot_cut: int) -> tuple[Ints, Ints]:
    """Pairs of TP (row) and image: TPs of the image's event and APA, on X of its face, near it in time.

    Parameters
    ----------
    table, anchors
        The table and what its images are about.
    reach_clock
        How far from the first start and the last start of the anchor's X cluster a TP may begin or end [clock ticks,
        its own length not counted].
    tot_cut
        TPs with ``samples_over_threshold <= tot_cut`` are left out.
    """
    n_images = len(anchors.row)
    on_x = np.flatnonzero((anchors.image >= 0) & (table["plane"] == X))
    start = table["time_start"]
    low, high = np.full(n_images, np.iinfo(np.int64).max), np.full(n_images, np.iinfo(np.int64).min)
    np.minimum.at(low, anchors.image[on_x], start[on_x])
    np.maximum.at(high, anchors.image[on_x], start[on_x])
    long_enough = table["samples_over_threshold"] > tot_cut
    low, high = low - reach_clock, high + reach_clock
    order = _in_time(table["event_uid"], start)
    first, last = np.empty((2, n_images), np.int64)
    _near(start[order], anchors.first, anchors.last, low, high, first, last)
    given = (order, table["apa"], table["face"], long_enough, anchors.apa, anchors.face, first, last)
    counts = np.zeros(n_images, np.int64)
    empty = np.empty(0, np.int64)
    _pair(*given, counts, empty, empty)
    rows, images = np.empty((2, counts.sum()), np.int64)
    _pair(*given, counts, rows, images)
    return rows, images


def _in_time(uid: npt.NDArray[np.uint64], start: npt.NDArray[np.int64]) -> Ints:
    """Rows in the order of time in their events, which stay where they are; tables of the stages have that order."""
    earlier = 1 + np.flatnonzero(start[1:] < start[:-1])
    if not (uid[earlier] == uid[earlier - 1]).any():
        return np.arange(len(uid))
    return np.lexsort((start, _events(uid)[0]))


@compiled(nogil=True)
def _near(start: Any, begin: Any, end: Any, low: Any, high: Any, first: Any, last: Any) -> None:
    """Of the rows ``begin`` to ``end - 1`` of each image, in the order of time, those from ``low`` to ``high``."""
    for image in range(len(begin)):
        rows = start[begin[image] : end[image]]
        first[image] = begin[image] + np.searchsorted(rows, low[image])
        last[image] = begin[image] + np.searchsorted(rows, high[image], side="right")


@compiled(nogil=True)
def _pair(
    order: Any, apa: Any, face: Any, long_enough: Any, own_apa: Any, own_face: Any, first: Any, last: Any,
    counts: Any, rows: Any, images: Any,
) -> None:  # fmt: skip
    """Count the pairs of each image, or, with room for them, write them."""
    found = 0
    for image in range(len(own_apa)):
        before = found
        for row in order[first[image] : last[image]]:
            if not long_enough[row] or apa[row] != own_apa[image] or (face[row] != 0 and face[row] != own_face[image]):
                continue
            if len(rows):
                rows[found], images[found] = row, image
            found += 1
        counts[image] = found - before
