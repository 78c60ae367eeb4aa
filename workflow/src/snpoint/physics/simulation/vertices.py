"""Where interactions happen: evenly over the drift volumes of a detector."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from snpoint.errors import ConfigError
from snpoint.physics.geometry import Detector

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


class Volumes:
    """The drift volumes of a detector, n of them, less ``margin_cm`` at the walls of each."""

    def __init__(self, detector: Detector, margin_cm: float = 0.0) -> None:
        ranges = np.array([(v.x_range_cm, v.y_range_cm, v.z_range_cm) for v in detector.volumes], np.float64)
        self.low_cm: FloatArray = ranges[..., 0] + margin_cm  # (n, 3)
        self.high_cm: FloatArray = ranges[..., 1] - margin_cm  # (n, 3)
        self.size_cm: FloatArray = self.high_cm - self.low_cm  # (n, 3)
        self.volume_cm3: FloatArray = self.size_cm.prod(axis=1)  # (n,)
        self._shares = shares(self.volume_cm3)

    def points(self, which: FloatArray, where: FloatArray) -> tuple[IntArray, FloatArray]:
        """Points even over the volumes, from numbers even over [0, 1).

        Parameters
        ----------
        which, where
            The numbers that decide on the volume, shape (m,), and on the place in it, (m, 3).

        Returns
        -------
        ndarray, shape (m,), and ndarray, shape (m, 3)
            Numbers of the volumes, and the points [cm].
        """
        index = np.searchsorted(self._shares, which, side="right")
        return index, np.asarray(self.low_cm[index] + where * self.size_cm[index])


class Vertices:
    """Points of the drift volumes, at least ``margin_cm`` from the walls of each of them.

    Raises
    ------
    ConfigError
        The margin leaves no room.
    """

    def __init__(self, detector: Detector, margin_cm: float) -> None:
        self._name, self._whole = detector.name, Volumes(detector)
        if margin_cm >= self._whole.size_cm.min() / 2:
            raise ConfigError(
                f"vertex_margin_cm: {margin_cm} leaves no room in the volumes of {detector.name};"
                f" choose less than {self._whole.size_cm.min() / 2:.1f}"
            )
        self._inner = Volumes(detector, margin_cm)

    def draw(self, rng: np.random.Generator) -> FloatArray:
        """One point [cm], shape (3,)."""
        return np.asarray(self.many(rng, 1)[0])

    def many(self, rng: np.random.Generator, n: int) -> FloatArray:
        """Points [cm], shape (n, 3)."""
        uniforms = rng.random((n, 4))
        return self._inner.points(uniforms[:, 0], uniforms[:, 1:])[1]

    def at_distance(self, rng: np.random.Generator, abs_x_cm: float) -> FloatArray:
        """One point [cm] at a distance from the plane x = 0; its side, y and z are drawn, the latter with the margin.

        Raises
        ------
        ConfigError
            No drift volume has such points.
        """
        low, high = self._whole.low_cm[:, 0], self._whole.high_cm[:, 0]
        places = [(v, x) for x in (-abs_x_cm, abs_x_cm) for v in np.flatnonzero((low <= x) & (x <= high))]
        if not places:
            raise ConfigError(
                f"twins: abs_x_cm {abs_x_cm:g} is in no drift volume of {self._name}; those are at "
                f"{np.abs([low, high]).min():g} to {np.abs([low, high]).max():g} cm"
            )
        u, v, w = rng.random(3)
        share = shares(np.array([self._inner.size_cm[volume, 1:].prod() for volume, _ in places]))
        volume, x = places[int(np.searchsorted(share, u, side="right"))]
        y, z = self._inner.low_cm[volume, 1:] + np.array([v, w]) * self._inner.size_cm[volume, 1:]
        return np.array([x, y, z])


def shares(sizes: FloatArray) -> FloatArray:
    """Upper borders of the shares of [0, 1) that sizes give; the last one is exactly 1."""
    borders = np.cumsum(sizes) / np.sum(sizes)
    borders[-1] = 1.0
    return np.asarray(borders)
