"""Truth of trigger primitives: whose charge made each TP, and what happened in its event.

LArSoft's own backtracking (``bt_*``) says which Geant4 track dominates a TP. The track's particle belongs to a truth
block; the TP is signal if that block was made by the generator of neutrino interactions. Everything is joined by
sorted keys, no loop over TPs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from snpoint.physics.constants import ELECTRON_MASS_MEV
from snpoint.physics.geometry import Detector

Columns = dict[str, npt.NDArray[Any]]
Tree = Mapping[str, npt.NDArray[Any]]

SIGNAL_GENERATOR = "marley"
"""Part of the name of the generator of neutrino interactions, in small letters."""
BACKGROUND, ES, CC, UNKNOWN = 0, 1, 2, 255
NO_TRACK = -99999

_NEUTRINOS = (12, 14, 16)
_EVENT_FLOATS = (
    *("direction_x", "direction_y", "direction_z", "vertex_x_cm", "vertex_y_cm", "vertex_z_cm", "energy_true_mev"),
    *("neutrino_direction_x", "neutrino_direction_y", "neutrino_direction_z", "neutrino_energy_mev"),
)


def event_uid(run: npt.ArrayLike, subrun: npt.ArrayLike, event: npt.ArrayLike) -> npt.NDArray[np.uint64]:
    """One number per event: run << 44 | subrun << 32 | event.

    Raises
    ------
    ValueError
        A run number does not fit into 20 bits or a subrun number into 12.
    """
    runs, subruns = np.asarray(run, np.uint64), np.asarray(subrun, np.uint64)
    if runs.size and (runs.max() >= 1 << 20 or subruns.max() >= 1 << 12):
        raise ValueError(f"run {runs.max()} or subrun {subruns.max()} is too large (below {1 << 20} and {1 << 12})")
    return runs * np.uint64(1 << 44) + subruns * np.uint64(1 << 32) + np.asarray(event, np.uint64)


def match(trees: Mapping[str, Tree], detector: Detector, *, truth: str, interaction: str) -> Columns:
    """Trigger primitives of one file with their truth.

    Parameters
    ----------
    trees
        ``tps`` and, where the file has truth, ``mctruths`` and ``mcparticles`` (branches of the TPStream schema).
    detector
        The detector layout.
    truth
        ``backtracker`` attaches truth from the ``bt_*`` branches; ``none`` attaches none.
    interaction
        ``truth`` tells ES from CC by the final-state neutrino; ``ES`` or ``CC`` is taken as it is.

    Returns
    -------
    dict
        The columns of the TP table, one row per TP, sorted by (event_uid, time_start, channel). Numbers that are
        not known are NaN, an unknown interaction is 255.

    Raises
    ------
    ValueError
        A channel is not one of the detector's, or a run number is too large for the event's number.
    """
    tps = trees["tps"]
    n_channels = detector.n_apas * detector.channels_per_apa
    if len(tps["channel"]) and tps["channel"].max() >= n_channels:
        raise ValueError(f"channel {tps['channel'].max()} is not one of the {n_channels} of '{detector.name}'")
    uid = event_uid(tps["Run"], tps["SubRun"], tps["Event"])
    order = np.lexsort((tps["channel"], tps["time_start"], uid))
    table = _measured({key: values[order] for key, values in tps.items()}, uid[order], detector)
    known = truth == "backtracker" and "mctruths" in trees and "bt_primary_track_id" in tps
    if known:
        table |= _tp_truth(tps, trees["mctruths"], trees.get("mcparticles"), order, uid[order])
        table |= _event_truth(trees["mctruths"], uid[order], interaction)
    else:
        table |= _no_truth(len(order))
    return table


def _measured(tps: Tree, uid: npt.NDArray[np.uint64], detector: Detector) -> Columns:
    table: Columns = {"run": tps["Run"], "subrun": tps["SubRun"], "event": tps["Event"], "event_uid": uid}
    table["apa"] = detector.apa(tps["channel"]).astype(np.uint8)
    table["plane"] = detector.plane(tps["channel"]).astype(np.uint8)
    table["face"] = detector.face(tps["channel"]).astype(np.int8)
    table["channel"] = tps["channel"].astype(np.int32)
    table["time_start"] = tps["time_start"].astype(np.int64)
    for key in ("samples_over_threshold", "samples_to_peak", "adc_integral"):
        table[key] = tps[key]
    table["adc_peak"] = tps["adc_peak"]
    return table


def _no_truth(n: int) -> Columns:
    nothing = np.full(n, np.nan, np.float32)
    table: Columns = {"track_id": np.zeros(n, np.int32), "is_signal": np.zeros(n, np.uint8)}
    table |= dict.fromkeys(("edep_mev", "n_electrons", "x_cm", "y_cm", "z_cm", *_EVENT_FLOATS), nothing)
    return table | {"interaction": np.full(n, UNKNOWN, np.uint8)}


def _tp_truth(
    tps: Tree, mctruths: Tree, particles: Tree | None, order: npt.NDArray[np.int64], uid: npt.NDArray[np.uint64]
) -> Columns:
    track = tps["bt_primary_track_id"][order]
    made = track != NO_TRACK
    table: Columns = {"track_id": np.where(made, track, 0).astype(np.int32)}
    table["edep_mev"] = tps["bt_edep"][order].astype(np.float32)
    table["n_electrons"] = tps["bt_numelectrons"][order].astype(np.float32)
    for axis in "xyz":
        table[f"{axis}_cm"] = np.where(made, tps[f"bt_{axis}"][order], np.nan).astype(np.float32)
    signal = np.zeros(len(track), np.uint8)
    rows = np.flatnonzero(made)
    if particles is not None and len(rows):
        signal[rows] = _of_signal(mctruths, particles, uid[rows], np.abs(track[rows]))
    table["is_signal"] = signal
    return table


def _of_signal(
    mctruths: Tree, particles: Tree, uid: npt.NDArray[np.uint64], track: npt.NDArray[np.int32]
) -> npt.NDArray[np.bool_]:
    """Whether the tracks belong to a truth block of the neutrino interaction generator."""
    events = np.unique(uid)
    wanted = _pair(events, uid, track)
    own = _pair(events, _uid(particles), np.abs(particles["g4_track_id"]))
    # An event in which a track number occurs twice is undecided in the file itself: the last one counts.
    particle, found = _lookup(own, wanted)
    block = np.where(found, particles["truth_block_id"][particle], -1) if len(own) else np.full(len(uid), -1)
    mine = _is_signal_block(mctruths)
    blocks = _pair(events, _uid(mctruths)[mine], mctruths["block_id"][mine])
    return found & np.isin(_pair(events, uid, block), blocks)


def _pair(
    events: npt.NDArray[np.uint64], uid: npt.NDArray[np.uint64], number: npt.NDArray[Any]
) -> npt.NDArray[np.int64]:
    """(event, number) as one sortable key; -1 where the event is not among ``events``."""
    index = np.minimum(np.searchsorted(events, uid), len(events) - 1)
    return np.where(events[index] == uid, (index.astype(np.int64) << 32) + (number.astype(np.int64) & 0xFFFFFFFF), -1)


def _lookup(
    keys: npt.NDArray[np.int64], wanted: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Position of each wanted key in ``keys`` (the last of equal ones), and whether it is there."""
    if not len(keys):
        return np.zeros(len(wanted), np.int64), np.zeros(len(wanted), bool)
    order = np.argsort(keys, kind="stable")
    place = order[np.maximum(np.searchsorted(keys, wanted, side="right", sorter=order) - 1, 0)]
    return place, keys[place] == wanted


