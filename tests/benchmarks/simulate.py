"""Events per second of the simulation on one core, files included, what its generators cost, and its peak memory.

Run ``NUMBA_NUM_THREADS=1 OMP_NUM_THREADS=1 python tests/benchmarks/simulate.py [events]``; it fails where a limit is
missed. Compilation is not counted. The rates of radioactivity are those of docs/validation/backgrounds.md.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))

import numpy as np
from rows import Row, processor_seconds, show
from toy_memory import GROWTH, PEAK_MB, peak_mb
from toy_simulation import DEFAULTS

from snpoint.data.tpstream import read_tpstream
from snpoint.physics.geometry import load_detector
from snpoint.physics.simulation.charged_current import ChargedCurrent
from snpoint.physics.simulation.elastic import ElasticScattering, Electrons
from snpoint.physics.simulation.neutron_capture import capture
from snpoint.physics.simulation.radioactivity import Radioactivity
from snpoint.settings import Radioactivity as Rates
from snpoint.settings import SimulateSettings, Twin
from snpoint.stages import simulate

DETECTOR = load_detector(DEFAULTS["detector"])
QUIET = {"noise": DEFAULTS["noise"] | {"tps_per_event": {"U": 0.0, "V": 0.0, "X": 0.0}}}
RADIOACTIVE = {
    "truth": "interaction",
    "radioactivity": {
        "ar39_bq_kg": 1.01,
        "ar42_bq_kg": 9.2e-5,
        "rn222_bq_kg": 1.0e-3,
        "cavern_gammas_hz": 31000.0,
        "cavern_neutrons_hz": 0.12,
    },
}
CASES: list[tuple[str, float, int, dict[str, Any]]] = [
    ("ES, no standalone noise", 300.0, 1, {"generator": "es"} | QUIET),
    ("electrons 3-60 MeV, no standalone noise", 300.0, 1, {"generator": "electrons"} | QUIET),
    ("CC, no standalone noise", 100.0, 2, {"generator": "cc"} | QUIET),
    ("ES, 1270 noise TPs", 200.0, 1, {"generator": "es"}),
    ("CC, 1270 noise TPs", 80.0, 2, {"generator": "cc"}),
    ("background, 1270 noise TPs", 200.0, 1, {"generator": "background"}),
    ("ES, noise, full radioactivity", 10.0, 20, {"generator": "es"} | RADIOACTIVE),
    ("background, noise, full radioactivity", 10.0, 20, {"generator": "background"} | RADIOACTIVE),
]
"""What, limit [events/s], by how much fewer events it is measured with, changed settings."""


def rate_row(case: tuple[str, float, int, dict[str, Any]], events: int, folder: Path) -> Row:
    """Complete events per second of processor time: from the random numbers to the closed file."""
    what, limit, fewer, changes = case
    n = max(events // fewer, 2)
    settings = SimulateSettings(**(DEFAULTS | changes | {"events_per_chunk": n}))
    path = folder / "chunk.root"
    seconds = processor_seconds(lambda: simulate.run(settings, sample="benchmark", chunk=0, tpstream=path))
    per_event = {tree: len(branches["Event"]) / n for tree, branches in read_tpstream(path).items()}
    size = path.stat().st_size / n / 1e3
    content = f"{per_event['tps']:.0f} TPs, {per_event['simides']:.0f} SimIDEs, {size:.0f} kB per event"
    return Row(what, content, limit, n / seconds, "events/s")


def block_rows() -> list[Row]:
    """Processor time of what every generator draws for one event, without transport and detector."""
    own = {name: SimulateSettings(**(DEFAULTS | {"generator": name})) for name in ("es", "electrons", "cc")}
    interactions = ChargedCurrent(own["cc"], "benchmark", DETECTOR)
    twin = Twin(interaction="CC", electron_mev=12.0, neutrino_mev=25.0, abs_x_cm=150.0)
    rates = Radioactivity(Rates(**RADIOACTIVE["radioactivity"]), DETECTOR)
    works: list[tuple[str, float, Callable[[np.random.Generator], object]]] = [
        ("es", 100.0, ElasticScattering(own["es"], "benchmark", DETECTOR).block),
        ("electrons", 100.0, Electrons(own["electrons"], "benchmark", DETECTOR).block),
        ("cc", 300.0, interactions.block),
        ("twin (CC)", 600.0, lambda rng: interactions.twin(rng, twin)),
        ("capture of a neutron", 300.0, lambda rng: capture(rng, [0.0, 0.0, 0.0], 0.0)),
        ("full radioactivity", 3000.0, rates.blocks),
    ]
    return [Row(f"one block, {what}", "", limit, _microseconds(work), "us", False) for what, limit, work in works]


def _microseconds(work: Callable[[np.random.Generator], object], n: int = 300) -> float:
    rng = np.random.default_rng(1)
    return 1e6 / n * processor_seconds(lambda: [work(rng) for _ in range(n)])


def memory_rows(few: int = 500, many: int = 5000) -> list[Row]:
    """Peak memory of a small and of a large chunk: flat, and below the limit of the unit test."""
    small, large = (peak_of(events, {}) for events in (few, many))
    rich = peak_of(60, RADIOACTIVE | {"truth": "all"})
    return [
        Row(f"peak memory, {many} events with noise", f"{few} events: {small:.0f} MB", PEAK_MB, large, "MB", False),
        Row(f"the same, beside {few} events", "", GROWTH, large / small, "", False),
        Row("peak memory, radioactivity, all truth", "", 1500.0, rich, "MB", False),
    ]


def peak_of(events: int, changes: dict[str, Any]) -> float:
    """Peak memory [MB] of ES events with noise."""
    return peak_mb(SimulateSettings(**(DEFAULTS | {"generator": "es"} | changes | {"events_per_chunk": events})))


def main() -> bool:
    """Print the table; true if every limit is kept."""
    events = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    with tempfile.TemporaryDirectory() as name:
        rows = [rate_row(case, events, Path(name)) for case in CASES]
    return show([*rows, *block_rows(), *memory_rows()])


if __name__ == "__main__":
    sys.exit(not main())
