"""TPStream ROOT files of LArSoft's trigger analyzer: reading.

All trees lie in the directory ``triggerAnaDumpTPs``. Reading is tolerant where real data differ from simulation (no
truth trees, no ``bt_*`` branches) and strict everywhere else. Only what is asked for is read from disk.
"""

from __future__ import annotations

import logging
import math
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import awkward as ak
import numpy as np
import uproot

from snpoint.data.tpstream_schema import (
    BACKTRACKER,
    DIRECTORY,
    KEY,
    SCHEMA,
    STRING,
    TP_FOLDER,
    TP_PREFIX,
    TREES,
    Tree,
    Trees,
)
from snpoint.data.tpstream_write import write_tpstream
from snpoint.errors import DataError, InputMissingError

log = logging.getLogger(__name__)

__all__ = [
    "BACKTRACKER",
    "DIRECTORY",
    "KEY",
    "SCHEMA",
    "TpStream",
    "Tree",
    "Trees",
    "UnreadableError",
    "read_tpstream",
    "write_tpstream",
]

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
    struct.error,
    zlib.error,
)


_MOST_BYTES_PER_BYTE = 100
"""Bytes of an array in memory per byte of the file. Real files have 8 for all their branches together, so that an
array beyond this is no lack of memory: a broken file says that it is so large."""
_SMALL_FILE = 1 << 20
_HEADER = 20
"""Bytes at the begin of a ROOT file that hold its mark, version and length."""


class UnreadableError(DataError):
    """A file that is broken as a whole; ``reason`` says in a few words how."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"{path}: not a readable TPStream file ({reason}); copy or produce it again, or take it off the sample "
            "(its exclude: list)"
        )
        self.reason = reason


class TpStream:
    """An open TPStream file, to be used in a ``with`` statement.

    Parameters
    ----------
    path
        The ROOT file.

    Raises
    ------
    InputMissingError
        The file does not exist or cannot be opened.
    DataError
        The file is truncated or is no ROOT file, or it holds no tree of TPs or several.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._handles: dict[str, Any] = {}
        _check_whole(self.path)
        with _reading(self.path):
            self._file = uproot.open(self.path, array_cache=None, object_cache=None)
            try:
                self._names = {"tps": self._tp_tree()} | self._truth_trees()
            except BaseException:
                self._file.close()
                raise
        self.tp_tree = self._names["tps"].rpartition("/")[2]
        """Name of the tree of TPs."""
        self.layout = self.tp_tree.removeprefix(TP_PREFIX)
        """Geometry in that name, such as 1x2x2."""

    def __enter__(self) -> TpStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def has(self, tree: str) -> bool:
        """Whether the file has a tree of `TREES`."""
        return tree in self._names

    def branches(self, tree: str) -> set[str]:
        """Names of the branches of a tree; none if the file does not have it."""
        if not self.has(tree):
            return set()
        with _reading(self.path):
            return set(self._handle(tree).keys(recursive=False))

    def n_rows(self, tree: str) -> int:
        """Number of rows of a tree that the file has."""
        with _reading(self.path):
            return int(self._handle(tree).num_entries)

    def version(self) -> int | None:
        """Version of the format of the TPs; None if the file does not say or is empty."""
        if "version" not in self.branches("tps") or not self.n_rows("tps"):
            return None
        return int(self.read("tps", ["version"], 0, 1)["version"][0])

    def read(self, tree: str, branches: Iterable[str], start: int = 0, stop: int | None = None) -> Tree:
        """Read rows ``start .. stop`` of some branches.

        Returns
        -------
        dict
            Branch -> array, with the dtypes of `SCHEMA` (text as numpy ``U``).

        Raises
        ------
        DataError
            The tree or a branch is not there, or cannot be read.
        """
        wanted = list(branches)
        if not self.has(tree):
            raise DataError(f"{self.path}: no tree '{DIRECTORY}/{tree}'; TPStream of another LArSoft version?")
        there = self.branches(tree)
        missing = [branch for branch in wanted if branch not in there]
        if missing:
            raise DataError(
                f"{self.path}: tree '{self._names[tree]}' has no branch {missing}; TPStream of another LArSoft version?"
            )
        with _reading(self.path):
            return _arrays(self._handle(tree), {branch: TREES[tree][branch] for branch in wanted}, start, stop)

    def _handle(self, tree: str) -> Any:
        if tree not in self._handles:
            self._handles[tree] = self._file[self._names[tree]]
        return self._handles[tree]

    def _truth_trees(self) -> dict[str, str]:
        names = {tree: f"{DIRECTORY}/{tree}" for tree in TREES if tree != "tps"}
        return {tree: name for tree, name in names.items() if name in self._file}

    def _tp_tree(self) -> str:
        found = []
        if TP_FOLDER in self._file:
            found = sorted(set(self._file[TP_FOLDER].keys(recursive=False, cycle=False, filter_classname="TTree")))
        names = [name for name in found if name.startswith(TP_PREFIX)]
        if not names:
            holds = f"'{TP_FOLDER}' holds {found}" if found else f"'{TP_FOLDER}' is empty or missing"
            raise DataError(f"{self.path}: no tree '{TP_FOLDER}/{TP_PREFIX}*' ({holds}); is this a TPStream file?")
        if len(names) > 1:
            raise DataError(
                f"{self.path}: several trees of TPs in '{TP_FOLDER}': {names}; write a file for each layout"
            )
        return f"{TP_FOLDER}/{names[0]}"


