"""Layers of ours. A saved model names them, so `snpoint.models` must be imported before it is loaded."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

PACKAGE = "snpoint"
_TINY = 1e-12


@keras.saving.register_keras_serializable(package=PACKAGE)
class LogCompression(keras.layers.Layer):
    """log(1 + adc / scale_adc): pixels span four decades, and most of the charge is in few of them.

    Parameters
    ----------
    scale_adc : float
        Where the response turns from linear to logarithmic [ADC].
    """

    def __init__(self, scale_adc: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if scale_adc <= 0:
            raise ValueError(f"scale_adc must be positive, not {scale_adc}")
        self.scale_adc = float(scale_adc)

    def call(self, inputs: Any) -> Any:
        """Compress pixels [ADC] of any shape."""
        return ops.log1p(inputs / self.scale_adc)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Shapes do not change."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """What a saved model needs to rebuild this layer."""
        return {**super().get_config(), "scale_adc": self.scale_adc}


@keras.saving.register_keras_serializable(package=PACKAGE)
class SelectPlane(keras.layers.Layer):
    """One plane of (batch, planes, ticks, channels) as an image with one color: (batch, ticks, channels, 1).

    Parameters
    ----------
    index : int
        Number of the plane: 0 A, 1 B, 2 X.
    """

    def __init__(self, index: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.index = int(index)

    def call(self, inputs: Any) -> Any:
        """Take the plane out."""
        return ops.expand_dims(inputs[:, self.index], axis=-1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """(batch, planes, ticks, channels) -> (batch, ticks, channels, 1)."""
        return (input_shape[0], input_shape[2], input_shape[3], 1)

    def get_config(self) -> dict[str, Any]:
        """What a saved model needs to rebuild this layer."""
        return {**super().get_config(), "index": self.index}


@keras.saving.register_keras_serializable(package=PACKAGE)
class UnitVector(keras.layers.Layer):
    """x / |x| along the last axis, with a finite gradient at x = 0 too.

    Keras' UnitNormalization has none there on JAX, and a batch with one image that excites no feature gives x = 0.
    """

    def call(self, inputs: Any) -> Any:
        """Normalize vectors (batch, 3)."""
        return inputs * ops.rsqrt(ops.sum(ops.square(inputs), axis=-1, keepdims=True) + _TINY)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Shapes do not change."""
        return input_shape
