"""Values -> models, with errors that name file, key, value and the nearest valid key."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, get_args

from pydantic import ValidationError

from snpoint.errors import ConfigError, shown
from snpoint.section import NUMBERS, WORD, Section

T = TypeVar("T", bound=Section)

SCIENTIFIC = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)[eE][+-]?\d+")
"""A number to everybody but YAML 1.1, which wants a dot and a sign (1.0e-3)."""


def validated(model: type[T], values: Mapping[str, Any], where: str) -> T:
    """Build a model.

    Raises
    ------
    ConfigError
        A key is unknown or missing, or a value does not fit.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise ConfigError(_message(model, error, where)) from error


def _message(model: type[Section], error: ValidationError, where: str) -> str:
    """All unknown keys, or the most telling problem, in one line (and how many more there are).

    A misspelt key is both unknown and missing under its right name: the unknown one tells more.
    """
    problems = error.errors()
    unknown = [problem for problem in problems if problem["type"] == "extra_forbidden"]
    missing = [problem for problem in problems if problem["type"] == "missing"]
    wrong = [problem for problem in problems if problem not in unknown and problem not in missing]
    told = unknown or wrong[:1] or missing
    text = "; ".join(_said(model, problem) for problem in told)
    more = len(problems) - len(told) - min(len(unknown), len(missing))
    return f"{where}: {text}" + (f" (and {more} more)" if more else "")


def _said(model: type[Section], problem: Mapping[str, Any]) -> str:
    """One problem, the key with its full name."""
    location = [str(part) for part in problem["loc"] if part not in (NUMBERS, WORD)]
    value = problem["input"]
    if inside := problem.get("ctx", {}).get("key"):
        # said of a section because of one of its keys
        location, value = [*location, inside], value[inside]
    key = ".".join(location)
    if problem["type"] == "extra_forbidden":
        return f"unknown key '{key}' = {shown(value)}; {nearest(location[-1], _keys(model, location[:-1]))}"
    if problem["type"] == "missing":
        return f"key '{key}' is missing"
    text = f"{key} = {shown(value)}: {problem['msg'][0].lower()}{problem['msg'][1:]}"
    if isinstance(value, str) and SCIENTIFIC.fullmatch(value):
        text += "; YAML read it as text: write 0.001 or 1.0e-3, without quotes"
    return text


def _keys(model: type[Section], location: Iterable[str]) -> list[str]:
    for part in location:
        below = _section(model.model_fields[part].annotation) if part in model.model_fields else None
        if below is None:
            return []
        model = below
    return list(model.model_fields)


def _section(annotation: object) -> type[Section] | None:
    """The section that a key holds, also where it may hold something else instead."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    return next(filter(None, map(_section, get_args(annotation))), None)


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint for a misspelt word: the closest known one, or all of them."""
    options = list(dict.fromkeys(known))
    close = difflib.get_close_matches(word, options, n=1, cutoff=0.5)
    return f"did you mean '{close[0]}'?" if close else f"known: {', '.join(options) or 'none'}"
