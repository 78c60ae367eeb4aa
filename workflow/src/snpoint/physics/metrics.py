"""Figures of merit of direction predictions, each with its bootstrap interval.

flipped = angle > 90 deg, reversed = cosine < -0.7, 68% containment = order statistic of the angular error.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from snpoint.physics.angles import FLIPPED_DEG, REVERSED_COSINE, angle_deg, cosine
from snpoint.physics.statistics import bootstrap_interval, containment

Floats = NDArray[np.float64]

# Columns of the table the statistics below work on, one row per event.
_ANGLE, _COSINE, _BIAS = 0, 1, 2

_HEADLINES: dict[str, Callable[[Floats], float]] = {
    "angular_error_mean_deg": lambda table: float(table[:, _ANGLE].mean()),
    "angular_error_median_deg": lambda table: float(np.median(table[:, _ANGLE])),
    "containment_68_deg": lambda table: containment(table[:, _ANGLE]),
    "containment_68_cosine": lambda table: -containment(-table[:, _COSINE]),
    "flipped_fraction": lambda table: float((table[:, _ANGLE] > FLIPPED_DEG).mean()),
    "reversed_fraction": lambda table: float((table[:, _COSINE] < REVERSED_COSINE).mean()),
    "axis_error_68_deg": lambda table: containment(np.minimum(table[:, _ANGLE], 180.0 - table[:, _ANGLE])),
    "mean_cosine": lambda table: float(table[:, _COSINE].mean()),
}
_FRACTIONS: dict[str, Callable[[Floats], float]] = {
    "cos_above_0.9": lambda table: float((table[:, _COSINE] > 0.9).mean()),
    "cos_0.7_to_0.9": lambda table: float(((table[:, _COSINE] > 0.7) & (table[:, _COSINE] <= 0.9)).mean()),
    "cos_within_0.7": lambda table: float((np.abs(table[:, _COSINE]) <= 0.7).mean()),
    "cos_below_-0.7": lambda table: float((table[:, _COSINE] < -0.7).mean()),
}
_BIASES: dict[str, Callable[[Floats], float]] = {
    "x": lambda table: float(table[:, _BIAS].mean()),
    "y": lambda table: float(table[:, _BIAS + 1].mean()),
    "z": lambda table: float(table[:, _BIAS + 2].mean()),
}

HEADLINES = tuple(_HEADLINES)
"""Names of the figures that every direction estimate gets."""


def direction_metrics(true: ArrayLike, predicted: ArrayLike, samples: int, seed: int) -> dict[str, Any]:
    """Headline figures of predicted directions, and 95% intervals of all of them.

    Parameters
    ----------
    true, predicted : array_like, shape (N, 3)
        Unit vectors in the detector frame, N >= 1, all finite.
    samples, seed : int
        Number of bootstrap samples and seed of their drawing.

    Returns
    -------
    dict
        ``n``, the names of `HEADLINES`, ``fractions`` (shares of events by cosine), ``component_bias`` (mean of
        predicted minus true, for x, y, z), and ``ci95`` with the same names and structure.

    Raises
    ------
    ValueError
        There is no event, or a direction is not finite.
    """
    table = _table(true, predicted)
    result: dict[str, Any] = {"n": len(table)}
    intervals: dict[str, Any] = {}
    for name, statistic in _HEADLINES.items():
        result[name] = statistic(table)
        intervals[name] = list(bootstrap_interval(table, statistic, samples, seed))
    for group, statistics in (("fractions", _FRACTIONS), ("component_bias", _BIASES)):
        result[group] = {name: statistic(table) for name, statistic in statistics.items()}
        intervals[group] = {
            name: list(bootstrap_interval(table, statistic, samples, seed)) for name, statistic in statistics.items()
        }
    result["ci95"] = intervals
    return result


def by_energy(
    true: ArrayLike, predicted: ArrayLike, energy_mev: ArrayLike, edges_mev: Sequence[float], samples: int, seed: int
) -> list[dict[str, Any]]:
    """Figures per bin of the true kinetic energy; None where a bin has no event.

    Parameters
    ----------
    true, predicted : array_like, shape (N, 3)
    energy_mev : array_like, shape (N,)
        True kinetic energy [MeV].
    edges_mev : sequence of float
        Bin edges [MeV]; a bin holds low <= energy < high, the last one its upper edge as well.

    Returns
    -------
    list of dict
        low_mev, high_mev, n, containment_68_deg, angular_error_median_deg, axis_error_68_deg, flipped_fraction, ci95.
    """
    names = ("containment_68_deg", "angular_error_median_deg", "axis_error_68_deg", "flipped_fraction")
    table, energies = _table(true, predicted), np.asarray(energy_mev, np.float64)
    bins = []
    for low, high in itertools.pairwise(edges_mev):
        inside = (energies >= low) & ((energies < high) | ((high == edges_mev[-1]) & (energies == high)))
        events = table[inside]
        entry: dict[str, Any] = {"low_mev": float(low), "high_mev": float(high), "n": len(events)}
        intervals: dict[str, Any] = {}
        for name in names:
            statistic = _HEADLINES[name]
            entry[name] = statistic(events) if len(events) else None
            intervals[name] = list(bootstrap_interval(events, statistic, samples, seed)) if len(events) else None
        bins.append({**entry, "ci95": intervals})
    return bins


def _table(true: ArrayLike, predicted: ArrayLike) -> Floats:
    truth, prediction = np.asarray(true, np.float64), np.asarray(predicted, np.float64)
    if len(truth) == 0:
        raise ValueError("no event to work out metrics for")
    angles, cosines = angle_deg(truth, prediction), cosine(truth, prediction)
    if not (np.isfinite(angles).all() and np.isfinite(cosines).all()):
        raise ValueError("a direction is zero or not finite")
    return np.column_stack([angles, cosines, prediction - truth])
