"""Angles keep their digits near 0 and 180 degrees, and isotropic directions are isotropic."""

import numpy as np
import pytest

from snpoint.physics.angles import angle_deg, axis_angle_deg, cosine, random_directions


@pytest.mark.parametrize("tiny_deg", [1e-1, 1e-4, 1e-7])
def test_tiny_angles_keep_their_digits_at_both_ends(tiny_deg):
    tiny = np.radians(tiny_deg)
    forward, nearly = np.array([0.0, 0.0, 1.0]), np.array([np.sin(tiny), 0.0, np.cos(tiny)])
    assert angle_deg(forward, nearly) == pytest.approx(tiny_deg, rel=1e-9)
    assert 180.0 - angle_deg(forward, -nearly) == pytest.approx(tiny_deg, rel=1e-6)


def test_lengths_do_not_matter():
    assert angle_deg([2.0, 0, 0], [0, 0.001, 0]) == pytest.approx(90.0)
    assert cosine([2.0, 0, 0], [5.0, 0, 0]) == pytest.approx(1.0)


def test_cosine_never_leaves_its_range():
    directions = random_directions(np.random.default_rng(3), 10_000)
    assert np.abs(cosine(directions, directions)).max() <= 1.0


def test_angle_is_the_arc_of_the_cosine():
    rng = np.random.default_rng(4)
    a, b = random_directions(rng, 500), random_directions(rng, 500)
    np.testing.assert_allclose(angle_deg(a, b), np.degrees(np.arccos(cosine(a, b))), atol=1e-6)


def test_an_axis_has_no_head():
    assert axis_angle_deg([0, 0, 1.0], [0, np.sin(0.1), -np.cos(0.1)]) == pytest.approx(np.degrees(0.1))


def test_zero_and_nan_vectors_have_no_angle():
    bad = np.array([[0.0, 0, 0], [np.nan, 0, 1]])
    assert np.isnan(angle_deg(bad, [0, 0, 1.0])).all()
    assert np.isnan(cosine(bad, [0, 0, 1.0])).all()


def test_random_directions_are_isotropic_unit_vectors():
    directions = random_directions(np.random.default_rng(5), 50_000)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1.0, atol=1e-12)
    # Mean 0 and covariance 1/3 in each component, within five standard errors.
    np.testing.assert_allclose(directions.mean(axis=0), 0.0, atol=5 * np.sqrt(1 / 3 / 50_000))
    np.testing.assert_allclose(np.cov(directions.T), np.eye(3) / 3, atol=0.01)
