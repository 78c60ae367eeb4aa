"""What the executor needs from a batch system: submit a file, ask once about all jobs, find jobs again, remove jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from .outcome import Outcome


class BackendError(Exception):
    """The batch system refused something or could not be asked."""


class BusyError(BackendError):
    """A submission was refused for now (a limit on queued jobs, no answer) and is certainly not in the queue."""


class UnclearError(BackendError):
    """A submission was not answered, and the batch system cannot be asked whether it is in the queue."""


@dataclass(frozen=True)
class Place:
    """The work directory whose jobs a backend looks after.

    Parameters
    ----------
    token : str
        Constant per work directory; every job carries it, so that all of them are found with one query.
    event_log : Path
        HTCondor: the one user log of the work directory.
    unmatched_after_s : float
        A job that waits longer is looked at: is there any machine that could run it?
    queue : str
        Name of the schedd or cluster that has jobs of the work directory, which is then used for everything; empty: the
        one that the machine's configuration names. A login node may name another one tomorrow.
    query_every_s : float
        HTCondor: polls read the event log; the schedd, where the log does not tell, is asked no more often than this.
    """

    token: str
    event_log: Path
    unmatched_after_s: float = 1800.0
    queue: str = ""
    query_every_s: float = 0.0


@dataclass(frozen=True)
class Poll:
    """The answer to one poll."""

    outcomes: Mapping[str, Outcome]
    """By job id, of the ended ones only."""
    notes: Sequence[tuple[str, str]] = ()
    """(job id, what happened to it without ending it): evicted and waiting again, busy pool."""


@dataclass(frozen=True)
class Found:
    """A job of this work directory that the batch system knows."""

    key: str
    id: str
    outcome: Outcome | None = None
    """None while it waits or runs."""


class Backend(Protocol):
    """A batch system, as one work directory uses it. Every method may raise BackendError."""

    send_credential: bool
    queries: int
    """How many times the batch system was asked about jobs."""

    @property
    def queue_name(self) -> str:
        """Name of the schedd or cluster that takes the submissions."""

    @property
    def removal_command(self) -> str:
        """What a user types to remove all jobs of the work directory."""

    def submit(self, path: Path, text: str, key: str) -> str:
        """Submit the rendered ``text`` (also in the file ``path``) and return the job's id.

        The job carries the work directory's token and ``key``, unique to this submission. Where no answer comes, the
        job is looked for by its key.

        Raises
        ------
        BusyError
            Not now; trying later may help.
        UnclearError
            Nobody knows whether the job is in the queue.
        BackendError
            Refused for good.
        """

    def poll(self, ids: Sequence[str]) -> Poll:
        """Ask at most once about all jobs. Held and never matching ones are removed from the queue and have ended."""

    def find(self, known: Mapping[str, str | None]) -> Mapping[str, Found]:
        """All live jobs of the work directory, by key, and those of ``known`` (key -> id, if recorded) that ended.

        Called once, when a pipeline starts again. A key that does not come back was never submitted, or is forgotten.
        """

    def cancel(self, ids: Sequence[str]) -> None:
        """Remove jobs from the queue, in one call."""
