"""Finding the jobs that an earlier pipeline of this work directory has left in the queue."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from snakemake_interface_common.exceptions import WorkflowError

from snpoint import lock, memory
from snpoint.journal import BY_PIPELINE, Entry, Journal

from .backend import Backend, BackendError, Found
from .outcome import Outcome, refined
from .payload import read_record

GONE_WITHIN_S = 90.0

LATE_S = 60.0
"""A submission outlives a driver that is killed, and may be this late where the batch system is slow."""

ALIVE_WITHIN_S = 900.0
"""A job writes its record every few minutes; with a younger one it is at work, whatever the batch system says."""


def left_behind(journal: Journal, system: str) -> list[Entry]:
    """Submissions to a batch system whose end nobody has acted upon, and whose pipeline is gone."""
    return [entry for entry in journal.open_entries() if entry.system == system and not _at_work(entry)]


def queue_of(entries: Collection[Entry]) -> str:
    """Name of the queue that has the jobs.

    Raises
    ------
    WorkflowError
        Several have.
    """
    queues = sorted({entry.queue for entry in entries if entry.queue})
    if len(queues) > 1:
        raise WorkflowError(
            f"jobs of this folder are in the queues of {' and '.join(queues)}: remove those of all but one, or let them"
            " end"
        )
    return queues[0] if queues else ""


class Reattachment:
    """What became of the submissions whose end nobody has acted upon.

    Asks the batch system once, when the pipeline starts, and only if there are any.

    Parameters
    ----------
    journal : Journal
        The journal of the work directory.
    backend : Backend
        Where the jobs are.
    system : str
        Its name.
    wanted : collection of str
        Targets of this run. Jobs for others are left alone: they may belong to a pipeline on another machine.
    logger
        Snakemake's.

    Raises
    ------
    WorkflowError
        The batch system could not be asked: going on might submit jobs twice.
    """

    def __init__(self, journal: Journal, backend: Backend, system: str, wanted: Collection[str], logger: Any) -> None:
        self._journal = journal
        self._backend = backend
        self._system = system
        self._logger = logger
        self._entries = {entry.target: entry for entry in left_behind(journal, system)}
        self._found: dict[str, Found] = {}
        if not self._entries:
            return
        try:
            self._found = self._find()
        except BackendError as error:
            raise WorkflowError(
                f"{len(self._entries)} jobs of an earlier run may be in the queue, and {system} cannot be asked"
                f" ({error}); nothing is submitted, or it would run twice. Try again when it answers"
            ) from error
        self._settle()
        self._say(wanted)
        self._entries = {target: entry for target, entry in self._entries.items() if target in wanted}

    def _find(self) -> dict[str, Found]:
        """Ask for all jobs; once more if a submission is so young that it may still be on its way."""
        known = {entry.key: entry.id for entry in self._entries.values()}
        found = dict(self._backend.find(known))
        young = [
            left
            for entry in self._entries.values()
            if entry.id is None and entry.key not in found and (left := LATE_S - _age_s(entry.intended)) > 0
        ]
        if young:
            self._logger.info(f"{len(young)} jobs may be on their way to {self._system}: waiting {max(young):.0f} s.")
            time.sleep(max(young))
            found = dict(self._backend.find(known))
        return found

    def _settle(self) -> None:
        """Write down ids that a crash has kept from being written; close what was never submitted or is forgotten."""
        for entry in list(self._entries.values()):
            found, record = self._found.get(entry.key), read_record(entry.record)
            known = found.id if found else str((record or {}).get("job_id", "")).partition(".")[0]
            if entry.id is None and known:
                self._journal.submitted(entry.key, known)
                self._entries[entry.target] = self._journal.entries[entry.key]
            elif entry.id is None:
                self._close(entry, Outcome("removed", f"{BY_PIPELINE}: never submitted"))
            elif found is None and record is None:
                self._close(entry, Outcome("vanished", "neither in the queue nor remembered by the batch system"))

    def _say(self, wanted: Collection[str]) -> None:
        live = [entry for entry in self._entries.values() if self._live(entry)]
        others = [f"{entry.name} ({entry.id})" for entry in live if entry.target not in wanted]
        if len(live) > len(others):
            self._logger.info(f"{len(live) - len(others)} jobs of an earlier run are in the queue of {self._system}.")
        if others:
            more = f" and {len(others) - 5} more" if len(others) > 5 else ""
            self._logger.warning(
                f"{len(others)} jobs that this run does not need are in the queue of {self._system}, too, and are left"
                f" there: {', '.join(others[:5])}{more}"
            )

    def take(self, target: str, digest: str) -> tuple[Entry, Outcome | None] | None:
        """The submission to go on with for an output, and its end if it has ended; None where a new one is needed.

        A job in the queue that does the same work is waited for; one that does other work is removed first. What ended
        meanwhile counts, unless the end says nothing about the work.

        Raises
        ------
        BackendError
            The outdated job could not be removed, or the job is at work where the batch system does not see it.
        """
        entry = self._entries.get(target)
        if entry is None:
            return None
        if self._live(entry):
            if entry.digest != digest:
                self._remove(entry)
                return None
            del self._entries[target]
            return entry, None
        outcome = self._outcome(entry)
        if entry.digest != digest or outcome.kind in ("removed", "held", "vanished", "never_matched"):
            self._close(entry, outcome)
            return None
        del self._entries[target]
        return entry, outcome

    def finished(self, target: str, digest: str, outputs: Collection[str]) -> bool:
        """Whether the last job did this work well, and the pipeline was stopped before Snakemake took note of it."""
        last = next(iter(reversed(self._journal.of(target))), None)
        ended_well = last is not None and last.digest == digest and (last.outcome or {}).get("kind") == "completed"
        return ended_well and all(os.path.lexists(path) and memory.is_incomplete(path) for path in outputs)

    def left(self) -> list[Entry]:
        """Jobs in the queue that this run will want and has not asked for yet."""
        return [entry for entry in self._entries.values() if self._live(entry)]

    def _live(self, entry: Entry) -> bool:
        found = self._found.get(entry.key)
        return found is not None and found.outcome is None

    def _outcome(self, entry: Entry) -> Outcome:
        found, record = self._found.get(entry.key), read_record(entry.record) or {}
        vanished = Outcome("vanished", "neither in the queue nor remembered by the batch system")
        outcome = refined(found.outcome if found and found.outcome else vanished, record)
        if outcome.kind == "vanished" and (age := _last_sign_of_life_s(record)) < ALIVE_WITHIN_S:
            raise BackendError(
                f"job {entry.id} ({entry.name}) is at work on {record.get('node')}, by its own sign of life {age:.0f} s"
                f" ago, but {entry.queue or self._system} does not know it; nothing is submitted, or it would run"
                " twice. Start again when it has ended"
            )
        return outcome

    def _remove(self, entry: Entry) -> None:
        """Remove an outdated job and wait until it is gone: it must not write over its successor's results."""
        self._logger.info(f"Job {entry.id} ({entry.name}) does what is not wanted any more: it is removed first.")
        self._backend.cancel([str(entry.id)])
        deadline = time.monotonic() + GONE_WITHIN_S
        while (found := self._backend.find({entry.key: entry.id}).get(entry.key)) and found.outcome is None:
            if time.monotonic() > deadline:
                raise BackendError(
                    f"job {entry.id} does outdated work and is still in the queue, {GONE_WITHIN_S:.0f} s after its"
                    " removal"
                )
            time.sleep(1)
        self._close(entry, Outcome("removed", f"{BY_PIPELINE}: settings or inputs have changed"))

    def _close(self, entry: Entry, outcome: Outcome) -> None:
        self._journal.ended(entry.key, outcome.as_json())
        self._entries.pop(entry.target, None)


def driver() -> str:
    """The name of the running process, by which a later one can tell whether it is still there."""
    return f"{socket.gethostname()}:{os.getpid()}:{lock.process_start(os.getpid())}"


def _at_work(entry: Entry) -> bool:
    """Whether the pipeline that submitted a job is still there: another one, with other targets, in this folder."""
    host, pid, start = [*entry.driver.split(":"), "", ""][:3]
    return host == socket.gethostname() and pid.isdigit() and str(lock.process_start(int(pid))) == start


def _last_sign_of_life_s(record: dict[str, Any]) -> float:
    return _age_s(record.get("heartbeat"))


def _age_s(moment: Any) -> float:
    try:
        return (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()
    except (ValueError, TypeError):
        return float("inf")
