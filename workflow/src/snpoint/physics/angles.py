"""Angles between directions, once for everybody."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

FLIPPED_DEG = 90.0
"""A prediction further off than this is flipped."""
REVERSED_COSINE = -0.7
"""A prediction with a smaller cosine is reversed: right axis, wrong end."""


def cosine(a: ArrayLike, b: ArrayLike) -> Floats:
    """Cosine of the angle between vectors of any length, never outside [-1, 1].

    Parameters
    ----------
    a, b : array_like, shape (..., 3)
        Vectors; leading axes broadcast.

    Returns
    -------
    ndarray, shape (...)
        NaN where a vector is zero or not finite.
    """
    first, second = np.asarray(a, np.float64), np.asarray(b, np.float64)
    lengths = np.linalg.norm(first, axis=-1) * np.linalg.norm(second, axis=-1)
    dot = np.sum(first * second, axis=-1)
    values = np.divide(dot, lengths, out=np.full_like(dot, np.nan), where=lengths > 0)
    return np.asarray(np.clip(values, -1.0, 1.0))


def angle_deg(a: ArrayLike, b: ArrayLike) -> Floats:
    """Angle between vectors of any length [deg], in [0, 180].

    Works out atan2(|a x b|, a.b): arccos of the cosine would lose half of the digits near 0 and 180 degrees.

    Parameters
    ----------
    a, b : array_like, shape (..., 3)
        Vectors; leading axes broadcast.

    Returns
    -------
    ndarray, shape (...)
        NaN where a vector is zero or not finite.
    """
    first, second = np.asarray(a, np.float64), np.asarray(b, np.float64)
    across = np.linalg.norm(np.cross(first, second), axis=-1)
    along = np.sum(first * second, axis=-1)
    defined = np.any(first != 0, axis=-1) & np.any(second != 0, axis=-1)
    return np.asarray(np.where(defined, np.degrees(np.arctan2(across, along)), np.nan))


def axis_angle_deg(a: ArrayLike, b: ArrayLike) -> Floats:
    """Angle between two axes [deg], in [0, 90]: the ends are not told apart."""
    angles = angle_deg(a, b)
    return np.asarray(np.minimum(angles, 180.0 - angles))


def random_directions(rng: np.random.Generator, n: int) -> Floats:
    """Isotropic unit vectors, shape (n, 3): uniform in the z component and in the azimuth."""
    cosine_z, azimuth = 2.0 * rng.random(n) - 1.0, 2.0 * np.pi * rng.random(n)
    sine = np.sqrt(1.0 - cosine_z**2)
    return np.stack([sine * np.cos(azimuth), sine * np.sin(azimuth), cosine_z], axis=-1)
