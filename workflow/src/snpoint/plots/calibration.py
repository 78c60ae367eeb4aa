"""Figures of the calibration: scale of each plane, its dependence on the charge, and the two energy studies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from numpy.typing import NDArray

from snpoint.physics.calibration import LEAST_ELECTRONS, REFERENCE_ELECTRONS
from snpoint.physics.energystudies import ENERGIES, TOLERANCE_MEV, Tracks
from snpoint.plots.canvas import COLORS, style
from snpoint.plots.pages import plot_page

PLANES = ("U", "V", "X")
_PLANE_COLORS = (COLORS["main"], COLORS["second"], COLORS["third"])
_MOST_POINTS = 4000
"""Points of a scatter plot; more make a blot and a slow file."""
_FEW = 100
"""Entries of a histogram below which it gets wide bins."""

Columns = Mapping[str, NDArray[Any]]


def with_error(value: float, error: float | None) -> str:
    """A factor [ADC per MeV] and its standard error, which is unknown where it was measured on one event."""
    return f"{value:.0f} ± " + ("unknown" if error is None else f"{error:.0f}")


def _marks(n: int) -> dict[str, Any]:
    """Looks of the points of a scatter plot: the fewer there are, the larger and the darker."""
    size, alpha = (4.5, 0.75) if n < 300 else (3.5, 0.55) if n < 2000 else (2.5, 0.4)
    return {"marker": "o", "ls": "", "ms": size, "alpha": alpha, "mew": 0, "rasterized": True}


@style()
def scale(tps: Columns, found: dict[str, Any], predecessor: tuple[float, float, float]) -> tuple[Figure, pd.DataFrame]:
    """ADC of TPs against the energy behind them, per plane, with the calibrated line and the predecessor's."""
    caption = (
        f"One point per TP (at most {_MOST_POINTS:,} are drawn). Calibrated: ratio of the sums over all TPs of a plane."
    )
    canvas, axes = plot_page("ADC of TPs against the energy behind them", caption, ncols=3)
    for number, (axis, plane) in enumerate(zip(axes, PLANES, strict=True)):
        own = np.flatnonzero(tps["plane"] == number)
        rows = own[:: max(1, len(own) // _MOST_POINTS)]
        edep, adc = tps["edep_mev"][rows], tps["adc_integral"][rows] / 1000.0
        axis.plot(edep, adc, color="#4a4a4a", **_marks(len(rows)))
        top = float(np.quantile(tps["edep_mev"][own], 0.998)) * 1.05
        factor = found["adc_per_mev"][plane]
        known = with_error(factor, found["adc_per_mev_error"][plane])
        line = np.array([0.0, top])
        axis.plot(line, line * factor / 1000, color=COLORS["main"], label=f"calibrated: {known}")
        old = predecessor[number]
        axis.plot(line, line * old / 1000, color=COLORS["truth"], ls="--", label=f"predecessor: {old:.0f}")
        highest = float(np.quantile(tps["adc_integral"][own], 0.998)) / 1000
        axis.set(xlim=(0, top), ylim=(0, 1.15 * max(highest, top * factor / 1000)))
        axis.set(xlabel="true deposit of the TP [MeV]", title=f"Plane {plane}, {len(own):,} TPs")
        axis.legend(title="ADC per MeV", loc="upper left")
    axes[0].set_ylabel("ADC integral of the TP [1000]")
    table = pd.DataFrame(
        {
            "plane": PLANES,
            "adc_per_mev": [found["adc_per_mev"][plane] for plane in PLANES],
            "adc_per_mev_error": [found["adc_per_mev_error"][plane] for plane in PLANES],
            "predecessor": predecessor,
            "n_tps": [found["n_tps"][plane] for plane in PLANES],
        }
    )
    return canvas, table


@style()
def linearity(tps: Columns, found: dict[str, Any]) -> tuple[Figure, pd.DataFrame]:
    """ADC per electron against the charge: median and 16-84% band in bins, and the power law.

    The table has no rows where no plane has enough TPs of known charge: there is nothing to show then.
    """
    caption = (
        f"Median of TPs of similar charge, with the band of 68% of them, and the power law fitted above "
        f"{LEAST_ELECTRONS:,.0f} electrons (below: grey). A linear response is flat."
    )
    canvas, axes = plot_page("ADC per electron against the charge", caption, ncols=3)
    rows: list[dict[str, Any]] = []
    for number, (axis, plane) in enumerate(zip(axes, PLANES, strict=True)):
        own = (tps["plane"] == number) & (np.nan_to_num(tps["n_electrons"]) > 0)
        electrons = tps["n_electrons"][own].astype(np.float64)
        bins = _binned(electrons, tps["adc_integral"][own] / electrons)
        axis.set(xscale="log", xlabel="electrons behind the TP [1000]", title=f"Plane {plane}")
        rows += [{"plane": plane, **row} for row in bins]
        if bins:
            x, low, median, high = (
                np.array([row[key] for row in bins]) for key in ("electrons", "p16", "median", "p84")
            )
            axis.fill_between(x / 1000, low, high, color=COLORS["band"], alpha=0.6, lw=0, label="68% of TPs")
            axis.plot(x / 1000, median, "o-", color=COLORS["main"], ms=4, label="median")
            # the smallest charges have the largest ratios, and the widest: they do not set the scale if others can
            large = high[x > LEAST_ELECTRONS / 2]
            axis.set_ylim(0, max(1.35 * float((large if len(large) else high).max()), 1.1 * float(median.max())))
            axis.set_xlim(0.97 * x.min() / 1000, 1.03 * x.max() / 1000)
        _power_law(axis, found["power_law"][plane], electrons)
        axis.axvspan(axis.get_xlim()[0], LEAST_ELECTRONS / 1000, color="#f0f0f0", zorder=0)
        _plain_log_ticks(axis.xaxis, *axis.get_xlim())
        if axis.get_legend_handles_labels()[0]:
            axis.legend(loc="upper right", frameon=True, framealpha=0.85, edgecolor="none")
    axes[0].set_ylabel("ADC per electron")
    return canvas, pd.DataFrame(rows)


def _plain_log_ticks(axis: Any, low: float, high: float) -> None:
    """Ticks of a logarithmic axis at few round numbers, written out: not 10 beside 2 x 10^1, none over another."""
    span = high / low
    axis.set_major_locator(MaxNLocator(4) if span < 4 else LogLocator(subs=(1, 2, 5) if span < 60 else (1,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def _binned(electrons: NDArray[Any], ratio: NDArray[Any]) -> list[dict[str, Any]]:
    """Quantiles of the ratio in bins of equal population."""
    if len(electrons) < 20:
        return []
    order = np.argsort(electrons)
    parts = np.array_split(order, min(20, len(order) // 10))
    return [
        dict(
            zip(
                ("electrons", "p16", "median", "p84", "n"),
                (float(np.median(electrons[part])), *np.quantile(ratio[part], (0.16, 0.5, 0.84)).tolist(), len(part)),
                strict=True,
            )
        )
        for part in parts
    ]


def _power_law(axis: Any, law: dict[str, Any] | None, electrons: NDArray[Any]) -> None:
    if law is None:
        return
    x = np.geomspace(LEAST_ELECTRONS, max(electrons.max(), 2 * LEAST_ELECTRONS), 50)
    label = f"{law['adc_per_electron']:.4f} (q / {REFERENCE_ELECTRONS / 1000:.0f}k)$^{{{law['power']:+.3f}}}$"
    y = law["adc_per_electron"] * (x / REFERENCE_ELECTRONS) ** law["power"]
    axis.plot(x / 1000, y, color=COLORS["truth"], ls="--", label=label)


@style()
def mismatch(tracks: Tracks, energies: dict[str, NDArray[Any]]) -> tuple[Figure, pd.DataFrame]:
    """First study: energy against momentum, and the missing energy, for each definition of the energy."""
    caption = (
        f"Above: one point per event and plane; within {TOLERANCE_MEV:g} MeV in the grey band. Below: what each energy "
        "misses of the momentum; the outer bins hold what is beyond them, and 'off' is the share outside of the grey "
        "band."
    )
    title = "Energy of the dominant particle against the momentum of the electron"
    canvas, axes = plot_page(title, caption, nrows=2, ncols=3)
    top = 1.1 * float(max(tracks.momentum_mev.max(), 1.0))
    rows = slice(None, None, max(1, len(tracks.momentum_mev) // _MOST_POINTS))
    for axis, (name, energy) in zip(axes[0], energies.items(), strict=True):
        for number, color in enumerate(_PLANE_COLORS):
            own = tracks.plane[rows] == number
            points = tracks.momentum_mev[rows][own], np.minimum(energy[rows][own], top)
            axis.plot(*points, color=color, label=PLANES[number], **_marks(3 * len(points[0])))
        line = np.array([0.0, top])
        axis.fill_between(line, line - TOLERANCE_MEV, line + TOLERANCE_MEV, color="#ececec", lw=0, zorder=0)
        axis.plot(line, line, color=COLORS["baseline"], ls="--", lw=1.2)
        axis.set(xlim=(0, top), ylim=(0, top), xlabel="momentum [MeV]")
        axis.set_title(_title(name), fontsize=9.5)
    axes[0, 0].set_ylabel("energy [MeV]")
    # a deposit is hardly ever above the momentum: of the three panels this one has room there
    for mark in axes[0, 2].legend(title="plane", loc="upper left").legend_handles:
        mark.set(alpha=1.0, markersize=5.0)
    for number, axis in enumerate(axes[1]):
        _missing(axis, tracks, energies, number)
    axes[1, 0].set_ylabel("events")
    table = pd.DataFrame({"plane": tracks.plane, "momentum_mev": tracks.momentum_mev, **energies})
    return canvas, table


def _missing(axis: Any, tracks: Tracks, energies: dict[str, NDArray[Any]], plane: int) -> None:
    own = tracks.plane == plane
    edges = np.arange(-15.0, 35.1, 5.0 if own.sum() < _FEW else 2.5)
    looks: dict[str, dict[str, Any]] = {
        "predecessor": {"histtype": "step", "color": COLORS["truth"], "lw": 1.8, "zorder": 3},
        "calibrated": {"histtype": "step", "color": "#222222", "lw": 1.8, "ls": "--", "zorder": 4},
        "deposited": {"histtype": "stepfilled", "color": COLORS["band"], "zorder": 2},
    }
    for name, energy in energies.items():
        missing = tracks.momentum_mev[own] - energy[own]
        share = float((np.abs(missing) > TOLERANCE_MEV).mean()) if own.any() else 0.0
        label = f"{name}: {100 * share:.0f}% off"
        shown = np.clip(missing, edges[0], np.nextafter(edges[-1], 0))
        axis.hist(shown, edges, label=label, **looks[name])
    axis.axvspan(-TOLERANCE_MEV, TOLERANCE_MEV, color="#ececec", zorder=0)
    axis.set(xlim=(edges[0], edges[-1]), xlabel="momentum − energy [MeV]")
    axis.set_ylim(0, 1.6 * max(axis.get_ylim()[1], 1.0))  # room for the legend
    axis.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axis.set_title(f"Plane {PLANES[plane]}, {int(own.sum()):,} events")
    axis.legend(loc="upper right")


def _title(name: str) -> str:
    text = ENERGIES[name]
    return text[0].upper() + text[1:]


@style()
def per_tp(study: dict[str, Any]) -> tuple[Figure, pd.DataFrame]:
    """Second study: mismatches, mean difference and correlation against the energy added per TP."""
    tried = study["registry"]["mev_per_tp"]
    caption = (
        f"What becomes of the agreement with the momentum when each TP adds a fixed energy; dotted: the {tried:g} MeV "
        "per TP that the predecessor tried."
    )
    canvas, axes = plot_page("Adding a fixed energy per TP", caption, ncols=3)
    shown = (
        ("share", "share off by more than 5 MeV"),
        ("mean_mev", "mean |difference| [MeV]"),
        ("correlation", "correlation"),
    )
    tables = {name: pd.DataFrame(found["scan"]) for name, found in study["found"].items()}
    looks = {"all": COLORS["baseline"], **dict(zip(PLANES, _PLANE_COLORS, strict=True))}
    for axis, (key, about) in zip(axes, shown, strict=True):
        for name, table in tables.items():
            values = table[key].astype(float)
            line = "--" if name == "all" else "-"
            label = "all planes" if name == "all" else f"plane {name}"
            axis.plot(table["mev_per_tp"], values, line, color=looks[name], label=label)
        if not any(table[key].notna().any() for table in tables.values()):
            axis.text(0.5, 0.5, "unknown", ha="center", transform=axis.transAxes, color=COLORS["baseline"])
        axis.axvline(tried, color=COLORS["truth"], ls=":", label="tried by the predecessor")
        axis.set(xlabel="energy added per TP [MeV]", ylabel=about)
    axes[0].set_ylim(0, 1)
    axes[1].set_ylim(0, None)
    # below the axes: no corner is free of lines in every sample
    canvas.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    return canvas, pd.concat([table.assign(planes=name) for name, table in tables.items()], ignore_index=True)
