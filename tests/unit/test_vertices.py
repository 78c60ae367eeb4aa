"""Places and directions of interactions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from snpoint.errors import ConfigError
from snpoint.physics.geometry import Detector, known_detectors, load_detector
from snpoint.physics.simulation.directions import Directions, around, isotropic
from snpoint.physics.simulation.vertices import Vertices

DETECTOR = load_detector("fdhd_1x2x2")


def holds(detector: Detector, points: np.ndarray, margin: float) -> np.ndarray:
    """Which volume (last axis) holds which point, with a margin."""
    ranges = np.array([(v.x_range_cm, v.y_range_cm, v.z_range_cm) for v in detector.volumes])
    inside = (points[:, None] >= ranges[..., 0] + margin - 1e-9) & (points[:, None] <= ranges[..., 1] - margin + 1e-9)
    return inside.all(axis=2)


def test_vertices_fill_all_volumes_evenly_and_keep_their_distance() -> None:
    points = Vertices(DETECTOR, 20.0).many(np.random.default_rng(1), 30_000)
    inside = holds(DETECTOR, points, 20.0)
    assert (inside.sum(axis=1) == 1).all()
    assert stats.chisquare(inside.sum(axis=0)).pvalue > 1e-3  # its volumes are of one size
    for index, volume in enumerate(DETECTOR.volumes):
        for axis, (low, high) in enumerate((volume.x_range_cm, volume.y_range_cm, volume.z_range_cm)):
            values = points[inside[:, index], axis]
            assert stats.kstest(values, stats.uniform(low + 20, high - low - 40).cdf).pvalue > 1e-4


@pytest.mark.parametrize("name", known_detectors())
def test_without_margin_all_of_the_active_volume_is_reached(name: str) -> None:
    detector = load_detector(name)
    points = Vertices(detector, 0.0).many(np.random.default_rng(2), 20_000)
    inside = holds(detector, points, 0.0)
    assert inside.any(axis=1).all()
    ranges = np.array([(v.x_range_cm, v.y_range_cm, v.z_range_cm) for v in detector.volumes])
    size = np.diff(ranges, axis=2)[..., 0].prod(axis=1)
    expected = size / size.sum()
    np.testing.assert_allclose(inside.mean(axis=0), expected, atol=5 * np.sqrt(0.25 / 20_000))
    for index in range(len(ranges)):
        values = points[inside[:, index]]
        span = ranges[index, :, 1] - ranges[index, :, 0]
        assert (values.min(axis=0) < ranges[index, :, 0] + 0.05 * span).all()
        assert (values.max(axis=0) > ranges[index, :, 1] - 0.05 * span).all()


def test_larger_volumes_get_more_vertices() -> None:
    one, two = DETECTOR.volumes[0], DETECTOR.volumes[1]
    small = replace(two, y_range_cm=(-200.0, 0.0))
    detector = replace(DETECTOR, volumes=(one, small))
    inside = holds(detector, Vertices(detector, 0.0).many(np.random.default_rng(3), 10_000), 0.0)
    assert inside[:, 1].mean() == pytest.approx(0.25, abs=0.02)


def test_one_vertex_is_a_point() -> None:
    assert Vertices(DETECTOR, 30.0).draw(np.random.default_rng(1)).shape == (3,)


def test_a_margin_without_room_says_what_to_change() -> None:
    with pytest.raises(ConfigError, match=r"vertex_margin_cm: 150.*fdhd_1x2x2.*less than 115"):
        Vertices(DETECTOR, 150.0)


def test_a_twin_keeps_its_distance_and_nothing_else() -> None:
    vertices, rng = Vertices(DETECTOR, 20.0), np.random.default_rng(4)
    # Nearer to the cathode than the margin: its |x| is what it is.
    points = np.array([vertices.at_distance(rng, 359.0) for _ in range(4000)])
    np.testing.assert_array_equal(np.abs(points[:, 0]), 359.0)
    assert (points[:, 0] > 0).mean() == pytest.approx(0.5, abs=0.04)
    moved = points.copy()
    moved[:, 0] = np.sign(points[:, 0]) * 200.0
    counts = holds(DETECTOR, moved, 20.0)
    assert (counts.sum(axis=1) == 1).all()
    assert stats.chisquare(counts.sum(axis=0)).pvalue > 1e-3


@pytest.mark.parametrize("abs_x", [2.0, 364.0])
def test_a_twin_outside_of_the_volumes_says_where_they_are(abs_x: float) -> None:
    with pytest.raises(ConfigError, match=rf"abs_x_cm {abs_x:g} is in no drift volume of fdhd_1x2x2.*4\.5 to 363"):
        Vertices(DETECTOR, 20.0).at_distance(np.random.default_rng(1), abs_x)


def test_isotropic_directions_are_even_unit_vectors() -> None:
    directions, rng = Directions("isotropic", 1, "sample"), np.random.default_rng(5)
    vectors = np.array([directions.draw(rng) for _ in range(20_000)])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-12)
    for axis in range(3):
        assert stats.kstest(vectors[:, axis], stats.uniform(-1, 2).cdf).pvalue > 1e-3
    assert stats.kstest(np.arctan2(vectors[:, 1], vectors[:, 0]), stats.uniform(-np.pi, 2 * np.pi).cdf).pvalue > 1e-3
    assert directions.common is None


def test_one_direction_belongs_to_the_sample() -> None:
    rng = np.random.default_rng(6)
    first = Directions("one", 1, "a").draw(rng)
    np.testing.assert_array_equal(Directions("one", 1, "a").draw(rng), first)
    assert np.linalg.norm(first) == pytest.approx(1.0, abs=1e-12)
    for other in (Directions("one", 1, "b"), Directions("one", 2, "a")):
        assert not np.allclose(other.draw(rng), first)


def test_a_vector_is_followed_whatever_its_length() -> None:
    direction = Directions([0.0, 3.0, -4.0], 1, "a").draw(np.random.default_rng(1))
    np.testing.assert_allclose(direction, [0.0, 0.6, -0.8], atol=1e-15)


@pytest.mark.parametrize("vector", [[0.0, 0.0, 0.0], [float("inf"), 0.0, 0.0], [float("nan"), 1.0, 0.0]])
def test_a_vector_without_direction_is_refused(vector: list[float]) -> None:
    with pytest.raises(ConfigError, match=r"direction: .*three numbers"):
        Directions(vector, 1, "a")


@pytest.mark.parametrize("axis", [(0, 0, 1), (0, 0, -1), (0, 1, 0), (0, -1, 0), (1, 0, 0), (0.1, 0.9, 0.3)])
def test_directions_around_an_axis_have_the_angle_and_every_azimuth(axis: tuple[float, float, float]) -> None:
    unit = np.array(axis) / np.linalg.norm(axis)
    azimuths = 2 * np.pi * np.arange(16) / 16
    vectors = np.array([around(unit, 0.3, azimuth) for azimuth in azimuths])
    np.testing.assert_allclose(vectors @ unit, 0.3, atol=1e-14)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-14)
    np.testing.assert_allclose(vectors.mean(axis=0), 0.3 * unit, atol=1e-14)
    # Neighbors are equally far apart: the azimuth runs evenly around the axis.
    steps = np.linalg.norm(np.diff(vectors, axis=0, append=vectors[:1]), axis=1)
    np.testing.assert_allclose(steps, steps[0], atol=1e-13)


def test_directions_along_the_axis_stay_there() -> None:
    axis = isotropic(np.random.default_rng(7))
    np.testing.assert_allclose(around(axis, 1.0, 1.0), axis, atol=1e-15)
    np.testing.assert_allclose(around(axis, -1.0, 1.0), -axis, atol=1e-15)
