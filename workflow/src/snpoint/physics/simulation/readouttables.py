"""Branches of the trees ``tps`` and ``simides``, and those that all trees have: LArSoft's names, types and units."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from snpoint.physics.constants import NO_TRACK
from snpoint.physics.geometry import Detector
from snpoint.physics.simulation import detector as readout
from snpoint.physics.simulation.charge import MEV, NE, X_NE
from snpoint.physics.simulation.events import FloatArray, IntArray

Branches = dict[str, npt.NDArray[Any]]
Where = tuple[int, int, IntArray]
"""Run, subrun and the numbers of the events."""

DETID_TPC = 3


def key(where: Where, counts: IntArray) -> Branches:
    """Event, run and subrun of every row; ``counts`` is the number of rows of each event."""
    run, subrun, events = where
    n = int(np.sum(counts))
    return {
        "Event": np.repeat(events, counts).astype(np.uint32),
        "Run": np.full(n, run, np.uint32),
        "SubRun": np.full(n, subrun, np.uint32),
    }


def axes(prefix: str, values: FloatArray) -> Branches:
    """Three branches from vectors, shape (n, 3)."""
    return {f"{prefix}{name}": np.ascontiguousarray(values[:, axis]) for axis, name in enumerate("xyz")}


def tps(rows: IntArray, truth: FloatArray, detector: Detector) -> Branches:
    """TPs with the truth of the upstream backtracker."""
    channel = rows[:, readout.CHANNEL]
    plane = detector.plane(channel)
    n, signal = len(rows), rows[:, readout.ORIGIN] != NO_TRACK
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
        "bt_primary_track_id": rows[:, readout.ORIGIN].astype(np.int32),
        "bt_primary_track_numelectron_frac": np.where(signal, truth[:, readout.SHARE], NO_TRACK),
        "bt_primary_track_energy_frac": np.where(signal, 0.0, NO_TRACK),
        "bt_edep": truth[:, readout.ENERGY],
        "bt_numelectrons": truth[:, readout.ELECTRONS],
    }
    for axis, name in enumerate("xyz"):
        branches[f"bt_{name}"] = np.where(signal, truth[:, readout.POSITION + axis], NO_TRACK)
    for axis, name in enumerate("xyz"):
        branches[f"bt_primary_{name}"] = np.where(signal, truth[:, readout.OWN_POSITION + axis], NO_TRACK)
    return branches


def simides(keys: IntArray, amounts: FloatArray) -> Branches:
    """Charge per channel, tick and track; of electromagnetic daughters with the negative number of their ancestor."""
    return {
        "channel": keys[:, 0].astype(np.uint32),
        "timestamp": keys[:, 1].astype(np.uint16),
        "numelectrons": amounts[:, NE].astype(np.float32),
        "energy": amounts[:, MEV].astype(np.float32),
        "x": amounts[:, X_NE].astype(np.float32),
        "y": amounts[:, X_NE + 1].astype(np.float32),
        "z": amounts[:, X_NE + 2].astype(np.float32),
        "trackID": keys[:, 2].astype(np.int32),
        "origTrackID": np.full(len(keys), -999, np.int32),
    }
