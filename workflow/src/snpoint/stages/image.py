"""``image``: clusters -> sparse images in one frame."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np

from snpoint.data.calibration import resolved_adc_per_mev
from snpoint.data.shards import Columns, joined_shards, write_shard
from snpoint.data.tables import CLUSTER_TABLE, iter_table, read_sources
from snpoint.physics.geometry import Detector, load_detector
from snpoint.physics.imaging import NEEDED, build_images
from snpoint.settings import ImageSettings

log = logging.getLogger(__name__)


def run(settings: ImageSettings, *, clusters: Path, shard: Path, calibration: Path | None = None) -> None:
    """Make the images of one chunk, whole events at a time.

    Raises
    ------
    InputMissingError, DataError
        The table of clusters, or the calibration, is missing or breaks its contract.
    ConfigError
        A context that the orientation does not have, or ``adc_per_mev: calibrated`` without a calibration.
    """
    detector = load_detector(settings.detector)
    adc_per_mev = resolved_adc_per_mev(settings.adc_per_mev, calibration)
    sources = read_sources(clusters)
    parts = [_images({key: np.empty(0, CLUSTER_TABLE[key].dtype) for key in NEEDED}, detector, settings, adc_per_mev)]
    n_events = 0
    for table in iter_table(clusters, CLUSTER_TABLE, NEEDED):
        n_events += len(np.unique(table["event_uid"]))
        parts.append(_images(table, detector, settings, adc_per_mev))
    arrays = joined_shards(parts)
    made = {"orientation": np.array(settings.orientation), "detector": np.array(settings.detector)}
    write_shard(shard, arrays | made | {"sources": np.array(json.dumps(sources, sort_keys=True))})
    log.info("%s: %s", shard, _summary(arrays, n_events, settings.anchors))


def _images(
    table: Columns, detector: Detector, settings: ImageSettings, adc_per_mev: tuple[float, float, float]
) -> Columns:
    return build_images(
        table,
        detector,
        anchors=settings.anchors,
        context=settings.context,
        orientation=settings.orientation,
        window_ticks=settings.window_ticks,
        window_channels=settings.window_channels,
        tot_cut=settings.tot_cut,
        adc_per_mev=adc_per_mev,
    )


def _summary(arrays: Columns, n_events: int, anchors: str) -> str:
    """What was made, in one line."""
    n_images, imaged = len(arrays["event_uid"]), len(np.unique(arrays["event_uid"]))
    size = sum(values.nbytes for values in arrays.values()) / max(n_images, 1)
    lacking = "a cluster" if anchors == "main" else "an accepted cluster"
    return (
        f"{n_images} images of {imaged} events ({n_events - imaged} without {lacking} on plane X), "
        f"{len(arrays['tick'])} TPs, {size / 1000:.1f} kB per image"
    )
