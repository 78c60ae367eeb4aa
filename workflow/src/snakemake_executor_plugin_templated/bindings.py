"""HTCondor's Python bindings: what they raise, and what they can check before anything is submitted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .backend import BackendError

# submit commands whose value is a ClassAd expression
_EXPRESSIONS = ("requirements", "require_gpus", "rank", "periodic_", "on_exit_", "max_job_retirement_time", "my.")


@contextmanager
def guarded(what: str) -> Iterator[None]:
    """The bindings raise several unrelated classes; the executor knows one."""
    try:
        yield
    except BackendError:
        raise
    except Exception as error:
        raise BackendError(f"{what}: {' '.join(str(error).split())}") from error


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
