"""``cluster``: trigger primitives -> clusters, main clusters and their links over the planes."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from snpoint.data.tables import CLUSTER_TABLE, TP_TABLE, Columns, read_table, write_table
from snpoint.physics.clustering import cluster_ids, summarize
from snpoint.physics.geometry import load_detector
from snpoint.physics.linking import link
from snpoint.settings import ClusterSettings

log = logging.getLogger(__name__)


def run(settings: ClusterSettings, *, tps: Path, clusters: Path) -> None:
    """Cluster the TPs of one chunk; find each event's main clusters and link them over the planes.

    Raises
    ------
    InputMissingError, DataError
        The table of TPs is missing or breaks its contract.
    """
    table = read_table(tps, TP_TABLE)
    detector = load_detector(settings.detector)
    ids = cluster_ids(
        table,
        detector,
        algorithm=settings.algorithm,
        tick_gap=settings.tick_gap,
        channel_gap=settings.channel_gap,
        min_tps=settings.min_tps,
        tot_cut=settings.tot_cut,
    )
    found = summarize(ids, table, detector, settings.adc_per_mev.as_tuple())
    links = link(found, detector, settings.link_tolerance_ticks)
    accepted = found.energy_mev >= settings.energy_cut_mev
    columns: Columns = {
        "cluster_id": ids.astype(np.int32),
        "accepted": _of_tps(ids, accepted.astype(np.uint8), 0),
        "is_main": _of_tps(ids, links.is_main.astype(np.uint8), 0),
        "link_id": _of_tps(ids, links.link_id, -1),
    }
    write_table(clusters, table | columns, CLUSTER_TABLE)
    n_events = len(np.unique(table["event_uid"]))
    n_links = np.bincount(links.planes(), minlength=4)
    log.info(
        "%s: %d events, %d clusters (%d accepted), main clusters linked on 3 planes in %d events, on 2 in %d",
        *(clusters, n_events, len(found), int(accepted.sum()), n_links[3], n_links[2]),
    )


def _of_tps(ids: np.ndarray, values: np.ndarray, none: int) -> np.ndarray:
    """Value of each TP's cluster, ``none`` for TPs in no cluster."""
    padded = np.append(values, np.array(none, values.dtype))
    return padded[ids]
