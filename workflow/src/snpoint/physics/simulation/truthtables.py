"""Branches of the TPStream trees from simulated events: LArSoft's names, types and units.

Momenta are in GeV/c and energies in GeV (total) in the truth trees, charge and deposits in electrons and MeV. An
event has four particles in ``mctruths`` (neutrino and electron, before and after) and two in ``mcparticles``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from snpoint.physics.constants import ELECTRON_MASS_MEV, NO_TRACK
from snpoint.physics.geometry import Detector
from snpoint.physics.simulation import detector as readout
from snpoint.physics.simulation.charge import MEV, NE, X_NE
from snpoint.physics.simulation.kinematics import Primaries

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Branches = dict[str, npt.NDArray[Any]]

NEUTRINO_PDG, ELECTRON_PDG, ARGON_PDG, NEUTRON_PDG = 12, 11, 1000180400, 2112
NEUTRINO_TRACK, ELECTRON_TRACK = 1, 2
"""Track numbers; charge of an electron's electromagnetic daughters carries the negative number."""
GENERATOR = "marley"
"""The generator of neutrino interactions, by the name the files of a production use."""
DETID_TPC = 3
_SPEED_CM_NS = 29.9792458
_WORLD_CM = np.array([3609.946, 3800.0, 3688.46])
"""Half lengths of the box at whose walls neutrinos are no longer followed."""


def key(where: tuple[int, int, IntArray], counts: IntArray) -> Branches:
    """Event, run and subrun of every row; ``counts`` is the number of rows of each event."""
    run, subrun, events = where
    n = int(np.sum(counts))
    return {
        "Event": np.repeat(events, counts).astype(np.uint32),
        "Run": np.full(n, run, np.uint32),
        "SubRun": np.full(n, subrun, np.uint32),
    }


def tps(rows: IntArray, truth: FloatArray, detector: Detector) -> Branches:
    """TPs with the truth of the upstream backtracker; columns as in `snpoint.physics.simulation.detector`."""
    channel = rows[:, readout.CHANNEL]
    plane = detector.plane(channel)
    n, signal = len(rows), rows[:, readout.ORIGIN] >= 0
    branches: Branches = {
        "version": np.ones(n, np.uint8),
        "flag": np.zeros(n, np.uint8),
        "detid": np.full(n, DETID_TPC, np.uint8),
        "channel": channel.astype(np.uint32),
        "samples_over_threshold": rows[:, readout.LENGTH].astype(np.uint16),
        "time_start": (rows[:, readout.START] * detector.clock_per_tick).astype(np.uint64),
        "samples_to_peak": rows[:, readout.TO_PEAK].astype(np.uint16),
        "adc_integral": rows[:, readout.INTEGRAL].astype(np.uint32),
        "adc_peak": rows[:, readout.PEAK].astype(np.uint16),
        "readout_plane_id": np.where(detector.face(channel) > 0, 3, plane).astype(np.uint32),
        "readout_view": plane.astype(np.int32),
        "TPCSetID": detector.apa(channel).astype(np.uint32),
        "bt_primary_track_id": np.where(signal, _track(rows[:, readout.ORIGIN]), NO_TRACK).astype(np.int32),
        "bt_primary_track_numelectron_frac": np.where(signal, truth[:, readout.SHARE], NO_TRACK),
        "bt_primary_track_energy_frac": np.where(signal, 0.0, NO_TRACK),
        "bt_edep": truth[:, readout.MEV],
        "bt_numelectrons": truth[:, readout.ELECTRONS],
    }
    for axis, name in enumerate("xyz"):
        branches[f"bt_{name}"] = np.where(signal, truth[:, readout.POSITION + axis], NO_TRACK)
    for axis, name in enumerate("xyz"):
        branches[f"bt_primary_{name}"] = np.where(signal, truth[:, readout.OWN_POSITION + axis], NO_TRACK)
    return branches


def simides(keys: IntArray, amounts: FloatArray) -> Branches:
    """Charge per channel, tick and track."""
    return {
        "channel": keys[:, 0].astype(np.uint32),
        "timestamp": keys[:, 1].astype(np.uint16),
        "numelectrons": amounts[:, NE].astype(np.float32),
        "energy": amounts[:, MEV].astype(np.float32),
        "x": amounts[:, X_NE].astype(np.float32),
        "y": amounts[:, X_NE + 1].astype(np.float32),
        "z": amounts[:, X_NE + 2].astype(np.float32),
        "trackID": _track(keys[:, 2]).astype(np.int32),
        "origTrackID": np.full(len(keys), -999, np.int32),
    }


def mctruths(primaries: Primaries) -> Branches:
    """Four particles per event: neutrino and electron at rest (status 0), neutrino and electron (status 1)."""
    n = len(primaries.energy_mev)
    zero, mass = np.zeros((n, 3)), np.full(n, ELECTRON_MASS_MEV)
    momentum = np.stack([_neutrino_momentum(primaries), zero, *_final_momenta(primaries)], axis=1)
    final = np.linalg.norm(momentum[:, 2], axis=1)
    energy = np.stack([primaries.neutrino_energy_mev, mass, final, primaries.energy_mev + mass], axis=1)
    return {
        "block_id": np.zeros(4 * n, np.int32),
        "truth_track_id": np.tile(np.array([-1, -2, -3, -4], np.int32), n),
        "pdg": np.tile(np.array([NEUTRINO_PDG, ELECTRON_PDG] * 2, np.int32), n),
        "generator_name": np.full(4 * n, GENERATOR),
        "status_code": np.tile(np.array([0, 0, 1, 1], np.int32), n),
        **_axes("", np.repeat(primaries.vertex_cm, 4, axis=0)),
        **_axes("p", momentum.reshape(-1, 3) / 1e3),
        "energy": energy.reshape(-1) / 1e3,
        "process": np.full(4 * n, "MARLEY"),
    }


