"""Two versions on the same events: is the difference of their 68% containments more than chance?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snpoint.errors import DataError
from snpoint.physics.angles import angle_deg
from snpoint.physics.statistics import bootstrap_interval, containment, paired_bootstrap_difference
from snpoint.settings import SPLITS

_TEST = SPLITS.index("test")


@dataclass(frozen=True)
class Comparison:
    """68% containments (deg) of two versions on n common test events; first - second with its 95% interval."""

    n: int
    first_deg: float
    first_ci95_deg: tuple[float, float]
    second_deg: float
    second_ci95_deg: tuple[float, float]
    difference_deg: float
    low_deg: float
    high_deg: float


def compare(
    first: Mapping[str, NDArray[Any]], second: Mapping[str, NDArray[Any]], samples: int, seed: int
) -> Comparison:
    """Compare the 68% containment of the angular error of two versions over the test events that both have.

    Parameters
    ----------
    first, second : mapping of arrays
        As in ``predictions.npz``; events are paired by ``event_uid``.
    samples, seed : int
        Number of bootstrap samples and seed of their drawing. The bootstrap of the difference is paired: the same
        events are drawn for both.

    Raises
    ------
    DataError
        The two have no test event with truth in common.
    """
    uid_first, errors_first = _test_errors_deg(first)
    uid_second, errors_second = _test_errors_deg(second)
    common, rows_first, rows_second = np.intersect1d(uid_first, uid_second, return_indices=True)
    if common.size == 0:
        raise DataError(
            f"the two versions have no test event in common ({uid_first.size} and {uid_second.size} test events with "
            "truth); compare versions whose datasets hold the same samples and split"
        )
    a, b = errors_first[rows_first], errors_second[rows_second]
    return Comparison(
        int(common.size),
        containment(a),
        bootstrap_interval(a, containment, samples, seed),
        containment(b),
        bootstrap_interval(b, containment, samples, seed),
        *paired_bootstrap_difference(a, b, containment, samples, seed),
    )


def _test_errors_deg(predictions: Mapping[str, NDArray[Any]]) -> tuple[NDArray[Any], NDArray[np.float64]]:
    errors = angle_deg(predictions["direction_pred"], predictions["direction_true"])
    chosen = (predictions["split"] == _TEST) & np.isfinite(errors)
    return predictions["event_uid"][chosen], errors[chosen]
