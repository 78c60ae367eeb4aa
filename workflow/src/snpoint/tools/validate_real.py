"""``snpoint validate real``: real events among their simulated twins, quantity by quantity."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from snpoint.errors import ConfigError, InputMissingError
from snpoint.tools.lists import ListsCommand

if TYPE_CHECKING:
    from snpoint.physics.validation.quantities import Measured
    from snpoint.physics.validation.real import Allowed, Pairs, Row

EXCEPTIONS = Path(__file__).parents[1] / "reference/real_exceptions.yaml"
_FOLDER = click.Path(path_type=Path)


@click.command("real", cls=ListsCommand)
@click.option("--real", multiple=True, required=True, type=_FOLDER, help="Samples of real events (results/samples/..).")
@click.option("--twins", multiple=True, required=True, type=_FOLDER, help="Samples of their twins.")
@click.option("--chunks", type=click.IntRange(min=1), help="Chunks of twins to read of each sample (default: all).")
@click.option("--half", type=click.Choice(["even", "odd"]), help="Compare only events with such numbers.")
@click.option("--exceptions", type=_FOLDER, default=EXCEPTIONS, help="Known disagreements (.yaml).")
@click.option("--seed", default=1, show_default=True, help="Seed of broken ties and of the bootstrap.")
@click.option("-o", "--output", required=True, type=_FOLDER, help="Folder for real.csv and figures.")
def command(
    real: tuple[Path, ...], twins: tuple[Path, ...], chunks: int | None, half: str | None, exceptions: Path, seed: int,
    output: Path,
) -> None:  # fmt: skip
    """Compare real events with their simulated twins; fail if a quantity disagrees that no exception names.

    Real and twins are folders of samples that went through the pipeline. Of each real event and quantity, the rank of
    the real value among those of its twins is uniform if the simulation is right; p is that of the Kolmogorov-Smirnov
    test, Holm's correction is for the number of quantities, and a quantity disagrees if p is not above 0.01.
    """
    from snpoint.physics.geometry import load_detector
    from snpoint.physics.validation.real import compare, halves, joined, pair

    allowed = read_exceptions(exceptions)
    detector = load_detector(_detector_of([*real, *twins]))
    pairs = pair(
        joined(part for folder in real for part in measured_sample(folder, detector, None)),
        joined(part for folder in twins for part in measured_sample(folder, detector, chunks)),
        detector,
    )
    even, odd = halves(pairs)
    chosen = {"even": even, "odd": odd, None: even | odd}[half]
    rows = compare(pairs, allowed, chosen, seed)
    for line in report(pairs, rows, int(chosen.sum())):
        click.echo(line)
    _write(output, pairs, rows, chosen, seed)
    if any(row.verdict == "FAILED" for row in rows):
        sys.exit(1)


def read_exceptions(path: Path) -> dict[str, Allowed]:
    """Known disagreements: quantity -> {ratio: [low, high], reason: ...}.

    Raises
    ------
    ConfigError
        An entry is incomplete, or names no quantity.
    """
    from snpoint import yamlfile
    from snpoint.physics.validation.quantities import describe
    from snpoint.physics.validation.real import Allowed

    found = {}
    for name, entry in yamlfile.read(path, empty=True).items():
        try:
            low, high = (float(value) for value in entry["ratio"])
            describe(name)
            found[name] = Allowed((low, high), str(entry["reason"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(
                f"{path}: {name}: expected a quantity of real.csv with `ratio: [low, high]` and `reason: ...`"
            ) from error
    return found


def _detector_of(folders: Sequence[Path]) -> str:
    from snpoint import config

    names = {config.load_sample(folder.name).cluster.detector for folder in folders}
    if len(names) != 1:
        raise ConfigError(f"the samples are of several detectors ({', '.join(sorted(names))}); compare within one")
    return names.pop()


def measured_sample(folder: Path, detector: Any, chunks: int | None) -> list[Measured]:
    """Quantities of the events of a sample, one entry per chunk."""
    from snpoint import config

    tables = sorted((folder / "cluster").glob("*.parquet"))[:chunks]
    if not tables:
        raise InputMissingError(f"{folder}/cluster: no table of clusters; make it with: snakemake {folder}/..")
    found = []
    for number, table in enumerate(tables):
        streams = [Path(name) for name in config.tpstream_files(folder.name, table.stem)]
        found.append(measured(table, [path for path in streams if path.exists()], detector))
        if sys.stderr.isatty():
            click.echo(f"\r{folder.name}: {number + 1} of {len(tables)} chunks", err=True, nl=number + 1 == len(tables))
    return found


def measured(clusters: Path, tpstream: Sequence[Path], detector: Any) -> Measured:
    """Quantities of the events of a table of clusters, and of their charge where the TPStream files are there."""
    from snpoint.data.tables import CLUSTER_TABLE, read_table
    from snpoint.data.tpstream import read_tpstream
    from snpoint.physics.matching_rows import event_uid
    from snpoint.physics.validation.quantities import measure, measure_charge

    events = measure(read_table(clusters, CLUSTER_TABLE), detector)
    energies = dict(zip(events.event_uid.tolist(), events.electron_mev.tolist(), strict=True))
    for path in tpstream:
        trees: dict[str, Any] = read_tpstream(path, ("simides", "mcparticles"))
        for tree in trees.values():
            tree["event_uid"] = event_uid(tree["Run"], tree["SubRun"], tree["Event"])
        own = {uid: energies[uid] for uid in set(trees["mcparticles"]["event_uid"].tolist()) & energies.keys()}
        events = events.with_quantities(*measure_charge(trees["simides"], trees["mcparticles"], own, detector))
    return events


def report(pairs: Pairs, rows: Sequence[Row], n: int) -> list[str]:
    """The comparison as lines of text."""
    fewest = min(len(own) for own in pairs.twin_rows)
    lines = [f"{n} real events, {fewest} or more twins of each"]
    lines += [f"left out: {uid & 0xFFFFFFFF} ({why})" for uid, why in pairs.left_out.items()]
    lines.append(f"{'quantity':22s} {'real/sim, median (95%)':>24s} {'of sums':>8s} {'rank':>6s} {'p':>8s} "
                 f"{'ES':>7s} {'CC':>7s} {'Holm':>8s}")  # fmt: skip
    for row in rows:
        own = row.agreements["all"]
        ratio = f"{own.ratio:6.3f} ({own.ratio_ci95[0]:.3f} to {own.ratio_ci95[1]:.3f})"
        ps = " ".join(f"{row.agreements[kind].p:7.2g}" for kind in ("ES", "CC"))
        verdict = row.verdict + (f": {row.reason}" if row.reason else "")
        lines.append(
            f"{row.quantity:22s} {ratio:>24s} {own.mean_ratio:8.3f} {own.mean_rank:6.3f} {own.p:8.2g} {ps} "
            f"{row.p_holm:8.2g}  {verdict}"
        )
    return lines


def _write(output: Path, pairs: Pairs, rows: Sequence[Row], chosen: Any, seed: int) -> None:
    import pandas as pd

    from snpoint.data.atomic import write_text
    from snpoint.physics.validation.ranks import ranks
    from snpoint.physics.validation.real import table
    from snpoint.plots.canvas import write_figure
    from snpoint.plots.validation.twins import ranks_figure, ratios_figure

    own: Mapping[str, Any] = {row.quantity: ranks(*pairs.of(row.quantity, chosen), row.quantity, seed) for row in rows}
    write_text(output / "real.csv", pd.DataFrame(table(rows)).to_csv(index=False, float_format="%.5g"))
    write_figure(ranks_figure(rows, own), output / "real_ranks.png")
    write_figure(ratios_figure(rows), output / "real_ratios.png")
