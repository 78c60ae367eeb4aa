"""Settings of small simulated chunks for the tests of the simulation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from snpoint.settings import SimulateSettings

DEFAULTS: dict[str, Any] = yaml.safe_load(
    (Path(__file__).parents[2] / "configs/samples/_base.yaml").read_text(encoding="utf-8")
)["simulate"]
"""The defaults of samples."""


def settings(**changes: Any) -> SimulateSettings:
    """A chunk of 20 electrons without standalone noise; ``changes`` replace top-level values."""
    small = {"seed": 7, "events_per_chunk": 20, "vertex_margin_cm": 20.0, "noise": noise()}
    return SimulateSettings(**(DEFAULTS | small | changes))


def noise(standalone: float = 0.0, white: float = 1.0) -> dict[str, Any]:
    """Noise, scaled from what the real files show: 365, 365, 540 TPs per event; 17, 17, 14.7 ADC under a signal."""
    return DEFAULTS["noise"] | {
        "sigma_adc": {"U": 17.0 * white, "V": 17.0 * white, "X": 14.7 * white},
        "tps_per_event": {"U": 365.0 * standalone, "V": 365.0 * standalone, "X": 540.0 * standalone},
    }


def radioactivity(**rates: float) -> dict[str, float]:
    """No radioactivity but what is given."""
    return dict.fromkeys(DEFAULTS["radioactivity"], 0.0) | rates


def twin(interaction: str = "ES", electron_mev: float = 12.0, neutrino_mev: float = 25.0) -> dict[str, Any]:
    """An event to repeat, 150 cm from the middle."""
    energies = {"electron_mev": electron_mev, "neutrino_mev": neutrino_mev}
    return {"interaction": interaction, "abs_x_cm": 150.0} | energies


def burst(n_es: int, n_cc: int, n_background: int, chunks: int) -> dict[str, Any]:
    """A burst of so many events."""
    numbers = {"n_es": n_es, "n_cc": n_cc, "n_background": n_background, "chunks": chunks}
    return DEFAULTS["burst"] | numbers
