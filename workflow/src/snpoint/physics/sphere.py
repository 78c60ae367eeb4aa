"""Directions on the sphere: longitude and latitude of the detector frame, HEALPix pixels, rotations.

Frame: x along the drift, y up, z along the beam. Latitude is asin(y), longitude is atan2(x, z): the centre of a
map is the beam (+z), +x lies at longitude +90 degrees, and the pole is up. Pixels are numbered in RING order.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from astropy_healpix import healpy as hp
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FULL_SKY_DEG2 = 4.0 * np.pi * np.degrees(1.0) ** 2


def normalized(vectors: Floats) -> Floats:
    """Vectors (..., 3) scaled to length one; a vector of length zero becomes NaN."""
    vectors = np.asarray(vectors, np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), np.float64)


def longitude_latitude_deg(directions: Floats) -> tuple[Floats, Floats]:
    """Longitude in (-180, 180] and latitude in [-90, 90] (deg) of unit vectors (..., 3)."""
    x, y, z = np.moveaxis(np.asarray(directions, np.float64), -1, 0)
    return np.degrees(np.arctan2(x, z)), np.degrees(np.arcsin(np.clip(y, -1.0, 1.0)))


def from_longitude_latitude(longitude_deg: Floats, latitude_deg: Floats) -> Floats:
    """Unit vectors (..., 3) from longitude and latitude (deg)."""
    lon, lat = np.radians(longitude_deg), np.radians(latitude_deg)
    return np.stack([np.cos(lat) * np.sin(lon), np.sin(lat) + 0.0 * lon, np.cos(lat) * np.cos(lon)], axis=-1)


def n_pixels(nside: int) -> int:
    """Number of pixels of the full sky, 12 nside^2."""
    return 12 * nside * nside


def pixel_area_deg2(nside: int) -> float:
    """Area of one pixel (deg^2); all pixels have the same."""
    return float(FULL_SKY_DEG2 / n_pixels(nside))


@lru_cache(maxsize=4)
def pixel_directions(nside: int) -> Floats:
    """Unit vectors (12 nside^2, 3) of the pixel centres, RING order, read-only."""
    theta, phi = hp.pix2ang(nside, np.arange(n_pixels(nside)))
    directions = from_longitude_latitude(np.degrees(phi), 90.0 - np.degrees(theta))
    directions.flags.writeable = False
    return directions


def pixel_of(nside: int, directions: Floats) -> NDArray[np.int64]:
    """Pixel numbers (...) of unit vectors (..., 3), RING order."""
    longitude, latitude = longitude_latitude_deg(directions)
    return np.asarray(hp.ang2pix(nside, np.radians(90.0 - latitude), np.radians(longitude % 360.0)), np.int64)


def interpolated(values: Floats, directions: Floats) -> Floats:
    """Values of a RING map (12 nside^2,), interpolated bilinearly at unit vectors (..., 3)."""
    longitude, latitude = longitude_latitude_deg(directions)
    theta, phi = np.radians(90.0 - latitude), np.radians(longitude % 360.0)
    return np.asarray(hp.get_interp_val(np.asarray(values, np.float64), theta, phi), np.float64)


def tangents(directions: Floats) -> tuple[Floats, Floats]:
    """Two unit vectors (..., 3) that complete each direction to an orthonormal, right-handed frame.

    Away from the poles the first points to larger longitude and the second to larger latitude.
    """
    directions = np.asarray(directions, np.float64)
    up = np.zeros_like(directions)
    at_pole = np.abs(directions[..., 1]) > 1.0 - 1e-9
    up[..., 1] = np.where(at_pole, 0.0, 1.0)
    up[..., 2] = np.where(at_pole, 1.0, 0.0)
    east = normalized(np.cross(up, directions))
    return east, np.cross(directions, east)


def rotations_onto(sources: Floats, target: Floats, azimuth_rad: Floats) -> Floats:
    """Rotation matrices (N, 3, 3), each taking one source direction (N, 3) exactly to the target (3,).

    The condition leaves a turn about the target free; ``azimuth_rad`` (N,) chooses it.
    """
    east, north = tangents(sources)
    target_east, target_north = tangents(np.asarray(target, np.float64))
    cos, sin = np.cos(azimuth_rad)[:, None], np.sin(azimuth_rad)[:, None]
    new_east = cos * target_east + sin * target_north
    new_north = cos * target_north - sin * target_east
    new_source = np.broadcast_to(np.asarray(target, np.float64), new_east.shape)
    before = np.stack([np.asarray(sources, np.float64), east, north], axis=-1)
    after = np.stack([new_source, new_east, new_north], axis=-1)
    return np.asarray(after @ np.swapaxes(before, -1, -2), np.float64)
