"""Fitting numbers of the detector to one half of the real events, and testing them on the other half.

The gains of the induction planes and the density of ionization (which decides how much charge small deposits give,
and so how many small blips there are) are the numbers of the detector that whole events fix best. They are varied by
factors on what the simulation has built in.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from snpoint.errors import NumericError
from snpoint.physics.constants import U, V
from snpoint.physics.simulation.chunk import Simulator
from snpoint.physics.simulation.events import Particles
from snpoint.physics.simulation.transport import Shower, Transport
from snpoint.physics.validation.ranks import Agreement
from snpoint.physics.validation.real import Pairs, halves
from snpoint.settings import SimulateSettings

DENSITY_COLUMN = 4
"""Column of the deposits of a shower that holds the density of ionization."""
SHOWN = (
    *("electrons_per_mev", "adc_per_mev_U", "main_peak_U", "tps_per_mev_tot4_U", "adc_per_mev_V", "adc_per_mev_X"),
    *("blips_small_UV", "blips_large_UV", "blips_small_X", "blips_large_X"),
)
"""Quantities that these numbers move."""


class Knobs(NamedTuple):
    """Factors on the numbers of the simulation."""

    density: float = 1.0
    u_gain: float = 1.0
    v_gain: float = 1.0


class Knob(NamedTuple):
    """How a factor is found: the quantity that must agree, and the factors that are tried."""

    quantity: str
    factors: tuple[float, ...]


FITTED = {
    "density": Knob("electrons_per_mev", (0.85, 1.0, 1.15)),
    "u_gain": Knob("adc_per_mev_U", (0.9, 1.0, 1.15)),
    "v_gain": Knob("adc_per_mev_V", (0.9, 1.0, 1.15)),
}
"""In this order: charge first, the gains that make ADC of it after that."""


class VariedSimulator(Simulator):
    """A simulator with other numbers."""

    def __init__(self, settings: SimulateSettings, sample: str, chunk: int, knobs: Knobs) -> None:
        super().__init__(settings, sample, chunk)
        response = self._readout.response.copy()
        response[U] *= knobs.u_gain
        response[V] *= knobs.v_gain
        self._readout = self._readout._replace(response=response)
        self._transport = _DenserTransport(knobs.density)


class _DenserTransport(Transport):
    """Transport whose deposits are denser by a factor; nothing but recombination looks at the density."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self._factor = factor

    def shower(self, particles: Particles, state: npt.NDArray[np.uint64]) -> Shower:
        """The same shower."""
        found = super().shower(particles, state)
        found.deposits[:, DENSITY_COLUMN] *= self._factor
        return found


@dataclass(frozen=True)
class Tuned:
    """What came out."""

    knobs: Knobs
    curves: dict[str, list[tuple[float, float]]]  # knob -> (factor, median ratio on the tuning half)
    halves: dict[str, dict[str, dict[str, Agreement]]]  # before | after -> quantity -> tuned | tested half


def tune(compared: Callable[[Knobs], Pairs]) -> Tuned:
    """Fit the factors on events with even numbers, and compare both halves before and after.

    Parameters
    ----------
    compared
        Simulates twins with these factors and brings them together with the real events.
    """
    knobs = Knobs()
    curves: dict[str, list[tuple[float, float]]] = {}
    for name, knob in FITTED.items():
        tried = []
        for factor in knob.factors:
            pairs = compared(knobs._replace(**{name: factor}))
            tried.append((factor, pairs.agreement(knob.quantity, halves(pairs)[0]).ratio))
        curves[name] = tried
        knobs = knobs._replace(**{name: crossing(tried)})
    return Tuned(knobs, curves, {"before": _both(compared(Knobs())), "after": _both(compared(knobs))})


def _both(pairs: Pairs) -> dict[str, dict[str, Agreement]]:
    names = dict(zip(("tuned", "tested"), halves(pairs), strict=True))
    return {
        name: {half: pairs.agreement(name, own) for half, own in names.items()}
        for name in SHOWN
        if name in pairs.real.quantities and name in pairs.twins.quantities
    }


def crossing(tried: list[tuple[float, float]]) -> float:
    """The factor at which a ratio becomes 1, from a straight line through logarithms.

    Raises
    ------
    NumericError
        The ratio does not depend on the factor, or not where it would have to.
    """
    x, y = np.log(np.array(tried)).T
    slope, offset = np.polyfit(x, y, 1)
    factor = math.exp(-offset / slope) if abs(slope) > 0.02 else math.nan
    if not 0.5 * tried[0][0] < factor < 2.0 * tried[-1][0]:
        raise NumericError(f"no factor between {tried[0][0]} and {tried[-1][0]} brings the ratio to 1: {tried}")
    return factor
