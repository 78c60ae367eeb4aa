"""Two versions on the same events: is the difference of their 68% containments more than chance?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snpoint.errors import DataError
from snpoint.physics.angles import angle_deg
from snpoint.physics.statistics import bootstrap_interval, containment, paired_bootstrap_difference

TEST_SPLIT = 3


def compare(
    predictions_a: Mapping[str, NDArray[Any]], predictions_b: Mapping[str, NDArray[Any]], samples: int, seed: int
) -> dict[str, Any]:
    """Difference a - b of the 68% containment of the angular error, over the test events that both have.

    Parameters
    ----------
    predictions_a, predictions_b : mapping of arrays
        As in ``predictions.npz``.
    samples, seed : int
        Number of bootstrap samples and seed of their drawing.

    Returns
    -------
    dict
        n, containment_68_deg {a, b}, ci95_deg {a, b}, difference_deg, difference_ci95_deg: the interval is that of
        the paired bootstrap, the same events being drawn for both.

    Raises
    ------
    DataError
        The two have no test event with truth in common.
    """
    uid_a, errors_a = _test_errors_deg(predictions_a)
    uid_b, errors_b = _test_errors_deg(predictions_b)
    common, rows_a, rows_b = np.intersect1d(uid_a, uid_b, return_indices=True)
    if common.size == 0:
        raise DataError(
            f"the two versions have no test event in common ({uid_a.size} and {uid_b.size} test events with truth); "
            "compare versions whose datasets hold the same samples and split"
        )
    a, b = errors_a[rows_a], errors_b[rows_b]
    difference, low, high = paired_bootstrap_difference(a, b, containment, samples, seed)
    return {
        "n": int(common.size),
        "containment_68_deg": {"a": containment(a), "b": containment(b)},
        "ci95_deg": {
            "a": list(bootstrap_interval(a, containment, samples, seed)),
            "b": list(bootstrap_interval(b, containment, samples, seed)),
        },
        "difference_deg": difference,
        "difference_ci95_deg": [low, high],
    }


def _test_errors_deg(predictions: Mapping[str, NDArray[Any]]) -> tuple[NDArray[Any], NDArray[np.float64]]:
    errors = angle_deg(predictions["direction_pred"], predictions["direction_true"])
    chosen = (predictions["split"] == TEST_SPLIT) & np.isfinite(errors)
    return predictions["event_uid"][chosen], errors[chosen]
