"""Figures of a dataset's card: example images, and what the dataset holds."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from snpoint.plots.canvas import COLORS, figure, style

_AXIS_COLORS = {"x": COLORS["main"], "y": COLORS["second"], "z": COLORS["third"]}
_FEW = 100
"""Images below which histograms get wide bins, and bars side by side instead of steps over one another."""


@style()
def examples(pictures: np.ndarray, titles: list[str], planes: Sequence[str]) -> Figure:
    """Example images, one column each.

    Parameters
    ----------
    pictures
        (n, 3, ticks, channels) ADC.
    titles
        One line or two above each column.
    planes
        Names of the three planes.
    """
    n, _, ticks, channels = pictures.shape
    canvas, axes = figure(1.35 * n + 0.9, 8.2, nrows=3, ncols=n, squeeze=False, sharex=True, sharey=True)
    extent = (-channels / 2, channels - channels / 2, -ticks / 2, ticks - ticks / 2)
    for row, plane in enumerate(planes):
        top = max(float(np.quantile(pictures[:, row].max(axis=(1, 2)), 0.75)), 1.0)
        norm = PowerNorm(0.5, vmin=0.0, vmax=top)
        for column in range(n):
            axis = axes[row, column]
            filled = np.ma.masked_equal(pictures[column, row], 0.0)
            shown = axis.imshow(filled, origin="lower", extent=extent, aspect="auto", norm=norm, cmap="magma_r")
            axis.grid(False)
            axis.spines[["top", "right"]].set_visible(True)
            if row == 0:
                axis.set_title(titles[column], fontsize=9, loc="center", weight="normal")
        axes[row, 0].set_ylabel(f"plane {plane}\ntick")
        canvas.colorbar(shown, ax=axes[row, :].tolist(), pad=0.01, fraction=0.03, label="ADC", extend="max")
    for axis in axes[-1]:
        axis.set_xlabel("channel")
    return canvas


@style()
def mosaic(pictures: np.ndarray, titles: list[str], columns: int) -> Figure:
    """Many images of one plane side by side, without axes.

    Parameters
    ----------
    pictures
        (n, ticks, channels) ADC.
    titles
        A few words for each, written into its corner.
    columns
        Images per row.
    """
    n, ticks, channels = pictures.shape
    rows = -(-n // columns)
    canvas, axes = figure(1.5 * columns + 0.6, 2.4 * rows, nrows=rows, ncols=columns, squeeze=False)
    canvas.get_layout_engine().set(w_pad=0.02, h_pad=0.02, hspace=0.0, wspace=0.0)
    top = max(float(np.quantile(pictures.max(axis=(1, 2)), 0.75)), 1.0)
    norm, shown = PowerNorm(0.5, vmin=0.0, vmax=top), None
    for place, axis in enumerate(axes.flat):
        axis.grid(False)
        if place >= n:
            axis.set_axis_off()
            continue
        axis.set(xticks=[], yticks=[])
        axis.spines[["top", "right"]].set_visible(True)
        filled = np.ma.masked_equal(pictures[place], 0.0)
        shown = axis.imshow(
            filled, origin="lower", aspect="auto", norm=norm, cmap="magma_r", extent=(0, channels, 0, ticks)
        )
        behind = {"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1.0}
        axis.text(0.04, 0.97, titles[place], transform=axis.transAxes, va="top", fontsize=8, bbox=behind)
    if shown is not None:
        canvas.colorbar(shown, ax=axes.ravel().tolist(), pad=0.01, fraction=0.02, aspect=40, label="ADC", extend="max")
    return canvas


@style()
def overview(columns: dict[str, Any], energy_edges_mev: np.ndarray) -> Figure:
    """What a dataset holds, in six panels.

    Parameters
    ----------
    columns
        ``direction`` (N, 3), ``energy_true_mev`` (N,), ``energy_reco_mev`` (N, 3), ``n_tps`` (N, 3), ``interaction``
        (N,), ``split`` (name -> count), ``volumes`` (pairs of name and count), ``planes`` (three names).
    energy_edges_mev
        Edges of the energy histograms.
    """
    canvas, axes = figure(12.6, 7.4, nrows=2, ncols=3)
    canvas.get_layout_engine().set(h_pad=0.12, w_pad=0.08)
    _energies(axes[0, 0], columns, energy_edges_mev)
    _response(axes[0, 1], columns)
    _labels(axes[0, 2], columns["direction"])
    _sizes(axes[1, 0], columns["n_tps"], columns["planes"])
    names = ["\n".join(name.rsplit(" ", 1)) for name, _ in columns["volumes"]]
    _bars(axes[1, 1], names, [n for _, n in columns["volumes"]], "Images per drift volume")
    _bars(axes[1, 2], list(columns["split"]), list(columns["split"].values()), "Images per split")
    return canvas


def png_uri(canvas: Figure) -> str:
    """A figure as a ``data:`` address for a page that needs no other file."""
    buffer = io.BytesIO()
    canvas.savefig(buffer, format="png", dpi=110)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _finite(values: np.ndarray) -> np.ndarray:
    return values[np.isfinite(values)]


def _capped(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Values beyond the last edge in the last bin."""
    return np.clip(values, edges[0], np.nextafter(edges[-1], 0.0))


def _nothing(axis: Any, text: str) -> None:
    axis.text(0.5, 0.5, text, ha="center", va="center", transform=axis.transAxes, color=COLORS["baseline"])
    axis.set_xticks([])
    axis.set_yticks([])
    axis.grid(False)


