"""``image``: clusters -> sparse images in one frame."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from snpoint.data.shards import write_shard
from snpoint.data.tables import CLUSTER_TABLE, read_table
from snpoint.errors import ConfigError
from snpoint.physics.geometry import load_detector
from snpoint.physics.imaging import build_images
from snpoint.settings import ImageSettings

log = logging.getLogger(__name__)


def run(settings: ImageSettings, *, clusters: Path, shard: Path) -> None:
    """Make the images of one chunk: one for each event with a main cluster on the collection plane.

    Raises
    ------
    InputMissingError, DataError
        The table of clusters is missing or breaks its contract.
    ConfigError
        A context that the orientation does not have.
    """
    if settings.orientation == "predecessor" and settings.context != "cluster":
        raise ConfigError(
            f"image.context: '{settings.context}' does not exist for image.orientation 'predecessor' (it ranks the "
            "channels of the cluster); set image.context to 'cluster'"
        )
    table = read_table(clusters, CLUSTER_TABLE)
    arrays = build_images(
        table,
        load_detector(settings.detector),
        context=settings.context,
        orientation=settings.orientation,
        window_ticks=settings.window_ticks,
        window_channels=settings.window_channels,
        tot_cut=settings.tot_cut,
        adc_per_mev=settings.adc_per_mev.as_tuple(),
    )
    made = {"orientation": np.array(settings.orientation), "detector": np.array(settings.detector)}
    write_shard(shard, arrays | made)
    n_events, n_images = len(np.unique(table["event_uid"])), len(arrays["event_uid"])
    log.info(
        "%s: %d images of %d events (%d without a cluster on plane X), %d TPs",
        *(shard, n_images, n_events, n_events - n_images, len(arrays["tick"])),
    )
