"""The executor: submits the finished shell commands of jobs, asks once per poll about all of them, reports their ends.

A job never starts a second Snakemake. Its command is frozen at submission and its exit code arrives unchanged, whatever
is edited while it waits in the queue. What a second Snakemake would do in the job is done here instead: output and log
folders are made and stale outputs removed before the submission, outputs are checked and recorded after the end.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snakemake.exceptions import RuleException
from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor
from snakemake_interface_executor_plugins.settings import ExecutorSettingsBase

from snpoint.errors import SnpointError

from .backend import Backend, BackendError, Outcome
from .wrapper import PASSED_VARIABLES, wrapper_text

if TYPE_CHECKING:
    from snakemake.jobs import Job

SYSTEMS = ("htcondor", "slurm")
FOLDER = Path(".snakemake/templated")
TAIL_LINES = 20
TAIL_BYTES = 8000


@dataclass
class ExecutorSettings(ExecutorSettingsBase):
    """Options ``--templated-system`` and ``--templated-template``."""

    system: str | None = field(
        default=None,
        metadata={"help": "Batch system to submit to.", "required": True, "choices": list(SYSTEMS), "type": str},
    )
    template: str | None = field(
        default=None,
        metadata={"help": "Jinja template of the submit file.", "required": True, "metavar": "FILE", "type": str},
    )


class Executor(RemoteExecutor):
    """Runs the jobs of a workflow on HTCondor or SLURM."""

    def __init__(self, workflow: Any, logger: Any) -> None:
        # the parent's constructor starts the polling thread: everything that thread uses exists before
        self._submitted: dict[str, SubmittedJobInfo] = {}
        self._guard = threading.Lock()
        self._backend: Backend | None = None
        super().__init__(workflow, logger)

    def __post_init__(self) -> None:
        settings = self.workflow.executor_settings
        self._template = Path(settings.template)
        self._workdir = Path.cwd()
        self._run_name = f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
        self._folder = self._workdir / FOLDER / self._run_name
        self._system = settings.system
        _refuse_folder(self._workdir)
        if not self._template.is_file():
            raise WorkflowError(f"--templated-template {self._template}: no such file (looked in {self._workdir})")
        for job in self.dag.needrun_jobs():
            if not job.is_local:
                refuse_unsupported(job)
        try:
            self._backend = make_backend(self._system, self._run_name)
        except (BackendError, ImportError) as error:
            raise WorkflowError(f"--templated-system {self._system}: {error}") from error
        self._folder.mkdir(parents=True)

    # -- submission

    def run_job(self, job: Job) -> None:
        """Prepare a job's folders, write wrapper and submit file, submit."""
        info = SubmittedJobInfo(job)
        try:
            refuse_unsupported(job)
            # makes output and log folders and removes stale outputs, which Snakemake leaves to the job
            self.workflow.async_run(job.prepare())
            path, text = self._write_files(job, info)
            with interrupts_deferred():
                info.external_jobid = self._backend.submit(path, text)
                with self._guard:
                    self._submitted[info.external_jobid] = info
        except (WorkflowError, RuleException, SnpointError, BackendError, OSError) as error:
            self.report_job_error(info, msg=f"not submitted: {error}")
            return
        self.logger.info(f"Job {job.jobid} ({job_name(job)}) submitted to {self._system}: {info.external_jobid}")
        self.report_job_submission(info)

    def _write_files(self, job: Job, info: SubmittedJobInfo) -> tuple[Path, str]:
        from .render import SUFFIXES, fields_from, render

        name = job_name(job)
        stem = self._folder / f"{name}.{job.jobid}.{job.attempt}"
        wrapper, stdout, submit = (stem.with_name(stem.name + end) for end in (".sh", ".out", SUFFIXES[self._system]))
        fields = fields_from(
            job.resources,
            job.threads,
            name=name,
            wrapper=str(wrapper),
            log=str(self._folder / "events.log"),
            stdout=str(stdout),
            send_credential=self._backend.send_credential,
        )
        text = render(self._template, fields)
        environment = {key: os.environ[key] for key in PASSED_VARIABLES if key in os.environ} | self.envvars()
        script = wrapper_text(
            job.shellcmd,
            workdir=self._workdir,
            # not resolved: in a virtual environment the link is what makes it one
            bin_folder=Path(sys.executable).parent,
            threads=job.threads,
            environment=environment,
        )
        wrapper.write_text(script, encoding="utf-8")
        wrapper.chmod(0o755)
        submit.write_text(text, encoding="utf-8")
        _keep_copy(job, text, submit.suffix)
        info.aux = {"stdout": stdout}
        return submit, text

    # -- polling

    async def check_active_jobs(self, active_jobs: list[SubmittedJobInfo]) -> AsyncGenerator[SubmittedJobInfo, None]:
        """Ask once about all jobs, report the ended ones and yield the others."""
        if not active_jobs:
            return
        try:
            outcomes = self._backend.poll([info.external_jobid for info in active_jobs])
        except Exception as error:  # noqa: BLE001  # whatever it is: raised here, it would leave the jobs to themselves
            self.logger.warning(f"{self._system} could not be asked about the jobs, next try follows: {error}")
            outcomes = {}
        for info in active_jobs:
            outcome = outcomes.get(info.external_jobid)
            if outcome is None:
                yield info
            else:
                self._report(info, outcome)

    def _report(self, info: SubmittedJobInfo, outcome: Outcome) -> None:
        with self._guard:
            self._submitted.pop(info.external_jobid, None)
        if outcome.ok:
            self.report_job_success(info)
            return
        stdout = info.aux["stdout"]
        tails = [text for path in (*info.job.log, stdout) if (text := tail(Path(path)))]
        self.report_job_error(info, msg="\n".join([outcome.reason, *tails]), aux_logs=[str(stdout)])

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

    def cancel(self) -> None:
        """Remove all jobs, those included that a poll in progress holds (the parent's list is empty meanwhile)."""
        with interrupts_deferred(drop=True):
            with self._guard:
                infos = list(self._submitted.values())
            self.cancel_jobs(infos)
            self.shutdown()

    def cancel_jobs(self, active_jobs: Sequence[SubmittedJobInfo]) -> None:
        """Remove jobs from the queue with one call."""
        ids = [info.external_jobid for info in active_jobs]
        if not ids:
            return
        try:
            self._backend.cancel(ids)
        except Exception as error:  # noqa: BLE001  # the way out must not fail; what is left is named
            self.logger.error(f"{self._system} did not remove the jobs {' '.join(ids)}: {error}; remove them by hand")
        else:
            self.logger.info(f"Removed {len(ids)} jobs from {self._system}.")


