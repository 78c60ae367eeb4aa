"""The figure of the backgrounds: spectra as drawn, beside theory and published lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from snpoint.physics.simulation.cavern import GammaSpectrum
from snpoint.physics.validation.backgrounds import Betas, Lines, Shown
from snpoint.plots.canvas import COLORS, style
from snpoint.plots.pages import plot_page

_LINES = (COLORS["third"], COLORS["main"], COLORS["second"])


@style()
def backgrounds_page(shown: Shown) -> Figure:
    """Beta spectra, gammas per decay, delay of Po-214, arrival in the readout window, gammas of the cavern."""
    caption = (
        f"Steps: about {round(shown.decays, -3):,} decays per nuclide as the generator draws them. Lines: theory (beta "
        "decay with the Coulomb field, unique first forbidden shape where due). Crosses: published intensities."
    )
    canvas, axes = plot_page("Backgrounds as generated", caption, nrows=2, ncols=3)
    _betas(axes[0, 0], shown.betas, ("Ar39", "Ar42"), "lower left")
    _betas(axes[0, 1], shown.betas, ("K42", "Bi214"), "upper right")
    _lines(axes[0, 2], shown.lines)
    _delay(axes[1, 0], shown)
    _arrival(axes[1, 1], shown)
    _cavern(axes[1, 2], shown.cavern)
    return canvas


def _betas(axis: Axes, betas: Mapping[str, Betas], names: Sequence[str], place: str) -> None:
    for name, color in zip(names, (COLORS["main"], COLORS["second"]), strict=True):
        beta = betas[name]
        edges = np.linspace(0, beta.endpoint_mev, 51)
        drawn = np.histogram(beta.kinetic_mev, edges, density=True)[0]
        axis.stairs(drawn, edges, color=color, alpha=0.6, lw=1.0)
        axis.plot(
            beta.grid_mev, beta.density, color=color, lw=1.3, label=f"{name}, mean {1000 * beta.mean_mev:.0f} keV"
        )
    axis.set(xlabel="kinetic energy [MeV]", ylabel="electrons per decay and MeV", title="Beta spectra")
    axis.set_xlim(left=0)
    axis.set_ylim(bottom=0)
    axis.legend(loc=place)


def _lines(axis: Axes, lines: Mapping[str, Lines]) -> None:
    for (name, line), color in zip(lines.items(), _LINES, strict=True):
        strong = line.share > 0.05
        axis.vlines(line.energy_mev[strong], 0.05, line.share[strong], color=color, lw=1.5, label=name)
        axis.plot(list(line.published), list(line.published.values()), "x", color=COLORS["truth"], ms=6, mew=1.5)
    axis.set(yscale="log", ylim=(0.05, 150), xlabel="energy [MeV]", ylabel="gammas per 100 decays", title="Lines")
    axis.legend(loc="upper right", ncols=3, columnspacing=1.0, handlelength=1.0)


def _delay(axis: Axes, shown: Shown) -> None:
    edges, mean = np.linspace(0, 1500, 51), shown.mean_delay_us
    drawn = np.histogram(shown.delay_us, edges)[0]
    axis.stairs(drawn, edges, color=COLORS["main"], lw=1.0, label="alphas of Po-214")
    middle = 0.5 * (edges[1:] + edges[:-1])
    expected = len(shown.delay_us) * 30 / mean * np.exp(-middle / mean)
    axis.plot(middle, expected, color=COLORS["second"], lw=1.3, label=f"{mean * np.log(2):.1f} us")
    axis.set(yscale="log", xlabel="time after the decay of Bi-214 [us]", ylabel="decays per 30 us", title="Bi-Po delay")
    axis.legend(loc="upper right")


def _arrival(axis: Axes, shown: Shown) -> None:
    edges = np.linspace(-300, shown.window_ticks + 300, 67)
    axis.stairs(np.histogram(shown.arrival_ticks, edges)[0], edges, color=COLORS["main"], lw=1.0, fill=True, alpha=0.4)
    for tick in (0, shown.window_ticks):
        axis.axvline(tick, color=COLORS["truth"], lw=1.0, ls="--")
    axis.set(xlabel="tick at which the charge arrives", ylabel="decays of Ar-39", title="Readout window (dashed)")


def _cavern(axis: Axes, spectra: Mapping[str, GammaSpectrum]) -> None:
    edges = np.linspace(0, 2.7, 109)
    for (label, spectrum), color in zip(spectra.items(), (COLORS["baseline"], COLORS["main"]), strict=True):
        middle = 0.5 * (spectrum.low_mev + spectrum.high_mev)
        counts = np.histogram(middle, edges, weights=spectrum.flux)[0]
        axis.stairs(counts / counts.sum(), edges, color=color, lw=1.2, label=label)
    axis.set(yscale="log", ylim=(2e-5, 5), xlabel="energy [MeV]", ylabel="share per 25 keV", title="Cavern gammas")
    axis.legend(loc="upper right")
