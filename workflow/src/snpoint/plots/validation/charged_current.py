"""Figure of nu_e CC interactions with argon: cross section beside published ones, and what the nucleus emits."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from snpoint.physics.simulation.events import ALPHA, NEUTRON, PHOTON, PROTON
from snpoint.physics.simulation.strengths import Strengths
from snpoint.physics.validation.charged_current import AXIAL_COUPLING, SNOWGLOBES_CM2, first_particles
from snpoint.plots.canvas import COLORS, figure, style

_LINES = (COLORS["main"], COLORS["second"], COLORS["third"], COLORS["truth"])
NAMES = {PHOTON: "gamma", NEUTRON: "neutron", PROTON: "proton", ALPHA: "alpha"}


@style()
def draw() -> Figure:
    """Cross section against neutrino energy, and the first particle against excitation."""
    canvas, axes = figure(9.0, 3.8, nrows=1, ncols=2)
    _cross_section(axes[0])
    _first_particle(axes[1])
    canvas.suptitle("Charged current: νe + Ar-40 → e- + K-40*", x=0.01, ha="left", fontweight="bold")
    return canvas


def _cross_section(axes: Axes) -> None:
    energy, strengths = np.geomspace(5.0, 80.0, 120), Strengths()
    levels = strengths.cross_sections_cm2(energy)
    axes.plot(energy, levels.sum(axis=1), color=COLORS["main"], label="Fermi and Gamow-Teller")
    without = levels * np.where(strengths.fermi, 1.0, AXIAL_COUPLING**-2)
    axes.plot(energy, without.sum(axis=1), color=COLORS["main"], linestyle="--", label="the same without $g_A^2$")
    axes.plot(energy, levels[:, strengths.fermi].sum(axis=1), color=COLORS["second"], label="Fermi")
    axes.plot(list(SNOWGLOBES_CM2), list(SNOWGLOBES_CM2.values()), "k.", label="SNOwGLoBES, marley1 (without $g_A^2$)")
    axes.set(xscale="log", yscale="log", xlabel="neutrino energy [MeV]", ylabel="cross section [cm$^2$]")
    axes.set_xticks([5, 10, 20, 50], ["5", "10", "20", "50"])
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.legend(loc="lower right")


def _first_particle(axes: Axes) -> None:
    excitation = np.arange(6.05, 26.0, 0.1)
    shares = first_particles(excitation)
    for k, (pdg, name) in enumerate(NAMES.items()):
        axes.plot(excitation, shares[pdg], color=_LINES[k], label=name)
    axes.set(xlabel="excitation of K-40 [MeV]", ylabel="probability to be emitted first", ylim=(0, 1.02))
    axes.legend(loc="upper right")
