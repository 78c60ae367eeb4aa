"""What a table was made from: input files, background laid over, agreement of the truth methods.

The record travels in the files themselves, from the TPs to the card of a dataset::

    {"files": [{"name", "sha256", "size", "production", "tree", "n_events", "n_tps", "lowest_adc_peak", "problem"}],
     "background": [the same of the files that were laid over],
     "truth": the methods of truth matching that were used, such as "backtracker, none"; absent without any TP,
     "overlay": {"events", "with_background", "pool_events", "pool_duplicates", "noise_tps_dropped"},
     "comparison": {"simide": {"U": {"bt", "found", "both"}, "V": ..., "X": ...}, "predecessor": ...}}

``problem`` is null, or why the file was left out; ``overlay`` and ``comparison`` are absent where there was none. A
file whose interactions were given by the settings has ``forced``, too: ``{"as": "CC", "ES": n, "CC": n}``, the number
of events of each kind by its truth tables.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from snpoint.errors import DataError
from snpoint.provenance import fingerprint

Sources = dict[str, Any]

PLANES = ("U", "V", "X")
UNNAMED = "unnamed"

_ENDINGS = re.compile(r"(_tpstream)?\.root$", re.IGNORECASE)
_PASSING = re.compile(
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"  # UUID
    r"|(?<!\d)\d{8}[T_-]?\d{6}(\.?\d+)?Z?(?!\d)"  # date and time
    r"|\d{3,}",  # run, file and process numbers, also as run8106
    re.IGNORECASE,
)
"""What differs between the files of a production."""
_MONTH = (
    r"(jan(uary)?|feb(ruary)?|mar(ch)?|apr(il)?|may|june?|july?|aug(ust)?|sept?(ember)?|oct(ober)?|nov(ember)?"
    r"|dec(ember)?)"
)
_DATED = re.compile(
    rf"(?<![a-z]){_MONTH}[-_]?(20\d\d|\d{{1,2}})(?!\d)"  # nov10, nov_2025
    rf"|(?<![a-z\d])(20\d\d|\d{{1,2}})[-_]?{_MONTH}(?![a-z])"  # 10nov, 2025-nov
    r"|(?<!\d)20\d\d(0[1-9]|1[0-2])([0-2]\d|3[01])(?!\d)"  # 20251110
    r"|(?<!\d)20\d\d[-_.](0[1-9]|1[0-2])([-_.]([0-2]\d|3[01]))?(?!\d)"  # 2025-11-10, 2025-11
    r"|(?<![a-z\d])v\d{1,3}(?![a-z\d])",  # v2, prod_v2
    re.IGNORECASE,
)
"""What the name of a folder has that holds one production of several: a date, a month, or a version."""
_SEPARATORS = re.compile(r"[_\-.\s]+")


def production_tag(path: str | Path, declared: str | None = None, layout: str = "", version: int | None = None) -> str:
    """Name of the production that a file is of; files that differ in it are not mixed unawares.

    Parameters
    ----------
    path
        The file. Its name without times and running numbers is the tag, and so are the names of all folders above it
        that bear a date or a version: the same name in two productions is told apart by nothing else.
    declared
        The tag, if the configuration gives one.
    layout
        Geometry in the name of the tree of TPs.
    version
        Version of the TPs' format.

    Examples
    --------
    >>> production_tag("nov10/prodmarley_flat_es_1x2x2_20251110T120000Z_000017_tpstream.root", layout="1x2x2")
    'nov10/prodmarley_flat_es_1x2x2:1x2x2'
    >>> production_tag("/eos/prod_es_v2/nov10/000/prod_es_000017_tpstream.root")
    'prod_es_v2/nov10/prod_es'
    """
    if declared is not None:
        return declared
    file = Path(path)
    name = _PASSING.sub("_", _ENDINGS.sub("", file.name))
    words = [word for word in _SEPARATORS.split(name) if word and not word.isdecimal()]
    folders = [folder for folder in file.parts[:-1] if _DATED.search(folder)]
    tag = "/".join([*folders, "_".join(words) or UNNAMED])
    return tag + (f":{layout}" if layout else "") + (f":v{version}" if version is not None else "")


def file_record(path: Path) -> dict[str, Any]:
    """Record of a file of which only the content as a whole is known.

    Raises
    ------
    InputMissingError
        The file does not exist or cannot be opened.
    """
    found = fingerprint(path)
    record: dict[str, Any] = {"name": path.name, "sha256": found["sha256"], "size": found["bytes"]}
    record |= {"production": None, "tree": None, "n_events": 0, "n_tps": 0}
    record |= {"lowest_adc_peak": dict.fromkeys(PLANES), "problem": None}
    return record


def check_sha256(path: Path, found: str, expected: Mapping[str, str]) -> None:
    """Check that a file is the one that is meant, where the sample names its checksum.

    Parameters
    ----------
    path
        The file.
    found
        Its checksum.
    expected
        End of a path (``run1/a_tpstream.root``, or the bare name) -> checksum. Of several that fit the longest counts.

    Raises
    ------
    DataError
        It is another one.
    """
    keys = [key for key in expected if ends_with(path, key)]
    if not keys:
        return
    wanted = expected[max(keys, key=lambda key: len(Path(key).parts))]
    if found != wanted.lower():
        raise DataError(
            f"{path}: sha256 is {found}, but match.sha256 names {wanted}; copy the file again, or correct the sample"
        )


def ends_with(path: Path, end: str) -> bool:
    """Whether a path ends with these components."""
    wanted = Path(end).parts
    return bool(wanted) and path.absolute().parts[-len(wanted) :] == wanted


def add_lowest_adc(record: Mapping[str, Any], plane: npt.NDArray[np.uint8], adc_peak: npt.NDArray[np.uint16]) -> None:
    """Note the smallest peak on each plane, which shows the thresholds that the TPs were found with."""
    lowest = record["lowest_adc_peak"]
    for number, name in enumerate(PLANES):
        peaks = adc_peak[plane == number]
        if len(peaks):
            lowest[name] = min(int(peaks.min()), lowest[name] if lowest[name] is not None else np.iinfo(np.int64).max)


def add_counts(total: dict[str, Any], counts: Mapping[str, Any]) -> dict[str, Any]:
    """Add numbers of the same keys in nested mappings; returns the sum and leaves both as they are."""
    result = dict(total)
    for key, value in counts.items():
        if isinstance(value, Mapping):
            result[key] = add_counts(result.get(key, {}), value)
        else:
            result[key] = result.get(key, 0) + value
    return result


def merge_sources(parts: Iterable[Mapping[str, Any]]) -> Sources:
    """Join the records of several tables: files in their order, counts added up."""
    parts = list(parts)
    merged: Sources = {key: [file for part in parts for file in part.get(key, [])] for key in ("files", "background")}
    for key in ("overlay", "comparison"):
        found = [part[key] for part in parts if key in part]
        if found:
            total: dict[str, Any] = {}
            for counts in found:
                total = add_counts(total, counts)
            merged[key] = total
    return merged | {"truth": joined_truth(part["truth"] for part in parts if "truth" in part) or "none"}


def joined_truth(methods: Iterable[str]) -> str:
    """Each method once, in their order: ``backtracker, none``."""
    return ", ".join(dict.fromkeys(word for methods_of_part in methods for word in methods_of_part.split(", ")))
