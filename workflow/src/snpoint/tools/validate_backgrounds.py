"""``snpoint validate backgrounds``: rates and spectra of radioactivity and cavern beside published numbers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    import pandas as pd

    from snpoint.physics.validation.backgrounds import Check


@click.command("backgrounds")
@click.option(
    "--decays", type=click.IntRange(min=1000), default=200_000, show_default=True, help="Decays of each nuclide."
)
@click.option("--events", type=click.IntRange(min=1), default=500, show_default=True, help="Windows, for the rates.")
@click.option("--detector", default="fdhd_1x2x2", show_default=True, help="Layout.")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Seed of the random numbers.")
@click.option(
    "-o", "--output", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder for the files."
)
def command(decays: int, events: int, detector: str, seed: int, output: Path) -> None:
    """Compare decays and cavern particles with published numbers and fail where one is off.

    Mean energies may differ by 1%, lines by 5% (weak ones by 15%), rates by 0.5%, each plus two standard errors.
    Writes backgrounds.csv and backgrounds.png.
    """
    from snpoint.physics.geometry import load_detector
    from snpoint.physics.validation.backgrounds import checks
    from snpoint.plots.canvas import write_figure
    from snpoint.plots.validation.backgrounds import backgrounds_page

    layout = load_detector(detector)
    rows = checks(decays, events, layout, seed)
    output.mkdir(parents=True, exist_ok=True)
    write_figure(backgrounds_page(decays, layout, seed), output / "backgrounds.png", as_table(rows))
    for line in report(rows):
        click.echo(line)
    if not all(row.ok for row in rows):
        sys.exit(1)


def as_table(rows: list[Check]) -> pd.DataFrame:
    """The checks as a table."""
    import pandas as pd

    return pd.DataFrame([{**row._asdict(), "verdict": verdict(row)} for row in rows])


def verdict(row: Check) -> str:
    """``ok`` or ``MISSED``; ``shown`` for what is not judged."""
    if row.tolerance is None:
        return "shown"
    return "ok" if row.ok else "MISSED"


def report(rows: list[Check]) -> Iterator[str]:
    """One line per check, and a summary."""
    yield f"{'quantity':50s} {'ours':>11s} {'error':>9s} {'published':>11s} {'ratio':>7s} {'allowed':>8s}"
    for row in rows:
        allowed = "" if row.tolerance is None else f"{100 * row.tolerance:.3g}%"
        yield (
            f"{row.quantity:50s} {row.ours:11.5g} {row.error:9.2g} {row.reference:11.5g}"
            f" {row.ours / row.reference:7.3f} {allowed:>8s}  {verdict(row)}"
        )
    judged = [row for row in rows if row.tolerance is not None]
    missed = sum(not row.ok for row in judged)
    yield f"{len(judged) - missed} of {len(judged)} within what is allowed"
