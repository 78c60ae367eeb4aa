"""Figures of a dataset's card: example images, and what the dataset holds."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from snpoint.plots.canvas import COLORS, figure, style

_AXIS_COLORS = {"x": COLORS["main"], "y": COLORS["second"], "z": COLORS["third"]}


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
        axis.text(0.04, 0.97, titles[place], transform=axis.transAxes, va="top", fontsize=8)
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


def _energies(axis: Any, columns: dict[str, Any], edges: np.ndarray) -> None:
    true, reco = _finite(columns["energy_true_mev"]), columns["energy_reco_mev"][:, 2]
    if len(true):
        axis.hist(_capped(true, edges), edges, color=COLORS["band"], label="electron, true (kinetic)")
    kinds = [(code, name) for code, name in ((1, "ES"), (2, "CC")) if (columns["interaction"] == code).any()]
    for (code, name), color in zip(kinds if len(kinds) > 1 else [], (COLORS["third"], COLORS["second"]), strict=False):
        own = _finite(columns["energy_true_mev"][columns["interaction"] == code])
        axis.hist(_capped(own, edges), edges, histtype="step", color=color, lw=1.4, ls="--", label=f"of {name}")
    axis.hist(_capped(reco, edges), edges, histtype="step", color=COLORS["main"], lw=1.8, label="main cluster, plane X")
    axis.set_title("Energy")
    axis.set_xlabel("energy [MeV]")
    axis.set_ylabel("images")
    axis.legend()


def _response(axis: Any, columns: dict[str, Any]) -> None:
    axis.set_title("Reconstructed over true energy")
    true = columns["energy_true_mev"]
    known = np.isfinite(true) & (true > 0)
    if not known.any():
        _nothing(axis, "no truth")
        return
    for index, (plane, color) in enumerate(zip(columns["planes"], _AXIS_COLORS.values(), strict=True)):
        ratio = columns["energy_reco_mev"][known, index] / true[known]
        label = f"{plane}: median {np.median(ratio):.2f}"
        axis.hist(np.clip(ratio, 0, 1.999), np.linspace(0, 2, 41), histtype="step", lw=1.8, color=color, label=label)
    axis.set_xlabel("main cluster / electron (last bin: and above)")
    axis.set_ylabel("images")
    axis.legend()


def _labels(axis: Any, direction: np.ndarray) -> None:
    axis.set_title("Direction of the electron (labels)")
    known = direction[np.isfinite(direction).all(axis=1)]
    if not len(known):
        _nothing(axis, "no truth")
        return
    edges = np.linspace(-1, 1, 21)
    for index, (name, color) in enumerate(_AXIS_COLORS.items()):
        mean = np.abs(known[:, index]).mean()
        axis.hist(known[:, index], edges, histtype="step", lw=1.8, color=color, label=f"{name}: mean |d| {mean:.3f}")
    expected = len(known) / (len(edges) - 1)
    axis.axhspan(expected - np.sqrt(expected), expected + np.sqrt(expected), color="#e9e9e9", zorder=0)
    axis.axhline(expected, color=COLORS["baseline"], ls="--", lw=1.2, label="isotropic (0.500)")
    axis.set_ylim(0, 1.45 * axis.get_ylim()[1])
    axis.set_xlabel("component")
    axis.set_ylabel("images")
    axis.legend(loc="upper center", ncols=2)


def _sizes(axis: Any, n_tps: np.ndarray, planes: Sequence[str]) -> None:
    top = max(int(np.quantile(n_tps, 0.995)), 5) + 1
    edges = np.arange(-0.5, top + 1.5) if top < 60 else np.linspace(-0.5, top + 0.5, 50)
    for index, (plane, color) in enumerate(zip(planes, _AXIS_COLORS.values(), strict=True)):
        label = f"{plane}: median {np.median(n_tps[:, index]):.0f}"
        axis.hist(np.minimum(n_tps[:, index], top), edges, histtype="step", lw=1.8, color=color, label=label)
    axis.set_title("TPs per image and plane")
    axis.set_xlabel("TPs (last bin: and more)")
    axis.set_ylabel("images")
    axis.legend()


def _bars(axis: Any, names: list[str], counts: list[int], title: str) -> None:
    bars = axis.bar(names, counts, color=COLORS["main"], width=0.7)
    axis.bar_label(bars, labels=[f"{count:,}" for count in counts], fontsize=8)
    axis.tick_params(axis="x", labelsize=8 if len(names) > 4 else 10)
    axis.margins(y=0.12)
    axis.set_title(title)
    axis.set_ylabel("images")
