"""Calls of SLURM's commands, and what a refusal of ``sbatch`` means."""

from __future__ import annotations

import os
import re
import subprocess
from typing import Literal

from .backend import BackendError

# a controller that is busy or restarting answers late; longer than this and the poll is given up until the next one
COMMAND_TIMEOUT_S = 60.0

# what sbatch itself needs. By default sbatch copies its whole environment into the job: tokens, and SLURM_* variables
# of an allocation that the pipeline itself may run in
_KEPT_VARIABLES = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "KRB5CCNAME", "SLURM_CONF")

# what sbatch says in the end; lines before it may be a site's own words, or announce that it tries again by itself
_IN_THE_END = re.compile(r"Batch job submission failed: (.*)")

# limits on the number of queued jobs: QOSMaxSubmitJobPerUserLimit, AssocGrpSubmitJobsLimit
_FULL = re.compile(r"\b(QOS|Assoc)\w*Submit\w*")

# nobody has the request: certainly not in the queue, and later it may be taken
_NOT_NOW = re.compile(
    r"Resource temporarily unavailable"  # MaxJobCount
    r"|Unable to create job record"
    r"|standby mode"
    r"|connect failure|Communication connection failure"
    r"|Could not establish a configuration source"
)

# the request went out and no answer came back: it may be carried out all the same
_NO_ANSWER = re.compile(
    r"timed out|Zero Bytes were transmitted|(send|receive|shutdown) failure|authentication|Unexpected message"
)


class NoAnswerError(BackendError):
    """A command did not end in time: what it was to do may be done or not."""


def meaning(status: int, said: str) -> Literal["not now", "no answer", "refused"]:
    """What it means that ``sbatch`` ended with this exit status and these words.

    Parameters
    ----------
    status : int
        Exit status, negative where a signal ended the command.
    said : str
        Its standard error.
    """
    told = _IN_THE_END.search(said)
    reason = told[1] if told else said
    never_sent = "Munge encode failed" in said and "authentication" in reason
    if never_sent or _FULL.search(said) or _NOT_NOW.search(reason):
        return "not now"
    if status < 0 or _NO_ANSWER.search(reason):
        return "no answer"
    return "refused"


def one_line(text: str) -> str:
    """A command's message as one line."""
    return " ".join(text.split()) or "no message"


def run(*command: str, own_session: bool = False) -> subprocess.CompletedProcess[str]:
    """Run a SLURM command; in its own session, Ctrl-C in the terminal does not reach it.

    Raises
    ------
    NoAnswerError
        It did not end in time.
    BackendError
        It is not there.
    """
    environment = {
        name: value for name, value in os.environ.items() if name in _KEPT_VARIABLES or name.startswith("SBATCH_")
    }
    try:
        return subprocess.run(
            command,
            env=environment,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=COMMAND_TIMEOUT_S,
            stdin=subprocess.DEVNULL,
            start_new_session=own_session,
        )
    except subprocess.TimeoutExpired as error:
        said = error.stderr.decode(errors="replace") if isinstance(error.stderr, bytes) else error.stderr or ""
        last = f" ({one_line(said)})" if said.strip() else ""
        raise NoAnswerError(f"{command[0]} did not answer within {COMMAND_TIMEOUT_S:.0f} s{last}") from error
    except OSError as error:
        raise BackendError(f"{command[0]}: {error.strerror}") from error
