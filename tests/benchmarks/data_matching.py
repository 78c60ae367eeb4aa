"""Speed of truth matching: raw TPs per second on one thread, on the real CC file as 500 events.

Run ``python tests/benchmarks/data_matching.py``; the file is read through ``SNPOINT_DATA``, compilation is not counted.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))

from rows import Row, processor_seconds, show
from toy_matching import Trees, match_settings, tiled

from snpoint.data.tpstream import read_tpstream
from snpoint.data.tpstream_write import write_tpstream
from snpoint.data.truthneeds import needed_columns
from snpoint.physics.geometry import load_detector
from snpoint.physics.matching import compare, match

METHODS = ("backtracker", "simide", "predecessor")
DETECTOR = load_detector("fdhd_1x2x2")
_NEEDED = ("tps", "mctruths", "mcparticles", "simides")


def measure() -> list[Row]:
    """Rates of the methods on arrays in memory, how they scale, and the rate with reading the file."""
    source = Path(os.environ.get("SNPOINT_DATA", "data")) / "test_cc_tpstream.root"
    events = read_tpstream(source)
    trees = {tree: events[tree] for tree in _NEEDED}
    many, more = tiled(trees, 10), tiled(trees, 40)
    rows = [
        Row(f"match {method}, 500 events/file", "C++ 0.4 M/s, without ROOT", 4.0, _rate(many, method), "M raw TP/s")
        for method in METHODS
    ]
    rows.append(Row("agreement of all methods", "none", 2.0, _compared(many), "M raw TP/s"))
    slower = max(_rate(many, method) / _rate(more, method) for method in METHODS)
    what = "time per TP, 2000 events/file over 500"
    rows.append(Row(what, "C++ 4.2 from 100 to 500: quadratic", 2.0, slower, "times", higher_is_better=False))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cc_500.root"
        write_tpstream(path, tiled(events, 10))
        rows += [
            Row(f"read and match {method}, 500 events/file", "C++ 0.17 M/s, from memory", 1.0, rate, "M raw TP/s")
            for method in METHODS
            for rate in (_rate_with_reading(path, len(many["tps"]["Event"]), method),)
        ]
    return rows


def _rate(trees: Trees, method: str) -> float:
    settings = match_settings(truth=method)
    return len(trees["tps"]["Event"]) / processor_seconds(lambda: match(trees, DETECTOR, settings=settings)) / 1e6


def _compared(trees: Trees) -> float:
    settings = match_settings()
    return len(trees["tps"]["Event"]) / processor_seconds(lambda: compare(trees, DETECTOR, settings)) / 1e6


def _rate_with_reading(path: Path, n_tps: int, method: str) -> float:
    columns, settings = needed_columns(method, compare=False), match_settings(truth=method)
    seconds = processor_seconds(lambda: match(read_tpstream(path, columns, columns), DETECTOR, settings=settings))
    return n_tps / seconds / 1e6


if __name__ == "__main__":
    sys.exit(0 if show(measure()) else 1)
