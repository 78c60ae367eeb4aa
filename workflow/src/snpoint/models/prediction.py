"""Applying a network to images."""

from __future__ import annotations

import logging
import time

import keras
import numpy as np

from snpoint.models.batches import Draw
from snpoint.models.outputs import Decoded, decode

_log = logging.getLogger(__name__)

_NOTE_EVERY_S = 5.0


def predict(model: keras.Model, draw: Draw, n: int, batch_size: int) -> Decoded:
    """Directions, concentrations and head probabilities of images 0 .. n - 1.

    Parameters
    ----------
    model : keras.Model
    draw : callable
        Makes the images of given rows, (rows,) -> (rows, planes, ticks, channels) in ADC.
    n, batch_size : int
        Number of images, and how many are drawn at a time.

    Returns
    -------
    Decoded
        ``kappa`` and ``head_probability`` are NaN for a network trained with the angular loss.

    Raises
    ------
    NumericError
        An output is not finite.
    """
    outputs = []
    noted = time.monotonic()
    for start in range(0, n, batch_size):
        rows = np.arange(start, min(start + batch_size, n))
        outputs.append(np.asarray(model.predict_on_batch(draw(rows))))
        if time.monotonic() - noted > _NOTE_EVERY_S:
            noted = time.monotonic()
            _log.info("predicted %d of %d images", rows[-1] + 1, n)
    return decode(np.concatenate(outputs))
