"""Small simulated chunks as they were at the last release, one for each generator; ``python tests/unit/toy_golden.py``
writes them.

Do so when results are meant to change (with a bump of ``code`` in the settings of the stage). On a machine of the kind
that wrote them, checksums must be the same: of the numbers as files hold them, real ones rounded to 32 bits. Another
kind of processor, or another numba, computes other last digits of ``exp`` or ``log``; now and then that flips a
decision, after which an event goes another way. There nearly all events must have as many rows as before in every
tree, and all columns their means.
"""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numba
import numpy as np
import toy_simulation as toy

from snpoint.data.tpstream import Trees
from snpoint.physics.simulation.chunk import simulate_chunk

GOLDEN = Path(__file__).parents[1] / "golden/simulate.json"
EVERYTHING = toy.radioactivity(
    ar39_bq_kg=0.02, ar42_bq_kg=1e-3, rn222_bq_kg=1e-3, cavern_gammas_hz=300.0, cavern_neutrons_hz=300.0
)
CASES: dict[str, dict[str, Any]] = {
    "electrons": {},
    "es": {"direction": "one", "vertex_margin_cm": 0.0},
    "cc": {"vertex_margin_cm": 0.0},
    "twins": {"twins": [toy.twin("ES"), toy.twin("CC")]},
    "background": {"radioactivity": EVERYTHING},
    "burst": {"burst": toy.burst(4, 4, 2, chunks=2), "radioactivity": EVERYTHING, "truth": "interaction"},
}
"""Generator -> changed settings."""


UNLIKE = 0.2
"""Share of the events that may go another way on another kind of machine."""
MEAN_TOLERANCE, SPREAD_TOLERANCE = 0.002, 0.15
"""Of the mean of (asinh of) a column there: in units of the mean, and of the standard deviation (both together)."""


def chunk_of(generator: str) -> Trees:
    """Chunk 1 of 10 events (a burst: 5) with a few noise TPs."""
    settings = toy.settings(events_per_chunk=10, generator=generator, noise=toy.noise(0.02), **CASES[generator])
    return simulate_chunk(settings, "golden", 1)


def record(trees: Trees) -> dict[str, Any]:
    """What is kept of a chunk: checksums of its trees, their rows in every event, means and spreads of the columns."""
    events = np.unique(trees["mctruths"]["Event"])
    return {
        "digests": {tree: _digest(branches) for tree, branches in trees.items()},
        "rows": {tree: [int((own["Event"] == k).sum()) for k in events] for tree, own in trees.items()},
        "means": {f"{tree}.{key}": _mean(values) for tree, own in trees.items() for key, values in own.items()
                  if values.dtype.kind in "iuf" and len(values)},
    }  # fmt: skip


def unlike(known: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """What tells two records of a generator apart that other last digits cannot explain."""
    if [*known["rows"]] != [*found["rows"]]:
        return [f"trees {[*found['rows']]}, not {[*known['rows']]}"]
    before, now = (np.array([*record["rows"].values()]) for record in (known, found))
    if before.shape != now.shape:
        return [f"{now.shape[1]} events, not {before.shape[1]}"]
    other = (before != now).any(axis=0)
    problems = [f"{other.sum()} of {other.size} events have other rows"] if other.mean() > UNLIKE else []
    for column in known["means"].keys() | found["means"].keys():
        (mean, spread), (own, _) = (record["means"].get(column, (float("nan"), 0.0)) for record in (known, found))
        if not abs(own - mean) <= MEAN_TOLERANCE * abs(mean) + SPREAD_TOLERANCE * spread:
            problems.append(f"mean of {column}: {own:g}, not {mean:g}")
    return sorted(problems)


def _mean(values: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation of asinh, six digits: like the logarithm, so that no single value decides."""
    finite = np.arcsinh(values[np.isfinite(values)].astype(np.float64))
    return float(f"{finite.mean():.6g}"), float(f"{finite.std():.6g}")


def _digest(branches: Mapping[str, np.ndarray]) -> str:
    total = hashlib.sha256()
    for key, values in branches.items():
        stored = values.astype(np.float32) if values.dtype.kind == "f" else values
        total.update(f"{key} {len(stored)} ".encode())
        # -0.0 and 0.0 are the same number
        total.update(" ".join(stored.tolist()).encode() if stored.dtype.kind == "U" else (stored + 0).tobytes())
    return total.hexdigest()[:16]


def machine() -> dict[str, str]:
    """What the checksums may depend on."""
    return {"processor": _processor(), "numba": numba.__version__, "numpy": np.__version__}


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if "model name" in line), platform.machine())


def write(records: dict[str, Any]) -> None:
    """One line for each generator and kind of record, so that a change is readable."""
    lines = [f'"machine": {json.dumps(machine())}']
    for generator, kinds in records.items():
        inner = ",\n  ".join(f"{json.dumps(kind)}: {json.dumps(content)}" for kind, content in kinds.items())
        lines.append(f"{json.dumps(generator)}: {{\n  {inner}\n }}")
    GOLDEN.write_text("{\n " + ",\n ".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    records = {generator: record(chunk_of(generator)) for generator in CASES}
    write(records)
    sys.stdout.write(f"{GOLDEN} written\n")
