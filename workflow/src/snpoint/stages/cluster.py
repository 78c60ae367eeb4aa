"""``cluster``: trigger primitives -> clusters, their links over the planes, and main clusters."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from snpoint.data.calibration import resolved_adc_per_mev
from snpoint.data.tables import CLUSTER_TABLE, TP_TABLE, Columns, iter_table, open_table, read_sources
from snpoint.physics.clustering import cluster_ids, summarize
from snpoint.physics.geometry import load_detector
from snpoint.physics.linking import link
from snpoint.settings import ClusterSettings

log = logging.getLogger(__name__)


def run(settings: ClusterSettings, *, tps: Path, clusters: Path, calibration: Path | None = None) -> None:
    """Cluster the TPs of one chunk, link the clusters over the planes and find each event's main ones.

    The table is read and written piece by piece, whole events at a time.

    Raises
    ------
    InputMissingError, DataError
        The table of TPs, or the calibration, is missing or breaks its contract.
    ConfigError
        ``adc_per_mev: calibrated`` without a calibration.
    """
    adc_per_mev = resolved_adc_per_mev(settings.adc_per_mev, calibration)
    counts = _Counts()
    with open_table(clusters, CLUSTER_TABLE, read_sources(tps)) as table:
        for part in iter_table(tps, TP_TABLE):
            table.append(part | _clustered(part, settings, adc_per_mev, counts))
    log.info(
        "%s: %d events, %d clusters (%d accepted), %d links on 3 planes and %d on 2; the main clusters of %d events "
        "are linked on 3 planes, of %d on 2",
        *(clusters, counts.events, counts.clusters, counts.accepted, *counts.links[[3, 2]], *counts.main_links[[3, 2]]),
    )
    if counts.cut:
        log.info(
            "%s: %d pairs of clusters were left out: their X clusters have enough better ones", clusters, counts.cut
        )


@dataclass
class _Counts:
    """What was found so far; ``links`` and ``main_links`` by number of planes, ``cut`` as in `Links.n_cut`."""

    events: int = 0
    clusters: int = 0
    accepted: int = 0
    links: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(4, np.int64))
    main_links: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(4, np.int64))
    cut: int = 0


def _clustered(
    tps: Columns, settings: ClusterSettings, adc_per_mev: tuple[float, float, float], counts: _Counts
) -> Columns:
    """Columns that clustering adds to some events; numbers go on from those counted so far."""
    detector = load_detector(settings.detector)
    ids = cluster_ids(
        tps,
        detector,
        method=settings.method,
        tick_limit=settings.tick_limit,
        channel_limit=settings.channel_limit,
        min_tps=settings.min_tps,
        tot_cut=settings.tot_cut,
    )
    found = summarize(ids, tps, detector, adc_per_mev)
    links = link(ids, tps, found, detector, settings.link)
    accepted = found.energy_mev >= settings.energy_cut_mev
    first_cluster, first_link = counts.clusters, int(counts.links.sum())
    counts.events += len(np.unique(tps["event_uid"]))
    counts.clusters += len(found)
    counts.accepted += int(accepted.sum())
    _, first = np.unique(links.link_id[links.link_id >= 0], return_index=True)
    counts.links += np.bincount(links.n_planes[links.link_id >= 0][first], minlength=4)
    main_x = links.is_main & (found.plane == 2)
    counts.main_links += np.bincount(links.n_planes[main_x], minlength=4)
    counts.cut += links.n_cut
    return {
        "cluster_id": np.where(ids >= 0, ids + first_cluster, -1).astype(np.int32),
        "accepted": _of_tps(ids, accepted.astype(np.uint8), 0),
        "is_main": _of_tps(ids, links.is_main.astype(np.uint8), 0),
        "link_id": _of_tps(ids, np.where(links.link_id >= 0, links.link_id + first_link, -1).astype(np.int32), -1),
        "link_margin": _of_tps(ids, links.margin, np.nan),
        "link_planes": _of_tps(ids, links.n_planes, 0),
    }


def _of_tps(ids: npt.NDArray[np.int64], values: npt.NDArray[Any], none: float) -> npt.NDArray[Any]:
    """Value of each TP's cluster, ``none`` for TPs in no cluster."""
    padded = np.append(values, np.array(none, values.dtype))
    return padded[ids]
