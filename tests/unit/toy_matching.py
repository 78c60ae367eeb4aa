"""Settings and small event records for the tests of truth matching."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from snpoint.settings import MatchSettings

Trees = dict[str, dict[str, np.ndarray]]

CLOCK = 32
ELECTRON, GAMMA, RADIOLOGICAL = 2, 3, 7
"""Tracks of the toy event; the first two belong to the neutrino interaction."""


def match_settings(**changes: Any) -> MatchSettings:
    """The settings of samples; ``changes`` replace top-level values."""
    values: dict[str, Any] = {
        "code": 2,
        "detector": "fdhd_1x2x2",
        "truth": "backtracker",
        "interaction": "truth",
        "margin_ticks": 10,
        "simide": simide_matching(),
        "compare": False,
        "production": None,
        "background_production": None,
        "quarantine": False,
        "overlay": {"seed": 1, "noise": "drop", "shortage": "error"},
        "sha256": {},
    }
    return MatchSettings(**(values | changes))


def simide_matching(**changes: Any) -> dict[str, Any]:
    """The windows of LArSoft's own backtracking."""
    offsets = {"U": -8.0, "V": -4.0, "X": 3.0}
    return {"before_ticks": 0.0, "after_ticks": 0.0, "offset_ticks": offsets, "min_fraction": 0.0} | changes


def toy_trees(
    tps: Iterable[tuple[int, int, int]],
    deposits: Iterable[tuple[int, int, float, int]],
    event: int = 1,
) -> Trees:
    """One event: an electron (track 2) and a gamma (3) of a neutrino, and a radiological electron (7).

    Parameters
    ----------
    tps
        (channel, start in ticks, samples over threshold).
    deposits
        (channel, tick, electrons, track); a deposit of q electrons has q / 1000 MeV and lies at x = q, y = tick.
    event
        Number of the event.
    """
    return {
        "tps": _tps(np.array(list(tps), np.int64).reshape(-1, 3), event),
        "simides": _simides(np.array(list(deposits), np.float64).reshape(-1, 4), event),
        "mcparticles": _tree(
            event,
            pdg=np.array([12, 11, 22, 11], np.int32),
            status_code=np.ones(4, np.int32),
            g4_track_id=np.array([1, ELECTRON, GAMMA, RADIOLOGICAL], np.int32),
            truth_block_id=np.array([0, 0, 0, 1], np.int32),
            **{axis: np.array([1.0, 2.0, 3.0, 7.0]) for axis in "xyz"},
        ),
        "mctruths": _tree(
            event,
            pdg=np.array([12, 12, 11, 22, 11], np.int32),
            status_code=np.array([0, 1, 1, 1, 1], np.int32),
            block_id=np.array([0, 0, 0, 0, 1], np.int32),
            generator_name=np.array(["marley"] * 4 + ["Ar39GenInLAr"]),
            **{key: np.linspace(1, 2, 5) for key in ("x", "y", "z", "px", "py", "pz", "energy")},
        ),
    }


def joined(*parts: Trees) -> Trees:
    """One file with the events of several."""
    return {
        tree: {key: np.concatenate([part[tree][key] for part in parts]) for key in content}
        for tree, content in parts[0].items()
    }


def tiled(trees: Trees, times: int) -> Trees:
    """Copies of all events as new events: numbers grow by 1000 from copy to copy."""

    def copy(number: int) -> Trees:
        shift = np.uint32(1000 * number)
        return {tree: content | {"Event": content["Event"] + shift} for tree, content in trees.items()}

    return joined(*(copy(number) for number in range(times)))


def shuffled(trees: Trees, seed: int, keep: tuple[str, ...] = ("mctruths",)) -> Trees:
    """The rows of all trees in another order, but for those to keep."""
    rng = np.random.default_rng(seed)
    orders = {tree: rng.permutation(len(content["Event"])) for tree, content in trees.items() if tree not in keep}
    return {
        tree: {key: values[orders[tree]] if tree in orders else values for key, values in content.items()}
        for tree, content in trees.items()
    }


def _tree(event: int, **branches: np.ndarray) -> dict[str, np.ndarray]:
    n = len(next(iter(branches.values())))
    number = {"Event": event, "Run": 1, "SubRun": 0}
    return {key: np.full(n, value, np.uint32) for key, value in number.items()} | branches


def _tps(rows: np.ndarray, event: int) -> dict[str, np.ndarray]:
    n = len(rows)
    return _tree(
        event,
        channel=rows[:, 0].astype(np.uint32),
        time_start=(rows[:, 1] * CLOCK).astype(np.uint64),
        samples_over_threshold=rows[:, 2].astype(np.uint16),
        samples_to_peak=np.zeros(n, np.uint16),
        adc_integral=np.full(n, 500, np.uint32),
        adc_peak=np.full(n, 100, np.uint16),
    )


def _simides(rows: np.ndarray, event: int) -> dict[str, np.ndarray]:
    electrons = rows[:, 2].astype(np.float32)
    return _tree(
        event,
        channel=rows[:, 0].astype(np.uint32),
        timestamp=rows[:, 1].astype(np.uint16),
        numelectrons=electrons,
        energy=electrons / np.float32(1000),
        x=electrons,
        y=rows[:, 1].astype(np.float32),
        z=np.zeros(len(rows), np.float32),
        trackID=rows[:, 3].astype(np.int32),
    )
