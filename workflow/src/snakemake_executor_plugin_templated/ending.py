"""What is done with the end of a job: written down, judged, put into words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from snpoint.journal import Journal, attempts

from .messages import error_message
from .outcome import Outcome, refined
from .payload import read_record
from .retries import SEGMENTS, decide

if TYPE_CHECKING:
    from snakemake.jobs import Job


@dataclass(frozen=True)
class End:
    """An end that is written down."""

    outcome: Outcome
    again: bool
    """Whether the job is tried again."""
    message: str
    stdout: str


class Ends:
    """Settles the ends of jobs.

    Parameters
    ----------
    journal : Journal
        The journal of the work directory.
    ceiling_mb : int, optional
        The most memory that the site gives to a job.
    """

    def __init__(self, journal: Journal, ceiling_mb: int | None) -> None:
        self._journal = journal
        self._ceiling_mb = ceiling_mb

    def settle(self, key: str, outcome: Outcome, logs: Sequence[Path]) -> End:
        """Write an end down and say what follows from it.

        Parameters
        ----------
        key : str
            The submission.
        outcome : Outcome
            What the batch system says.
        logs : sequence of Path
            The job's own logs; their ends are shown.

        Raises
        ------
        snpoint.errors.OutputError
            The journal cannot be written; nothing has happened then.
        """
        entry = self._journal.entries[key]
        outcome = refined(outcome, read_record(entry.record) or {})
        self._journal.ended(key, outcome.as_json())
        if outcome.ok:
            return End(outcome, False, "", entry.stdout)
        past = self._journal.of(entry.target)
        decision = decide(outcome, past, ceiling_mb=self._ceiling_mb, max_segments=entry.max_segments or SEGMENTS)
        message = error_message(
            outcome,
            decided=decision.why,
            again=decision.again,
            submit=entry.submit,
            logs=[*logs, Path(entry.stdout)],
            attempt=attempts(past),
        )
        return End(outcome, decision.again, message, entry.stdout)


def veto(job: Job) -> None:
    """Keep Snakemake from trying a job again by itself."""
    job.attempt = job.restart_times + 1
