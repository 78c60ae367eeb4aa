"""TPStream ROOT files: the schema of LArSoft's trigger analyzer, read and written.

All trees lie in the directory ``triggerAnaDumpTPs``. This is the only module that knows ROOT. Reading is tolerant
where real data differ from simulation (no truth trees, no ``bt_*`` branches) and strict everywhere else. Writing
gives the same trees, branches and number types; the one difference is that uproot writes text as ``char*``
(``TLeafC``) where LArSoft writes ``std::string``, which reads back the same.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import uproot

from snpoint.data.atomic import replacing
from snpoint.errors import DataError, InputMissingError
from snpoint.provenance import fingerprint

Tree = dict[str, np.ndarray]
Trees = dict[str, Tree]

DIRECTORY = "triggerAnaDumpTPs"
NO_TRACK = -99999
"""Value of ``bt_primary_track_id`` and of the ``bt_`` positions of a TP that no true particle made."""

_TP_FOLDER = "TriggerPrimitives"
_TP_PREFIX = "tpmakerTPC__TriggerAnaTree"
_STRING = "string"


def _columns(text: str) -> dict[str, str]:
    """``'u4: a b; f8: c'`` as ``{'a': 'u4', 'b': 'u4', 'c': 'f8'}``, in that order."""
    found: dict[str, str] = {}
    for group in text.split(";"):
        kind, _, names = group.partition(":")
        found.update(dict.fromkeys(names.split(), kind.strip()))
    return found


_KEY = "u4: Event Run SubRun; "
BACKTRACKER = _columns(
    "i4: bt_primary_track_id; f8: bt_primary_track_numelectron_frac bt_primary_track_energy_frac bt_edep"
    " bt_numelectrons bt_x bt_y bt_z bt_primary_x bt_primary_y bt_primary_z"
)
SCHEMA: dict[str, dict[str, str]] = {
    "tps": _columns(
        _KEY + "u1: version flag detid; u4: channel; u2: samples_over_threshold; u8: time_start; u2: samples_to_peak;"
        " u4: adc_integral; u2: adc_peak; u4: readout_plane_id; i4: readout_view; u4: TPCSetID"
    )
    | BACKTRACKER,
    "mctruths": _columns(
        _KEY + "i4: block_id truth_track_id pdg; string: generator_name; i4: status_code; f8: x y z px py pz energy;"
        " string: process"
    ),
    "mcneutrinos": _columns(
        _KEY + "i4: block_id; string: generator_name; i4: nupdg leptonpdg ccnc mode interactionType target hitnuc"
        " hitquark; f8: w x y qsqr pt theta"
    ),
    "mcparticles": _columns(
        _KEY + "i4: pdg; string: generator_name; i4: status_code g4_track_id mother truth_block_id;"
        " f8: x y z t end_x end_y end_z end_t px py pz energy edep numelectrons shower_edep shower_numelectrons;"
        " string: process"
    ),
    "simides": _columns(_KEY + "u4: channel; u2: timestamp; f4: numelectrons energy x y z; i4: trackID origTrackID"),
}
"""Branches of each tree with their types: numpy dtype codes, or ``string``."""

_NAMES = {name: name for name in SCHEMA} | {"tps": f"{_TP_FOLDER}/{_TP_PREFIX}1x2x2"}
_BROKEN = (
    uproot.deserialization.DeserializationError,
    uproot.exceptions.KeyInFileError,
    OSError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    AssertionError,
    NotImplementedError,
    RuntimeError,
    EOFError,
    MemoryError,
    struct.error,
    zlib.error,
)


def read_tpstream(path: str | Path, trees: Iterable[str] = tuple(SCHEMA)) -> Trees:
    """Read a TPStream file.

    Parameters
    ----------
    path
        The ROOT file.
    trees
        Which trees are wanted: ``tps``, ``mctruths``, ``mcneutrinos``, ``mcparticles``, ``simides``.

    Returns
    -------
    dict
        Tree -> branch -> array, with the dtypes of `SCHEMA` (text as numpy ``U``). Truth trees that the file does
        not have are absent, and so are the ``bt_*`` branches of ``tps``, all or none.

    Raises
    ------
    InputMissingError
        The file does not exist or cannot be opened.
    DataError
        The file is truncated, is no ROOT file, or has no TP tree with the branches of the schema.
    """
    source = Path(path)
    size = _size(source)
    try:
        with uproot.open(source) as file:
            if file.file.fEND > size:
                raise _unreadable(source, f"truncated: {size} of {file.file.fEND} bytes")
            return {tree: content for tree in trees if (content := _read_tree(file, tree, source)) is not None}
    except _BROKEN as error:
        reason = str(error).strip().split("\n", 1)[0][:120] or type(error).__name__
        raise _unreadable(source, f"{type(error).__name__}: {reason}") from error


def write_tpstream(path: str | Path, trees: Mapping[str, Mapping[str, Any]]) -> None:
    """Write a TPStream file: same directory, trees, branches and number types as LArSoft's, whole or not at all.

    Parameters
    ----------
    path
        The ROOT file.
    trees
        Tree -> branch -> array, as `read_tpstream` returns it. ``tps`` must be there; truth trees and the ``bt_*``
        branches may be missing.

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
            name = f"{DIRECTORY}/{_NAMES[tree]}"
            kinds = SCHEMA[tree]
            types = {key: _STRING if kinds[key] == _STRING else content[key].dtype for key in content}
            file.mktree(name, types, title=name.rsplit("/", 1)[1])
            if len(content["Event"]):
                file[name].extend({key: _writable(values) for key, values in content.items()})


