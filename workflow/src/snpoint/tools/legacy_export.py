"""The way from our files to the predecessor's, for ``snpoint export``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from snpoint.data.legacy_npz import write_legacy_npz
from snpoint.data.root_export import RootWriter, open_root
from snpoint.data.shards import Events, load_dataset
from snpoint.data.tables import CLUSTER_TABLE, Columns, iter_table
from snpoint.errors import InputMissingError, UsageError
from snpoint.physics.drawing import draw
from snpoint.physics.geometry import Detector, load_detector
from snpoint.physics.legacy_metadata import metadata
from snpoint.physics.legacy_trees import PLANES, cluster_branches, tp_branches
from snpoint.settings import SPLITS

IMAGES_PER_FILE = 5_000


def write_dense(
    source: Path, folder: Path, *, ticks: int, channels: int, waveform: str, images_per_file: int = IMAGES_PER_FILE
) -> Iterator[tuple[Path, int]]:
    """Write a dataset as dense images; gives each file and the number of its images.

    Files are ``{U,V,X}/<dataset>_<split>_<number>_plane{U,V,X}.npz``; row i of the three planes is the same image.
    Beside ``images`` (N, ticks, channels) and ``metadata`` (N, 18) they hold ``event_uid``, ``interaction``,
    ``orientation`` and ``detector``, which float32 columns have no room for. In canonical images U stands for plane A
    and V for plane B.

    Raises
    ------
    InputMissingError, DataError
        The dataset is missing or broken.
    UsageError
        The folder already holds NPZ files.
    """
    split_path = source / "dataset" / "split.npz" if source.is_dir() else source
    if not split_path.is_file():
        raise InputMissingError(f"{split_path}: no such file; name the folder of a dataset, or its split.npz")
    if any(folder.glob("*/*.npz")):
        raise UsageError(f"{folder} already holds NPZ files; remove them, or write to another folder")
    name = split_path.resolve().parent.parent.name
    for split in SPLITS:
        events = load_dataset(split_path, (split,))
        for number, start in enumerate(range(0, len(events), images_per_file)):
            part = events.take(np.arange(start, min(start + images_per_file, len(events))))
            for plane, letter in enumerate(PLANES):
                path = folder / letter / f"{name}_{split}_{number:04d}_plane{letter}.npz"
                _write_plane(path, part, plane, (ticks, channels), waveform)
                yield path, len(part)


def _write_plane(path: Path, events: Events, plane: int, size: tuple[int, int], waveform: str) -> None:
    arrays = {
        "images": draw(events, np.arange(len(events)), *size, waveform, planes=[plane])[:, 0],
        "metadata": metadata(events, plane),
        "event_uid": events.event_uid,
        "interaction": events.interaction,
        "orientation": np.array(events.orientation),
        "detector": np.array(events.detector),
    }
    write_legacy_npz(path, arrays)


def write_root(
    source: Path, target: Path, detector_name: str, adc_per_mev: tuple[float, float, float]
) -> tuple[int, int]:
    """Write a table of clusters as ROOT trees, whole events at a time; gives the numbers of TPs and clusters.

    Raises
    ------
    InputMissingError, DataError
        The table is missing or broken.
    ConfigError
        There is no such detector layout.
    """
    detector = load_detector(detector_name)
    n_tps = n_clusters = 0
    with open_root(target) as file:
        empty = {key: np.empty(0, array.dtype) for key, array in CLUSTER_TABLE.items()}
        for table in (empty, *iter_table(source, CLUSTER_TABLE)):
            n_clusters += _append(file, table, detector, adc_per_mev)
            n_tps += len(table["event"])
    return n_tps, n_clusters


def _append(file: RootWriter, table: Columns, detector: Detector, adc_per_mev: tuple[float, float, float]) -> int:
    file.append("tps", tp_branches(table, detector))
    scalars, members, counts, place = cluster_branches(table, detector, adc_per_mev)
    of_tp = np.repeat(np.arange(len(counts)), counts)
    for accepted, folder in ((True, "clusters"), (False, "discarded")):
        for number, letter in enumerate(PLANES):
            rows = (place["plane"] == number) & (place["accepted"] == accepted)
            branches = {key: values[rows] for key, values in scalars.items()}
            if letter == "X":
                branches |= {
                    f"matching_clusterId_{name}": place[f"matching_{name}"][rows].astype(np.int32) for name in "UV"
                }
            own = {key: values[rows[of_tp]] for key, values in members.items()}
            file.append(f"{folder}/clusters_tree_{letter}", branches, own, counts[rows])
    return len(counts)
