"""What comes out of a network: one flat vector per image, made and read here and nowhere else.

``angular``        direction (3)
``head_tail_vmf``  direction (3), kappa (1), head logit (1)

Directions are made unit vectors inside the model, so that a saved file needs nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from snpoint.errors import ConfigError, NumericError
from snpoint.models.layers import UnitVector

DIRECTION = slice(0, 3)
KAPPA = 3
HEAD_LOGIT = 4
KAPPA_FLOOR = 0.5
"""Smallest concentration. The loss pulls at the axis with a strength of kappa squared: a network that first learns
that it knows nothing (kappa -> 0) would never learn more. With an undecided head this one is within 8% of isotropic."""

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Decoded:
    """Predictions of N images: unit vectors (N, 3), concentration (N,), probability of the head (N,)."""

    direction: Floats
    kappa: Floats
    head_probability: Floats


def attach(features: Any, loss: str) -> Any:
    """Put the output of ``loss`` behind a vector of features; returns the output tensor."""
    raw = keras.layers.Dense(3, name="direction_raw")(features)
    direction = UnitVector(name="direction")(raw)
    if loss == "angular":
        return direction
    if loss == "head_tail_vmf":
        kappa = keras.layers.Dense(1, activation="softplus", name="kappa_raw")(features)
        kappa = keras.layers.Rescaling(scale=1.0, offset=KAPPA_FLOOR, name="kappa")(kappa)
        head = keras.layers.Dense(1, name="head_logit")(features)
        return keras.layers.Concatenate(name="head_tail_vmf")([direction, kappa, head])
    raise ConfigError(f"loss: no output is known for {loss!r}; known: angular, head_tail_vmf")


def decode(raw: NDArray[Any]) -> Decoded:
    """Read the output of a network.

    A head-tail output (mu, w) equals (-mu, 1 - w); the likelier end is given, so head_probability >= 0.5.

    Parameters
    ----------
    raw : ndarray, shape (N, 3) or (N, 5)

    Raises
    ------
    NumericError
        An output is not finite.
    """
    values = np.asarray(raw, np.float64)
    if not np.isfinite(values).all():
        bad = int((~np.isfinite(values).all(axis=1)).sum())
        raise NumericError(f"the network gave NaN or infinity for {bad} of {len(values)} images; train it again")
    direction = _unit(values[:, DIRECTION])
    if values.shape[1] == DIRECTION.stop:
        nothing = np.full(len(values), np.nan, np.float32)
        return Decoded(direction.astype(np.float32), nothing, nothing.copy())
    logit = values[:, HEAD_LOGIT]
    direction = np.where(logit[:, None] < 0, -direction, direction)
    return Decoded(
        direction.astype(np.float32), values[:, KAPPA].astype(np.float32), expit(np.abs(logit)).astype(np.float32)
    )


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    # A vector of zeros (every unit of the last layer dead) says nothing; contracts want a unit vector.
    fallback = np.broadcast_to([0.0, 0.0, 1.0], vectors.shape)
    return np.where(lengths > 1e-6, vectors / np.maximum(lengths, 1e-12), fallback)
