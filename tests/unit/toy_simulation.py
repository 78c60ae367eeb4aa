"""Settings of small simulated chunks for the tests of the simulation."""

from __future__ import annotations

from typing import Any

from snpoint.settings import SimulateSettings


def settings(**changes: Any) -> SimulateSettings:
    """A chunk of 20 events without standalone noise; ``changes`` replace top-level values."""
    values: dict[str, Any] = {
        "code": 1,
        "detector": "fdhd_1x2x2",
        "seed": 7,
        "events_per_chunk": 20,
        "spectrum": {"shape": 2.5, "scale_mev": 5.5, "min_mev": 3.0, "max_mev": 60.0},
        "flux": {"mean_energy_mev": 12.0, "alpha": 2.5},
        "vertex_margin_cm": 20.0,
        "noise": noise(),
    }
    return SimulateSettings(**(values | changes))


def noise(standalone: float = 0.0, white: float = 1.0) -> dict[str, Any]:
    """Noise, scaled from what the real files show: 365, 365, 540 TPs per event; 17, 17, 14.7 ADC under a signal."""
    return {
        "white_adc": {"U": 17.0 * white, "V": 17.0 * white, "X": 14.7 * white},
        "tps_per_event": {"U": 365.0 * standalone, "V": 365.0 * standalone, "X": 540.0 * standalone},
    }
