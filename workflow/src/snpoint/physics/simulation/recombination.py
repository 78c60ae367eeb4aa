"""Which share of the ionization electrons escapes recombination, from the density of the ionization."""

from __future__ import annotations

import math

from snpoint.physics.compiled import compiled
from snpoint.physics.simulation.materials import DENSITY_G_CM3

ELECTRONS_PER_MEV = 42_370.0
"""Ionization electrons before recombination."""
BOX_ALPHA, BOX_BETA_CM_MEV = 0.93, 0.212 / (DENSITY_G_CM3 * 0.5)
"""Modified box model with ArgoNeuT's constants (R. Acciarri et al., JINST 8 (2013) P08005: 0.93 and
0.212 (kV/cm)(g/cm2)/MeV), at the density of argon in LArSoft and 0.5 kV/cm."""
STEEPNESS, OFFSET_MEV_CM = 2.84, 3.51
"""Ionization of electrons is denser than the energy per length of a deposit says, the more so where they stop: the
model is evaluated at 2.84 * density - 3.51 MeV/cm (1.6 on a fast track, which has 1.8). Fitted to the electrons per MeV
(lifetime taken out) of a LArSoft production: 621 isolated deposits of de-excitation gammas (7,000 below 30 keV, 13,400
at 80 keV, 17,300 at 150 keV, 24,800 at 0.5 MeV, 27,400 at 1.5 MeV) and ten ES electrons (28,300 in all). What is left:
-5 .. +5 % below 0.1 MeV, 3 % above; a constant factor (1.35) leaves +55 % below 30 keV."""
LEAST_DENSITY_MEV_CM = 1.0
"""The model is not used below (nor does LArSoft): it would fail where nothing is as thin as that."""


@compiled(inline="always")
def escaping(density: float) -> float:
    """Share of the ionization electrons that escape recombination; falls with the density of the ionization [MeV/cm].

    The density is that of deposits of electrons; those of other particles carry what `density_for` gives.
    """
    box = BOX_BETA_CM_MEV * max(STEEPNESS * density - OFFSET_MEV_CM, LEAST_DENSITY_MEV_CM)
    return math.log(BOX_ALPHA + box) / box


@compiled(inline="always")
def density_for(loss: float) -> float:
    """Density for which the model is evaluated at a stopping power [MeV/cm] as it is: that of protons and alphas.

    The protons of the production (2.9, 4.2, 8.0 MeV) have 3,300, 3,800, 5,300 electrons per MeV: the modified box at
    their mean stopping power.
    """
    return (loss + OFFSET_MEV_CM) / STEEPNESS
