"""The way from the predecessor's image files to shards, for ``snpoint import``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np
import numpy.typing as npt

from snpoint import paths
from snpoint.data.legacy_images import Content, Group, find_groups, read_group
from snpoint.data.shards import joined_shards, write_shard
from snpoint.data.sources import file_record, production_tag
from snpoint.errors import DataError, UsageError
from snpoint.physics.legacy_images import Dense, shard_arrays
from snpoint.physics.legacy_layouts import LAYOUTS, named_clusters, named_volumes, recognize
from snpoint.settings import SPLITS

IMAGES_PER_SHARD = 10_000
SAMPLE = "import"
ORIENTATION, DETECTOR = "predecessor", "fdhd_1x2x2"
"""How the predecessor made its images; files of our own export say it themselves."""

Json = dict[str, Any]
Frame = tuple[str, str, str]


class Written(NamedTuple):
    """A shard, and the split of each of its images (N,) where the files say it, as those of our own export do."""

    path: Path
    split: npt.NDArray[np.uint8] | None


def write_shards(
    inputs: Sequence[Path],
    folder: Path,
    *,
    layout: str | None = None,
    production: str | None = None,
    quarantine: bool = False,
    images_per_shard: int = IMAGES_PER_SHARD,
) -> Iterator[Written]:
    """Write the images of all files as shards, one after the other. Memory is bounded by a shard and a group.

    Parameters
    ----------
    inputs
        NPZ files, and folders of them.
    folder
        Folder of the dataset.
    layout
        A key of `LAYOUTS`; without it, the files are asked.
    production
        Production tag of all files; without it, the files are asked, or else their names.
    quarantine
        Go on where a file is broken: its group is left out and named in the record. A file that is missing, or that the
        file system does not give, is not broken.

    Raises
    ------
    InputMissingError, DataError, UntrustedInputError
        A file is missing, broken or unsafe, its layout is not certain, no file holds an image, or some files say the
        splits of their images and others do not. Unsafe files are never passed over.
    """
    if layout is not None and layout not in LAYOUTS:
        raise UsageError(f"--layout '{layout}': unknown, known are {', '.join(LAYOUTS)}")
    pending: list[Json] = []
    files: list[Json] = []
    frame: Frame | None = None
    keys: frozenset[str] | None = None
    number = 0
    for group in find_groups(inputs):
        arrays, own, made = _read(group, layout, production, quarantine)
        if arrays is not None and made is not None:
            if frame not in (None, made):
                raise DataError(f"{group.name}: {', '.join(made)}, but the files before: {', '.join(frame or ())}")
            if keys not in (None, frozenset(arrays)):
                raise DataError(
                    f"{group.name}: {'says' if 'split' in arrays else 'does not say'} which splits its images are in, "
                    "unlike the files before; import files of `snpoint export` apart from others"
                )
            frame, keys = made, frozenset(arrays)
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
    records = [
        file_record(path) | {"production": production_tag(group.name, production)} for path in group.files.values()
    ]
    try:
        contents = [content for content in read_group(group) if len(content.pixels)]
        if not contents:
            click.echo(f"{group.name}: no images", err=True)
            return None, records, None
        try:
            arrays, frame = _arrays(contents, layout, group.number)
            about = _about(contents, arrays)
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
    filled, n_events = {content.path for content in contents}, len(np.unique(arrays["event_uid"]))
    for path, record in zip(group.files.values(), records, strict=True):
        record |= {"n_events": n_events if path in filled else 0, "n_tps": len(arrays["tick"])}
        record |= about | ({} if production is None else {"production": production})
    return (arrays if n_images else None), records, frame


def _about(contents: Sequence[Content], arrays: Json) -> Json:
    """What files of our own export say of themselves: the production, and the splits of their images.

    Raises
    ------
    ValueError
        The files of a group are of different productions, or there is no such split.
    """
    about: Json = {}
    tags = sorted({str(content.extra["production"]) for content in contents if "production" in content.extra})
    if len(tags) > 1:
        raise ValueError(f"its planes are of the productions {' and '.join(tags)}")
    if tags:
        about["production"] = tags[0]
    if "split" in arrays:
        numbers = np.unique(arrays["split"]).tolist()
        if numbers and numbers[-1] >= len(SPLITS):
            raise ValueError(f"images of split {numbers[-1]}, where 0 to {len(SPLITS) - 1} are expected")
        about["splits"] = [SPLITS[split] for split in numbers]
    return about


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
    if len({frozenset(part) for part in rows}) > 1:
        raise ValueError("its planes hold different arrays: import files of `snpoint export` apart from others")
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
    return rows | {key: content.extra[key] for key in ("event_uid", "interaction", "split") if key in content.extra}


def _write(folder: Path, number: int, parts: list[Json], files: list[Json], frame: Frame) -> Written:
    arrays = joined_shards(parts)
    split = arrays.pop("split", None)
    _, orientation, detector = frame
    arrays |= {"orientation": np.array(orientation), "detector": np.array(detector)}
    arrays["sources"] = np.array(json.dumps({"files": files, "background": [], "truth": "imported"}))
    path = folder / "image" / f"shard_{SAMPLE}_{paths.chunk_name(number)}.npz"
    write_shard(path, arrays)
    click.echo(f"{path}: {len(arrays['event_uid'])} images", err=True)
    return Written(path, split)
