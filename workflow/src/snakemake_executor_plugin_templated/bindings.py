"""HTCondor's Python bindings: what they raise, what they can check beforehand, and what a failed submission means."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from .backend import BackendError

# submit commands whose value is a ClassAd expression
_EXPRESSIONS = ("requirements", "require_gpus", "rank", "periodic_", "on_exit_", "max_job_retirement_time", "my.")

# limits on the number of jobs: MAX_JOBS_SUBMITTED, MAX_JOBS_PER_OWNER, or a site's own words in a submit requirement
_FULL = re.compile(r"MAX_JOBS_|number of (\w+ )?jobs|too many (\w+ )?jobs", re.IGNORECASE)

# the number that the schedd gives a new job instead of its place: -2 to -4 are the limits on the number of jobs, -5 and
# -6 a user who is disabled or unknown, -10 an error of its own, -1 anything, also that the connection broke
_NUMBER = re.compile(r"Schedd says (-\d+)")
_FOR_GOOD = ("-5", "-6", "-10")

# nothing was submitted yet
_BEFORE = re.compile("Failed to connect to|Failed to create new cluster|Schedd says -|Unable to connect")

# made here, and never sent
_LOCAL = re.compile(
    "Failed to create (a cluster|job) ad|invalid Queue statement|Failed to store the Kerberos credential"
)

# "SCHEDD:2:words": said by the schedd itself
_SAID = re.compile(r"SCHEDD:\d+:")


@contextmanager
def guarded(what: str) -> Iterator[None]:
    """The bindings raise several unrelated classes; the executor knows one."""
    try:
        yield
    except BackendError:
        raise
    except Exception as error:
        raise BackendError(f"{what}: {one_line(str(error))}") from error


def one_line(text: str) -> str:
    """A message as one line."""
    return " ".join(text.split())


def meaning(said: str) -> Literal["not now", "no answer", "refused"]:
    """What it means that a submission failed with these words of the bindings."""
    number = _NUMBER.search(said)
    if _LOCAL.search(said) or (number and number[1] in _FOR_GOOD):
        return "refused"
    if _FULL.search(said):
        return "not now"
    if _SAID.search(said):
        return "refused"
    return "not now" if _BEFORE.search(said) else "no answer"


def check_expressions(description: Any, path: Path) -> None:
    """Refuse an expression that is none, by the name of its line."""
    import classad2

    for name, value in description.items():
        if not name.lower().startswith(_EXPRESSIONS) or "$(" in value or "$$" in value:
            continue
        try:
            classad2.ExprTree(value)
        except Exception as error:
            raise BackendError(
                f"{path}: {name} = {value} is not a ClassAd expression: look at brackets, quotes and operators"
            ) from error
