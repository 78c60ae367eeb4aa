"""Ctrl-C: never between a submission and its record, and at the second time at once."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def deferred(message: str) -> Iterator[None]:
    """Hold Ctrl-C back until the block is left, so that no job is in the queue without being known here.

    A second Ctrl-C prints the message and ends the process at once.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pending: list[int] = []

    def hold(number: int, frame: object) -> None:
        if pending:
            _leave(message)
        pending.append(number)

    previous = signal.signal(signal.SIGINT, hold)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
        if pending:
            # also when the block is left by an error: the user's word comes first
            raise KeyboardInterrupt


@contextmanager
def leaving_at_once(message: str) -> Iterator[None]:
    """In the block, Ctrl-C prints the message and ends the process, whatever it is waiting for."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    previous = signal.signal(signal.SIGINT, lambda number, frame: _leave(message))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


def _leave(message: str) -> None:
    # no locks, no buffers: the interrupted code may hold any of them
    os.write(sys.stderr.fileno(), f"\n{message}\n".encode())
    os._exit(128 + signal.SIGINT)