def make_backend(system: str, run: str) -> Backend:
    """The batch system's backend; only the one asked for is imported."""
    if system == "htcondor":
        from .backend_htcondor import HTCondor

        return HTCondor(run)
    from .backend_slurm import Slurm

    return Slurm(run)


def _refuse_folder(workdir: Path) -> None:
    if re.search(r"\s", str(workdir)):
        raise WorkflowError(
            f"the workflow folder {str(workdir)!r} contains a space, which submit files cannot carry: "
            "move the folder or rename it"
        )


def refuse_unsupported(job: Job) -> None:
    """Raise a WorkflowError if a job needs what only a Snakemake inside the job could do."""
    directives = {
        "group": job.is_group() or job.group is not None,
        "pipe or service": not job.is_group() and (job.is_pipe or job.is_service),
        "shadow": not job.is_group() and job.is_shadow,
        "benchmark": not job.is_group() and job.benchmark is not None,
        "script": not job.is_group() and job.is_script,
        "run": not job.is_group() and job.is_run,
        "notebook, wrapper, cwl or template_engine": not job.is_group()
        and (job.is_notebook or job.is_wrapper or job.is_cwl or job.is_template_engine),
    }
    refused = [name for name, used in directives.items() if used]
    if refused:
        raise WorkflowError(
            f"rule {job.name} uses {', '.join(refused)}, which --executor templated does not support: "
            "use a shell: directive with one command, or list the rule under localrules"
        )


def job_name(job: Job) -> str:
    """Rule and wildcard values, as they may stand in a queue listing and in a file name."""
    parts = [job.name, *(str(value) for value in job.wildcards_dict.values())]
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", ".".join(parts))[:80]


def _keep_copy(job: Job, text: str, suffix: str) -> None:
    """Copy of the submit file beside the results: ``<folder>/logs/x.log`` -> ``<folder>/jobs/x.<attempt><suffix>``."""
    for log in list(job.log)[:1]:
        path = Path(log)
        folder = path.parent.parent / "jobs" if path.parent.name == "logs" else path.parent / "jobs"
        folder.mkdir(parents=True, exist_ok=True)
        # attempts are counted over all runs of the pipeline, so that no record is overwritten
        attempt = 1
        while (copy := folder / f"{path.stem}.{attempt}{suffix}").exists():
            attempt += 1
        copy.write_text(text, encoding="utf-8")


def tail(path: Path) -> str:
    """Last lines of a log with a heading, empty if there are none; however long the file, little of it is read."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL_BYTES))
            text = file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
    lines = text.rstrip().splitlines()[-TAIL_LINES:]
    return "\n".join([f"        end of {path}:", *(f"        | {line}" for line in lines)]) if lines else ""


@contextmanager
def interrupts_deferred(drop: bool = False) -> Iterator[None]:
    """Hold Ctrl-C back until the block is left, so that no job is in the queue without being known here."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pending: list[int] = []
    previous = signal.signal(signal.SIGINT, lambda number, frame: pending.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
    if pending and not drop:
        raise KeyboardInterrupt