def read_tpstream(
    path: str | Path,
    trees: Iterable[str] = tuple(SCHEMA),
    columns: Mapping[str, Sequence[str]] | None = None,
) -> Trees:
    """Read a TPStream file.

    Parameters
    ----------
    path
        The ROOT file.
    trees
        Which trees are wanted: ``tps``, ``mctruths``, ``mcneutrinos``, ``mcparticles``, ``simides``; ``burst`` of a
        simulated burst only if it is named.
    columns
        Tree -> branches that are wanted; all of the schema by default.

    Returns
    -------
    dict
        Tree -> branch -> array, with the dtypes of `SCHEMA` (text as numpy ``U``). Truth trees that the file does
        not have are absent, and so are the ``bt_*`` branches of ``tps``, all or none, unless ``columns`` names them.

    Raises
    ------
    InputMissingError
        The file does not exist or cannot be opened.
    DataError
        The file is truncated, is no ROOT file, or lacks the tree of TPs or a branch.
    """
    with TpStream(path) as file:
        return {tree: file.read(tree, _wanted(file, tree, columns or {})) for tree in trees if file.has(tree)}


def _wanted(file: TpStream, tree: str, columns: Mapping[str, Sequence[str]]) -> Sequence[str]:
    if tree in columns:
        return columns[tree]
    whole = tree != "tps" or file.branches(tree) >= BACKTRACKER.keys()
    return [branch for branch in TREES[tree] if whole or branch not in BACKTRACKER]


def _arrays(handle: Any, kinds: Mapping[str, str], start: int, stop: int | None) -> Tree:
    limits = {"entry_start": start, "entry_stop": stop}
    numbers = [branch for branch, kind in kinds.items() if kind != STRING]
    found = dict(handle.arrays(numbers, library="np", **limits)) if numbers else {}
    for branch in kinds.keys() - found.keys():
        # awkward decodes text without a loop in Python
        found[branch] = ak.to_numpy(handle[branch].array(library="ak", **limits))
    return {branch: _converted(found[branch], kind) for branch, kind in kinds.items()}


def _converted(values: np.ndarray, kind: str) -> np.ndarray:
    if kind == STRING:
        return values.astype(str) if len(values) else np.empty(0, "U1")
    return np.ascontiguousarray(values, dtype=np.dtype(kind))


@contextmanager
def _reading(source: Path) -> Iterator[None]:
    """A damaged file is one error, whatever uproot raises; trouble of the file system is another (it may pass)."""
    try:
        yield
    except _BROKEN as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise _unavailable(source, error) from error
        log.debug("%s: %s: %s", source, type(error).__name__, error)
        raise UnreadableError(source, "damaged") from error
    except MemoryError as error:
        wanted = _bytes_wanted(error)
        if wanted <= _MOST_BYTES_PER_BYTE * max(_size(source), _SMALL_FILE):
            raise
        raise UnreadableError(source, f"damaged: claims to hold an array of {wanted} bytes") from error


def _bytes_wanted(error: MemoryError) -> int:
    """Size of the array that numpy could not make; 0 if it was something else."""
    shape, dtype = getattr(error, "shape", None), getattr(error, "dtype", None)
    return 0 if shape is None or dtype is None else math.prod(shape) * np.dtype(dtype).itemsize


def _check_whole(source: Path) -> None:
    """Check that a file begins as ROOT files do, and is as long as it says there."""
    size, begin = _size(source), _begin(source)
    if not size:
        raise UnreadableError(source, "empty file")
    if begin[:4] != b"root"[: len(begin)]:
        raise UnreadableError(source, "no ROOT file")
    if len(begin) < _HEADER:
        raise UnreadableError(source, "truncated: ends in its first bytes")
    (version,) = struct.unpack(">i", begin[4:8])
    # Files above 2 GB count in 64 bits, and say so by their version.
    (end,) = struct.unpack(">q", begin[12:20]) if version >= 1_000_000 else struct.unpack(">i", begin[12:16])
    if end > size:
        raise UnreadableError(source, f"truncated: ends after {math.floor(100 * size / end)}% of its bytes")


def _begin(source: Path) -> bytes:
    try:
        with source.open("rb") as stream:
            return stream.read(_HEADER)
    except OSError as error:
        raise _unavailable(source, error) from error


def _size(source: Path) -> int:
    try:
        with source.open("rb") as stream:
            stream.seek(0, 2)
            return stream.tell()
    except OSError as error:
        raise _unavailable(source, error) from error


def _unavailable(source: Path, error: OSError) -> InputMissingError:
    return InputMissingError(f"{source}: cannot be opened ({error.strerror}); check the path and permissions")
