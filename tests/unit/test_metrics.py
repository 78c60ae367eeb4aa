"""Figures of merit of predictions whose answers are known."""

import numpy as np
import pytest

from snpoint.physics.angles import random_directions
from snpoint.physics.baselines import ISOTROPIC_EXPECTATION
from snpoint.physics.metrics import HEADLINES, by_energy, direction_metrics
from snpoint.physics.statistics import containment


def at_angles(angles_deg):
    """Truth along z, and predictions that far from it."""
    angles = np.radians(angles_deg)
    truth = np.tile([0.0, 0.0, 1.0], (len(angles), 1))
    return truth, np.stack([np.sin(angles), np.zeros_like(angles), np.cos(angles)], axis=1)


@pytest.fixture
def truth():
    return random_directions(np.random.default_rng(1), 200)


def test_a_perfect_prediction_has_no_error(truth):
    metrics = direction_metrics(truth, truth, 20, seed=1)
    assert metrics["containment_68_deg"] == metrics["angular_error_mean_deg"] == pytest.approx(0.0, abs=1e-6)
    assert metrics["flipped_fraction"] == metrics["reversed_fraction"] == 0.0
    assert metrics["mean_cosine"] == metrics["containment_68_cosine"] == pytest.approx(1.0)
    assert metrics["fractions"]["cos_above_0.9"] == 1.0


def test_the_opposite_is_flipped_reversed_and_right_in_its_axis(truth):
    metrics = direction_metrics(truth, -truth, 20, seed=1)
    assert metrics["flipped_fraction"] == metrics["reversed_fraction"] == 1.0
    assert metrics["containment_68_deg"] == pytest.approx(180.0)
    assert metrics["axis_error_68_deg"] == pytest.approx(0.0, abs=1e-6)
    assert metrics["fractions"]["cos_below_-0.7"] == 1.0


def test_known_angles_give_known_figures():
    angles = np.array([10.0, 20.0, 30.0, 80.0, 100.0, 120.0, 140.0, 150.0, 160.0, 170.0])
    metrics = direction_metrics(*at_angles(angles), 20, seed=1)
    assert metrics["n"] == 10
    assert metrics["angular_error_mean_deg"] == pytest.approx(98.0)
    assert metrics["angular_error_median_deg"] == pytest.approx(110.0)
    assert metrics["containment_68_deg"] == pytest.approx(140.0)
    assert metrics["containment_68_cosine"] == pytest.approx(np.cos(np.radians(140.0)))
    assert metrics["flipped_fraction"] == pytest.approx(0.6)
    assert metrics["reversed_fraction"] == pytest.approx(0.4)  # beyond 134.4 deg
    assert metrics["axis_error_68_deg"] == pytest.approx(40.0)
    assert sum(metrics["fractions"].values()) == pytest.approx(1.0)


def test_containment_and_its_cosine_are_the_same_event(truth):
    predicted = random_directions(np.random.default_rng(2), len(truth))
    metrics = direction_metrics(truth, predicted, 20, seed=1)
    assert metrics["containment_68_cosine"] == pytest.approx(np.cos(np.radians(metrics["containment_68_deg"])))


def test_isotropic_guesses_reach_their_expectation():
    truth = random_directions(np.random.default_rng(1), 20_000)
    metrics = direction_metrics(truth, random_directions(np.random.default_rng(2), 20_000), 50, seed=1)
    for name, expected in ISOTROPIC_EXPECTATION.items():
        low, high = metrics["ci95"][name]
        assert low - (high - low) <= expected <= high + (high - low), name
    assert ISOTROPIC_EXPECTATION["containment_68_deg"] == pytest.approx(111.1, abs=0.05)
    assert ISOTROPIC_EXPECTATION["axis_error_68_deg"] == pytest.approx(71.3, abs=0.05)


def test_every_headline_has_an_interval_around_it(truth):
    predicted = random_directions(np.random.default_rng(2), len(truth))
    metrics = direction_metrics(truth, predicted, 200, seed=1)
    for name in HEADLINES:
        low, high = metrics["ci95"][name]
        assert low <= metrics[name] <= high
    for group in ("fractions", "component_bias"):
        assert metrics["ci95"][group].keys() == metrics[group].keys()


def test_component_bias_is_predicted_minus_true():
    truth = np.tile([0.0, 0.0, 1.0], (50, 1))
    predicted = np.tile([0.6, 0.0, 0.8], (50, 1))
    assert direction_metrics(truth, predicted, 10, seed=1)["component_bias"] == pytest.approx(
        {"x": 0.6, "y": 0.0, "z": -0.2}
    )


def test_energy_bins_hold_their_own_events_and_empty_ones_say_so():
    truth, predicted = at_angles(np.array([10.0, 20.0, 30.0, 40.0]))
    bins = by_energy(truth, predicted, [3.0, 4.9, 5.0, 60.0], [3.0, 5.0, 7.0, 30.0, 60.0], 10, seed=1)
    assert [entry["n"] for entry in bins] == [2, 1, 0, 1]
    assert bins[0]["containment_68_deg"] == pytest.approx(20.0)
    assert bins[2]["containment_68_deg"] is None
    assert bins[2]["ci95"]["containment_68_deg"] is None
    assert bins[3]["containment_68_deg"] == pytest.approx(containment([40.0])), "the last upper edge is in"


def test_no_events_and_bad_vectors_are_refused():
    with pytest.raises(ValueError, match="no event"):
        direction_metrics(np.empty((0, 3)), np.empty((0, 3)), 10, seed=1)
    with pytest.raises(ValueError, match="not finite"):
        direction_metrics([[0, 0, 1.0]], [[np.nan, 0, 1.0]], 10, seed=1)
