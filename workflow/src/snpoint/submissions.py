"""What the journal of submissions says about the job behind a result: in the queue, at work, held, failed.

The provenance record beside a result is written by the stage itself; it knows nothing of a job that waits, that never
began, or that was killed with its machine. The journal does, and the record of the job's payload.
"""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from snpoint.errors import LockedError, SnpointError
from snpoint.journal import Entry, Journal, attempts

SILENT_MIN = 15
"""A payload writes its record more often than this."""

MOST_SHOWN = 5


@dataclass(frozen=True)
class Told:
    """The state of a job, as its last submission tells it."""

    word: Literal["queued", "running", "held", "failed", "interrupted"]
    why: str
    job: str
    system: str
    """The batch system that has it."""


class Submissions:
    """Reads the journal when it is first asked for."""

    def __init__(self) -> None:
        self.problem = ""
        """Why the journal cannot be read; then nothing is known."""

    @cached_property
    def _journal(self) -> Journal | None:
        try:
            return Journal()
        except SnpointError as error:
            self.problem = str(error)
            return None

    def systems(self) -> list[str]:
        """Batch systems in whose queues jobs of this folder may be."""
        return sorted({entry.system for entry in self._journal.open_entries()}) if self._journal is not None else []

    def told(
        self, outputs: Sequence[str], record: Mapping[str, Any] | None, log: str, whole: bool, settings: str
    ) -> Told | None:
        """State of the last submitted job for some outputs.

        Parameters
        ----------
        outputs
            Of the job; the journal knows it by its first one.
        record
            The provenance record beside them.
        log
            The log of the job.
        whole
            All outputs are there.
        settings
            What the job is to be done with now, as its command carries them.

        Returns
        -------
        Told or None
            None where the provenance record says all there is to say: nothing was submitted, the job ended well, or it
            was done again since without a batch system.
        """
        entries = self._journal.of(outputs[0]) if self._journal is not None else []
        if not entries or (whole and record is not None and record["state"] == "ok"):
            return None
        entry, attempt = entries[-1], attempts(entries)
        payload = _payload(entry)
        mine = record is not None and _is_of(record, entry, payload)
        if not mine and record is not None and record["started"] > (entry.ended or entry.intended):
            return None
        told = (
            _open(entry, payload, record if mine else None) if entry.open else _ended(entry, record if mine else None)
        )
        if told is None or (told[0] == "interrupted" and (record is None or record["state"] == "ok")):
            return None
        word, cause = told
        if word == "interrupted":
            return Told(word, word, "", "")
        count = f", attempt {attempt}" if word in ("failed", "held") or attempt > 1 else ""
        more = see(log, entry.stdout) if word == "failed" else ""
        if word in ("queued", "running") and _outdated(entry, settings):
            more = "; outdated: it will be removed and submitted again"
        return Told(word, f"{cause}{count}{more}", entry.id or "", entry.system)


def see(*logs: str) -> str:
    """Where to look: the first of these files that is there."""
    return next((f"; see {log}" for log in logs if log and Path(log).exists()), "")


def _outdated(entry: Entry, settings: str) -> bool:
    """Whether a job does something else than what is wanted now, by the command that was frozen for it."""
    try:
        command = Path(entry.record.removesuffix(".job.json") + ".sh").read_text(encoding="utf-8")
    except OSError:
        return False
    return shlex.quote(settings) not in command


Words = tuple[Literal["queued", "running", "held", "failed", "interrupted"], str]


def _open(entry: Entry, payload: Mapping[str, Any] | None, record: Mapping[str, Any] | None) -> Words | None:
    """A job whose end nobody has acted upon; ``record`` is its own provenance record, if it has one."""
    if record is not None and record["state"] == "ok":
        return None
    if record is not None and record["state"] == "failed":
        return "failed", str(record["error"])
    job = f"job {entry.id}" if entry.id else "being submitted"
    if payload is None and record is None:
        return "queued", f"{job}, since {entry.intended}"
    if payload is not None and payload.get("state") == "ended":
        cause = payload.get("cause") or _exit(payload)
        return ("failed", f"{job}: {cause}") if cause else None
    began = payload or record or {}
    silent = _silent_min(entry)
    sign = f", no sign of life for {silent} min" if silent > SILENT_MIN else ""
    return "running", f"{job} on {began.get('node') or began.get('host')}, since {began.get('started')}{sign}"


