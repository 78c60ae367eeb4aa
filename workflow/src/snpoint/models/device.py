"""What a network runs on."""

from __future__ import annotations

import logging

import keras

_log = logging.getLogger(__name__)


def backend() -> str:
    """Backend of Keras, as chosen by KERAS_BACKEND."""
    return str(keras.backend.backend())


def device() -> str:
    """First accelerator, else the CPU, as in ``gpu:0``."""
    try:
        devices = keras.distribution.list_devices()
    except (ImportError, NotImplementedError, RuntimeError, AttributeError) as error:
        _log.warning("the %s backend cannot list its devices (%s); taken for cpu", backend(), error)
        return "cpu:0"
    return str(devices[0]).lower() if devices else "cpu:0"


def compile_jit() -> bool | str:
    """Value for Keras' ``jit_compile``.

    On the CPU, TensorFlow's own kernels are four times faster for small convolutions than what XLA compiles.
    """
    return False if backend() == "tensorflow" and device().startswith("cpu") else "auto"
