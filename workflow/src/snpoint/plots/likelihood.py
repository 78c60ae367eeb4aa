"""Figures of the likelihood tables: the rows as curves, over the events they were made from."""

from __future__ import annotations

import math

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator
from numpy.typing import NDArray

from snpoint.physics.likelihood import Tables
from snpoint.plots.canvas import COLORS, figure, style

Floats = NDArray[np.float64]

_HISTOGRAM_BINS = 40
_COLUMNS = 3


def bin_label(edges_mev: Floats, row: int) -> str:
    """Name of an energy bin; the outer bins are open."""
    low, high, last = edges_mev[row], edges_mev[row + 1], len(edges_mev) - 2
    if row == 0 and last > 0:
        return f"E < {high:g} MeV"
    if row == last and last > 0:
        return f"E > {low:g} MeV"
    return f"{low:g}–{high:g} MeV"


@style()
def rows_with_data(tables: Tables, cosines: Floats, energies_mev: Floats, title: str, angle: str) -> Figure:
    """One panel per energy bin: calibration events (N,) as a histogram with sqrt(n) errors, and the table's row."""
    n_rows = len(tables.pdf)
    columns = min(_COLUMNS, n_rows)
    lines = math.ceil(n_rows / columns)
    canvas, axes = figure(
        2.9 * columns + 0.6, 2.5 * lines + 0.6, nrows=lines, ncols=columns, squeeze=False, sharex=True, sharey=True
    )
    rows = tables.rows(energies_mev)
    for row, panel in enumerate(axes.flat):
        if row >= n_rows:
            panel.set_axis_off()
            continue
        _panel(panel, tables, row, cosines[rows == row])
    for panel in axes[:, 0]:
        panel.set_ylabel("density per unit cosine")
    for column in range(columns):
        lowest = max(i for i in range(lines) if i * columns + column < n_rows)
        axes[lowest, column].set_xlabel(f"cos θ ({angle})")
        axes[lowest, column].tick_params(labelbottom=True)
    axes[0, 0].legend(loc="upper left", borderaxespad=0.2)
    canvas.suptitle(title, x=0.01, ha="left", fontweight="bold")
    return canvas


def _panel(panel: mpl.axes.Axes, tables: Tables, row: int, cosines: Floats) -> None:
    counts, edges = np.histogram(cosines, bins=_HISTOGRAM_BINS, range=(-1.0, 1.0))
    if cosines.size:
        scale = 1.0 / (cosines.size * np.diff(edges))
        filled = counts > 0
        panel.errorbar(
            0.5 * (edges[1:] + edges[:-1])[filled],
            (counts * scale)[filled],
            (np.sqrt(counts) * scale)[filled],
            fmt="o",
            ms=2.6,
            lw=0.9,
            color=COLORS["baseline"],
            label="calibration events",
        )
    look = {"ls": "--", "color": COLORS["second"]} if tables.fallback[row] else {"color": COLORS["main"]}
    panel.stairs(tables.pdf[row], tables.cos_edges, baseline=None, lw=1.8, label="table", **look)
    panel.axhline(0.5, color=COLORS["baseline"], lw=0.8, ls=":")
    panel.set_yscale("log")
    panel.set_title(f"{bin_label(tables.energy_edges_mev, row)}   n = {cosines.size:,}", fontsize=9.5)
    if tables.fallback[row]:
        panel.text(0.04, 0.05, "table of all energies", transform=panel.transAxes, fontsize=8.5, color=COLORS["second"])


@style()
def all_rows(tables: Tables, title: str, angle: str) -> Figure:
    """All rows over the angle itself, per unit solid angle relative to isotropic: how sharp each energy points."""
    canvas, axes = figure(6.8, 4.2)
    angles = np.linspace(0.0, 180.0, 721)
    colors = mpl.colormaps["viridis"](np.linspace(0.05, 0.9, len(tables.pdf)))
    drawn_fallback = False
    for row in range(len(tables.pdf)):
        if tables.fallback[row] and drawn_fallback:
            continue
        values = np.exp(tables.log_pdf(row, np.cos(np.radians(angles)))) / 0.5
        drawn_fallback |= bool(tables.fallback[row])
        label = "all energies" if tables.fallback[row] else bin_label(tables.energy_edges_mev, row)
        look = {"ls": "--", "color": COLORS["second"]} if tables.fallback[row] else {"color": colors[row]}
        axes.plot(angles, values, label=label, **look)
    axes.axhline(1.0, color=COLORS["baseline"], ls=":", lw=1.2, label="isotropic")
    axes.set(
        xlabel=f"θ ({angle}) [deg]",
        ylabel="density per solid angle / isotropic",
        yscale="log",
        xlim=(0, 180),
        xticks=range(0, 181, 30),
        title=title,
    )
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_locator(LogLocator(subs=(2.0, 5.0)))
    axes.yaxis.set_minor_formatter("{x:g}")
    axes.legend(title="reconstructed energy", ncols=2)
    return canvas


def rows_as_table(tables: Tables) -> pd.DataFrame:
    """The rows as columns of one table: what the figures show."""
    frame = pd.DataFrame({"cos_low": tables.cos_edges[:-1], "cos_high": tables.cos_edges[1:]})
    for row, density in enumerate(tables.pdf):
        low, high = tables.energy_edges_mev[row : row + 2]
        frame[f"pdf_{low:g}_{high:g}_mev"] = density
    return frame
