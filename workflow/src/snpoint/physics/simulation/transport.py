"""Transport of particles of a few MeV in liquid argon: from truth particles to energy deposits.

Electrons, positrons and photons up to about 60 MeV in an unbounded medium (docs/validation/transport.md compares
with Geant4); protons and alphas leave their energy along a short straight track; nothing else leaves any.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from snpoint.physics.compiled import compiled
from snpoint.physics.simulation import events
from snpoint.physics.simulation.electrons import track_electron
from snpoint.physics.simulation.heavy import heavy_ranges, track_heavy
from snpoint.physics.simulation.materials import argon_tables
from snpoint.physics.simulation.particles import (
    ALPHA,
    DESCENDANT,
    ELECTRON,
    FULL,
    N_DEPOSITS,
    N_STACK,
    NOTHING,
    OWNER,
    PHOTON,
    POSITRON,
    PRIMARY,
    PROTON,
    Lists,
    new_lists,
)
from snpoint.physics.simulation.photons import track_photon
from snpoint.physics.xoshiro import State

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

FIRST_CAPACITY = 8192
_KINDS = {
    events.ELECTRON: ELECTRON,
    events.POSITRON: POSITRON,
    events.PHOTON: PHOTON,
    events.PROTON: PROTON,
    events.ALPHA: ALPHA,
}


class Shower(NamedTuple):
    """Energy deposits of p particles and all they made, in the order of the particles."""

    deposits: FloatArray  # (n, 5) x, y, z [cm], energy [MeV], density of the ionization [MeV/cm]
    classes: IntArray  # (n,) 0 the particle itself, 1 delta ray above 0.34 MeV, 2 photon's descendant
    owners: IntArray  # (n,) which of the particles a deposit descends from, ascending
    paths_cm: FloatArray  # (p,) path length of each particle
    ends_cm: FloatArray  # (p, 3) where each particle stopped or, a photon, was absorbed


class Transport:
    """Transports the particles of one event after the other, reusing its memory."""

    def __init__(self, capacity: int = FIRST_CAPACITY) -> None:
        self._table = np.array(argon_tables())
        self._ranges = np.array(heavy_ranges())
        self._lists = new_lists(capacity)

    def shower(self, particles: events.Particles, state: State) -> Shower:
        """Transport all particles of an event.

        Parameters
        ----------
        particles
            p particles, anywhere. Electrons, positrons, photons, protons and alphas leave energy; of anything else
            the path is 0 and the end its start.
        state
            Random state, shape (4,); it is stepped on.

        Returns
        -------
        Shower
            Deposits, classes and owners are views of memory that the next call overwrites.
        """
        kinds = np.array([_KINDS.get(pdg, NOTHING) for pdg in particles.pdg.tolist()], np.int64)
        rows = np.column_stack([particles.kinetic_mev, particles.position_cm, particles.direction])
        while True:
            trial, moved = state.copy(), rows.copy()
            paths = _run(moved, kinds, trial, self._table, self._ranges, self._lists)
            if self._lists.counts[FULL] == 0:
                break
            self._lists = new_lists(4 * len(self._lists.classes))
        state[:] = trial
        n, lists = int(self._lists.counts[N_DEPOSITS]), self._lists
        return Shower(lists.deposits[:n], lists.classes[:n], lists.owners[:n], paths, moved[:, 1:4])


@compiled()
def _run(
    particles: FloatArray, kinds: IntArray, state: State, table: FloatArray, ranges: FloatArray, lists: Lists
) -> FloatArray:
    """Follow each particle and then all that it made. Gives the paths; the particles are moved to their ends."""
    lists.counts[:] = 0
    paths = np.zeros(len(kinds))
    for k in range(len(kinds)):
        if lists.counts[FULL] != 0:
            break
        lists.counts[OWNER] = k
        kind, particle = kinds[k], particles[k]
        if kind == PHOTON:
            paths[k] = track_photon(particle, DESCENDANT, state, table, lists)
        elif kind in (ELECTRON, POSITRON):
            paths[k] = track_electron(particle, kind == POSITRON, PRIMARY, state, table, lists)
        elif kind != NOTHING:
            paths[k] = track_heavy(particle, kind, ranges, lists)
        _follow_stack(state, table, lists)
    return paths


@compiled()
def _follow_stack(state: State, table: FloatArray, lists: Lists) -> None:
    """Follow everything on the stack, last in first out."""
    particle = np.empty(7)
    while lists.counts[N_STACK] > 0 and lists.counts[FULL] == 0:
        lists.counts[N_STACK] -= 1
        n = lists.counts[N_STACK]
        particle[:] = lists.stack[n]
        kind, family = lists.kinds[n, 0], lists.kinds[n, 1]
        if kind == PHOTON:
            track_photon(particle, family, state, table, lists)
        else:
            track_electron(particle, kind == POSITRON, family, state, table, lists)
