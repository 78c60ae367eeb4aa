"""Links of clusters over the three planes, and the main clusters. No truth is used: it works the same on data.

A link joins a cluster of the collection plane (X) with one on U, one on V, or both, of the same event and APA. The X
wires give z and the side of the APA; with a U wire they give y, and with a V wire they give it a second time. The cost
of a link adds up, for each induction plane,

* the distance of the mean times in the common interval, plane offsets subtracted,
* the part of the induction cluster's interval that sticks out of that of the X cluster (X is the most sensitive plane),
* by how much y lies outside of the APA,
* the square of the logarithm of the ratio of the energies, over its spread,

and for both together the distance between the two y, taken where all three planes see something. A distance d with
spread sigma costs 2 log(1 + d^2 / (2 sigma^2)): a square near zero, with the long tails that pieces of tracks have.
A link without an induction plane pays a constant. No cluster is in two links, and the sum of all costs is as small as
exchanging the partners on one plane or the other can make it.

The spreads are wide for what the planes resolve (two thirds of the right combinations agree within 1 tick and 0.4 cm):
where a track falls into pieces that lie close together in all other respects, the ratio of energies decides.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from snpoint.physics import linking_scores as scores
from snpoint.physics.clustering import Bools, Clusters, Columns, Ints, highest_per_event
from snpoint.physics.constants import U, V, X
from snpoint.physics.geometry import Detector
from snpoint.physics.linking_assignment import Choices, assign
from snpoint.settings import Linking

_MAIN_WEIGHT = 10.0
"""Where the event's X cluster of highest energy and another one want the same partner, its cost counts so much more."""
_MOST_PARTNERS = 30
"""Partners of an X cluster on one plane, the cheapest: its table of links has the square of their number."""


@dataclass(frozen=True)
class Links:
    """Result of the linking, one entry per cluster.

    ``link_id`` numbers the links in the order of their X clusters, -1 for clusters that are in none. ``is_main`` marks
    the clusters of the link of each event's X cluster of highest energy; on a plane that this link lacks, and in events
    without one, the cluster of highest energy of that plane. ``margin`` is by how much the best link of the same X
    cluster with another U or V cluster costs more, NaN where there is none; it is negative where that one would be
    better but belongs to another link. ``n_planes`` is the number of planes of the link, 0 in none. ``n_cut`` counts
    the pairs of clusters that were not looked at because the X cluster has enough cheaper ones.
    """

    link_id: npt.NDArray[np.int32]
    is_main: Bools
    margin: npt.NDArray[np.float32]
    n_planes: npt.NDArray[np.uint8]
    n_cut: int


def link(ids: Ints, tps: Columns, clusters: Clusters, detector: Detector, settings: Linking) -> Links:
    """Link the clusters of a table over the planes, all of them.

    Parameters
    ----------
    ids
        Cluster of every TP, -1 for none.
    tps
        Columns of the TP table.
    clusters
        Their summary.
    detector
        Gives the clock, the plane offsets and the wires.
    settings
        Largest gap in time, spreads of the distances, cost of a missing plane.
    """
    choices, n_cut = _choices(ids, tps, clusters, detector, settings)
    main_x = highest_per_event(clusters, clusters.plane == X)
    partner, margin = assign(choices, np.where(main_x, _MAIN_WEIGHT, 1.0))
    link_id = np.full(len(clusters), -1, np.int32)
    linked = np.flatnonzero((partner >= 0).any(axis=1))
    link_id[linked] = np.arange(len(linked))
    for plane in (U, V):
        own = linked[partner[linked, plane] >= 0]
        link_id[partner[own, plane]] = link_id[own]
    inside = link_id >= 0
    planes = np.bincount(link_id[inside], minlength=len(linked)).astype(np.uint8)
    return Links(
        link_id,
        _main(clusters, main_x, link_id),
        np.where(inside, margin[linked][link_id] if len(linked) else np.nan, np.nan).astype(np.float32),
        np.where(inside, planes[link_id] if len(linked) else 0, 0).astype(np.uint8),
        n_cut,
    )


