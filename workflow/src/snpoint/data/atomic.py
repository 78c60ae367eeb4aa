"""Writing arrays whole or not at all; text and JSON come from `snpoint.atomic`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from snpoint.atomic import replacing, write_json, write_text

__all__ = ["replacing", "write_json", "write_npz", "write_text"]


def write_npz(path: str | Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write an uncompressed NPZ, so that its members can be memory-mapped. Object arrays are refused."""
    for key, value in arrays.items():
        if np.asarray(value).dtype.hasobject:
            raise TypeError(f"{path}: array '{key}' holds Python objects")
    with replacing(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **dict(arrays))
