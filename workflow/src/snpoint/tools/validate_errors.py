"""``snpoint validate errors``: a network's angular errors on real events among those on their twins."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from snpoint.errors import ConfigError, UsageError
from snpoint.tools.lists import ListsCommand

if TYPE_CHECKING:
    from snpoint.physics.validation.errors import Case, ErrorAgreement
    from snpoint.settings import Twin

_FILE = click.Path(path_type=Path)


@click.command("errors", cls=ListsCommand)
@click.option("--real", multiple=True, required=True, type=_FILE, help="Predictions of real events (.npz).")
@click.option("--twins", multiple=True, required=True, type=_FILE, help="Predictions of their twins, in that order.")
@click.option("--sample", multiple=True, help="Samples of twins, in that order (default: of the predictions' dataset).")
@click.option("--min-mev", default=3.0, show_default=True, help="Least kinetic energy of the electron [MeV].")
@click.option("--least", default=2000, show_default=True, help="Twins that every real event must have.")
@click.option("--seed", default=1, show_default=True, help="Seed of broken ties, bootstrap and power.")
@click.option("-o", "--output", required=True, type=_FILE, help="Folder for errors.json, errors.csv and the figure.")
def command(
    real: tuple[Path, ...], twins: tuple[Path, ...], sample: tuple[str, ...], min_mev: float, least: int, seed: int,
    output: Path,
) -> None:  # fmt: skip
    """Compare the angular errors on real events with those on their simulated twins; fail if they disagree.

    The first file of REAL belongs to the first of TWINS, and so on. Real events are found by the energy in the list
    of twins; event k of a sample of twins repeats entry (k - 1) mod n of its list. They agree if the ranks of the
    real errors among the errors of their twins are uniform (Kolmogorov-Smirnov p above 0.01).
    """
    from snpoint.physics.validation.errors import agrees, compare_errors

    samples = sample or tuple(_sample_of(path) for path in twins)
    if not len(real) == len(twins) == len(samples):
        raise UsageError(f"{len(real)} files of real predictions, {len(twins)} of twins, {len(samples)} samples")
    cases = [case for files in zip(real, twins, samples, strict=True) for case in _cases(*files, min_mev)]
    fewest = min((case.simulated for case in cases), default=0)
    if fewest < least:
        raise UsageError(f"a real event has {fewest} twins only, asked for are {least}; simulate more, or give --least")
    found = compare_errors(cases, seed)
    for line in report(cases, found):
        click.echo(line)
    _write(output, cases, found, seed)
    if not agrees(found):
        sys.exit(1)


def _sample_of(predictions: Path) -> str:
    """The sample behind the predictions of a dataset, which lie in a folder of its name."""
    from snpoint import config

    name = predictions.absolute().parent.name
    samples = config.load_dataset(name).samples
    if len(samples) != 1:
        raise ConfigError(f"dataset {name} has {len(samples)} samples; give the sample of the twins with --sample")
    return samples[0]


def _cases(real: Path, twins: Path, sample: str, min_mev: float) -> list[Case]:
    from snpoint.data.results import read_predictions
    from snpoint.physics.validation.errors import Case, real_errors, twin_errors

    entries, simulated = twins_of(sample)
    own = real_errors(read_predictions(real), entries, real)
    others = twin_errors(read_predictions(twins), entries, twins)
    return [
        Case(entry, float(error), again, simulated)
        for entry, error, again in zip(entries, own, others, strict=True)
        if entry.electron_mev >= min_mev
    ]


def twins_of(sample: str) -> tuple[list[Twin], int]:
    """List of a sample of twins, and how often each entry is repeated.

    Raises
    ------
    ConfigError
        It is no sample of twins, or does not repeat all entries equally often.
    """
    from snpoint import config

    content = config.load_sample(sample)
    settings = content.simulate
    if content.source != "simulated" or settings.generator != "twins":
        raise ConfigError(f"sample {sample}: is not simulated with `generator: twins`")
    if not settings.twins or settings.events_per_chunk % len(settings.twins):
        raise ConfigError(
            f"sample {sample}: simulate.events_per_chunk ({settings.events_per_chunk}) must be a multiple of the "
            f"number of twins ({len(settings.twins)}), so that all are repeated equally often"
        )
    return list(settings.twins), (content.chunks or 1) * settings.events_per_chunk // len(settings.twins)


def report(cases: Sequence[Case], found: ErrorAgreement) -> list[str]:
    """The comparison as lines of text."""
    counts = {kind: sum(case.twin.interaction == kind for case in cases) for kind in ("ES", "CC")}
    fewest = min(case.simulated for case in cases)
    low, high = found.median_ratio_ci95
    return [
        f"{found.n} real events ({counts['ES']} ES, {counts['CC']} CC), {fewest} or more twins of each",
        f"without an image: {found.lost} real, {found.lost_expected:.2f} expected from the twins "
        f"(p = {found.lost_p:.3g})",
        f"ranks of the {found.ranked} real errors among their twins: p = {found.p:.3g}, mean {found.mean_rank:.3f}",
        f"the same with those without an image as the worst: p = {found.p_with_lost:.3g}",
        f"real error / median error of the twins, median: {found.median_ratio:.3f} (95% {low:.3f} to {high:.3f})",
        f"errors smaller by a factor {found.seen_below:.3f} or larger by {found.seen_above:.3f} would have been seen "
        "with 90% power",
    ]


def _write(output: Path, cases: Sequence[Case], found: ErrorAgreement, seed: int) -> None:
    from dataclasses import asdict

    import pandas as pd

    from snpoint.data.atomic import write_json, write_text
    from snpoint.physics.validation.errors import records
    from snpoint.plots.canvas import write_figure
    from snpoint.plots.validation.twins import errors_figure

    table = pd.DataFrame(records(cases, seed))
    write_json(output / "errors.json", {key: _strict(value) for key, value in asdict(found).items()})
    write_text(output / "errors.csv", table.to_csv(index=False, float_format="%.5g"))
    ranked = table.dropna(subset=["rank"])
    columns = (ranked[key].to_numpy(float) for key in ("rank", "real_deg", "twins_median_deg"))
    write_figure(errors_figure(*columns, f"p = {found.p:.2g}, {found.ranked} events"), output / "errors.png")


def _strict(value: Any) -> Any:
    """JSON has no infinity, which a shift is that even this test could not see."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
