"""Small helpers of the tests of the transport: random states, single particles, one process at a time."""

from __future__ import annotations

import numpy as np

from snpoint.physics.simulation.events import Particles, particles
from snpoint.physics.simulation.materials import LOG_FIRST, LOG_STEP, N_POINTS, argon_tables

ALONG_Z = np.array([0.0, 0.0, 1.0])
TABLE = np.array(argon_tables())


def random_state(seed: int) -> np.ndarray:
    """State of the generator inside compiled loops."""
    return np.random.default_rng(seed).integers(1, 2**63, 4, dtype=np.uint64)


def one(pdg: int, kinetic_mev: float, direction: np.ndarray = ALONG_Z) -> Particles:
    """A particle that starts at the origin."""
    return particles([pdg], kinetic_mev, [0.0, 0.0, 0.0], direction)


def moving(energy_mev: float) -> np.ndarray:
    """A particle as the compiled functions take it: energy, origin, along z."""
    return np.array([energy_mev, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0])


def looked_up(row: int, energy_mev: float) -> float:
    """A row of the table at an energy."""
    log_energy = LOG_FIRST + LOG_STEP * np.arange(N_POINTS)
    return float(np.interp(np.log(energy_mev), log_energy, TABLE[row]))
