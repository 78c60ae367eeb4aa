"""``snpoint validate events``: numbers and angles of neutrino interactions beside published ones."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@click.command("events")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Folder for the table and figure.")
@click.option(
    "--events", type=click.IntRange(min=100), default=50_000, show_default=True, help="Drawn per range of energies."
)
@click.option("--seed", default=1, show_default=True, help="Seed of the drawing.")
def command(output: Path, events: int, seed: int) -> None:
    """Elastic scattering (and charged current) of a supernova's neutrinos: how many, and in which directions.

    Writes events.csv, events.png (elastic scattering) and events_cc.png. Fails where a number misses its reference.
    """
    import pandas as pd

    from snpoint import config
    from snpoint.data.atomic import write_text
    from snpoint.physics.validation import charged_current as cc_checks
    from snpoint.physics.validation import elastic as es_checks
    from snpoint.plots.canvas import write_figure
    from snpoint.plots.validation import charged_current
    from snpoint.settings import SimulateSettings

    settings = config.parse_settings("simulate", None, ())
    assert isinstance(settings, SimulateSettings)  # noqa: S101 -- for the type checker
    angles = es_checks.smearing_checks(settings, events, seed)
    checks = [*es_checks.count_checks(), *angles, *cc_checks.checks(settings)]
    click.echo(f"{'':46s}       ours  reference   ratio")
    for check in checks:
        click.echo(_line(*check, check.ok))
    rows = [(*check, check.ours / check.reference, check.ok) for check in checks]
    table = pd.DataFrame(rows, columns=["quantity", "ours", "reference", "tolerance", "ratio", "ok"])
    output.mkdir(parents=True, exist_ok=True)
    write_text(output / "events.csv", table.to_csv(index=False, float_format="%.5g"))
    write_figure(_figure([check.ours for check in angles]), output / "events.png")
    write_figure(charged_current.draw(), output / "events_cc.png")
    missed = [check.quantity for check in checks if not check.ok]
    if missed:
        click.echo(f"missed: {', '.join(missed)}", err=True)
        sys.exit(1)


def _line(quantity: str, ours: float, reference: float, tolerance: float, ok: bool) -> str:
    state = "ok" if ok else "MISSED"
    return f"{quantity:46s} {ours:10.4g} {reference:10.4g}  {ours / reference:6.3f} (within {tolerance:.1%})  {state}"


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
