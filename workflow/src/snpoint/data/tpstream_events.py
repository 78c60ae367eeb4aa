"""Events of TPStream files, a number of TPs at a time, so that memory does not grow with the files."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from snpoint.data.tpstream import KEY, TpStream, Tree, Trees
from snpoint.errors import DataError

log = logging.getLogger(__name__)

ROWS_PER_SLICE = 1 << 20
"""Rows of a tree that are read at a time to find its events."""

_UidArray = npt.NDArray[np.uint64]
_RowArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Index:
    """Where the events of a tree are, once its rows are in the order of events."""

    uid: _UidArray  # (E,) ascending
    bounds: _RowArray  # (E + 1,) first row of each event
    in_order: bool  # whether the rows of the file are


class EventFile:
    """The events of one open file.

    Parameters
    ----------
    file
        The open file.
    columns
        Tree -> branches that are wanted; trees that the file does not have are left out.

    Raises
    ------
    DataError
        A branch is missing or broken, or a run number is too large for the event's number.
    """

    def __init__(self, file: TpStream, columns: Mapping[str, Sequence[str]]) -> None:
        self._file = file
        self._columns = {tree: list(names) for tree, names in columns.items() if file.has(tree)}
        for tree, names in self._columns.items():
            file.read(tree, names, 0, 0)  # what is missing is said before the work begins
        self._indices = {"tps": _index(file, "tps")}
        self._sorted: dict[str, Tree] = {}
        self.uid = self._indices["tps"].uid
        """Numbers of the events with TPs, ascending, shape (E,)."""
        self.n_tps = np.diff(self._indices["tps"].bounds)
        """TPs of each event, shape (E,)."""

    def read(self, first: int, last: int) -> Trees:
        """Trees of the events ``first .. last`` (positions in `uid`).

        Rows of an event are in the order of the file. Truth of an event without TPs may or may not be there.

        Raises
        ------
        DataError
            A branch cannot be read.
        """
        everything = first == 0 and last == len(self.uid)
        if everything:
            self._sorted.clear()
            return {tree: self._file.read(tree, names) for tree, names in self._columns.items()}
        trees = {tree: self._rows(tree, self.uid[first], self.uid[last - 1]) for tree in self._columns}
        if last == len(self.uid):
            self._sorted.clear()
        return trees

    def _rows(self, tree: str, lowest: np.uint64, highest: np.uint64) -> Tree:
        if tree not in self._indices:
            self._indices[tree] = _index(self._file, tree)
        index = self._indices[tree]
        start = int(index.bounds[np.searchsorted(index.uid, lowest)])
        stop = int(index.bounds[np.searchsorted(index.uid, highest, side="right")])
        if index.in_order:
            return self._file.read(tree, self._columns[tree], start, stop)
        if tree not in self._sorted:
            log.info("%s: events of '%s' are not in order; it is read as a whole", self._file.path, tree)
            whole = self._file.read(tree, self._columns[tree])
            order = np.argsort(_uid(whole, self._file), kind="stable")
            self._sorted[tree] = {key: values[order] for key, values in whole.items()}
        return {key: values[start:stop] for key, values in self._sorted[tree].items()}


def batches(files: Sequence[EventFile], tps_per_batch: int) -> Iterator[list[tuple[int, int, int]]]:
    """Go through the events of several files in the order of their numbers.

    Parameters
    ----------
    files
        Files with distinct events.
    tps_per_batch
        TPs at a time, of all files together. Events are never cut: one that is larger comes alone.

    Yields
    ------
    list of (int, int, int)
        For each file with events in the batch: its number, and the first event and the one after the last, as
        `EventFile.read` takes them.
    """
    if not files:
        return
    uid, n_tps = (np.concatenate([getattr(file, key) for file in files]) for key in ("uid", "n_tps"))
    number = np.repeat(np.arange(len(files)), [len(file.uid) for file in files])
    place = np.concatenate([np.arange(len(file.uid)) for file in files])
    order = np.argsort(uid, kind="stable")
    number, place, reached = number[order], place[order], np.cumsum(n_tps[order])
    start = done = 0
    while start < len(order):
        stop = max(int(np.searchsorted(reached, done + tps_per_batch, side="right")), start + 1)
        owner, own = number[start:stop], place[start:stop]
        yield [(int(k), int(own[owner == k][0]), int(own[owner == k][-1]) + 1) for k in np.unique(owner)]
        start, done = stop, int(reached[stop - 1])


def _index(file: TpStream, tree: str) -> _Index:
    """Find the events of a tree: its rows in slices, each reduced to runs of the same event."""
    numbers, starts = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
    n_rows = file.n_rows(tree)
    for start in range(0, n_rows, ROWS_PER_SLICE):
        uid = _uid(file.read(tree, KEY, start, min(start + ROWS_PER_SLICE, n_rows)), file)
        first = np.concatenate([[0], np.flatnonzero(uid[1:] != uid[:-1]) + 1])
        numbers.append(uid[first])
        starts.append(first + start)
    uid, begin = np.concatenate(numbers), np.concatenate(starts)
    length = np.diff(np.append(begin, n_rows))
    found, event = np.unique(uid, return_inverse=True)
    # A slice may begin in the middle of an event: its two runs touch and count as one.
    in_order = bool((uid[1:] >= uid[:-1]).all())
    rows = np.bincount(event.reshape(-1), weights=length, minlength=len(found)).astype(np.int64)
    return _Index(found, np.concatenate([[0], np.cumsum(rows)]), in_order)


def _uid(tree: Tree, file: TpStream) -> _UidArray:
    run: _UidArray = tree["Run"].astype(np.uint64)
    subrun: _UidArray = tree["SubRun"].astype(np.uint64)
    event: _UidArray = tree["Event"].astype(np.uint64)
    if run.size and (run.max() >= 1 << 20 or subrun.max() >= 1 << 12):
        raise DataError(
            f"{file.path}: run {run.max()} or subrun {subrun.max()} is too large (below {1 << 20} and {1 << 12})"
        )
    uid: _UidArray = run << np.uint64(44) | subrun << np.uint64(32) | event
    return uid
