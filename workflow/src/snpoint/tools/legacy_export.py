"""The way from our files to the predecessor's, for ``snpoint export``."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt

from snpoint import provenance
from snpoint.data.atomic import write_json
from snpoint.data.contracts import ATTRIBUTIONS, FORMAT_VERSION, LIKELIHOOD, PREDICTIONS, SHARD
from snpoint.data.legacy_npz import write_legacy_npz
from snpoint.data.productions import STAND_IN, productions
from snpoint.data.root_export import RootWriter, open_root
from snpoint.data.shards import Events, load_dataset, read_shard, read_split, shard_sources
from snpoint.data.sources import merge_sources
from snpoint.data.tables import CLUSTER_TABLE, Columns, iter_table
from snpoint.errors import InputMissingError, UsageError
from snpoint.physics.drawing import draw
from snpoint.physics.geometry import Detector, load_detector
from snpoint.physics.legacy_layouts import LAYOUTS
from snpoint.physics.legacy_metadata import LAYOUT, interaction, metadata, n_rounded
from snpoint.physics.legacy_trees import PLANES, cluster_branches, tp_branches
from snpoint.settings import SPLITS

IMAGES_PER_FILE = 5_000
RECORD = "export.json"
ROUNDED = (
    "float32, which the predecessor's metadata are, does not hold the event numbers of {} of {} images: column 0 is "
    "off by one or more there; take 'event_uid' of the same files (its lower 32 bits are the event number)"
)

CUT = (
    "{n_cut} of {n} images lose more than {percent:.0f}% of the charge of their cluster on a plane, as it lies beyond "
    "{ticks} ticks x {channels} channels: {mean:.0f}% on average, {largest:.0f}% at most; --ticks and --channels make "
    "the images larger"
)
MUCH_CUT = 0.1
"""Share of a plane's charge that an image may lose unnoticed."""

Json = dict[str, Any]

_AT_ONCE = 256
"""Images that are drawn in memory at once where they are only measured."""
_SPLIT_PLACES = ("dataset/split.npz", "split.npz")
_KINDS: dict[str, frozenset[str]] = {
    "a shard of images": frozenset(SHARD),
    "predictions of a network": frozenset(PREDICTIONS),
    "a likelihood": frozenset(LIKELIHOOD),
    "attributions": frozenset(ATTRIBUTIONS),
    "dense images, as an export writes them": frozenset(("images", "metadata")),
}


def write_dense(
    source: Path, folder: Path, *, ticks: int, channels: int, waveform: str, images_per_file: int = IMAGES_PER_FILE
) -> Iterator[tuple[Path, int]]:
    """Write a dataset as dense images; gives each file and the number of its images.

    Files are ``{U,V,X}/<dataset>_<split>_<number>_plane{U,V,X}.npz``; row i of the three planes is the same image.
    Beside ``images`` (N, ticks, channels) and ``metadata`` (N, 18) they hold what float32 columns have no room for:
    ``event_uid``, ``interaction`` and ``split`` (number of the split) of each image, and ``orientation``, ``detector``
    and ``production`` of all. In canonical images U stands for plane A and V for plane B. At the end `RECORD` is
    written, which says what was exported, how many event numbers float32 does not hold, and how many images lose
    charge at their edges; the latter two are also printed as warnings.

    Parameters
    ----------
    source
        The folder of a dataset, its folder ``dataset``, or its ``split.npz``.
    folder
        Where to write to.
    ticks, channels, waveform, images_per_file
        Size of the images, shape of a TP, and how many images a file holds at most.

    Raises
    ------
    InputMissingError, DataError
        The dataset is missing or broken.
    UsageError
        The source is something else, or the folder already holds NPZ files.
    """
    split_path = _split_path(source)
    if any(folder.glob("*/*.npz")):
        raise UsageError(f"{folder} already holds NPZ files; remove them, or write to another folder")
    name = split_path.resolve().parent.parent.name
    tags = _production_tags(split_path)
    own_keys = {"production": np.array(" + ".join(tags) or name)}
    files: dict[str, int] = {}
    per_split: dict[str, int] = {}
    rounded, lost = 0, [np.zeros(0)]
    for split in SPLITS:
        events = load_dataset(split_path, (split,))
        per_split[split] = len(events)
        rounded += n_rounded(events.event)
        for number, start in enumerate(range(0, len(events), images_per_file)):
            part = events.take(np.arange(start, min(start + images_per_file, len(events))))
            lost.append(_lost(part, (ticks, channels), waveform))
            for plane, letter in enumerate(PLANES):
                path = folder / letter / f"{name}_{split}_{number:04d}_plane{letter}.npz"
                write_legacy_npz(path, _dense(part, plane, (ticks, channels), waveform) | own_keys)
                files[str(path.relative_to(folder))] = len(part)
                yield path, len(part)
    drawing: Json = {"ticks": ticks, "channels": channels, "waveform": waveform}
    cut = _cut(np.concatenate(lost))
    notes = _notes(cut, rounded, sum(per_split.values()), drawing)
    found = {"productions": tags, "splits": per_split, "drawing": drawing, "files": files}
    found |= {"rounded_event_numbers": rounded, "charge_cut": cut, "notes": notes}
    write_json(folder / RECORD, _record(split_path) | found)
    for note in notes:
        click.echo(f"{folder}: warning: {note}", err=True)


