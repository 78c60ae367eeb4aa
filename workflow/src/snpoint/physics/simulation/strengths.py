"""Inclusive cross section of nu_e + Ar-40 -> e- + K-40*, level by level, in the allowed approximation.

sigma = G_F^2 V_ud^2 / pi (E_b E_d / s) p_e E_e F_C (B(F) + g_A^2 B(GT)), all in the center of momentum; electrons
leave as 1 + b cos (Fermi) or 1 - b cos / 3 (Gamow-Teller) there (Gardiner, Phys. Rev. C 103, 044604 (2021)).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from snpoint.physics.constants import ELECTRON_MASS_MEV, HBAR_C_MEV_FM
from snpoint.physics.simulation.events import ARGON_40, MASS_MEV, POTASSIUM_40
from snpoint.physics.simulation.fermi import coulomb_factor
from snpoint.physics.simulation.nuclides import nuclides, reference

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

FERMI_CONSTANT = 1.1663788e-11
"""G_F [MeV^-2]; Particle Data Group (2022)."""
V_UD = 0.97373
"""Element of the quark mixing matrix; Particle Data Group (2022)."""
CM2_PER_INVERSE_MEV2 = HBAR_C_MEV_FM**2 * 1e-26


class Strengths:
    """Levels of K-40 that a neutrino can excite, n of them; Fermi transitions first.

    Parameters
    ----------
    gamow_teller
        Set of strengths of ``reference/argon40_strengths.yaml``: that of charge exchange, with which the simulation
        works, or that of the ``mirror_decay``, to compare with.
    """

    def __init__(self, gamow_teller: Literal["charge_exchange", "mirror_decay"] = "charge_exchange") -> None:
        table = reference("argon40_strengths")
        fermi, chosen = table["fermi"], table[gamow_teller]
        energy, strength = np.array(fermi + chosen["measured"] + chosen["calculated"], np.float64).T
        daughter = nuclides()[19, 40]
        bound = energy <= daughter.continuum_mev
        nearest = np.array([daughter.energy_mev[daughter.nearest_level(e)] for e in energy])
        self.energy_mev: FloatArray = np.where(bound, nearest, energy)
        """Excitation, shape (n,); of levels in the scheme exactly what that says."""
        self.strength: FloatArray = strength
        """B(F) or g_A^2 B(GT), shape (n,)."""
        self.fermi: BoolArray = np.arange(len(energy)) < len(fermi)
        axial = table["axial_coupling"]
        counts = [len(fermi), len(chosen["measured"]), len(chosen["calculated"])]
        self.axial: FloatArray = np.repeat([1.0, axial["measured"], axial["calculated"]], counts)
        """The g_A whose square is in the strength, shape (n,); 1 in B(F)."""

    def least_neutrino_mev(self) -> float:
        """Energy below which nothing happens."""
        heavy = MASS_MEV[POTASSIUM_40] + self.energy_mev.min() + ELECTRON_MASS_MEV
        return float((heavy**2 - MASS_MEV[ARGON_40] ** 2) / (2 * MASS_MEV[ARGON_40]))

    def kinematics(self, neutrino_mev: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Electrons in the center of momentum: energy, momentum (0: impossible) and the velocity of that frame.

        Shapes (energies, n), (energies, n) and (energies, 1).
        """
        energy = np.asarray(neutrino_mev, np.float64)[:, None]
        target = MASS_MEV[ARGON_40]
        square = target * (target + 2 * energy)
        heavy = MASS_MEV[POTASSIUM_40] + self.energy_mev
        electron = (square + ELECTRON_MASS_MEV**2 - heavy**2) / (2 * np.sqrt(square))
        momentum = np.sqrt(np.maximum(electron**2 - ELECTRON_MASS_MEV**2, 0.0))
        possible = (electron > ELECTRON_MASS_MEV) & (np.sqrt(square) > heavy + ELECTRON_MASS_MEV)
        return electron, np.where(possible, momentum, 0.0), energy / (energy + target)

    def cross_sections_cm2(self, neutrino_mev: npt.ArrayLike) -> FloatArray:
        """Cross sections [cm^2] of the levels, shape (energies, n)."""
        energy = np.atleast_1d(np.asarray(neutrino_mev, np.float64))
        target = MASS_MEV[ARGON_40]
        electron, momentum, _ = self.kinematics(energy)
        square = target * (target + 2 * energy)[:, None]
        recoil = (square + target**2) * (square + (MASS_MEV[POTASSIUM_40] + self.energy_mev) ** 2) / (4 * square**2)
        kinetic = np.where(momentum > 0, electron - ELECTRON_MASS_MEV, 1.0)
        phase_space = momentum * electron * recoil * coulomb_factor(19, kinetic, 40)
        return np.asarray(
            CM2_PER_INVERSE_MEV2 * (FERMI_CONSTANT * V_UD) ** 2 / np.pi * phase_space * self.strength[None, :]
        )


def scattering_cosine(uniform: float, slope: float) -> float:
    """A cosine from the density (1 + slope cos) / 2, by inversion."""
    if abs(slope) < 1e-9:
        return 2 * uniform - 1
    cosine = (float(np.sqrt((1 - slope) ** 2 + 4 * slope * uniform)) - 1) / slope
    return min(max(cosine, -1.0), 1.0)
