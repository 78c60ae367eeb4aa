"""The baseline without a network finds the axis of straight tracks, and the end the blips are at."""

import numpy as np
import pytest
from toy_images import GRADIENTS, toy_arrays

from snpoint.physics import baselines
from snpoint.physics.angles import angle_deg, axis_angle_deg
from snpoint.physics.metrics import HEADLINES
from snpoint.physics.statistics import containment

DETECTOR = "fdhd_1x2x2"


def test_wire_directions_come_from_the_geometry():
    np.testing.assert_allclose(baselines._gradients(DETECTOR), GRADIENTS, atol=2e-3)


def test_the_axis_of_straight_tracks_is_found_from_three_projections():
    arrays = toy_arrays(400)
    errors = axis_angle_deg(baselines.principal_axis(arrays, DETECTOR), arrays["direction"])
    assert containment(errors) < 5.0
    assert errors.max() < 25.0


def test_the_axis_does_not_depend_on_where_the_image_lies():
    arrays = toy_arrays(50)
    moved = {**arrays, "tick": arrays["tick"] + np.int16(17), "channel": arrays["channel"] - np.int16(3)}
    np.testing.assert_allclose(
        axis_angle_deg(baselines.principal_axis(arrays, DETECTOR), baselines.principal_axis(moved, DETECTOR)),
        0.0,
        atol=1e-5,
    )


def test_blips_ahead_of_the_track_give_the_head():
    arrays = toy_arrays(400)
    guess = baselines.principal_axis_blip_vote(arrays, DETECTOR, seed=1)
    assert (angle_deg(guess.direction, arrays["direction"]) > 90).mean() < 0.02
    assert guess.has_blips.mean() > 0.9


def test_without_blips_a_seeded_coin_decides():
    arrays = toy_arrays(600, blips=False)
    guess = baselines.principal_axis_blip_vote(arrays, DETECTOR, seed=1)
    assert not guess.has_blips.any()
    assert (angle_deg(guess.direction, arrays["direction"]) > 90).mean() == pytest.approx(0.5, abs=0.08)
    again = baselines.principal_axis_blip_vote(arrays, DETECTOR, seed=1)
    np.testing.assert_array_equal(guess.direction, again.direction)


def test_an_image_without_main_cluster_has_no_axis_but_a_direction():
    arrays = toy_arrays(10)
    arrays["in_main"][: arrays["offsets"][3]] = 0
    guess = baselines.principal_axis_blip_vote(arrays, DETECTOR, seed=1)
    assert np.isnan(guess.axis[0]).all()
    assert np.isfinite(guess.axis[1:]).all()
    np.testing.assert_allclose(np.linalg.norm(guess.direction, axis=1), 1.0, atol=1e-9)


def test_two_planes_are_enough_for_an_axis():
    arrays = toy_arrays(200)
    plane = np.repeat(np.arange(len(arrays["offsets"]) - 1) % 3, np.diff(arrays["offsets"]))
    arrays["in_main"][plane == 1] = 0
    axis = baselines.principal_axis(arrays, DETECTOR)
    assert np.isfinite(axis).all()
    assert containment(axis_angle_deg(axis, arrays["direction"])) < 40.0


def test_the_figures_of_chance_are_those_of_isotropic_directions():
    cosines = np.linspace(-1, 1, 200_001)
    errors = np.degrees(np.arccos(cosines))
    expected = {
        "angular_error_mean_deg": errors.mean(),
        "angular_error_median_deg": np.median(errors),
        "containment_68_deg": containment(errors),
        "containment_68_cosine": -containment(-cosines),
        "axis_error_68_deg": containment(np.minimum(errors, 180 - errors)),
        "flipped_fraction": (errors > 90).mean(),
        "reversed_fraction": (cosines < -0.7).mean(),
        "mean_cosine": cosines.mean(),
    }
    assert pytest.approx(expected, abs=1e-3) == baselines.ISOTROPIC_EXPECTATION
    assert set(expected) == set(HEADLINES)
