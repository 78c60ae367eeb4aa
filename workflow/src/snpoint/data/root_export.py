"""ROOT files with the predecessor's trees.

One file holds what it spread over two: ``tps`` at the top, ``clusters_tree_{U,V,X}`` in ``clusters`` (above the energy
cut) and ``discarded``. Text is written as ``char*``, and the ``tp_*`` branches of the clusters as arrays whose length
is the branch ``ntp``, where the predecessor has ``std::string`` and ``std::vector``: uproot writes no others. uproot,
RDataFrame and TTree::Draw read both alike; a C++ program that binds a ``std::vector<int>*`` does not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt
import uproot

from snpoint.data.atomic import replacing

Branches = Mapping[str, npt.NDArray[Any]]

_PREFIX = "tp_"


class RootWriter:
    """Appends rows to trees, which are made when the first rows come; made by `open_root`."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._trees: set[str] = set()

    def append(
        self,
        tree: str,
        branches: Branches,
        members: Branches | None = None,
        counts: npt.NDArray[np.int64] | None = None,
    ) -> None:
        """Append rows; a tree without rows is still made, so that it can be read.

        Parameters
        ----------
        tree
            Its name, with its folder.
        branches
            Branches with one entry per row, (n,).
        members
            Branches ``tp_*`` with ``counts[i]`` entries in row i, rows one after the other.
        counts
            Number of entries of each row, (n,).
        """
        types: dict[str, Any] = {key: _type(values) for key, values in branches.items()}
        rows: dict[str, Any] = {key: _writable(values) for key, values in branches.items()}
        if members is not None:
            names = {key.removeprefix(_PREFIX): values for key, values in members.items()}
            record = ak.zip({key: ak.unflatten(values, counts) for key, values in names.items()})
            rows["tp"] = record
            fields = ", ".join(f'"{key}": {values.dtype.name}' for key, values in names.items())
            types["tp"] = f"var * {{{fields}}}"
        if tree not in self._trees:
            self._file.mktree(tree, types, title=tree.rsplit("/", 1)[-1])
            self._trees.add(tree)
        if len(next(iter(branches.values()))):
            self._file[tree].extend(rows)


@contextmanager
def open_root(path: str | Path) -> Iterator[RootWriter]:
    """Write a ROOT file, whole or not at all.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    with replacing(path) as temporary, uproot.recreate(temporary, compression=uproot.ZLIB(1)) as file:
        yield RootWriter(file)


def _type(values: npt.NDArray[Any]) -> Any:
    return "string" if values.dtype.kind == "U" else values.dtype


def _writable(values: npt.NDArray[Any]) -> Any:
    return ak.Array(values.tolist()) if values.dtype.kind == "U" else np.ascontiguousarray(values)
