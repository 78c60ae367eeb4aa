"""``snpoint validate transport``: single electrons beside those of Geant4."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import click

from snpoint.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from snpoint.physics.validation.transport import Comparison

_Task = tuple[float, int, int, int]  # energy [MeV], events, chunk, seed


@click.command("transport")
@click.option(
    "--events", type=click.IntRange(min=100), default=20_000, show_default=True, help="Electrons at each energy."
)
@click.option("--energies", metavar="MEV,MEV,...", help="Some of the energies of the table (default: all).")
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Processes.")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Seed of the random numbers.")
@click.option(
    "-o", "--output", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder for the files."
)
def command(events: int, energies: str | None, jobs: int, seed: int, output: Path) -> None:
    """Compare single electrons with Geant4 and fail where one quantity is off.

    Accepted are differences up to 10% (20% at 3 MeV) plus two standard errors, those of Geant4's 2,000 events
    included. Writes transport.csv and transport.png.
    """
    from snpoint.physics.validation.transport import compare
    from snpoint.plots.canvas import write_figure
    from snpoint.plots.validation.transport import acceptance_page

    samples = _simulate(_chosen(energies), events, jobs, seed)
    rows = compare(samples)
    table = as_table(rows, events)
    output.mkdir(parents=True, exist_ok=True)
    write_figure(acceptance_page(table), output / "transport.png", table)
    for line in report(rows):
        click.echo(line)
    if any(row.quantity.judged and not row.ok for row in rows):
        sys.exit(1)


def _chosen(energies: str | None) -> list[float]:
    from snpoint.physics.validation.transport import geant4_table

    known = list(geant4_table())
    if energies is None:
        return known
    try:
        chosen = sorted({float(text) for text in energies.split(",")})
    except ValueError as error:
        raise UsageError(f"--energies: '{energies}' is not a list of numbers such as 3,10,30") from error
    for energy in chosen:
        if energy not in known:
            raise UsageError(
                f"--energies: no {energy:g} MeV in the table; there are {', '.join(f'{e:g}' for e in known)}"
            )
    return chosen


def _simulate(energies: list[float], events: int, jobs: int, seed: int) -> dict[float, npt.NDArray[np.float64]]:
    """Samples by energy, chunk by chunk: the same on any number of processes."""
    import numpy as np

    from snpoint.physics.validation.transport import CHUNK

    tasks: list[_Task] = [
        (energy, min(CHUNK, events - first), chunk, seed)
        for energy in energies
        for chunk, first in enumerate(range(0, events, CHUNK))
    ]
    parts: dict[float, list[npt.NDArray[np.float64]]] = {energy: [] for energy in energies}
    with click.progressbar(_results(tasks, jobs), length=len(tasks), label="electrons", file=sys.stderr) as results:
        for (energy, *_), values in zip(tasks, results, strict=True):
            parts[energy].append(values)
    return {energy: np.concatenate(values) for energy, values in parts.items()}


def _results(tasks: list[_Task], jobs: int) -> Iterator[npt.NDArray[np.float64]]:
    if jobs == 1:
        yield from map(_one, tasks)
        return
    # spawned: a forked child would share the threads of numerical libraries that the parent has started
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        yield from pool.map(_one, tasks)


def _one(task: _Task) -> npt.NDArray[np.float64]:
    from snpoint.physics.validation.transport import simulate

    return simulate(*task)


def as_table(rows: list[Comparison], events: int) -> pd.DataFrame:
    """One line per quantity and energy, as transport.csv holds it."""
    import pandas as pd

    return pd.DataFrame(
        {
            "energy_mev": row.energy_mev,
            "quantity": row.quantity.name,
            "title": row.quantity.title,
            "statistic": "68% quantile" if row.quantity.quantile else "mean",
            "events": events,
            "ours": row.ours.value,
            "ours_error": row.ours.error,
            "geant4": row.geant4.value,
            "geant4_error": row.geant4.error,
            "ratio": row.ratio,
            "ratio_error": row.ratio_error,
            "tolerance": row.tolerance,
            "verdict": verdict(row),
        }
        for row in rows
    )


def verdict(row: Comparison) -> str:
    """``ok`` or ``MISSED``; ``shown`` for what is not judged."""
    if not row.quantity.judged:
        return "shown"
    return "ok" if row.ok else "MISSED"


def report(rows: list[Comparison]) -> Iterator[str]:
    """The table on the screen."""
    yield f"{'MeV':>4}  {'quantity':38s} {'ours':>8} {'':9} {'Geant4':>8} {'':9} {'ratio':>6} {'':7} verdict"
    for row in rows:
        ours, geant4 = (f"{part.value:8.4g} +- {part.error:6.2g}" for part in (row.ours, row.geant4))
        ratio = f"{row.ratio:6.3f} +- {row.ratio_error:.3f}"
        yield f"{row.energy_mev:4g}  {row.quantity.title:38s} {ours} {geant4} {ratio} {verdict(row)}"
    judged = [row for row in rows if row.quantity.judged]
    missed = sum(not row.ok for row in judged)
    yield f"{len(judged) - missed} of {len(judged)} within 10% (20% at 3 MeV) and two standard errors"
