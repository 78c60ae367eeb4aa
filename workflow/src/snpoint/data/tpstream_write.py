"""Writing TPStream ROOT files: LArSoft's trees, branches and number types.

The one difference is that uproot writes text as ``char*`` (``TLeafC``) where LArSoft writes ``std::string``, which
reads back the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import uproot

from snpoint.data.atomic import replacing
from snpoint.data.tpstream_schema import BACKTRACKER, DIRECTORY, STRING, TP_FOLDER, TP_PREFIX, TREES, Tree
from snpoint.errors import DataError

Part = Mapping[str, Mapping[str, Any]]

_ROWS_PER_BASKET = 1 << 16
"""A basket is read as a whole: small ones keep the memory of a reader of slices small."""


def write_tpstream(path: str | Path, trees: Part | Iterable[Part], layout: str = "1x2x2") -> None:
    """Write a TPStream file: same directory, trees, branches and number types as LArSoft's, whole or not at all.

    Parameters
    ----------
    path
        The ROOT file.
    trees
        Tree -> branch -> array, as `read_tpstream` returns it; or an iterable of such parts, written one after the
        other, so that no more than one of them is in memory. ``tps`` must be there; truth trees and the ``bt_*``
        branches may be missing, but then in all parts.
    layout
        Name of the geometry in the name of the tree of TPs.

    Raises
    ------
    DataError
        A tree or branch is unknown or missing, lengths differ, a value does not fit the type of its branch, or the
        parts have different trees or branches. Nothing is written then.
    """
    parts = iter([trees] if isinstance(trees, Mapping) else trees)
    first = _checked(next(parts, {}), path)
    branches = {tree: set(content) for tree, content in first.items()}
    with replacing(path) as temporary, uproot.recreate(temporary, compression=uproot.ZLIB(1)) as file:
        names = {tree: _make_tree(file, tree, content, layout) for tree, content in first.items()}
        _extend(file, names, first)
        del first
        for part in parts:
            checked = _checked(part, path)
            if {tree: set(content) for tree, content in checked.items()} != branches:
                raise DataError(f"{path}: parts of one file have different trees or branches")
            _extend(file, names, checked)
            del part, checked  # or they would still be there while the next part is made


def _make_tree(file: Any, tree: str, content: Tree, layout: str) -> str:
    name = f"{TP_FOLDER}/{TP_PREFIX}{layout}" if tree == "tps" else f"{DIRECTORY}/{tree}"
    kinds = TREES[tree]
    types = {key: STRING if kinds[key] == STRING else content[key].dtype for key in content}
    file.mktree(name, types, title=name.rsplit("/", 1)[1])
    return name


def _extend(file: Any, names: Mapping[str, str], part: Mapping[str, Tree]) -> None:
    for tree, content in part.items():
        for start in range(0, len(content["Event"]), _ROWS_PER_BASKET):
            rows = slice(start, start + _ROWS_PER_BASKET)
            file[names[tree]].extend({key: _writable(values[rows]) for key, values in content.items()})


def _checked(part: Part, path: str | Path) -> dict[str, Tree]:
    if "tps" not in part:
        raise DataError(f"{path}: cannot write a TPStream without the tree 'tps'")
    return {tree: _checked_tree(tree, content, path) for tree, content in part.items()}


def _checked_tree(tree: str, content: Mapping[str, Any], path: str | Path) -> Tree:
    if tree not in TREES:
        raise DataError(f"{path}: a TPStream has no tree '{tree}', only {list(TREES)}")
    kinds = TREES[tree]
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
    return values.astype(dtype, copy=False)


def _writable(values: np.ndarray) -> Any:
    return ak.Array(values.tolist()) if values.dtype.kind == "U" else values