def _uid(tree: Tree) -> npt.NDArray[np.uint64]:
    return event_uid(tree["Run"], tree["SubRun"], tree["Event"])


def _is_signal_block(mctruths: Tree) -> npt.NDArray[np.bool_]:
    names, inverse = np.unique(mctruths["generator_name"].astype(str), return_inverse=True)
    return np.array([SIGNAL_GENERATOR in name.lower() for name in names], bool)[inverse.reshape(-1)]


def _event_truth(mctruths: Tree, uid: npt.NDArray[np.uint64], interaction: str) -> Columns:
    """Truth of the event of each TP: primary electron, neutrino and interaction."""
    events, inverse = np.unique(uid, return_inverse=True)
    mine = _is_signal_block(mctruths)
    rows = {key: values[mine] for key, values in mctruths.items()}
    own = _uid(rows)
    pdg, status = np.abs(rows["pdg"]), rows["status_code"]
    electron, has_electron = _first(own, (pdg == 11) & (status == 1), events)
    # The neutrino and its remains are those of the electron's block: an event may hold several blocks.
    block = np.full(len(events), -1, np.int64)
    block[has_electron] = rows["block_id"][electron[has_electron]]
    place = np.minimum(np.searchsorted(events, own), max(len(events) - 1, 0))
    same = block[place] == rows["block_id"] if len(events) else np.zeros(len(own), bool)
    is_neutrino = np.isin(pdg, _NEUTRINOS) & same
    incoming, has_neutrino = _first(own, is_neutrino & (status == 0), events)
    _, has_outgoing = _first(own, is_neutrino & (status == 1), events)
    truth = _kinematics(rows, electron, has_electron, incoming, has_neutrino)
    kind = (
        np.where(has_outgoing, ES, CC)
        if interaction == "truth"
        else np.full(len(events), {"ES": ES, "CC": CC}[interaction])
    )
    undecided = np.where(np.isin(events, own), UNKNOWN, BACKGROUND)
    decided = has_electron & (has_neutrino if interaction == "truth" else True)
    truth["interaction"] = np.where(decided, kind, undecided).astype(np.uint8)
    return {key: values[inverse.reshape(-1)] for key, values in truth.items()}


