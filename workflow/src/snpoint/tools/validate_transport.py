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
from snpoint.tools.lists import output_option, seed_option

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_Task = tuple[float, int, int, int]  # energy [MeV], events, chunk, seed


@click.command("transport")
@click.option(
    "--events", type=click.IntRange(min=100), default=20_000, show_default=True, help="Electrons at each energy."
)
@click.option("--energies", metavar="MEV,MEV,...", help="Some of the energies of the table (default: all).")
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Processes.")
@seed_option
@output_option("the table and the figure")
def command(events: int, energies: str | None, jobs: int, seed: int, output: Path) -> None:
    """Compare single electrons with Geant4 and fail where one quantity is off.

    Accepted are differences up to 10% (20% at 3 MeV) plus two standard errors, those of Geant4's 2,000 events
    included. Writes transport.csv and transport.png.
    """
    from snpoint.physics.validation.transport import compare
    from snpoint.plots.canvas import write_figure
    from snpoint.plots.validation.transport import acceptance_page
    from snpoint.tools.verdicts import conclude

    rows = compare(_simulate(_chosen(energies), events, jobs, seed))
    output.mkdir(parents=True, exist_ok=True)
    write_figure(acceptance_page(rows), output / "transport.png")
    conclude([row.check for row in rows], output / "transport.csv")


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
