"""Contracts of the CSV results: columns, their kinds and ranges. A blank cell is a figure that does not exist."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from snpoint.data.registry import COLUMNS
from snpoint.errors import DataError, InputMissingError

Table = dict[str, list[str]]


@dataclass(frozen=True)
class Column:
    """One column: its kind, its range if it holds numbers, and whether blank cells are legal."""

    kind: Literal["number", "count", "text"]
    low: float | None = None
    high: float | None = None
    blank: bool = False


ANGLE = Column("number", 0, 180)
SIGNED_ANGLE = Column("number", -180, 180)
SHARE = Column("number", 0, 1)
COMPONENT = Column("number", -1.0001, 1.0001)
POSITIVE = Column("number", 0)
NUMBER = Column("number")
TEXT = Column("text")

HISTORY = {
    "epoch": Column("count", 1),
    "loss": NUMBER,
    "val_loss": NUMBER,
    "val_containment_68_deg": ANGLE,
    "learning_rate": POSITIVE,
    "seconds": POSITIVE,
}
SKYMAP = {
    "direction_x": COMPONENT,
    "direction_y": COMPONENT,
    "direction_z": COMPONENT,
    "longitude_deg": SIGNED_ANGLE,
    "latitude_deg": Column("number", -90, 90),
    "energy_reco_mev": POSITIVE,
}
_REGISTRY_TEXT = ("task", "version", "state", "status", "why", "dataset")
_REGISTRY_TEXT_OR_BLANK = ("lesson", "backend", "device", "git_commit", "date")


def _registry_column(name: str) -> Column:
    if name in _REGISTRY_TEXT + _REGISTRY_TEXT_OR_BLANK:
        return Column("text", blank=name in _REGISTRY_TEXT_OR_BLANK)
    if name.endswith("_deg"):
        return Column("number", 0, 180, blank=True)
    if name.endswith("_fraction"):
        return Column("number", 0, 1, blank=True)
    return Column("count" if name.startswith("n_") or "epoch" in name else "number", 0, blank=True)


REGISTRY = {name: _registry_column(name) for name in COLUMNS}
TABLES: dict[str, dict[str, Column]] = {"history.csv": HISTORY, "skymap.csv": SKYMAP, "registry.csv": REGISTRY}
"""File name -> its columns, in their order."""

PLOT_RANGES = {
    r".*missing.*_mev": NUMBER,  # negative where more was found than was there
    r".*_deg": SIGNED_ANGLE,
    r"direction_[xyz]": COMPONENT,
    r".*_fraction.*": SHARE,
    r"share|right_head": SHARE,
    r".*_mev|pdf_.*|n": POSITIVE,
}
"""What the names of a plot's columns promise; any other column holds numbers throughout, or words throughout."""


def read_table(path: Path, least: int = 1) -> Table:
    """Cells of a CSV file by column, as they are written.

    Raises
    ------
    InputMissingError
        The file does not exist or cannot be opened.
    DataError
        It is no text, has no header of different names, a row of another length, or fewer than ``least`` rows.
    """
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.reader(stream, strict=True))
    except OSError as error:
        raise InputMissingError(f"{path}: cannot be read ({error.strerror})") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not a readable table ({error}); run its stage again") from error
    header = rows[0] if rows else []
    if not header or "" in header or len(set(header)) < len(header) or any(map(_is_number, header)):
        raise DataError(f"{path}: the first line {','.join(header)!r:.60} is no header; run its stage again")
    for line, row in enumerate(rows[1:], start=2):
        if len(row) != len(header):
            raise DataError(f"{path}: row {line} has {len(row)} cells, its header {len(header)}; run its stage again")
    if len(rows) - 1 < least:
        raise DataError(f"{path}: has {len(rows) - 1} rows, expected at least {least}; run its stage again")
    return {name: [row[index] for row in rows[1:]] for index, name in enumerate(header)}


def check_table(path: Path, contract: Mapping[str, Column], least: int = 1) -> None:
    """Check a CSV result against its contract.

    Raises
    ------
    InputMissingError
        The file does not exist or cannot be opened.
    DataError
        It is not a table of these columns in this order, or a cell is of the wrong kind or out of range.
    """
    table = read_table(path, least)
    if list(table) != list(contract):
        missing, unknown = sorted(contract.keys() - table.keys()), sorted(table.keys() - contract.keys())
        raise DataError(
            f"{path}: missing columns {missing}, unknown columns {unknown} (or another order);"
            " written by another version?"
        )
    for name, column in contract.items():
        _check_cells(path, name, table[name], column)


def check_plot_table(path: Path) -> None:
    """Check the numbers behind a plot: every column holds finite numbers (or blanks) throughout, or words throughout.

    Raises
    ------
    InputMissingError
        The file does not exist or cannot be opened.
    DataError
        It is no such table, or a number is out of the range that the name of its column promises.
    """
    for name, cells in read_table(path).items():
        promised = next((column for pattern, column in PLOT_RANGES.items() if re.fullmatch(pattern, name)), None)
        if promised is None:
            promised = NUMBER if any(map(_is_number, cells)) else TEXT
        _check_cells(path, name, cells, Column(promised.kind, promised.low, promised.high, blank=True))


def _check_cells(path: Path, name: str, cells: Sequence[str], column: Column) -> None:
    for line, cell in enumerate(cells, start=2):
        if problem := _problem(cell, column):
            raise DataError(f"{path}: row {line}: '{name}' = {cell!r:.60} {problem}; run its stage again")


def _problem(cell: str, column: Column) -> str | None:
    if not cell:
        return None if column.blank else "is blank"
    if column.kind == "text":
        return None
    if not _is_number(cell) or not math.isfinite(float(cell)):
        return "is no finite number"
    value = float(cell)
    if column.kind == "count" and not value.is_integer():
        return "is no whole number"
    if column.low is not None and value < column.low:
        return f"is below the smallest legal value {column.low}"
    if column.high is not None and value > column.high:
        return f"is above the largest legal value {column.high}"
    return None


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
