"""Shards of sparse images, the split that orders them, and datasets in memory.

A shard keeps the TPs of its images, not pixels: a few kB per image, drawn at any size when it is needed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from snpoint.data.atomic import write_npz
from snpoint.data.contracts import FORMAT_VERSION, SHARD, SPLIT, Array, validate
from snpoint.data.results import read_npz
from snpoint.errors import DataError, shown
from snpoint.provenance import fingerprint
from snpoint.settings import SPLITS

Columns = dict[str, npt.NDArray[Any]]

TP_KEYS = (*("channel", "tick", "samples_over_threshold", "samples_to_peak", "adc_integral", "adc_peak", "in_main"),)
"""Arrays with one entry per TP; all others but ``offsets`` and scalars have one per image."""
FRAME_KEYS = ("orientation", "detector")
"""How all images of a shard were made."""
SOURCES_KEY = "sources"
"""Where the images of a shard come from; images in memory do not carry it."""


@dataclass(frozen=True)
class Events:
    """Images of a dataset in memory: all arrays of its shards joined, and the split of each image.

    TPs of image ``i`` on plane ``p`` (0 A, 1 B, 2 X) are ``offsets[3 * i + p]`` to ``offsets[3 * i + p + 1]``.
    ``orientation`` (``canonical`` or ``predecessor``) and ``detector`` (name of its layout) hold for all images.
    """

    orientation: str
    detector: str
    event_uid: npt.NDArray[np.uint64]
    split: npt.NDArray[np.uint8]
    run: npt.NDArray[np.uint32]
    subrun: npt.NDArray[np.uint32]
    event: npt.NDArray[np.uint32]
    offsets: npt.NDArray[np.int64]
    channel: npt.NDArray[np.int16]
    tick: npt.NDArray[np.int16]
    samples_over_threshold: npt.NDArray[np.uint16]
    samples_to_peak: npt.NDArray[np.uint16]
    adc_integral: npt.NDArray[np.uint32]
    adc_peak: npt.NDArray[np.uint16]
    in_main: npt.NDArray[np.uint8]
    direction: npt.NDArray[np.float32]
    vertex_cm: npt.NDArray[np.float32]
    energy_true_mev: npt.NDArray[np.float32]
    energy_reco_mev: npt.NDArray[np.float32]
    interaction: npt.NDArray[np.uint8]
    is_main: npt.NDArray[np.uint8]
    apa: npt.NDArray[np.uint8]
    face: npt.NDArray[np.int8]
    neutrino_direction: npt.NDArray[np.float32]
    neutrino_energy_mev: npt.NDArray[np.float32]
    fingerprint: npt.NDArray[np.uint64]
    background_uid: npt.NDArray[np.uint64]
    background_fingerprint: npt.NDArray[np.uint64]
    link_margin: npt.NDArray[np.float32]
    signal_fraction: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.event_uid)

    def take(self, rows: npt.ArrayLike) -> Events:
        """The images of these rows, in this order."""
        chosen = np.asarray(rows, np.int64)
        arrays = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in FRAME_KEYS}
        return _events({key: getattr(self, key) for key in FRAME_KEYS}, _take(arrays, chosen))

    def of_split(self, *names: str) -> Events:
        """The images of these splits."""
        return self.take(np.flatnonzero(np.isin(self.split, [SPLITS.index(name) for name in names])))


def write_shard(path: str | Path, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write a shard; ``format_version`` is added.

    Raises
    ------
    DataError
        The arrays break the contract of a shard.
    """
    _write(path, arrays, SHARD)


