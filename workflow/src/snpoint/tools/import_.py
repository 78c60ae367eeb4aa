"""``snpoint import``: the predecessor's dense images as a dataset that networks can be trained on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt

from snpoint import config, paths, provenance
from snpoint.errors import UsageError
from snpoint.settings import SPLITS, DatasetSettings, Split

DEFAULTS = ("selection.require_truth=false", "selection.min_planes=1", "selection.min_tps_per_plane=1")
"""What an import sets before ``--set``: everything that is in the files is taken."""


@click.command("import")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILES...")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Folder of the dataset to write (with --name: of all datasets).",
)
@click.option("--name", help="Name of the dataset; without -o it is written to results/imported/NAME.")
@click.option("--layout", help="Layout of the metadata, where the files leave it open: 11, 12_direction, ... 18.")
@click.option("--production", help="Production tag of all files (default: from their names and folders).")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="A setting of `dataset`, e.g. seed=2.")
def command(
    files: tuple[Path, ...],
    output: Path | None,
    name: str | None,
    layout: str | None,
    production: str | None,
    changes: tuple[str, ...],
) -> None:
    """Turn FILES (or folders of them), images of the predecessor as NPZ, into a dataset.

    Reads images of clusters (128x16, 128x32; metadata of 11 to 18 columns), matched three-plane files and one-meter
    volumes (208x1242). Planes are put together by event and match number where the files have them. Object arrays are
    read without executing anything. Pixels become TPs of one tick.

    Images of the predecessor keep its orientation. Those that `snpoint export` wrote keep theirs (canonical, as a
    rule), their productions and their splits.

    Broken files are named and left out as long as dataset.max_quarantined is not 0. An import that fails leaves nothing
    behind.
    """
    from snpoint.tools.legacy_import import write_shards

    folder = _folder(output, name)
    settings = config.parse_settings("dataset", None, [*DEFAULTS, *changes])
    assert isinstance(settings, DatasetSettings)  # noqa: S101 -- for the type checker
    quarantine = settings.max_quarantined > 0
    outputs = [folder / "dataset" / name for name in paths.DATASET_OUTPUTS]
    splits: list[npt.NDArray[np.uint8]] = []
    with _whole_or_nothing(folder) as written:
        for shard in write_shards(files, folder, layout=layout, production=production, quarantine=quarantine):
            written.append(shard.path)
            splits += [] if shard.split is None else [shard.split]
        if splits:
            settings = _with_splits(settings, np.concatenate(splits), changes)
        shards = list(written)
        written += [*outputs, paths.provenance(outputs[0], "dataset")]
        _make_dataset(settings, shards, outputs, splits or None)
    if name is not None and folder == Path(paths.imported_folder(name)):
        click.echo(
            f'{paths.CONFIGS}/datasets/{name}.yaml with {{why: "images of the predecessor", status: active, imported: '
            "true} lets versions train on it",
            err=True,
        )
    click.echo(str(outputs[0]))


def _with_splits(settings: DatasetSettings, split: npt.NDArray[np.uint8], changes: tuple[str, ...]) -> DatasetSettings:
    """Settings whose shares are those of the splits that the files say.

    Raises
    ------
    UsageError
        Other shares were asked for.
    """
    asked = [change for change in changes if change.startswith("split")]
    if asked:
        raise UsageError(
            f"--set {asked[0]}: the files are of `snpoint export` and say which split each image is in; leave it out"
        )
    counts = np.bincount(split, minlength=len(SPLITS)).tolist()
    found = ", ".join(f"{name} {count}" for name, count in zip(SPLITS, counts, strict=True))
    click.echo(f"images stay in the splits that the files say: {found}", err=True)
    shares = {name: count / len(split) for name, count in zip(SPLITS, counts, strict=True)}
    return settings.model_copy(update={"split": Split(**shares)})


def _make_dataset(
    settings: DatasetSettings, shards: list[Path], outputs: list[Path], given: list[npt.NDArray[np.uint8]] | None
) -> None:
    """Split the shards and describe them, as the ``dataset`` stage does, with its record."""
    from snpoint.stages import dataset

    split, card, page = outputs
    with provenance.recorded(paths.provenance(split, "dataset"), "dataset", settings, shards, outputs):
        dataset.make(settings, shards, (split, card, page), given)


@contextmanager
def _whole_or_nothing(folder: Path) -> Iterator[list[Path]]:
    """On any error, remove the files that are in the list by then, and the folders that are new and empty."""
    written: list[Path] = []
    new = [part for part in (folder / "image", folder / "dataset", folder) if not part.exists()]
    try:
        yield written
    except BaseException:
        for path in written:
            path.unlink(missing_ok=True)
        for part in new:
            with suppress(OSError):  # not empty, or never made
                part.rmdir()
        raise


def _folder(output: Path | None, name: str | None) -> Path:
    if output is None and name is None:
        raise UsageError("where to? give --name NAME (for results/imported/NAME), -o FOLDER, or both (FOLDER/NAME)")
    if name is not None and not re.fullmatch(paths.NAME, name):
        raise UsageError(f"--name '{name}': a dataset is named with small letters, digits and _")
    folder = Path(paths.imported_folder(str(name))) if output is None else output / (name or "")
    if any((folder / part).exists() for part in ("image", "dataset")):
        raise UsageError(f"{folder} already holds a dataset; remove it, or write to another folder")
    return folder
