"""Clusters of trigger primitives, per event, plane and APA (and per face on the collection plane).

Two TPs are neighbors when the gap between their time intervals is at most ``tick_gap`` and their channels differ by
at most ``channel_gap``, counted around the wrap of induction wires. `connected` makes clusters of everything that
neighbors join: the result does not depend on the order of the TPs. `greedy` is the older rule that adds TPs one by
one, in order of time, to the first cluster that accepts them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from snpoint.physics.compiled import compiled
from snpoint.physics.geometry import Detector

Columns = Mapping[str, npt.NDArray[Any]]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


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
    algorithm: str,
    tick_gap: int,
    channel_gap: int,
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
    algorithm
        ``connected`` or ``greedy``.
    tick_gap, channel_gap
        Largest gap between neighbors [ticks, channels].
    min_tps
        Smaller clusters are dissolved.
    tot_cut
        TPs with ``samples_over_threshold <= tot_cut`` stay out.

    Returns
    -------
    array
        A running number over (event, plane, first TP), or -1 for TPs that belong to no cluster.
    """
    labels = np.full(len(tps["channel"]), -1, np.int64)
    kept = np.flatnonzero(tps["samples_over_threshold"] > tot_cut)
    if not len(kept):
        return labels
    event = np.unique(tps["event_uid"][kept], return_inverse=True)[1].reshape(-1).astype(np.int64)
    plane = tps["plane"][kept].astype(np.int64)
    group = ((event * 3 + plane) * detector.n_apas + tps["apa"][kept]) * 3 + tps["face"][kept] + 1
    start = tps["time_start"][kept].astype(np.int64)
    order = np.lexsort((start, group))
    end = start + tps["samples_over_threshold"][kept].astype(np.int64) * detector.clock_per_tick
    search = {"connected": _connected, "greedy": _greedy}[algorithm]
    found = search(
        group[order],
        start[order],
        end[order],
        detector.local(tps["channel"][kept])[order],
        _wraps(detector)[plane[order]],
        tick_gap * detector.clock_per_tick,
        channel_gap,
        detector.channels_per_apa,
    )
    labels[kept[order]] = found
    return _numbered(labels, tps, min_tps)


