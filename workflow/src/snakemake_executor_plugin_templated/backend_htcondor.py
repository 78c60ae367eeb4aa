"""HTCondor through its Python bindings: one schedd query per poll, whatever the number of jobs."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from .backend import BackendError, Outcome, exit_reason

# JobStatus of the job ClassAd
REMOVED, COMPLETED, HELD = 3, 4, 5

# a job leaves the queue a moment before it appears in the history
LOST_AFTER_S = 300.0

# a Kerberos ticket lives about a day; the stored copy is what the pool hands to jobs
CREDENTIAL_AGE_S = 3600.0

_ATTRIBUTES = [
    "ClusterId",
    "JobStatus",
    "ExitBySignal",
    "ExitCode",
    "ExitSignal",
    "HoldReason",
    "HoldReasonCode",
    "HoldReasonSubCode",
    "RemoveReason",
]


class HTCondor:
    """The schedd that the machine's HTCondor configuration names."""

    def __init__(self, run: str) -> None:
        import htcondor2

        self._condor = htcondor2
        self._run = run
        self._missing_since: dict[str, float] = {}
        self._credential_at: float | None = None
        # only a site that keeps Kerberos credentials has a producer; elsewhere the job would never start
        self.send_credential = bool(htcondor2.param.get("SEC_CREDENTIAL_PRODUCER"))
        try:
            self._schedd = htcondor2.Schedd()
        except Exception as error:  # the bindings raise several unrelated classes
            raise BackendError(
                f"no HTCondor schedd found ({error}): run on a submit node, or set CONDOR_CONFIG to its configuration"
            ) from error

    def submit(self, path: Path, text: str) -> str:
        """Submit one job and return its cluster id."""
        try:
            description = self._condor.Submit(text)
            # put in here and not in the template, because polling relies on it
            description["My.SnpointRun"] = f'"{self._run}"'
            self._store_credential(description)
            return str(self._schedd.submit(description).cluster())
        except Exception as error:
            raise BackendError(f"HTCondor refused {path}: {error}") from error

    def _store_credential(self, description: object) -> None:
        """Store the user's Kerberos credential for the pool, as condor_submit does, at most once per hour."""
        now = time.monotonic()
        if not self.send_credential or (self._credential_at and now - self._credential_at < CREDENTIAL_AGE_S):
            return
        description.issue_credentials()  # type: ignore[attr-defined]
        self._credential_at = now

    def poll(self, ids: Sequence[str]) -> Mapping[str, Outcome]:
        """One query for the run's jobs; one look into the history, only for ids that left the queue."""
        constraint = f'SnpointRun == "{self._run}"'
        queue = {str(ad["ClusterId"]): ad for ad in self._schedd.query(constraint, _ATTRIBUTES)}
        vanished = [job for job in ids if job not in queue]
        if vanished:
            those = " || ".join(f"ClusterId == {job}" for job in vanished)
            ads = self._schedd.history(f"{constraint} && ({those})", _ATTRIBUTES, len(vanished))
            queue |= {str(ad["ClusterId"]): ad for ad in ads}
        outcomes = {job: outcome for job in ids if job in queue and (outcome := _outcome(queue[job]))}
        outcomes |= self._lost([job for job in vanished if job not in queue])
        held = [job for job in outcomes if job in queue and queue[job].get("JobStatus") == HELD]
        if held:
            # reported as failed below, so it must not be released later and write over its successor
            self.cancel(held)
        return outcomes

    def _lost(self, missing: Sequence[str]) -> dict[str, Outcome]:
        now = time.monotonic()
        self._missing_since = {job: self._missing_since.get(job, now) for job in missing}
        return {
            job: Outcome(f"lost: neither in the queue nor in the history for {LOST_AFTER_S:.0f} s")
            for job, since in self._missing_since.items()
            if now - since > LOST_AFTER_S
        }

    def cancel(self, ids: Sequence[str]) -> None:
        """Remove jobs with one request to the schedd."""
        self._schedd.act(self._condor.JobAction.Remove, list(ids), "removed by the pipeline")


def _outcome(ad: Mapping[str, object]) -> Outcome | None:
    """Outcome that a job ClassAd tells, None while the job is waiting or running."""
    status = ad.get("JobStatus")
    if status == HELD:
        code = f"{ad.get('HoldReasonCode', '?')}/{ad.get('HoldReasonSubCode', '?')}"
        return Outcome(
            f"held by HTCondor (code {code}): {ad.get('HoldReason', 'no reason given')}; removed from the queue"
        )
    if status == REMOVED:
        return Outcome(f"removed from the queue: {ad.get('RemoveReason', 'no reason given')}")
    if status != COMPLETED:
        return None
    signal = int(str(ad.get("ExitSignal", 0))) if ad.get("ExitBySignal") else 0
    return Outcome(exit_reason(int(str(ad.get("ExitCode", 0))), signal))
