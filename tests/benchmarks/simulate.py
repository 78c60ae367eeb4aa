"""Events per second of the simulation on one core, files included, and its peak memory.

Run ``NUMBA_NUM_THREADS=1 OMP_NUM_THREADS=1 python tests/benchmarks/simulate.py [events]``; it fails where a limit is
missed. Compilation is not counted. The rates of radioactivity are those of docs/validation/backgrounds.md.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml
from rows import Row, processor_seconds, show

from snpoint.data.tpstream import read_tpstream
from snpoint.settings import SimulateSettings
from snpoint.stages import simulate

_BASE = Path(__file__).parents[2] / "configs/samples/_base.yaml"
DEFAULTS: dict[str, Any] = yaml.safe_load(_BASE.read_text(encoding="utf-8"))["simulate"]
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


def peak_mb(events: int, changes: dict[str, Any]) -> float:
    """Peak memory [MB] of a process that simulates a chunk of so many events with noise and writes it."""
    settings = SimulateSettings(**(DEFAULTS | {"generator": "es"} | changes | {"events_per_chunk": events}))
    command = [sys.executable, __file__, "--peak", settings.model_dump_json()]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def print_peak(settings: str) -> None:
    """What `peak_mb` runs in a process of its own."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "chunk.root"
        simulate.run(SimulateSettings.model_validate_json(settings), sample="peak", chunk=0, tpstream=path)
    # Not getrusage: its figure is that of the parent process, where that is larger.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    sys.stdout.write(f"{int(peak.split()[1]) / 1e3}\n")


def memory_rows(few: int = 500, many: int = 5000) -> list[Row]:
    """Peak memory of a small and of a large chunk: flat."""
    small, large = peak_mb(few, {}), peak_mb(many, {})
    rich = peak_mb(60, RADIOACTIVE | {"truth": "all"})
    return [
        Row(f"peak memory, {many} events with noise", f"{few} events: {small:.0f} MB", 1000.0, large, "MB", False),
        Row(f"the same, beside {few} events", "", 1.15, large / small, "", False),
        Row("peak memory, radioactivity, all truth", "", 1500.0, rich, "MB", False),
    ]


def main() -> bool:
    """Print the table; true if every limit is kept."""
    events = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    with tempfile.TemporaryDirectory() as name:
        rows = [rate_row(case, events, Path(name)) for case in CASES]
    return show([*rows, *memory_rows()])


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peak"]:
        print_peak(sys.argv[2])
    else:
        sys.exit(not main())
