"""Branches of the TPStream trees from simulated events: LArSoft's names, types and units.

Momenta are in GeV/c and energies in GeV (total) in the truth trees, charge and deposits in electrons and MeV. What
the trees hold was read off the files of a production: ``mctruths`` has the initial and final state of each
interaction, ``mcparticles`` the particles that leave it and those that are born later (of a neutron capture).

Not imitated are rows of ``mcparticles`` that Geant4 makes on the way: nuclei and protons that neutrons hit
(``hadElastic``, ``neutronInelastic``) and what the nuclei that are left over decay to (``RadioactiveDecayBase``,
antineutrinos among them). A real CC event has 16.5 rows on average, one of ours 5.3. Nor is it imitated that in those
files the first row of ``mcneutrinos`` has no name of a generator.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from snpoint.physics.constants import ELECTRON_MASS_MEV, SIGNAL_GENERATOR
from snpoint.physics.geometry import Detector
from snpoint.physics.simulation import readouttables
from snpoint.physics.simulation.events import (
    ALPHA,
    ARGON_40,
    ELECTRON,
    MASS_MEV,
    NEUTRON,
    NO_MOTHER,
    POTASSIUM_40,
    Block,
    Event,
    FloatArray,
    IntArray,
    Neutrino,
    Particles,
)
from snpoint.physics.simulation.readouttables import Branches, Where
from snpoint.physics.simulation.records import GEANTINO, EventRecord, chosen, interaction_of, stacked

_SPEED_CM_NS = 29.9792458
_WORLD_CM = np.array([3609.946, 3908.84875, 3688.46])
"""Half lengths of the box at whose walls neutrinos are no longer followed."""
_NEUTRINOS = (12, 14, 16)
_FIRST_NUCLEUS = 1_000_000_000


def trees(records: Sequence[EventRecord], detector: Detector, where: Where) -> dict[str, Branches]:
    """The trees of some events; ``where`` has their run, subrun and numbers."""

    def joined(name: str, columns: int, dtype: type) -> npt.NDArray[Any]:
        return np.concatenate([np.zeros((0, columns), dtype), *(getattr(record, name) for record in records)])

    def counts(name: str) -> IntArray:
        return np.array([len(getattr(record, name)) for record in records], np.int64)

    table = _table(records)
    return {
        "tps": readouttables.key(where, counts("tps"))
        | readouttables.tps(joined("tps", 7, np.int64), joined("tp_truth", 9, float), detector),
        "mctruths": _mctruths(records, table, where),
        "mcneutrinos": _mcneutrinos(records, where),
        "mcparticles": readouttables.key(where, np.bincount(table.event, minlength=len(records)))
        | _mcparticles(records, table),
        "simides": readouttables.key(where, counts("ide_keys"))
        | readouttables.simides(joined("ide_keys", 3, np.int64), joined("ide_amounts", 5, float)),
    }


def burst(events: Sequence[Event], direction: FloatArray, where: Where) -> Branches:
    """Time and kind of each event of a burst, and the true direction of flight of its neutrinos."""
    n = len(events)
    kinds = [interaction_of(event) for event in events]
    return readouttables.key(where, np.ones(n, np.int64)) | {
        "time_s": np.array([event.time_s for event in events], np.float64),
        "interaction": np.array(kinds, np.uint8),
        **readouttables.axes("direction_", np.broadcast_to(np.asarray(direction, np.float64), (n, 3))),
    }


class _Table(NamedTuple):
    """All particles listed of some events, n of them."""

    particles: Particles  # ``mother`` counts in this table
    event: IntArray
    block: IntArray
    generator: npt.NDArray[np.str_]
    track: IntArray
    mass_mev: FloatArray
    energy_mev: FloatArray
    momentum_mev: FloatArray  # (n, 3)
    mother_pdg: IntArray  # 0: no mother


def _table(records: Sequence[EventRecord]) -> _Table:
    found = [record.listed for record in records]
    none, sizes = np.zeros(0, np.int64), [len(one.track) for one in found]
    made = stacked([one.particles for one in found])
    codes, inverse = np.unique(made.pdg, return_inverse=True)
    mass = np.array([0.0 if code == GEANTINO else MASS_MEV[code] for code in codes.tolist()])[inverse.reshape(-1)]
    size = np.sqrt(made.kinetic_mev * (made.kinetic_mev + 2 * mass))
    return _Table(
        made,
        np.repeat(np.arange(len(records)), sizes),
        np.concatenate([none, *(one.block for one in found)]),
        np.concatenate([np.zeros(0, "U1"), *(one.generator for one in found)]),
        np.concatenate([none, *(one.track for one in found)]),
        mass,
        made.kinetic_mev + mass,
        size[:, None] * made.direction,
        np.where(made.mother == NO_MOTHER, 0, made.pdg[made.mother]),
    )


def _mctruths(records: Sequence[EventRecord], table: _Table, where: Where) -> Branches:
    """Per block: neutrino and target at rest (status 0) of an interaction, then what leaves it (status 1)."""
    initial = _initial_state(records)
    final = np.flatnonzero(table.particles.mother == NO_MOTHER)
    place, momentum, energy = table.particles.position_cm[final], table.momentum_mev[final], table.energy_mev[final]
    event = np.concatenate([initial.event, table.event[final]])
    block = np.concatenate([initial.block, table.block[final]])
    status = np.concatenate([np.zeros(len(initial.event), np.int32), np.ones(len(final), np.int32)])
    order = np.lexsort((status, block, event))
    event, block = event[order], block[order]
    begins = np.flatnonzero(np.append(True, (np.diff(event) != 0) | (np.diff(block) != 0)) & (len(event) > 0))
    number = np.arange(len(event)) - np.repeat(begins, np.diff(np.append(begins, len(event))))
    generator = np.concatenate([initial.generator, table.generator[final]])[order]
    return readouttables.key(where, np.bincount(event, minlength=len(records))) | {
        "block_id": block.astype(np.int32),
        "truth_track_id": (-1 - number).astype(np.int32),
        "pdg": np.concatenate([initial.pdg, table.particles.pdg[final]])[order].astype(np.int32),
        "generator_name": generator,
        "status_code": status[order],
        **readouttables.axes("", np.concatenate([initial.position_cm, place])[order]),
        **readouttables.axes("p", np.concatenate([initial.momentum_mev, momentum])[order] / 1e3),
        "energy": np.concatenate([initial.energy_mev, energy])[order] / 1e3,
        "process": np.where(generator == SIGNAL_GENERATOR, "MARLEY", "primary"),
    }


class _Initial(NamedTuple):
    """Neutrinos and targets before the interactions, two rows each."""

    event: IntArray
    block: IntArray
    generator: npt.NDArray[np.str_]
    pdg: IntArray
    position_cm: FloatArray
    momentum_mev: FloatArray
    energy_mev: FloatArray


def _initial_state(records: Sequence[EventRecord]) -> _Initial:
    found = [(event, k, block) for event, record in enumerate(records) for k, block in record.listed.interactions]
    n = len(found)
    pdg, momentum, energy = np.zeros((n, 2), np.int64), np.zeros((n, 2, 3)), np.zeros((n, 2))
    place = np.zeros((n, 3))
    for row, (_, _, block) in enumerate(found):
        neutrino = _neutrino(block)
        pdg[row] = neutrino.pdg, block.target_pdg
        momentum[row, 0] = neutrino.energy_mev * neutrino.direction
        energy[row] = neutrino.energy_mev, MASS_MEV[block.target_pdg]
        place[row] = block.particles.position_cm[0]
    return _Initial(
        np.repeat(np.array([event for event, _, _ in found], np.int64), 2),
        np.repeat(np.array([k for _, k, _ in found], np.int64), 2),
        np.repeat(np.array([block.generator for *_, block in found], np.str_), 2),
        pdg.reshape(-1),
        np.repeat(place, 2, axis=0),
        momentum.reshape(-1, 3),
        energy.reshape(-1),
    )


def _neutrino(block: Block) -> Neutrino:
    if block.neutrino is None:
        raise ValueError(f"a block of '{block.generator}' is no interaction")
    return block.neutrino


def _mcneutrinos(records: Sequence[EventRecord], where: Where) -> Branches:
    """One row per interaction, filled as MARLEY's interface fills it."""
    found = [(event, k, block) for event, record in enumerate(records) for k, block in record.listed.interactions]
    n = len(found)
    values = np.array([_invariants(block) for *_, block in found], np.float64).reshape(n, 6)
    constants = {"leptonpdg": ELECTRON, "ccnc": 0, "mode": -1, "interactionType": -1, "target": ARGON_40}
    constants |= {"hitnuc": NEUTRON, "hitquark": 0}
    counts = np.bincount(np.array([event for event, _, _ in found], np.int64), minlength=len(records))
    return readouttables.key(where, counts) | {
        "block_id": np.array([k for _, k, _ in found], np.int32),
        "generator_name": np.array([block.generator for *_, block in found], np.str_),
        "nupdg": np.array([_neutrino(block).pdg for *_, block in found], np.int32),
        **{name: np.full(n, value, np.int32) for name, value in constants.items()},
        **dict(zip(("w", "x", "y", "qsqr", "pt", "theta"), values.T.copy(), strict=True)),
    }


