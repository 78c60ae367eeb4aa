"""What an event leaves behind for the trees of the files: its particles as tracks, its TPs and its SimIDEs.

Which particles the truth trees list is a setting. The numbers of tracks do not depend on it: a TP of a particle that
is not listed keeps its truth, and whoever reads the file finds that its track belongs to no interaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from snpoint.physics.constants import BACKGROUND, CC, ES, NO_TRACK
from snpoint.physics.simulation import detector as readout
from snpoint.physics.simulation.charge import MEV, NE, X_NE
from snpoint.physics.simulation.events import (
    ELECTRON,
    NO_MOTHER,
    Block,
    Event,
    FloatArray,
    IntArray,
    Particles,
    particles,
)

GEANTINO = 0
"""PDG code of a particle that does nothing."""


class Listed(NamedTuple):
    """The particles of an event that its truth trees list, n of them, by block."""

    particles: Particles  # ``mother`` counts in here
    block: IntArray  # (n,) number of the block of each
    generator: npt.NDArray[np.str_]  # (n,) name of its generator
    track: IntArray  # (n,) its number as a track
    place: IntArray  # (n,) its place among all particles of the event
    interactions: tuple[tuple[int, Block], ...]  # numbers of the blocks that are interactions, and the blocks


class EventRecord(NamedTuple):
    """What the trees hold of one event."""

    listed: Listed
    path_cm: FloatArray  # (n,) of the particles listed
    end_cm: FloatArray  # (n, 3)
    sums: FloatArray  # (n, 4) MeV and electrons of their own, and of their electromagnetic daughters; three planes
    tps: IntArray  # (t, 7) columns of `snpoint.physics.simulation.detector`, ``ORIGIN`` replaced by the track
    tp_truth: FloatArray  # (t, 9)
    ide_keys: IntArray  # (m, 3) channel, tick, track
    ide_amounts: FloatArray  # (m, 5) electrons, MeV, mean x, y, z [cm]


_NONE = particles(np.zeros(0), 0.0, np.zeros((0, 3)), np.zeros((0, 3)))
NOTHING = Block("noise", particles([GEANTINO], 0.0, (0.0, 0.0, 0.0), (0.0, 0.0, 1.0)))
"""Block of a window in which no particle does anything. It says that the window is simulated, hence background:
a file without any row of truth would be taken for data."""


def joined(blocks: Sequence[Block]) -> Particles:
    """All particles of an event, block by block; ``mother`` counts in all of them."""
    if len(blocks) == 1:
        return blocks[0].particles
    return stacked([block.particles for block in blocks])


def stacked(groups: Sequence[Particles]) -> Particles:
    """Particles of several groups one after the other; ``mother`` counts in all of them."""
    all_groups = (_NONE, *groups)
    sizes = [len(group.pdg) for group in all_groups]
    begins = np.repeat(np.cumsum([0, *sizes])[:-1], sizes)
    mother = np.concatenate([group.mother for group in all_groups])
    return Particles(
        np.concatenate([group.pdg for group in all_groups]),
        np.concatenate([group.kinetic_mev for group in all_groups]),
        np.concatenate([group.position_cm for group in all_groups]),
        np.concatenate([group.direction for group in all_groups]),
        np.concatenate([group.time_us for group in all_groups]),
        np.where(mother == NO_MOTHER, NO_MOTHER, mother + begins),
    )


def chosen(made: Particles, place: IntArray) -> Particles:
    """Some particles, in any order. A mother that is not among them is none; ``mother`` counts among them."""
    new = np.full(len(made.pdg) + 1, NO_MOTHER)
    new[place] = np.arange(len(place))
    return Particles(
        made.pdg[place],
        made.kinetic_mev[place],
        made.position_cm[place],
        made.direction[place],
        made.time_us[place],
        new[made.mother[place]],
    )


def track_numbers(particles: Particles) -> IntArray:
    """Numbers of the tracks from 1: first the particles that leave the blocks, then those that others make."""
    order = np.argsort(particles.mother != NO_MOTHER, kind="stable")
    tracks = np.empty(len(order), np.int64)
    tracks[order] = np.arange(1, len(order) + 1)
    return tracks


def listed(event: Event, particles: Particles, tracks: IntArray, truth: str) -> Listed:
    """What the truth trees list of an event.

    Parameters
    ----------
    event
        The event.
    particles, tracks
        All its particles, as `joined` gives them, and their `track_numbers`.
    truth
        ``all``, or ``interaction``: of an event with an interaction, its block alone; of one without, the first
        particle of each block, which says that the event is known to be background.
    """
    sizes = [len(block.particles.pdg) for block in event.blocks]
    block = np.repeat(np.arange(len(sizes)), sizes)
    names = np.repeat(np.array([one.generator for one in event.blocks], np.str_), sizes)
    interactions = tuple((k, one) for k, one in enumerate(event.blocks) if one.neutrino is not None)
    if truth == "all":
        return Listed(particles, block, names, tracks, np.arange(len(block)), interactions)
    if interactions:
        place = np.flatnonzero(np.isin(block, [k for k, _ in interactions]))
    else:
        place = np.unique(block, return_index=True)[1]
    return Listed(chosen(particles, place), block[place], names[place], tracks[place], place, interactions)


def event_record(
    found: Listed,
    tracks: IntArray,
    paths: tuple[FloatArray, FloatArray],
    tps: tuple[IntArray, FloatArray],
    charge: tuple[IntArray, IntArray, FloatArray],
) -> EventRecord:
    """What the trees hold of an event, from what its simulation gave.

    Parameters
    ----------
    found, tracks
        The particles listed, and the `track_numbers` of all.
    paths
        Path lengths [cm], shape (p,), and ends [cm], shape (p, 3), of all particles.
    tps
        TPs and their truth, with origins as `snpoint.physics.simulation.charge` numbers them.
    charge
        Rows in the order in which they are listed, then columns ``keys`` and ``amounts`` of
        `snpoint.physics.simulation.charge.Charge`.
    """
    (path, end), (rows, truth), (order, keys, amounts) = paths, tps, charge
    n, origin = len(tracks), keys[:, 2]
    both = [np.bincount(origin, amounts[:, column], minlength=2 * n).reshape(n, 2) for column in (MEV, NE)]
    sums = np.stack(both, axis=2, dtype=np.float64).reshape(n, 4)
    if len(found.place) < n:
        is_listed = np.zeros(n, bool)
        is_listed[found.place] = True
        order = order[is_listed[origin[order] >> 1]]
    kept, means = keys[order], amounts[order]
    means[:, X_NE:] /= means[:, NE, None]
    signed = np.stack([tracks, -tracks], axis=1).reshape(-1)
    kept[:, 2] = signed[kept[:, 2]]
    rows, signal = rows.copy(), rows[:, readout.ORIGIN] >= 0
    rows[signal, readout.ORIGIN] = signed[rows[signal, readout.ORIGIN]]
    rows[~signal, readout.ORIGIN] = NO_TRACK
    return EventRecord(found, path[found.place], end[found.place], sums[found.place], rows, truth, kept, means)


def interaction_of(event: Event) -> int:
    """`ES`, `CC` or `BACKGROUND`."""
    targets = [block.target_pdg for block in event.blocks if block.neutrino is not None]
    return BACKGROUND if not targets else ES if targets[0] == ELECTRON else CC
