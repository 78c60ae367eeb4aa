"""Containment and bootstrap intervals: one definition for everybody."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

Statistic = Callable[[NDArray[np.float64]], float]
"""Number of a sample: takes the events along the first axis."""


def containment(errors: ArrayLike, fraction: float = 0.68) -> float:
    """The ceil(fraction N)-th smallest error: an order statistic, never interpolated.

    Parameters
    ----------
    errors : array_like, shape (N,)
        Errors of single events, any unit.
    fraction : float
        Share of events contained, 0 < fraction <= 1.

    Returns
    -------
    float
        In the unit of the errors; NaN without events or if an error is NaN.
    """
    values = np.asarray(errors, np.float64).ravel()
    if values.size == 0 or np.isnan(values).any():
        return float("nan")
    # Rounding guards against 0.68 * 25 = 17.000000000000004, whose ceiling would be 18.
    rank = int(np.ceil(round(fraction * values.size, 9)))
    index = min(max(rank, 1), values.size) - 1
    return float(np.partition(values, index)[index])


def bootstrap_interval(
    values: ArrayLike, statistic: Statistic, samples: int, seed: int, level: float = 0.95
) -> tuple[float, float]:
    """Percentile bootstrap interval of a statistic; events are drawn with replacement.

    Parameters
    ----------
    values : array_like, shape (N, ...)
        One entry per event; whole rows are drawn, so columns of one event stay together.
    statistic : callable
        Takes an array like ``values`` and returns a number.
    samples, seed : int
        Number of bootstrap samples and seed of their drawing.
    level : float
        Coverage asked for.

    Returns
    -------
    (float, float)
        Lower and upper end; NaN without events.
    """
    events = np.asarray(values, np.float64)
    if len(events) == 0:
        return float("nan"), float("nan")
    draws = np.array([statistic(events[rows]) for rows in _draws(len(events), samples, seed)])
    return _percentiles(draws, level)


def paired_bootstrap_difference(
    a: ArrayLike, b: ArrayLike, statistic: Statistic, samples: int, seed: int, level: float = 0.95
) -> tuple[float, float, float]:
    """Difference statistic(a) - statistic(b) over events in common, and its bootstrap interval.

    The same events are drawn for both, so that what the two share (easy and hard events) cancels.

    Parameters
    ----------
    a, b : array_like, shape (N, ...)
        Entry i of both belongs to the same event.

    Returns
    -------
    (float, float, float)
        Difference, lower end, upper end.

    Raises
    ------
    ValueError
        The two do not have the same number of events.
    """
    first, second = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if len(first) != len(second):
        raise ValueError(f"paired samples have {len(first)} and {len(second)} events")
    if len(first) == 0:
        return float("nan"), float("nan"), float("nan")
    rows_of_draws = _draws(len(first), samples, seed)
    draws = np.array([statistic(first[rows]) - statistic(second[rows]) for rows in rows_of_draws])
    return statistic(first) - statistic(second), *_percentiles(draws, level)


def _draws(n: int, samples: int, seed: int) -> Iterator[NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    for _ in range(samples):
        yield rng.integers(0, n, n)


def _percentiles(draws: NDArray[np.float64], level: float) -> tuple[float, float]:
    finite = draws[np.isfinite(draws)]
    if finite.size == 0:
        return float("nan"), float("nan")
    tail = 50.0 * (1.0 - level)
    low, high = np.percentile(finite, [tail, 100.0 - tail])
    return float(low), float(high)
