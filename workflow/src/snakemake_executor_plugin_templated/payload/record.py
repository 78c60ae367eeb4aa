"""The record of a job: what is known about it while it runs and after it ended."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

FORMAT_VERSION = 1


def read_record(path: str | Path) -> dict[str, Any] | None:
    """Record of a job, or None where there is none (or none that can be read).

    Parameters
    ----------
    path : str or Path
        The file ``<stem>.job.json``.

    Returns
    -------
    dict or None
        ``state`` (running, ended), ``node`` (as the batch system calls it), ``host``, ``job_id``, ``pid``,
        ``started``, ``heartbeat``, ``stopped``, ``gpus``, ``limits`` (cpus, memory_mb, seconds), ``exit_code``,
        ``signal``, ``cause`` ("", "time limit", "no progress", "terminated"), ``seconds``, ``cpu_seconds``,
        ``peak_memory_mb``, ``stdout_bytes``, ``stdout_dropped_bytes``.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) and content.get("format_version") == FORMAT_VERSION else None


def write_record(path: Path, content: dict[str, Any]) -> None:
    """Write the record whole or not at all.

    Raises
    ------
    OSError
        It cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("w", encoding="utf-8") as stream:
            json.dump({"format_version": FORMAT_VERSION, **content}, stream, indent=2)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def now() -> str:
    """The time, as records have it."""
    return time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
