"""Truth of TPs by the rule of the predecessor's C++ (online-pointing-utils v2.0.0), kept for comparison only.

The rule, with its faults. TPs of one sample are dropped. A deposit counts if its track belongs to a stored particle
that is no electron neutrino. Channel numbers below those of one APA are taken for local ones, so that deposits in
APA 0 match TPs of any APA; and where an event has deposits in other APAs, only TPs of those APAs are looked at: APA 0
is lost. A TP takes every deposit whose tick lies within (1 + margin) ticks of its start, whatever its length, and
several TPs may take the same one. The nearest deposit gives the particle (the first in the file, if several are).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from snpoint.physics.compiled import compiled
from snpoint.physics.geometry import Detector
from snpoint.physics.matching_deposits import Deposits
from snpoint.physics.matching_events import is_signal_generator
from snpoint.physics.matching_rows import Columns, Ints, Rows, Tree
from snpoint.physics.matching_tracks import Tracks, first_in_block

_NEUTRINO = 12
"""The only neutrino that the rule knows."""
_MIN_SAMPLES = 2


def long_enough(samples: npt.NDArray[Any], rows: Rows) -> npt.NDArray[np.bool_]:
    """TPs of the table that the rule keeps: two samples or more, or all of an event whose lengths are all zero."""
    highest = np.maximum.reduceat(samples, rows.offsets[:-1]) if len(samples) else samples
    return np.asarray((samples >= _MIN_SAMPLES) | (rows.spread(highest) == 0), bool)


def predecessor(
    trees: Mapping[str, Tree], rows: Rows, table: Columns, detector: Detector, margin_ticks: int
) -> Columns:
    """Truth columns of the TPs of a table, shape (T,) each.

    Parameters
    ----------
    trees
        ``mctruths``, ``mcparticles`` and ``simides``.
    rows, table
        The order of the table, and its measured columns (of all TPs: those too short are without truth).
    detector
        The detector layout.
    margin_ticks
        The rule's ``backtracker_error_margin``.

    Returns
    -------
    dict
        ``edep_mev`` sums the deposits of a TP, signal or not. Particle and position are known for signal only, and
        the position is where the particle started. ``n_electrons`` is unknown to the rule (NaN).
    """
    particles, mctruths, simides = trees["mcparticles"], trees["mctruths"], trees["simides"]
    stored = (particles["status_code"] != 0) & (particles["pdg"] != _NEUTRINO)
    particle = Tracks.of(particles, rows, stored).find(rows.numbers(simides), simides["trackID"])
    deposits = Deposits.of(simides, rows, particle >= 0)
    kept = long_enough(table["samples_over_threshold"], rows)
    row, energy = _nearest(
        rows.offsets,
        np.where(kept, table["channel"], -1),
        table["time_start"],
        (deposits.groups, deposits.channel, deposits.bounds, deposits.time, deposits.row),
        simides["energy"],
        (detector.channels_per_apa, detector.n_apas, detector.clock_per_tick, 1 + margin_ticks),
    )
    made = np.flatnonzero(row >= 0)
    final = (mctruths["status_code"] != 0) & (mctruths["pdg"] != _NEUTRINO)
    block = first_in_block(particles, mctruths, rows, final)
    by_neutrinos = np.append(is_signal_generator(mctruths["generator_name"]), False)[block]
    return _truth(energy, made, simides["trackID"][row[made]], particle[row[made]], particles, by_neutrinos)


def _truth(
    energy: npt.NDArray[np.float64],
    made: Ints,
    track: npt.NDArray[Any],
    particle: Ints,
    particles: Tree,
    by_neutrinos: npt.NDArray[np.bool_],
) -> Columns:
    n = len(energy)
    table: Columns = {"track_id": np.zeros(n, np.int32), "is_signal": np.zeros(n, np.uint8)}
    table |= {"pdg": np.zeros(n, np.int32), "edep_mev": energy.astype(np.float32)}
    table["n_electrons"] = np.full(n, np.nan, np.float32)
    table["track_id"][made] = track
    signal = by_neutrinos[particle]
    rows, own = made[signal], particle[signal]
    table["is_signal"][rows], table["pdg"][rows] = 1, particles["pdg"][own]
    for axis in "xyz":
        table[f"{axis}_cm"] = np.full(n, np.nan, np.float32)
        table[f"{axis}_cm"][rows] = particles[axis][own]
    return table


@compiled()
def _nearest(offsets: Any, tp_channel: Any, tp_time: Any, deposits: Any, energy: Any, numbers: Any) -> Any:
    """Row of the deposit nearest to each TP (-1 none), and the energy of all deposits in reach.

    ``tp_channel`` is -1 for TPs that are left out. ``deposits`` holds groups, channel, bounds, time and row of
    `Deposits`; ``numbers`` the channels per APA, the APAs, the clock ticks per tick, and the reach in ticks.
    """
    groups, channel, bounds, time, row = deposits
    per_apa, n_apas, clock, reach = numbers
    found = np.full(len(tp_time), -1, np.int64)
    total = np.zeros(len(tp_time))
    begin, stop = np.zeros(per_apa * n_apas, np.int64), np.zeros(per_apa * n_apas, np.int64)
    seen = np.zeros(n_apas, np.bool_)
    window = reach * clock
    for event in range(len(offsets) - 1):
        if groups[event] == groups[event + 1]:
            continue
        low, high = time[bounds[groups[event]]], np.int64(0)
        seen[:] = False
        for group in range(groups[event], groups[event + 1]):
            begin[channel[group]], stop[channel[group]] = bounds[group], bounds[group + 1]
            low = min(low, time[bounds[group]])
            high = max(high, time[bounds[group + 1] - 1])
            if channel[group] >= per_apa:
                seen[channel[group] // per_apa] = True
        restricted = seen.any()
        for tp in range(offsets[event], offsets[event + 1]):
            own = tp_channel[tp]
            if own < 0 or (restricted and not seen[own // per_apa]):
                continue
            start = tp_time[tp]
            if start < low * clock - window or start > high * clock + window:
                continue
            nearest = window + 1
            for source in range(2 if own >= per_apa else 1):
                at = own if source == 0 else own % per_apa
                # TPs come in order of time: what is too early for one is too early for all that follow.
                while begin[at] < stop[at] and time[begin[at]] * clock < start - window:
                    begin[at] += 1
                d = begin[at]
                while d < stop[at] and time[d] * clock <= start + window:
                    total[tp] += energy[row[d]]
                    distance = abs(start - time[d] * clock)
                    if distance < nearest or (distance == nearest and row[d] < found[tp]):
                        nearest, found[tp] = distance, row[d]
                    d += 1
        for group in range(groups[event], groups[event + 1]):
            begin[channel[group]] = stop[channel[group]] = 0
    return found, total
