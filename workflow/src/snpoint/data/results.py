"""Reading NPZ results back, against their contract."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snpoint.data.contracts import FORMAT_VERSION, PREDICTIONS, Array, validate
from snpoint.errors import DataError, InputMissingError

PLANE_X = 2
"""Column of plane X, the best calorimeter, in ``energy_reco_mev``."""


def read_npz(path: str | Path, contract: Mapping[str, Array]) -> dict[str, NDArray[Any]]:
    """Read an NPZ file and check it against its contract.

    Raises
    ------
    InputMissingError
        There is no such file.
    DataError
        It is no NPZ file, is truncated, of another format version, or breaks its contract.
    """
    if Path(path).is_file() and not zipfile.is_zipfile(path):
        raise DataError(
            f"{path}: not an NPZ file (another kind, empty, or cut off); check its name, or run the stage that makes it"
        )
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
    except FileNotFoundError as error:
        raise InputMissingError(f"{path}: no such file; run the stage that makes it") from error
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        if isinstance(error, OSError) and error.errno:
            raise InputMissingError(f"{path}: cannot be read ({error.strerror})") from error
        raise DataError(f"{path}: not a readable NPZ file ({error}); run the stage that makes it again") from error
    if "format_version" in arrays and arrays["format_version"] != FORMAT_VERSION:
        version = arrays["format_version"]
        raise DataError(f"{path}: format version {version}, this snpoint reads {FORMAT_VERSION}; run its stage again")
    validate(arrays, contract, path)
    return arrays


def read_predictions(path: str | Path) -> dict[str, NDArray[Any]]:
    """All arrays of a ``predictions.npz``; errors as of `read_npz`."""
    return read_npz(path, PREDICTIONS)
