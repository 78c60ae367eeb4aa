"""``snpoint registry``: the table of versions, and where to look."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from snpoint import config, paths
from snpoint.errors import DataError, InputMissingError


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


def _degrees(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
