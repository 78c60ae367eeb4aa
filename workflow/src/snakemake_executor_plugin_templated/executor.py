"""The executor: submits the finished shell commands of jobs, asks once per poll about all of them, reports their ends.

A job never starts a second Snakemake. Its command is frozen at submission and its exit code arrives unchanged, whatever
is edited while it waits in the queue. What a second Snakemake would do in the job is done here instead: output and log
folders are made and stale outputs removed before the submission, outputs are checked and recorded after the end.

Every submission is in the journal (`snpoint.journal`), so that a pipeline that starts again finds its jobs
(`reattach`) and knows how often and why a job has failed before (`retries`).
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snakemake.exceptions import RuleException
from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor

from snpoint import lock
from snpoint.errors import SnpointError
from snpoint.journal import BY_PIPELINE, FOLDER, Entry, Journal
from snpoint.site import load_site, load_user
from snpoint.submissions import refuse_second_writer

from . import interrupts
from .backend import Backend, BackendError, BusyError, Place, UnclearError
from .ending import Ends, veto
from .outcome import Outcome
from .patience import Patience
from .reattach import Reattachment, left_behind, queue_of
from .refusals import refuse_folder, refuse_misspelt, refuse_unsupported
from .retries import excluded_nodes, for_a_reason_of_its_own
from .submission import Submissions, guard_digest, target_of, work_digest

if TYPE_CHECKING:
    from snakemake.jobs import Job


class Executor(RemoteExecutor):
    """Runs the jobs of a workflow on HTCondor or SLURM."""

    def __init__(self, workflow: Any, logger: Any) -> None:
        # the parent's constructor starts the polling thread: everything that thread uses exists before
        self._submitted: dict[str, SubmittedJobInfo] = {}
        self._guard = threading.Lock()
        self._polls = 0
        self._leaving = False
        super().__init__(workflow, logger)

    def __post_init__(self) -> None:
        settings = self.workflow.executor_settings
        self._system = settings.system
        self._repeat_failed = settings.repeat_failed
        template, workdir = Path(settings.template), Path.cwd()
        try:
            site, user = load_site(settings.site), load_user()
            refuse_folder(workdir, site)
            if not template.is_file():
                raise WorkflowError(f"--templated-template {template}: no such file (looked in {workdir})")
            jobs = [job for job in self.dag.needrun_jobs() if not job.is_local]
            for job in jobs:
                refuse_unsupported(job)
            self._journal = Journal()
            self._backend = self._make_backend(site.unmatched_after_min * 60, site.query_every_s)
            self._submissions = Submissions(
                self._system, template, site, user, workdir, send_credential=self._backend.send_credential
            )
            self._ends = Ends(self._journal, self._submissions.ceiling_mb)
            self._check_requests(jobs)
            self._submissions.tidy(self._journal)
            lock.claim()
            wanted = {target_of(job) for job in jobs}
            refuse_second_writer(
                wanted & {entry.target for entry in self._journal.open_entries() if entry.system != self._system}
            )
            self._reattachment = Reattachment(self._journal, self._backend, self._system, wanted, self.logger)
        except (SnpointError, BackendError, ImportError, OSError, WorkflowError) as error:
            # raised, it would come with lines of this file's code
            self.logger.error(f"error: {error}")
            sys.exit(getattr(error, "exit_code", 1))

    def _make_backend(self, unmatched_after_s: float, query_every_s: float) -> Backend:
        """The batch system: the very queue that has jobs of this folder, where there are any."""
        log = Path.cwd() / FOLDER / "events.log"
        queue = queue_of(left_behind(self._journal, self._system))
        return make_backend(self._system, Place(self._journal.token, log, unmatched_after_s, queue, query_every_s))

    def _check_requests(self, jobs: Sequence[Job]) -> None:
        """Refuse what the site never gives before anything is submitted; say once per rule where memory buys cores."""
        from .render import memory_warning

        seen, warned = set(), set()
        for job in jobs:
            if not all(isinstance(job.resources.get(name, 0), int) for name in ("mem_mb", "disk_mb", "runtime")):
                continue  # depends on inputs that are not made yet; checked when it is submitted
            refuse_misspelt(job)
            fields = self._submissions.fields(job, self._submissions.files(job))
            if job.rule.name not in seen:
                # a wrong template is wrong for all: one rendering for each kind of job finds it
                self._submissions.text(fields)
                seen.add(job.rule.name)
            warning = memory_warning(fields, self._submissions.site)
            if warning and job.rule.name not in warned:
                warned.add(job.rule.name)
                self.logger.warning(f"{fields.name}: {warning}")

    # -- submission

    def run_job(self, job: Job) -> None:
        """Submit a job, or take up the one that an earlier pipeline has left in the queue."""
        # the cause of an end decides about another try, not Snakemake's counting
        job.rule.restart_times = 1
        info = SubmittedJobInfo(job)
        try:
            refuse_unsupported(job)
            digest = work_digest(job)
            left = self._reattachment.take(target_of(job), digest)
            if left is not None and self._take_up(info, *left):
                return
            if self._reattachment.finished(target_of(job), digest, [str(path) for path in job.output]):
                self.logger.info(f"Job {job.jobid} ({job.name}) had ended well when the pipeline was stopped.")
                self.report_job_success(info)
                return
            self._refuse_repetition(job, digest)
            # makes output and log folders and removes stale outputs, which Snakemake leaves to the job
            self.workflow.async_run(job.prepare())
            entry = self._submit(job, info)
        except (WorkflowError, RuleException, SnpointError, BackendError, OSError) as error:
            veto(job)
            if isinstance(error, BackendError):
                # perhaps a job is at work for these very files: Snakemake must not clean up after it
                self.workflow.execution_settings.keep_incomplete = True
            unclear = isinstance(error, UnclearError)
            self.report_job_error(info, msg=f"{'not known whether ' if unclear else 'not '}submitted: {error}")
            return
        self.logger.info(f"Job {job.jobid} ({entry.name}) submitted to {self._system}: {info.external_jobid}")
        self.report_job_submission(info)

    def _submit(self, job: Job, info: SubmittedJobInfo) -> Entry:
        past = self._journal.of(target_of(job))
        files = self._submissions.files(job)
        fields = self._submissions.fields(job, files, past, excluded_nodes(self._journal.entries.values()))
        text, copy = self._submissions.write(job, files, fields)
        patience = Patience(self.logger, self._system)
        while True:
            entry = self._submissions.entry(job, files, fields, copy, self._backend.queue_name)
            with interrupts.deferred(self._way_out):
                self._journal.intend(entry)
                try:
                    info.external_jobid = self._backend.submit(files.submit, text, entry.key)
                except UnclearError:
                    raise  # the intent stays open: a restart looks for the job
                except BackendError as error:
                    self._journal.ended(
                        entry.key, Outcome("removed", f"{BY_PIPELINE}: not submitted: {error}").as_json()
                    )
                    if not isinstance(error, BusyError):
                        raise
                    busy = error
                else:
                    # first, so that Ctrl-C removes it even if the journal cannot be written
                    self._follow(info, entry)
                    self._note_id(entry, info.external_jobid)
                    return entry
            patience.wait(busy, others=bool(self._submitted))

    def _note_id(self, entry: Entry, job: str) -> None:
        """Write an id down. Where that fails the job goes on all the same: its key leads to it."""
        try:
            self._journal.submitted(entry.key, job)
        except SnpointError as error:
            self.logger.warning(f"the id of job {job} cannot be recorded: {error}")

    @property
    def _way_out(self) -> str:
        command = self._backend.removal_command
        return f"Left at once. To remove the jobs: {command}; then: snpoint unlock"

    def _follow(self, info: SubmittedJobInfo, entry: Entry) -> None:
        info.aux = {"key": entry.key}
        with self._guard:
            self._submitted[str(info.external_jobid)] = info

    def _take_up(self, info: SubmittedJobInfo, entry: Entry, outcome: Outcome | None) -> bool:
        """Wait for a job of an earlier pipeline, or report what became of it. False if it has to be done again."""
        info.external_jobid = entry.id
        info.aux = {"key": entry.key}
        what = f"Job {info.job.jobid} ({entry.name})"
        if outcome is None:
            self.logger.info(f"{what} is in the queue of {self._system} since {entry.intended}: {entry.id}")
            self._follow(info, entry)
            self.report_job_submission(info)
            return True
        self.logger.info(f"{what} has ended while nobody looked: {self._system} {entry.id}")
        if outcome.ok and not self._outputs_appear(info.job):
            self.logger.info(f"{what}: its results are gone, so it is done again.")
            self._journal.ended(entry.key, outcome.as_json())
            return False
        if not self._reported(info, outcome):
            self._follow(info, entry)
            self.report_job_submission(info)
        return True

    def _outputs_appear(self, job: Job) -> bool:
        """Whether all outputs are there, or become visible within the time that the file system is given for that."""
        deadline = time.monotonic() + self.workflow.execution_settings.latency_wait
        while not all(os.path.lexists(str(path)) for path in job.output):
            if time.monotonic() > deadline:
                return False
            time.sleep(1)
        return True

    def _refuse_repetition(self, job: Job, digest: str) -> None:
        """Refuse to do once more what must end the same way."""
        past = [entry for entry in self._journal.of(target_of(job)) if not entry.open and not entry.by_pipeline]
        if self._repeat_failed or not past or not for_a_reason_of_its_own(past[-1].outcome or {}):
            return
        last = past[-1]
        if last.guard == guard_digest(digest):
            raise WorkflowError(
                f"it has failed at {last.ended} ({(last.outcome or {}).get('reason')}; see {last.log or last.stdout}),"
                " and neither its settings nor its inputs nor the code have changed since. Mend the cause, or try the"
                " same again with --templated-repeat-failed"
            )

    # -- polling

    async def check_active_jobs(self, active_jobs: list[SubmittedJobInfo]) -> AsyncGenerator[SubmittedJobInfo, None]:
        """Ask once about all jobs, report the ended ones and yield the others."""
        if not active_jobs:
            return
        lock.touch()
        self._polls += 1
        by_id = {str(info.external_jobid): info for info in active_jobs}
        outcomes: dict[str, Outcome] = {}
        try:
            poll = self._backend.poll(list(by_id))
            outcomes = dict(poll.outcomes)
            for job, note in poll.notes:
                self.logger.info(f"Job {by_id[job].job.jobid} ({self._system} {job}): {note}")
        except Exception as error:  # noqa: BLE001  # whatever it is: raised here, it would leave the jobs to themselves
            self.logger.warning(f"{self._system} could not be asked about the jobs, next try follows: {error}")
        for job, info in by_id.items():
            if job not in outcomes or self._leaving or not self._reported(info, outcomes[job]):
                yield info

    def _reported(self, info: SubmittedJobInfo, outcome: Outcome) -> bool:
        """Report an end. False if it cannot be written down (a lost ticket, a full disk): the next poll tries again."""
        try:
            self._report(info, outcome)
        except Exception as error:  # noqa: BLE001  # raised here, it would end the polling
            self.logger.warning(f"the end of job {info.external_jobid} cannot be recorded, next try follows: {error}")
            return False
        return True

    def _report(self, info: SubmittedJobInfo, outcome: Outcome) -> None:
        """Write an end down, decide what follows from it, tell Snakemake."""
        job = info.job
        logs = [Path(str(log)) for log in job.log]
        end = self._ends.settle(info.aux["key"], outcome, logs)
        with self._guard:
            self._submitted.pop(str(info.external_jobid), None)
        if end.again:
            job.attempt = 1
        else:
            veto(job)  # of a success, too: an output that is missing after all is no reason for another try
        if end.outcome.ok:
            self.report_job_success(info)
        else:
            self.report_job_error(info, msg=end.message, aux_logs=[end.stdout])

    def print_job_error(self, job_info: SubmittedJobInfo, msg: str | None = None, **kwargs: Any) -> None:
        """Show the message as it is; the parent would add a hint at logs whose end it already carries."""
        if job_info.external_jobid is not None:
            kwargs["external_jobid"] = job_info.external_jobid
        job_info.job.log_error(msg, **kwargs)

    async def sleep(self) -> None:
        """Wait for the next poll, but not when everything is over."""
        import asyncio

        until = time.monotonic() + self.next_seconds_between_status_checks
        while self.wait and (left := until - time.monotonic()) > 0:
            await asyncio.sleep(min(left, 0.5))

    # -- end

    def shutdown(self) -> None:
        """Stop polling; say what goes on, and how often the batch system was asked."""
        super().shutdown()
        if self._submitted:
            self.logger.error(
                f"{len(self._submitted)} jobs go on in the queue of {self._system}. Start again and they are taken up;"
                f" to remove them: {self._backend.removal_command}"
            )
        self.logger.debug(f"{self._system}: {self._polls} polls, {self._backend.queries} queries")

    def cancel(self) -> None:
        """Remove all jobs of this run, and those of earlier ones that it would have waited for.

        Snakemake calls this at Ctrl-C, and when it has met an error of its own (a lost ticket, a full disk): then the
        jobs go on, and the next call waits for them.
        """
        if not isinstance(sys.exception(), KeyboardInterrupt | SystemExit):
            self.shutdown()
            return
        self._leaving = True
        with interrupts.leaving_at_once(self._way_out):
            # in a thread of its own: a schedd that does not answer must not keep the second Ctrl-C from being heard
            worker = threading.Thread(target=self._remove_all, daemon=True)
            worker.start()
            while worker.is_alive():
                worker.join(0.2)
            self.shutdown()

    def _remove_all(self) -> None:
        with self._guard:
            ids = {info.aux["key"]: job for job, info in self._submitted.items()}
        ids |= {entry.key: str(entry.id) for entry in self._reattachment.left()}
        if not ids:
            return
        try:
            self._backend.cancel(list(ids.values()))
        except Exception as error:  # noqa: BLE001  # the way out must not fail; what is left is named
            self.logger.error(
                f"{self._system} did not remove the jobs: {error}; remove them by hand: {self._backend.removal_command}"
            )
            return
        with self._guard:
            self._submitted.clear()
        self.logger.info(f"Removed {len(ids)} jobs from {self._system}.")
        with suppress(SnpointError):  # a restart finds them removed
            for key in ids:
                self._journal.ended(key, Outcome("removed", f"{BY_PIPELINE}, which was interrupted").as_json())

    def cancel_jobs(self, active_jobs: Sequence[SubmittedJobInfo]) -> None:
        """Remove jobs from the queue with one call."""
        if active_jobs:
            self._backend.cancel([str(info.external_jobid) for info in active_jobs])


def make_backend(system: str, place: Place) -> Backend:
    """The batch system's backend; only the one asked for is imported."""
    if system == "htcondor":
        from .backend_htcondor import HTCondor

        return HTCondor(place)
    from .backend_slurm import Slurm

    return Slurm(place)
