"""Who holds Snakemake's lock of a work directory: host, process and last sign of life.

Snakemake's own lock files name nobody. This record is written when a run begins (it has the lock then) and tells
`snpoint unlock` whether the run is dead. Its modification time is the heartbeat, which another host can read too.
"""

from __future__ import annotations

import json
import os
import shlex
import socket
import sys
import threading
import time
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

from snpoint.atomic import write_json

RECORD = Path(".snakemake/owner.json")
LOCKS = Path(".snakemake/locks")
HEARTBEAT_S = 60.0
SILENT_S = 600.0
"""AFS shows a write up to two minutes late, clocks differ: after this long without a heartbeat a run counts as gone."""


@dataclass(frozen=True)
class Owner:
    """The process that holds the lock."""

    host: str
    pid: int
    boot_id: str
    """Of the machine's current boot: process numbers begin anew with each."""
    process_start: int
    """Clock ticks from boot to the start of the process: its number may be in use again by another one."""
    started: str
    command: str

    @property
    def here(self) -> bool:
        """Whether it was started on this machine."""
        return self.host == socket.gethostname()

    @property
    def dead(self) -> bool:
        """Whether the process is known to be gone. Of other machines nothing can be known."""
        if not self.here:
            return False
        return self.boot_id != _boot_id() or process_start(self.pid) != self.process_start

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, started {self.started} ({self.command:.120})"


def claim() -> None:
    """Write this process down as the owner, and show signs of life until it ends. Called when a run begins.

    Both the Snakefile and the executor do so: a run may have one without the other.

    Raises
    ------
    OutputError
        The record cannot be written.
    """
    known = owner()
    if known is not None and known.pid == os.getpid() and known.here and not known.dead:
        touch()
        return
    write_json(RECORD, asdict(_myself()))
    threading.Thread(target=_beat, args=(RECORD.absolute(),), daemon=True).start()


def owner() -> Owner | None:
    """The process that last began a run here; None if none did, or what is there is no such record."""
    return _read(RECORD)


def touch() -> None:
    """Show a sign of life, if this process is the owner. Never raises."""
    _touch(RECORD)


def heartbeat() -> float | None:
    """Seconds since the owner's last sign of life."""
    try:
        return max(0.0, time_of(RECORD.parent) - RECORD.stat().st_mtime)
    except OSError:
        return None


def lock_files() -> list[Path]:
    """Snakemake's lock files; empty if nothing is locked."""
    return sorted(LOCKS.glob("*.lock"))


def newer_than_owner() -> bool:
    """Whether a lock was taken after the owner's last sign of life (or nobody is written down): it is somebody else's.

    Snakemake takes the lock first and begins the run then; killed in between, it has left no record.
    """
    if owner() is None:
        return True
    last = RECORD.stat().st_mtime
    return any(path.stat().st_mtime > last + 1 for path in lock_files())


def running_here(folder: Path) -> list[int]:
    """Processes of this machine that look like a Snakemake at work in a folder (this process aside)."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            words = (place / "cmdline").read_bytes().split(b"\0")
            same = (place / "cwd").resolve() == folder.resolve()
        except OSError:  # it ended meanwhile, or belongs to somebody else
            continue
        named = any(Path(os.fsdecode(word)).name == "snakemake" for word in words[:4])
        if same and named and int(place.name) != os.getpid() and process_start(int(place.name)) is not None:
            found.append(int(place.name))
    return sorted(found)


def process_start(pid: int) -> int | None:
    """Clock ticks from boot to the start of a process, None if there is none (or only its remains)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
        state, *rest = text.rpartition(")")[2].split()
    except (OSError, ValueError):
        return None
    return None if state in ("Z", "X") else int(rest[18])


def _myself() -> Owner:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
    return Owner(socket.gethostname(), os.getpid(), _boot_id(), process_start(os.getpid()) or 0, now, command)


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _read(path: Path) -> Owner | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        known = Owner(**{field.name: content[field.name] for field in fields(Owner)})
        datetime.fromisoformat(known.started)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return known


def _touch(path: Path) -> None:
    try:
        known = _read(path)
        if known is not None and (known.host, known.pid) == (socket.gethostname(), os.getpid()):
            os.utime(path)
    except OSError:
        return


def _beat(path: Path) -> None:
    """Show signs of life also where no executor polls. The path is absolute: the process may change its folder."""
    while True:
        time.sleep(HEARTBEAT_S)
        _touch(path)


def time_of(folder: Path) -> float:
    """The time as the folder's file system has it: a remote one may differ from this machine's clock."""
    import tempfile

    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".time.") as stream:
            return os.fstat(stream.fileno()).st_mtime
    except OSError:
        return time.time()
