"""``snpoint registry``: the table of versions, and where to look."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from snpoint import config, paths
from snpoint.errors import DataError, InputMissingError

BESIDE = {"reference_es": "reference_es_full"}
"""Dataset that figures are quoted on -> the harder one whose figures belong beside them."""


@click.command("registry")
def command() -> None:
    """Print the registry as a table, and the files people look at first."""
    from snpoint.data.summaries import read_strict_json

    path = Path(paths.REGISTRY_JSON)
    if not path.exists():
        raise InputMissingError(f"{path} does not exist; make it with: snakemake --profile local")
    rows = read_strict_json(path).get("versions")
    if not isinstance(rows, list):
        raise DataError(f"{path}: not a registry; remove it and run: snakemake --profile local")
    click.echo()
    click.echo(_HEADER)
    for row in rows:
        click.echo(_line(row))
        if row.get("dataset") in BESIDE:
            click.echo(_beside(row["task"], row["version"], BESIDE[row["dataset"]]))
    click.echo()
    click.echo(f"registry    {paths.REGISTRY_CSV}")
    click.echo(f"report      {paths.REPORT_PAGE}")
    for name in config.names("pointing", ["active"]):
        picture = Path(paths.point_file("skymap.png", name))
        if picture.exists():
            click.echo(f"sky map     {picture}")


_HEADER = (
    f"{'version':32s} {'68% [deg]':>9s} {'95% interval':>16s} {'median':>6s} {'flipped':>7s} {'axis + blips':>12s}"
    f" {'chance':>6s} {'events':>7s}"
)


def _line(row: dict[str, Any]) -> str:
    name = f"{row['task']}/{row['version']}"
    if row.get("containment_68_deg") is None:
        return f"{name:32s} {'not yet':>9s}"
    interval = f"{row['containment_68_low_deg']:.1f} to {row['containment_68_high_deg']:.1f}"
    return (
        f"{name:32s} {row['containment_68_deg']:9.1f} {interval:>16s} {row['angular_error_median_deg']:6.1f}"
        f" {row['flipped_fraction']:7.2f} {_degrees(row['principal_axis_68_deg']):>12s}"
        f" {_degrees(row['isotropic_68_deg']):>6s} {row['n_test']:7d}"
    )


def _beside(task: str, version: str, dataset: str) -> str:
    """The same network on another dataset, none of whose events it has seen."""
    from snpoint.data.contracts import PREDICTIONS
    from snpoint.data.results import read_npz
    from snpoint.physics.angles import angle_deg
    from snpoint.physics.statistics import containment

    name, path = f"  on {dataset}", Path(paths.predictions(dataset, task, version))
    if not path.exists():
        return f"{name:32s} {'not yet':>9s}   snakemake --profile local {path}"
    table = read_npz(path, PREDICTIONS)
    errors = angle_deg(table["direction_true"], table["direction_pred"])
    errors = errors[(table["energy_true_mev"] > 0) & (errors >= 0)]  # NaN where nothing is known
    return f"{name:32s} {containment(errors):9.1f} {'':>16s} {'':>6s} {'':>7s} {'':>12s} {'':>6s} {len(errors):7d}"


def _degrees(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
