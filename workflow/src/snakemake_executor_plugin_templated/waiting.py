"""Jobs that wait for a machine: when they are compared with the pool, and what is said about them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .bindings import guarded
from .ends import IDLE
from .eventlog import Life
from .outcome import Outcome
from .unmatched import Verdict, examine_all

# a job that no machine can ever run is told of while somebody may still be looking; for the rest comparing is not free.
# Patience of a few minutes only has the same steps, shorter
EARLY_S, EARLY_SHARE = 120.0, 0.25
PAUSE = 5
"""Between two early looks, over all jobs, as a multiple of the time before the first one: 10 minutes."""


class Waiting:
    """Jobs of a work directory that have not started yet.

    Parameters
    ----------
    patience_s : float
        A job that no machine can ever run is given up when it has waited so long.
    """

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._early_s = min(EARLY_S, EARLY_SHARE * patience_s)
        self._looked = 0.0
        # by job id: since when it waits, when it is looked at for good
        self._since: dict[str, float] = {}
        self._next: dict[str, float] = {}
        self._told: dict[str, set[str]] = {}

    def due(self, since: Mapping[str, float], now: float) -> list[str]:
        """Jobs to compare with the machines now.

        Parameters
        ----------
        since : mapping
            When each job that has never started came into the queue.
        now : float
            The time.
        """
        self._since |= since
        old = {job for job, begun in since.items() if now - begun > self._early_s}
        over = {job for job in old if now > self._next.get(job, since[job] + self._patience_s)}
        unseen = since.keys() - self._next.keys()
        if over or now - self._looked > PAUSE * self._early_s:
            # once the pool is asked, younger jobs cost nothing more, and their own look would come late
            return sorted(over | unseen if old & unseen else over)
        return []

    def look(
        self,
        due: Sequence[str],
        queue: Mapping[str, Any],
        slots_with: Callable[[str, Sequence[str]], Sequence[Any]],
        now: float,
    ) -> tuple[dict[str, Outcome], list[tuple[str, str]]]:
        """Compare jobs with the pool: those that are to be given up, and what is to be said about others.

        Parameters
        ----------
        due : sequence of str
            The jobs.
        queue : mapping
            Whole ads of what is in the queue, by id.
        slots_with : callable
            The collector's answer to a constraint and names of attributes.
        now : float
            The time.
        """
        if not due:
            return {}, []
        self._looked = now
        over = {job for job in due if now - self._since[job] > self._patience_s}
        # the collector may not answer: asked again after the pause
        self._next |= {job: now + PAUSE * self._early_s if job in over else self._end(job) for job in due}
        idle = {job: queue[job] for job in due if _never_started(queue.get(job))}
        with guarded("the pool's machines cannot be compared with what the jobs ask for"):
            verdicts = examine_all(idle, slots_with)
        never = {job: found.reason for job, found in verdicts.items() if found.never and job in over}
        given_up = {job: Outcome("never_matched", reason) for job, reason in never.items()}
        # a job that cannot be removed now is given up again after the pause
        self._next |= dict.fromkeys(over - never.keys(), now + self._patience_s)
        return given_up, [
            (job, self._note(job, found))
            for job, found in verdicts.items()
            if job not in given_up and self._first(job, "never" if found.never else "waits")
        ]

    def _end(self, job: str) -> float:
        return self._since[job] + self._patience_s

    def _note(self, job: str, found: Verdict) -> str:
        if not found.never:
            return found.reason
        until = time.strftime("%H:%M", time.localtime(self._end(job)))
        return f"no machine of the pool can run it: {found.reason}; given up at {until} unless one comes"

    def evictions(self, lives: Mapping[str, Life], ended: Mapping[str, Outcome]) -> list[tuple[str, str]]:
        """What is to be said about jobs that lost their machine."""
        notes = []
        for job, life in lives.items():
            if job in ended or not life.evictions:
                continue
            # the log may have been read between an eviction and the hold that follows at once: told one poll later
            fresh = self._first(job, f"seen {life.evictions}") and not life.running
            if not fresh and self._first(job, f"eviction {life.evictions}"):
                state = f"runs again (start {life.starts})" if life.running else "waits to run again"
                notes.append((job, f"evicted, {state}"))
        return notes

    def _first(self, job: str, what: str) -> bool:
        told = self._told.setdefault(job, set())
        new = what not in told
        told.add(what)
        return new


def _never_started(ad: Any) -> bool:
    return ad is not None and ad.get("JobStatus") == IDLE and not ad.get("NumJobStarts")
