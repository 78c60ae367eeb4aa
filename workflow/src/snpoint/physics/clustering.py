"""Clusters of trigger primitives, per event, plane and APA (and per face on the collection plane).

Two TPs are neighbors when the gap between their time intervals is at most ``tick_limit`` and their channels differ by
at most ``channel_limit``, counted around the wrap of induction wires. `connected` makes clusters of everything that
neighbors join: the result does not depend on the order of the TPs. `greedy` is the older rule that adds TPs one by
one, in order of time, to the first cluster that accepts them: one with a neighbor of the TP, and none of whose TPs on
the same channel lies further back than ``tick_limit``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from snpoint.physics import clustering_rules as rules
from snpoint.physics.geometry import Detector

Columns = Mapping[str, npt.NDArray[Any]]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_RULES: dict[str, Callable[..., Ints]] = {"connected": rules.connected, "greedy": rules.greedy}


@dataclass(frozen=True)
class Clusters:
    """Summary of clusters, one entry per cluster id.

    ``event`` is the event's number among the sorted event_uids of the table. ``start`` and ``end`` are the limits of
    the time interval in clock ticks, without any plane offset.
    """

    event: Ints
    plane: Ints
    apa: Ints
    face: Ints
    start: Ints
    end: Ints
    n_tps: Ints
    energy_mev: Floats

    def __len__(self) -> int:
        return len(self.event)


def cluster_ids(
    tps: Columns,
    detector: Detector,
    *,
    method: str,
    tick_limit: int,
    channel_limit: int,
    min_tps: int,
    tot_cut: int,
) -> Ints:
    """Cluster of every TP.

    Parameters
    ----------
    tps
        Columns of the TP table, in any order. `greedy` goes through the TPs of an event in the order of
        ``time_start``, and in the order given where two start together.
    detector
        The detector layout: number of channels, wrapped planes, clock.
    method
        ``connected`` or ``greedy``.
    tick_limit, channel_limit
        Largest gap between neighbors [ticks, channels].
    min_tps
        Smaller clusters are dissolved.
    tot_cut
        TPs with ``samples_over_threshold <= tot_cut`` stay out.

    Returns
    -------
    array
        A running number over (event, plane, first TP), or -1 for TPs that belong to no cluster. The first TP is that
        of the earliest start, then of the lowest channel.
    """
    ids = np.full(len(tps["channel"]), -1, np.int64)
    kept = np.flatnonzero(tps["samples_over_threshold"] > tot_cut)
    if not len(kept):
        return ids
    event = _event_numbers(tps["event_uid"][kept])
    start, channel = _ints(tps["time_start"][kept]), _ints(tps["channel"][kept])
    end = start + _ints(tps["samples_over_threshold"][kept]) * detector.clock_per_tick
    plane = _ints(tps["plane"][kept])
    rule, blocks = _RULES[method], rules.blocks_of(detector)
    time_limit = tick_limit * detector.clock_per_tick
    if _ascending(event, start, channel):  # as tables are: sorting again would take longer than clustering
        ids[kept] = rules.number(
            rule(event, start, end, channel, time_limit, channel_limit, blocks), event, plane, min_tps
        )
        return ids
    order = np.lexsort((start, event))
    label = np.empty(len(kept), np.int64)
    label[order] = rule(event[order], start[order], end[order], channel[order], time_limit, channel_limit, blocks)
    order = np.lexsort((channel, start, event))
    ids[kept[order]] = rules.number(label[order], event[order], plane[order], min_tps)
    return ids


def summarize(ids: Ints, tps: Columns, detector: Detector, adc_per_mev: tuple[float, float, float]) -> Clusters:
    """Summary of the clusters of a table.

    The energy is the sum of ADC integrals, rounded to 32 bits, over the plane's ADC per MeV.
    """
    start = _ints(tps["time_start"])
    end = start + _ints(tps["samples_over_threshold"]) * detector.clock_per_tick
    n = int(ids.max()) + 1 if len(ids) else 0
    first, starts, ends, n_tps, adc = rules.sums(ids, start, end, _ints(tps["adc_integral"]), n)
    plane = _ints(tps["plane"][first])
    return Clusters(
        event=_event_numbers(tps["event_uid"])[first],
        plane=plane,
        apa=_ints(tps["apa"][first]),
        face=_ints(tps["face"][first]),
        start=starts,
        end=ends,
        n_tps=n_tps,
        energy_mev=adc.astype(np.float32).astype(np.float64) / np.asarray(adc_per_mev)[plane],
    )


def highest_per_event(clusters: Clusters, chosen: Bools) -> Bools:
    """Mark the cluster of highest energy of each event among the chosen ones; the smaller id wins a tie."""
    marked = np.zeros(len(clusters), bool)
    rows = np.flatnonzero(chosen)
    order = rows[np.lexsort((rows, -clusters.energy_mev[rows], clusters.event[rows]))]
    if len(order):
        _, first = np.unique(clusters.event[order], return_index=True)
        marked[order[first]] = True
    return marked


def _ints(values: npt.NDArray[Any]) -> Ints:
    return values.astype(np.int64)


def _event_numbers(uid: npt.NDArray[Any]) -> Ints:
    """Number of each event among the sorted ones."""
    if (uid[1:] >= uid[:-1]).all():
        numbers = np.zeros(len(uid), np.int64)
        np.cumsum(uid[1:] != uid[:-1], out=numbers[1:])
        return numbers
    return np.unique(uid, return_inverse=True)[1].reshape(-1).astype(np.int64)


def _ascending(event: Ints, start: Ints, channel: Ints) -> bool:
    """Whether TPs come in order of event, time and channel."""
    later = (event[1:] > event[:-1]) | (start[1:] > start[:-1])
    together = (event[1:] == event[:-1]) & (start[1:] == start[:-1]) & (channel[1:] >= channel[:-1])
    return bool(((later & (event[1:] >= event[:-1])) | together).all())
