"""Writing TPStream ROOT files: LArSoft's trees, branches and number types.

The one difference is that uproot writes text as ``char*`` (``TLeafC``) where LArSoft writes ``std::string``, which
reads back the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import uproot

from snpoint.data.atomic import replacing
from snpoint.data.tpstream_schema import BACKTRACKER, DIRECTORY, SCHEMA, STRING, TP_FOLDER, TP_PREFIX, Tree
from snpoint.errors import DataError

_ROWS_PER_BASKET = 1 << 16
"""A basket is read as a whole: small ones keep the memory of a reader of slices small."""


def write_tpstream(path: str | Path, trees: Mapping[str, Mapping[str, Any]], layout: str = "1x2x2") -> None:
    """Write a TPStream file: same directory, trees, branches and number types as LArSoft's, whole or not at all.

    Parameters
    ----------
    path
        The ROOT file.
    trees
        Tree -> branch -> array, as `read_tpstream` returns it. ``tps`` must be there; truth trees and the ``bt_*``
        branches may be missing.
    layout
        Name of the geometry in the name of the tree of TPs.

    Raises
    ------
    DataError
        A tree or branch is unknown or missing, lengths differ, or a value does not fit the type of its branch.
    """
    if "tps" not in trees:
        raise DataError(f"{path}: cannot write a TPStream without the tree 'tps'")
    checked = {tree: _checked(tree, content, path) for tree, content in trees.items()}
    with replacing(path) as temporary, uproot.recreate(temporary, compression=uproot.ZLIB(1)) as file:
        for tree, content in checked.items():
            name = f"{TP_FOLDER}/{TP_PREFIX}{layout}" if tree == "tps" else f"{DIRECTORY}/{tree}"
            kinds = SCHEMA[tree]
            types = {key: STRING if kinds[key] == STRING else content[key].dtype for key in content}
            file.mktree(name, types, title=name.rsplit("/", 1)[1])
            for start in range(0, len(content["Event"]), _ROWS_PER_BASKET):
                rows = slice(start, start + _ROWS_PER_BASKET)
                file[name].extend({key: _writable(values[rows]) for key, values in content.items()})


def _checked(tree: str, content: Mapping[str, Any], path: str | Path) -> Tree:
    if tree not in SCHEMA:
        raise DataError(f"{path}: a TPStream has no tree '{tree}', only {list(SCHEMA)}")
    kinds = SCHEMA[tree]
    if tree == "tps" and not any(key in content for key in BACKTRACKER):
        kinds = {key: kind for key, kind in kinds.items() if key not in BACKTRACKER}
    missing, unknown = [key for key in kinds if key not in content], [key for key in content if key not in kinds]
    if missing or unknown:
        raise DataError(f"{path}: tree '{tree}' lacks {missing} and has unknown branches {unknown}")
    arrays = {key: _cast(np.asarray(content[key]), kind, f"{path}: '{tree}.{key}'") for key, kind in kinds.items()}
    lengths = {len(values) for values in arrays.values()}
    if len(lengths) > 1:
        raise DataError(f"{path}: branches of '{tree}' have different lengths {sorted(lengths)}")
    return arrays


def _cast(values: np.ndarray, kind: str, where: str) -> np.ndarray:
    if kind == STRING:
        return values.astype(str)
    dtype = np.dtype(kind)
    if dtype.kind in "iu" and values.size:
        limits = np.iinfo(dtype)
        if values.dtype.kind not in "iub" or values.min() < limits.min or values.max() > limits.max:
            raise DataError(f"{where} holds values that are no {dtype.name} (from {values.min()} to {values.max()})")
    return values.astype(dtype)


def _writable(values: np.ndarray) -> Any:
    return ak.Array(values.tolist()) if values.dtype.kind == "U" else values
