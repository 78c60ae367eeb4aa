"""Table and verdict of the commands that compare with references: on the screen, as CSV, and as exit code."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from snpoint.physics.validation.checks import Check

COLUMNS = ("quantity", "ours", "error", "reference", "tolerance", "ratio", "verdict")


def conclude(checks: Sequence[Check], path: Path) -> None:
    """Print the table, write it as CSV (numbers to 5 digits), and exit with 1 where something is missed."""
    import pandas as pd

    from snpoint.data.atomic import write_text

    rows = [(*check, check.ratio, check.verdict) for check in checks]
    write_text(path, pd.DataFrame(rows, columns=list(COLUMNS)).to_csv(index=False, float_format="%.5g"))
    for line in report(checks):
        click.echo(line)
    missed = [check.quantity for check in checks if not check.ok]
    if missed:
        click.echo(f"missed: {', '.join(missed)}", err=True)
        sys.exit(1)


def report(checks: Sequence[Check]) -> Iterator[str]:
    """One line per check, and a summary."""
    width = max(len(check.quantity) for check in checks)
    yield f"{'quantity':{width}s} {'ours':>10s} {'error':>9s} {'reference':>10s} {'ratio':>7s} {'allowed':>8s}"
    for check in checks:
        allowed = "" if check.tolerance is None else f"{100 * check.tolerance:.3g}%"
        yield (
            f"{check.quantity:{width}s} {check.ours:10.4g} {check.error:9.2g} {check.reference:10.4g}"
            f" {check.ratio:7.3f} {allowed:>8s}  {check.verdict}"
        )
    judged = [check for check in checks if check.tolerance is not None]
    agree = sum(check.ok for check in judged)
    yield f"{agree} of {len(judged)} within what is allowed and two standard errors"
