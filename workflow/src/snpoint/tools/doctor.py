"""``snpoint doctor``: everything that can be wrong before the first submission, one line each."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from snpoint import config, jobrequests, plan, yamlfile
from snpoint.errors import ConfigError, InputMissingError, SnpointError
from snpoint.health import environment, folder, queue
from snpoint.health.finding import Finding, fail, guarded, ok, several, warn
from snpoint.preflight import check_active
from snpoint.site import Site, load_site, load_user, user_file
from snpoint.tools import render

LEVELS = {"ok": "green", "WARN": "yellow", "FAIL": "red"}


@click.command("doctor")
@click.option("--profile", default="htcondor", show_default=True, help="Profile the pipeline will run with.")
@click.option("--quick", is_flag=True, help="Do not try the imports in the job's environment (seconds, on AFS more).")
def command(profile: str, quick: bool) -> None:
    """Check this machine and folder before the first submission: one line per check, with what to do.

    Nothing is submitted and nothing is changed. The exit code is 1 if a check says FAIL: a job would not work. What a
    job finds on a worker is checked by `snakemake --profile htcondor smoke`.
    """
    if not Path("Snakefile").exists():
        raise InputMissingError(f"{Path.cwd()} has no Snakefile; run this in the project folder")
    failed = 0
    for finding in findings(profile, quick):
        failed += finding.level == "FAIL"
        text = str(finding)
        click.echo(click.style(text[:4], fg=LEVELS[finding.level]) + text[4:])
    if failed:
        click.echo(f"\n{failed} to put right before the first submission.")
        sys.exit(1)


def findings(profile: str, quick: bool) -> Iterator[Finding]:
    """All findings, in the order in which they should be put right."""
    content = _profile(profile)
    system, site = content.get("templated-system"), Site()
    batch = system is not None
    yield from guarded("versions", environment.versions)
    yield from guarded("package", environment.package)
    yield from guarded("profiles", folder.profiles)
    if batch:
        read, site = _site(content.get("templated-site"))
        yield from read
    yield from guarded("folder", lambda: folder.place(site, batch))
    yield from guarded("space", folder.space)
    yield from guarded("clock", folder.clock)
    yield from guarded("lock", folder.left_behind)
    yield from guarded("configs", _configs)
    if batch:
        yield from guarded("templates", lambda: _templates(profile))
        yield from _system(str(system), site)
    if not quick:
        yield from guarded("job imports", lambda: environment.in_jobs(site.environment))


def _profile(name: str) -> dict[str, Any]:
    """Content of a profile, also where the link to it is broken.

    Raises
    ------
    ConfigError
        There is none of this name, or it is not YAML.
    """
    return yamlfile.read(render.profile_file(name))


def _site(named: str | None) -> tuple[list[Finding], Site]:
    """Site file of the profile and settings of the user; without a good one, the rest goes on with defaults."""
    found: list[Finding] = []
    site = Site()
    try:
        site = load_site(named)
        found.append(ok("site", f"{site.path}: {site.why}"))
    except SnpointError as error:
        found.append(fail("site", str(error), ""))
    try:
        job = load_user().job
        text = ", ".join(f"{key} {value}" for key, value in job.items()) or "nothing set"
        found.append(ok("user", f"{user_file()}: {text}" if user_file().exists() else f"no {user_file()}: none needed"))
    except SnpointError as error:
        found.append(fail("user", str(error), ""))
    return found, site


def _configs() -> Iterable[Finding]:
    check_active()
    yield ok("configs", several(len(config.active_versions()), "active version"))


def _templates(profile: str) -> Iterable[Finding]:
    """The submit file of every kind of request: of samples, datasets, active versions and pointings."""
    if not config.active_versions():
        raise ConfigError("no version is active, so there is nothing to submit; set `status: active` in one")
    requests = {}
    for node in plan.behind(["all"]):
        if node.stage != "report":
            job = jobrequests.stage_job(node.stage, dict(node.target))
            requests.setdefault(tuple(sorted(jobrequests.resources(job, node.stage).items())), node)
    found = [render.submission(node.owner, node.stage, profile)[1] for node in requests.values()]
    warnings = [warning for warning in found if warning]
    if warnings:
        yield warn("templates", warnings[0], "" if len(warnings) == 1 else f"{len(warnings) - 1} more like this")
    else:
        yield ok("templates", f"{several(len(requests), 'kind')} of request, each with a submit file")


def _system(system: str, site: Site) -> Iterator[Finding]:
    asking, cpu_only = 0, environment.jobs_cpu_only(site.environment)
    with suppress(SnpointError):  # reported by _configs
        asking = sum(config.load_version(task, version).job.gpus > 0 for task, version in config.active_versions())
    checks: list[Callable[[], Iterable[Finding]]] = [lambda: queue.slurm(asking, cpu_only)]
    if system == "htcondor":
        needed = queue.wants_credentials() or queue.on_afs_or_eos(Path.cwd())
        checks = [lambda: queue.htcondor(asking, site.gpu_capability, cpu_only), lambda: queue.ticket(needed)]
    for check in checks:
        yield from guarded(system, check)
