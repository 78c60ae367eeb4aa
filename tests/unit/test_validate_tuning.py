"""Numbers of the detector that are fitted on one half of the real events: what the knobs do, and how they are found."""

from __future__ import annotations

import numpy as np
import pytest

from snpoint import config
from snpoint.errors import NumericError
from snpoint.physics.geometry import load_detector
from snpoint.physics.simulation.detector import CHANNEL, INTEGRAL
from snpoint.physics.validation.quantities import Measured
from snpoint.physics.validation.real import Pairs, pair
from snpoint.physics.validation.tuning import FITTED, Knobs, VariedSimulator, crossing, tune
from snpoint.section import PerPlane

DETECTOR = load_detector("fdhd_1x2x2")
EVENTS = 40


def charge_and_adc(knobs: Knobs) -> tuple[float, np.ndarray]:
    """Charge of thirty simulated events, and their ADC on the three planes."""
    settings = config.load_sample("twins_es").simulate
    silent = settings.noise.model_copy(update={"tps_per_event": PerPlane(U=0.0, V=0.0, X=0.0)})
    settings = settings.model_copy(update={"noise": silent})
    simulator = VariedSimulator(settings, "twins_es", 0, knobs)
    records = [simulator.simulate(*simulator.draw(k)) for k in range(30)]
    tps = np.concatenate([record.tps for record in records])
    plane = DETECTOR.plane(tps[:, CHANNEL])
    adc = np.bincount(plane, tps[:, INTEGRAL], minlength=3)
    return float(sum(record.ide_amounts[:, 0].sum() for record in records)), adc


def test_gain_moves_plane_u_alone_and_density_the_charge() -> None:
    charge, adc = charge_and_adc(Knobs())
    louder, denser = charge_and_adc(Knobs(u_gain=1.3)), charge_and_adc(Knobs(density=1.5))
    assert louder[0] == charge
    assert louder[1][0] > 1.15 * adc[0]
    assert louder[1][1:] == pytest.approx(adc[1:], rel=0.05)
    assert denser[0] < 0.97 * charge


def made_up(knobs: Knobs, seed: int, event: np.ndarray) -> Measured:
    """Events with a charge that falls with the density and ADC that grow with charge and gains."""
    rng = np.random.default_rng(seed)
    n = len(event)
    charge = 27_000 * knobs.density**-0.25 * rng.normal(1.0, 0.05, n)
    quantities = {"electrons_per_mev": charge, "adc_per_mev_U": 0.04 * knobs.u_gain * charge * rng.normal(1.0, 0.1, n)}
    quantities["adc_per_mev_V"] = 0.03 * knobs.v_gain * charge * rng.normal(1.0, 0.1, n)
    vertex = np.full((n, 3), 100.0)
    return Measured(
        event.astype(np.uint64), 5.0 + event % EVENTS, vertex[:, 0], vertex, np.ones(n, np.int64), quantities
    )


def test_planted_numbers_are_found_on_one_half_and_hold_on_the_other() -> None:
    real = made_up(Knobs(0.9, 0.92, 1.1), 1, np.arange(EVENTS))

    def compared(knobs: Knobs) -> Pairs:
        twins = made_up(knobs, 2, np.arange(50 * EVENTS))
        return pair(real, twins, DETECTOR)

    found = tune(compared)
    assert found.knobs == pytest.approx(Knobs(0.9, 0.92, 1.1), abs=0.07)
    before, after = (found.halves[when]["electrons_per_mev"]["tested"] for when in ("before", "after"))
    assert before.ratio == pytest.approx(0.9**-0.25, abs=0.03)
    assert after.ratio == pytest.approx(1.0, abs=0.03)
    assert {name: len(own) for name, own in found.curves.items()} == {
        name: len(knob.factors) for name, knob in FITTED.items()
    }


def test_the_crossing_is_where_the_ratio_is_one() -> None:
    factors = (0.7, 0.85, 1.0, 1.2)
    assert crossing([(f, (f / 0.9) ** 0.5) for f in factors]) == pytest.approx(0.9)
    with pytest.raises(NumericError, match="no factor"):
        crossing([(f, 1.3) for f in factors])
    with pytest.raises(NumericError, match="no factor"):
        crossing([(f, (f / 9.0) ** 0.5) for f in factors])