def _record(split_path: Path) -> Json:
    """What is known of an export before it is made."""
    return {
        "format_version": FORMAT_VERSION,
        "command": provenance.command(),
        "source": {"file": str(split_path), **provenance.fingerprint(split_path)},
        "columns": LAYOUTS[LAYOUT],
    }


def _split_path(source: Path) -> Path:
    """The ``split.npz`` of a dataset.

    Raises
    ------
    InputMissingError, UsageError
        There is none, or the source is another kind of file.
    """
    if source.is_dir():
        found = [source / place for place in _SPLIT_PLACES if (source / place).is_file()]
        if not found:
            raise InputMissingError(
                f"{source}: holds no {' nor '.join(_SPLIT_PLACES)}; name the folder of a dataset, or its split.npz"
            )
        return found[0]
    if not source.is_file():
        raise InputMissingError(f"{source}: no such file; name the folder of a dataset, or its split.npz")
    try:
        with zipfile.ZipFile(source) as archive:
            keys = {name.removesuffix(".npy") for name in archive.namelist()}
    except (OSError, zipfile.BadZipFile):
        return source  # what is wrong with it is said where it is read
    if {"shards", "row"} <= keys:
        return source
    kind = next((name for name, own in _KINDS.items() if own <= keys), None)
    if kind is None:
        shared = {name: len(own & keys) / len(own) for name, own in _KINDS.items()}
        best = max(shared, key=lambda name: shared[name])
        kind = f"{best} of another version" if shared[best] > 0.5 else "something else"
    beside = source.absolute().parent.parent / "dataset" / "split.npz"
    which = f", here {beside}" if beside.is_file() else ""
    raise UsageError(
        f"{source}: is {kind}, not a dataset; name the folder of a dataset, or its dataset/split.npz{which}"
    )


def _production_tags(split_path: Path) -> list[str]:
    """Productions that the images are of, stand-ins for files that are not there first."""
    folder = split_path.parent.parent / "image"
    shards = [folder / str(name) for name in read_split(split_path)["shards"]]
    sources = merge_sources(shard_sources(read_shard(path), path) for path in shards)
    tags = [str(entry["tag"]) for entry in productions(sources["files"])]
    return sorted(tags, key=lambda tag: (not tag.startswith(STAND_IN), tag))


def _lost(events: Events, size: tuple[int, int], waveform: str) -> npt.NDArray[np.float64]:
    """Share of the charge of its cluster that each image loses on the plane that loses most, (N,)."""
    charge = events.adc_integral * events.in_main  # context may be cut
    segment = np.repeat(np.arange(3 * len(events)), np.diff(events.offsets))
    total = np.bincount(segment, charge, 3 * len(events)).reshape(-1, 3)
    main, thresholds = replace(events, adc_integral=charge), load_detector(events.detector).plane_thresholds_adc
    inside = np.zeros(total.shape)
    for first in range(0, len(events), _AT_ONCE):
        rows = np.arange(first, min(first + _AT_ONCE, len(events)))
        inside[rows] = draw(main, rows, *size, waveform, thresholds_adc=thresholds).sum(axis=(2, 3), dtype=np.float64)
    share = np.divide(inside, total, out=np.ones(total.shape), where=total > 0)
    return np.asarray(1.0 - share.min(axis=1, initial=1.0))


def _cut(lost: npt.NDArray[np.float64]) -> Json:
    """How many images lose much of their charge, and how much these lose."""
    much = lost[lost > MUCH_CUT]
    mean, largest = (float(much.mean()), float(much.max())) if len(much) else (None, None)
    return {"share": MUCH_CUT, "images": len(much), "mean_loss": mean, "largest_loss": largest}


def _notes(cut: Json, rounded: int, n_images: int, drawing: Json) -> list[str]:
    notes = [ROUNDED.format(rounded, n_images)] if rounded else []
    if cut["images"]:
        losses = {"mean": 100 * cut["mean_loss"], "largest": 100 * cut["largest_loss"], "percent": 100 * cut["share"]}
        notes.append(CUT.format(n_cut=cut["images"], n=n_images, **losses, **drawing))
    return notes


def _dense(events: Events, plane: int, size: tuple[int, int], waveform: str) -> Columns:
    """Arrays of one file, without what is the same for all files."""
    thresholds = load_detector(events.detector).plane_thresholds_adc
    images = draw(events, np.arange(len(events)), *size, waveform, thresholds_adc=thresholds, planes=[plane])
    return {
        "images": images[:, 0],
        "metadata": metadata(events, plane),
        "event_uid": events.event_uid,
        "interaction": interaction(events),
        "split": events.split,
        "orientation": np.array(events.orientation),
        "detector": np.array(events.detector),
    }


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
