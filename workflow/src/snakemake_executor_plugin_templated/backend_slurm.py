"""SLURM through its commands: one ``squeue`` per poll, whatever the number of jobs."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from .backend import BackendError, BusyError, Found, Place, Poll, UnclearError
from .outcome import Outcome
from .slurm_commands import NoAnswerError, meaning, one_line, run
from .slurm_states import Row, exit_status, lost, never_reason, outcome, stdout_named, stdout_of

# finished jobs stay in squeue for MinJobAge (300 s by default), and sacct may be late
LOST_AFTER_S = 300.0

# a submission that was not answered may be carried out late: the queue is looked at with these pauses, until it has
# answered twice. One answer is not enough: a controller that comes back answers it before it reads what had to wait
AFTERTHOUGHTS_S = (2.0, 8.0, 10.0, 10.0)

# how far back sacct is asked about submissions whose id was never written down
UNRECORDED_SINCE = "now-14days"

# what others can write at will comes last; a longer value is cut off by squeue
_COLUMNS = "JobID:24|,State:24|,exit_code:12|,RestartCnt:8|,NodeList:64|,Reason:160|,STDOUT:400|,Comment:80"
_NOTHING = ("(null)", "None assigned", "N/A")

# what scancel says of jobs that ended in the meantime
_ALREADY_OVER = re.compile("already completing or completed|Invalid job id specified")
_UNKNOWN = re.compile(r"job id (\d+): Invalid job id specified")


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
        self._cluster: str | None = None
        # comments of submissions that were reported as not made
        self._disowned: set[str] = set()
        # ids that the controller does not know, whatever a late accounting says
        self._unknown: set[str] = set()
        try:
            run("sbatch", "--version")
        except BackendError as error:
            raise BackendError(f"no SLURM here ({error}): run on a submit node of the cluster") from error
        if place.queue and self.queue_name not in ("", place.queue):
            raise BackendError(
                f"jobs of this folder are in the queue of the cluster {place.queue}, and sbatch here talks to"
                f" {self.queue_name}: run on a submit node of {place.queue}, or remove those jobs"
            )

    @property
    def queue_name(self) -> str:
        """Name of the cluster that takes the submissions; empty if it did not say, which is asked once."""
        if self._cluster is None:
            try:
                said = run("scontrol", "show", "config").stdout
            except BackendError:
                said = ""
            named = re.search(r"^ClusterName\s*=\s*(\S+)", said, re.MULTILINE)
            self._cluster = named[1] if named else ""
        return self._cluster

    @property
    def removal_command(self) -> str:
        """What a user types to remove all jobs of the work directory."""
        rows = "squeue --me --noheader --Format=JobID:24,Comment:80"
        return f"{rows} | awk '$2 ~ /^{self._comment('')}/ {{print $1}}' | xargs -r scancel"

    # -- submission

    def submit(self, path: Path, text: str, key: str) -> str:
        """Submit one job and return its id."""
        try:
            # an option on the command line overrides the file's
            answer = run("sbatch", "--parsable", f"--comment={self._comment(key)}", str(path), own_session=True)
        except NoAnswerError as error:
            return self._accepted(key, text, f"{path}: {error}")
        # "<id>" or "<id>;<cluster>"
        job = answer.stdout.strip().rpartition("\n")[2].partition(";")[0]
        if not answer.returncode and job.isdigit():
            return job
        if not answer.returncode:
            said = f"sbatch {path}: answered {one_line(answer.stdout)!r} and not with a job's id"
            return self._accepted(key, text, said)
        refusal = f"sbatch refused {path}: {one_line(answer.stderr)}"
        match meaning(answer.returncode, answer.stderr):
            case "not now":
                raise BusyError(refusal)
            case "no answer":
                return self._accepted(key, text, refusal)
            case _:
                raise BackendError(refusal)

    def _accepted(self, key: str, text: str, why: str) -> str:
        """Id of a job whose submission was not answered, if it is in the queue."""
        # a site may clear comments; but another try for the same job, with its own comment, has the same output file
        comment, stdout = self._comment(key), stdout_named(text)
        answers = 0
        for pause in AFTERTHOUGHTS_S:
            time.sleep(pause)
            try:
                rows = self._queue().values()
            except BackendError as error:
                why = f"{why}; {error}" if str(error) not in why else why
                continue
            for row in rows:
                ours = not row.comment.startswith("snpoint:") and stdout and row.stdout == stdout
                if row.comment == comment or ours:
                    return row.id
            answers += 1
            if answers == 2:
                self._disowned.add(comment)
                raise BusyError(f"{why}; the job did not appear in the queue")
        raise UnclearError(f"{why}; it is not known whether the job is in the queue")

    def _comment(self, key: str) -> str:
        return f"snpoint:{self._place.token}:{key}"

    # -- questions

    def poll(self, ids: Sequence[str]) -> Poll:
        """One ``squeue`` for all jobs; one ``sacct``, only for ids that squeue has forgotten."""
        rows = self._queue()
        # one that was submitted again because no answer had come must not do the same work beside its successor
        with suppress(BackendError):  # the next poll tries again
            self.cancel([row.id for row in rows.values() if row.live and row.comment in self._disowned])
        known = [rows[job] for job in ids if job in rows]
        outcomes = {row.id: end for row in known if (end := outcome(row))}
        given_up, notes = self._waiting([row for row in known if row.live])
        if given_up:
            # reported as failed, so none of them may start later and write over its successor
            try:
                self.cancel(list(given_up))
            except BackendError as error:
                notes += [(job, f"not given up yet: {error}") for job in given_up]
                given_up = {}
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
        rows = self._by_key(self._queue().values(), known)
        found = {key: Found(key, row.id, outcome(row)) for key, row in rows.items() if row.live or key in known}
        missing = {key: job for key, job in known.items() if key not in found}
        recorded = [job for job in missing.values() if job]
        past: dict[str, Row] = {}
        if recorded:
            past |= self._accounting(f"--jobs={','.join(recorded)}")
        if len(recorded) < len(missing):
            past |= self._accounting(f"--user={os.getuid()}", f"--starttime={UNRECORDED_SINCE}")
        for key, row in self._by_key(past.values(), missing).items():
            if key in missing:
                # an accounting may be late; a job that does not come back to squeue is given up by the polls
                end = lost(0.0) if row.live and row.id in self._unknown else outcome(row)
                found[key] = Found(key, row.id, end)
        return found

    def _by_key(self, rows: Iterable[Row], known: Mapping[str, str | None]) -> dict[str, Row]:
        """Rows of this work directory's jobs: known by their comment or, where a site has cleared it, by their id."""
        prefix = self._comment("")
        keys = {job: key for key, job in known.items() if job}
        mine: dict[str, Row] = {}
        for row in rows:
            if row.comment.startswith(prefix):
                mine[row.comment.removeprefix(prefix)] = row
            elif row.id in keys and not row.comment.startswith("snpoint:"):
                mine.setdefault(keys[row.id], row)
        return mine

    def _queue(self) -> dict[str, Row]:
        """Rows of ``squeue``, by id; jobs that ended a short time ago included."""
        self.queries += 1
        answer = run("squeue", "--me", "--states=all", "--noheader", f"--Format={_COLUMNS}")
        if answer.returncode:
            raise BackendError(f"squeue: {one_line(answer.stderr)}")
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
            answer = run("sacct", "--allocations", "--parsable2", "--noheader", columns, *selection)
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
        answer = run("scancel", *ids, own_session=True)
        self._unknown |= set(_UNKNOWN.findall(answer.stderr))
        complaints = [line for line in answer.stderr.splitlines() if not _ALREADY_OVER.search(line)]
        if answer.returncode and complaints:
            raise BackendError(f"scancel: {one_line(' '.join(complaints))}")


def _cell(text: str) -> str:
    text = text.strip()
    return "" if text in _NOTHING else text
