"""Truth of trigger primitives: whose charge made each TP, and what happened in its event.

Three methods say which Geant4 track made a TP: LArSoft's own backtracking (``backtracker``), the energy deposits of
the simulation (``simide``), and the rule of the predecessor (``predecessor``, for comparison). A TP is signal if its
track's particle belongs to a truth block that a generator of neutrino interactions made.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from snpoint.physics.constants import CC, ES
from snpoint.physics.geometry import PLANES, Detector
from snpoint.physics.matching_backtracker import backtracker
from snpoint.physics.matching_events import event_truth, no_event_truth
from snpoint.physics.matching_predecessor import long_enough, predecessor
from snpoint.physics.matching_rows import Columns, Rows, Tree, UnmatchableError
from snpoint.physics.matching_simide import simide
from snpoint.settings import MatchSettings

__all__ = ["UnmatchableError", "compare", "count_interactions", "match"]

_MIN_SAMPLES = 2
"""TPs of one sample are noise but for a few in a thousand; comparisons of methods leave them out."""


def match(trees: Mapping[str, Tree], detector: Detector, *, settings: MatchSettings) -> Columns:
    """Trigger primitives of one file with their truth.

    Parameters
    ----------
    trees
        ``tps`` and what the method needs of ``mctruths``, ``mcparticles`` and ``simides`` (branches of the TPStream
        schema, in any order); which methods a file allows, `snpoint.data.truthneeds` says.
    detector
        The detector layout.
    settings
        ``truth`` is the method; ``interaction``, ``margin_ticks`` and ``simide`` are its parameters.

    Returns
    -------
    dict
        The columns of the TP table, one row per TP, sorted by (event_uid, time_start, channel). Numbers that are
        not known are NaN, an unknown interaction is 255. ``predecessor`` leaves out TPs of one sample, as it did,
        and gives as position of a TP where its particle started.

    Raises
    ------
    UnmatchableError
        A channel is not one of the detector's, or a run number is too large for the event's number.
    """
    _check_channels(trees, detector)
    rows = Rows.of(trees["tps"])
    table = _measured(trees["tps"], rows, detector)
    if settings.truth != "none":
        table |= _tp_truth(settings.truth, trees, rows, table, detector, settings)
        events = event_truth(trees["mctruths"], rows, settings.interaction)
    else:
        table |= _no_tp_truth(len(rows.order))
        events = no_event_truth(len(rows.events))
    table |= {key: rows.spread(values) for key, values in events.items()}
    table |= _no_overlay(len(rows.order))
    if settings.truth == "predecessor":
        kept = np.flatnonzero(long_enough(table["samples_over_threshold"], rows))
        table = {key: values[kept] for key, values in table.items()}
    return table


def compare(
    trees: Mapping[str, Tree], detector: Detector, settings: MatchSettings
) -> dict[str, dict[str, dict[str, int]]]:
    """Count how often the other methods agree with the upstream backtracking on which TPs are signal.

    Parameters
    ----------
    trees, detector, settings
        As for `match`, with what all methods need; ``settings.truth`` does not matter.

    Returns
    -------
    dict
        Method -> plane -> ``bt`` (signal TPs by ``bt_*``), ``found`` (by the method) and ``both``, among TPs of two
        samples or more. Efficiency is both / bt and purity both / found.

    Raises
    ------
    UnmatchableError
        As for `match`.
    """
    _check_channels(trees, detector)
    rows = Rows.of(trees["tps"])
    table = _measured(trees["tps"], rows, detector)
    counted = table["samples_over_threshold"] >= _MIN_SAMPLES
    known = (backtracker(trees, rows)["is_signal"] == 1) & counted
    counts: dict[str, dict[str, dict[str, int]]] = {}
    for method in ("simide", "predecessor"):
        truth = _tp_truth(method, trees, rows, table, detector, settings)
        counts[method] = _agreement(known, (truth["is_signal"] == 1) & counted, table["plane"])
    return counts


def count_interactions(mctruths: Tree, events: npt.NDArray[np.uint64]) -> dict[str, int]:
    """How many of these events (``event_uid``, ascending) are ES and CC by the truth tables."""
    none: npt.NDArray[np.int64] = np.zeros(0, np.int64)
    found = event_truth(mctruths, Rows(events, none, none, none), "truth")["interaction"]
    return {name: int((found == code).sum()) for name, code in (("ES", ES), ("CC", CC))}


def _agreement(
    known: npt.NDArray[np.bool_], found: npt.NDArray[np.bool_], plane: npt.NDArray[np.uint8]
) -> dict[str, dict[str, int]]:
    chosen = {"bt": known, "found": found, "both": known & found}
    return {
        name: {key: int(np.count_nonzero(rows & (plane == number))) for key, rows in chosen.items()}
        for number, name in enumerate(PLANES)
    }


def _check_channels(trees: Mapping[str, Tree], detector: Detector) -> None:
    n_channels = detector.n_apas * detector.channels_per_apa
    for tree, what in (("tps", "channel"), ("simides", "channel of a deposit")):
        channels = trees[tree]["channel"] if tree in trees else np.empty(0)
        if len(channels) and channels.max() >= n_channels:
            raise UnmatchableError(
                f"{what} {channels.max()} is not one of the {n_channels} of '{detector.name}'; is 'match.detector' "
                "right for this file?"
            )


def _tp_truth(
    method: str, trees: Mapping[str, Tree], rows: Rows, table: Columns, detector: Detector, settings: MatchSettings
) -> Columns:
    if method == "backtracker":
        return backtracker(trees, rows)
    if method == "simide":
        return simide(trees, rows, table, detector, settings.simide)
    return predecessor(trees, rows, table, detector, settings.margin_ticks)


def _measured(tps: Tree, rows: Rows, detector: Detector) -> Columns:
    table: Columns = {
        key: rows.spread(tps[branch][rows.first].astype(np.uint32))
        for key, branch in (("run", "Run"), ("subrun", "SubRun"), ("event", "Event"))
    }
    table["event_uid"] = rows.spread(rows.events)
    table["channel"] = tps["channel"].astype(np.int32)[rows.order]
    table |= {key: values[table["channel"]] for key, values in _of_channels(detector).items()}
    table["time_start"] = tps["time_start"].astype(np.int64)[rows.order]
    for key in ("samples_over_threshold", "samples_to_peak", "adc_integral", "adc_peak"):
        table[key] = tps[key][rows.order]
    return table


@lru_cache(maxsize=8)
def _of_channels(detector: Detector) -> Columns:
    """APA, plane and face of every channel."""
    channel = np.arange(detector.n_apas * detector.channels_per_apa)
    return {
        "apa": detector.apa(channel).astype(np.uint8),
        "plane": detector.plane(channel).astype(np.uint8),
        "face": detector.face(channel).astype(np.int8),
    }


def _no_tp_truth(n: int) -> Columns:
    table: Columns = {"track_id": np.zeros(n, np.int32), "is_signal": np.zeros(n, np.uint8)}
    table |= {"pdg": np.zeros(n, np.int32)}
    unknown: npt.NDArray[Any] = np.full(n, np.nan, np.float32)
    return table | dict.fromkeys(("edep_mev", "n_electrons", "x_cm", "y_cm", "z_cm"), unknown)


def _no_overlay(n: int) -> Columns:
    return {
        "is_overlay": np.zeros(n, np.uint8),
        "background_uid": np.zeros(n, np.uint64),
        "background_fingerprint": np.zeros(n, np.uint64),
    }