def _invariants(block: Block) -> tuple[float, float, float, float, float, float]:
    """W [GeV], x, y, Q^2 [GeV^2], transverse momentum of the neutrino [GeV/c], angle of the electron [rad].

    Read off real files, to the last digit of all 60 interactions: q is the momentum transferred to the target (of
    mass M, at rest), x = Q^2 / (2 M q0), y = q0 / E. For argon W is the mass of the nucleus that remains in the end
    plus the excitation energy of K-40 (and not the invariant mass, where a nucleon leaves); of electrons it is their
    mass, and the angle is 0.
    """
    neutrino, made = _neutrino(block), block.particles
    direction = neutrino.direction
    transverse = neutrino.energy_mev * float(np.hypot(direction[0], direction[1])) / 1e3
    electron = int(np.flatnonzero(made.pdg == ELECTRON)[0])
    kinetic = float(made.kinetic_mev[electron])
    if block.target_pdg == ELECTRON:
        share, square = kinetic / neutrino.energy_mev, 2 * ELECTRON_MASS_MEV * kinetic / 1e6
        return ELECTRON_MASS_MEV / 1e3, 1.0, share, square, transverse, 0.0
    momentum = made.momentum_mev[electron]
    given = neutrino.energy_mev * direction - momentum
    energy = neutrino.energy_mev - kinetic - ELECTRON_MASS_MEV
    squared = float(given @ given) - energy**2
    mass = MASS_MEV[block.target_pdg]
    excitation = np.sqrt((mass + energy) ** 2 - float(given @ given)) - MASS_MEV[POTASSIUM_40]
    remaining = [code for code in made.pdg.tolist() if code > _FIRST_NUCLEUS and code != ALPHA]
    w = MASS_MEV[remaining[0] if remaining else POTASSIUM_40] + excitation
    cosine = float(direction @ made.direction[electron])
    angle = float(np.arccos(np.clip(cosine, -1.0, 1.0)))
    return w / 1e3, squared / (2 * mass * energy), energy / neutrino.energy_mev, squared / 1e6, transverse, angle


