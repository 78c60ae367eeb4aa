"""``snpoint validate errors``: a network's angular errors on real events among those on their twins."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from snpoint.errors import ConfigError, SnpointError, UsageError
from snpoint.tools.lists import ListsCommand, list_option, output_option, seed_option

if TYPE_CHECKING:
    from snpoint.physics.validation.errors import Case, ErrorAgreement
    from snpoint.settings import Twin

PAGE = "real.md"
_OF_FOLDER = "default: those of the dataset that the folder of each file is named after"


@click.command("errors", cls=ListsCommand)
@list_option("--real", "Predictions of real events (.npz).")
@list_option("--twins", "Predictions of their twins (.npz), in that order.")
@list_option(
    "--sample", f"Samples of twins, in that order.  [{_OF_FOLDER}]", required=False, metavar="NAME...", type=str
)
@list_option(
    "--real-sample", f"Samples of real events, in that order.  [{_OF_FOLDER}]", required=False, metavar="NAME...",
    type=str,
)  # fmt: skip
@click.option("--min-mev", default=3.0, show_default=True, help="Least kinetic energy of the electron [MeV].")
@click.option(
    "--least", type=click.IntRange(min=1), default=2000, show_default=True, help="Twins that every event must have."
)
@seed_option
@output_option(f"errors.json, errors.csv and the figure, and for the paragraph of {PAGE} where that page is")
def command(
    real: tuple[Path, ...], twins: tuple[Path, ...], sample: tuple[str, ...], real_sample: tuple[str, ...],
    min_mev: float, least: int, seed: int, output: Path,
) -> None:  # fmt: skip
    """Compare the angular errors on real events with those on their simulated twins; fail if they disagree.

    The first file of REAL belongs to the first of TWINS, and so on. Real events are found by the energy in the list
    of twins; event k of a sample of twins repeats entry (k - 1) mod n of its list. They agree if the ranks of the
    real errors among the errors of their twins are uniform (Kolmogorov-Smirnov p above 0.01, exit code 1 if not), with
    and without those that have no image, which count as the worst. Printed last is a paragraph to paste.
    """
    from dataclasses import replace

    from snpoint.physics.validation.errors import agrees, compare_errors
    from snpoint.physics.validation.pages import errors_text
    from snpoint.tools.validate_real import write_page

    _same_number("--twins", twins, real)
    samples = sample or tuple(_sample_of(path, "--sample") for path in twins)
    real_samples = real_sample or tuple(_sample_of(path, "--real-sample") for path in real)
    _same_number("--sample", samples, real)
    _same_number("--real-sample", real_samples, real)
    files = zip(real, twins, samples, real_samples, strict=True)
    cases = _chosen([case for own in files for case in _cases(*own)], min_mev, least)
    found = compare_errors(cases, seed)
    inside = found
    if any(case.outside for case in cases):
        inside = compare_errors([case for case in cases if not case.outside], seed, trials=0)
        inside = replace(inside, seen_below=math.nan, seen_above=math.nan)
    for line in report(cases, found, inside):
        click.echo(line)
    text = errors_text(found, inside, _counts(cases), min(case.simulated for case in cases))
    click.echo(f"\n{text}")
    _write(output, cases, found, inside, seed)
    write_page(output, {"errors": text})
    if not agrees(found):
        sys.exit(1)


def _same_number(option: str, given: Sequence[object], real: Sequence[Path]) -> None:
    if len(given) != len(real):
        raise UsageError(
            f"--real has {len(real)} and {option} {len(given)} values; the first of one belongs to the first of the "
            "other, and so on: give as many"
        )


def _chosen(cases: Sequence[Case], min_mev: float, least: int) -> list[Case]:
    """Cases above an energy; each must have enough twins."""
    energetic = [case for case in cases if case.twin.electron_mev >= min_mev]
    if not energetic:
        largest = max(case.twin.electron_mev for case in cases)
        raise UsageError(f"--min-mev {min_mev:g}: no event has so much, the largest T is {largest:.1f} MeV")
    fewest = min(case.simulated for case in energetic)
    if fewest < least:
        raise UsageError(f"a real event has {fewest} twins only, asked for are {least}; simulate more, or give --least")
    return energetic


def _sample_of(predictions: Path, option: str) -> str:
    """The sample behind the predictions of a dataset, which lie in a folder of its name."""
    from snpoint import config

    name = predictions.absolute().parent.name
    try:
        samples = config.load_dataset(name).samples
    except SnpointError as error:
        raise UsageError(
            f"{predictions}: the folder is not named after a dataset; name the sample with {option}"
        ) from error
    if len(samples) != 1:
        raise ConfigError(f"dataset {name} has {len(samples)} samples; name the one that is meant with {option}")
    return samples[0]


def _cases(real: Path, twins: Path, sample: str, real_sample: str) -> list[Case]:
    from snpoint.data.results import read_predictions
    from snpoint.physics.validation.errors import Case, real_errors, twin_errors

    entries, simulated = twins_of(sample)
    own = real_errors(read_predictions(real), entries, real)
    others = twin_errors(read_predictions(twins), entries, twins)
    energies = outside_mev(real_sample)
    return [
        Case(entry, float(error), again, simulated, any(abs(entry.electron_mev - mev) < 2e-3 for mev in energies))
        for entry, error, again in zip(entries, own, others, strict=True)
    ]


def outside_mev(sample: str) -> list[float]:
    """Kinetic energies of the events of a real sample with vertices outside of the drift volumes [MeV]."""
    from snpoint import config
    from snpoint.tools.validate_twins import interactions

    detector = config.load_sample(sample).cluster.detector
    files = [Path(name) for chunk in config.chunk_names(sample) for name in config.tpstream_files(sample, chunk)]
    return [own.electron_mev for path in files for own in interactions(path, detector) if not own.inside]


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


def _counts(cases: Sequence[Case]) -> dict[str, int]:
    return {kind: sum(case.twin.interaction == kind for case in cases) for kind in ("ES", "CC")}


def report(cases: Sequence[Case], found: ErrorAgreement, inside: ErrorAgreement) -> list[str]:
    """The comparison as lines of text: of all events, and of those with vertices inside."""
    counts = _counts(cases)
    fewest = min(case.simulated for case in cases)
    low, high = found.median_ratio_ci95
    return [
        f"{found.n} real events ({counts['ES']} ES, {counts['CC']} CC), {fewest} or more twins of each",
        f"without an image: {found.lost} real, {found.lost_expected:.2f} expected from the twins "
        f"(p = {found.lost_p:.3g})",
        f"ranks of the {found.ranked} real errors among their twins: p = {found.p:.3g}, mean {found.mean_rank:.3f}",
        f"the same with those without an image as the worst: p = {found.p_with_lost:.3g}",
        f"vertices outside of the drift volumes: {found.n - inside.n}; without them p = {inside.p:.3g} and "
        f"{inside.p_with_lost:.3g}, lost {inside.lost}, {inside.lost_expected:.2f} expected (p = {inside.lost_p:.3g})",
        f"real error / median error of the twins, median: {found.median_ratio:.3f} (95% {low:.3f} to {high:.3f})",
        f"errors smaller by a factor {found.seen_below:.3f} or larger by {found.seen_above:.3f} would have been seen "
        "with 90% power",
    ]


def _write(output: Path, cases: Sequence[Case], found: ErrorAgreement, inside: ErrorAgreement, seed: int) -> None:
    from dataclasses import asdict

    import pandas as pd

    from snpoint.data.atomic import write_json, write_text
    from snpoint.physics.validation.errors import records
    from snpoint.plots.canvas import write_figure
    from snpoint.plots.validation.twins import errors_figure

    table = pd.DataFrame(records(cases, seed))
    figures, without = ({key: _strict(value) for key, value in asdict(own).items()} for own in (found, inside))
    write_json(output / "errors.json", figures | {"vertices_inside": without})
    write_text(output / "errors.csv", table.to_csv(index=False, float_format="%.5g"))
    ranked = table.dropna(subset=["rank"])
    columns = (ranked[key].to_numpy(float) for key in ("rank", "real_deg", "twins_median_deg"))
    title = f"p = {found.p:.2g}, {found.ranked} events"
    write_figure(errors_figure(*columns, ranked["interaction"].to_numpy(str), title), output / "errors.png")


def _strict(value: Any) -> Any:
    """JSON has no infinity, which a shift is that even this test could not see."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
