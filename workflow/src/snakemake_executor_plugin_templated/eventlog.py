"""HTCondor's user log of a work directory: what became of each job, read as it grows and without asking the schedd."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .ends import hold, machine, removal
from .outcome import Outcome, ended

# ULogEventNumber
SUBMITTED, STARTED, EVICTED, TERMINATED, SHADOW_FAILED, REMOVED, HELD, RELEASED = 0, 1, 4, 5, 7, 9, 12, 13
RECONNECT_FAILED = 24


@dataclass
class Life:
    """What the log tells about one job."""

    key: str
    """Notes of the submission."""
    id: str
    waiting_since: float
    """Time of the event that put it into the queue, or back."""
    heard: float = field(default_factory=time.monotonic)
    """When the last event was read, on this process's clock."""
    starts: int = 0
    evictions: int = 0
    running: bool = False
    node: str = ""
    outcome: Outcome | None = None
    queued: bool = True
    """Held jobs have an outcome and are in the queue all the same."""

    def happened(self, event: Mapping[str, Any], at: float) -> None:
        """Take note of an event after the submission."""
        kind = event["EventTypeNumber"]
        self.heard = time.monotonic()
        if kind == STARTED:
            self.starts += 1
            self.running = True
            self.node = machine(str(event.get("SlotName", ""))) or _alias(str(event.get("ExecuteHost", "")))
        elif kind in (EVICTED, SHADOW_FAILED, RECONNECT_FAILED) and self.running:
            # an eviction also precedes a hold and a removal; those follow at once
            self.evictions += 1
            self._waits(at)
        elif kind == TERMINATED:
            signal = 0 if event.get("TerminatedNormally") else int(event.get("TerminatedBySignal", 0))
            self._ended(ended(int(event.get("ReturnValue", 0)), signal, self.node))
        elif kind == REMOVED:
            self._ended(removal(str(event.get("Reason", "")), self.node))
        elif kind == HELD:
            code, subcode = (int(event.get(name, 0)) for name in ("HoldReasonCode", "HoldReasonSubCode"))
            self._ended(hold(code, subcode, str(event.get("HoldReason", "")), self.node), queued=True)
        elif kind == RELEASED:
            self.outcome = None
            self._waits(at)

    def _waits(self, at: float) -> None:
        self.running = False
        self.waiting_since = at

    def _ended(self, outcome: Outcome, *, queued: bool = False) -> None:
        # the removal of a held job does not change why it ended
        held = self.outcome is not None and self.outcome.hold_code is not None
        if not (held and outcome.kind == "removed"):
            self.outcome = outcome
        self.running = False
        self.queued = queued


class EventLog:
    """The log, read from its start once and then as it grows.

    Parameters
    ----------
    path : Path
        The user log; it need not be there yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.by_key: dict[str, Life] = {}
        self._by_id: dict[str, Life] = {}
        self._reader: Any = None
        self._seen: tuple[int, int] = (0, 0)
        # polls, and a submission that was not answered, read it
        self._guard = threading.Lock()

    def life(self, job: str, key: str | None) -> Life | None:
        """The job with this id, if it is the one with this key: a new pool counts its ids from 1 again."""
        life = self.by_key.get(key) if key else self._by_id.get(job)
        return life if life and life.id == job else None

    def read(self) -> bool:
        """Take in what was written since the last call. False if the log cannot be read."""
        with self._guard:
            try:
                status = self.path.stat()
                if self._reader is None or status.st_ino != self._seen[0] or status.st_size < self._seen[1]:
                    self._open()
                self._seen = (status.st_ino, status.st_size)
                for event in self._reader.events(0):
                    self._take(event)
            except Exception:  # noqa: BLE001  # OSError of the file system, several unrelated classes of the bindings
                # what was read stays true; the next call begins at the start again
                self._reader = None
        return self._reader is not None

    def _open(self) -> None:
        # imported here: only a submit node needs the bindings
        import htcondor2

        self.by_key, self._by_id = {}, {}
        self._reader = htcondor2.JobEventLog(str(self.path))

    def _take(self, event: Any) -> None:
        job, at = str(event["Cluster"]), float(event.timestamp)
        if event["EventTypeNumber"] == SUBMITTED:
            life = Life(str(event.get("LogNotes", "")).strip(), job, at)
            self._by_id[job] = self.by_key[life.key] = life
        elif job in self._by_id:
            self._by_id[job].happened(event, at)


def _alias(address: str) -> str:
    found = re.search(r"[?&]alias=([^&>]+)", address)
    return found[1] if found else ""
