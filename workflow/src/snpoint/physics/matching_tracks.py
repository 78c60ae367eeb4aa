"""From a Geant4 track to its particle, and from the particle to the generator that started it.

``mcparticles`` names the truth block of every particle, and ``mctruths`` the generator of every block. The charge of
electromagnetic daughters that were not stored carries their ancestor's track number with a minus sign.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from snpoint.physics.compiled import compiled
from snpoint.physics.matching_events import is_signal_generator
from snpoint.physics.matching_rows import Ints, Rows, Tree, place_of

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Tracks:
    """Rows of ``mcparticles`` by event and track number, in a hash table with open addressing.

    Where a track number occurs twice in an event, the last row counts: the file itself does not decide it.
    """

    keys: Ints
    rows: Ints

    @classmethod
    def of(cls, particles: Tree, rows: Rows, chosen: Bools | None = None) -> Tracks:
        """Index of the particles, or of the chosen ones."""
        event = rows.numbers(particles)
        own = np.flatnonzero(event >= 0 if chosen is None else (event >= 0) & chosen)
        keys = _key(event[own], particles["g4_track_id"][own])
        size = 1 << max(len(own) * 2, 2).bit_length()
        return cls(*_filled(keys, own, size))

    def find(self, event: Ints, track: npt.NDArray[Any]) -> Ints:
        """Row of ``mcparticles`` of each track, shape (T,); -1 where there is none."""
        return np.asarray(_found(self.keys, self.rows, _key(event, track)), np.int64)


def _key(event: Ints, track: npt.NDArray[Any]) -> Ints:
    """Event and number of the track, without its sign, as one number; -1 where the event has none."""
    number = np.abs(track.astype(np.int64))
    return np.where(event >= 0, event << 32 | number, -1)


def signal_particles(particles: Tree, mctruths: Tree, rows: Rows) -> Bools:
    """Whether each particle belongs to a truth block that a generator of neutrino interactions made."""
    return first_in_block(particles, mctruths, rows, is_signal_generator(mctruths["generator_name"])) >= 0


def first_in_block(particles: Tree, mctruths: Tree, rows: Rows, chosen: Bools) -> Ints:
    """First chosen row of ``mctruths`` with the event and the block of each particle; -1 where there is none."""
    own = np.flatnonzero(chosen)
    blocks = _block(rows.numbers(mctruths)[own], mctruths["block_id"][own])
    known, first = np.unique(blocks, return_index=True)
    event = rows.numbers(particles)
    place = place_of(known, _block(event, particles["truth_block_id"]))
    place[event < 0] = -1
    return np.where(place >= 0, own[first][place] if len(own) else -1, -1)


def _block(event: Ints, block: npt.NDArray[Any]) -> Ints:
    return (event << 32) + (block.astype(np.int64) & 0xFFFFFFFF)


def origin(
    particles: Tree | None, mctruths: Tree, rows: Rows, event: Ints, track: npt.NDArray[Any]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]:
    """Whether tracks come from a neutrino interaction, and what particles they are.

    Parameters
    ----------
    particles, mctruths
        The truth trees; without ``mcparticles`` nothing is known.
    rows
        The events.
    event, track
        Number of the event and number of the track, shape (T,); event -1: no track.

    Returns
    -------
    tuple
        ``is_signal`` (0 or 1) and the PDG code (0 unknown), shape (T,).
    """
    signal, pdg = np.zeros(len(track), np.uint8), np.zeros(len(track), np.int32)
    if particles is not None:
        particle = Tracks.of(particles, rows).find(event, track)
        known = np.flatnonzero(particle >= 0)
        signal[known] = signal_particles(particles, mctruths, rows)[particle[known]]
        pdg[known] = particles["pdg"][particle[known]]
    return signal, pdg


@compiled()
def _slot(key: Any, mask: Any) -> Any:
    mixed = np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)
    return np.int64(mixed >> np.uint64(32)) & mask


@compiled()
def _filled(keys: Any, own: Any, size: Any) -> Any:
    table = np.full(size, -1, np.int64)
    rows = np.full(size, -1, np.int64)
    for i in range(len(keys)):
        slot = _slot(keys[i], size - 1)
        while table[slot] != -1 and table[slot] != keys[i]:
            slot = (slot + 1) & (size - 1)
        table[slot] = keys[i]
        rows[slot] = own[i]
    return table, rows


@compiled()
def _found(table: Any, rows: Any, wanted: Any) -> Any:
    found = np.full(len(wanted), -1, np.int64)
    mask = len(table) - 1
    previous, row = np.int64(-1), np.int64(-1)
    for i in range(len(wanted)):
        if wanted[i] < 0:
            continue
        # Neighboring rows are often of the same track.
        if wanted[i] != previous:
            slot = _slot(wanted[i], mask)
            while table[slot] != -1 and table[slot] != wanted[i]:
                slot = (slot + 1) & mask
            previous, row = wanted[i], rows[slot]
        found[i] = row
    return found
