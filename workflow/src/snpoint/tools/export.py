"""``snpoint export``: a dataset as the predecessor's dense NPZ, or clusters as its ROOT trees."""

from __future__ import annotations

import math
from pathlib import Path
from typing import get_args

import click

from snpoint.errors import UsageError
from snpoint.settings import PREDECESSOR_ADC_PER_MEV, Drawing

TICKS, CHANNELS = 128, 32
"""The predecessor's images."""
_WAVEFORMS = get_args(Drawing.model_fields["waveform"].annotation)


@click.command("export")
@click.argument("source", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Folder for the NPZ files of a dataset.")
@click.option("--root", type=click.Path(path_type=Path), help="ROOT file for clusters.")
@click.option("--ticks", type=click.IntRange(8, 8192), default=TICKS, show_default=True, help="Height of the images.")
@click.option("--channels", type=click.IntRange(4, 2048), default=CHANNELS, show_default=True, help="Their width.")
@click.option("--waveform", type=click.Choice(_WAVEFORMS), default="pentagon", show_default=True, help="Shape of a TP.")
@click.option(
    "--adc-per-mev", type=float, nargs=3, default=PREDECESSOR_ADC_PER_MEV, show_default=True, metavar="U V X",
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

    SOURCE is a dataset (its folder, the dataset/ in it, or split.npz), written as NPZ to the folder -o: per split and
    plane, images and metadata of 18 columns, and what was done in export.json; `snpoint import` reads them back, splits
    included. Or SOURCE is a table of clusters (.parquet), written as the trees `tps` and `clusters_tree_{U,V,X}` to the
    file --root.
    """
    if not all(math.isfinite(value) and value > 0 for value in adc_per_mev):
        raise UsageError(
            f"--adc-per-mev {' '.join(f'{value:g}' for value in adc_per_mev)}: a plane has a finite number above 0"
        )
    if source.suffix == ".parquet":
        if root is None or output is not None:
            raise UsageError(
                f"{source}: a table of clusters is written as ROOT, give --root FILE and no -o; NPZ files (-o FOLDER) "
                "are made of a dataset: name its folder, or its split.npz"
            )
        from snpoint.tools.legacy_export import write_root

        n_tps, n_clusters = write_root(source, root, detector, adc_per_mev)
        click.echo(f"{root}: {n_tps} TPs, {n_clusters} clusters")
        return
    if output is None or root is not None:
        raise UsageError(
            f"{source}: a dataset is written as NPZ, give -o FOLDER and no --root; ROOT (--root FILE) is made of a "
            "table of clusters: name a .parquet of the cluster stage"
        )
    from snpoint.tools.legacy_export import write_dense

    for path, count in write_dense(source, output, ticks=ticks, channels=channels, waveform=waveform):
        click.echo(f"{path}: {count} images")