def mcneutrinos(primaries: Primaries) -> Branches:
    """One row per event, filled as MARLEY's interface fills it: y = T / E, Q^2 = 2 m T, ``pt`` of the neutrino."""
    n = len(primaries.energy_mev)
    momentum = _neutrino_momentum(primaries) / 1e3
    return {
        "block_id": np.zeros(n, np.int32),
        "generator_name": np.full(n, GENERATOR),
        **{
            name: np.full(n, value, np.int32)
            for name, value in {
                "nupdg": NEUTRINO_PDG, "leptonpdg": ELECTRON_PDG, "ccnc": 0, "mode": -1, "interactionType": -1,
                "target": ARGON_PDG, "hitnuc": NEUTRON_PDG, "hitquark": 0,
            }.items()
        },
        "w": np.full(n, ELECTRON_MASS_MEV / 1e3),
        "x": np.ones(n),
        "y": primaries.energy_mev / primaries.neutrino_energy_mev,
        "qsqr": 2 * ELECTRON_MASS_MEV * primaries.energy_mev / 1e6,
        "pt": np.hypot(momentum[:, 0], momentum[:, 1]),
        "theta": np.zeros(n),
    }  # fmt: skip


def mcparticles(
    primaries: Primaries,
    ends_cm: FloatArray,
    paths_cm: FloatArray,
    ide_event: IntArray,
    keys: IntArray,
    amounts: FloatArray,
) -> Branches:
    """Two rows per event: the neutrino after the scattering and the electron.

    As in LArSoft's files, ``edep`` and ``numelectrons`` are sums over the three planes: about three times the deposit.
    """
    n = len(primaries.energy_mev)
    neutrino, electron = _final_momenta(primaries)
    flight = _to_world_wall(primaries.vertex_cm, neutrino)
    direction = neutrino / np.linalg.norm(neutrino, axis=1, keepdims=True)
    end = np.stack([primaries.vertex_cm + flight[:, None] * direction, ends_cm], axis=1)
    energy = np.stack([np.linalg.norm(neutrino, axis=1), primaries.energy_mev + ELECTRON_MASS_MEV], axis=1)
    sums = [
        np.bincount(ide_event[keys[:, 2] == origin], amounts[keys[:, 2] == origin, column], minlength=n)
        for origin in (0, 1)
        for column in (MEV, NE)
    ]
    deposits = dict(zip(("edep", "numelectrons", "shower_edep", "shower_numelectrons"), sums, strict=True))
    return {
        "pdg": np.tile(np.array([NEUTRINO_PDG, ELECTRON_PDG], np.int32), n),
        "generator_name": np.full(2 * n, "largeant"),
        "status_code": np.ones(2 * n, np.int32),
        "g4_track_id": np.tile(np.array([NEUTRINO_TRACK, ELECTRON_TRACK], np.int32), n),
        "mother": np.zeros(2 * n, np.int32),
        "truth_block_id": np.zeros(2 * n, np.int32),
        **_axes("", np.repeat(primaries.vertex_cm, 2, axis=0)),
        "t": np.zeros(2 * n),
        **_axes("end_", end.reshape(-1, 3)),
        "end_t": np.stack([flight, paths_cm], axis=1).reshape(-1) / _SPEED_CM_NS,
        **_axes("p", np.stack([neutrino, electron], axis=1).reshape(-1, 3) / 1e3),
        "energy": energy.reshape(-1) / 1e3,
        **{name: np.stack([np.zeros(n), values], axis=1).reshape(-1) for name, values in deposits.items()},
        "process": np.full(2 * n, "primary"),
    }


def _track(origin: IntArray) -> IntArray:
    return np.where(origin == 0, ELECTRON_TRACK, -ELECTRON_TRACK)


def _axes(prefix: str, values: FloatArray) -> Branches:
    return {f"{prefix}{name}": np.ascontiguousarray(values[:, axis]) for axis, name in enumerate("xyz")}


def _neutrino_momentum(primaries: Primaries) -> FloatArray:
    return np.asarray(primaries.neutrino_energy_mev[:, None] * primaries.neutrino_direction)


def _final_momenta(primaries: Primaries) -> tuple[FloatArray, FloatArray]:
    """Momenta [MeV/c] of neutrino and electron after the scattering."""
    energy = primaries.energy_mev
    electron = np.sqrt(energy * (energy + 2 * ELECTRON_MASS_MEV))[:, None] * primaries.direction
    return _neutrino_momentum(primaries) - electron, electron


def _to_world_wall(start: FloatArray, direction: FloatArray) -> FloatArray:
    """Distance [cm] to the wall of the world along a direction (any length)."""
    unit = direction / np.linalg.norm(direction, axis=1, keepdims=True)
    with np.errstate(divide="ignore"):
        per_axis = (np.where(unit > 0, _WORLD_CM, -_WORLD_CM) - start) / unit
    return np.asarray(np.where(unit == 0, np.inf, per_axis).min(axis=1))
