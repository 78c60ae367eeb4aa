"""Ctrl-C: never between a submission and its record, and at the second time at once."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def deferred() -> Iterator[None]:
    """Hold Ctrl-C back until the block is left, so that no job is in the queue without being known here."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pending: list[int] = []
    previous = signal.signal(signal.SIGINT, lambda number, frame: pending.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
    if pending:
        raise KeyboardInterrupt


@contextmanager
def leaving_at_once(message: str) -> Iterator[None]:
    """In the block, Ctrl-C prints the message and ends the process, whatever it is waiting for."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, frame: object) -> None:
        # no locks, no buffers: the interrupted code may hold any of them
        os.write(sys.stderr.fileno(), f"\n{message}\n".encode())
        os._exit(128 + signal.SIGINT)

    previous = signal.signal(signal.SIGINT, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