def _choices(ids: Ints, tps: Columns, clusters: Clusters, detector: Detector, settings: Linking) -> tuple[Choices, int]:
    """Candidates and their costs, and how many pairs were one too many."""
    members = _members(ids, tps, len(clusters), detector)
    shapes = _shapes(clusters, members, detector)
    wires = scores.wires_of(detector)
    weights = scores.Weights(
        settings.tolerance_ticks,
        settings.sigma_ticks,
        settings.sigma_y_cm,
        settings.sigma_log_charge,
        settings.missing_plane_cost,
        detector.cm_per_tick,
    )
    group = clusters.event * detector.n_apas + clusters.apa
    order = np.lexsort((shapes.start, shapes.plane, group))
    begins, partners, n_cut = [], [], 0
    for plane in (U, V):
        own, other = scores.candidates(group, shapes, order, plane, wires, weights.tolerance_ticks)
        found = scores.score_pairs(own, other, shapes, members, wires, weights)
        useful = found[:, 0] < weights.missing_plane_cost  # others cost more than leaving the plane out
        own, other, found = own[useful], other[useful], found[useful]
        kept = _cheapest_partners(own, found[:, 0])
        n_cut += len(own) - len(kept)
        own, other, found = own[kept], other[kept], found[kept]
        by_own = np.argsort(own, kind="stable")
        begins.append(np.searchsorted(own[by_own], np.arange(len(clusters) + 1)))
        partners.append(np.column_stack([other, found])[by_own])
    costs, begin = scores.score_links(
        len(clusters), begins[U], begins[V], partners[U], partners[V], shapes, members, wires, weights
    )
    names = [partners[plane][:, 0].astype(np.int64) for plane in (U, V)]
    return Choices(begins[U], begins[V], names[U], names[V], costs, begin), n_cut


def _cheapest_partners(own: Ints, cost: scores.Floats) -> Ints:
    """The pairs that are among the `_MOST_PARTNERS` cheapest ones of their X cluster, in the order given."""
    order = np.lexsort((cost, own))
    place = np.arange(len(own)) - np.searchsorted(own[order], own[order])
    return np.sort(order[place < _MOST_PARTNERS])


def _shapes(clusters: Clusters, members: scores.Members, detector: Detector) -> scores.Shapes:
    offset = np.asarray(detector.time_offsets_ticks)[clusters.plane]
    channel = members.channel[members.offsets[:-1]].astype(np.int64)
    volume = np.full(detector.n_apas * detector.channels_per_apa, -1, np.int64)
    for row, own in enumerate(detector.volumes):
        first = own.apa * detector.channels_per_apa + own.wires[X].first_channel
        volume[first : first + own.wires[X].n_channels] = row
    return scores.Shapes(
        clusters.plane,
        volume[clusters.apa * detector.channels_per_apa + channel],
        channel,
        clusters.start / detector.clock_per_tick - offset,
        clusters.end / detector.clock_per_tick - offset,
        np.log(np.maximum(clusters.energy_mev, 1e-3)),
    )


def _members(ids: Ints, tps: Columns, n: int, detector: Detector) -> scores.Members:
    inside = np.flatnonzero(ids >= 0)
    rows = inside[np.argsort(ids[inside], kind="stable")]
    offsets = np.searchsorted(ids[rows], np.arange(n + 1))
    plane = tps["plane"][rows].astype(np.int64)
    channel = detector.local(tps["channel"][rows])
    modulus = np.array([wires.modulus or 0 for wires in detector.volumes[0].wires], np.int64)[plane]
    first = channel[offsets[ids[rows]]]
    half, safe = modulus // 2, np.maximum(modulus, 1)
    channel = np.where(modulus > 0, first + (channel - first + half) % safe - half, channel)
    start = tps["time_start"][rows] / detector.clock_per_tick - np.asarray(detector.time_offsets_ticks)[plane]
    return scores.Members(
        offsets,
        start,
        np.maximum(tps["samples_over_threshold"][rows], 1).astype(np.float64),
        start + tps["samples_to_peak"][rows],
        channel.astype(np.float64),
        np.maximum(tps["adc_integral"][rows], 1).astype(np.float64),
    )


def _main(clusters: Clusters, main_x: Bools, link_id: npt.NDArray[np.int32]) -> Bools:
    """Clusters of the main link of each event, and the highest ones of the planes that it lacks."""
    is_main = main_x | (np.isin(link_id, link_id[main_x]) & (link_id >= 0))
    for plane in (U, V):
        own = clusters.plane == plane
        lacking = ~np.isin(clusters.event, clusters.event[own & is_main])
        is_main |= highest_per_event(clusters, own) & lacking
    return is_main