def _first(
    own: npt.NDArray[np.uint64], chosen: npt.NDArray[np.bool_], events: npt.NDArray[np.uint64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """First chosen row of each event, and whether there is one."""
    rows = np.flatnonzero(chosen)
    found, first = np.unique(own[rows], return_index=True)
    if not len(found):
        return np.zeros(len(events), np.int64), np.zeros(len(events), bool)
    place = np.minimum(np.searchsorted(found, events), len(found) - 1)
    return rows[first[place]], found[place] == events


def _kinematics(
    rows: Tree,
    electron: npt.NDArray[np.int64],
    has_electron: npt.NDArray[np.bool_],
    neutrino: npt.NDArray[np.int64],
    has_neutrino: npt.NDArray[np.bool_],
) -> Columns:
    truth: Columns = {}

    def put(key: str, values: npt.NDArray[Any], where: npt.NDArray[np.bool_]) -> None:
        truth[key] = np.where(where, values, np.nan).astype(np.float32)

    def of(key: str, chosen: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        return np.asarray(rows[key][chosen], np.float64) if len(rows[key]) else np.full(len(chosen), np.nan)

    for prefix, chosen, where in (("", electron, has_electron), ("neutrino_", neutrino, has_neutrino)):
        momentum = np.stack([of(f"p{axis}", chosen) for axis in "xyz"], axis=1)
        norm = np.linalg.norm(momentum, axis=1, keepdims=True)
        unit = np.divide(momentum, norm, out=np.full_like(momentum, np.nan), where=norm > 0)
        for index, axis in enumerate("xyz"):
            put(f"{prefix}direction_{axis}", unit[:, index], where)
    for axis in "xyz":
        put(f"vertex_{axis}_cm", of(axis, electron), has_electron)
    # Files give total energies in GeV.
    kinetic = np.maximum(1e3 * of("energy", electron) - ELECTRON_MASS_MEV, 0.0)
    put("energy_true_mev", kinetic, has_electron)
    put("neutrino_energy_mev", 1e3 * of("energy", neutrino), has_neutrino)
    return truth
