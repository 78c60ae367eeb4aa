"""Types of the branches of a TPStream file as they lie on disk. Reading converts them, so it cannot tell."""

from __future__ import annotations

from pathlib import Path

import uproot

from snpoint.data.tpstream import BACKTRACKER, DIRECTORY, SCHEMA
from snpoint.errors import DataError

TEXT_TYPES = ("std::string", "char*")


def check_branches(path: str | Path) -> None:
    """Check the trees of a TPStream file that `snpoint.data.tpstream.read_tpstream` can read.

    Raises
    ------
    DataError
        A branch has another type than `SCHEMA` says, the ``bt_*`` branches are there in part, or a branch is unknown.
    """
    with uproot.open(path) as file:
        folder = file[DIRECTORY]
        for name in folder.keys(cycle=False, filter_classname="TTree"):
            tree = "tps" if "/" in name else name
            if tree in SCHEMA:
                found = {branch.name: _kind(branch) for branch in folder[name].branches}
                _check(f"{path}: tree '{DIRECTORY}/{name}'", found, SCHEMA[tree])


def _kind(branch: uproot.TBranch) -> str:
    if branch.typename in TEXT_TYPES:
        return "string"
    dtype = getattr(branch.interpretation, "to_dtype", None)
    return branch.typename if dtype is None else str(dtype.str[1:])


def _check(where: str, found: dict[str, str], expected: dict[str, str]) -> None:
    if not found.keys() & BACKTRACKER.keys():
        expected = {key: kind for key, kind in expected.items() if key not in BACKTRACKER}
    missing, unknown = sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys())
    if missing or unknown:
        raise DataError(f"{where} lacks the branches {missing} and has the unknown ones {unknown}")
    for key, kind in expected.items():
        if found[key] != kind:
            raise DataError(f"{where}: branch '{key}' is {found[key]}, expected {kind}")
