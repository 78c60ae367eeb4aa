"""What the executor needs from a batch system: submit one file, ask once about all jobs, remove jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class BackendError(Exception):
    """The batch system refused something or could not be asked."""


@dataclass(frozen=True)
class Outcome:
    """How a job ended: ``reason`` is empty for a success."""

    reason: str = ""

    @property
    def ok(self) -> bool:
        """Whether the job's command ended with exit code 0."""
        return not self.reason


class Backend(Protocol):
    """A batch system."""

    send_credential: bool

    def submit(self, path: Path, text: str) -> str:
        """Submit the rendered ``text`` (also in the file ``path``) and return the job's id."""

    def poll(self, ids: Sequence[str]) -> Mapping[str, Outcome]:
        """Ask once about all jobs; the ended ones come back with their outcome, the others not at all."""

    def cancel(self, ids: Sequence[str]) -> None:
        """Remove jobs from the queue, in one call."""


def exit_reason(code: int, signal: int) -> str:
    """Reason of an end with this exit code or signal; empty for exit code 0."""
    if signal:
        return f"killed by signal {signal}"
    return f"exit code {code}" if code else ""