def write_split(path: str | Path, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write a split; ``format_version`` is added.

    Raises
    ------
    DataError
        The arrays break the contract of a split.
    """
    _write(path, arrays, SPLIT)


def read_shard(path: str | Path) -> Columns:
    """Read a shard and check it.

    Raises
    ------
    InputMissingError
        There is no such file.
    DataError
        It is broken, of another format version, or its offsets do not count its TPs.
    """
    arrays = read_npz(path, SHARD)
    offsets = arrays["offsets"]
    if offsets[0] != 0 or offsets[-1] != len(arrays["tick"]) or (np.diff(offsets) < 0).any():
        raise DataError(f"{path}: 'offsets' do not count the {len(arrays['tick'])} TPs; run the image stage again")
    return arrays


def read_split(path: str | Path) -> Columns:
    """Read a split and check it; errors as of `read_shard`."""
    arrays = read_npz(path, SPLIT)
    if len(arrays["shard"]) and arrays["shard"].max() >= len(arrays["shards"]):
        raise DataError(
            f"{path}: 'shard' points beyond the {len(arrays['shards'])} shards; run the dataset stage again"
        )
    return arrays


def load_dataset(split_path: str | Path, splits: Iterable[str] | None = None) -> Events:
    """Load the images of a dataset, sparse.

    Parameters
    ----------
    split_path
        ``dataset/split.npz`` of the dataset; its shards lie beside it in ``../image``.
    splits
        Names of the wanted splits (``train``, ``val``, ``calib``, ``test``); all without it.

    Returns
    -------
    Events
        In the order of the split file: by shard, then row.

    Raises
    ------
    InputMissingError, DataError
        The split or a shard is missing or broken, they do not belong together, or shards differ in orientation or
        detector.
    """
    split = read_split(split_path)
    numbers = range(len(SPLITS)) if splits is None else [SPLITS.index(name) for name in splits]
    chosen = np.flatnonzero(np.isin(split["split"], list(numbers)))
    folder = Path(split_path).parent.parent / "image"
    parts, frames = [], {}
    for number in np.unique(split["shard"][chosen]).tolist() or [0]:
        if number >= len(split["shards"]):
            raise DataError(f"{split_path}: names no shards; run the dataset stage again")
        path = folder / str(split["shards"][number])
        if fingerprint(path)["sha256"] != split["shard_sha256"][number]:
            raise DataError(f"{path}: is not the shard that {split_path} was made from; run the dataset stage again")
        rows = chosen[split["shard"][chosen] == number]
        shard = read_shard(path)
        frames[path] = frame(shard)
        parts.append(_part(shard, split, rows, path, split_path))
    return _events(check_one_frame(frames), joined_shards(parts))


def joined_shards(parts: Sequence[Columns]) -> Columns:
    """The images of several shards (arrays per image and per TP, and ``offsets``; at least one) in one."""
    joined = {key: np.concatenate([part[key] for part in parts]) for key in parts[0] if key != "offsets"}
    counts = np.concatenate([np.diff(part["offsets"]) for part in parts])
    return joined | {"offsets": np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)}


def frame(shard: Mapping[str, npt.NDArray[Any]]) -> dict[str, str]:
    """How the images of a shard were made: its orientation and its detector."""
    return {key: str(shard[key]) for key in FRAME_KEYS}


def shard_sources(shard: Mapping[str, npt.NDArray[Any]], path: str | Path) -> dict[str, Any]:
    """Where the images of a shard come from, as `snpoint.data.tables.read_sources` gives it for a table.

    Raises
    ------
    DataError
        ``sources`` is no JSON object.
    """
    try:
        found = json.loads(str(shard[SOURCES_KEY]))
    except ValueError as error:
        raise DataError(f"{path}: 'sources' is no JSON ({error}); run the image stage again") from error
    if not isinstance(found, dict):
        raise DataError(f"{path}: 'sources' is {shown(found)}, expected an object; run the image stage again")
    return found


def check_one_frame(frames: Mapping[Path, dict[str, str]]) -> dict[str, str]:
    """The frame that all shards share.

    Raises
    ------
    DataError
        Two shards differ; images of two frames cannot be learned from together.
    """
    (first, expected), *others = frames.items()
    for path, found in others:
        for key, value in found.items():
            if value != expected[key]:
                raise DataError(
                    f"{path}: '{key}' is {value}, but {expected[key]} in {first.name}; make all samples of a dataset "
                    "with the same image settings"
                )
    return expected


def _events(made: Mapping[str, str], arrays: Columns) -> Events:
    values: dict[str, Any] = {**made, **arrays}
    return Events(**values)


def _part(shard: Columns, split: Columns, rows: npt.NDArray[np.int64], path: Path, split_path: str | Path) -> Columns:
    own = split["row"][rows].astype(np.int64)
    found = shard["event_uid"]
    if len(own) and (own.max() >= len(found) or (found[own] != split["event_uid"][rows]).any()):
        raise DataError(f"{path}: not the shard that {split_path} was made from; run the dataset stage again")
    arrays = {key: values for key, values in shard.items() if key not in ("format_version", SOURCES_KEY, *FRAME_KEYS)}
    return _take(arrays, own) | {"split": split["split"][rows]}


def _take(arrays: Columns, rows: npt.NDArray[np.int64]) -> Columns:
    """Images of the given rows: arrays per image are indexed, TPs gathered, offsets counted anew."""
    begin = arrays["offsets"][:-1].reshape(-1, 3)[rows].reshape(-1)
    counts = arrays["offsets"][1:].reshape(-1, 3)[rows].reshape(-1) - begin
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    tps = np.arange(offsets[-1]) + np.repeat(begin - offsets[:-1], counts)
    chosen = {key: values[tps if key in TP_KEYS else rows] for key, values in arrays.items() if key != "offsets"}
    return chosen | {"offsets": offsets}


def _write(path: str | Path, arrays: Mapping[str, npt.NDArray[Any]], contract: Mapping[str, Array]) -> None:
    complete = {"format_version": np.array(FORMAT_VERSION, np.uint16), **arrays}
    ordered = {key: complete[key] for key in contract if key in complete} | complete
    validate(ordered, contract, path)
    write_npz(path, ordered)
