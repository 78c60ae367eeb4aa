"""Networks by name. Each builder takes the settings of a version and returns an untrained model.

The input of every network is (planes, ticks, channels) in ADC, as `snpoint.physics.drawing.draw` makes it, in the
plane order A, B, X; compression to logarithms is part of the network.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from snpoint.errors import ConfigError
from snpoint.models import outputs
from snpoint.models.layers import LogCompression, SelectPlane
from snpoint.settings import Architecture, Drawing

PLANES = ("A", "B", "X")

_BATCH_NORM_MOMENTUM = 0.9
# Keras' 0.99 takes hundreds of batches to follow the weights: validation then lags behind by epochs.


def three_plane_cnn(architecture: Architecture, image: Drawing, loss: str) -> keras.Model:
    """One convolutional branch per plane, with weights of its own; branches meet in dense layers.

    Planes do not share weights: induction pulses (A, B) are bipolar, collection pulses (X) are not, and their
    wires measure different projections. Each step halves the image in time and in channels.
    """
    inputs = keras.Input((len(PLANES), image.ticks, image.channels), name="adc")
    compressed = LogCompression(image.scale_adc, name="log_adc")(inputs)
    branches = [_branch(compressed, index, architecture) for index in range(len(PLANES))]
    features = keras.layers.Concatenate(name="planes")(branches)
    for number, units in enumerate(architecture.dense):
        features = _dense(features, units, architecture, f"dense{number}")
    return keras.Model(inputs, outputs.attach(features, loss), name="three_plane_cnn")


def _branch(planes: Any, index: int, architecture: Architecture) -> Any:
    name = PLANES[index]
    image = SelectPlane(index, name=f"plane_{name}")(planes)
    for number, filters in enumerate(architecture.filters):
        image = _convolution(image, filters, architecture, f"{name}{number}")
    return keras.layers.Flatten(name=f"{name}_features")(image)


def _convolution(image: Any, filters: int, architecture: Architecture, name: str) -> Any:
    image = keras.layers.Conv2D(
        filters, architecture.kernel, padding="same", use_bias=not architecture.batch_norm, name=f"{name}_conv"
    )(image)
    # Pooling comes first: normalization and activation then see four times fewer pixels.
    image = keras.layers.MaxPooling2D(_pool(image.shape), name=f"{name}_pool")(image)
    if architecture.batch_norm:
        image = keras.layers.BatchNormalization(momentum=_BATCH_NORM_MOMENTUM, name=f"{name}_norm")(image)
    return keras.layers.Activation("relu", name=f"{name}_relu")(image)


def _pool(shape: tuple[int | None, ...]) -> tuple[int, int]:
    """Halve ticks and channels as long as there are at least two of them."""
    ticks, channels = shape[1] or 1, shape[2] or 1
    return (2 if ticks > 1 else 1), (2 if channels > 1 else 1)


def _dense(features: Any, units: int, architecture: Architecture, name: str) -> Any:
    features = keras.layers.Dense(units, activation="relu", name=name)(features)
    if architecture.dropout > 0:
        features = keras.layers.Dropout(architecture.dropout, name=f"{name}_dropout")(features)
    return features


ARCHITECTURES: dict[str, Callable[[Architecture, Drawing, str], keras.Model]] = {"three_plane_cnn": three_plane_cnn}
"""Networks by the name a version gives."""


def build(architecture: Architecture, image: Drawing, loss: str) -> keras.Model:
    """Build the network a version asks for.

    Raises
    ------
    ConfigError
        No network of that name, or no output for the loss.
    """
    try:
        builder = ARCHITECTURES[architecture.name]
    except KeyError:
        known = ", ".join(sorted(ARCHITECTURES))
        raise ConfigError(f"train.architecture.name: {architecture.name!r} is not known; known: {known}") from None
    return builder(architecture, image, loss)
