"""Waiting until a batch system takes another job."""

from __future__ import annotations

import time
from typing import Any

from .backend import BusyError

FIRST_PAUSE_S, LONGEST_PAUSE_S = 2.0, 60.0
GIVEN_UP_AFTER_S = 1800.0
"""With no job of ours in the queue that could make room by ending."""


class Patience:
    """Pauses between the tries of one submission.

    Nothing else could be submitted meanwhile, so waiting here costs nothing; the jobs in the queue are looked after by
    another thread.
    """

    def __init__(self, logger: Any, system: str) -> None:
        self._logger = logger
        self._system = system
        self._pause = FIRST_PAUSE_S
        self._alone_since: float | None = None
        self._said = False

    def wait(self, reason: BusyError, *, others: bool) -> None:
        """Pause before the next try.

        Parameters
        ----------
        reason : BusyError
            Why the last one failed.
        others : bool
            Whether jobs of ours are in the queue.

        Raises
        ------
        BusyError
            Nothing of ours is in the queue, and still no job is taken for half an hour.
        """
        now = time.monotonic()
        self._alone_since = None if others else self._alone_since or now
        if self._alone_since is not None and now - self._alone_since > GIVEN_UP_AFTER_S:
            raise reason
        if not self._said:
            self._logger.warning(f"{self._system} takes no job for now, the next try follows: {reason}")
            self._said = True
        time.sleep(self._pause)
        self._pause = min(2 * self._pause, LONGEST_PAUSE_S)
