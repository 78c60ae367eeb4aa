"""From a Snakemake job to the files that are submitted: wrapper, submit file, and the copy beside the results."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import snpoint
from snpoint.journal import FOLDER, Entry, Journal, new_key
from snpoint.site import Site, UserSettings

from .reattach import driver
from .retries import memory_to_ask
from .wrapper import PayloadOptions, wrapper_text

if TYPE_CHECKING:
    from snakemake.jobs import Job

    from .render import JobFields

KEPT_S = 30 * 86400.0
LARGEST_LOG_BYTES = 20_000_000


@dataclass(frozen=True)
class Files:
    """The files of one submission, in the run's folder."""

    wrapper: Path
    stdout: Path
    record: Path
    submit: Path


class Submissions:
    """Writes the files of jobs for one batch system and one site.

    Parameters
    ----------
    system : str
        ``htcondor`` or ``slurm``.
    template : Path
        Jinja template of the submit file.
    site : Site
        Ceilings, environment and defaults.
    user : UserSettings
        Who is charged.
    workdir : Path
        Where the jobs run.
    send_credential : bool
        Whether the pool wants the user's credential.
    """

    def __init__(
        self, system: str, template: Path, site: Site, user: UserSettings, workdir: Path, send_credential: bool
    ) -> None:
        self.system = system
        self.template = template
        self.site = site
        self.user = user
        self.workdir = workdir
        self.send_credential = send_credential
        self.event_log = workdir / FOLDER / "events.log"
        self.folder = workdir / FOLDER / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"

    @property
    def ceiling_mb(self) -> int | None:
        """The most memory that the site gives to a job."""
        most = self.site.ceiling.memory_gb
        return None if most is None else round(most * 1000)

    def files(self, job: Job) -> Files:
        """Paths of a job's files; a name is used once, also by another attempt."""
        from .render import SUFFIXES

        stem, attempt = f"{job_name(job)}.{job.jobid}", 1
        while (self.folder / f"{stem}.{attempt}.sh").exists():
            attempt += 1
        ends = (".sh", ".out", ".job.json", SUFFIXES[self.system])
        return Files(*(self.folder / f"{stem}.{attempt}{end}" for end in ends))

    def fields(self, job: Job, files: Files, past: Sequence[Entry] = (), excluded: Sequence[str] = ()) -> JobFields:
        """Checked fields of a job; what earlier attempts (``past``) have shown is taken into account.

        Raises
        ------
        snpoint.errors.ConfigError
            A request is wrong, above the site's ceiling, or the most that the site gives was not enough.
        """
        from .render import check_ceiling, fields_from

        request = job.resources.get("mem_mb")
        memory = memory_to_ask(request, past, self.ceiling_mb) if isinstance(request, int) else request
        fields = fields_from(
            job.resources,
            job.threads,
            name=job_name(job),
            wrapper=str(files.wrapper),
            log=str(self.event_log),
            stdout=str(files.stdout),
            send_credential=self.send_credential,
            defaults=self.user.defaults(self.site),
            excluded_nodes=excluded,
            mem_mb=memory,
        )
        check_ceiling(fields, self.site)
        return fields

    def text(self, fields: JobFields) -> str:
        """The checked submit file of a job.

        Raises
        ------
        snpoint.errors.ConfigError
            The template or what it makes is wrong.
        """
        from .render import render
        from .submitcheck import check

        text = render(self.template, fields)
        check(self.system, text, str(self.template), self.site.attributes)
        return text

    def write(self, job: Job, files: Files, fields: JobFields) -> tuple[str, str]:
        """Write wrapper and submit file; return the submit file's text and the path of its copy beside the results.

        Raises
        ------
        snpoint.errors.ConfigError
            The template or what it makes is wrong.
        """
        text = self.text(fields)
        self.folder.mkdir(parents=True, exist_ok=True)
        files.wrapper.write_text(self._wrapper(job, files, fields), encoding="utf-8")
        files.wrapper.chmod(0o755)
        files.submit.write_text(text, encoding="utf-8")
        return text, keep_copy(job, text, files.submit.suffix)

    def entry(self, job: Job, files: Files, fields: JobFields, copy: str, queue: str) -> Entry:
        """What the journal is told about a submission."""
        digest = work_digest(job)
        return Entry(
            key=new_key(),
            target=target_of(job),
            name=job_name(job),
            system=self.system,
            digest=digest,
            guard=guard_digest(digest),
            request_mb=job.resources.get("mem_mb") or 0,
            mem_mb=fields.mem_mb,
            max_segments=fields.max_segments,
            submit=copy or str(files.submit),
            stdout=str(files.stdout),
            record=str(files.record),
            log=str(next(iter(job.log), "")),
            driver=driver(),
            queue=queue,
        )

    def tidy(self, journal: Journal) -> None:
        """Remove what nobody needs any more: folders of old runs, and a long event log while no job is in the queue."""
        opened = {Path(entry.record).parent.name for entry in journal.open_entries() if entry.record}
        for folder in self.folder.parent.glob("*-*"):
            if folder.name not in opened and time.time() - folder.stat().st_mtime > KEPT_S:
                shutil.rmtree(folder, ignore_errors=True)
        if opened:
            return
        if journal.path.exists() and journal.path.stat().st_size > LARGEST_LOG_BYTES:
            journal.compact()
        if self.event_log.exists() and self.event_log.stat().st_size > LARGEST_LOG_BYTES:
            self.event_log.replace(self.event_log.with_name("events.old.log"))

    def _wrapper(self, job: Job, files: Files, fields: JobFields) -> str:
        environment, payload = self.site.environment, self.site.payload
        # not resolved: in a virtual environment the link is what makes it one
        folder = Path(environment.bin) if environment.bin else Path(sys.executable).parent
        passed = {name: os.environ[name] for name in environment.passed if name in os.environ}
        return wrapper_text(
            job.shellcmd,
            workdir=self.workdir,
            bin_folder=folder,
            threads=job.threads,
            environment=passed | dict(environment.set),
            setup=environment.setup,
            payload=PayloadOptions(
                record=files.record,
                logs=[self.workdir / str(log) for log in job.log],
                python=folder / "python",
                stdout_bytes=round(payload.stdout_mb * 1e6),
                heartbeat_s=payload.heartbeat_s,
                no_progress_s=payload.no_progress_min * 60,
                limit_s=fields.runtime_min * 60,
                warn_s=payload.warn_s,
            ),
        )


