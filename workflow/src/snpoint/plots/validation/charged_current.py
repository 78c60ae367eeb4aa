"""Figure of nu_e CC interactions with argon: cross section beside published ones, and what the nucleus emits."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from snpoint.physics.validation.charged_current import Curves
from snpoint.plots.canvas import COLORS, figure, style

_LINES = (COLORS["main"], COLORS["second"], COLORS["third"], COLORS["truth"])
_STYLES = ((COLORS["main"], "-"), (COLORS["third"], "-"), (COLORS["main"], "--"), (COLORS["second"], ":"))


@style()
def draw(curves: Curves) -> Figure:
    """Cross section against neutrino energy, and the first particle against excitation."""
    canvas, axes = figure(9.6, 4.4, nrows=1, ncols=2)
    _cross_section(axes[0], curves)
    for (name, shares), color in zip(curves.first.items(), _LINES, strict=True):
        axes[1].plot(curves.excitation_mev, shares, color=color, label=name)
    axes[1].set(xlabel="excitation of K-40 [MeV]", ylabel="probability to be emitted first", ylim=(0, 1.02))
    axes[1].legend(loc="upper right")
    canvas.suptitle("Charged current: νe + Ar-40 → e- + K-40*", x=0.01, ha="left", fontweight="bold")
    return canvas


def _cross_section(axes: Axes, curves: Curves) -> None:
    for (name, section), (color, line) in zip(curves.cross_section_cm2.items(), _STYLES, strict=True):
        axes.plot(curves.neutrino_mev, section, color=color, linestyle=line, label=name)
    for (name, table), marker in zip(curves.published_cm2.items(), "ox", strict=True):
        _points(axes, name, table, marker)
    axes.set(xscale="log", yscale="log", xlabel="neutrino energy [MeV]", ylabel="cross section [cm$^2$]")
    axes.set_xticks([5, 10, 20, 50], ["5", "10", "20", "50"])
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.legend(loc="lower right", fontsize=8)


def _points(axes: Axes, name: str, table: Mapping[float, float], marker: str) -> None:
    axes.plot(list(table), list(table.values()), marker, color="k", ms=4.5, mfc="none", ls="none", label=name)
