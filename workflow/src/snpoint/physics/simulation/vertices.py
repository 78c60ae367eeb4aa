"""Where interactions happen: evenly over the drift volumes of a detector."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from snpoint.errors import ConfigError
from snpoint.physics.geometry import Detector

FloatArray = npt.NDArray[np.float64]


class Vertices:
    """Points of the drift volumes, at least ``margin_cm`` from the walls of each of them.

    Raises
    ------
    ConfigError
        The margin leaves no room.
    """

    def __init__(self, detector: Detector, margin_cm: float) -> None:
        ranges = np.array([(v.x_range_cm, v.y_range_cm, v.z_range_cm) for v in detector.volumes], np.float64)
        self._name, self._ranges = detector.name, ranges
        self._low, self._size = ranges[..., 0] + margin_cm, ranges[..., 1] - ranges[..., 0] - 2 * margin_cm
        if not (self._size > 0).all():
            raise ConfigError(
                f"vertex_margin_cm: {margin_cm} leaves no room in the volumes of {detector.name};"
                f" choose less than {(ranges[..., 1] - ranges[..., 0]).min() / 2:.1f}"
            )
        self._share = _shares(self._size.prod(axis=1))

    def draw(self, rng: np.random.Generator) -> FloatArray:
        """One point [cm], shape (3,)."""
        return np.asarray(self.many(rng, 1)[0])

    def many(self, rng: np.random.Generator, n: int) -> FloatArray:
        """Points [cm], shape (n, 3)."""
        uniforms = rng.random((n, 4))
        index = np.searchsorted(self._share, uniforms[:, 0], side="right")
        return np.asarray(self._low[index] + uniforms[:, 1:] * self._size[index])

    def at_distance(self, rng: np.random.Generator, abs_x_cm: float) -> FloatArray:
        """One point [cm] at a distance from the plane x = 0; its side, y and z are drawn, the latter with the margin.

        Raises
        ------
        ConfigError
            No drift volume has such points.
        """
        low, high = self._ranges[:, 0, 0], self._ranges[:, 0, 1]
        places = [(v, x) for x in (-abs_x_cm, abs_x_cm) for v in np.flatnonzero((low <= x) & (x <= high))]
        if not places:
            raise ConfigError(
                f"twins: abs_x_cm {abs_x_cm:g} is in no drift volume of {self._name}; those are at "
                f"{np.abs(self._ranges[:, 0]).min():g} to {np.abs(self._ranges[:, 0]).max():g} cm"
            )
        u, v, w = rng.random(3)
        share = _shares(np.array([self._size[volume, 1:].prod() for volume, _ in places]))
        volume, x = places[int(np.searchsorted(share, u, side="right"))]
        y, z = self._low[volume, 1:] + np.array([v, w]) * self._size[volume, 1:]
        return np.array([x, y, z])


def _shares(sizes: FloatArray) -> FloatArray:
    """Upper borders of the shares of [0, 1) that sizes give; the last one is exactly 1."""
    borders = np.cumsum(sizes) / np.sum(sizes)
    borders[-1] = 1.0
    return np.asarray(borders)
