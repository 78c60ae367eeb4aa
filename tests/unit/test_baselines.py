"""The baseline without a network finds the axis of straight tracks, and the end the blips are at."""

import numpy as np
import pytest
from toy_images import GRADIENTS, toy_arrays

from snpoint.physics import baselines
from snpoint.physics.angles import angle_deg, axis_angle_deg, random_directions
from snpoint.physics.statistics import containment


def test_wire_directions_come_from_the_geometry():
    np.testing.assert_allclose(baselines._gradients(), GRADIENTS, atol=2e-3)


def test_the_axis_of_straight_tracks_is_found_from_three_projections():
    arrays = toy_arrays(400)
    errors = axis_angle_deg(baselines.principal_axis(arrays), arrays["direction"])
    assert containment(errors) < 5.0
    assert errors.max() < 25.0


def test_the_axis_does_not_depend_on_where_the_image_lies():
    arrays = toy_arrays(50)
    moved = {**arrays, "tick": arrays["tick"] + np.int16(17), "channel": arrays["channel"] - np.int16(3)}
    np.testing.assert_allclose(
        axis_angle_deg(baselines.principal_axis(arrays), baselines.principal_axis(moved)), 0.0, atol=1e-5
    )


def test_blips_ahead_of_the_track_give_the_head():
    arrays = toy_arrays(400)
    direction, _ = baselines.principal_axis_blip_vote(arrays, seed=1)
    assert (angle_deg(direction, arrays["direction"]) > 90).mean() < 0.02


def test_without_blips_a_seeded_coin_decides():
    arrays = toy_arrays(600, blips=False)
    direction, axis = baselines.principal_axis_blip_vote(arrays, seed=1)
    assert not baselines.blip_vote(arrays, axis).any()
    assert (angle_deg(direction, arrays["direction"]) > 90).mean() == pytest.approx(0.5, abs=0.08)
    again, _ = baselines.principal_axis_blip_vote(arrays, seed=1)
    np.testing.assert_array_equal(direction, again)


def test_an_image_without_main_cluster_has_no_axis_but_a_direction():
    arrays = toy_arrays(10)
    arrays["in_main"][: arrays["offsets"][3]] = 0
    direction, axis = baselines.principal_axis_blip_vote(arrays, seed=1)
    assert np.isnan(axis[0]).all()
    assert np.isfinite(axis[1:]).all()
    np.testing.assert_allclose(np.linalg.norm(direction, axis=1), 1.0, atol=1e-9)


def test_two_planes_are_enough_for_an_axis():
    arrays = toy_arrays(200)
    plane = np.repeat(np.arange(len(arrays["offsets"]) - 1) % 3, np.diff(arrays["offsets"]))
    arrays["in_main"][plane == 1] = 0
    axis = baselines.principal_axis(arrays)
    assert np.isfinite(axis).all()
    assert containment(axis_angle_deg(axis, arrays["direction"])) < 40.0


def test_isotropic_guesses_are_decided_by_their_seed():
    true = random_directions(np.random.default_rng(3), 5)
    np.testing.assert_array_equal(baselines.isotropic(true, 1), baselines.isotropic(true, 1))
    assert not np.array_equal(baselines.isotropic(true, 1), baselines.isotropic(true, 2))


def test_isotropic_guesses_have_the_exact_figures_of_chance():
    true = random_directions(np.random.default_rng(3), 999)
    errors = angle_deg(baselines.isotropic(true, 1), true)
    assert containment(errors) == pytest.approx(baselines.ISOTROPIC_EXPECTATION["containment_68_deg"], abs=0.2)
    assert np.mean(errors) == pytest.approx(90.0, abs=0.2)
