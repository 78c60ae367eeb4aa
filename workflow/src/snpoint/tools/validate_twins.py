"""``snpoint validate twins-of``: the list of (real) events that a sample of twins repeats."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click

from snpoint.tools.lists import PATH


@click.command("twins-of")
@click.argument("tpstream", nargs=-1, required=True, type=PATH, metavar="TPSTREAM...")
@click.option("--detector", default="fdhd_1x2x2", show_default=True, help="Layout of the detector.")
def command(tpstream: tuple[Path, ...], detector: str) -> None:
    """Print the `twins` of a sample (YAML) that repeats every neutrino interaction of TPSTREAM files (.root).

    Each line holds the interaction, the kinetic energy of the primary electron, the energy of the neutrino and the
    distance of the vertex from the plane x = 0: what `generator: twins` simulates again. Events come in the order of
    their numbers, file by file. A vertex outside of the drift volumes is named in a comment: its twins lie inside, at
    the same |x|. Nothing is written or judged.
    """
    click.echo("twins:")
    for path in tpstream:
        for own in interactions(path, detector):
            comment = "" if own.inside else ", vertex outside of the drift volumes"
            click.echo(
                f"  - {{interaction: {own.interaction}, electron_mev: {own.electron_mev:.5f}, neutrino_mev: "
                f"{own.neutrino_mev:.5f}, abs_x_cm: {own.abs_x_cm:.3f}}}  # {own.number}{comment}"
            )


class Interaction(NamedTuple):
    """One neutrino interaction of a file."""

    number: int
    interaction: str  # ES or CC
    electron_mev: float
    neutrino_mev: float
    abs_x_cm: float
    inside: bool  # whether the vertex lies in a drift volume


def interactions(path: Path, layout: str) -> Iterator[Interaction]:
    """Neutrino interactions of a TPStream file, in the order of their numbers.

    Raises
    ------
    DataError
        An event is something else.
    """
    import numpy as np

    from snpoint.data.tpstream import read_tpstream
    from snpoint.errors import DataError
    from snpoint.physics.constants import CC, ES
    from snpoint.physics.geometry import load_detector
    from snpoint.physics.matching_events import event_truth
    from snpoint.physics.matching_rows import Rows
    from snpoint.physics.validation.real import inside

    trees = read_tpstream(path, ("tps", "mctruths"))
    rows = Rows.of(trees["tps"])
    truth = event_truth(trees["mctruths"], rows, "truth")
    vertex = np.stack([truth[f"vertex_{axis}_cm"] for axis in "xyz"], axis=1).astype(float)
    within = inside(vertex, load_detector(layout))
    names = {ES: "ES", CC: "CC"}
    if not np.isin(truth["interaction"], list(names)).all():
        raise DataError(f"{path}: not every event is a neutrino interaction with known truth; it cannot be repeated")
    for k, uid in enumerate(rows.events):
        yield Interaction(
            int(uid) & 0xFFFFFFFF, names[int(truth["interaction"][k])], float(truth["energy_true_mev"][k]),
            float(truth["neutrino_energy_mev"][k]), abs(float(vertex[k, 0])), bool(within[k]),
        )  # fmt: skip
