"""Peak memory of a process that simulates one chunk, for the tests and for the benchmark."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from snpoint.settings import SimulateSettings
from snpoint.stages import simulate

PEAK_MB = 700.0
"""A chunk of any number of events with noise needs less."""
GROWTH = 1.1
"""A chunk of many events needs less than so many times the memory of one of few."""
STATUS = Path("/proc/self/status")
"""Where Linux tells the peak; getrusage tells that of the parent process, where that is larger."""


def peak_mb(settings: SimulateSettings) -> float:
    """Peak memory [MB] of a process that simulates a chunk and writes it."""
    command = [sys.executable, __file__, settings.model_dump_json()]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _print_peak(settings: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "chunk.root"
        simulate.run(SimulateSettings.model_validate_json(settings), sample="peak", chunk=0, tpstream=path)
    peak = next(line for line in STATUS.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM:"))
    sys.stdout.write(f"{int(peak.split()[1]) / 1e3}\n")


if __name__ == "__main__":
    _print_peak(sys.argv[1])
