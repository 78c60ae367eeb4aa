"""Problems of a dataset that the records of its input files show."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import date
from typing import Any

Card = Mapping[str, Any]
Problem = tuple[str, str, str]

_ONE_PRODUCTION_DAYS = 7
"""Files of one production may be made over so many days before a reader is asked."""
_UTC = re.compile(r"(?<!\d)(20\d\d)(\d\d)(\d\d)[T_-]?\d{6}(?!\d)")
"""Date with a time of day, such as ``20251110T123456Z``."""


def forced_interactions(card: Card) -> Iterator[Problem]:
    """Interactions that the settings gave to files whose truth tables say something else."""
    forced = [file["forced"] for file in card["files"] if file.get("forced")]
    for kind, other in (("ES", "CC"), ("CC", "ES")):
        own = [counts for counts in forced if counts["as"] == kind and counts[other]]
        if own:
            n, total = (sum(counts[key] for counts in own for key in keys) for keys in ((other,), ("ES", "CC")))
            yield (
                "warning",
                "interaction",
                f"match.interaction makes all interactions {kind}, but by the truth tables of {len(own):,} files {n:,} "
                f"of {total:,} are {other}.",
            )


def dates_of_productions(card: Card) -> Iterator[Problem]:
    """One tag for files made weeks apart may hide two productions of one name."""
    dates: dict[str, list[tuple[date, str]]] = {}
    for file in card["files"]:
        day = None if file.get("problem") else _date(file["name"])
        if day is not None:
            dates.setdefault(str(file["production"]), []).append((day, file["name"]))
    for tag, found in dates.items():
        first, last = min(found), max(found)
        if (last[0] - first[0]).days > _ONE_PRODUCTION_DAYS:
            yield (
                "note",
                "productions",
                f"Files of '{tag}' were made from {first[0]} to {last[0]}, by their names such as {first[1]} and "
                f"{last[1]}: are they one production?",
            )


def _date(name: str) -> date | None:
    """First date with a time of day in a name, such as ``20251110T123456Z``."""
    for found in _UTC.finditer(name):
        with suppress(ValueError):
            return date(*(int(part) for part in found.groups()))
    return None
