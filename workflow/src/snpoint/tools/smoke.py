"""``snpoint smoke``: what a job can do, checked inside one."""

from __future__ import annotations

import socket
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from snpoint import provenance
from snpoint.atomic import write_json
from snpoint.errors import ConfigError, MachineError, OutputError, SnpointError
from snpoint.health import job
from snpoint.health.finding import Finding, guarded

FORMAT_VERSION = 1


@click.command("smoke")
@click.option("--output", type=click.Path(path_type=Path), help="Result to write (.json).")
@click.option("--called", default="", help="When the pipeline was called; goes into the result.", metavar="TIME")
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True, help="Cores that were asked for.")
@click.option("--gpus", type=click.IntRange(min=0), default=0, show_default=True, help="GPUs that must work.")
@click.option("--log", type=click.Path(path_type=Path), help="Also write the findings to this file.")
@click.option("--show", type=click.Path(exists=True, path_type=Path), help="Print a result again, check nothing.")
def command(output: Path | None, called: str, threads: int, gpus: int, log: Path | None, show: Path | None) -> None:
    """Check, where this runs, that a job can do its work: imports, folders, cores, memory, GPUs.

    `snakemake --profile htcondor smoke` sends this as one two-minute job through template, queue and back; with
    `--config smoke_gpu=1` the job asks for a GPU.
    """
    if show is not None:
        _show(show, log)
        return
    begin = time.monotonic()
    folder = output.parent if output is not None else Path.cwd()
    findings = [
        *guarded("limits", lambda: job.limits(threads)),
        *guarded("environment", job.environment),
        *guarded("folders", lambda: job.writes(folder)),
        *guarded("imports", job.imports),
        *guarded("gpu", lambda: job.gpus(gpus)),
    ]
    for finding in findings:
        click.echo(str(finding))
    if log is not None:
        _write_log(log, findings)
    _raise(findings)
    if output is not None:
        content = {
            "format_version": FORMAT_VERSION,
            "called": called,
            "host": socket.gethostname(),
            "job_id": job.job_id(),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - begin, 3),
            "checks": [finding.as_json() for finding in findings],
        }
        write_json(output, content)


def _write_log(path: Path, findings: list[Finding]) -> None:
    """A log as the stages write it: the command first."""
    stamp = f"{datetime.now():%Y-%m-%d %H:%M:%S},000"
    lines = [f"{stamp} INFO command: {provenance.command()}", *(f"{stamp} INFO {finding}" for finding in findings)]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror}); check permissions and quota") from error


def _raise(findings: list[Finding]) -> None:
    failed = [finding for finding in findings if finding.level == "FAIL"]
    if not failed:
        return
    text = (
        f"{len(failed)} of {len(findings)} checks failed on {socket.gethostname()}: {failed[0].name}: {failed[0].text}"
    )
    if failed[0].remedy:
        text += f"; {failed[0].remedy}"
    # what is the same on every machine, results that cannot be written or an environment without GPUs, must not look
    # like a broken machine (69): that one is left out for a day
    everywhere: dict[str, type[SnpointError]] = {"results": OutputError, job.NO_SUPPORT: ConfigError}
    raise everywhere.get(failed[0].name, MachineError)(text)


def _show(path: Path, log: Path | None) -> None:
    from snpoint.data.summaries import SUMMARIES, check_summary, read_strict_json

    check_summary(path, SUMMARIES["smoke.json"])
    content = read_strict_json(path)
    findings = [Finding(**check) for check in content["checks"]]
    for finding in findings:
        click.echo(str(finding))
    if log is not None:
        _write_log(log, findings)
    click.echo(
        f"job {content['job_id']} on {content['host']}, {content['seconds']:.0f} s at work{_waited(content)}: {path}"
    )


def _waited(content: dict[str, Any]) -> str:
    """How long the way there took."""
    if not content["called"]:
        return ""
    whole = datetime.fromisoformat(content["finished"]) - datetime.fromisoformat(content["called"])
    return f", done {whole.total_seconds():.0f} s after the call"