def target_of(job: Job) -> str:
    """What a job is for: its first output."""
    return str(job.output[0]) if job.output else job_name(job)


def work_digest(job: Job) -> str:
    """Digest of what a job does: its finished shell command, and its inputs' sizes and times."""
    return _sha256([job.shellcmd, sorted(_identity(str(path)) for path in job.input)])


def guard_digest(work: str) -> str:
    """Digest of what a job does and of the package's code: after a failure, something of it has to change."""
    return _sha256([work, _code_digest()])


def _identity(path: str) -> list[Any]:
    try:
        found = Path(path).stat()
    except OSError:
        return [path, None, None]
    # whole seconds: file systems show parts of them differently on different machines
    return [path, found.st_size, int(found.st_mtime)]


@cache
def _code_digest() -> str:
    folder = Path(snpoint.__file__).parent
    files = sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return _sha256([[str(path.relative_to(folder)), hashlib.sha256(path.read_bytes()).hexdigest()] for path in files])


def _sha256(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()[:32]


def job_name(job: Job) -> str:
    """Rule and wildcard values, as they may stand in a queue listing and in a file name."""
    parts = [job.name, *(str(value) for value in job.wildcards_dict.values())]
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", ".".join(parts))[:80]


def keep_copy(job: Job, text: str, suffix: str) -> str:
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
        return str(copy)
    return ""