def _mcparticles(records: Sequence[EventRecord], table: _Table) -> Branches:
    """Tracks in the order of their numbers.

    As in LArSoft's files, ``edep`` and ``numelectrons`` are sums over the three planes: about three times the deposit.
    """
    order = np.lexsort((table.track, table.event))
    made = chosen(table.particles, order)
    sums = np.concatenate([np.zeros((0, 4)), *(record.sums for record in records)])[order]
    end, flight_ns = _ends(records, table)
    start_ns = 1e3 * made.time_us
    primary = made.mother == NO_MOTHER
    of_neutron = table.mother_pdg[order] == NEUTRON
    return {
        "pdg": made.pdg.astype(np.int32),
        "generator_name": np.full(len(order), "largeant"),
        "status_code": np.ones(len(order), np.int32),
        "g4_track_id": table.track[order].astype(np.int32),
        "mother": np.where(primary, 0, table.track[order][made.mother]).astype(np.int32),
        "truth_block_id": table.block[order].astype(np.int32),
        **readouttables.axes("", made.position_cm),
        "t": start_ns,
        **readouttables.axes("end_", end[order]),
        "end_t": start_ns + flight_ns[order],
        **readouttables.axes("p", table.momentum_mev[order] / 1e3),
        "energy": table.energy_mev[order] / 1e3,
        **dict(zip(("edep", "numelectrons", "shower_edep", "shower_numelectrons"), sums.T.copy(), strict=True)),
        "process": np.where(primary, "primary", np.where(of_neutron, "nCapture", "RadioactiveDecayBase")),
    }


def _ends(records: Sequence[EventRecord], table: _Table) -> tuple[FloatArray, FloatArray]:
    """Where particles end [cm], shape (n, 3), and after what time [ns].

    Neutrinos end at the wall of the world, neutrons where they are captured. Heavy particles keep their first speed
    in this; electrons have that of light.
    """
    made = table.particles
    end = np.concatenate([np.zeros((0, 3)), *(record.end_cm for record in records)])
    path = np.concatenate([np.zeros(0), *(record.path_cm for record in records)])
    neutrino = np.flatnonzero(np.isin(np.abs(made.pdg), _NEUTRINOS))
    path[neutrino] = _to_world_wall(made.position_cm[neutrino], made.direction[neutrino])
    end[neutrino] = made.position_cm[neutrino] + path[neutrino, None] * made.direction[neutrino]
    heavy = table.mass_mev > 2 * ELECTRON_MASS_MEV
    speed = np.full(len(path), _SPEED_CM_NS)
    momentum = np.linalg.norm(table.momentum_mev, axis=1)
    speed[heavy] *= momentum[heavy] / table.energy_mev[heavy]
    flight = np.divide(path, speed, out=np.zeros(len(path)), where=speed > 0)
    for child in np.flatnonzero(table.mother_pdg == NEUTRON)[::-1]:
        mother = made.mother[child]
        end[mother] = made.position_cm[child]
        flight[mother] = 1e3 * (made.time_us[child] - made.time_us[mother])
    return end, flight


def _to_world_wall(start: FloatArray, direction: FloatArray) -> FloatArray:
    """Distance [cm] to the wall of the world along unit vectors."""
    with np.errstate(divide="ignore", invalid="ignore"):
        per_axis = (np.where(direction > 0, _WORLD_CM, -_WORLD_CM) - start) / direction
    return np.asarray(np.where(direction == 0, np.inf, per_axis).min(axis=1, initial=np.inf))