def summarize(ids: Ints, tps: Columns, detector: Detector, adc_per_mev: tuple[float, float, float]) -> Clusters:
    """Summary of the clusters of a table.

    The energy is the sum of ADC integrals, rounded to 32 bits, over the plane's ADC per MeV.
    """
    rows = np.flatnonzero(ids >= 0)
    own = ids[rows]
    n = int(own.max()) + 1 if len(own) else 0
    first = np.zeros(n, np.int64)
    first[own[::-1]] = rows[::-1]
    start = tps["time_start"][rows].astype(np.int64)
    end = start + tps["samples_over_threshold"][rows].astype(np.int64) * detector.clock_per_tick
    starts, ends = np.full(n, np.iinfo(np.int64).max), np.full(n, np.iinfo(np.int64).min)
    np.minimum.at(starts, own, start)
    np.maximum.at(ends, own, end)
    adc = np.zeros(n, np.int64)
    np.add.at(adc, own, tps["adc_integral"][rows].astype(np.int64))
    plane = tps["plane"][first].astype(np.int64)
    event = np.unique(tps["event_uid"], return_inverse=True)[1].reshape(-1).astype(np.int64)[first]
    return Clusters(
        event=event,
        plane=plane,
        apa=tps["apa"][first].astype(np.int64),
        face=tps["face"][first].astype(np.int64),
        start=starts,
        end=ends,
        n_tps=np.bincount(own, minlength=n).astype(np.int64),
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


def _wraps(detector: Detector) -> Ints:
    """Modulus of each plane; 0 where wires are not wrapped."""
    return np.array([wires.modulus or 0 for wires in detector.volumes[0].wires], np.int64)


def _numbered(labels: Ints, tps: Columns, min_tps: int) -> Ints:
    """Dissolve small clusters and number the others by event, plane and first TP (time, then channel)."""
    rows = np.flatnonzero(labels >= 0)
    keys = (tps["channel"][rows], tps["time_start"][rows], tps["plane"][rows], tps["event_uid"][rows])
    rows = rows[np.lexsort(keys)]
    found, first, inverse, counts = np.unique(labels[rows], return_index=True, return_inverse=True, return_counts=True)
    number = np.full(len(found), -1, np.int64)
    large = np.flatnonzero(counts >= min_tps)
    number[large[np.argsort(first[large])]] = np.arange(len(large))
    labels[rows] = number[inverse.reshape(-1)]
    return labels


@compiled()
def _root(parent: Any, node: Any) -> Any:
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = parent[node]
    return node


@compiled()
def _connected(
    group: Any, start: Any, end: Any, channel: Any, wrap: Any, time_gap: Any, channel_gap: Any, n_channels: Any
) -> Any:
    """Connected components; TPs sorted by (group, start).

    On each channel only the TP that ends last matters: an earlier TP that a new one touches also touches that one.
    """
    n = len(group)
    parent = np.arange(n)
    last = np.full(n_channels, -1, np.int64)
    owner = np.full(n_channels, -1, np.int64)
    for i in range(n):
        base = channel[i] // wrap[i] * wrap[i] if wrap[i] > 0 else 0
        for step in range(-channel_gap, channel_gap + 1):
            other = channel[i] + step
            if wrap[i] > 0:
                other = base + (other - base) % wrap[i]
            elif other < 0 or other >= n_channels:
                continue
            j = last[other]
            if j >= 0 and owner[other] == group[i] and start[i] - end[j] <= time_gap:
                parent[_root(parent, i)] = _root(parent, j)
        k = channel[i]
        if owner[k] != group[i] or last[k] < 0 or end[last[k]] < end[i]:
            last[k] = i
            owner[k] = group[i]
    for i in range(n):
        parent[i] = _root(parent, i)
    return parent


@compiled()
def _greedy(
    group: Any, start: Any, end: Any, channel: Any, wrap: Any, time_gap: Any, channel_gap: Any, n_channels: Any
) -> Any:
    """Add each TP to the first candidate, in order of creation, that accepts it; TPs sorted by (group, start)."""
    n = len(group)
    label = np.empty(n, np.int64)
    previous = np.full(n, -1, np.int64)  # the members of a candidate are a chain, latest first
    active = np.empty(n, np.int64)
    head = np.empty(n, np.int64)
    latest = np.empty(n, np.int64)
    n_active = n_candidates = 0
    for i in range(n):
        if i > 0 and group[i] != group[i - 1]:
            n_active = 0
        # Starts never decrease, so a candidate that ended too long ago accepts nothing any more.
        kept = 0
        for a in range(n_active):
            if start[i] - latest[active[a]] <= time_gap:
                active[kept] = active[a]
                kept += 1
        n_active = kept
        chosen = -1
        for a in range(n_active):
            if _accepts(head[active[a]], previous, i, start, end, channel, wrap[i], time_gap, channel_gap):
                chosen = active[a]
                break
        if chosen < 0:
            chosen = n_candidates
            n_candidates += 1
            head[chosen] = -1
            latest[chosen] = end[i]
            active[n_active] = chosen
            n_active += 1
        label[i] = chosen
        previous[i] = head[chosen]
        head[chosen] = i
        latest[chosen] = max(latest[chosen], end[i])
    return label


@compiled()
def _accepts(
    member: Any, previous: Any, i: Any, start: Any, end: Any, channel: Any, wrap: Any, time_gap: Any, channel_gap: Any
) -> Any:
    """Whether a candidate takes TP ``i``: a neighbor among its members, and none too early on the same channel."""
    near = False
    while member >= 0:
        close = start[i] - end[member] <= time_gap
        distance = abs(channel[i] - channel[member])
        if distance == 0 and not close:
            return False
        if close and (distance <= channel_gap or (wrap > 0 and distance >= wrap - channel_gap)):
            near = True
        member = previous[member]
    return near
