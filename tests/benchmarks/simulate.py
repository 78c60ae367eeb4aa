"""Events per second of the simulation on one core, without and with standalone noise TPs.

Run ``python tests/benchmarks/simulate.py [events]``; compilation is not counted.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from snpoint.physics.simulation.chunk import simulate_chunk
from snpoint.settings import SimulateSettings


def settings(events: int, standalone: float) -> SimulateSettings:
    """The demo's sample with this many events and this share of the measured noise TPs."""
    values: dict[str, Any] = {
        "code": 1,
        "detector": "fdhd_1x2x2",
        "seed": 1,
        "events_per_chunk": events,
        "spectrum": {"shape": 2.5, "scale_mev": 5.5, "min_mev": 3.0, "max_mev": 60.0},
        "flux": {"mean_energy_mev": 12.0, "alpha": 2.5},
        "vertex_margin_cm": 30.0,
        "noise": {
            "white_adc": {"U": 17.0, "V": 17.0, "X": 14.7},
            "tps_per_event": {"U": 365.0 * standalone, "V": 365.0 * standalone, "X": 540.0 * standalone},
        },
    }
    return SimulateSettings(**values)


def main() -> None:
    """Print one line per configuration."""
    events = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    start = time.perf_counter()
    simulate_chunk(settings(2, 1.0), "warm_up", 0)
    sys.stdout.write(f"compiling or loading: {time.perf_counter() - start:.1f} s\n")
    for name, standalone in (("without", 0.0), ("with", 1.0)):
        start = time.perf_counter()
        trees = simulate_chunk(settings(events, standalone), "benchmark", 0)
        seconds = time.perf_counter() - start
        rate, size = events / seconds, len(trees["tps"]["Event"]) / events
        sys.stdout.write(f"{name} standalone noise: {rate:.0f} events/s ({size:.0f} TPs/event)\n")


if __name__ == "__main__":
    main()
