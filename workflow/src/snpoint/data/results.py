"""Reading result files back: NPZ against their contract, and JSON."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from snpoint.data.contracts import PREDICTIONS, Array, validate
from snpoint.errors import DataError, InputMissingError


def read_arrays(path: str | Path, contract: Mapping[str, Array]) -> dict[str, np.ndarray]:
    """All arrays of an NPZ file, checked against its contract.

    Raises
    ------
    InputMissingError
        The file does not exist or cannot be opened.
    DataError
        It is no NPZ file, is truncated, or breaks its contract.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: not a readable NPZ file ({error}); delete it and run its stage again") from error
    except OSError as error:
        raise InputMissingError(
            f"{path}: cannot be read ({error.strerror or error}); run the stage that makes it"
        ) from error
    validate(arrays, contract, path)
    return arrays


def read_predictions(path: str | Path) -> dict[str, np.ndarray]:
    """All arrays of a ``predictions.npz``; errors as `read_arrays`."""
    return read_arrays(path, PREDICTIONS)


def read_json(path: str | Path) -> Any:
    """Content of a JSON file.

    Raises
    ------
    InputMissingError
        The file does not exist or cannot be opened.
    DataError
        It is not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not JSON ({error}); delete it and run its stage again") from error
    except OSError as error:
        raise InputMissingError(f"{path}: cannot be read ({error.strerror}); run the stage that makes it") from error
