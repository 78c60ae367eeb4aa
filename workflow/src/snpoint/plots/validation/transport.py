"""The page of the transport's acceptance: each quantity against energy, and its ratio to Geant4 with the band."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator, ScalarFormatter

from snpoint.plots.canvas import COLORS, figure, style

_SHOWN = ("path", "extent", "forward", "blips", "axis")
_TICKS_MEV = (3, 5, 7, 10, 15, 20, 30, 50)


@style()
def acceptance_page(table: pd.DataFrame) -> Figure:
    """Draw the five judged quantities.

    Parameters
    ----------
    table
        Columns energy_mev, quantity, title, ours, ours_error, geant4, geant4_error, ratio, ratio_error, tolerance,
        verdict; one row per quantity and energy.
    """
    canvas, panels = figure(
        15.5, 5.4, nrows=2, ncols=len(_SHOWN), sharex=True, gridspec_kw={"height_ratios": [1.5, 1.0]}
    )
    for column, name in enumerate(_SHOWN):
        rows = table[table["quantity"] == name]
        _values(panels[0, column], rows)
        _ratios(panels[1, column], rows)
    panels[0, 0].legend(loc="upper left")
    panels[1, 0].set_ylabel("ours / Geant4")
    return canvas


def _values(axes: Any, rows: pd.DataFrame) -> None:
    # Geant4 open and larger: where both agree, ours stands inside
    axes.errorbar(
        rows["energy_mev"], rows["geant4"], rows["geant4_error"], fmt="s", ms=7, mfc="none", color=COLORS["second"],
        label="Geant4",
    )  # fmt: skip
    axes.errorbar(
        rows["energy_mev"], rows["ours"], rows["ours_error"], fmt="o", ms=3.5, color=COLORS["main"], label="ours"
    )
    axes.set_title(rows["title"].iloc[0])
    axes.set_ylim(bottom=0)


def _ratios(axes: Any, rows: pd.DataFrame) -> None:
    energy, tolerance = rows["energy_mev"].to_numpy(), rows["tolerance"].to_numpy()
    # steps half-way between energies: the tolerance is that of each point
    edges = np.concatenate([[energy[0] / 1.2], np.sqrt(energy[1:] * energy[:-1]), [energy[-1] * 1.2]])
    band = np.append(tolerance, tolerance[-1])
    axes.fill_between(edges, 1 - band, 1 + band, step="post", color=COLORS["band"], alpha=0.5, lw=0)
    axes.axhline(1.0, color=COLORS["baseline"], lw=0.8)
    missed = (rows["verdict"] == "MISSED").to_numpy()
    for chosen, color in ((~missed, COLORS["main"]), (missed, COLORS["truth"])):
        axes.errorbar(energy[chosen], rows["ratio"][chosen], rows["ratio_error"][chosen], fmt="o", ms=3.5, color=color)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(_TICKS_MEV))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set(xlabel="kinetic energy [MeV]", ylim=(0.72, 1.28), xlim=(edges[0], edges[-1]))
