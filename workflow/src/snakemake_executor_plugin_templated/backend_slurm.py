"""SLURM through its commands: one ``squeue`` per poll, whatever the number of jobs."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from .backend import BackendError, Found, Place, Poll
from .outcome import Outcome
from .slurm_states import Row, exit_status, lost, never_reason, outcome, stdout_of

# a controller that is busy or restarting answers late; longer than this and the poll is given up until the next one
COMMAND_TIMEOUT_S = 60.0

# finished jobs stay in squeue for MinJobAge (300 s by default), and sacct may be late
LOST_AFTER_S = 300.0

# a submission that was not answered may have been accepted all the same: the queue is looked at this often, then
AFTERTHOUGHTS_S = (1.0, 5.0, 15.0)

# how far back sacct is asked about submissions whose id was never written down
UNRECORDED_SINCE = "now-14days"

# what sbatch itself needs. By default sbatch copies its whole environment into the job: tokens, and SLURM_* variables
# of an allocation that the pipeline itself may run in
_KEPT_VARIABLES = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "KRB5CCNAME", "SLURM_CONF")

# what others can write at will comes last; a longer value is cut off by squeue
_COLUMNS = "JobID:24|,State:24|,exit_code:12|,RestartCnt:8|,NodeList:64|,Reason:160|,STDOUT:400|,Comment:80"
_NOTHING = ("(null)", "None assigned", "N/A")

# what scancel says of jobs that ended in the meantime
_ALREADY_OVER = re.compile("already completing or completed|Invalid job id specified")


class NoAnswerError(BackendError):
    """A command did not end in time: what it was to do may be done or not."""


class Slurm:
    """The cluster that ``sbatch`` talks to."""

    send_credential = False

    def __init__(self, place: Place) -> None:
        self.queries = 0
        self._place = place
        self._missing_since: dict[str, float] = {}
        self._in_vain_since: dict[str, float] = {}
        self._restarts: dict[str, int] = {}
        self._sacct_works: bool | None = None
        try:
            _run("sbatch", "--version")
        except BackendError as error:
            raise BackendError(f"no SLURM here ({error}): run on a submit node of the cluster") from error

    @property
    def removal_command(self) -> str:
        """What a user types to remove all jobs of the work directory."""
        rows = "squeue --me --noheader --Format=JobID:24,Comment:80"
        return f"{rows} | awk '$2 ~ /^{self._comment('')}/ {{print $1}}' | xargs -r scancel"

    # -- submission

    def submit(self, path: Path, text: str, key: str) -> str:
        """Submit one job and return its id."""
        del text  # sbatch reads the file
        try:
            # an option on the command line overrides the file's
            answer = _run("sbatch", "--parsable", f"--comment={self._comment(key)}", str(path), own_session=True)
        except NoAnswerError as error:
            return self._accepted(key, f"{path}: {error}")
        if answer.returncode:
            refusal = f"sbatch refused {path}: {_one_line(answer.stderr)}"
            if "timed out" in answer.stderr.lower():
                return self._accepted(key, refusal)
            raise BackendError(refusal)
        # "<id>" or "<id>;<cluster>"
        job = answer.stdout.strip().rpartition("\n")[2].partition(";")[0]
        if not job.isdigit():
            raise BackendError(f"sbatch {path}: answered {_one_line(answer.stdout)!r} and not with a job's id")
        return job

    def _accepted(self, key: str, why: str) -> str:
        """Id of a job whose submission was not answered, if it is in the queue."""
        for pause in AFTERTHOUGHTS_S:
            time.sleep(pause)
            try:
                jobs = [row.id for row in self._queue().values() if row.comment == self._comment(key)]
            except BackendError as error:
                why = f"{why}; {error}"
                continue
            if jobs:
                return jobs[0]
        raise BackendError(f"{why}; the job did not appear in the queue")

    def _comment(self, key: str) -> str:
        return f"snpoint:{self._place.token}:{key}"

    # -- questions

    def poll(self, ids: Sequence[str]) -> Poll:
        """One ``squeue`` for all jobs; one ``sacct``, only for ids that squeue has forgotten."""
        rows = self._queue()
        known = [rows[job] for job in ids if job in rows]
        outcomes = {row.id: end for row in known if (end := outcome(row))}
        given_up, notes = self._waiting([row for row in known if row.live])
        if given_up:
            # reported as failed, so none of them may start later and write over its successor
            self.cancel(list(given_up))
        outcomes |= given_up | self._forgotten([job for job in ids if job not in rows])
        return Poll(outcomes, notes)

    def _waiting(self, rows: Iterable[Row]) -> tuple[dict[str, Outcome], list[tuple[str, str]]]:
        """Of the live jobs: those that must be given up, and what is worth telling about the others."""
        given_up, notes = {}, []
        in_vain_since = {}
        for row in rows:
            if row.held:
                reason = row.reason if row.reason not in ("None", "") else row.state
                given_up[row.id] = Outcome("held", f"held by SLURM ({reason}); removed from the queue", node=row.node)
            elif row.state == "PENDING" and (why := never_reason(row.reason)):
                since = in_vain_since[row.id] = self._in_vain_since.get(row.id, time.monotonic())
                if time.monotonic() - since > self._place.unmatched_after_s:
                    given_up[row.id] = Outcome("never_matched", f"{row.reason}: {why}; removed from the queue")
                elif row.id not in self._in_vain_since:
                    left = f"given up after {self._place.unmatched_after_s / 60:.0f} min"
                    notes.append((row.id, f"waits in vain, {row.reason}: {why}; {left}"))
            if row.restarts > self._restarts.get(row.id, 0):
                then = "runs again" if row.state == "RUNNING" else "waits to run again"
                notes.append((row.id, f"requeued, {then} (start {row.restarts + 1})"))
                self._restarts[row.id] = row.restarts
        self._in_vain_since = in_vain_since
        return given_up, notes

    def _forgotten(self, vanished: Sequence[str]) -> dict[str, Outcome]:
        rows = self._accounting(f"--jobs={','.join(vanished)}") if vanished else {}
        # an accounting that says RUNNING of a job that squeue does not know is late, or wrong
        outcomes = {job: end for job in vanished if job in rows and (end := outcome(rows[job]))}
        now = time.monotonic()
        self._missing_since = {job: self._missing_since.get(job, now) for job in vanished if job not in outcomes}
        return outcomes | {
            job: lost(LOST_AFTER_S) for job, since in self._missing_since.items() if now - since > LOST_AFTER_S
        }

    def find(self, known: Mapping[str, str | None]) -> Mapping[str, Found]:
        """All live jobs of the work directory, by key, and those of ``known`` that ended."""
        rows = self._by_key(self._queue().values())
        found = {key: Found(key, row.id, outcome(row)) for key, row in rows.items() if row.live or key in known}
        ended = {key: job for key, job in known.items() if key not in found}
        recorded = [job for job in ended.values() if job]
        past: dict[str, Row] = {}
        if recorded:
            past |= self._accounting(f"--jobs={','.join(recorded)}")
        if len(recorded) < len(ended):
            past |= self._accounting(f"--user={os.getuid()}", f"--starttime={UNRECORDED_SINCE}")
        for key, row in self._by_key(past.values()).items():
            # one that squeue does not know has ended, whatever a late accounting says
            if key in ended and (end := outcome(row)):
                found[key] = Found(key, row.id, end)
        return found

    def _by_key(self, rows: Iterable[Row]) -> dict[str, Row]:
        mine = self._comment("")
        return {row.comment.removeprefix(mine): row for row in rows if row.comment.startswith(mine)}

    def _queue(self) -> dict[str, Row]:
        """Rows of ``squeue``, by id; jobs that ended a short time ago included."""
        self.queries += 1
        answer = _run("squeue", "--me", "--states=all", "--noheader", f"--Format={_COLUMNS}")
        if answer.returncode:
            raise BackendError(f"squeue: {_one_line(answer.stderr)}")
        rows = {}
        for line in answer.stdout.splitlines():
            cells = [_cell(text) for text in line.split("|", 7)]
            if len(cells) == 8 and cells[0].isdigit():
                job, state, status, restarts, node, reason, stdout, comment = cells
                count = int(restarts) if restarts.isdigit() else 0
                rows[job] = Row(job, state, reason, *exit_status(status), node, count, comment, stdout)
        return rows

    def _accounting(self, *selection: str) -> dict[str, Row]:
        """Rows of ``sacct``, by id; nothing where there is no accounting database (found out once)."""
        if self._sacct_works is False:
            return {}
        self.queries += 1
        columns = "--format=JobIDRaw,State,ExitCode,NodeList,SubmitLine"
        try:
            answer = _run("sacct", "--allocations", "--parsable2", "--noheader", columns, *selection)
        except NoAnswerError:
            return {}
        except BackendError:
            self._sacct_works = False
            return {}
        if answer.returncode:
            # a database that is away for a while does not say so
            self._sacct_works = False if "disabled" in answer.stderr else self._sacct_works
            return {}
        self._sacct_works = True
        rows = {}
        for line in answer.stdout.splitlines():
            cells = [_cell(text) for text in line.split("|", 4)]
            if len(cells) == 5:
                job, state, status, node, submitted = cells
                comment = re.search(r"--comment=(snpoint:\S+)", submitted)
                rows[job] = Row(
                    job,
                    state,
                    "",
                    *exit_status(status),
                    node,
                    comment=comment[1] if comment else "",
                    stdout=stdout_of(submitted) if comment else "",
                )
        return rows

    # -- removal

    def cancel(self, ids: Sequence[str]) -> None:
        """Cancel jobs with one ``scancel``; those that ended in the meantime are none of its business."""
        if not ids:
            return
        answer = _run("scancel", *ids, own_session=True)
        complaints = [line for line in answer.stderr.splitlines() if not _ALREADY_OVER.search(line)]
        if answer.returncode and complaints:
            raise BackendError(f"scancel: {_one_line(' '.join(complaints))}")

    def cancel_all(self) -> None:
        """Remove every job of the work directory: one ``squeue``, one ``scancel``."""
        self.cancel([row.id for row in self._by_key(self._queue().values()).values() if row.live])


def _cell(text: str) -> str:
    text = text.strip()
    return "" if text in _NOTHING else text


def _one_line(text: str) -> str:
    return " ".join(text.split()) or "no message"


def _run(*command: str, own_session: bool = False) -> subprocess.CompletedProcess[str]:
    """Run a SLURM command; in its own session, Ctrl-C in the terminal does not reach it."""
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
        raise NoAnswerError(f"{command[0]} did not answer within {COMMAND_TIMEOUT_S:.0f} s") from error
    except OSError as error:
        raise BackendError(f"{command[0]}: {error.strerror}") from error
