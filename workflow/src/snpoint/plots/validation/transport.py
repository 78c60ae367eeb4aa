"""The page of the transport's acceptance: each quantity against energy, and its ratio to Geant4 with the band."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator, ScalarFormatter

from snpoint.physics.validation.transport import Comparison, tolerance
from snpoint.plots.canvas import COLORS, figure, style

_SHOWN = ("path", "extent", "forward", "blips", "axis")
_TICKS_MEV = (3, 5, 7, 10, 15, 20, 30, 40, 50)


@style()
def acceptance_page(rows: Sequence[Comparison]) -> Figure:
    """Draw the five judged quantities; one row per quantity and energy, energies in order."""
    canvas, panels = figure(
        15.5, 5.4, nrows=2, ncols=len(_SHOWN), sharex=True, gridspec_kw={"height_ratios": [1.5, 1.0]}
    )
    for column, name in enumerate(_SHOWN):
        chosen = [row for row in rows if row.quantity.name == name]
        _values(panels[0, column], chosen)
        _ratios(panels[1, column], chosen)
    panels[0, 0].legend(loc="upper left")
    panels[1, 0].set_ylabel("ours / Geant4")
    return canvas


def _values(axes: Any, rows: Sequence[Comparison]) -> None:
    energy = [row.energy_mev for row in rows]
    # Geant4 open and larger: where both agree, ours stands inside
    for label, parts, marks in (
        ("Geant4", [row.geant4 for row in rows], {"fmt": "s", "ms": 7, "mfc": "none", "color": COLORS["second"]}),
        ("ours", [row.ours for row in rows], {"fmt": "o", "ms": 3.5, "color": COLORS["main"]}),
    ):
        axes.errorbar(energy, [each.value for each in parts], [each.error for each in parts], label=label, **marks)
    axes.set_title(rows[0].quantity.title)
    axes.set_ylim(bottom=0)


def _ratios(axes: Any, rows: Sequence[Comparison]) -> None:
    energy = np.array([row.energy_mev for row in rows])
    allowed = np.array([tolerance(each) for each in energy])
    # steps half-way between energies: the tolerance is that of each point
    edges = np.concatenate([[energy[0] / 1.2], np.sqrt(energy[1:] * energy[:-1]), [energy[-1] * 1.2]])
    band = np.append(allowed, allowed[-1])
    axes.fill_between(edges, 1 - band, 1 + band, step="post", color=COLORS["band"], alpha=0.5, lw=0)
    axes.axhline(1.0, color=COLORS["baseline"], lw=0.8)
    for row in rows:
        color = COLORS["main"] if row.check.ok else COLORS["truth"]
        axes.errorbar(row.energy_mev, row.ratio, row.ratio_error, fmt="o", ms=3.5, color=color)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(_TICKS_MEV))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(axis="x", labelsize=9)
    axes.set(xlabel="kinetic energy [MeV]", ylim=(0.72, 1.28), xlim=(edges[0], edges[-1]))