def _ended(entry: Entry, record: Mapping[str, Any] | None) -> Words | None:
    """A job that ended; its outcome, or the error of its stage, which says more."""
    outcome = entry.outcome or {}
    kind, reason = str(outcome.get("kind", "")), str(outcome.get("reason", ""))
    if kind == "completed":
        return None
    if entry.by_pipeline:
        return "interrupted", reason
    if kind == "failed" and record is not None and record["state"] == "failed":
        return "failed", str(record["error"])
    job = f"job {entry.id}" if entry.id else "not submitted"
    if kind == "held":
        return "held", f"{reason or 'no reason given'}; {job} was removed from the queue"
    said = kind.replace("_", " ")
    words = job if kind == "failed" or reason.startswith(said) else f"{job} {said}"
    return "failed", f"{words}: {reason}" if reason else words


def _exit(payload: Mapping[str, Any]) -> str:
    if payload.get("signal"):
        return f"killed by signal {payload['signal']}"
    return f"exit code {payload['exit_code']}" if payload.get("exit_code") else ""


def _is_of(record: Mapping[str, Any], entry: Entry, payload: Mapping[str, Any] | None) -> bool:
    """Whether a provenance record was written by the job of a submission."""
    if record.get("job_id") and entry.id:
        return str(record["job_id"]).partition(".")[0] == entry.id.partition(".")[0]
    # both times are of the job's machine: those of the journal are of another clock
    return payload is not None and record["started"] >= str(payload.get("started", ""))[: len(record["started"])]


def _payload(entry: Entry) -> Mapping[str, Any] | None:
    if not entry.record:
        return None
    try:
        content = json.loads(Path(entry.record).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _silent_min(entry: Entry) -> int:
    try:
        return int((time.time() - Path(entry.record).stat().st_mtime) // 60)
    except OSError:
        return 0


def refuse_second_writer(outputs: Iterable[str] | None = None) -> None:
    """Make sure that no submitted job may still write these outputs (None: any).

    A job counts as ended when that was acted upon, or when its own record says so. One that was told to end does not:
    the batch system may start it again.

    Raises
    ------
    LockedError
        There are such jobs: which ones, and the ways out.
    DataError
        The journal cannot be read.
    """
    wanted = None if outputs is None else set(outputs)
    journal = Journal()
    entries = [entry for entry in journal.open_entries() if wanted is None or entry.target in wanted]
    by_system: dict[str, list[Entry]] = {}
    for entry in entries:
        payload = _payload(entry) or {}
        if payload.get("state") != "ended" or payload.get("cause") == "terminated":
            by_system.setdefault(entry.system, []).append(entry)
    if by_system:
        raise LockedError("; ".join(_ways_out(system, group, journal.token) for system, group in by_system.items()))


def _ways_out(system: str, entries: Sequence[Entry], token: str) -> str:
    shown = ", ".join(f"{entry.id or 'id unknown'} for {entry.target}" for entry in entries[:MOST_SHOWN])
    more = f" and {len(entries) - MOST_SHOWN} more" if len(entries) > MOST_SHOWN else ""
    count, them = ("1 job", "it") if len(entries) == 1 else (f"{len(entries)} jobs", "them")
    return (
        f"{count} may still be in the queue of {system} and write these files: {shown}{more}."
        f" `snakemake --profile {system}` of these files goes on with {them}; Ctrl-C in that run removes {them} and"
        f" notes it, also what was removed by `{_removal(system, entries, token)}`"
    )


def _removal(system: str, entries: Sequence[Entry], token: str) -> str:
    """What removes the jobs without Snakemake."""
    if system == "htcondor":
        queues = sorted({entry.queue for entry in entries if entry.queue})
        where = f" -name {queues[0]}" if len(queues) == 1 else ""
        return f"condor_rm{where} -constraint 'SnpointWorkdir == \"{token}\"'"
    ids = [entry.id for entry in entries if entry.id]
    if len(ids) == len(entries) <= MOST_SHOWN:
        return f"scancel {' '.join(ids)}"
    rows = "squeue --me --noheader --Format=JobID:24,Comment:80"
    return f"{rows} | awk '$2 ~ /^snpoint:{token}:/ {{print $1}}' | xargs -r scancel"


if __name__ == "__main__":
    try:
        refuse_second_writer()
    except SnpointError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_code)
