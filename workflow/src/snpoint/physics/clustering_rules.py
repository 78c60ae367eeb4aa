"""The two rules that put TPs into clusters, compiled; `snpoint.physics.clustering` has the words.

Both go once through the TPs, in order of event and time, and look only at the few channels around each TP: the time
they take grows with the number of TPs, however many events share a readout window.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from snpoint.physics.compiled import compiled
from snpoint.physics.geometry import Detector

Ints = npt.NDArray[np.int64]


class Blocks(NamedTuple):
    """Channels that lie side by side, for every global channel: first one, number, and whether the ends meet."""

    first: Ints
    size: Ints
    wrapped: npt.NDArray[np.bool_]


def blocks_of(detector: Detector) -> Blocks:
    """Blocks of a detector: one for each plane of each APA, and for each face where wires are not wrapped."""
    n = detector.n_apas * detector.channels_per_apa
    blocks = Blocks(np.arange(n), np.ones(n, np.int64), np.zeros(n, bool))
    for volume in detector.volumes:
        for wires in volume.wires:
            first = volume.apa * detector.channels_per_apa + wires.first_channel
            own = slice(first, first + wires.n_channels)
            blocks.first[own], blocks.size[own] = first, wires.n_channels
            blocks.wrapped[own] = wires.modulus is not None
    return blocks


@compiled()
def _neighbor(channel: Any, step: Any, first: Any, size: Any, wrapped: Any) -> Any:
    """Channel at a distance inside the block, -1 beyond its ends."""
    place = channel - first + step
    if 0 <= place < size:
        return first + place
    return first + place % size if wrapped else -1


@compiled()
def _reach(channel_limit: Any, size: Any, wrapped: Any) -> Any:
    """Largest distance to look at: no channel of the block comes twice."""
    return min(channel_limit, size // 2 if wrapped else size - 1)


@compiled()
def _root(parent: Any, node: Any) -> Any:
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = parent[node]
    return node


@compiled()
def connected(event: Any, start: Any, end: Any, channel: Any, time_limit: Any, channel_limit: Any, blocks: Any) -> Any:
    """Label of the connected component of each TP: the number of its first TP.

    On each channel only the TP that ends last matters: an earlier TP that a new one touches also touches that one.
    """
    n = len(event)
    parent = np.arange(n)
    last = np.full(len(blocks.first), -1, np.int64)
    for i in range(n):
        own = channel[i]
        first, size, wrapped = blocks.first[own], blocks.size[own], blocks.wrapped[own]
        reach = _reach(channel_limit, size, wrapped)
        for step in range(-reach, reach + 1):
            other = _neighbor(own, step, first, size, wrapped)
            j = last[other] if other >= 0 else -1
            if j >= 0 and event[j] == event[i] and start[i] - end[j] <= time_limit:
                a, b = _root(parent, i), _root(parent, j)
                parent[max(a, b)] = min(a, b)
        j = last[own]
        if j < 0 or event[j] != event[i] or end[j] < end[i]:
            last[own] = i
    for i in range(n):
        parent[i] = _root(parent, i)
    return parent


class _Lists(NamedTuple):
    """For every channel, the clusters that have TPs on it: a chain of entries, one per cluster and channel."""

    head: Ints  # first entry of each channel, -1 for none
    event: Ints  # of the chain; those of other events are forgotten
    following: Ints  # the next entry of the chain
    cluster: Ints
    earliest: Ints  # ends of the cluster's TPs on the channel
    latest: Ints


@compiled()
def greedy(event: Any, start: Any, end: Any, channel: Any, time_limit: Any, channel_limit: Any, blocks: Any) -> Any:
    """Label of each TP: the first cluster, in order of creation, that accepts it.

    A cluster none of whose TPs reaches the present accepts nothing any more and is taken off the chains.
    """
    n, n_channels = len(event), len(blocks.first)
    lists = _Lists(
        np.full(n_channels, -1, np.int64),
        np.full(n_channels, -1, np.int64),
        np.empty(n, np.int64),
        np.empty(n, np.int64),
        np.empty(n, np.int64),
        np.empty(n, np.int64),
    )
    label, cluster_end = np.empty(n, np.int64), np.empty(n, np.int64)
    refused = np.full(n, -1, np.int64)  # the TP that a cluster has refused last
    n_entries = n_clusters = 0
    for i in range(n):
        own = channel[i]
        first, size, wrapped = blocks.first[own], blocks.size[own], blocks.wrapped[own]
        reach = _reach(channel_limit, size, wrapped)
        chosen = n
        for turn in range(2 * reach + 1):  # own channel first: a cluster may refuse because of its TPs there
            step = (turn + 1) // 2 if turn % 2 else -(turn // 2)
            other = _neighbor(own, step, first, size, wrapped)
            if other >= 0 and lists.event[other] == event[i]:
                oldest = start[i] - time_limit
                chosen = min(chosen, _first_accepting(lists, other, oldest, cluster_end, refused, i, turn == 0))
        if chosen == n:
            chosen = n_clusters
            n_clusters += 1
            cluster_end[chosen] = end[i]
        label[i] = chosen
        cluster_end[chosen] = max(cluster_end[chosen], end[i])
        n_entries = _note(lists, own, event[i], chosen, end[i], n_entries)
    return label


@compiled()
def _first_accepting(
    lists: Any, channel: Any, oldest: Any, cluster_end: Any, refused: Any, tp: Any, is_own: Any
) -> Any:
    """First cluster with a TP on a channel that touches the TP and has not refused it; the number of TPs if none."""
    chosen = len(refused)
    entry, before = lists.head[channel], -1
    while entry >= 0:
        after, cluster = lists.following[entry], lists.cluster[entry]
        if cluster_end[cluster] < oldest:
            if before < 0:
                lists.head[channel] = after
            else:
                lists.following[before] = after
        else:
            before = entry
            if is_own and lists.earliest[entry] < oldest:
                refused[cluster] = tp
            elif lists.latest[entry] >= oldest and refused[cluster] != tp:
                chosen = min(chosen, cluster)
        entry = after
    return chosen


@compiled()
def _note(lists: Any, channel: Any, event: Any, cluster: Any, end: Any, n_entries: Any) -> Any:
    """Note a TP of a cluster on its channel; returns the number of entries."""
    if lists.event[channel] != event:
        lists.event[channel], lists.head[channel] = event, -1
    entry = lists.head[channel]
    while entry >= 0 and lists.cluster[entry] != cluster:
        entry = lists.following[entry]
    if entry < 0:
        entry = n_entries
        n_entries += 1
        lists.cluster[entry], lists.following[entry] = cluster, lists.head[channel]
        lists.earliest[entry] = lists.latest[entry] = end
        lists.head[channel] = entry
    lists.earliest[entry], lists.latest[entry] = min(lists.earliest[entry], end), max(lists.latest[entry], end)
    return n_entries


@compiled()
def number(label: Any, event: Any, plane: Any, min_tps: Any) -> Any:
    """Number clusters by event, plane and first TP; -1 for TPs of those with fewer than ``min_tps``.

    The TPs must come in order of event, time and channel.
    """
    n = len(label)
    size, place = np.zeros(n, np.int64), np.full(n, -1, np.int64)
    for i in range(n):
        size[label[i]] += 1
    numbers = np.full(n, -1, np.int64)
    n_planes = max(plane) + 1 if n else 0
    begin = total = 0
    while begin < n:
        found = np.zeros(n_planes, np.int64)
        stop = begin
        while stop < n and event[stop] == event[begin]:
            own = label[stop]
            if place[own] < 0 and size[own] >= min_tps:
                place[own] = found[plane[stop]]
                found[plane[stop]] += 1
            stop += 1
        offset = total + np.cumsum(found) - found
        for i in range(begin, stop):
            if place[label[i]] >= 0:
                numbers[i] = offset[plane[i]] + place[label[i]]
        total += found.sum()
        begin = stop
    return numbers


@compiled()
def sums(ids: Any, start: Any, end: Any, adc: Any, n: Any) -> Any:
    """First row, earliest start, latest end, number of TPs and sum of ADC of each cluster."""
    first, size, total = np.full(n, -1, np.int64), np.zeros(n, np.int64), np.zeros(n, np.int64)
    earliest, latest = np.empty(n, np.int64), np.empty(n, np.int64)
    for i in range(len(ids)):
        c = ids[i]
        if c < 0:
            continue
        if first[c] < 0:
            first[c], earliest[c], latest[c] = i, start[i], end[i]
        earliest[c], latest[c] = min(earliest[c], start[i]), max(latest[c], end[i])
        size[c] += 1
        total[c] += adc[i]
    return first, earliest, latest, size, total
