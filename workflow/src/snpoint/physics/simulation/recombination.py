"""Which share of the ionization electrons escapes recombination, from the density of the ionization."""

from __future__ import annotations

import math

from snpoint.physics.compiled import compiled

ELECTRONS_PER_MEV = 42_370.0
"""Ionization electrons before recombination."""
BOX_ALPHA, BOX_BETA_CM_MEV = 0.93, 0.212 / (1.396 * 0.5)
"""Modified box model with ArgoNeuT's constants (R. Acciarri et al., JINST 8 (2013) P08005, table 2: 0.93 and
0.212 (kV/cm)(g/cm2)/MeV), at the density of argon in LArSoft (1.396 g/cm3) and 0.5 kV/cm."""
DENSITY_FACTOR = 1.6
"""Ionization is denser than energy per path length says, as it fluctuates; fitted to the yield of the tracks in a
LArSoft production (60 events)."""


@compiled(inline="always")
def escaping(density: float) -> float:
    """Share of the ionization electrons that escape recombination; falls with the density of the ionization [MeV/cm].

    It is small where electrons stop: a Compton electron of 20 keV gives 9,000 electrons per MeV, a track 28,000.
    """
    box = BOX_BETA_CM_MEV * DENSITY_FACTOR * density
    return math.log(BOX_ALPHA + box) / box