def check_sha256(path: str | Path, expected: str) -> None:
    """Check that a file is the one that is meant.

    Raises
    ------
    InputMissingError
        The file does not exist or cannot be opened.
    DataError
        Its SHA-256 is another one.
    """
    found = fingerprint(path)["sha256"]
    if found != expected.lower():
        raise DataError(
            f"{path}: sha256 is {found}, but match.sha256 names {expected}; copy the file again, or correct the sample"
        )


def _size(source: Path) -> int:
    try:
        with source.open("rb") as stream:
            stream.seek(0, 2)
            return stream.tell()
    except OSError as error:
        raise InputMissingError(
            f"{source}: cannot be opened ({error.strerror}); check the path and permissions"
        ) from error


def _unreadable(source: Path, reason: str) -> DataError:
    return DataError(
        f"{source}: not a readable TPStream file ({reason}); copy or produce it again, or take it off the sample"
    )


def _read_tree(file: Any, tree: str, source: Path) -> Tree | None:
    name = _tree_name(file, tree)
    if name is None:
        if tree == "tps":
            raise DataError(f"{source}: no tree '{DIRECTORY}/{_NAMES['tps']}'; is this a TPStream file?")
        return None
    handle = file[name]
    kinds = SCHEMA[tree]
    missing = [key for key in kinds if key not in handle.keys(recursive=False)]
    if tree == "tps" and any(key in BACKTRACKER for key in missing):
        kinds = {key: kind for key, kind in kinds.items() if key not in BACKTRACKER}
        missing = [key for key in missing if key not in BACKTRACKER]
    if missing:
        raise DataError(f"{source}: tree '{name}' has no branch {missing}; TPStream of another LArSoft version?")
    arrays = handle.arrays(list(kinds), library="np")
    return {key: _converted(arrays[key], kind) for key, kind in kinds.items()}


def _tree_name(file: Any, tree: str) -> str | None:
    if tree != "tps":
        name = f"{DIRECTORY}/{tree}"
        return name if name in file else None
    # The tree is named after the geometry (1x2x2, 1x2x6); a file holds one.
    folder = f"{DIRECTORY}/{_TP_FOLDER}"
    names = file[folder].keys(recursive=False, cycle=False) if folder in file else []
    return next((f"{folder}/{name}" for name in sorted(names) if name.startswith(_TP_PREFIX)), None)


def _converted(values: np.ndarray, kind: str) -> np.ndarray:
    if kind == _STRING:
        return np.array(values.tolist(), dtype=str) if len(values) else np.empty(0, "U1")
    return np.ascontiguousarray(values, dtype=np.dtype(kind))


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
    if kind == _STRING:
        return values.astype(str)
    dtype = np.dtype(kind)
    if dtype.kind in "iu" and values.size:
        limits = np.iinfo(dtype)
        if values.dtype.kind not in "iub" or values.min() < limits.min or values.max() > limits.max:
            raise DataError(f"{where} holds values that are no {dtype.name} (from {values.min()} to {values.max()})")
    return values.astype(dtype)


def _writable(values: np.ndarray) -> Any:
    return ak.Array(values.tolist()) if values.dtype.kind == "U" else values
