"""Which input files may make up one dataset: their productions, broken ones, and files listed twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from snpoint.errors import DataError

File = Mapping[str, Any]
Json = dict[str, Any]

STAND_IN = "stand_in:"
"""How the tag of a sample begins that was simulated in place of files that are not there."""
_MOST_NAMES = 3


def productions(files: Sequence[File]) -> list[Json]:
    """One entry per production tag of the files that could be read: tag, number of files, events, and a few names."""
    found: dict[str, Json] = {}
    for file in files:
        if file.get("problem"):
            continue
        entry = found.setdefault(str(file["production"]), {"files": 0, "events": 0, "examples": []})
        entry["files"] += 1
        entry["events"] += int(file.get("n_events") or 0)
        if len(entry["examples"]) < _MOST_NAMES:
            entry["examples"].append(file["name"])
    return [{"tag": tag, **found[tag]} for tag in sorted(found)]


def check_productions(found: Sequence[Json], declared: Sequence[str], where: object) -> None:
    """Check that files of several productions are mixed only where that was asked for.

    Parameters
    ----------
    found
        As of `productions`.
    declared
        Productions that may be mixed: their tags, or patterns (``*`` stands for anything) that fit one tag each, so
        that a pattern lets no second production in. Empty: one tag alone, whatever it is.
    where
        What the message begins with.

    Raises
    ------
    DataError
        There are several tags and none is declared, a tag fits no declared pattern, or several fit the same.
    """
    if declared:
        strange = [entry for entry in found if not any(fnmatchcase(entry["tag"], pattern) for pattern in declared)]
        if strange:
            raise DataError(
                f"{where}: files of productions that dataset.productions {list(declared)} does not name: "
                f"{_listed(strange)}; take them off the samples, or add their tags"
            )
        _check_one_each(found, declared, where)
    elif len(found) > 1:
        raise DataError(
            f"{where}: files of {len(found)} productions are mixed: {_listed(found)}; take one of them off the "
            "samples, or name all in dataset.productions; an import takes all files for one with --production TAG"
        )


def _check_one_each(found: Sequence[Json], declared: Sequence[str], where: object) -> None:
    for pattern in declared:
        own = [entry for entry in found if fnmatchcase(entry["tag"], pattern)]
        if len(own) > 1:
            raise DataError(
                f"{where}: '{pattern}' in dataset.productions fits {len(own)} productions: {_listed(own)}; take one "
                "of them off the samples, or name each by a pattern of its own"
            )


def check_broken(files: Sequence[File], max_quarantined: float, where: object, kind: str = "input") -> None:
    """Check that not too many files are broken.

    Parameters
    ----------
    files
        Records of all files of a kind.
    max_quarantined
        Share of them that may be broken.
    where, kind
        What the message begins with, and what it calls the files.

    Raises
    ------
    DataError
        More of them are.
    """
    broken = [file for file in files if file.get("problem")]
    if len(broken) > max_quarantined * len(files):
        shown = "; ".join(f"{file['name']} ({file['problem']})" for file in broken[:_MOST_NAMES])
        raise DataError(
            f"{where}: {len(broken)} of {len(files)} {kind} files are broken, more than dataset.max_quarantined = "
            f"{max_quarantined:g} allows: {shown}; copy them again, take them off the samples, or raise the limit"
        )


def check_contents(files: Sequence[File], where: object) -> None:
    """Check that no file was read twice, under another name or from another folder.

    Raises
    ------
    DataError
        Two files have the same checksum.
    """
    known: dict[str, File] = {}
    for file in files:
        # a file without events may well look like another one
        if file.get("problem") or not file.get("sha256") or not file.get("n_events"):
            continue
        first = known.setdefault(file["sha256"], file)
        if first is not file:
            names = [f"{entry['name']} ('{entry['production']}')" for entry in (first, file)]
            raise DataError(
                f"{where}: {' and '.join(names)} have the same content; take one of them off the samples (exclude:), "
                "or out of the files of the import"
            )


def _listed(found: Sequence[Json]) -> str:
    return ", ".join(f"'{entry['tag']}' ({entry['files']} files such as {entry['examples'][0]})" for entry in found)
