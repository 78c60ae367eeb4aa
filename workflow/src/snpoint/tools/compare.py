"""``snpoint compare``: two versions on their common test events."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from snpoint import config, paths
from snpoint.errors import InputMissingError, UsageError


@click.command("compare")
@click.argument("first")
@click.argument("second")
@click.option("--samples", type=click.IntRange(min=10), default=1000, show_default=True, help="Bootstrap samples.")
@click.option("--seed", default=1, show_default=True, help="Seed of the bootstrap.")
@click.option(
    "--at-least", type=float, metavar="DEG", help="Fail unless the whole interval of the difference is above this."
)
def command(first: str, second: str, samples: int, seed: int, at_least: float | None) -> None:
    """Difference of the 68% containment of two versions, FIRST - SECOND, with its paired-bootstrap 95% interval.

    FIRST and SECOND are task/version, for example electron_direction/v0_raw electron_direction/v0.
    """
    from snpoint.data.contracts import PREDICTIONS
    from snpoint.data.results import read_npz
    from snpoint.physics.comparison import compare

    predictions = [read_npz(_file(key), PREDICTIONS) for key in (first, second)]
    result = compare(predictions[0], predictions[1], samples=samples, seed=seed)
    click.echo(f"{result.n} common test events, 68% containment of the angular error (95% interval):")
    click.echo(_line(first, result.first_deg, *result.first_ci95_deg))
    click.echo(_line(second, result.second_deg, *result.second_ci95_deg))
    click.echo(_line("difference", result.difference_deg, result.low_deg, result.high_deg))
    if at_least is not None and not result.low_deg > at_least:
        click.echo(
            f"{first} - {second}: the interval starts at {result.low_deg:.1f} deg, not above {at_least:g} deg", err=True
        )
        sys.exit(1)


def _line(name: str, value: float, low: float, high: float) -> str:
    return f"  {name:32s} {value:6.1f} deg ({low:.1f} to {high:.1f})"


def _file(key: str) -> Path:
    task, slash, version = key.partition("/")
    if not slash:
        raise UsageError(f"'{key}': expected task/version, for example electron_direction/{key}")
    config.load_version(task, version)  # a misspelt name is told from a version that was not made yet
    path = Path(paths.version_file("evaluate", "predictions.npz", task, version))
    if not path.exists():
        raise InputMissingError(f"{path} does not exist; make it with: snakemake --profile local {path}")
    return path
