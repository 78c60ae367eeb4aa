"""Figures of the plane ablation, and its one-page summary."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from snpoint.physics.baselines import ISOTROPIC_EXPECTATION
from snpoint.plots.canvas import COLORS, figure, style

ISOTROPIC_68_DEG = ISOTROPIC_EXPECTATION["containment_68_deg"]
_LABELS = {"none": "all planes", "A": "without A", "B": "without B", "X": "without X"}
_COLORS = {"none": "#222222", "A": COLORS["main"], "B": COLORS["second"], "X": COLORS["third"]}
_ORDER = tuple(_LABELS)


@style()
def containments(summary: dict[str, Any], title: str) -> Figure:
    """68% containment with 95% intervals, for each blank plane: all events and terciles of the energy."""
    groups = [("all events", summary["n"], summary["ablations"])]
    groups += [(f"{b['low_mev']:.0f}–{b['high_mev']:.0f} MeV", b["n"], b["ablations"]) for b in summary["by_energy"]]
    canvas, axes = figure(7.2, 4.2)
    for place, name in enumerate(_ORDER):
        x = np.arange(len(groups)) + 0.16 * (place - 1.5)
        values = np.array([group[2][name]["containment_68_deg"] for group in groups])
        intervals = np.array([group[2][name]["ci95"] for group in groups])
        errors = np.abs(intervals.T - values)
        axes.errorbar(x, values, errors, fmt="o", ms=6, lw=1.5, capsize=3, color=_COLORS[name], label=_LABELS[name])
    axes.axhline(ISOTROPIC_68_DEG, color=COLORS["baseline"], ls=":", lw=1.3)
    axes.text(
        len(groups) - 0.55, ISOTROPIC_68_DEG + 1.0, "random direction", ha="right", fontsize=9, color=COLORS["baseline"]
    )
    axes.set(
        ylabel="68% containment of the angular error [deg]",
        xlim=(-0.55, len(groups) - 0.45),
        ylim=(0, None),
        xticks=range(len(groups)),
        xticklabels=[f"{label}\nn = {n:,}" for label, n, _ in groups],
        title=title,
    )
    axes.grid(axis="x", visible=False)
    axes.set_ylim(0, max(axes.get_ylim()[1], 1.12 * ISOTROPIC_68_DEG))
    axes.legend(ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.16))
    return canvas


@style()
def distributions(errors_deg: NDArray[np.float32], title: str) -> Figure:
    """Share of events within an angle, (ablations, N), for each blank plane."""
    canvas, axes = figure(7.2, 4.2)
    shares = np.arange(1, errors_deg.shape[1] + 1) / errors_deg.shape[1]
    for name, errors in zip(_ORDER, errors_deg, strict=True):
        axes.step(np.sort(errors), shares, where="post", color=_COLORS[name], label=_LABELS[name])
    angles = np.linspace(0.0, 180.0, 181)
    isotropic = 0.5 * (1.0 - np.cos(np.radians(angles)))
    axes.plot(angles, isotropic, color=COLORS["baseline"], ls=":", lw=1.3, label="random direction")
    axes.axhline(0.68, color=COLORS["baseline"], lw=0.8)
    axes.text(178, 0.69, "68%", ha="right", fontsize=9, color=COLORS["baseline"])
    axes.set(
        xlabel="angular error [deg]",
        ylabel="share of test events within",
        xlim=(0, 180),
        ylim=(0, 1),
        xticks=range(0, 181, 30),
        title=title,
    )
    axes.legend(loc="lower right")
    return canvas


def containments_table(summary: dict[str, Any]) -> pd.DataFrame:
    """The numbers of `containments`, one row per group and blank plane."""
    groups: list[tuple[str, dict[str, Any]]] = [("all", summary)]
    groups += [(f"{part['low_mev']:.2f}-{part['high_mev']:.2f}_mev", part) for part in summary["by_energy"]]
    rows = []
    for label, group in groups:
        for name, values in group["ablations"].items():
            rows.append(
                {
                    "events": label,
                    "n": group["n"],
                    "blank_plane": name,
                    "containment_68_deg": values["containment_68_deg"],
                    "low_deg": values["ci95"][0],
                    "high_deg": values["ci95"][1],
                    "difference_deg": values["difference_deg"],
                    "difference_low_deg": values["difference_ci95"][0],
                    "difference_high_deg": values["difference_ci95"][1],
                }
            )
    return pd.DataFrame(rows)


def distributions_table(errors_deg: NDArray[np.float32]) -> pd.DataFrame:
    """The numbers of `distributions`: sorted errors of each ablation and the share of events within them."""
    columns = {f"error_deg_{name}": np.sort(row) for name, row in zip(_ORDER, errors_deg, strict=True)}
    return pd.DataFrame({"share": np.arange(1, errors_deg.shape[1] + 1) / errors_deg.shape[1], **columns})
