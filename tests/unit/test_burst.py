"""A burst: how many interactions, when, from where, and in which part of the sample."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad

from snpoint import config
from snpoint.physics.constants import BACKGROUND, CC, ES
from snpoint.physics.simulation.burst import burst_events, interaction_times
from snpoint.physics.simulation.directions import Directions
from snpoint.settings import Burst, SimulateSettings

BURST: dict[str, Any] = {
    "distance_kpc": 10.0, "mass_kt": 40.0, "n_es": None, "n_cc": None, "n_background": 0, "duration_s": 10.0,
    "rise_s": 0.02, "fall_s": 3.0, "chunks": 8,
}  # fmt: skip


def settings(direction: str | list[float] = "one", **changes: Any) -> SimulateSettings:
    base = config.parse_settings("simulate", None, ())
    assert isinstance(base, SimulateSettings)
    values = json.loads(base.model_dump_json()) | {"direction": direction, "burst": BURST | changes}
    return SimulateSettings.model_validate(values)


def test_given_numbers_are_kept() -> None:
    events = burst_events(settings(n_es=30, n_cc=70, n_background=11), "sn", 500.0, 3000.0)
    counts = [int((events.interaction == kind).sum()) for kind in (ES, CC, BACKGROUND)]
    assert counts == [30, 70, 11]
    assert events.interaction.dtype == np.uint8 and len(events) == 111


def test_numbers_fluctuate_around_the_expected_ones() -> None:
    found = [burst_events(settings(), f"sn{k}", 50.0, 300.0).interaction for k in range(400)]
    for kind, mean in ((ES, 50.0), (CC, 300.0)):
        numbers = np.array([(kinds == kind).sum() for kinds in found])
        assert numbers.mean() == pytest.approx(mean, abs=4 * np.sqrt(mean / 400))
        assert numbers.var() / mean == pytest.approx(1.0, abs=0.3)  # four standard errors


def test_a_far_burst_may_be_empty() -> None:
    events = burst_events(settings(), "sn", 0.0, 0.0)
    assert len(events) == 0 and events.part(7, 8).time_s.shape == (0,)


@pytest.mark.parametrize(("rise", "fall", "duration"), [(0.02, 3.0, 10.0), (2.0, 1.0, 5.0), (50.0, 20.0, 10.0)])
def test_times_follow_the_rise_and_the_fall(rise: float, fall: float, duration: float) -> None:
    def density(t: float) -> float:
        return float((1 - np.exp(-t / rise)) * np.exp(-t / fall))

    edges = np.linspace(0, duration, 40)
    pieces = [quad(density, low, high)[0] for low, high in itertools.pairwise(edges)]
    integral = np.concatenate([[0.0], np.cumsum(pieces)]) / np.sum(pieces)
    burst = Burst.model_validate(BURST | {"rise_s": rise, "fall_s": fall, "duration_s": duration})
    # Where the integral has a value is where that value is sent.
    np.testing.assert_allclose(interaction_times(integral, burst), edges, atol=1e-7)


def test_interactions_come_early_and_background_at_any_time() -> None:
    events = burst_events(settings(n_es=3000, n_cc=3000, n_background=3000), "sn", 0.0, 0.0)
    background = events.time_s[events.interaction == BACKGROUND]
    assert stats.kstest(background, stats.uniform(0, 10.0).cdf).pvalue > 1e-3
    early = [(events.time_s[events.interaction == kind] < 3.0).mean() for kind in (ES, CC)]
    # 1 - 1/e of an exponential that is cut at 10 s.
    np.testing.assert_allclose(early, 0.656, atol=0.03)
    assert (events.time_s >= 0).all() and (events.time_s <= 10.0).all()


def test_parts_follow_each_other_and_miss_nothing() -> None:
    events = burst_events(settings(n_es=40, n_cc=60, n_background=3), "sn", 0.0, 0.0)
    assert (np.diff(events.time_s) >= 0).all()
    parts = [events.part(k, 8) for k in range(8)]
    np.testing.assert_array_equal(np.concatenate([part.time_s for part in parts]), events.time_s)
    np.testing.assert_array_equal(np.concatenate([part.interaction for part in parts]), events.interaction)
    assert {len(part) for part in parts} <= {12, 13}


def test_kinds_are_mixed_in_time() -> None:
    events = burst_events(settings(n_es=200, n_cc=200, n_background=0), "sn", 0.0, 0.0)
    is_es = events.interaction == ES
    assert stats.ks_2samp(events.time_s[is_es], events.time_s[~is_es]).pvalue > 1e-3


@pytest.mark.parametrize("direction", ["isotropic", "one"])
def test_a_burst_has_one_direction_of_its_own(direction: str) -> None:
    first, again, other = (burst_events(settings(direction), name, 5.0, 5.0) for name in ("a", "a", "b"))
    np.testing.assert_array_equal(first.direction, again.direction)
    assert np.linalg.norm(first.direction) == pytest.approx(1.0, abs=1e-12)
    assert not np.allclose(first.direction, other.direction)
    # The same as interactions of a sample of this name would have.
    common = Directions("one", settings().seed, "a").common
    assert common is not None
    np.testing.assert_array_equal(first.direction, common)


def test_a_burst_comes_from_where_the_settings_say() -> None:
    events = burst_events(settings([0.0, 0.0, 2.0]), "a", 5.0, 5.0)
    np.testing.assert_array_equal(events.direction, [0.0, 0.0, 1.0])


def test_the_list_depends_on_settings_and_name_alone() -> None:
    first, again = (burst_events(settings(n_background=5), "a", 30.0, 80.0) for _ in range(2))
    np.testing.assert_array_equal(first.time_s, again.time_s)
    np.testing.assert_array_equal(first.interaction, again.interaction)
    assert not np.array_equal(burst_events(settings(n_background=5), "b", 30.0, 80.0).time_s, first.time_s)
