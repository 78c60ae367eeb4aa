"""Figures of real events among their simulated twins: ranks, and ratios."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from scipy import stats

from snpoint.physics.validation.real import Row
from snpoint.plots.canvas import COLORS, figure, style

FloatArray = npt.NDArray[np.float64]

_BINS, _COLUMNS = 8, 6
_VERDICT = {"ok": COLORS["main"], "named": COLORS["second"], "FAILED": COLORS["truth"]}
_SAID = {"ok": "agrees", "named": "disagrees as named", "FAILED": "disagrees"}
_LOW, _HIGH = 0.45, 2.2


@style()
def ranks_figure(rows: Sequence[Row], ranks: Mapping[str, FloatArray]) -> Figure:
    """Distributions of the ranks of the real events, one panel per quantity, with the 95% band of a uniform rank.

    Parameters
    ----------
    rows
        What came out.
    ranks
        Of each quantity, ranks for many drawings of ties, shape (draws, n); shown is their mean.
    """
    lines = math.ceil(len(rows) / _COLUMNS)
    canvas, axes = figure(10.5, 1.3 * lines + 0.7, nrows=lines, ncols=_COLUMNS, squeeze=False, sharex=True)
    edges = np.linspace(0, 1, _BINS + 1)
    for panel, row in zip(axes.flat, rows, strict=False):
        own = ranks[row.quantity]
        low, high = stats.binom.interval(0.95, own.shape[1], 1 / _BINS)
        panel.axhspan(low, high, color=COLORS["band"], alpha=0.5, linewidth=0)
        panel.stairs(np.histogram(own, edges)[0] / len(own), edges, color=_VERDICT[row.verdict], linewidth=1.4)
        panel.set_title(f"{row.quantity}\np = {row.agreements['all'].p:.2g}", fontsize=6.5, fontweight="normal")
        panel.tick_params(labelsize=6)
        panel.grid(visible=False)
        panel.set_ylim(bottom=0)
    for panel in axes.flat[len(rows) :]:
        panel.set_axis_off()
    handles = [Line2D([], [], color=_VERDICT[verdict], label=_SAID[verdict]) for verdict in _used(rows)]
    handles.append(Patch(color=COLORS["band"], alpha=0.5, label="95% of the bins, if ranks are uniform"))
    canvas.legend(handles=handles, loc="outside upper right", ncols=len(handles), fontsize=8)
    canvas.supxlabel("rank of the real value among its simulated twins (ties: mean over drawings)", fontsize=9)
    canvas.supylabel("real events", fontsize=9)
    return canvas


@style()
def ratios_figure(rows: Sequence[Row]) -> Figure:
    """Real over simulated: ratio of medians (dots) and of sums (open squares) with 95% intervals."""
    canvas, axes = figure(8.6, 0.235 * len(rows) + 1.6)
    for place, row in enumerate(rows):
        found, color = row.agreements["all"], _VERDICT[row.verdict]
        _with_interval(axes, found.ratio, found.ratio_ci95, place - 0.14, color, filled=True)
        _with_interval(axes, found.mean_ratio, found.mean_ratio_ci95, place + 0.16, color, filled=False)
        if row.verdict != "ok":
            text = f"p = {row.p_holm:.1g}"
            axes.annotate(
                text, (1.005, place), xycoords=("axes fraction", "data"), fontsize=7, va="center", color=color
            )
    axes.axvline(1.0, color=COLORS["baseline"], linewidth=1.0)
    axes.set_yticks(range(len(rows)), [row.quantity for row in rows], fontsize=7.5)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xscale("log")
    axes.set_xlim(_LOW, _HIGH)
    ticks = [0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.5, 2.0]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks], fontsize=8)
    axes.set_xticks([], minor=True)
    axes.set_xlabel("real / simulated, with 95% intervals")
    gray = COLORS["baseline"]
    handles = [
        Line2D([], [], color=gray, marker="o", markersize=4, label="median of events"),
        Line2D([], [], color=gray, marker="s", markersize=4, markerfacecolor="white", label="ratio of sums"),
        Line2D([], [], color=gray, marker="x", markersize=4, linestyle="", label="no median (few events have one)"),
        Line2D([], [], color=gray, marker="<", markersize=4, linestyle="", label="outside of the figure"),
        *(Patch(color=_VERDICT[verdict], label=_SAID[verdict]) for verdict in _used(rows)),
    ]
    canvas.legend(handles=handles, loc="outside upper right", ncols=len(handles), fontsize=7, handlelength=1.6)
    return canvas


def _with_interval(
    axes: Axes, value: float, interval: tuple[float, float], place: float, color: str, *, filled: bool
) -> None:
    """A ratio and its interval; a cross at the left edge where there is none, an arrow where it is off the figure."""
    low, high = interval
    if not math.isfinite(value):
        axes.plot(_LOW * 1.02, place, "x", color=color, markersize=3.5, markeredgewidth=0.9, clip_on=False)
        return
    axes.plot([max(low, _LOW), high], [place] * 2, color=color, linewidth=1.0)
    if _LOW <= value <= _HIGH:
        marker, at = "o" if filled else "s", value
    else:
        marker, at = ("<", _LOW * 1.02) if value < _LOW else (">", _HIGH / 1.02)
    axes.plot(at, place, marker, color=color, markerfacecolor=color if filled else "white", markersize=3.8)


def _used(rows: Sequence[Row]) -> list[str]:
    present = {row.verdict for row in rows}
    return [verdict for verdict in _VERDICT if verdict in present]


@style()
def errors_figure(
    u: FloatArray, real_deg: FloatArray, twin_median_deg: FloatArray, interaction: npt.NDArray[np.str_], title: str
) -> Figure:
    """Ranks of real angular errors as a distribution function, and real errors against the twins' medians."""
    canvas, (left, right) = figure(9.0, 4.2, ncols=2)
    ordered, n = np.sort(u), len(u)
    left.step([0.0, *ordered, 1.0], [*np.arange(n + 1) / n, 1.0], where="post", color=COLORS["main"], label="real")
    reach = float(stats.kstwo.ppf(0.99, n))
    grid = np.linspace(0, 1, 101)
    left.fill_between(
        grid, (grid - reach).clip(0), (grid + reach).clip(None, 1), color=COLORS["band"], alpha=0.5, linewidth=0,
        label="99% of all sets stay inside,\nif ranks are uniform (p > 0.01)",
    )  # fmt: skip
    left.plot([0, 1], [0, 1], color=COLORS["baseline"], linewidth=1.0)
    left.set_xlabel("rank of the real error among its twins")
    left.set_ylabel("share of the real events below")
    left.set_title(title)
    left.legend(loc="upper left")
    for kind, marker, color in (("ES", "D", COLORS["second"]), ("CC", "o", COLORS["main"])):
        own = interaction == kind
        right.loglog(twin_median_deg[own], real_deg[own], marker, color=color, markersize=4, label=kind)
    span = [min(twin_median_deg.min(), real_deg.min()), 180.0]
    right.plot(span, span, color=COLORS["baseline"], linewidth=1.0)
    right.set_xlabel("median error of the twins [deg]")
    right.set_ylabel("error of the real event [deg]")
    right.legend(loc="lower right")
    return canvas
