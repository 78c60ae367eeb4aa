"""Truth of TPs from the energy deposits of the simulation, matched by channel and time.

A TP takes the deposits on its own channel in the interval [start - before, end + after], where start and end are its
times less the offset of its plane: the electronics shape a pulse before and after the tick of its charge. Every
deposit counts once. Where several TPs could have it, the one whose bare interval holds it takes it, else the one
nearer in time (the earlier one, if they are equally near). The track that made most of the charge of a TP is its
track, if its share is large enough.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from snpoint.physics.compiled import compiled
from snpoint.physics.geometry import Detector
from snpoint.physics.matching_deposits import Deposits
from snpoint.physics.matching_rows import Columns, Ints, Rows, Tree
from snpoint.physics.matching_tracks import origin
from snpoint.physics.ordering import sorted_order
from snpoint.settings import SimideMatching

Floats = npt.NDArray[np.float64]

_MEASURED = ("plane", "time_start", "samples_over_threshold")


def simide(
    trees: Mapping[str, Tree], rows: Rows, table: Columns, detector: Detector, window: SimideMatching
) -> Columns:
    """Truth columns of the TPs of a table, shape (T,) each.

    Parameters
    ----------
    trees
        ``mctruths``, ``simides`` and, where the file has it, ``mcparticles``.
    rows, table
        The order of the table, and its measured columns.
    detector
        The detector layout.
    window
        Reach in time, plane offsets, and the least share of the track.

    Returns
    -------
    dict
        Energy and charge are sums over the deposits of a TP (0 without any), positions their charge-weighted means;
        track, particle and positions of a TP without a track of enough share are 0 and NaN.
    """
    simides = trees["simides"]
    deposits = Deposits.of(simides, rows)
    n = len(rows.order)
    group = deposits.group_of(rows, table["channel"], detector.n_apas * detector.channels_per_apa)
    near = np.flatnonzero(group >= 0)
    near = near[sorted_order(group[near])]
    start, end = _intervals({key: table[key][near] for key in _MEASURED}, detector, window)
    owner = _owners(group[near], start, end, deposits.bounds, deposits.time, window.before_ticks, window.after_ticks)
    owned = np.flatnonzero(owner >= 0)
    owner, own = owner[owned], deposits.row[owned]
    charge = simides["numelectrons"][own].astype(np.float64)
    sums = _sums(owner, len(near), charge, [simides[key][own] for key in ("energy", "x", "y", "z")])
    track, share = _dominant(owner, len(near), simides["trackID"][own].astype(np.int64), charge, sums[:, 0])
    made = np.flatnonzero((track != 0) & (share >= window.min_fraction))
    truth = _truth(n, near, sums, made, track)
    own = near[made]
    origins = origin(trees.get("mcparticles"), trees["mctruths"], rows, rows.event_of(own), track[made])
    truth["is_signal"][own], truth["pdg"][own] = origins
    return truth


def _intervals(tps: Columns, detector: Detector, window: SimideMatching) -> tuple[Floats, Floats]:
    """First tick of TPs, and the tick after their last, on the time axis of the deposits."""
    offset = np.array(window.offset_ticks.as_tuple())[tps["plane"]]
    start = tps["time_start"] / detector.clock_per_tick - offset
    return start, start + tps["samples_over_threshold"]


def _sums(owner: Ints, n: int, charge: Floats, values: list[npt.NDArray[Any]]) -> Floats:
    """Charge, energy, and charge times position of each TP, shape (n, 5)."""
    energy, *position = values
    weights = [charge, energy, *(charge * axis for axis in position)]
    return np.stack([np.bincount(owner, weight, n) for weight in weights], axis=1)


def _dominant(owner: Ints, n: int, track: Ints, charge: Floats, total: Floats) -> tuple[Ints, Floats]:
    """Track with most charge of each TP (0 none) and its share of the charge, shape (n,)."""
    order = sorted_order(owner, np.abs(track))
    best, most = _most(owner[order], track[order], charge[order], n)
    return best, np.divide(most, total, out=np.zeros(n), where=total > 0)


def _truth(n: int, near: Ints, sums: Floats, made: Ints, track: Ints) -> Columns:
    table: Columns = {"track_id": np.zeros(n, np.int32), "is_signal": np.zeros(n, np.uint8)}
    table |= {"pdg": np.zeros(n, np.int32), "edep_mev": np.zeros(n, np.float32), "n_electrons": np.zeros(n, np.float32)}
    table["track_id"][near[made]] = track[made]
    table["n_electrons"][near], table["edep_mev"][near] = sums[:, 0], sums[:, 1]
    for index, axis in enumerate("xyz"):
        table[f"{axis}_cm"] = np.full(n, np.nan, np.float32)
        table[f"{axis}_cm"][near[made]] = sums[made, 2 + index] / sums[made, 0]
    return table


@compiled()
def _owners(group: Any, start: Any, end: Any, bounds: Any, time: Any, before: Any, after: Any) -> Any:
    """TP that takes each deposit, -1 for none. TPs and deposits are in order of group and time."""
    owner = np.full(len(time), -1, np.int64)
    first = 0
    while first < len(group):
        stop = first
        while stop < len(group) and group[stop] == group[first]:
            stop += 1
        following, latest, longest = first, -1, -1
        for d in range(bounds[group[first]], bounds[group[first] + 1]):
            while following < stop and start[following] <= time[d]:
                latest = following
                if longest < 0 or end[following] >= end[longest]:
                    longest = following
                following += 1
            if latest >= 0 and time[d] <= end[latest]:
                owner[d] = latest
                continue
            late = max(time[d] - end[longest], 0.0) if longest >= 0 else np.inf
            early = start[following] - time[d] if following < stop else np.inf
            if late <= after and (late <= early or early > before):
                owner[d] = longest
            elif early <= before:
                owner[d] = following
        first = stop
    return owner


@compiled()
def _most(owner: Any, track: Any, charge: Any, n: Any) -> Any:
    """Track with most charge of each owner, and that charge; sorted by owner and number of the track.

    A particle's own charge (positive number) and that of its daughters (negative) count together; the larger of the
    two gives the sign. The smaller number wins a tie.
    """
    best, most = np.zeros(n, np.int64), np.zeros(n)
    i = 0
    while i < len(owner):
        own = daughters = 0.0
        k = i
        while k < len(owner) and owner[k] == owner[i] and abs(track[k]) == abs(track[i]):
            if track[k] < 0:
                daughters += charge[k]
            else:
                own += charge[k]
            k += 1
        if own + daughters > most[owner[i]]:
            most[owner[i]] = own + daughters
            best[owner[i]] = abs(track[i]) if own >= daughters else -abs(track[i])
        i = k
    return best, most
