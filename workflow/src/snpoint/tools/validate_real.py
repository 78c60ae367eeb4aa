"""``snpoint validate real``: real events among their simulated twins, quantity by quantity."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from snpoint.errors import ConfigError, InputMissingError
from snpoint.tools.lists import PATH, ListsCommand, list_option, output_option, seed_option

if TYPE_CHECKING:
    from snpoint.physics.validation.quantities import Measured
    from snpoint.physics.validation.real import Allowed, Pairs, Row

EXCEPTIONS = Path(__file__).parents[1] / "reference/real_exceptions.yaml"
PAGE = "real.md"
_TREES: dict[str, tuple[str, ...]] = {
    "tps": ("bt_numelectrons", "bt_primary_track_numelectron_frac"),
    "mcparticles": ("pdg", "process", "g4_track_id"),
    "simides": ("channel", "numelectrons", "x", "y", "z", "trackID"),
}


@click.command("real", cls=ListsCommand)
@list_option("--real", "Samples of real events: results/samples/NAME.")
@list_option("--twins", "Samples of their twins.")
@click.option("--chunks", type=click.IntRange(min=1), help="Chunks of twins to read of each sample.  [default: all]")
@click.option(
    "--exceptions", type=PATH, default=EXCEPTIONS, metavar="FILE", show_default="real_exceptions.yaml of the package",
    help="Known disagreements: quantity -> {ratio: [low, high], reason: ...}.",
)  # fmt: skip
@seed_option
@output_option(f"real.csv and the figures, and for the tables of {PAGE} where that page is")
def command(
    real: tuple[Path, ...], twins: tuple[Path, ...], chunks: int | None, exceptions: Path, seed: int, output: Path
) -> None:
    """Compare real events with their simulated twins; fail if a quantity disagrees that no exception names.

    Real and twins are folders of samples that went through the pipeline. Of each real event and quantity, the rank of
    the real value among those of its twins is uniform if the simulation is right; p is that of the Kolmogorov-Smirnov
    test (median over 101 drawings of ties), Holm's correction is for the number of quantities, and a quantity
    disagrees (exit code 1) if p is not above 0.01. ES, CC, and even and odd events are shown apart for information.
    """
    from snpoint.physics.geometry import load_detector
    from snpoint.physics.validation.real import compare, joined, pair

    allowed = read_exceptions(exceptions)
    detector = load_detector(_detector_of([*real, *twins]))
    pairs = pair(
        joined(part for folder in real for part in measured_sample(folder, detector, None)),
        joined(part for folder in twins for part in measured_sample(folder, detector, chunks)),
        detector,
    )
    rows = compare(pairs, allowed, seed)
    for line in report(pairs, rows):
        click.echo(line)
    _write(output, pairs, rows, seed)
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
    from snpoint.physics.validation.quantities import NAMES
    from snpoint.physics.validation.real import Allowed
    from snpoint.validation import nearest

    found = {}
    for name, entry in yamlfile.read(path, empty=True).items():
        if name not in NAMES:
            raise ConfigError(f"{path}: {name}: there is no such quantity; {nearest(str(name), NAMES)}")
        try:
            low, high = (float(value) for value in entry["ratio"])
            found[name] = Allowed((low, high), str(entry["reason"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(f"{path}: {name}: expected `ratio: [low, high]` and `reason: ...`") from error
    return found


def _detector_of(folders: Sequence[Path]) -> str:
    from snpoint import config

    names = {config.load_sample(folder.name).cluster.detector for folder in folders}
    if len(names) != 1:
        raise ConfigError(f"the samples are of several detectors ({', '.join(sorted(names))}); compare within one")
    return names.pop()


def measured_sample(folder: Path, detector: Any, chunks: int | None) -> Iterator[Measured]:
    """Quantities of the events of a sample, one entry per chunk.

    Raises
    ------
    InputMissingError
        There is no table of clusters, or a TPStream file is missing.
    """
    from snpoint import config

    tables = sorted((folder / "cluster").glob("*.parquet"))[:chunks]
    if not tables:
        raise InputMissingError(f"{folder}/cluster: no table of clusters; make {_remedy(folder.name, 'cluster')}")
    for number, table in enumerate(tables):
        streams = [Path(name) for name in config.tpstream_files(folder.name, table.stem)]
        for path in streams:
            if not path.exists():
                raise InputMissingError(_missing(folder.name, path))
        yield measured(table, streams, detector)
        if sys.stderr.isatty():
            click.echo(f"\r{folder.name}: {number + 1} of {len(tables)} chunks", err=True, nl=number + 1 == len(tables))


def _missing(sample: str, path: Path) -> str:
    from snpoint import config
    from snpoint.physics.validation.quantities import CHARGE

    remedy = "see README, 'Real data'"
    if config.load_sample(sample).source == "simulated":
        remedy = f"make {_remedy(sample, 'simulate')}"
    return f"{path} is missing, and {', '.join(CHARGE)} are measured on it; {remedy}"


def _remedy(sample: str, stage: str) -> str:
    """The command that makes all files of a stage of a sample, for bash."""
    from snpoint import config, paths

    names = config.chunk_names(sample)
    chunks = names[0] if len(names) == 1 else f"{{{names[0]}..{names[-1]}}}"
    return f"them with: snakemake --profile local {paths.chunk(stage, sample, '@').replace('@', chunks)}"


def measured(clusters: Path, tpstream: Sequence[Path], detector: Any) -> Measured:
    """Quantities of the events of a table of clusters, and of their charge in the TPStream files that it is made of."""
    from snpoint.data.tables import CLUSTER_TABLE, read_table
    from snpoint.data.tpstream import read_tpstream
    from snpoint.data.tpstream_schema import KEY
    from snpoint.physics.matching_rows import event_uid
    from snpoint.physics.validation.quantities import measure, measure_charge

    events = measure(read_table(clusters, CLUSTER_TABLE), detector)
    energies = dict(zip(events.event_uid.tolist(), events.electron_mev.tolist(), strict=True))
    parts = []
    for path in tpstream:
        trees: dict[str, Any] = read_tpstream(path, _TREES, {tree: [*KEY, *names] for tree, names in _TREES.items()})
        for tree in trees.values():
            tree["event_uid"] = event_uid(tree["Run"], tree["SubRun"], tree["Event"])
        own = {uid: energies[uid] for uid in set(trees["mcparticles"]["event_uid"].tolist()) & energies.keys()}
        parts.append(measure_charge(trees, own, detector))
    return events.with_quantities(parts, f"TPStream files of {clusters}")


def report(pairs: Pairs, rows: Sequence[Row]) -> list[str]:
    """The comparison as lines of text."""
    fewest = min(len(own) for own in pairs.twin_rows)
    lines = [f"{len(pairs.rows)} real events, {fewest} or more twins of each"]
    lines += [f"left out: {uid & 0xFFFFFFFF} ({why})" for uid, why in pairs.left_out.items()]
    lines.append(
        f"{'quantity':18s} {'real/sim, median (95%)':>24s} {'of sums (95%)':>24s} {'rank':>6s} "
        f"{'p (drawings of ties)':>24s} {'ES':>7s} {'CC':>7s} {'even':>7s} {'odd':>7s} {'Holm':>7s}"
    )
    for row in rows:
        own = row.agreements["all"]
        ps = " ".join(f"{row.agreements[kind].p:7.2g}" for kind in ("ES", "CC", "even", "odd"))
        spread = f"{own.p:.2g} ({own.p_low:.2g} to {own.p_high:.2g})"
        verdict = row.verdict + (f": {row.reason}" if row.reason else "")
        lines.append(
            f"{row.quantity:18s} {_cell(own.ratio, own.ratio_ci95):>24s} "
            f"{_cell(own.mean_ratio, own.mean_ratio_ci95):>24s} {own.mean_rank:6.3f} {spread:>24s} {ps} "
            f"{row.p_holm:7.2g}  {verdict}"
        )
    return lines


def _cell(ratio: float, interval: tuple[float, float]) -> str:
    return "-" if ratio != ratio else f"{ratio:.3f} ({interval[0]:.3f} to {interval[1]:.3f})"


def _write(output: Path, pairs: Pairs, rows: Sequence[Row], seed: int) -> None:
    import numpy as np
    import pandas as pd

    from snpoint.data.atomic import write_text
    from snpoint.physics.validation.pages import halves_text, result_text
    from snpoint.physics.validation.ranks import drawn_ranks
    from snpoint.physics.validation.real import table
    from snpoint.plots.canvas import write_figure
    from snpoint.plots.validation.twins import ranks_figure, ratios_figure

    everyone = np.ones(len(pairs.rows), bool)
    own: Mapping[str, Any] = {
        row.quantity: drawn_ranks(*pairs.of(row.quantity, everyone), row.quantity, seed) for row in rows
    }
    write_text(output / "real.csv", pd.DataFrame(table(rows, pairs)).to_csv(index=False, float_format="%.5g"))
    write_figure(ranks_figure(rows, own), output / "real_ranks.png")
    write_figure(ratios_figure(rows), output / "real_ratios.png")
    records = real_records(output / "real.csv")
    write_page(output, {"result": result_text(records), "halves": halves_text(records)})


def real_records(path: Path) -> list[dict[str, Any]]:
    """Rows of real.csv."""
    import pandas as pd

    return [dict(row) for row in pd.read_csv(path).to_dict("records")]


def write_page(folder: Path, texts: Mapping[str, str]) -> None:
    """Put texts between their markers on the page, where a folder has it."""
    from snpoint.data.atomic import write_text
    from snpoint.physics.validation.pages import replaced

    page = folder / PAGE
    if not page.exists():
        return
    content = page.read_text(encoding="utf-8")
    for name, text in texts.items():
        content = replaced(content, name, text)
    write_text(page, content)
