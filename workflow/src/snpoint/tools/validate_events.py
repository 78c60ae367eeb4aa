"""``snpoint validate events``: numbers and angles of neutrino interactions beside published ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from snpoint.tools.lists import output_option, seed_option

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@click.command("events")
@click.option(
    "--events", type=click.IntRange(min=100), default=50_000, show_default=True, help="Drawn per range of energies."
)
@seed_option
@output_option("the table and the figures")
def command(events: int, seed: int, output: Path) -> None:
    """Elastic scattering (and charged current) of a supernova's neutrinos: how many, and in which directions.

    Writes events.csv, events.png (elastic scattering) and events_cc.png. Fails where a number misses its reference.
    """
    from snpoint import config
    from snpoint.physics.validation import charged_current as cc_checks
    from snpoint.physics.validation import elastic as es_checks
    from snpoint.plots.canvas import write_figure
    from snpoint.plots.validation import charged_current
    from snpoint.settings import SimulateSettings
    from snpoint.tools.verdicts import conclude

    settings = config.parse_settings("simulate", None, ())
    assert isinstance(settings, SimulateSettings)  # noqa: S101 -- for the type checker
    angles = es_checks.smearing_checks(settings, events, seed)
    checks = [*es_checks.count_checks(), *angles, *cc_checks.checks(settings)]
    output.mkdir(parents=True, exist_ok=True)
    write_figure(_figure([check.ours for check in angles]), output / "events.png")
    write_figure(charged_current.draw(cc_checks.curves()), output / "events_cc.png")
    conclude(checks, output / "events.csv")


def _figure(angles_deg: list[float]) -> Figure:
    """The figure; ``angles_deg`` in the order of the checks: fractions inside ranges of energy."""
    import numpy as np

    from snpoint.physics.validation import elastic as es_checks
    from snpoint.plots.validation.elastic import draw

    edges = np.concatenate([np.arange(0.0, 20.0, 1.0), np.arange(20.0, 50.1, 2.5)])
    spectra = {name: es_checks.spectrum(es_checks.flux(name), edges) for name in ("none", "NMO", "IMO")}
    reference = [(row.low_mev, row.high_mev, row.angles_deg) for row in es_checks.SMEARING]
    n = len(es_checks.FRACTIONS)
    ours = [(low, high, angles_deg[k * n : (k + 1) * n]) for k, (low, high, _) in enumerate(reference)]
    title = f"Elastic scattering, {es_checks.MASS_KT:g} kt of argon at {es_checks.DISTANCE_KPC:g} kpc"
    return draw(edges, spectra, es_checks.FRACTIONS, ours, reference, es_checks.ANGLE_TOLERANCE, title)
