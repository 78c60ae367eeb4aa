"""Finding the jobs that an earlier pipeline of this work directory has left in the queue."""

from __future__ import annotations

import os
import socket
import time
from typing import Any

from snakemake_interface_common.exceptions import WorkflowError

from snpoint import lock
from snpoint.journal import Entry, Journal

from .backend import Backend, BackendError, Found
from .outcome import Outcome, refined
from .payload import read_record

GONE_WITHIN_S = 90.0


class Reattachment:
    """What became of the submissions whose end nobody has acted upon.

    Asks the batch system once, when the pipeline starts, and only if there are any.

    Raises
    ------
    WorkflowError
        The batch system could not be asked: going on might submit jobs twice.
    """

    def __init__(self, journal: Journal, backend: Backend, system: str, logger: Any) -> None:
        self._journal = journal
        self._backend = backend
        self._logger = logger
        self._entries = {
            entry.target: entry for entry in journal.open_entries() if entry.system == system and not _at_work(entry)
        }
        others = [entry for entry in journal.open_entries() if entry.system != system]
        if others:
            logger.warning(
                f"{len(others)} jobs of this folder were submitted to {others[0].system} and may still be there"
                f" ({others[0].name}, id {others[0].id})"
            )
        self._found: dict[str, Found] = {}
        if not self._entries:
            return
        try:
            self._found = dict(backend.find({entry.key: entry.id for entry in self._entries.values()}))
        except BackendError as error:
            raise WorkflowError(
                f"{len(self._entries)} jobs of an earlier run may be in the queue, and {system} cannot be asked"
                f" ({error}); nothing is submitted, or it would run twice. Try again when it answers"
            ) from error
        live = [entry for entry in self._entries.values() if self._live(entry)]
        if live:
            logger.info(f"{len(live)} jobs of an earlier run are still in the queue of {system}.")
        self._settle()

    def _settle(self) -> None:
        """Write down the ids that a crash has kept from being written, and close what was never submitted."""
        for entry in list(self._entries.values()):
            found = self._found.get(entry.key)
            if found is not None and entry.id is None:
                self._journal.submitted(entry.key, found.id)
                self._entries[entry.target] = self._journal.entries[entry.key]
            elif found is None and entry.id is None:
                self._close(entry, Outcome("removed", "never submitted"))

    def take(self, target: str, digest: str) -> tuple[Entry, Outcome | None] | None:
        """The submission to go on with for an output, and its end if it has ended; None where a new one is needed.

        A job in the queue that does the same work is waited for; one that does other work is removed first. What ended
        meanwhile counts, unless the end says nothing about the work.

        Raises
        ------
        BackendError
            The outdated job could not be removed.
        """
        entry = self._entries.pop(target, None)
        if entry is None:
            return None
        if self._live(entry):
            if entry.digest == digest:
                return entry, None
            self._remove(entry)
            return None
        outcome = self._outcome(entry)
        if entry.digest != digest or outcome.kind in ("removed", "held", "vanished", "never_matched"):
            self._close(entry, outcome)
            return None
        return entry, outcome

    def left(self) -> list[Entry]:
        """Jobs in the queue that nobody has asked for yet."""
        return [entry for entry in self._entries.values() if self._live(entry)]

    def _live(self, entry: Entry) -> bool:
        found = self._found.get(entry.key)
        return found is not None and found.outcome is None

    def _outcome(self, entry: Entry) -> Outcome:
        found = self._found.get(entry.key)
        if found is not None and found.outcome is not None:
            return refined(found.outcome, read_record(entry.record) or {})
        vanished = Outcome("vanished", "neither in the queue nor remembered by the batch system")
        return refined(vanished, read_record(entry.record) or {})

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
        self._close(entry, Outcome("removed", "by the pipeline: settings or inputs have changed"))

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
