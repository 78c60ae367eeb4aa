"""SLURM through its commands: one ``squeue`` per poll, whatever the number of jobs."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from .backend import BackendError, Outcome, exit_reason

# states of a job that has not ended; a preempted job that is started again shows as PENDING
WAITING = frozenset(
    {"PENDING", "CONFIGURING", "RUNNING", "SUSPENDED", "STOPPED", "RESIZING", "SIGNALING", "STAGE_OUT", "COMPLETING"}
    | {"REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT"}
)

# a controller that is busy or restarting answers late; longer than this and the poll is given up until the next one
COMMAND_TIMEOUT_S = 60.0

# finished jobs stay in squeue for MinJobAge (300 s by default), and sacct may be late
LOST_AFTER_S = 300.0

# what sbatch itself needs. By default sbatch copies its whole environment into the job: tokens, and SLURM_* variables
# of an allocation that the pipeline itself may run in
_KEPT_VARIABLES = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "KRB5CCNAME", "SLURM_CONF")


class Slurm:
    """The cluster that ``sbatch`` talks to."""

    send_credential = False

    def __init__(self, run: str) -> None:
        del run  # jobs are found by user and id
        self._missing_since: dict[str, float] = {}
        self._sacct_works: bool | None = None
        try:
            _run("sbatch", "--version")
        except OSError as error:
            raise BackendError(f"no SLURM here ({error}): run on a submit node of the cluster") from error

    def submit(self, path: Path, text: str) -> str:
        """Submit one job and return its id."""
        del text  # sbatch reads the file
        answer = _run("sbatch", "--parsable", str(path), own_session=True)
        if answer.returncode:
            raise BackendError(f"sbatch refused {path}: {_one_line(answer.stderr)}")
        # "<id>" or "<id>;<cluster>"
        return answer.stdout.strip().splitlines()[-1].split(";")[0]

    def poll(self, ids: Sequence[str]) -> Mapping[str, Outcome]:
        """One ``squeue`` for all jobs; one ``sacct``, only for ids that squeue has forgotten."""
        answer = _run(
            "squeue", "--me", "--states=all", "--noheader", "--Format=JobID:24|,State:24|,Reason:64|,exit_code:12"
        )
        if answer.returncode:
            raise BackendError(f"squeue: {_one_line(answer.stderr)}")
        rows = {row[0]: row[1:] for line in answer.stdout.splitlines() if len(row := _split(line)) == 4}
        outcomes = {job: outcome for job in ids if job in rows and (outcome := _outcome(*rows[job]))}
        held = [job for job in outcomes if rows[job][0] in WAITING]
        if held:
            # reported as failed below, so it must not be released later and write over its successor
            self.cancel(held)
        vanished = [job for job in ids if job not in rows]
        return outcomes | self._forgotten(vanished)

    def _forgotten(self, vanished: Sequence[str]) -> dict[str, Outcome]:
        rows = self._accounting(vanished) if vanished else {}
        outcomes = {job: outcome for job, row in rows.items() if (outcome := _outcome(*row))}
        now = time.monotonic()
        self._missing_since = {job: self._missing_since.get(job, now) for job in vanished if job not in rows}
        return outcomes | {
            job: Outcome(f"lost: unknown to squeue (and to sacct, where there is one) for {LOST_AFTER_S:.0f} s")
            for job, since in self._missing_since.items()
            if now - since > LOST_AFTER_S
        }

    def _accounting(self, ids: Sequence[str]) -> dict[str, tuple[str, str, str]]:
        """Rows of ``sacct``, or nothing where there is no accounting database (tried once)."""
        if self._sacct_works is False:
            return {}
        try:
            answer = _run(
                "sacct",
                "--allocations",
                "--parsable2",
                "--noheader",
                "--format=JobIDRaw,State,ExitCode",
                f"--jobs={','.join(ids)}",
            )
        except OSError:
            self._sacct_works = False
            return {}
        if self._sacct_works is None:
            self._sacct_works = answer.returncode == 0
        rows = {}
        for line in answer.stdout.splitlines() if answer.returncode == 0 else []:
            job, state, code = _split(line)
            exit_code, _, signal = code.partition(":")
            # the wait status, as squeue gives it
            rows[job] = (state.split()[0], "None", str(int(exit_code) << 8 | int(signal or 0)))
        return rows

    def cancel(self, ids: Sequence[str]) -> None:
        """Cancel jobs with one ``scancel``."""
        answer = _run("scancel", *ids, own_session=True)
        if answer.returncode:
            raise BackendError(f"scancel: {_one_line(answer.stderr)}")


def _outcome(state: str, reason: str, status: str) -> Outcome | None:
    """Outcome of a row of squeue (``status`` is a wait status), None while the job is waiting or running."""
    if state in WAITING:
        # JobHeldUser, JobHeldAdmin, "job requeued in held state", "launch failed requeued held", JobHoldMaxRequeue
        if "held" in reason.lower() or reason.startswith("JobHold"):
            return Outcome(f"held by SLURM ({reason}); removed from the queue")
        return None
    if state == "COMPLETED":
        return Outcome()
    wait_status = int(status) if status.isdigit() else 0
    why = [state, reason if reason not in ("None", "NonZeroExitCode", "") else ""]
    why.append(exit_reason(wait_status >> 8, wait_status & 0x7F))
    return Outcome(", ".join(part for part in why if part))


def _split(line: str) -> tuple[str, ...]:
    return tuple(cell.strip() for cell in line.split("|"))


def _one_line(text: str) -> str:
    return " ".join(text.split()) or "no message"


def _run(*command: str, own_session: bool = False) -> subprocess.CompletedProcess[str]:
    """Run a SLURM command; in its own session, Ctrl-C in the terminal does not reach it."""
    environment = {
        name: value for name, value in os.environ.items() if name in _KEPT_VARIABLES or name.startswith("SBATCH_")
    }
    return subprocess.run(
        command,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=COMMAND_TIMEOUT_S,
        stdin=subprocess.DEVNULL,
        start_new_session=own_session,
    )
