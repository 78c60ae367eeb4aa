"""HTCondor through its Python bindings: the user log first, and at most one schedd query where it does not tell."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from .backend import BackendError, BusyError, Found, Place, Poll, UnclearError
from .bindings import check_expressions, guarded
from .ends import HELD, SPOOLING, outcome_of
from .eventlog import EventLog, Life
from .outcome import Outcome
from .schedd import NoAnswerError, Schedd, slots_with
from .waiting import Waiting

# AFS may show a log late, or never again once a token is gone: a job that the log is silent about is looked up
SILENT_S = 600.0

# a job leaves the queue a moment before it appears in the history
LOST_AFTER_S = 300.0

# clocks of the schedd and of this machine may differ
CLOCK_S = 86_400

# a Kerberos ticket lives about a day; the stored copy is what the pool hands to jobs
CREDENTIAL_AGE_S = 3600.0

# a submission that was not answered: how long the job is looked for, and with which pauses. The schedd serves one
# submission to its end before it answers anybody else, so that its answer is reliable; the second one is for a restart
LOOK_FOR_S, LOOK_EVERY_S = 30.0, 3.0

_ATTRIBUTES = [
    "ClusterId",
    "SnpointKey",
    "JobStatus",
    "ExitBySignal",
    "ExitCode",
    "ExitSignal",
    "HoldReason",
    "HoldReasonCode",
    "HoldReasonSubCode",
    "RemoveReason",
    "LastRemoteHost",
    "NumJobStarts",
    "EnteredCurrentStatus",
]


class HTCondor:
    """A schedd, as one work directory uses it.

    Parameters
    ----------
    place : Place
        The work directory.
    """

    def __init__(self, place: Place) -> None:
        import htcondor2

        self._condor = htcondor2
        self._place = place
        self._mine = f'SnpointWorkdir == "{place.token}"'
        self._log = EventLog(place.event_log)
        self._keys: dict[str, str] = {}
        self._waiting = Waiting(place.unmatched_after_s)
        # by job id: last time that its state was certain, submitted, first missed in the queue
        self._certain: dict[str, float] = {}
        self._submitted: dict[str, float] = {}
        self._missing: dict[str, float] = {}
        # keys of submissions that were reported as not made
        self._disowned: set[str] = set()
        self._credential_at: float | None = None
        self._asked_at = -math.inf
        self.queries = 0
        # only a site that keeps Kerberos credentials has a producer; elsewhere the job would never start
        self.send_credential = bool(htcondor2.param.get("SEC_CREDENTIAL_PRODUCER"))
        try:
            self._schedd = Schedd(place.queue)
        except BackendError as error:
            raise BackendError(_no_schedd(place, error)) from error
        self.queue_name = self._schedd.name
        where = "" if self._schedd.default else f"-name {self.queue_name} "
        self.removal_command = f"condor_rm {where}-constraint '{self._mine}'"

    # -- submission

    def submit(self, path: Path, text: str, key: str) -> str:
        """Submit one job and return its cluster id."""
        with guarded(f"HTCondor refused {path}"):
            check_expressions(self._condor.Submit(text), path)
        # put in here and not in the template, because everything else relies on it
        more = {
            "My.SnpointWorkdir": f'"{self._place.token}"',
            "My.SnpointKey": f'"{key}"',
            "submit_event_notes": key,
        }
        try:
            credential = self._credential_is_due()
            job = self._schedd.submit(text, more, credential=credential)
            if credential:
                self._credential_at = time.monotonic()
        except BusyError as error:
            raise BusyError(f"HTCondor does not take {path} now: {error}") from error
        except NoAnswerError as error:
            job = self._accepted(key, f"HTCondor did not answer the submission of {path}: {error}")
        except BackendError as error:
            raise BackendError(f"HTCondor refused {path}: {error}") from error
        self._keys[job] = key
        self._submitted[job] = time.time()
        self._certain[job] = time.monotonic()
        return job

    def _credential_is_due(self) -> bool:
        """Whether to store the user's Kerberos credential for the pool: as condor_submit does, but once per hour."""
        age = time.monotonic() - (self._credential_at or -CREDENTIAL_AGE_S)
        return self.send_credential and age >= CREDENTIAL_AGE_S

    def _accepted(self, key: str, why: str) -> str:
        """Id of a job whose submission was not answered, if the log, the queue or the history has it."""
        until, answers = time.monotonic() + LOOK_FOR_S, 0
        while (left := until - time.monotonic()) > 0:
            time.sleep(LOOK_EVERY_S)
            self._log.read()
            if life := self._log.by_key.get(key):
                return life.id
            try:
                ads = self._queue(timeout=max(left, 5.0))
                if answers:
                    # it may have ended already
                    ads |= self._history([key], since=time.time())
            except BackendError as error:
                why = f"{why}; {error}" if str(error) not in why else why
                continue
            for job, ad in ads.items():
                if ad["SnpointKey"] == key:
                    return job
            answers += 1
            if answers == 2:
                self._disowned.add(key)
                raise BusyError(f"{why}; the job did not appear in the queue")
        raise UnclearError(f"{why}; it is not known whether the job is in the queue of {self.queue_name}")

    # -- polling

    def poll(self, ids: Sequence[str]) -> Poll:
        """Read the log; ask the schedd only about what the log does not tell."""
        readable = self._log.read()
        self._remove_disowned()
        lives = {job: life for job in ids if (life := self._log.life(job, self._keys.get(job)))}
        outcomes = {job: life.outcome for job, life in lives.items() if life.outcome and not _spooling(life.outcome)}
        held = {job for job in outcomes if lives[job].queued}
        open_ids = [job for job in ids if job not in outcomes]
        notes: list[tuple[str, str]] = []
        now = time.time()
        due = self._waiting.due(self._unstarted(open_ids, lives, now), now)
        if self._may_ask() and (due or not readable or self._silent(open_ids, lives)):
            with _unless(outcomes):
                queue = self._queue(whole=bool(due))
                asked, still_held = self._ask(open_ids, queue)
                outcomes |= asked
                held |= still_held
                never, notes = self._waiting.look(due, queue, slots_with, now)
                outcomes |= never
                held |= never.keys()
        outcomes = self._without_queued(outcomes, [*held])
        return Poll(outcomes, [*notes, *self._waiting.evictions(lives, outcomes)])

    def _may_ask(self) -> bool:
        """Whether the last query is long enough ago."""
        return time.monotonic() - self._asked_at >= self._place.query_every_s

    def _remove_disowned(self) -> None:
        """Remove jobs that came into the queue after all: they would do the same work beside their successors."""
        late = {key: life.id for key in self._disowned if (life := self._log.by_key.get(key)) and life.queued}
        with suppress(BackendError):  # the next poll tries again
            self.cancel(list(late.values()))
            self._disowned -= late.keys()

    def _without_queued(self, outcomes: dict[str, Outcome], queued: Sequence[str]) -> dict[str, Outcome]:
        """Remove given-up jobs from the queue; those that cannot be removed have not ended yet.

        A job reported as ended must not be released or matched later and write over its successor.
        """
        others = {job: outcome for job, outcome in outcomes.items() if job not in queued}
        with _unless(others):
            self.cancel(queued)
            return outcomes
        return others

    def _ask(self, ids: Sequence[str], queue: Mapping[str, Any]) -> tuple[dict[str, Outcome], set[str]]:
        """Ends that the queue and the history know of jobs, and those of them that are held."""
        now = time.monotonic()
        here = {job: queue[job] for job in ids if job in queue}
        vanished = [job for job in ids if job not in queue]
        since = min((self._submitted.get(job, 0.0) for job in vanished), default=0.0)
        ads = here | self._history([self._keys[job] for job in vanished if job in self._keys], since=since)
        outcomes = {job: outcome for job, ad in ads.items() if (outcome := outcome_of(ad))}
        self._certain |= dict.fromkeys(here, now)
        self._missing = {job: self._missing.get(job, now) for job in vanished if job not in outcomes}
        lost = Outcome("vanished", f"neither in the queue nor in the history for {LOST_AFTER_S:.0f} s")
        outcomes |= {job: lost for job, since in self._missing.items() if now - since > LOST_AFTER_S}
        return outcomes, {job for job in outcomes if job in here and here[job].get("JobStatus") == HELD}

    def _silent(self, ids: Iterable[str], lives: Mapping[str, Life]) -> bool:
        """Whether the log has told nothing about one of the jobs for long."""
        now = time.monotonic()
        for job in ids:
            heard = lives[job].heard if job in lives else 0.0
            if job in self._missing or now - max(heard, self._certain.setdefault(job, now)) > SILENT_S:
                return True
        return False

    def _unstarted(self, ids: Iterable[str], lives: Mapping[str, Life], now: float) -> dict[str, float]:
        """Jobs that have never started, as far as the log tells, and since when they wait."""
        return {
            job: life.waiting_since if (life := lives.get(job)) else self._submitted.setdefault(job, now)
            for job in ids
            if job not in lives or not lives[job].starts
        }

    # -- asking

    def _queue(self, *, whole: bool = False, timeout: float | None = None) -> dict[str, Any]:
        """The work directory's jobs in the queue, by id, with one query."""
        self.queries += 1
        self._asked_at = time.monotonic()
        ads = self._schedd.query(self._mine, [] if whole else _ATTRIBUTES, timeout=timeout)
        by_id = {str(ad["ClusterId"]): ad for ad in ads}
        return {job: ad for job, ad in by_id.items() if self._keys.get(job, ad["SnpointKey"]) == ad["SnpointKey"]}

    def _history(self, keys: Sequence[str], *, since: float = 0.0) -> dict[str, Any]:
        """Ads of ended jobs, by id, with one call. The history is read backwards, no further than ``since``."""
        if not keys:
            return {}
        constraint = f'{self._mine} && stringListMember(SnpointKey, "{",".join(keys)}")'
        stop = f"EnteredCurrentStatus < {int(since) - CLOCK_S}" if since else None
        self.queries += 1
        ads = self._schedd.history(constraint, _ATTRIBUTES, len(keys), stop)
        return {str(ad["ClusterId"]): ad for ad in ads}

    # -- starting again, leaving

    def find(self, known: Mapping[str, str | None]) -> Mapping[str, Found]:
        """Jobs in the queue, and the ends of known ones: from the log, then from the history."""
        readable = self._log.read()
        self._keys |= {job: key for key, job in known.items() if job}
        found = {ad["SnpointKey"]: Found(ad["SnpointKey"], job) for job, ad in self._queue().items()}
        for key in known.keys() - found.keys():
            life = self._log.by_key.get(key)
            if life and life.outcome and known[key] in (None, life.id):
                found[key] = Found(key, life.id, life.outcome)
        # what was never submitted is in no log either; looking for it would read the whole history
        rest = sorted(key for key in known.keys() - found.keys() if known[key] or not readable)
        for job, ad in self._history(rest).items():
            found[ad["SnpointKey"]] = Found(ad["SnpointKey"], job, outcome_of(ad))
        self._keys |= {one.id: one.key for one in found.values()}
        return found

    def cancel(self, ids: Sequence[str]) -> None:
        """Remove jobs with one request to the schedd."""
        if ids:
            self._schedd.remove(ids)


def _no_schedd(place: Place, error: BackendError) -> str:
    if not place.queue:
        return f"no HTCondor schedd found ({error}): run on a submit node, or set CONDOR_CONFIG to its configuration"
    return (
        f"jobs of this folder are in the queue of the schedd {place.queue}, which is not found ({error}): start again"
        f" when `condor_status -schedd {place.queue}` shows it; if it is gone for good and its jobs with it, move"
        f" {place.event_log.with_name('jobs.jsonl')} away"
    )


def _spooling(outcome: Outcome) -> bool:
    return outcome.hold_code == SPOOLING


@contextmanager
def _unless(known: Mapping[str, Outcome]) -> Iterator[None]:
    """Pass over that the batch system does not answer, if something is known to report; else the caller hears of it."""
    try:
        yield
    except BackendError:
        if not known:
            raise
