"""Fitting numbers of the detector to one half of the real events, and testing them on the other half.

The gains of the induction planes and the density of ionization (which decides how much charge small deposits give,
and so how many small blips there are) are the numbers of the detector that whole events fix best. They are varied by
factors on what the simulation has built in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
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
from snpoint.physics.validation.real import Pairs, halves, size_of
from snpoint.settings import SimulateSettings

_LEAST_SLOPE = 0.02
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
    """How a factor is found: the quantities that must agree, and the factors that are tried."""

    quantities: tuple[str, ...]
    factors: tuple[float, ...]


class Tried(NamedTuple):
    """Real / simulated of a quantity on the tuning half with a factor."""

    factor: float
    ratio: float
    error: float  # of the logarithm of the ratio, from the bootstrap


FITTED = {
    "density": Knob(("electrons_per_mev", "blips_small_UV"), (0.85, 1.0, 1.15)),
    "u_gain": Knob(("adc_per_mev_U",), (0.9, 1.0, 1.15)),
    "v_gain": Knob(("adc_per_mev_V",), (0.9, 1.0, 1.15)),
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
    curves: dict[str, dict[str, list[Tried]]]  # knob -> quantity -> what was tried
    wanted: dict[str, dict[str, float]]  # knob -> quantity -> the factor that it asks for alone; NaN where none does
    halves: dict[str, dict[str, dict[str, Agreement]]]  # before | after -> quantity -> tuned | tested half


def tune(compared: Callable[[Knobs], Pairs], seed: int = 1) -> Tuned:
    """Fit the factors on events with even numbers, and compare both halves before and after.

    Parameters
    ----------
    compared
        Simulates twins with these factors and brings them together with the real events.
    seed
        Of the random numbers that break ties, and of the bootstrap.
    """
    knobs = Knobs()
    curves: dict[str, dict[str, list[Tried]]] = {}
    wanted: dict[str, dict[str, float]] = {}
    for name, knob in FITTED.items():
        curves[name] = {quantity: [] for quantity in knob.quantities}
        for factor in knob.factors:
            pairs = compared(knobs._replace(**{name: factor}))
            for quantity, tried in curves[name].items():
                tried.append(_tried(pairs, quantity, factor, seed))
        wanted[name] = {quantity: _alone(tried) for quantity, tried in curves[name].items()}
        knobs = knobs._replace(**{name: crossing(list(curves[name].values()))})
    both = {when: _both(compared(own), seed) for when, own in (("before", Knobs()), ("after", knobs))}
    return Tuned(knobs, curves, wanted, both)


def _tried(pairs: Pairs, quantity: str, factor: float, seed: int) -> Tried:
    """The ratio of the tuning half; its error is a quarter of the 95% interval."""
    ratio, (low, high) = size_of(quantity, pairs.agreement(quantity, halves(pairs)[0], seed))
    if not (low > 0.0 and math.isfinite(high)):
        raise NumericError(f"{quantity}: too few events on the half to tune on, its ratio is {ratio} ({low} to {high})")
    return Tried(factor, ratio, max((math.log(high) - math.log(low)) / 3.92, 1e-4))


def _both(pairs: Pairs, seed: int) -> dict[str, dict[str, Agreement]]:
    names = dict(zip(("tuned", "tested"), halves(pairs), strict=True))
    return {
        name: {half: pairs.agreement(name, own, seed) for half, own in names.items()}
        for name in SHOWN
        if name in pairs.real.quantities
    }


def crossing(curves: Sequence[Sequence[Tried]]) -> float:
    """The factor at which the ratios of some quantities come nearest to 1.

    Each is a straight line in logarithms, y = a + b x; the sum of (y / error)^2 is least at
    x = - sum(a b / error^2) / sum(b^2 / error^2).

    Raises
    ------
    NumericError
        No ratio depends on the factor, or not where it would have to.
    """
    upper = lower = 0.0
    for tried in curves:
        x, y = np.log([(one.factor, one.ratio) for one in tried]).T
        slope, offset = np.polyfit(x, y, 1)
        error = float(np.mean([one.error for one in tried]))
        if abs(slope) > _LEAST_SLOPE:
            upper, lower = upper - offset * slope / error**2, lower + slope**2 / error**2
    factor = math.exp(upper / lower) if lower > 0.0 else math.nan
    first, last = curves[0][0].factor, curves[0][-1].factor
    if not 0.5 * first < factor < 2.0 * last:
        raise NumericError(f"no factor between {first} and {last} brings the ratio to 1: {curves}")
    return factor


def _alone(tried: Sequence[Tried]) -> float:
    try:
        return crossing([tried])
    except NumericError:
        return math.nan
