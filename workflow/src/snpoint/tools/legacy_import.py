"""The way from the predecessor's image files to shards, for ``snpoint import``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from snpoint import paths
from snpoint.data.legacy_images import Content, Group, find_groups, read_group
from snpoint.data.shards import joined_shards, write_shard
from snpoint.data.sources import file_record, production_tag
from snpoint.errors import DataError, UsageError
from snpoint.physics.legacy_images import Dense, shard_arrays
from snpoint.physics.legacy_layouts import LAYOUTS, named_clusters, named_volumes, recognize

IMAGES_PER_SHARD = 10_000
SAMPLE = "import"
ORIENTATION, DETECTOR = "predecessor", "fdhd_1x2x2"
"""How the predecessor made its images; files of our own export say it themselves."""

Json = dict[str, Any]
Frame = tuple[str, str, str]


def write_shards(
    inputs: Sequence[Path],
    folder: Path,
    *,
    layout: str | None = None,
    production: str | None = None,
    quarantine: bool = False,
    images_per_shard: int = IMAGES_PER_SHARD,
) -> Iterator[Path]:
    """Write the images of all files as shards; gives the path of each one. Memory is bounded by a shard and a group.

    Parameters
    ----------
    inputs
        NPZ files, and folders of them.
    folder
        Folder of the dataset.
    layout
        A key of `LAYOUTS`; without it, the files are asked.
    production
        Production tag of all files; without it, their names are asked.
    quarantine
        Go on where a file is broken: its group is left out and named in the record. A file that is missing, or that the
        file system does not give, is not broken.

    Raises
    ------
    InputMissingError, DataError, UntrustedInputError
        A file is missing, broken or unsafe, its layout is not certain, or no file holds an image. Unsafe files are
        never passed over.
    """
    if layout is not None and layout not in LAYOUTS:
        raise UsageError(f"--layout '{layout}': unknown, known are {', '.join(LAYOUTS)}")
    pending: list[Json] = []
    files: list[Json] = []
    frame: Frame | None = None
    number = 0
    for group in find_groups(inputs):
        arrays, own, made = _read(group, layout, production, quarantine)
        if arrays is not None and made is not None:
            if frame not in (None, made):
                raise DataError(f"{group.name}: {', '.join(made)}, but the files before: {', '.join(frame or ())}")
            frame = made
            if sum(len(part["event_uid"]) for part in pending) >= images_per_shard:
                yield _write(folder, number, pending, files, made)
                pending, files, number = [], [], number + 1
            pending.append(arrays)
        files += own
    if frame is None:
        raise DataError(f"{inputs[0]}: none of {len(files)} files holds an image; nothing was imported")
    yield _write(folder, number, pending, files, frame)


def _read(
    group: Group, layout: str | None, production: str | None, quarantine: bool
) -> tuple[Json | None, list[Json], Frame | None]:
    """Arrays of the images of one group (None without any), the records of its files, and how they were made."""
    tag = production_tag(group.name, production)
    records = [file_record(path) | {"production": tag} for path in group.files.values()]
    try:
        contents = [content for content in read_group(group) if len(content.pixels)]
        if not contents:
            click.echo(f"{group.name}: no images", err=True)
            return None, records, None
        try:
            arrays, frame = _arrays(contents, layout, group.number)
        except ValueError as error:
            raise DataError(f"{group.name}: {error}") from error
    except DataError as error:
        if not quarantine:
            raise
        click.echo(f"left out: {error}", err=True)
        return None, [record | {"problem": str(error)} for record in records], None
    n_images, n_rows = len(arrays["event_uid"]), sum(len(content.pixels) for content in contents)
    complete = int((np.diff(arrays["offsets"]).reshape(-1, 3) > 0).all(axis=1).sum())
    click.echo(f"{group.name}: {n_rows} planes, {n_images} images, {complete} with all three planes", err=True)
    for record in records:
        record |= {"n_events": len(np.unique(arrays["event_uid"])), "n_tps": len(arrays["tick"])}
    return (arrays if n_images else None), records, frame


def _arrays(contents: Sequence[Content], layout: str | None, number: int) -> tuple[Json, Frame]:
    """Images of all planes of a group as arrays of a shard.

    Raises
    ------
    ValueError
        The planes do not go together, or the files are no images of the predecessor.
    """
    frames = {
        (content.kind, str(content.extra.get("orientation", ORIENTATION)), str(content.extra.get("detector", DETECTOR)))
        for content in contents
    }
    sizes = sorted({content.pixels.shape[1:] for content in contents})
    if len(frames) > 1 or len(sizes) > 1:
        raise ValueError(f"its planes are made in different ways: {sorted(frames)}, sizes {sizes}")
    rows = [_rows(content, layout) for content in contents]
    joined = {key: np.concatenate([part[key] for part in rows]) for key in rows[0]}
    return shard_arrays(Dense(np.concatenate([content.pixels for content in contents]), joined), number), frames.pop()


def _rows(content: Content, layout: str | None) -> Json:
    """Metadata of one file by name."""
    if content.kind == "volumes":
        rows = named_volumes(content.metadata)
    else:
        metadata = content.metadata.astype(np.float64)
        adc = content.pixels.sum(axis=(1, 2), dtype=np.float64)
        rows = named_clusters(metadata, layout or recognize(metadata, adc))
    if "match_id" in content.extra:  # a file of all planes has one row of metadata for them, that of plane X
        rows["energy_reco_mev"] = np.where(content.plane == rows["plane"], rows["energy_reco_mev"], np.nan)
        rows |= {"match_id": content.extra["match_id"], "plane": content.plane}
    elif (content.plane >= 0).all() and (rows["plane"] != content.plane).any():
        raise ValueError(
            f"a file of plane {content.plane[0]} with planes {np.unique(rows['plane']).tolist()} in its rows"
        )
    return rows | {key: content.extra[key] for key in ("event_uid", "interaction") if key in content.extra}


def _write(folder: Path, number: int, parts: list[Json], files: list[Json], frame: Frame) -> Path:
    arrays = joined_shards(parts)
    _, orientation, detector = frame
    arrays |= {"orientation": np.array(orientation), "detector": np.array(detector)}
    arrays["sources"] = np.array(json.dumps({"files": files, "background": [], "truth": "imported"}))
    path = folder / "image" / f"shard_{SAMPLE}_{paths.chunk_name(number)}.npz"
    write_shard(path, arrays)
    click.echo(f"{path}: {len(arrays['event_uid'])} images", err=True)
    return path
