"""The figure of the backgrounds: spectra as drawn, beside theory and published lines."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from snpoint.physics.geometry import Detector
from snpoint.physics.simulation.cavern import entering_spectrum, rock_spectrum
from snpoint.physics.simulation.decays import nuclides
from snpoint.physics.simulation.events import ALPHA, ELECTRON, PHOTON, Block
from snpoint.physics.validation.backgrounds import arrival_ticks, decay_starts, sampled
from snpoint.plots.canvas import COLORS, style
from snpoint.plots.pages import plot_page


@style()
def backgrounds_page(decays: int, detector: Detector, seed: int) -> Figure:
    """Beta spectra, gammas per decay, delay of Po-214, arrival in the readout window, gammas of the cavern."""
    rng = np.random.default_rng(seed)
    blocks = {name: sampled(name, decays, detector, rng) for name in ("Ar39", "Ar42", "K42", "Pb214", "Bi214")}
    caption = (
        f"Steps: {decays:,} decays per nuclide as the generator draws them. Lines: theory (beta decay with the Coulomb "
        "field, unique first forbidden shape where due). Crosses: published intensities."
    )
    canvas, axes = plot_page("Backgrounds as generated", caption, nrows=2, ncols=3)
    _betas(axes[0, 0], {name: blocks[name] for name in ("Ar39", "Ar42")})
    _betas(axes[0, 1], {name: blocks[name] for name in ("K42", "Bi214")})
    _lines(axes[0, 2], blocks)
    _delay(axes[1, 0], blocks["Bi214"])
    _arrival(axes[1, 1], blocks["Ar39"], detector)
    _cavern(axes[1, 2])
    return canvas


def _betas(axis: Axes, blocks: dict[str, Block]) -> None:
    for (name, block), color in zip(blocks.items(), (COLORS["main"], COLORS["second"]), strict=True):
        nuclide, start = nuclides()[name], decay_starts(block)
        kinetic = block.particles.kinetic_mev[start][block.particles.pdg[start] == ELECTRON]
        edges = np.linspace(0, nuclide.endpoint_mev, 51)
        axis.stairs(np.histogram(kinetic, edges, density=True)[0], edges, color=color, alpha=0.6, lw=1.0)
        grid = np.linspace(0.002, 1.0, 600) * nuclide.endpoint_mev
        density = sum(
            share * np.interp(grid, spectrum.kinetic_mev, spectrum.density, right=0.0)
            for share, spectrum in nuclide.branches
        )
        axis.plot(grid, density, color=color, lw=1.3, label=f"{name}, mean {1000 * nuclide.beta_mean_mev:.0f} keV")
    axis.set(xlabel="kinetic energy [MeV]", ylabel="electrons per decay and MeV", title="Beta spectra")
    axis.set_xlim(left=0)
    axis.set_ylim(bottom=0)
    axis.legend(loc="lower left" if max(nuclides()[name].endpoint_mev for name in blocks) < 1 else "upper right")


def _lines(axis: Axes, blocks: dict[str, Block]) -> None:
    for name, color in (("Pb214", COLORS["third"]), ("Bi214", COLORS["main"]), ("K42", COLORS["second"])):
        block = blocks[name]
        kinetic = block.particles.kinetic_mev[block.particles.pdg == PHOTON]
        energies, counts = np.unique(np.round(kinetic, 4), return_counts=True)
        share = 100 * counts / len(decay_starts(block))
        axis.vlines(energies[share > 0.05], 0.05, share[share > 0.05], color=color, lw=1.5, label=name)
        published = nuclides()[name].published["gammas"]
        axis.plot(np.array(list(published)) / 1000, list(published.values()), "x", color=COLORS["truth"], ms=6, mew=1.5)
    axis.set(yscale="log", ylim=(0.05, 150), xlabel="energy [MeV]", ylabel="gammas per 100 decays", title="Lines")
    axis.legend(loc="upper right", ncols=3, columnspacing=1.0, handlelength=1.0)


def _delay(axis: Axes, block: Block) -> None:
    start, alpha = decay_starts(block), np.flatnonzero(block.particles.pdg == ALPHA)
    decay = np.searchsorted(start, alpha, side="right") - 1
    delay = block.particles.time_us[alpha] - block.particles.time_us[start[decay]]
    edges = np.linspace(0, 1500, 51)
    axis.stairs(np.histogram(delay, edges)[0], edges, color=COLORS["main"], lw=1.0, label="alphas of Po-214")
    middle, mean = 0.5 * (edges[1:] + edges[:-1]), nuclides()["Bi214"].mean_delay_us
    axis.plot(middle, len(delay) * 30 / mean * np.exp(-middle / mean), color=COLORS["second"], lw=1.3, label="163.6 us")
    axis.set(yscale="log", xlabel="time after the decay of Bi-214 [us]", ylabel="decays per 30 us", title="Bi-Po delay")
    axis.legend(loc="upper right")


def _arrival(axis: Axes, block: Block, detector: Detector) -> None:
    ticks = arrival_ticks(block, detector)
    edges = np.linspace(-300, detector.n_ticks + 300, 67)
    counts = np.histogram(ticks, edges)[0]
    axis.stairs(counts, edges, color=COLORS["main"], lw=1.0, fill=True, alpha=0.4)
    for tick in (0, detector.n_ticks):
        axis.axvline(tick, color=COLORS["truth"], lw=1.0, ls="--")
    axis.set(xlabel="tick at which the charge arrives", ylabel="decays of Ar-39", title="Readout window (dashed)")


def _cavern(axis: Axes) -> None:
    edges = np.linspace(0, 2.7, 109)
    for spectrum, color, label in (
        (rock_spectrum(), COLORS["baseline"], "rock"),
        (entering_spectrum(), COLORS["main"], "after 40 cm of argon"),
    ):
        middle = 0.5 * (spectrum.low_mev + spectrum.high_mev)
        counts = np.histogram(middle, edges, weights=spectrum.flux)[0]
        axis.stairs(counts / counts.sum(), edges, color=color, lw=1.2, label=label)
    axis.set(yscale="log", ylim=(2e-5, 5), xlabel="energy [MeV]", ylabel="share per 25 keV", title="Cavern gammas")
    axis.legend(loc="upper right")
