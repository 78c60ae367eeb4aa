"""``snpoint export``: a dataset as the predecessor's dense NPZ, or clusters as its ROOT trees."""

from __future__ import annotations

from pathlib import Path

import click

from snpoint.errors import UsageError

TICKS, CHANNELS = 128, 32
"""The predecessor's images."""


@click.command("export")
@click.argument("source", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Folder for the NPZ files of a dataset.")
@click.option("--root", type=click.Path(path_type=Path), help="ROOT file for clusters.")
@click.option("--ticks", type=click.IntRange(8, 8192), default=TICKS, show_default=True, help="Height of the images.")
@click.option("--channels", type=click.IntRange(4, 2048), default=CHANNELS, show_default=True, help="Their width.")
@click.option("--waveform", default="pentagon", show_default=True, help="Shape of a TP: pentagon, triangle, gaussian.")
@click.option(
    "--adc-per-mev", type=float, nargs=3, default=(900.0, 900.0, 3600.0), show_default=True, metavar="U V X",
    help="For total_energy of the clusters; the default are the predecessor's constants.",
)  # fmt: skip
@click.option("--detector", default="fdhd_1x2x2", show_default=True, help="Layout of the detector, for ROOT.")
def command(
    source: Path,
    output: Path | None,
    root: Path | None,
    ticks: int,
    channels: int,
    waveform: str,
    adc_per_mev: tuple[float, float, float],
    detector: str,
) -> None:
    """Write SOURCE in the predecessor's formats.

    SOURCE is a dataset (its folder, or its split.npz), written as NPZ to the folder -o: per split and plane, images and
    metadata of 18 columns; or a table of clusters (.parquet), written as the trees `tps` and `clusters_tree_{U,V,X}` to
    the file --root.
    """
    if source.suffix == ".parquet":
        if root is None or output is not None:
            raise UsageError(f"{source}: clusters are written as ROOT; give --root FILE, and no -o")
        from snpoint.tools.legacy_export import write_root

        n_tps, n_clusters = write_root(source, root, detector, adc_per_mev)
        click.echo(f"{root}: {n_tps} TPs, {n_clusters} clusters")
        return
    if output is None or root is not None:
        raise UsageError(
            f"{source}: a dataset is written as NPZ; give -o FOLDER, and no --root (name a .parquet for that)"
        )
    from snpoint.tools.legacy_export import write_dense

    for path, count in write_dense(source, output, ticks=ticks, channels=channels, waveform=waveform):
        click.echo(f"{path}: {count} images")
