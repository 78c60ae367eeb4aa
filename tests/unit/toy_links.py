"""Point-like and straight tracks read out on three planes, and what links are worth by the truth."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from toy_clusters import DETECTOR, Columns, synthetic

from snpoint.physics.clustering import Clusters, highest_per_event
from snpoint.physics.constants import U, V, X
from snpoint.physics.geometry import Detector, Volume
from snpoint.physics.linking import Links

NEAR_CM = 3.0


def seen(
    y: float, z: float, tick: float, *, apa: int = 1, face: int = 1, planes: Any = (U, V, X), n: int = 3,
    length: int = 12, mev: float = 5.0, event: int = 1, detector: Detector = DETECTOR,
    volume: Volume | None = None,
) -> Columns:  # fmt: skip
    """TPs of a short track along z through (y, z), with its peaks at one tick (plane offsets added)."""
    volume = volume or detector.volume(apa, face)
    step = 1 / abs(volume.wires[X].dch_dz)
    parts = []
    for plane in planes:
        channel = np.rint(volume.channel(plane, y, z + step * (np.arange(n) - (n - 1) / 2))).astype(int)
        start = round(tick + detector.time_offsets_ticks[plane]) - length // 2
        adc = round(mev / n * (1000, 1100, 4100)[plane])
        channel += volume.apa * detector.channels_per_apa
        parts.append(synthetic(channel, [start] * n, [length] * n, event, adc, detector))
    return together(*parts)


def together(*parts: Columns) -> Columns:
    """One table of all TPs, in the order of tables."""
    tps = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    order = np.lexsort((tps["channel"], tps["time_start"], tps["event_uid"]))
    return {key: values[order] for key, values in tps.items()}


class Quality(NamedTuple):
    """How good the main links are.

    ``efficiency``: of the events with a true main cluster on all three planes (the one of highest energy with a signal
    TP), the share with the three in one link. A track that falls into pieces counts as lost when the largest pieces of
    two planes lie in different places. ``purity``: of the U and V clusters in main links, the share of those at least
    half of whose charge was deposited within 3 cm of what the X cluster of the link has seen. ``n`` counts the events.
    """

    efficiency: float
    purity: float
    n: int


def quality(tps: Columns, ids: np.ndarray, clusters: Clusters, links: Links) -> Quality:
    """Compare links with the truth of their TPs."""
    mains = true_mains(tps, ids, clusters)
    complete = mains[(mains >= 0).all(axis=1)]
    link_id = links.link_id[complete]
    linked = (link_id[:, U] >= 0) & (link_id == link_id[:, :1]).all(axis=1)
    rows = np.flatnonzero(ids >= 0)
    rows = rows[np.argsort(ids[rows], kind="stable")]
    begin = np.searchsorted(ids[rows], np.arange(len(clusters) + 1))
    members = [rows[begin[c] : begin[c + 1]] for c in range(len(clusters))]
    main_x = highest_per_event(clusters, clusters.plane == X) & (links.link_id >= 0)
    x_of = dict(zip(links.link_id[main_x].tolist(), np.flatnonzero(main_x).tolist(), strict=True))
    partners = [c for c in np.flatnonzero(clusters.plane != X) if int(links.link_id[c]) in x_of]
    right = [_same_place(tps, members[c], members[x_of[int(links.link_id[c])]]) for c in partners]
    return Quality(float(linked.mean()), float(np.mean(right)), len(complete))


def true_mains(tps: Columns, ids: np.ndarray, clusters: Clusters) -> np.ndarray:
    """Clusters of highest energy with a signal TP, (event, plane); -1 where there is none."""
    signal = np.zeros(len(clusters), bool)
    signal[ids[(ids >= 0) & (tps["is_signal"] == 1)]] = True
    mains = np.full((int(clusters.event.max()) + 1, 3), -1)
    for plane in (U, V, X):
        found = np.flatnonzero(highest_per_event(clusters, signal & (clusters.plane == plane)))
        mains[clusters.event[found], plane] = found
    return mains


def _same_place(tps: Columns, own: np.ndarray, other: np.ndarray) -> bool:
    a, b = (np.stack([tps[f"{axis}_cm"][rows] for axis in "xyz"], axis=1).astype(float) for rows in (own, other))
    distance = np.linalg.norm(a[:, None] - b[None], axis=2)
    near = (np.where(np.isfinite(distance), distance, np.inf) < NEAR_CM).any(axis=1)
    charge = tps["adc_integral"][own].astype(float)
    return bool(charge[near].sum() >= 0.5 * charge.sum())
