"""Rows of the trees of one file, brought together by their event.

Every tree has its own rows of every event. Here the events are numbered in the order of their ``event_uid``, every
row gets the number of its event, and TPs are put into the order of the TP table. LArSoft writes one event after the
other, so that all this is work per event; files in another order only take longer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from snpoint.physics.ordering import sorted_order

Columns = dict[str, npt.NDArray[Any]]
Tree = Mapping[str, npt.NDArray[Any]]
Ints = npt.NDArray[np.int64]
Uids = npt.NDArray[np.uint64]


class UnmatchableError(ValueError):
    """Numbers of a file cannot be what they are said to be: its channels or its runs."""


def event_uid(run: npt.ArrayLike, subrun: npt.ArrayLike, event: npt.ArrayLike) -> Uids:
    """One number per event: run << 44 | subrun << 32 | event.

    Raises
    ------
    UnmatchableError
        A run number does not fit into 20 bits or a subrun number into 12.
    """
    runs, subruns = np.asarray(run, np.uint64), np.asarray(subrun, np.uint64)
    if runs.size and (runs.max() >= 1 << 20 or subruns.max() >= 1 << 12):
        raise UnmatchableError(
            f"run {runs.max()} or subrun {subruns.max()} is too large (below {1 << 20} and {1 << 12})"
        )
    return runs * np.uint64(1 << 44) + subruns * np.uint64(1 << 32) + np.asarray(event, np.uint64)


@dataclass(frozen=True)
class Rows:
    """TPs of a file in the order of the table: event, start, channel.

    Attributes
    ----------
    events
        ``event_uid`` of the events that have TPs, shape (E,), ascending.
    order
        Row in the file of each TP of the table, shape (T,).
    counts
        TPs of each event, shape (E,).
    first
        For each event a row of the file that belongs to it, shape (E,).
    """

    events: Uids
    order: Ints
    counts: Ints
    first: Ints

    @classmethod
    def of(cls, tps: Tree) -> Rows:
        """The order of these TPs."""
        runs, lengths, uids = _runs(tps)
        events, which, number = np.unique(uids, return_index=True, return_inverse=True)
        number = number.reshape(-1).astype(np.int64)
        order = sorted_order(np.repeat(number, lengths), tps["time_start"], tps["channel"])
        counts = np.bincount(number, lengths, len(events)).astype(np.int64)
        return cls(events, order, counts, runs[which])

    @property
    def offsets(self) -> Ints:
        """TPs of event ``e`` are the rows ``offsets[e]`` to ``offsets[e + 1]`` of the table, shape (E + 1,)."""
        return np.concatenate([[0], np.cumsum(self.counts)])

    def event_of(self, tps: Ints) -> Ints:
        """Number of the event of some TPs of the table, given by their rows."""
        return np.asarray(np.searchsorted(self.offsets, tps, side="right") - 1)

    def spread(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Values of the events, shape (E,), for every TP of the table, shape (T,)."""
        return np.repeat(values, self.counts)

    def numbers(self, tree: Tree) -> Ints:
        """Number of the event of each row of another tree; -1 where the event has no TPs."""
        _, lengths, uids = _runs(tree)
        return np.repeat(place_of(self.events, uids), lengths)


def place_of(known: npt.NDArray[Any], wanted: npt.NDArray[Any]) -> Ints:
    """Place of each wanted value among the known ones, which ascend; -1 where it is none of them."""
    if not len(known):
        return np.full(len(wanted), -1, np.int64)
    place = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return np.where(known[place] == wanted, place, -1).astype(np.int64)


def _runs(tree: Tree) -> tuple[Ints, Ints, Uids]:
    """First row, length and event_uid of each stretch of rows with the same event."""
    n = len(tree["Event"])
    changed = np.zeros(n, bool)
    changed[:1] = True
    for key in ("Event", "Run", "SubRun"):
        changed[1:] |= tree[key][1:] != tree[key][:-1]
    first = np.flatnonzero(changed)
    return first, np.diff(first, append=n), event_uid(*(tree[key][first] for key in ("Run", "SubRun", "Event")))
