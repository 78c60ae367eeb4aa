"""Scores of candidate links, compiled: which clusters can belong together, and how well they do.

All times are in ticks with the plane's offset subtracted, so that the three planes agree. A TP counts in an interval
with the share of its ticks that lie in it.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from snpoint.physics.compiled import compiled
from snpoint.physics.constants import U, V, X
from snpoint.physics.geometry import Detector

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_SLOPE = 1.0
"""How much y may change per length of drift, where U and V are seen at different times."""


class Members(NamedTuple):
    """TPs of all clusters, those of one cluster side by side.

    ``channel`` is local to the APA and unwrapped around the first TP of the cluster.
    """

    offsets: Ints  # (n_clusters + 1,)
    start: Floats  # ticks
    length: Floats  # ticks
    middle: Floats  # tick of the peak
    channel: Floats
    charge: Floats  # ADC


class Shapes(NamedTuple):
    """What the scores need of each cluster."""

    plane: Ints
    volume: Ints  # row of `Wires`, of clusters on X; -1 on the other planes
    channel: Ints  # of the first TP, local to the APA
    start: Floats  # ticks
    end: Floats  # ticks
    log_energy: Floats


class Wires(NamedTuple):
    """Linear maps from channels to y, one row per drift volume; the second axis is U, V."""

    per_channel: Floats  # (n_volumes, 2) cm of y per channel of the induction plane, on one collection wire
    per_x_channel: Floats  # (n_volumes, 2) cm of y per channel of the collection plane, on one induction wire
    offset: Floats  # (n_volumes, 2) cm
    period: Floats  # (n_volumes, 2) cm of y after which the wrapped wires repeat; 0 where they do not
    y_range: Floats  # (n_volumes, 2) cm
    first: Ints  # (n_volumes, 2) the channels that the volume sees
    stop: Ints  # (n_volumes, 2)


class Weights(NamedTuple):
    """How far the members of a link may be apart."""

    tolerance_ticks: float
    sigma_ticks: float
    sigma_y_cm: float
    sigma_log_charge: float
    missing_plane_cost: float
    cm_per_tick: float


def wires_of(detector: Detector) -> Wires:
    """Maps of all drift volumes: y where a wire of the induction plane crosses one of the collection plane."""
    shape = (len(detector.volumes), 2)
    lengths, channels = np.zeros((5, *shape)), np.zeros((2, *shape), np.int64)
    found = Wires(*lengths, *channels)
    for row, volume in enumerate(detector.volumes):
        x = volume.wires[X]
        found.y_range[row] = volume.y_range_cm
        for plane in (U, V):
            wires = volume.wires[plane]
            determinant = wires.dch_dy * x.dch_dz - wires.dch_dz * x.dch_dy
            found.per_channel[row, plane] = x.dch_dz / determinant
            found.per_x_channel[row, plane] = -wires.dch_dz / determinant
            found.offset[row, plane] = (wires.dch_dz * x.offset - x.dch_dz * wires.offset) / determinant
            found.first[row, plane] = wires.first_channel
            found.stop[row, plane] = wires.first_channel + wires.n_channels
            found.period[row, plane] = abs((wires.modulus or 0) * x.dch_dz / determinant)
    return found


@compiled()
def penalty(distance: Any, sigma: Any) -> Any:
    """Square of the distance in units of sigma where it is small; grows with the logarithm where it is large."""
    return 2.0 * math.log1p(0.5 * (distance / sigma) ** 2)


@compiled()
def mean_in(members: Any, cluster: Any, low: Any, high: Any) -> Any:
    """Charge-weighted mean channel and time of a cluster's TPs in an interval; of all its TPs where it has none."""
    charge = channel = time = 0.0
    for whole in range(2):
        for k in range(members.offsets[cluster], members.offsets[cluster + 1]):
            start, end = members.start[k], members.start[k] + members.length[k]
            begin, stop = (start, end) if whole else (max(start, low), min(end, high))
            if stop > begin:
                weight = members.charge[k] * (stop - begin) / members.length[k]
                charge += weight
                channel += weight * members.channel[k]
                time += weight * min(max(members.middle[k], begin), stop)
        if charge > 0.0:
            break
    return channel / charge, time / charge


@compiled()
def y_of(wires: Any, volume: Any, plane: Any, channel: Any, x_channel: Any) -> Any:
    """Height of a crossing [cm]; of those that wrapped wires allow, the one nearest to the middle of the volume."""
    y = wires.per_channel[volume, plane] * channel + wires.per_x_channel[volume, plane] * x_channel
    y += wires.offset[volume, plane]
    period = wires.period[volume, plane]
    if period > 0.0:
        middle = 0.5 * (wires.y_range[volume, 0] + wires.y_range[volume, 1])
        y -= period * math.floor((y - middle) / period + 0.5)
    return y


