"""Metrics that are watched while a network trains."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from snpoint.models.losses import angular
from snpoint.models.outputs import DIRECTION, HEAD_LOGIT

_BINS_PER_DEGREE = 4
_BINS = 180 * _BINS_PER_DEGREE


class Containment(keras.metrics.Metric):
    """68% containment of the angular error [deg], from a histogram in quarters of a degree.

    A quantile is not a mean of batches, so the histogram is what adds up; `evaluate` gives the exact figure.
    """

    def __init__(self, fraction: float = 0.68, name: str = "containment_68_deg", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.fraction = fraction
        self.histogram = self.add_weight(shape=(_BINS,), initializer="zeros", name="histogram")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch."""
        angles = angular(y_true, y_pred)
        if y_pred.shape[-1] != DIRECTION.stop:
            angles = ops.where(y_pred[:, HEAD_LOGIT] < 0, math.pi - angles, angles)
        bins = ops.cast(angles * (180.0 / math.pi * _BINS_PER_DEGREE), "int32")
        one_hot = ops.one_hot(ops.clip(bins, 0, _BINS - 1), _BINS)
        self.histogram.assign_add(ops.sum(one_hot, axis=0))

    def result(self) -> Any:
        """Upper edge of the bin that holds the quantile [deg]."""
        cumulative = ops.cumsum(self.histogram)
        below = ops.sum(ops.cast(cumulative < self.fraction * cumulative[-1], "float32"))
        return (below + 1.0) / _BINS_PER_DEGREE

    def reset_state(self) -> None:
        """Start a new epoch."""
        self.histogram.assign(ops.zeros((_BINS,)))
