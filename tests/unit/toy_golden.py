"""Checksums of small simulated chunks, one for each generator; ``python tests/unit/toy_golden.py`` writes them.

Do so when results are meant to change (with a bump of ``code`` in the settings of the stage). Numbers are taken as
files hold them, real numbers rounded to 32 bits. That makes another last digit of ``exp`` or ``log`` harmless nearly
always, not always: another kind of processor, or another numba, may flip a decision of the simulation, and then the
checksum of an event that is as good as before. The machine that wrote them is named beside them.
"""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from pathlib import Path
from typing import Any

import numba
import numpy as np
import toy_simulation as toy

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


def digests(generator: str) -> dict[str, str]:
    """Tree -> checksum of chunk 1 of 10 events (a burst: 5) with a few noise TPs."""
    settings = toy.settings(events_per_chunk=10, generator=generator, noise=toy.noise(0.02), **CASES[generator])
    trees = simulate_chunk(settings, "golden", 1)
    return {tree: _digest(branches) for tree, branches in trees.items()}


def _digest(branches: dict[str, np.ndarray]) -> str:
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


if __name__ == "__main__":
    content = {"machine": machine(), "digests": {generator: digests(generator) for generator in CASES}}
    GOLDEN.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(f"{GOLDEN} written\n")
