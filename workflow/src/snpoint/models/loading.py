"""Saving networks whole, and loading them back safely."""

from __future__ import annotations

import zipfile
from pathlib import Path

import keras

from snpoint.data.atomic import replacing
from snpoint.errors import DataError, InputMissingError
from snpoint.models import layers  # noqa: F401 -- registers the layers that files name
from snpoint.models.device import compile_jit


def save(model: keras.Model, path: str | Path) -> None:
    """Write a model as one ``.keras`` file, or leave what was there."""
    with replacing(path) as temporary:
        model.save(temporary)


def load(path: str | Path) -> keras.Model:
    """Read a model for prediction; nothing in the file is executed.

    Raises
    ------
    InputMissingError
        The file does not exist or cannot be opened.
    DataError
        It is not a Keras model of this project, or is damaged.
    """
    if not Path(path).is_file():
        raise InputMissingError(f"{path} does not exist; run `train` first")
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except (ValueError, TypeError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{path}: not a readable Keras model ({reason}); delete it and run `train` again") from error
    model.jit_compile = compile_jit()
    return model
