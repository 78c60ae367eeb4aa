"""Figures of direction predictions on the test split, beside what chance and a straight axis reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from snpoint.physics.baselines import ISOTROPIC_EXPECTATION
from snpoint.plots.canvas import COLORS, figure, style

Floats = NDArray[np.floating[Any]]
Bins = Sequence[Mapping[str, Any]]
FRACTION = 0.68
NETWORK, AXIS, CHANCE = "network", "principal axis + blip vote", "isotropic"


@dataclass(frozen=True)
class Interval:
    """A figure of merit and its 95% interval."""

    value: float
    low: float
    high: float

    @property
    def text(self) -> str:
        """As in ``45.0 deg (43.2-46.8)``."""
        return f"{self.value:.1f}° ({self.low:.1f}–{self.high:.1f})"


@style()
def angular_error(network: Floats, axis: Floats | None, containment: Interval) -> tuple[Figure, pd.DataFrame]:
    """Angular errors (N,) [deg]: how they are distributed, and what share lies within an angle; axis may be None."""
    canvas, (left, right) = figure(9.8, 4.1, ncols=2)
    edges = np.linspace(0, 180, 37)
    middle = 0.5 * (edges[1:] + edges[:-1])
    table = pd.DataFrame({"low_deg": edges[:-1], "high_deg": edges[1:]})
    table["network"] = _density(network, edges)
    table["isotropic"] = -np.diff(np.cos(np.radians(edges))) / 2 / np.diff(edges)
    left.stairs(table["network"], edges, fill=True, color=COLORS["band"], alpha=0.55)
    left.stairs(table["network"], edges, color=COLORS["main"], lw=1.8, label=NETWORK)
    if axis is not None:
        table["principal_axis_blip_vote"] = _density(axis, edges)
        left.stairs(table["principal_axis_blip_vote"], edges, color=COLORS["second"], lw=1.4, label=AXIS)
    left.plot(middle, table["isotropic"], color=COLORS["baseline"], ls="--", lw=1.4, label=CHANCE)
    left.set(xlabel="angle to the true direction [deg]", ylabel="events per degree (normalized)")
    left.set_title("Angular error")
    angles = np.linspace(0, 180, 721)
    for values, color, label in ((network, COLORS["main"], NETWORK), (axis, COLORS["second"], AXIS)):
        if values is not None:
            share = np.searchsorted(np.sort(values), angles, side="right") / len(values)
            right.plot(angles, share, color=color, label=label)
    right.plot(angles, (1 - np.cos(np.radians(angles))) / 2, color=COLORS["baseline"], ls="--", lw=1.4, label=CHANCE)
    right.axhline(FRACTION, color=COLORS["truth"], lw=0.9, ls=":")
    right.set(xlabel="angle to the true direction [deg]", ylabel="share of events within", ylim=(0, 1.02))
    right.set_title("Containment")
    for axes in (left, right):
        axes.axvspan(containment.low, containment.high, color=COLORS["truth"], alpha=0.15, lw=0)
        axes.axvline(containment.value, color=COLORS["truth"], lw=1.3, label=f"68%: {containment.text}")
        axes.set(xlim=(0, 180), xticks=range(0, 181, 30))
    left.legend()
    right.legend(loc="lower right")
    return canvas, table


@style()
def cosine(network: Floats, axis: Floats | None, fractions: Mapping[str, float]) -> tuple[Figure, pd.DataFrame]:
    """Cosines (N,) of the angular errors, axis may be None; the shares of the usual four classes are written in."""
    canvas, axes = figure(7.2, 4.2)
    edges = np.linspace(-1, 1, 41)
    table = pd.DataFrame({"low": edges[:-1], "high": edges[1:]})
    table["network"] = _density(network, edges)
    axes.stairs(table["network"], edges, fill=True, color=COLORS["band"], alpha=0.55)
    axes.stairs(table["network"], edges, color=COLORS["main"], lw=1.8, label=NETWORK)
    if axis is not None:
        table["principal_axis_blip_vote"] = _density(axis, edges)
        axes.stairs(table["principal_axis_blip_vote"], edges, color=COLORS["second"], lw=1.4, label=AXIS)
    drawn = table.drop(columns=["low", "high"]).to_numpy()
    axes.axhline(0.5, color=COLORS["baseline"], ls="--", lw=1.4, label=CHANCE)
    top = 2.5 * max(drawn.max(), 0.5)
    names = {"cos_below_-0.7": -0.85, "cos_within_0.7": 0.0, "cos_0.7_to_0.9": 0.8, "cos_above_0.9": 0.95}
    for border in (-0.7, 0.7, 0.9):
        axes.axvline(border, color=COLORS["baseline"], lw=0.8, ls=":")
    for name, position in names.items():
        axes.text(position, top * 0.93, f"{100 * fractions[name]:.0f}%", ha="center", va="top", color=COLORS["main"])
    axes.set(yscale="log", xlim=(-1, 1), ylim=(max(0.5 * drawn[drawn > 0].min(), 1e-3), top))
    axes.set(
        xlabel="cos θ to the true direction", ylabel="density per unit cosine", title="Cosine of the angular error"
    )
    axes.legend(loc="upper left", bbox_to_anchor=(0.16, 0.93))
    return canvas, table


@style()
def energy(network: Bins, axis: Bins | None) -> tuple[Figure, pd.DataFrame]:
    """68% containment and share of wrong heads over the true energy, with 95% intervals; bins as in metrics.json.

    ``axis`` may be None.
    """
    canvas, (left, right) = figure(9.8, 4.1, ncols=2)
    rows = []
    for name, bins, color in ((NETWORK, network, COLORS["main"]), (AXIS, axis or (), COLORS["second"])):
        if not bins:
            continue
        for axes, key, factor in ((left, "containment_68_deg", 1.0), (right, "flipped_fraction", 100.0)):
            _points(axes, bins, key, factor, color, name)
        rows += [_energy_row(name, entry) for entry in bins]
    left.axhline(ISOTROPIC_EXPECTATION["containment_68_deg"], color=COLORS["baseline"], ls="--", lw=1.4, label=CHANCE)
    right.axhline(
        100 * ISOTROPIC_EXPECTATION["flipped_fraction"], color=COLORS["baseline"], ls="--", lw=1.4, label=CHANCE
    )
    left.set(ylabel="68% containment [deg]", title="Resolution and energy", ylim=(0, 215), yticks=range(0, 181, 30))
    right.set(ylabel="more than 90° off [%]", title="Head and tail", ylim=(0, 62))
    for axes in (left, right):
        axes.set(xlabel="true kinetic energy [MeV]", xscale="log")
        ticks = [tick for tick in (3, 5, 7, 10, 15, 20, 30, 40, 60, 100) if _inside(tick, network)]
        axes.set_xticks(ticks, [str(tick) for tick in ticks])
        axes.minorticks_off()
    left.legend()
    return canvas, pd.DataFrame(rows)


@style()
def components(true: Floats, predicted: Floats, bias: Mapping[str, float]) -> tuple[Figure, pd.DataFrame]:
    """Predicted against true components (N, 3), and their differences."""
    canvas, axes = figure(9.8, 6.2, nrows=2, ncols=3, height_ratios=(1.25, 1))
    edges = np.linspace(-2, 2, 41)
    table = pd.DataFrame({"low": edges[:-1], "high": edges[1:]})
    names = ("x (drift)", "y (up)", "z (beam)")
    for column, (short, name) in enumerate(zip("xyz", names, strict=True)):
        upper, lower = axes[:, column]
        upper.hist2d(
            true[:, column],
            predicted[:, column],
            bins=30,
            range=((-1, 1), (-1, 1)),
            cmap="Blues",
            cmin=1,
            rasterized=True,
        )
        upper.plot([-1, 1], [-1, 1], color=COLORS["second"], lw=1, ls="--")
        upper.set(xlabel=f"true {short}", title=name, aspect="equal")
        difference = predicted[:, column] - true[:, column]
        table[short] = _density(difference, edges)
        lower.stairs(table[short], edges, fill=True, color=COLORS["band"], alpha=0.55)
        lower.stairs(table[short], edges, color=COLORS["main"])
        lower.axvline(bias[short], color=COLORS["truth"], lw=1.3, label=f"mean {bias[short]:+.3f}")
        lower.set(xlabel=f"predicted - true {short}", xlim=(-2, 2), ylim=(0, 1.25 * table[short].max()), yticks=[])
        lower.legend(loc="upper right")
    axes[0, 0].set_ylabel("predicted")
    axes[1, 0].set_ylabel("events (normalized)")
    return canvas, table


@style()
def confidence(error_deg: Floats, kappa: Floats, head: Floats) -> tuple[Figure, pd.DataFrame]:
    """Does the network know how well it does? Errors (N,) over kappa, and right heads over the head probability."""
    canvas, (left, right) = figure(9.8, 4.1, ncols=2)
    axis_error = np.minimum(error_deg, 180 - error_deg)
    left.hist2d(
        np.log10(kappa), axis_error, bins=(40, 36), range=(_span(np.log10(kappa)), (0, 90)), cmap="Blues", cmin=1
    )
    table = _by_quantile(kappa, axis_error, np.full(len(kappa), np.nan), "kappa")
    x = np.log10(table["mean"])
    left.plot(x, table["containment_68_deg"], "o-", ms=4, color=COLORS["second"], label="68% of the events")
    k = np.logspace(*_span(np.log10(kappa)), 100)
    left.plot(np.log10(k), _axis_containment(k), color=COLORS["truth"], ls="--", lw=1.3, label="68% if κ is right")
    left.set(xlabel="log10 κ (concentration)", ylabel="axis error [deg]", title="Concentration", ylim=(0, 90))
    left.legend(loc="upper right")
    heads = _by_quantile(head, axis_error, (error_deg < 90).astype(float), "head_probability")
    right.plot([0.5, 1], [0.5, 1], color=COLORS["baseline"], ls="--", lw=1.4, label="calibrated")
    spread = np.sqrt(np.maximum(heads["right_head"] * (1 - heads["right_head"]), 1e-4) / heads["n"])
    right.errorbar(heads["mean"], heads["right_head"], spread, fmt="o", ms=4, color=COLORS["main"], label="test events")
    right.set(xlabel="head probability", ylabel="share with the right head", title="Head and tail")
    right.set(xlim=(0.48, 1.02), ylim=(min(0.4, heads["right_head"].min() - 0.1), 1.03))
    right.legend(loc="upper left")
    return canvas, pd.concat([table, heads], ignore_index=True)


def _density(values: Floats, edges: Floats) -> Floats:
    counts = np.histogram(values, edges)[0]
    return counts / (max(len(values), 1) * np.diff(edges))


def _points(axes: mpl.axes.Axes, bins: Bins, key: str, factor: float, color: str, label: str) -> None:
    filled = [entry for entry in bins if entry["n"] > 0]
    values = np.array([entry[key] for entry in filled]) * factor
    low, high = np.array([entry["ci95"][key] for entry in filled]).reshape(-1, 2).T * factor
    edges = np.array([[entry["low_mev"], entry["high_mev"]] for entry in filled]).reshape(-1, 2)
    # Points sit in the logarithmic middle, the second estimate a little beside it, so that bars do not cover bars.
    middle = np.sqrt(np.maximum(edges[:, 0], 0.5) * edges[:, 1]) * (1.0 if label == NETWORK else 1.03)
    axes.errorbar(
        *(middle, values),
        xerr=np.abs(edges.T - middle),
        yerr=np.clip([values - low, high - values], 0, None),
        fmt="o",
        ms=4.5,
        lw=1.4,
        color=color,
        label=label,
    )


def _inside(energy_mev: float, bins: Bins) -> bool:
    return bool(bins[0]["low_mev"] <= energy_mev <= bins[-1]["high_mev"])


def _energy_row(name: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    row = {"estimate": name, **{key: entry[key] for key in ("low_mev", "high_mev", "n")}}
    for key in ("containment_68_deg", "flipped_fraction"):
        low, high = entry["ci95"][key] or (None, None)
        row |= {key: entry[key], f"{key}_low": low, f"{key}_high": high}
    return row


def _span(values: Floats) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    return (low - 0.05, high + 0.05) if high - low < 0.1 else (low, high)


def _axis_containment(kappa: Floats) -> Floats:
    """68% containment of the axis error for von Mises-Fisher at both ends [deg]: P(|cos| > c) = 0.68."""
    cosines = np.linspace(0, 1, 1001)
    cumulative = np.sinh(np.minimum(kappa, 300.0)[:, None] * cosines) / np.sinh(np.minimum(kappa, 300.0))[:, None]
    return np.degrees(np.arccos([np.interp(1 - FRACTION, row, cosines) for row in cumulative]))


def _by_quantile(values: Floats, axis_error: Floats, right_head: Floats, name: str) -> pd.DataFrame:
    """Events in groups of equal size, ordered by ``values``."""
    groups = [group for group in np.array_split(np.argsort(values), min(10, max(len(values) // 10, 1))) if len(group)]
    return pd.DataFrame(
        {
            "of": name,
            "n": [len(group) for group in groups],
            "mean": [float(values[group].mean()) for group in groups],
            "containment_68_deg": [float(np.quantile(axis_error[group], FRACTION)) for group in groups],
            "right_head": [float(right_head[group].mean()) for group in groups],
        }
    )
