"""Two versions on the same events: paired by event, on the test split, with an interval that knows chance."""

from __future__ import annotations

import numpy as np
import pytest
from made_predictions import predictions

from snpoint.errors import DataError
from snpoint.physics.comparison import compare


def sharpened(arrays: dict[str, np.ndarray], toward: float) -> dict[str, np.ndarray]:
    """The same events with predictions moved towards the truth."""
    moved = arrays["direction_pred"] + toward * arrays["direction_true"]
    return arrays | {"direction_pred": (moved / np.linalg.norm(moved, axis=1, keepdims=True)).astype(np.float32)}


def test_a_better_version_is_seen_as_better() -> None:
    first = predictions(3000)
    result = compare(first, sharpened(first, 0.5), samples=200, seed=1)
    assert result.n == np.sum(first["split"] == 3)
    assert result.difference_deg == pytest.approx(result.first_deg - result.second_deg)
    assert 0 < result.low_deg < result.difference_deg < result.high_deg


def test_a_version_equals_itself() -> None:
    first = predictions(800)
    result = compare(first, first, samples=50, seed=1)
    assert (result.difference_deg, result.low_deg, result.high_deg) == (0, 0, 0)


def test_events_are_paired_by_their_number_not_their_place() -> None:
    first = predictions(800)
    order = np.random.default_rng(1).permutation(800)
    shuffled = {key: value if value.ndim == 0 else value[order] for key, value in first.items()}
    assert compare(first, shuffled, samples=50, seed=1).difference_deg == 0


def test_training_events_do_not_count() -> None:
    first = predictions(800)
    train = first["split"] == 0
    spoiled = first | {"direction_pred": np.where(train[:, None], -first["direction_pred"], first["direction_pred"])}
    assert compare(first, spoiled, samples=50, seed=1).difference_deg == 0


def test_nothing_in_common_is_an_error() -> None:
    first = predictions(300)
    with pytest.raises(DataError, match="no test event in common"):
        compare(first, first | {"event_uid": first["event_uid"] + np.uint64(10_000)}, samples=10, seed=1)
