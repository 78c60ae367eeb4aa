"""Protons and alphas of a few MeV in liquid argon: a straight track to the end of their range.

Their tracks are shorter than a wire spacing, and recombination quenches them: what counts is where they are and how
dense their ionization is. Scattering, straggling and nuclear reactions are left out.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from snpoint.physics.compiled import compiled
from snpoint.physics.constants import ELECTRON_MASS_MEV
from snpoint.physics.simulation import events
from snpoint.physics.simulation.materials import (
    ATOMIC_MASS,
    ATOMIC_NUMBER,
    DENSITY_G_CM3,
    LOG_FIRST,
    LOG_STEP,
    MEAN_EXCITATION_MEV,
    N_POINTS,
)
from snpoint.physics.simulation.particles import ENERGY, PRIMARY, PROTON, Lists, deposit, locate, move, table_value
from snpoint.physics.simulation.recombination import density_for

FloatArray = npt.NDArray[np.float64]

PARTS = 4
"""A track is deposited in this many parts of equal energy, each with its own density."""
FIRST_MEV = math.exp(LOG_FIRST)
"""The lowest energy of the table."""
BETHE_MEV = 0.3
"""The Bethe formula holds for protons above this energy; below, the stopping power stays as it is there."""
_BETHE_MEV_CM2_G = 0.307075


def proton_loss(energy_mev: FloatArray) -> FloatArray:
    """Stopping power of protons in liquid argon [MeV/cm]: Bethe formula (PDG, Review of Particle Physics).

    Without shell and density corrections. Ranges of 2.7 to 8 MeV come out 1 to 5 % below the distances from start to
    end of protons in a LArSoft production.
    """
    gamma = 1 + np.maximum(energy_mev, BETHE_MEV) / events.MASS_MEV[events.PROTON]
    beta2 = 1 - 1 / gamma**2
    log = np.log(2 * ELECTRON_MASS_MEV * beta2 * gamma**2 / MEAN_EXCITATION_MEV)
    return np.asarray(DENSITY_G_CM3 * _BETHE_MEV_CM2_G * ATOMIC_NUMBER / ATOMIC_MASS / beta2 * (log - beta2))


@lru_cache(maxsize=1)
def heavy_ranges() -> FloatArray:
    """Ranges of protons and alphas [cm], shape (2, `N_POINTS`), at the energies of `argon_tables`, read-only.

    An alpha loses four times what a proton of the same speed loses; that it picks up electrons as it stops is left out.
    """
    energy = np.exp(LOG_FIRST + LOG_STEP * np.arange(N_POINTS))
    fine = np.geomspace(energy[0] / 8, energy[-1], 8000)
    loss = proton_loss(fine)
    proton = fine[0] / loss[0] + np.concatenate(
        [[0.0], np.cumsum(0.5 * (1 / loss[1:] + 1 / loss[:-1]) * np.diff(fine))]
    )
    ratio = events.MASS_MEV[events.ALPHA] / events.MASS_MEV[events.PROTON]
    ranges = np.stack([np.interp(energy, fine, proton), ratio / 4 * np.interp(energy / ratio, fine, proton)])
    ranges.setflags(write=False)
    return ranges


@compiled()
def _range(energy: float, row: int, ranges: FloatArray) -> float:
    """Range [cm]; below the table the loss is constant, and the range goes with the energy."""
    if energy < FIRST_MEV:
        return float(ranges[row, 0] * energy / FIRST_MEV)
    index, part = locate(energy)
    return table_value(ranges, row, index, part)


@compiled()
def track_heavy(particle: FloatArray, kind: int, ranges: FloatArray, lists: Lists) -> float:
    """Move a proton or an alpha to the end of its range, leaving its energy along it. Gives the range [cm].

    The density is such that the modified box model is evaluated at the stopping power: pure proton charge of a LArSoft
    production (2.9, 4.2 and 8 MeV) is 3.3, 3.8 and 5.3 thousand electrons per MeV, ours 3.1, 3.7 and 5.1.
    """
    if particle[ENERGY] <= 0.0:
        return 0.0
    row = kind - PROTON
    share = particle[ENERGY] / PARTS
    path = 0.0
    for k in range(PARTS):
        length = _range(share * (PARTS - k), row, ranges) - _range(share * (PARTS - k - 1), row, ranges)
        move(particle, 0.5 * length)
        deposit(lists, PRIMARY, share, density_for(share / length), particle[1], particle[2], particle[3])
        move(particle, 0.5 * length)
        path += length
    particle[ENERGY] = 0.0
    return path
