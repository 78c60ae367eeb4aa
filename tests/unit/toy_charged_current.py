"""CC interactions with the defaults of samples, for the tests of their generator."""

from __future__ import annotations

from typing import Any

from toy_simulation import settings

from snpoint.physics.geometry import load_detector
from snpoint.physics.simulation.charged_current import ChargedCurrent
from snpoint.settings import Twin

DETECTOR = load_detector("fdhd_1x2x2")


def charged_current(**changes: Any) -> ChargedCurrent:
    return ChargedCurrent(settings(generator="cc", **changes), "toy", DETECTOR)


def twin(electron_mev: float, neutrino_mev: float, abs_x_cm: float = 150.0) -> Twin:
    return Twin(interaction="CC", electron_mev=electron_mev, neutrino_mev=neutrino_mev, abs_x_cm=abs_x_cm)
