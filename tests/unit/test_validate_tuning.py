"""Numbers of the detector that are fitted on one half of the real events: what the knobs do, and how they are found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from snpoint import config
from snpoint.errors import NumericError
from snpoint.physics.geometry import load_detector
from snpoint.physics.simulation.detector import CHANNEL, INTEGRAL
from snpoint.physics.validation.quantities import Measured
from snpoint.physics.validation.real import Pairs, pair
from snpoint.physics.validation.tuning import FITTED, Knobs, Tried, VariedSimulator, crossing, tune
from snpoint.section import PerPlane
from snpoint.tools import validate_tune

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
    quantities["blips_small_UV"] = rng.poisson(8.0 * knobs.density**-0.5, n).astype(float)
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
    assert {name: set(own) for name, own in found.curves.items()} == {
        name: set(knob.quantities) for name, knob in FITTED.items()
    }
    assert found.wanted["density"]["electrons_per_mev"] == pytest.approx(0.9, abs=0.06)
    assert found.wanted["density"]["blips_small_UV"] == pytest.approx(0.9, abs=0.4)


def test_the_density_is_what_charge_and_small_blips_ask_for_together() -> None:
    """Charge asks for 0.9, blips for 1.2: the answer lies between, nearer to what is known better."""
    factors = (0.85, 1.0, 1.15)

    def curve(best: float, error: float) -> list[Tried]:
        return [Tried(f, (f / best) ** 0.5, error) for f in factors]

    assert crossing([curve(0.9, 0.1), curve(1.2, 0.1)]) == pytest.approx(np.sqrt(0.9 * 1.2))
    assert crossing([curve(0.9, 0.1), curve(1.2, 0.01)]) == pytest.approx(1.2, abs=0.01)
    flat = [Tried(f, 1.3, 0.001) for f in factors]
    assert crossing([curve(0.9, 0.1), flat]) == pytest.approx(0.9)  # what does not depend on it has no say


def test_the_command_prints_factors_and_writes_both_halves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = made_up(Knobs(0.9, 0.92, 1.1), 1, np.arange(EVENTS))
    monkeypatch.setattr("snpoint.tools.validate_real.measured_sample", lambda folder, detector, chunks: [real])
    monkeypatch.setattr(
        validate_tune, "simulated", lambda name, times, knobs, detector: made_up(knobs, 2, np.arange(times * EVENTS))
    )
    arguments = ["--real", "fdhd_es", "--twins", "twins_es", "--times", "30", "-o", str(tmp_path)]
    result = CliRunner().invoke(validate_tune.command, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert "fitted on the tuned half: density x 0." in result.output
    assert "density that each quantity asks for alone: " in result.output
    assert "(blips_small_UV)" in result.output
    table = pd.read_csv(tmp_path / "tuning.csv")
    assert set(zip(table["numbers"], table["half"], strict=True)) == {
        (when, half) for when in ("before", "after") for half in ("tuned", "tested")
    }
    charge = table.query("quantity == 'electrons_per_mev' and half == 'tested'").set_index("numbers")["ratio"]
    assert abs(charge["after"] - 1.0) < abs(charge["before"] - 1.0)


def test_the_crossing_is_where_the_ratio_is_one() -> None:
    factors = (0.7, 0.85, 1.0, 1.2)
    assert crossing([[Tried(f, (f / 0.9) ** 0.5, 0.1) for f in factors]]) == pytest.approx(0.9)
    with pytest.raises(NumericError, match="no factor"):
        crossing([[Tried(f, 1.3, 0.1) for f in factors]])
    with pytest.raises(NumericError, match="no factor"):
        crossing([[Tried(f, (f / 9.0) ** 0.5, 0.1) for f in factors]])
