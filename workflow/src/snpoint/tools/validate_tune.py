"""``snpoint validate tune``: numbers of the detector, fitted on one half of the real events."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from snpoint.tools.lists import ListsCommand, list_option, output_option, seed_option

if TYPE_CHECKING:
    from snpoint.physics.validation.quantities import Measured
    from snpoint.physics.validation.ranks import Agreement
    from snpoint.physics.validation.tuning import Knobs, Tuned


@click.command("tune", cls=ListsCommand)
@list_option("--real", "Samples of real events: results/samples/NAME.")
@list_option("--twins", "Samples of their twins, by name; they are simulated anew here.", metavar="NAME...", type=str)
@click.option("--times", default=40, show_default=True, type=click.IntRange(min=5), help="Twins of each real event.")
@seed_option
@output_option("tuning.csv")
def command(real: tuple[Path, ...], twins: tuple[str, ...], times: int, seed: int, output: Path) -> None:
    """Fit induction gains and the density of ionization on real events with even numbers; test on odd ones.

    The density is what charge and small blips (TPs of 2 and 3 ticks off the main cluster, U and V) ask for together.
    Printed are factors on what is built in (1: leave it), and how the quantities that they move agree on both halves,
    before and after. Nothing is judged or changed: the numbers go into the simulation by hand.
    """
    from snpoint import config
    from snpoint.physics.geometry import load_detector
    from snpoint.physics.validation.real import Pairs, joined, pair
    from snpoint.physics.validation.tuning import tune
    from snpoint.tools.validate_real import measured_sample

    detector = load_detector(config.load_sample(twins[0]).simulate.detector)
    own = joined(part for folder in real for part in measured_sample(folder, detector, None))

    def compared(knobs: Knobs) -> Pairs:
        click.echo(f"simulating with {_shown(knobs)}", err=True)
        return pair(own, joined(simulated(name, times, knobs, detector) for name in twins), detector)

    found = tune(compared, seed)
    for line in report(found):
        click.echo(line)
    _write(output, found)


def simulated(sample: str, times: int, knobs: Knobs, detector: Any) -> Measured:
    """Quantities of twins simulated with other numbers, without standalone noise."""
    import numpy as np

    from snpoint import config
    from snpoint.data.tpstream import write_tpstream
    from snpoint.physics.simulation.chunk import run_number
    from snpoint.physics.simulation.truthtables import trees
    from snpoint.physics.validation.tuning import VariedSimulator
    from snpoint.stages import cluster, match
    from snpoint.tools.validate_real import measured

    content = config.load_sample(sample)
    silent = content.simulate.noise.model_copy(
        update={"tps_per_event": type(content.simulate.noise.tps_per_event)(U=0.0, V=0.0, X=0.0)}
    )
    n = times * len(content.simulate.twins)
    settings = content.simulate.model_copy(update={"events_per_chunk": n, "noise": silent})
    simulator = VariedSimulator(settings, sample, 0, knobs)
    records = [simulator.simulate(*simulator.draw(k)) for k in range(n)]
    with tempfile.TemporaryDirectory() as folder:
        stream, tps, clusters = (Path(folder) / name for name in ("s.root", "t.parquet", "c.parquet"))
        write_tpstream(stream, trees(records, simulator.detector, (run_number(sample), 0, np.arange(n) + 1)))
        match.run(content.match, tpstream=[stream], tps=tps)
        cluster.run(content.cluster, tps=tps, clusters=clusters)
        return measured(clusters, [stream], detector)


def report(found: Tuned) -> list[str]:
    """Factors and halves as lines of text."""
    lines = [f"fitted on the tuned half: {_shown(found.knobs)}"]
    for knob, wanted in found.wanted.items():
        if len(wanted) > 1:
            alone = ", ".join(f"{factor:.3f} ({quantity})" for quantity, factor in wanted.items())
            lines.append(f"{knob} that each quantity asks for alone: {alone}")
    lines.append(f"{'quantity':20s} " + " ".join(f"{when + ', ' + half:>28s}" for when, half in _COLUMNS))
    for name in found.halves["before"]:
        cells = (_cell(found.halves[when][name][half]) for when, half in _COLUMNS)
        lines.append(f"{name:20s} " + " ".join(f"{cell:>28s}" for cell in cells))
    return lines


_COLUMNS: Sequence[tuple[str, str]] = tuple((w, h) for h in ("tuned", "tested") for w in ("before", "after"))


def _shown(knobs: Knobs) -> str:
    return ", ".join(f"{name} x {value:.3f}" for name, value in knobs._asdict().items())


def _cell(found: Agreement) -> str:
    low, high = found.mean_ratio_ci95
    return f"{found.mean_ratio:.3f} ({low:.2f}-{high:.2f}) p {found.p:.2g}"


def _write(output: Path, found: Tuned) -> None:
    import pandas as pd

    from snpoint.data.atomic import write_text

    records = [
        {
            "quantity": name,
            "numbers": when,
            "half": half,
            "n": own.n,
            "p": own.p,
            "ratio": own.ratio,
            "mean_ratio": own.mean_ratio,
            "mean_ratio_low": own.mean_ratio_ci95[0],
            "mean_ratio_high": own.mean_ratio_ci95[1],
        }
        for when, quantities in found.halves.items()
        for name, both in quantities.items()
        for half, own in both.items()
    ]
    write_text(output / "tuning.csv", pd.DataFrame(records).to_csv(index=False, float_format="%.5g"))
