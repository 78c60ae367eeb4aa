"""One answer of a check: a line that says what was found and, where it is not as it should be, what to do."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from snpoint.errors import SnpointError

COMMAND_TIMEOUT_S = 20.0


@dataclass(frozen=True)
class Finding:
    """What one check found."""

    level: Literal["ok", "WARN", "FAIL"]
    name: str
    text: str
    remedy: str = ""

    def __str__(self) -> str:
        remedy = f"; {self.remedy}" if self.remedy else ""
        return f"{self.level:4s}  {self.name:12s}  {self.text}{remedy}"

    def as_json(self) -> dict[str, Any]:
        """The finding as an object."""
        return asdict(self)


def ok(name: str, text: str) -> Finding:
    """All is well."""
    return Finding("ok", name, text)


def warn(name: str, text: str, remedy: str) -> Finding:
    """It works, but not as it should, or it could not be looked at."""
    return Finding("WARN", name, text, remedy)


def fail(name: str, text: str, remedy: str) -> Finding:
    """A job would not work."""
    return Finding("FAIL", name, text, remedy)


def several(count: int, noun: str) -> str:
    """A number and what it counts: 1 job, 2 jobs."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def guarded(name: str, check: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """The findings of a check; an error in it is a finding, too."""
    try:
        return list(check())
    except SnpointError as error:
        return [fail(name, str(error), "")]
    except Exception as error:  # noqa: BLE001 -- one broken check must not hide the others
        return [fail(name, f"{type(error).__name__}: {error}".splitlines()[0][:300], "the check itself failed")]


def answer(*command: str) -> str | None:
    """What a command prints; None where it does not exist, fails, or does not come back."""
    return asked(*command)[0]


def asked(*command: str, timeout_s: float = COMMAND_TIMEOUT_S) -> tuple[str | None, str]:
    """What a command prints (None as for `answer`), and in one line why it has failed ("": it does not come back)."""
    if shutil.which(command[0]) is None:
        return None, f"the command {command[0]} does not exist here"
    try:
        result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout_s)
    except subprocess.TimeoutExpired as error:
        said = (error.stderr or b"").decode(errors="replace").strip().splitlines()[-1:]
        return None, f"{said[0][:200]} ({command[0]} does not come back)" if said else ""
    except OSError as error:
        return None, f"{command[0]}: {error.strerror}"
    if result.returncode == 0:
        return result.stdout, ""
    said = result.stderr.strip().splitlines()[-1:] or result.stdout.strip().splitlines()[:1] or ["no word"]
    return None, f"{said[0][:200]} ({command[0]} ends with {result.returncode})"
