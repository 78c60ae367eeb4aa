"""Numbers of events, and that no event is there twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from snpoint.errors import DataError


def uid_parts(uid: int) -> tuple[int, int, int]:
    """Run, subrun and event of an ``event_uid``."""
    return int(uid) >> 44, int(uid) >> 32 & 0xFFF, int(uid) & 0xFFFFFFFF


def event_name(uid: int) -> str:
    """What a message calls an event."""
    return "run {}, subrun {}, event {}".format(*uid_parts(uid))


def check_distinct(uids: Sequence[npt.NDArray[np.uint64]], paths: Sequence[Path], remedy: str) -> None:
    """Check that no event is in two files, or twice in one; ``uids`` holds one entry per event of each file.

    Raises
    ------
    DataError
        One is; the message names it, both files, and what to do (``remedy``).
    """
    uid = np.concatenate(list(uids))
    file = np.repeat(np.arange(len(uids)), [len(own) for own in uids])
    order = np.argsort(uid, kind="stable")
    twice = np.flatnonzero(np.diff(uid[order].astype(np.int64)) == 0)
    if len(twice):
        first, second = order[twice[0]], order[twice[0] + 1]
        raise DataError(
            f"{paths[file[second]]}: {len(twice)} events are there twice, such as {event_name(uid[first])}, also in "
            f"{paths[file[first]].name}; {remedy}"
        )


def check_single(table: Mapping[str, npt.NDArray[Any]], path: Path) -> None:
    """Check that no event is twice in one file, as after joining files that overlap.

    A channel starts one TP at a time, so a copy shows by TPs with the same start. A few of them are left alone.

    Parameters
    ----------
    table
        ``event_uid``, ``time_start`` and ``channel``, sorted by them.
    path
        The file, for the message.

    Raises
    ------
    DataError
        At least half the TPs of an event are there again.
    """
    uid, time, channel = (table[key] for key in ("event_uid", "time_start", "channel"))
    # channels differ most between neighbors: few rows are left for the other comparisons
    rows = np.flatnonzero(channel[1:] == channel[:-1])
    again = rows[(time[rows + 1] == time[rows]) & (uid[rows + 1] == uid[rows])]
    if not len(again):
        return
    events, n_again = np.unique(uid[again], return_counts=True)
    n_tps = np.searchsorted(uid, events, side="right") - np.searchsorted(uid, events)
    twice = events[2 * n_again >= n_tps]
    if len(twice):
        raise DataError(
            f"{path}: {len(twice)} events are there twice, such as {event_name(int(twice[0]))}; were files joined that "
            "overlap? Write it again from its parts, each once"
        )
