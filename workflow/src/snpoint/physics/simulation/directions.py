"""Directions of flight: of the neutrinos, as the settings want them, and around another direction."""

from __future__ import annotations

import math
import zlib
from typing import Literal

import numpy as np
import numpy.typing as npt

from snpoint.errors import ConfigError

FloatArray = npt.NDArray[np.float64]
Setting = list[float] | Literal["isotropic", "one"]


class Directions:
    """Directions of flight of a sample's neutrinos, unit vectors in the detector frame.

    Parameters
    ----------
    setting
        ``isotropic``, ``one`` (the same for the whole sample, drawn from seed and name) or a vector of any length.
    seed, sample
        Of the sample.

    Raises
    ------
    ConfigError
        The vector has no direction.
    """

    def __init__(self, setting: Setting, seed: int, sample: str) -> None:
        self.common: FloatArray | None = None
        """The direction of all of them; None: each has its own."""
        if setting == "one":
            self.common = isotropic(of_sample(seed, sample))
        elif setting != "isotropic":
            self.common = _unit(setting)

    def draw(self, rng: np.random.Generator) -> FloatArray:
        """Direction of one neutrino, shape (3,)."""
        return isotropic(rng) if self.common is None else self.common


def of_sample(seed: int, sample: str) -> np.random.Generator:
    """Random numbers that belong to a sample as a whole."""
    return np.random.default_rng([seed, zlib.crc32(sample.encode())])


def isotropic(rng: np.random.Generator) -> FloatArray:
    """A direction, even over the sphere, shape (3,): `angles.random_directions` for one, without its arrays."""
    first, second = rng.random(2).tolist()
    z, azimuth = 2.0 * first - 1.0, 2.0 * math.pi * second
    across = math.sqrt(1.0 - z * z)
    return np.array([across * math.cos(azimuth), across * math.sin(azimuth), z])


def around(axis: FloatArray, cosine: float, azimuth: float) -> FloatArray:
    """Unit vector at an angle from the unit vector ``axis`` (its cosine) and an azimuth around it [rad], shape (3,)."""
    x, y, z = axis.tolist()
    # (-z, 0, x) or (0, z, -y) is across the axis; the longer of the two, so that it never vanishes.
    first = np.array([-z, 0.0, x]) if abs(y) < 0.9 else np.array([0.0, z, -y])
    first /= math.sqrt(first.dot(first))
    a, b, c = first.tolist()
    second = np.array([y * c - z * b, z * a - x * c, x * b - y * a])
    sine = math.sqrt(max(1.0 - cosine * cosine, 0.0))
    out = cosine * axis + (sine * math.cos(azimuth)) * first + (sine * math.sin(azimuth)) * second
    return np.asarray(out / math.sqrt(out.dot(out)))


def _unit(setting: Setting) -> FloatArray:
    vector = np.array(setting, np.float64)
    length = float(np.linalg.norm(vector))
    if not (math.isfinite(length) and length > 0):
        raise ConfigError(f"direction: {setting} has no direction; give three numbers that are not all 0")
    return np.asarray(vector / length)
