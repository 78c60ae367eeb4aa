"""Numbers of events, and that no event is there twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from snpoint.errors import DataError

_MOST_NAMES = 3


def uid_parts(uid: int) -> tuple[int, int, int]:
    """Run, subrun and event of an ``event_uid``."""
    return int(uid) >> 44, int(uid) >> 32 & 0xFFF, int(uid) & 0xFFFFFFFF


def event_name(uid: int) -> str:
    """What a message calls an event."""
    return "run {}, subrun {}, event {}".format(*uid_parts(uid))


def check_distinct(
    uids: Sequence[npt.NDArray[np.uint64]],
    paths: Sequence[Path],
    remedy: str,
    made_of: Sequence[Sequence[str]] | None = None,
) -> None:
    """Check that no event is in two files, or twice in one.

    Parameters
    ----------
    uids
        One entry per event of each file.
    paths
        The files.
    remedy
        What the message tells people to do.
    made_of
        Names of the files that each file was made of, for the message.

    Raises
    ------
    DataError
        An event is there twice; the message names it and both files.
    """
    uid = np.concatenate(list(uids))
    file = np.repeat(np.arange(len(uids)), [len(own) for own in uids])
    order = np.argsort(uid, kind="stable")
    twice = np.flatnonzero(np.diff(uid[order]) == 0)
    if len(twice):
        event, *_ = rows = order[twice[0] : twice[0] + 2]
        first, second = (int(number) for number in file[rows])
        behind = ["" if made_of is None else _made_of(made_of[number]) for number in (first, second)]
        raise DataError(
            f"{paths[second]}{behind[1]}: {len(twice)} events are there twice, such as {event_name(uid[event])}, "
            f"also in {paths[first].name}{behind[0]}; {remedy}"
        )


def _made_of(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_MOST_NAMES]) + (f" and {len(names) - _MOST_NAMES} more" * (len(names) > _MOST_NAMES))
    return f" (made of {shown})" if names else ""


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
