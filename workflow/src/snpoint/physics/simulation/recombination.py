"""Which share of the ionization electrons escapes recombination, from the density of the ionization."""

from __future__ import annotations

import math

from snpoint.physics.compiled import compiled

ELECTRONS_PER_MEV = 42_370.0
"""Ionization electrons before recombination."""
BOX_ALPHA, BOX_BETA_CM_MEV = 0.93, 0.212 / (1.396 * 0.5)
"""Modified box model with ArgoNeuT's constants (R. Acciarri et al., JINST 8 (2013) P08005, table 2: 0.93 and
0.212 (kV/cm)(g/cm2)/MeV), at the density of argon in LArSoft (1.396 g/cm3) and 0.5 kV/cm."""
DENSITY_FACTOR = 1.35
"""Ionization of electrons is denser than energy per path length says, as it fluctuates; fitted to the electrons per MeV
(lifetime taken out) of the ten ES events of a LArSoft production: real / simulated 1.003, from event to event +- 1 %.
Its CC electrons would like 1.45 (0.987 here), but share voxels with protons and nuclei at their vertex. Protons and
alphas do without the factor: those of the production (2.9, 4.2, 8.0 MeV) have 3.3, 3.8, 5.3 thousand electrons per MeV,
the modified box at their own mean stopping power; their deposits carry a density divided by it."""
LEAST_DENSITY_MEV_CM = 1.0
"""The model is not used below (nor does LArSoft): it would fail where nothing is as thin as that."""


@compiled(inline="always")
def escaping(density: float) -> float:
    """Share of the ionization electrons that escape recombination; falls with the density of the ionization [MeV/cm].

    It is small where electrons stop: a Compton electron of 20 keV gives 10,000 electrons per MeV, a track 29,000.
    """
    box = BOX_BETA_CM_MEV * DENSITY_FACTOR * max(density, LEAST_DENSITY_MEV_CM)
    return math.log(BOX_ALPHA + box) / box
