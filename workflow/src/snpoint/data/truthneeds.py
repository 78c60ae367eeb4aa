"""What each method of truth matching needs of a TPStream file, and what a file allows."""

from __future__ import annotations

from snpoint.data.tpstream import KEY, TpStream
from snpoint.errors import DataError

_TPS = (
    *KEY,
    *("channel", "time_start", "samples_over_threshold", "samples_to_peak", "adc_integral", "adc_peak"),
)
_BACKTRACKER = ("bt_primary_track_id", "bt_edep", "bt_numelectrons", "bt_x", "bt_y", "bt_z")
_TRUTH = {
    "mctruths": (
        *KEY,
        *("block_id", "pdg", "generator_name", "status_code", "x", "y", "z", "px", "py", "pz", "energy"),
    ),
    "mcparticles": (*KEY, "pdg", "g4_track_id", "truth_block_id"),
}
_SIMIDES = (*KEY, "channel", "timestamp", "numelectrons", "energy", "x", "y", "z", "trackID")
_PREDECESSOR = ("status_code", "x", "y", "z")
_TREES = ("mctruths", "mcparticles", "simides")

LAST_SIMIDE_TIME = (1 << 16) * 32
"""Deposits carry their time in 16 bits [TPC ticks of 32 clock ticks]: a TP after this [clock ticks] has none."""


def possible_truth(file: TpStream, truth: str) -> str:
    """The method that a file's truth can be matched with: the one asked for, or ``none`` for data.

    A file without any truth is data, which is legal. One that has truth, but not in the form that the method
    needs, is an error instead of a sample without truth that nobody asked for.

    Parameters
    ----------
    file
        The open file.
    truth
        Method asked for: ``backtracker``, ``simide``, ``predecessor`` or ``none``.

    Raises
    ------
    DataError
        The file has truth, but a tree or branch that the method needs is missing; the message names it and the
        methods that would do.
    """
    if truth == "none" or not any(_has(file, tree) for tree in _TREES):
        return "none"
    lacking = _lacking(file, truth)
    if not lacking:
        return truth
    others = [other for other in ("backtracker", "simide") if other != truth and not _lacking(file, other)]
    remedy = " or ".join(f"match.truth: {other}" for other in others or ["none"])
    raise DataError(f"{file.path}: match.truth is '{truth}', but the file has no {', '.join(lacking)}; use {remedy}")


def best_truth(file: TpStream) -> str:
    """The best method that a file allows: ``backtracker``, else ``simide``, else ``none``."""
    allowed = (method for method in ("backtracker", "simide") if not _lacking(file, method))
    return next(allowed, "none")


def can_compare(file: TpStream) -> bool:
    """Whether a file has what all methods need."""
    return not any(_lacking(file, truth) for truth in ("backtracker", "simide", "predecessor"))


def needed_columns(truth: str, compare: bool) -> dict[str, tuple[str, ...]]:
    """Tree -> branches that a method reads.

    Parameters
    ----------
    truth
        ``backtracker``, ``simide``, ``predecessor`` or ``none``.
    compare
        Whether the other methods are applied, too.
    """
    methods = {"backtracker", "simide", "predecessor"} if compare else {truth}
    columns: dict[str, tuple[str, ...]] = {"tps": _TPS}
    if methods != {"none"}:
        columns |= _TRUTH
    if "backtracker" in methods:
        columns["tps"] += _BACKTRACKER
    if methods & {"simide", "predecessor"}:
        columns["simides"] = _SIMIDES
    if "predecessor" in methods:
        columns["mcparticles"] += _PREDECESSOR
    return columns


def _lacking(file: TpStream, truth: str) -> list[str]:
    """Trees with rows and branches that a method needs and the file does not have; of the TPs only what truth adds."""
    columns = needed_columns(truth, compare=False) | {"tps": _BACKTRACKER if truth == "backtracker" else ()}
    trees = [f"tree '{tree}'" for tree in columns if tree != "tps" and not _has(file, tree)]
    branches = [
        f"branch '{tree}.{branch}'"
        for tree, names in columns.items()
        if file.has(tree)
        for branch in names
        if branch not in file.branches(tree)
    ]
    return trees + branches


def _has(file: TpStream, tree: str) -> bool:
    """Whether there is anything in a tree: LArSoft makes all of them, for data too."""
    return file.has(tree) and file.n_rows(tree) > 0
