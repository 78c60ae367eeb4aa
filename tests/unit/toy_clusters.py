"""Settings, small tables and slow but literal rules for the tests of clustering and linking."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from toy_introsort import introsort_order
from toy_matching import match_settings

from snpoint.data.tpstream import read_tpstream
from snpoint.physics.constants import X
from snpoint.physics.geometry import Detector, load_detector
from snpoint.physics.matching import match
from snpoint.settings import ClusterSettings, Linking

Columns = dict[str, np.ndarray]

DETECTOR = load_detector("fdhd_1x2x2")
ADC_PER_MEV = (1000.0, 1100.0, 4100.0)
LINKING = Linking(tolerance_ticks=10.0, sigma_ticks=8.0, sigma_y_cm=5.0, sigma_log_charge=0.8, missing_plane_cost=12.0)
CLOCK = 32


def cluster_settings(**changes: Any) -> ClusterSettings:
    """The settings of samples; ``changes`` replace top-level values."""
    values: dict[str, Any] = {
        "code": 2,
        "detector": "fdhd_1x2x2",
        "method": "connected",
        "tick_limit": 3,
        "channel_limit": 2,
        "min_tps": 2,
        "tot_cut": 3,
        "energy_cut_mev": 2.0,
        "adc_per_mev": dict(zip("UVX", ADC_PER_MEV, strict=True)),
        "link": LINKING.model_dump(),
    }
    return ClusterSettings(**(values | changes))


def real_tps(file: Path, truth: str = "backtracker") -> Columns:
    """The TPs of a real file with their truth."""
    settings = match_settings(truth=truth)
    return match(read_tpstream(file, ("tps", "mctruths", "mcparticles")), DETECTOR, settings=settings)


def in_order_of_the_older_chain(file: Path) -> Columns:
    """TPs of two or more ticks in the order in which the older chain went through them."""
    tps = read_tpstream(file, ("tps",))["tps"]
    tps = {key: values[tps["samples_over_threshold"] >= 2] for key, values in tps.items()}
    rows = []
    for event in np.unique(tps["Event"]):
        own = np.flatnonzero(tps["Event"] == event)
        rows.append(own[introsort_order(tps["time_start"][own].tolist())])
    tps = {key: values[np.concatenate(rows)] for key, values in tps.items()}
    channel = tps["channel"].astype(np.int64)
    return synthetic(channel, tps["time_start"] // CLOCK, tps["samples_over_threshold"], tps["Event"]) | {
        "adc_integral": tps["adc_integral"]
    }


def synthetic(
    channel: Any, start: Any, length: Any, event: Any = 1, adc: Any = 1800, detector: Detector = DETECTOR
) -> Columns:
    """TPs as columns of the TP table; ``start`` in ticks, peaks in the middle."""
    channel = np.asarray(channel, np.int64)
    n = len(channel)
    length = np.asarray(length, np.int64)
    return {
        "event_uid": np.full(n, event, np.uint64),
        "event": np.full(n, event, np.uint32),
        "channel": channel.astype(np.int32),
        "apa": detector.apa(channel).astype(np.uint8),
        "plane": detector.plane(channel).astype(np.uint8),
        "face": detector.face(channel).astype(np.int8),
        "time_start": np.asarray(start, np.int64) * detector.clock_per_tick,
        "samples_over_threshold": length.astype(np.uint16),
        "samples_to_peak": (length // 2).astype(np.uint16),
        "adc_integral": np.full(n, adc, np.uint32),
    }


def permuted(tps: Columns, order: np.ndarray) -> Columns:
    """The same TPs in another order."""
    return {key: values[order] for key, values in tps.items()}


def literal_greedy(tps: Columns, *, tick_limit: int, channel_limit: int, min_tps: int, tot_cut: int) -> set[Any]:
    """Clusters, as sets of rows, by the older rule word for word: every TP is held against all members of all."""
    kept = [i for i in range(len(tps["channel"])) if tps["samples_over_threshold"][i] > tot_cut]
    begin = tps["time_start"].tolist()
    end = [t + CLOCK * length for t, length in zip(begin, tps["samples_over_threshold"].tolist(), strict=True)]
    local = (tps["channel"] % DETECTOR.channels_per_apa).tolist()
    place = list(zip(*(tps[key].tolist() for key in ("event_uid", "plane", "apa", "face")), strict=True))

    def gap(a: int, b: int) -> int:
        return max(0, begin[a] - end[b], begin[b] - end[a])

    def accepts(members: list[int], i: int) -> bool:
        limit = tick_limit * CLOCK
        if any(local[m] == local[i] and gap(i, m) > limit for m in members):
            return False
        distances = [(abs(local[i] - local[m]), gap(i, m)) for m in members]
        wraps = place[i][1] != X
        return any(
            ticks <= limit and (channels <= channel_limit or (wraps and channels >= 800 - channel_limit))
            for channels, ticks in distances
        )

    clusters: dict[Any, list[list[int]]] = {}
    for i in sorted(kept, key=lambda row: (place[row][0], begin[row])):
        candidates = clusters.setdefault(place[i], [])
        for members in candidates:
            if accepts(members, i):
                members.append(i)
                break
        else:
            candidates.append([i])
    return {frozenset(members) for group in clusters.values() for members in group if len(members) >= min_tps}


def as_sets(ids: np.ndarray) -> set[Any]:
    """Clusters as sets of rows."""
    return {frozenset(np.flatnonzero(ids == number).tolist()) for number in range(int(ids.max(initial=-1)) + 1)}
