"""What happened in each event: its primary electron, its neutrino, and whether that scattered off an electron."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from snpoint.physics.constants import BACKGROUND, CC, ELECTRON_MASS_MEV, ES, SIGNAL_GENERATOR, UNKNOWN
from snpoint.physics.matching_rows import Columns, Ints, Rows, Tree

EVENT_FLOATS = (
    *("direction_x", "direction_y", "direction_z", "vertex_x_cm", "vertex_y_cm", "vertex_z_cm", "energy_true_mev"),
    *("neutrino_direction_x", "neutrino_direction_y", "neutrino_direction_z", "neutrino_energy_mev"),
)
"""Columns of the TP table that are numbers of the event."""

_NEUTRINOS = (12, 14, 16)
Bools = npt.NDArray[np.bool_]


def is_signal_generator(names: npt.NDArray[Any]) -> Bools:
    """Which of these generators make neutrino interactions, in whatever case they are written."""
    known, inverse = np.unique(names.astype(str), return_inverse=True)
    return np.array([SIGNAL_GENERATOR in name.lower() for name in known], bool)[inverse.reshape(-1)]


def event_truth(mctruths: Tree, rows: Rows, interaction: str) -> Columns:
    """Truth of every event that has TPs.

    Parameters
    ----------
    mctruths
        The truth table of the generators.
    rows
        The events.
    interaction
        ``truth`` tells ES from CC by the final-state neutrino; ``ES`` or ``CC`` is taken as it is.

    Returns
    -------
    dict
        `EVENT_FLOATS` (f4, NaN where not known) and ``interaction`` (u1), shape (E,). An event of other generators
        alone is background; one that the truth table does not hold, or holds in part, is unknown.
    """
    every = rows.numbers(mctruths)
    mine = np.flatnonzero(is_signal_generator(mctruths["generator_name"]))
    event = every[mine]
    table = {key: values[mine] for key, values in mctruths.items()}
    n = len(rows.events)
    pdg, status = np.abs(table["pdg"]), table["status_code"]
    electron = _first(event, (pdg == 11) & (status == 1), n)
    # The neutrino and its remains are those of the electron's block: an event may hold several blocks.
    block = np.full(n, -1, np.int64)
    block[electron >= 0] = table["block_id"][electron[electron >= 0]]
    is_neutrino = np.isin(pdg, _NEUTRINOS) & (event >= 0)
    is_neutrino[is_neutrino] = block[event[is_neutrino]] == table["block_id"][is_neutrino]
    neutrino = _first(event, is_neutrino & (status == 0), n)
    outgoing = _first(event, is_neutrino & (status == 1), n)
    truth = _kinematics(table, electron, neutrino)
    if interaction == "truth":
        kind, decided = np.where(outgoing >= 0, ES, CC), (electron >= 0) & (neutrino >= 0)
    else:
        kind, decided = np.full(n, {"ES": ES, "CC": CC}[interaction]), electron >= 0
    undecided = np.full(n, UNKNOWN)
    undecided[every[every >= 0]] = BACKGROUND
    undecided[event[event >= 0]] = UNKNOWN
    return truth | {"interaction": np.where(decided, kind, undecided).astype(np.uint8)}


def no_event_truth(n: int) -> Columns:
    """The same columns for ``n`` events of which nothing is known."""
    unknown: Columns = {key: np.full(n, np.nan, np.float32) for key in EVENT_FLOATS}
    return unknown | {"interaction": np.full(n, UNKNOWN, np.uint8)}


def _first(event: Ints, chosen: Bools, n: int) -> Ints:
    """First chosen row of each of ``n`` events; -1 where there is none."""
    rows = np.flatnonzero(chosen & (event >= 0))[::-1]
    found = np.full(n, -1, np.int64)
    found[event[rows]] = rows
    return found


def _kinematics(table: Tree, electron: Ints, neutrino: Ints) -> Columns:
    truth: Columns = {}

    def of(key: str, chosen: Ints) -> npt.NDArray[np.float64]:
        values = np.full(len(chosen), np.nan)
        values[chosen >= 0] = table[key][chosen[chosen >= 0]]
        return values

    for prefix, chosen in (("", electron), ("neutrino_", neutrino)):
        momentum = np.stack([of(f"p{axis}", chosen) for axis in "xyz"], axis=1)
        norm = np.linalg.norm(momentum, axis=1, keepdims=True)
        unit = np.divide(momentum, norm, out=np.full_like(momentum, np.nan), where=norm > 0)
        truth |= {f"{prefix}direction_{axis}": unit[:, index] for index, axis in enumerate("xyz")}
    truth |= {f"vertex_{axis}_cm": of(axis, electron) for axis in "xyz"}
    # Files give total energies in GeV.
    truth["energy_true_mev"] = np.maximum(1e3 * of("energy", electron) - ELECTRON_MASS_MEV, 0.0)
    truth["neutrino_energy_mev"] = 1e3 * of("energy", neutrino)
    return {key: values.astype(np.float32) for key, values in truth.items()}
