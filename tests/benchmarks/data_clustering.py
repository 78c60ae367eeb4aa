"""Speed of clustering and linking: TPs per second on one thread, on the real CC file many times over.

TPs are those of two ticks and more. `new events` makes every copy of the file 50 events of their own; `one window`
puts all copies of all events into one event, `later` one after the other, `crowded` at random times and APAs. Run
``python tests/benchmarks/data_clustering.py``; the file is read through ``SNPOINT_DATA``, compilation is not counted.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))

import numpy as np
from rows import Row, processor_seconds, show
from toy_clusters import ADC_PER_MEV, DETECTOR, LINKING, Columns, permuted, real_tps

from snpoint.physics.clustering import cluster_ids, summarize
from snpoint.physics.linking import link

METHODS = ("connected", "greedy")
_NEEDED = ("event_uid", "apa", "plane", "face", "channel", "time_start", "samples_over_threshold")
_READOUT_TICKS = 6000
_FAR_APART = 200_000
"""Clock ticks from one copy of an event to the next: longer than a readout window."""


def measure() -> list[Row]:
    """Rates on new events, and how much longer a TP takes where events share a window."""
    tps = real_tps(Path(os.environ.get("SNPOINT_DATA", "data")) / "test_cc_tpstream.root", "none")
    kept = np.flatnonzero(tps["samples_over_threshold"] >= 2)
    tps = {key: tps[key][kept] for key in (*_NEEDED, "samples_to_peak", "adc_integral")}
    events, rows = new_events(tps, 100), []
    rates = {}
    for method in METHODS:
        rates[method] = _rate(events, method)
        rows.append(Row(f"cluster {method}, x100 new events", "C++ 1.9 M/s", 4.0, rates[method], "M TP/s"))
    crowd = crowded(tps, 10)
    for name, table, predecessor in (
        ("x100 one after the other", later(tps, 100), "C++ 4.3 times"),
        ("x100 in one window", one_window(tps, 100), "C++ 27 times at x10"),
        ("x10 in one window, crowded", crowd, "not measured"),
    ):
        for method in METHODS:
            slower = rates[method] / _rate(table, method)
            what = f"time per TP, {method}, {name}"
            rows.append(Row(what, predecessor, 2.0, slower, "times", higher_is_better=False))
    for name, table, limit in (("x100 new events", events, 1.0), ("x10 in one window, crowded", crowd, 0.4)):
        rows.append(Row(f"cluster and link, {name}", "not measured", limit, _rate(table, "connected", True), "M TP/s"))
    return rows


def new_events(tps: Columns, times: int) -> Columns:
    """Every copy of an event is an event of its own."""
    copies, copy = _copies(tps, times)
    return _in_order(copies | {"event_uid": copies["event_uid"] + (copy.astype(np.uint64) << np.uint64(32))})


def later(tps: Columns, times: int) -> Columns:
    """Every event goes on and on: its copies follow each other in time."""
    copies, copy = _copies(tps, times)
    return _in_order(copies | {"time_start": copies["time_start"] + copy * _FAR_APART})


def one_window(tps: Columns, times: int) -> Columns:
    """All events and all their copies are one event."""
    copies, copy = _copies(tps, times)
    return _in_order(copies | {"event_uid": np.ones(len(copy), np.uint64)})


def crowded(tps: Columns, times: int) -> Columns:
    """The same, but every copy of an event is at another time and in another APA."""
    copies, copy = _copies(tps, times)
    rng = np.random.default_rng(1)
    event = np.unique(copies["event_uid"], return_inverse=True)[1].reshape(-1)
    ticks, apas = (rng.integers(0, high, (event.max() + 1, times))[event, copy] for high in (_READOUT_TICKS, 4))
    window = _READOUT_TICKS * DETECTOR.clock_per_tick
    apa = (copies["apa"] + apas) % DETECTOR.n_apas
    moved = {
        "event_uid": np.ones(len(copy), np.uint64),
        "apa": apa.astype(np.uint8),
        "channel": (DETECTOR.local(copies["channel"]) + apa * DETECTOR.channels_per_apa).astype(np.int32),
        "time_start": (copies["time_start"] + ticks * DETECTOR.clock_per_tick) % window,
    }
    return _in_order(copies | moved)


def _copies(tps: Columns, times: int) -> tuple[Columns, np.ndarray]:
    copies = {key: np.tile(values, times) for key, values in tps.items()}
    return copies, np.repeat(np.arange(times), len(tps["channel"]))


def _in_order(tps: Columns) -> Columns:
    return permuted(tps, np.lexsort((tps["channel"], tps["time_start"], tps["event_uid"])))


def _rate(tps: Columns, method: str, links: bool = False) -> float:
    """Million TPs per second of processor time, through the summary of clusters or through the links."""

    def work() -> None:
        ids = cluster_ids(tps, DETECTOR, method=method, tick_limit=3, channel_limit=2, min_tps=2, tot_cut=1)
        clusters = summarize(ids, tps, DETECTOR, ADC_PER_MEV)
        if links:
            link(ids, tps, clusters, DETECTOR, LINKING)

    return len(tps["channel"]) / processor_seconds(work) / 1e6


if __name__ == "__main__":
    sys.exit(0 if show(measure()) else 1)
