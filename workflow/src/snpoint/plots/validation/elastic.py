"""Figure of elastic scattering: spectra of the electrons, scattering angles beside their references."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from snpoint.plots.canvas import COLORS, figure, style

Floats = NDArray[np.float64]
Rows = Sequence[tuple[float, float, Sequence[float]]]
"""Lowest and highest kinetic energy [MeV], and the angles [deg] that hold each of the fractions."""

_KINDS = {"nue": "νe", "nuebar": "anti-νe", "nux": "νμ, ντ", "nuxbar": "anti-νμ, anti-ντ"}
_LINES = (COLORS["main"], COLORS["second"], COLORS["third"], COLORS["truth"])


@style()
def draw(
    edges_mev: Floats,
    spectra: Mapping[str, Mapping[str, Floats]],
    fractions: Sequence[float],
    ours: Rows,
    reference: Rows,
    tolerance: float,
    title: str,
) -> Figure:
    """Four panels.

    Parameters
    ----------
    edges_mev : ndarray, shape (n + 1,)
        Bins of the kinetic energy.
    spectra : mapping
        Oscillation -> kind of neutrino -> events per bin, shape (n,).
    fractions, ours, reference
        Shares of the events, and the angles that hold them.
    tolerance : float
        Half width of the band of ratios.
    """
    canvas, axes = figure(9.0, 6.6, nrows=2, ncols=2)
    _kinds(axes[0, 0], edges_mev, spectra["none"])
    _oscillation(axes[0, 1], edges_mev, spectra)
    _angles(axes[1, 0], fractions, ours, reference)
    _ratios(axes[1, 1], fractions, ours, reference, tolerance)
    canvas.suptitle(title, x=0.01, ha="left", fontweight="bold")
    return canvas


def _spectrum(axes: Axes, edges: Floats, counts: Floats, color: str, label: str) -> None:
    axes.stairs(
        counts / np.diff(edges), edges, baseline=None, color=color, lw=1.6, label=f"{label}: {counts.sum():.0f}"
    )


def _kinds(axes: Axes, edges: Floats, counts: Mapping[str, Floats]) -> None:
    for (kind, name), color in zip(_KINDS.items(), _LINES, strict=True):
        _spectrum(axes, edges, counts[kind], color, name)
    axes.set(xlabel="electron kinetic energy [MeV]", ylabel="events per MeV", yscale="log", ylim=(1e-2, None))
    axes.legend(title="no oscillation")


def _oscillation(axes: Axes, edges: Floats, spectra: Mapping[str, Mapping[str, Floats]]) -> None:
    for (oscillation, counts), color in zip(spectra.items(), _LINES, strict=False):
        _spectrum(axes, edges, np.sum(list(counts.values()), axis=0), color, oscillation)
    axes.set(xlabel="electron kinetic energy [MeV]", ylabel="events per MeV", yscale="log", ylim=(1e-2, None))
    axes.legend(title="all flavors")


def _angles(axes: Axes, fractions: Sequence[float], ours: Rows, reference: Rows) -> None:
    for place, (fraction, color) in enumerate(zip(fractions, _LINES, strict=True)):
        edges = [low for low, _, _ in ours] + [ours[-1][1]]
        axes.stairs([angles[place] for _, _, angles in ours], edges, baseline=None, color=color, lw=1.6)
        middle = [0.5 * (low + high) for low, high, _ in reference]
        axes.plot(middle, [angles[place] for _, _, angles in reference], "o", color=color, label=f"{fraction:.0%}")
    axes.set(xlabel="electron kinetic energy [MeV]", ylabel="angle electron – neutrino [deg]", yscale="log")
    axes.set_yticks([3, 5, 10, 20, 30], ["3", "5", "10", "20", "30"])
    axes.minorticks_off()
    axes.legend(title="share inside; points: reference")


def _ratios(axes: Axes, fractions: Sequence[float], ours: Rows, reference: Rows, tolerance: float) -> None:
    axes.axhspan(1 - tolerance, 1 + tolerance, color=COLORS["band"], alpha=0.5, lw=0, label=f"±{tolerance:.1%}")
    axes.axhline(1.0, color=COLORS["baseline"], lw=0.8)
    for place, (fraction, color) in enumerate(zip(fractions, _LINES, strict=True)):
        ratio = [a[2][place] / b[2][place] for a, b in zip(ours, reference, strict=True)]
        places = np.arange(len(ours)) + 0.12 * (place - 1.5)
        axes.plot(places, ratio, "o", color=color, label=f"{fraction:.0%}")
    labels = [f"{low:g}–{high:g}" for low, high, _ in ours]
    axes.set(
        xlabel="electron kinetic energy [MeV]", ylabel="angle / reference", ylim=(1 - 2 * tolerance, 1 + 2 * tolerance)
    )
    axes.set_xticks(np.arange(len(ours)), labels, fontsize=9)
    axes.legend(ncols=3)
