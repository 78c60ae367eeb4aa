"""Figures of real events among their simulated twins: ranks, and ratios."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from scipy import stats

from snpoint.physics.validation.real import Row
from snpoint.plots.canvas import COLORS, figure

FloatArray = npt.NDArray[np.float64]

_BINS, _COLUMNS = 8, 6
_VERDICT = {"ok": COLORS["main"], "named": COLORS["second"], "FAILED": COLORS["truth"]}


def ranks_figure(rows: Sequence[Row], ranks: Mapping[str, FloatArray]) -> Figure:
    """Histograms of the ranks of the real events, one panel per quantity, with the 95% band of a uniform rank."""
    lines = math.ceil(len(rows) / _COLUMNS)
    canvas, axes = figure(10.5, 1.3 * lines + 0.4, nrows=lines, ncols=_COLUMNS, squeeze=False, sharex=True)
    for panel, row in zip(axes.flat, rows, strict=False):
        own = ranks[row.quantity]
        low, high = stats.binom.interval(0.95, len(own), 1 / _BINS)
        panel.axhspan(low, high, color=COLORS["band"], alpha=0.5, linewidth=0)
        panel.hist(own, np.linspace(0, 1, _BINS + 1), color=_VERDICT[row.verdict], alpha=0.85)
        panel.set_title(f"{row.quantity}\np = {row.agreements['all'].p:.2g}", fontsize=6.5, fontweight="normal")
        panel.tick_params(labelsize=6)
        panel.grid(visible=False)
        panel.set_ylim(bottom=0)
    for panel in axes.flat[len(rows) :]:
        panel.set_axis_off()
    canvas.supxlabel("rank of the real value among its simulated twins", fontsize=9)
    canvas.supylabel("real events", fontsize=9)
    return canvas


def ratios_figure(rows: Sequence[Row]) -> Figure:
    """Real over simulated: ratio of medians (dots) and of means (open squares) with 95% intervals."""
    canvas, axes = figure(8.6, 0.235 * len(rows) + 1.2)
    for place, row in enumerate(rows):
        found, color = row.agreements["all"], _VERDICT[row.verdict]
        for value, (low, high), offset, marker, face in (
            (found.ratio, found.ratio_ci95, -0.14, "o", color),
            (found.mean_ratio, found.mean_ratio_ci95, 0.16, "s", "white"),
        ):
            if math.isfinite(value):
                axes.plot([low, high], [place + offset] * 2, color=color, linewidth=1.0)
                axes.plot(value, place + offset, marker, color=color, markerfacecolor=face, markersize=3.8)
        if row.verdict != "ok":
            text = f"p = {row.p_holm:.1g} ({row.verdict})"
            axes.annotate(
                text, (1.005, place), xycoords=("axes fraction", "data"), fontsize=7, va="center", color=color
            )
    axes.axvline(1.0, color=COLORS["baseline"], linewidth=1.0)
    axes.set_yticks(range(len(rows)), [row.quantity for row in rows], fontsize=7.5)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xscale("log")
    axes.set_xlim(0.45, 2.2)
    ticks = [0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.5, 2.0]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks], fontsize=8)
    axes.set_xticks([], minor=True)
    axes.set_xlabel("real / simulated: median of events (dots), sum of events (squares), 95% intervals")
    return canvas


def errors_figure(u: FloatArray, real_deg: FloatArray, twin_median_deg: FloatArray, title: str) -> Figure:
    """Ranks of real angular errors as a distribution function, and real errors against the twins' medians."""
    canvas, (left, right) = figure(9.0, 4.2, ncols=2)
    ordered, n = np.sort(u), len(u)
    left.step([0.0, *ordered, 1.0], [*np.arange(n + 1) / n, 1.0], where="post", color=COLORS["main"], label="real")
    reach = float(stats.kstwo.ppf(0.99, n))
    grid = np.linspace(0, 1, 101)
    left.fill_between(grid, (grid - reach).clip(0), (grid + reach).clip(None, 1), color=COLORS["band"], alpha=0.5)
    left.plot([0, 1], [0, 1], color=COLORS["baseline"], linewidth=1.0)
    left.set_xlabel("rank of the real error among its twins")
    left.set_ylabel("share of the real events below")
    left.set_title(title)
    right.loglog(twin_median_deg, real_deg, "o", color=COLORS["main"], markersize=4)
    span = [min(twin_median_deg.min(), real_deg.min()), 180.0]
    right.plot(span, span, color=COLORS["baseline"], linewidth=1.0)
    right.set_xlabel("median error of the twins [deg]")
    right.set_ylabel("error of the real event [deg]")
    return canvas
