"""Image files of the predecessor: which belong together, and what is in them.

It wrote one NPZ per input file and plane, in one folder or in folders ``U``, ``V`` and ``X``; later also files with all
three planes of matched clusters, and one-meter volumes whose pixels and metadata are object arrays.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from snpoint.data.legacy_npz import read_legacy_npz
from snpoint.errors import DataError, InputMissingError

Arrays = dict[str, npt.NDArray[Any]]

PLANES = ("U", "V", "X")
_PLANE_IN_NAME = re.compile(r"_plane([UVX])(?=_|$)")
_OF_IMAGES = {"event_uid": "u", "interaction": "u", "split": "u"}
"""Arrays of our own export with one entry per image, and their kind."""
_OF_FILE = ("orientation", "detector", "production")
_THREE_PLANES = ("images_u", "images_v", "images_x")


@dataclass(frozen=True)
class Group:
    """Files of one input file of the predecessor: a file per plane, or one for all (key None)."""

    name: str
    files: Mapping[str | None, Path]

    @property
    def number(self) -> int:
        """32 bits of the name's hash: the same whatever else is imported."""
        return int.from_bytes(hashlib.sha256(self.name.encode()).digest()[:4], "big")


@dataclass(frozen=True)
class Content:
    """What one file holds.

    ``pixels`` is (N, ticks, channels). ``metadata`` is (N, columns) for images of clusters, and (N,) of dicts for
    volumes. ``plane`` (N,) is -1 where neither name nor keys of the file tell it. ``extra`` holds arrays that only our
    own export writes, and ``match_id`` where it is apart. ``path`` is the file.
    """

    kind: Literal["clusters", "volumes"]
    pixels: npt.NDArray[np.float32]
    metadata: npt.NDArray[Any]
    plane: npt.NDArray[np.int64]
    extra: Arrays
    path: Path


def find_groups(inputs: Iterable[Path]) -> list[Group]:
    """Group files by what they are called without their plane; folders are searched.

    Raises
    ------
    InputMissingError
        A path does not exist, or a folder holds no NPZ file.
    DataError
        Two files are the same plane of one group.
    """
    found: dict[str, dict[str | None, Path]] = {}
    for path in _files(inputs):
        plane = _plane_of(path)
        folder = path.parent.parent if path.parent.name in PLANES else path.parent
        name = f"{folder.resolve().name}/{_PLANE_IN_NAME.sub('', path.stem)}"
        group = found.setdefault(name, {})
        if plane in group:
            raise DataError(
                f"{path}: the same plane of the same file as {group[plane]}; import one of the folders by itself"
            )
        group[plane] = path
    return [Group(name, found[name]) for name in sorted(found)]


def read_group(group: Group) -> list[Content]:
    """Read all files of a group.

    Raises
    ------
    InputMissingError, DataError, UntrustedInputError
        As of `read_legacy_npz`; also where an array is missing or of a shape that no layout has.
    """
    return [content for plane, path in group.files.items() for content in _contents(path, plane)]


def _files(inputs: Iterable[Path]) -> list[Path]:
    files: list[Path] = []
    for path in inputs:
        if path.is_dir():
            inside = sorted(path.rglob("*.npz"))
            if not inside:
                raise InputMissingError(f"{path}: holds no NPZ file; name a folder of images, or the files themselves")
            files += inside
        elif path.exists():
            files.append(path)
        else:
            raise InputMissingError(f"{path}: no such file; check the path")
    return list(dict.fromkeys(files))


def _plane_of(path: Path) -> str | None:
    match = _PLANE_IN_NAME.search(path.stem)
    if match:
        return match[1]
    return path.parent.name if path.parent.name in PLANES else None


def _contents(path: Path, plane: str | None) -> list[Content]:
    arrays = read_legacy_npz(path)
    if arrays.keys() >= set(_THREE_PLANES) | {"metadata"}:
        return _three_planes(arrays, path)
    if "image" in arrays and "images" not in arrays:
        arrays["images"] = arrays["image"][None]
    missing = {"images", "metadata"} - arrays.keys()
    if missing:
        raise DataError(
            f"{path}: has no array {' and no '.join(sorted(missing))}, only {sorted(arrays)}; is this a file of images?"
        )
    metadata = arrays["metadata"]
    kind: Literal["clusters", "volumes"] = "volumes" if metadata.dtype == object else "clusters"
    pixels = _pixels(arrays["images"], path, kind)
    number = np.full(len(pixels), -1 if plane is None else PLANES.index(plane), np.int64)
    extra = {key: values for key, values in arrays.items() if key in _OF_IMAGES or key in _OF_FILE}
    for key, dtype in _OF_IMAGES.items():
        if key in extra and (extra[key].shape != (len(pixels),) or extra[key].dtype.kind != dtype):
            raise DataError(
                f"{path}: '{key}' is {extra[key].shape} of {extra[key].dtype}, expected whole numbers ({len(pixels)},)"
            )
    return [Content(kind, pixels, _metadata(metadata, len(pixels), path), number, extra, path)]


def _three_planes(arrays: Arrays, path: Path) -> list[Content]:
    contents = []
    for plane, key in enumerate(_THREE_PLANES):
        pixels = _pixels(arrays[key], path, "clusters")
        metadata = _metadata(arrays["metadata"], len(pixels), path)
        match_id = np.rint(np.asarray(arrays.get("match_ids", np.arange(len(pixels))), np.float64)).astype(np.int64)
        if match_id.shape != (len(pixels),):
            raise DataError(f"{path}: 'match_ids' has shape {match_id.shape}, expected ({len(pixels)},)")
        contents.append(
            Content("clusters", pixels, metadata, np.full(len(pixels), plane, np.int64), {"match_id": match_id}, path)
        )
    return contents


def _pixels(images: npt.NDArray[Any], path: Path, kind: str) -> npt.NDArray[np.float32]:
    if images.shape[:1] == (0,):
        return np.zeros((0, 2, 1), np.float32)
    if images.ndim != 3 or images.dtype.kind not in "fiu":
        raise DataError(f"{path}: 'images' is {images.shape} of {images.dtype}, expected numbers (N, height, width)")
    # volumes are [channel, time], images of clusters [time, channel]; time is the long side of both
    pixels = images.transpose(0, 2, 1) if kind == "volumes" else images
    if pixels.shape[1] <= pixels.shape[2]:
        raise DataError(
            f"{path}: 'images' is {images.shape}, but {kind} of the predecessor have more ticks than channels "
            f"({'channel, tick' if kind == 'volumes' else 'tick, channel'})"
        )
    return np.ascontiguousarray(pixels, np.float32)


def _metadata(metadata: npt.NDArray[Any], n: int, path: Path) -> npt.NDArray[Any]:
    if n == 0:
        return metadata[:0]
    if metadata.dtype == object:
        if metadata.shape != (n,) or not all(isinstance(record, dict) for record in metadata):
            raise DataError(f"{path}: 'metadata' is {metadata.shape} objects, expected {n} dicts")
        return metadata
    if metadata.ndim != 2 or len(metadata) != n or metadata.dtype.kind not in "fiub":
        raise DataError(f"{path}: 'metadata' is {metadata.shape} of {metadata.dtype}, expected numbers ({n}, columns)")
    if not np.isfinite(metadata).all():
        raise DataError(f"{path}: 'metadata' holds values that are NaN or infinite")
    return metadata