@compiled()
def candidates(group: Any, shapes: Any, order: Any, plane: Any, wires: Any, tolerance: Any) -> Any:
    """Pairs of a collection cluster and one of ``plane``, of one group and drift volume, that are near in time.

    ``order`` sorts the clusters by (group, plane, start). Returns the clusters of the pairs, sorted by the first.
    """
    n = len(order)
    rows = np.empty(n, np.int64)  # the clusters of the plane
    reach = np.empty(n)  # latest end so far
    n_rows = 0
    for k in range(n):
        i = order[k]
        if shapes.plane[i] == plane:
            rows[n_rows] = i
            new = n_rows == 0 or group[rows[n_rows - 1]] != group[i]
            reach[n_rows] = shapes.end[i] if new else max(reach[n_rows - 1], shapes.end[i])
            n_rows += 1
    own, other = [np.int64(0) for _ in range(0)], [np.int64(0) for _ in range(0)]
    first = 0
    for k in range(n):
        x = order[k]
        if shapes.plane[x] != X or shapes.volume[x] < 0:
            continue
        # Starts of the collection clusters grow, so what has ended for one of them has ended for all that follow.
        while first < n_rows and (
            group[rows[first]] < group[x]
            or (group[rows[first]] == group[x] and reach[first] < shapes.start[x] - tolerance)
        ):
            first += 1
        for m in range(first, n_rows):
            i = rows[m]
            if group[i] != group[x] or shapes.start[i] > shapes.end[x] + tolerance:
                break
            volume = shapes.volume[x]
            seen = wires.first[volume, plane] <= shapes.channel[i] < wires.stop[volume, plane]
            if seen and shapes.end[i] >= shapes.start[x] - tolerance:
                own.append(x)
                other.append(i)
    return np.array(own), np.array(other)


@compiled()
def score_pairs(own: Any, other: Any, shapes: Any, members: Any, wires: Any, weights: Any) -> Any:
    """Cost of each pair, the height that it implies, and when: columns cost, y [cm], time [ticks]."""
    found = np.empty((len(own), 3))
    for k in range(len(own)):
        x, i = own[k], other[k]
        low, high = max(shapes.start[x], shapes.start[i]), min(shapes.end[x], shapes.end[i])
        channel, time = mean_in(members, i, low, high)
        x_channel, x_time = mean_in(members, x, low, high)
        y = y_of(wires, shapes.volume[x], shapes.plane[i], channel, x_channel)
        # Induction planes see less than the collection plane: what sticks out of its interval is of something else.
        outside = max(shapes.start[x] - shapes.start[i], 0.0) + max(shapes.end[i] - shapes.end[x], 0.0)
        above = max(y - wires.y_range[shapes.volume[x], 1], wires.y_range[shapes.volume[x], 0] - y, 0.0)
        cost = penalty(time - x_time, weights.sigma_ticks) + penalty(outside, weights.sigma_ticks)
        cost += penalty(above, weights.sigma_y_cm)
        cost += ((shapes.log_energy[i] - shapes.log_energy[x]) / weights.sigma_log_charge) ** 2
        found[k] = cost, y, 0.5 * (time + x_time)
    return found


@compiled()
def distance_in_y(x: Any, u: Any, v: Any, pair_u: Any, pair_v: Any, shapes: Any, members: Any, wires: Any) -> Any:
    """Distance between the heights of U and V on the collection wires [cm], and between their times [ticks].

    Both heights are taken where all three planes see something; where they do not, each where its own pair does.
    """
    low = max(shapes.start[x], shapes.start[u], shapes.start[v])
    high = min(shapes.end[x], shapes.end[u], shapes.end[v])
    volume = shapes.volume[x]
    if high - low >= 1.0:
        x_channel = mean_in(members, x, low, high)[0]
        y_u = y_of(wires, volume, U, mean_in(members, u, low, high)[0], x_channel)
        y_v = y_of(wires, volume, V, mean_in(members, v, low, high)[0], x_channel)
        return y_u - y_v, 0.0
    return pair_u[1] - pair_v[1], abs(pair_u[2] - pair_v[2])


@compiled()
def score_links(
    n: Any, pairs_u: Any, pairs_v: Any, found_u: Any, found_v: Any, shapes: Any, members: Any, wires: Any, weights: Any
) -> Any:
    """Costs of all links of each collection cluster.

    ``pairs_u[x] : pairs_u[x + 1]`` are the pairs of cluster ``x``, rows of ``found_u`` (cluster, cost, y, time); the
    same for V. The costs of ``x`` are a table of (1 + pairs with U) x (1 + pairs with V), flattened, where the first
    row and column leave the plane out. Returns the costs and where each table begins.
    """
    begin = np.zeros(n + 1, np.int64)
    for x in range(n):
        size = 0
        if pairs_u[x + 1] > pairs_u[x] or pairs_v[x + 1] > pairs_v[x]:
            size = (1 + pairs_u[x + 1] - pairs_u[x]) * (1 + pairs_v[x + 1] - pairs_v[x])
        begin[x + 1] = begin[x] + size
    cost = np.empty(begin[n])
    for x in range(n):
        if begin[x + 1] == begin[x]:
            continue
        k = begin[x]
        for a in range(pairs_u[x] - 1, pairs_u[x + 1]):
            lack_u = a < pairs_u[x]
            for b in range(pairs_v[x] - 1, pairs_v[x + 1]):
                lack_v = b < pairs_v[x]
                cost[k] = weights.missing_plane_cost if lack_u else found_u[a, 1]
                cost[k] += weights.missing_plane_cost if lack_v else found_v[b, 1]
                if not lack_u and not lack_v:
                    u, v = np.int64(found_u[a, 0]), np.int64(found_v[b, 0])
                    apart, ticks = distance_in_y(x, u, v, found_u[a, 1:], found_v[b, 1:], shapes, members, wires)
                    sigma = weights.sigma_y_cm + _SLOPE * weights.cm_per_tick * ticks
                    cost[k] += penalty(apart, sigma)
                k += 1
    return cost, begin
