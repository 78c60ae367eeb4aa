"""``snpoint validate backgrounds``: rates and spectra of radioactivity and cavern beside published numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from snpoint.tools.lists import output_option, seed_option

if TYPE_CHECKING:
    from snpoint.physics.validation.windows import Yield


@click.command("backgrounds")
@click.option(
    "--decays", type=click.IntRange(min=1000), default=200_000, show_default=True, help="Decays of each nuclide."
)
@click.option("--events", type=click.IntRange(min=1), default=500, show_default=True, help="Windows, for the rates.")
@click.option(
    "--windows", type=click.IntRange(min=0), default=0, show_default=True, help="Windows, for TPs; 0: not measured."
)
@click.option("--detector", default="fdhd_1x2x2", show_default=True, help="Layout.")
@seed_option
@output_option("the tables and the figure")
def command(decays: int, events: int, windows: int, detector: str, seed: int, output: Path) -> None:
    """Compare decays and cavern particles with published numbers and fail where one is off.

    Mean energies may differ by 1%, lines by 5% (weak ones by 15%), rates by 0.5%, each plus two standard errors.
    Writes backgrounds.csv and backgrounds.png; with --windows also background_tps.csv, TPs per readout window of each
    source, and prints them.
    """
    import numpy as np

    from snpoint.physics.geometry import load_detector
    from snpoint.physics.validation.backgrounds import checks, sample, shown
    from snpoint.plots.canvas import write_figure
    from snpoint.plots.validation.backgrounds import backgrounds_page
    from snpoint.tools.verdicts import conclude

    layout, rng = load_detector(detector), np.random.default_rng(seed)
    blocks = sample(decays, layout, rng)
    output.mkdir(parents=True, exist_ok=True)
    write_figure(backgrounds_page(shown(blocks, layout)), output / "backgrounds.png")
    if windows:
        _windows(windows, detector, seed, output)
    conclude(checks(blocks, events, layout, rng), output / "backgrounds.csv")


def _windows(windows: int, detector: str, seed: int, output: Path) -> None:
    import pandas as pd

    from snpoint import config
    from snpoint.data.atomic import write_text
    from snpoint.physics.validation.backgrounds import RATES
    from snpoint.physics.validation.windows import yields
    from snpoint.settings import SimulateSettings

    settings = config.parse_settings("simulate", None, [f"detector={detector}"])
    assert isinstance(settings, SimulateSettings)  # noqa: S101 -- for the type checker
    found = yields(settings, RATES, windows, seed)
    names = ["source", "particles", "above_90_kev", *(f"tps_{p}" for p in "uvx"), *(f"tps_{p}_error" for p in "uvx")]
    table = pd.DataFrame([(*row[:3], *row.tps, *row.errors) for row in found], columns=names)
    write_text(output / "background_tps.csv", table.to_csv(index=False, float_format="%.4g"))
    for line in _report(found):
        click.echo(line)


def _report(found: Sequence[Yield]) -> Iterator[str]:
    yield f"{'per readout window':20s} {'particles':>10s} {'> 90 keV':>10s} {'TPs U':>9s} {'V':>9s} {'X':>9s}"
    for row in found:
        tps = " ".join(f"{value:9.3g}" for value in row.tps)
        yield f"{row.source:20s} {row.particles:10.4g} {row.strong:10.4g} {tps}"
    yield ""
