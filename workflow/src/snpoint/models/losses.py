"""Losses over the outputs of `snpoint.models.outputs`; the truth is a unit vector per image.

Each has a finite value and a finite gradient everywhere, the exact answer and its exact opposite included.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from keras import ops

from snpoint.models.outputs import DIRECTION, HEAD_LOGIT, KAPPA

_SMALL_KAPPA = 0.5
_TINY = 1e-12


def angular(truth: Any, output: Any) -> Any:
    """Angle between truth and prediction [rad], one per image.

    atan2(|a x b|, a.b): the derivative of arccos is infinite at |cos| = 1, which is where a good network
    lives and how networks trained with it ended in NaN.
    """
    predicted = output[:, DIRECTION]
    across = ops.cross(truth, predicted)
    # The square root has an infinite slope at 0 too; 1e-12 costs a bias of a microradian.
    sine = ops.sqrt(ops.sum(ops.square(across), axis=-1) + _TINY)
    return ops.arctan2(sine, ops.sum(truth * predicted, axis=-1))


def head_tail_vmf(truth: Any, output: Any) -> Any:
    """-log[w vMF(mu, kappa) + (1 - w) vMF(-mu, kappa)], one per image; w = sigmoid(head logit).

    A mixture of two von Mises-Fisher densities at the ends of one axis: the network can learn the axis before
    it tells head from tail. With d = kappa mu.n and the logit l of the head,

    log[w e^d + (1 - w) e^-d] = softplus(l + 2 d) - softplus(l) - d.
    """
    cosine = ops.sum(truth * output[:, DIRECTION], axis=-1)
    kappa, logit = output[:, KAPPA], output[:, HEAD_LOGIT]
    along = kappa * cosine
    mixture = ops.softplus(logit + 2.0 * along) - ops.softplus(logit) - along
    return log_normalization(kappa) - mixture


def log_normalization(kappa: Any) -> Any:
    """Log of the integral of exp(kappa cos theta) over the sphere: log(4 pi sinh(kappa) / kappa).

    A series below 0.5, where the closed form is a difference of large numbers.
    """
    small = ops.minimum(kappa, _SMALL_KAPPA)
    square = ops.square(small)
    series = square / 6.0 - ops.square(square) / 180.0 + square * ops.square(square) / 2835.0
    # Both branches are worked out for every element: the one not taken must be finite as well.
    large = ops.maximum(kappa, _SMALL_KAPPA)
    closed = large + ops.log((1.0 - ops.exp(-2.0 * large)) / (2.0 * large))
    return math.log(4.0 * math.pi) + ops.where(kappa < _SMALL_KAPPA, series, closed)


LOSSES: dict[str, Callable[[Any, Any], Any]] = {"angular": angular, "head_tail_vmf": head_tail_vmf}
"""Losses by the name a version gives."""