def _side_by_side(axis: Any, series: Sequence[tuple[str, np.ndarray]], many: np.ndarray, few: np.ndarray) -> None:
    """Histograms of three quantities: as steps in the bins ``many``, of few images as bars in the bins ``few``."""
    labels, values = [label for label, _ in series], [own for _, own in series]
    colors = list(_AXIS_COLORS.values())
    if max(map(len, values)) < _FEW:
        axis.hist(values, few, color=colors, label=labels, rwidth=0.85)
    else:
        for own, color, label in zip(values, colors, labels, strict=True):
            axis.hist(own, many, histtype="step", lw=1.8, color=color, label=label)


def _counts(axis: Any, room: float = 1.0) -> None:
    """The axis of counts: whole numbers, with some room for the legend."""
    axis.set_ylabel("images")
    axis.set_ylim(0, room * max(axis.get_ylim()[1], 1.0))
    axis.yaxis.set_major_locator(MaxNLocator("auto", integer=True))


def _energies(axis: Any, columns: dict[str, Any], edges: np.ndarray) -> None:
    true, reco = _finite(columns["energy_true_mev"]), columns["energy_reco_mev"][:, 2]
    if len(reco) < _FEW:
        edges = np.linspace(edges[0], edges[-1], 15)
    if len(true):
        axis.hist(_capped(true, edges), edges, color=COLORS["band"], label="electron, true (kinetic)")
    kinds = [(code, name) for code, name in ((1, "ES"), (2, "CC")) if (columns["interaction"] == code).any()]
    for (code, name), color in zip(kinds if len(kinds) > 1 else [], (COLORS["third"], COLORS["second"]), strict=False):
        own = _finite(columns["energy_true_mev"][columns["interaction"] == code])
        axis.hist(_capped(own, edges), edges, histtype="step", color=color, lw=1.4, ls="--", label=f"of {name}")
    axis.hist(_capped(reco, edges), edges, histtype="step", color=COLORS["main"], lw=1.8, label="main cluster, plane X")
    axis.set_title("Energy")
    axis.set_xlabel("energy [MeV] (last bin: and above)")
    _counts(axis, 1.3)
    axis.legend(loc="upper right")


def _response(axis: Any, columns: dict[str, Any]) -> None:
    axis.set_title("Reconstructed over true energy")
    true = columns["energy_true_mev"]
    known = np.isfinite(true) & (true > 0)
    if not known.any():
        _nothing(axis, "no truth")
        return
    ratios = columns["energy_reco_mev"][known] / true[known, None]
    series = [
        (f"{plane}: median {np.median(ratio):.2f}", np.clip(ratio, 0, 1.999))
        for plane, ratio in zip(columns["planes"], ratios.T, strict=True)
    ]
    _side_by_side(axis, series, np.linspace(0, 2, 41), np.linspace(0, 2, 11))
    axis.set_xlabel("main cluster / electron (last bin: and above)")
    _counts(axis, 1.3)
    axis.legend(loc="upper right")


def _labels(axis: Any, direction: np.ndarray) -> None:
    axis.set_title("Direction of the electron (labels)")
    known = direction[np.isfinite(direction).all(axis=1)].astype(np.float64)
    if not len(known):
        _nothing(axis, "no truth")
        return
    series = [
        (f"{name}: mean |d| {np.abs(own).mean():.3f}", own) for name, own in zip(_AXIS_COLORS, known.T, strict=True)
    ]
    n_bins = 5 if len(known) < _FEW else 20
    edges = np.linspace(-1, 1, n_bins + 1)
    _side_by_side(axis, series, edges, edges)
    expected = len(known) / n_bins
    scatter = np.sqrt(expected * (1 - 1 / n_bins))
    band = (max(expected - scatter, 0.0), expected + scatter)
    axis.axhspan(*band, color="#e9e9e9", zorder=0, label="its scatter (1 sigma)")
    axis.axhline(expected, color=COLORS["baseline"], ls="--", lw=1.2, label="isotropic (0.500)")
    axis.set_xlabel("component")
    _counts(axis, 1.6)
    axis.legend(loc="upper center", ncols=2)


def _sizes(axis: Any, n_tps: np.ndarray, planes: Sequence[str]) -> None:
    top = max(int(np.quantile(n_tps, 0.995)), 5) + 1
    many = np.arange(-0.5, top + 1.5) if top < 60 else np.linspace(-0.5, top + 0.5, 50)
    step = -(-(top + 1) // 8)
    few = np.arange(-0.5, top + step + 0.5, step)
    series = [
        (f"{plane}: median {np.median(own):.0f}", np.minimum(own, top))
        for plane, own in zip(planes, n_tps.T, strict=True)
    ]
    _side_by_side(axis, series, many, few)
    axis.set_title("TPs per image and plane")
    axis.set_xlabel("TPs (last bin: and more)")
    _counts(axis, 1.3)
    axis.legend(loc="upper right")


def _bars(axis: Any, names: list[str], counts: list[int], title: str) -> None:
    many = len(names) > 8
    bars = axis.bar(names, counts, color=COLORS["main"], width=0.7)
    axis.bar_label(bars, labels=[f"{count:,}" for count in counts], fontsize=8, rotation=90 if many else 0, padding=2)
    axis.tick_params(axis="x", labelsize=8 if len(names) > 4 else 10, rotation=90 if many else 0)
    axis.set_title(title)
    _counts(axis, 1.15)
