"""Energy deposits of the simulation (``simides``), by event, channel and time.

The deposits of one channel of one event are a *group*; groups lie one after the other, each in order of time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from snpoint.physics.compiled import compiled
from snpoint.physics.matching_rows import Ints, Rows, Tree
from snpoint.physics.ordering import sorted_order


@dataclass(frozen=True)
class Deposits:
    """Deposits of the events that have TPs, sorted by event, channel and time.

    Attributes
    ----------
    row
        Row of the tree, shape (D,).
    time
        Time in ticks, shape (D,).
    bounds
        Deposits of group ``g`` are ``bounds[g]`` to ``bounds[g + 1]``, shape (G + 1,).
    channel
        Global channel of each group, shape (G,).
    groups
        Groups of event ``e`` are ``groups[e]`` to ``groups[e + 1]``, shape (E + 1,).
    """

    row: Ints
    time: Ints
    bounds: Ints
    channel: Ints
    groups: Ints

    @classmethod
    def of(cls, simides: Tree, rows: Rows, usable: npt.NDArray[np.bool_] | None = None) -> Deposits:
        """Deposits of a tree; ``usable`` leaves some out."""
        event = rows.numbers(simides)
        kept = event >= 0 if usable is None else (event >= 0) & usable
        row = np.arange(len(event)) if kept.all() else np.flatnonzero(kept)
        row = row[sorted_order(event[row], simides["channel"][row], simides["timestamp"][row])]
        event, channel = event[row], simides["channel"][row].astype(np.int64)
        changed = np.ones(len(row), bool)
        changed[1:] = (event[1:] != event[:-1]) | (channel[1:] != channel[:-1])
        start = np.flatnonzero(changed)
        groups = np.searchsorted(event[start], np.arange(len(rows.events) + 1))
        return cls(row, simides["timestamp"][row].astype(np.int64), np.append(start, len(row)), channel[start], groups)

    def group_of(self, rows: Rows, channel: Ints, n_channels: int) -> Ints:
        """Group at the channel of each TP of the table, shape (T,); -1 where the channel has no deposits."""
        return np.asarray(_group_of(rows.offsets, channel, self.groups, self.channel, n_channels), np.int64)


@compiled()
def _group_of(offsets: Any, tp_channel: Any, groups: Any, channel: Any, n_channels: Any) -> Any:
    found = np.full(len(tp_channel), -1, np.int64)
    here = np.full(n_channels, -1, np.int64)
    for event in range(len(offsets) - 1):
        for group in range(groups[event], groups[event + 1]):
            here[channel[group]] = group
        for tp in range(offsets[event], offsets[event + 1]):
            found[tp] = here[tp_channel[tp]]
        for group in range(groups[event], groups[event + 1]):
            here[channel[group]] = -1
    return found
