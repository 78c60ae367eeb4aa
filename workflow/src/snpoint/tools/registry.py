"""``snpoint registry``: the table of versions, and where to look."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from snpoint import config, paths
from snpoint.errors import DataError, InputMissingError


@click.command("registry")
def command() -> None:
    """Print the registry as a table, and the files people look at first."""
    path = Path(paths.REGISTRY_JSON)
    if not path.exists():
        raise InputMissingError(f"{path} does not exist; make it with: snakemake --profile local")
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["versions"]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: not a registry ({error}); remove it and run: snakemake --profile local") from error
    click.echo()
    header = f"{'version':32s} {'68% [deg]':>10s} {'95% interval':>16s} {'median':>7s} {'flipped':>8s} {'events':>7s}"
    click.echo(header)
    for row in rows:
        click.echo(_line(row))
    click.echo()
    click.echo(f"registry    {paths.REGISTRY_CSV}")
    click.echo(f"report      {paths.REPORT_PAGE}")
    for name in config.names("pointing", ["active"]):
        picture = Path(paths.point_file("skymap.png", name))
        if picture.exists():
            click.echo(f"sky map     {picture}")


def _line(row: dict[str, Any]) -> str:
    name = f"{row['task']}/{row['version']}"
    if row.get("containment_68_deg") is None:
        return f"{name:32s} {'not yet':>10s}"
    interval = f"{row['containment_68_low_deg']:.1f} to {row['containment_68_high_deg']:.1f}"
    return (
        f"{name:32s} {row['containment_68_deg']:10.1f} {interval:>16s} {row['angular_error_median_deg']:7.1f}"
        f" {row['flipped_fraction']:8.2f} {row['n_test']:7d}"
    )
