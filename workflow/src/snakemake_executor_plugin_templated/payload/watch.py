"""A command's output, capped, and whether the command still does anything."""

from __future__ import annotations

import os
import time
from pathlib import Path

STANDSTILL = 0.002
"""Share of a core below which a command stands still: threads that only wake up to look use that much."""
ASLEEP_S = 60.0


def say(text: str) -> None:
    """One line into the job's output."""
    _write_all(f"[snpoint] {text}\n".encode())


def _write_all(data: bytes | memoryview) -> None:
    """Write to the job's output; where that fails (disk full), the output is lost, not the job."""
    try:
        while data:
            data = data[os.write(1, data) :]
    except OSError:
        pass


class Capture:
    """Passes output on up to a limit: the first half at once, of the rest the last half when all is over."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.bytes = 0
        self._head = limit - limit // 2
        self._tail = bytearray()

    @property
    def dropped(self) -> int:
        """How many bytes were left out."""
        return max(0, self.bytes - self.limit) if self.limit else 0

    def feed(self, data: bytes) -> None:
        """Take what the command wrote."""
        begin = self.bytes
        self.bytes += len(data)
        if not self.limit:
            _write_all(data)
            return
        left = max(0, self._head - begin)
        _write_all(data[:left])
        rest = data[left:]
        if begin <= self._head < self.bytes:
            say(f"more than {self._head} bytes of output: what follows is shown at the end, its last {self.limit // 2}")
        self._keep(rest, max(begin, self._head) - self._head)

    def _keep(self, data: bytes, position: int) -> None:
        """Into the ring, at the position counted from the end of the head."""
        size = self.limit // 2
        position += max(0, len(data) - size)
        data = data[-size:] if size else b""
        while data:
            place = position % size
            part = data[: size - place]
            # grows with what is really written, up to its size
            self._tail.extend(bytes(max(0, place - len(self._tail))))
            self._tail[place : place + len(part)] = part
            position += len(part)
            data = data[len(part) :]

    def finish(self) -> None:
        """Show the end of the output."""
        if self.dropped:
            say(f"{self.dropped} of {self.bytes} bytes of output were left out here")
        size = self.limit // 2
        cut = (self.bytes - self._head) % size if self.dropped and size else 0
        _write_all(memoryview(self._tail)[cut:])
        _write_all(memoryview(self._tail)[:cut])


class Watchdog:
    """Tells when a command does nothing any more: no output, nothing in its log files, no CPU time."""

    def __init__(self, seconds: float, logs: list[Path]) -> None:
        self._seconds = seconds
        self._logs = logs
        self._since = self._looked = time.monotonic()
        self._cpu = 0.0
        self._seen: list[object] = [0, None]

    def stands_still(self, output: int, cpu: float) -> bool:
        """Whether there was no progress for too long."""
        if not self._seconds:
            return False
        now = time.monotonic()
        # this process was stopped (a suspended job): so was the command
        if now - self._looked > ASLEEP_S:
            self._since += now - self._looked
        self._looked = now
        busy = cpu - self._cpu > max(0.05, STANDSTILL * (now - self._since))
        seen: list[object] = [output, [_touched(log) for log in self._logs]]
        if busy or seen != self._seen:
            self._since, self._cpu, self._seen = now, cpu, seen
        return now - self._since >= self._seconds


def _touched(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns
