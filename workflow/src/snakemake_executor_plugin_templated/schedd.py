"""Requests to a schedd and its collector, each in a process of its own: Ctrl-C is heard while they are silent."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .backend import BackendError, BusyError
from .bindings import meaning, one_line

CALL = Path(__file__).with_name("schedd_call.py")

# a busy schedd answers late; a long history takes its time
LOCATE_S, QUERY_S, SUBMIT_S, LONG_S = 60.0, 60.0, 120.0, 300.0

_FAILED = {
    "query": "the HTCondor schedd does not answer",
    "history": "the HTCondor schedd does not tell its history",
    "remove": "HTCondor does not remove the jobs",
}


class NoAnswerError(BackendError):
    """No answer came: what was asked for may be done or not."""


class Schedd:
    """A schedd, found once by its name and again after every failure: it may have come back at another address.

    Parameters
    ----------
    name : str
        Name of the schedd; empty: the one that the machine's configuration names.

    Raises
    ------
    BackendError
        It is not known to the pool.
    """

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.default = False
        """Whether the machine's configuration names it, so that commands need no ``-name``."""
        self._ad = ""
        self._locate()

    def _locate(self) -> str:
        """Address of the schedd."""
        if not self._ad:
            found = _call("locate", LOCATE_S, name=self.name)
            if found is None:
                raise BackendError(f"the pool knows no schedd {self.name}")
            self._ad, self.name, self.default = found["ad"], found["name"], found["default"]
        return self._ad

    def _ask(self, call: str, timeout: float, **request: Any) -> Any:
        try:
            return _call(call, timeout, at=self._locate(), **request)
        except BackendError as error:
            self._ad = ""
            raise type(error)(f"{_FAILED[call]}: {error}" if call in _FAILED else str(error)) from error

    def submit(self, text: str, more: Mapping[str, str], *, credential: bool) -> str:
        """Submit one job and return its id.

        Parameters
        ----------
        text : str
            Submit description.
        more : mapping
            Further lines.
        credential : bool
            Store the user's Kerberos credential for the pool first, as condor_submit does.

        Raises
        ------
        BusyError
            Not now.
        NoAnswerError
            The job may be in the queue.
        BackendError
            Refused for good.
        """
        try:
            # apart from the submission, because a schedd that is not found has certainly no job
            self._locate()
        except BackendError as error:
            raise BusyError(f"the schedd is not found: {error}") from error
        try:
            answer = self._ask("submit", SUBMIT_S, text=text, more=dict(more), credential=credential)
        except NoAnswerError:
            raise
        except BackendError as error:
            kinds = {"not now": BusyError, "no answer": NoAnswerError, "refused": BackendError}
            raise kinds[meaning(str(error))](str(error)) from error
        for warning in answer["warnings"]:
            warnings.warn(warning, stacklevel=2)
        return str(answer["job"])

    def query(self, constraint: str, attributes: Sequence[str], *, timeout: float | None = None) -> list[Any]:
        """Ads of jobs in the queue."""
        request = {"constraint": constraint, "attributes": list(attributes)}
        return _ads(self._ask("query", QUERY_S if timeout is None else timeout, **request))

    def history(self, constraint: str, attributes: Sequence[str], count: int, stop: str | None) -> list[Any]:
        """Ads of ``count`` ended jobs at most, read backwards until an ad fulfils ``stop``."""
        request = {"constraint": constraint, "attributes": list(attributes), "count": count, "stop": stop}
        return _ads(self._ask("history", LONG_S, **request))

    def remove(self, jobs: Sequence[str]) -> None:
        """Remove jobs from the queue."""
        self._ask("remove", LONG_S, jobs=list(jobs))


def slots_with(constraint: str, attributes: Sequence[str]) -> list[Any]:
    """Ads of machines, as the collector knows them."""
    try:
        return _ads(_call("slots", LONG_S, constraint=constraint, attributes=list(attributes)))
    except BackendError as error:
        raise BackendError(f"the HTCondor collector does not answer: {error}") from error


def _ads(texts: Sequence[str]) -> list[Any]:
    import classad2

    return [classad2.ClassAd(text) for text in texts]


def _call(call: str, timeout: float, **request: Any) -> Any:
    """The answer to one request."""
    try:
        done = subprocess.run(
            # without the script's folder in the path of modules
            [sys.executable, "-P", str(CALL)],
            input=json.dumps({"call": call} | request),
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=timeout,
            # Ctrl-C in the terminal is for the pipeline; what it has asked for is done all the same
            start_new_session=True,
        )
    except subprocess.TimeoutExpired as error:
        raise NoAnswerError(f"no answer within {timeout:.0f} s") from error
    except OSError as error:
        raise BackendError(f"{sys.executable}: {error.strerror}") from error
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise NoAnswerError(f"asking ended with status {done.returncode}: {last}") from None
    if "error" in answer:
        raise BackendError(one_line(answer["error"]))
    return answer["result"]
