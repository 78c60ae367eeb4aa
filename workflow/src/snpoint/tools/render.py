"""``snpoint render``: the submit file of one job, as the executor would write it, without submitting anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from snpoint import config, jobrequests, paths, yamlfile
from snpoint.errors import ConfigError, UsageError, shown
from snpoint.health.queue import bindings, wants_credentials
from snpoint.journal import FOLDER
from snpoint.site import load_site, load_user
from snpoint.validation import nearest

FIRST = paths.chunk_name(0)


@click.command("render")
@click.argument("target")
@click.argument("stage")
@click.option("--profile", default="htcondor", show_default=True, help="Profile whose template is rendered.")
def command(target: str, stage: str, profile: str) -> None:
    """Print the submit file of STAGE of TARGET, and submit nothing.

    TARGET is task/version (train, evaluate, likelihood, interpret, predict), samples/NAME (simulate, match, cluster),
    datasets/NAME (image, dataset) or point/NAME (point). Of a stage with many jobs the first one is shown. The site
    file of the profile and your own settings are in it; options of the call (--default-resources) are not.

    For example: snpoint render electron_direction/v0 train --profile slurm
    """
    text, warning = submission(target, stage, profile)
    if warning:
        click.echo(f"warning: {warning}", err=True)
    click.echo(text, nl=False)


def submission(target: str, stage: str, profile: str) -> tuple[str, str | None]:
    """Text of the submit file of one stage of a version, sample, dataset or pointing, and a warning if there is one.

    Raises
    ------
    UsageError
        There is no such kind of target, or it has no such stage.
    ConfigError
        The profile, its template or its site file is wrong, the target does not exist or asks for more than the site
        gives.
    """
    from snakemake_executor_plugin_templated.render import SUFFIXES, check_ceiling, fields_from, memory_warning, render
    from snakemake_executor_plugin_templated.submitcheck import check

    content = read_profile(profile)
    template, system = content["templated-template"], content.get("templated-system")
    if system not in SUFFIXES:
        raise ConfigError(f"profile '{profile}': templated-system {shown(system)}; {nearest(str(system), SUFFIXES)}")
    wildcards = job_wildcards(target, stage)
    resources = jobrequests.resources(jobrequests.stage_job(stage, wildcards), stage)
    name = ".".join((stage, *wildcards.values())).replace("/", "_")
    site = load_site(content.get("templated-site"))
    folder = Path.cwd() / FOLDER
    fields = fields_from(
        default_resources(content) | {key: resources[key] for key in jobrequests.resource_names(stage)},
        resources["threads"],
        name=name,
        wrapper=str(folder / "RUN" / f"{name}.sh"),
        log=str(folder / "events.log"),
        stdout=str(folder / "RUN" / f"{name}.out"),
        send_credential=system == "htcondor" and wants_credentials(),
        defaults=load_user().defaults(site),
    )
    check_ceiling(fields, site)
    text = render(template, fields)
    check(system, text, template, site.attributes)
    if system == "htcondor":
        _check_expressions(text, template, name)
    return text, memory_warning(fields, site)


def _check_expressions(text: str, template: str, name: str) -> None:
    """Have HTCondor's own parser look at every expression, as before a submission, where its bindings are installed."""
    from snakemake_executor_plugin_templated.backend import BackendError
    from snakemake_executor_plugin_templated.bindings import check_expressions, guarded

    try:
        condor = bindings()
    except ImportError:
        return
    try:
        with guarded(template):
            check_expressions(condor.Submit(text), Path(template))
    except BackendError as error:
        raise ConfigError(f"job {name}: {error}") from error


def job_wildcards(target: str, stage: str) -> dict[str, str]:
    """Snakemake's wildcards of the (first) job of a stage: they make its name and lead to its request."""
    folder, slash, name = target.partition("/")
    if not slash or not name:
        raise UsageError(f"'{target}': expected folder/name, for example electron_direction/v0 or samples/sim_es")
    stages: dict[str, dict[str, str]]
    if folder == "samples":
        chunks = paths.SAMPLE_STAGES if config.is_simulated(name) else paths.SAMPLE_STAGES[1:]
        stages = {chunked: {"sample": name, "chunk": FIRST} for chunked in chunks}
        stages["calibrate"] = {"sample": name}
    elif folder == "datasets":
        first = config.load_dataset(name).samples[0]
        stages = {"image": {"dataset": name, "sample": first, "chunk": FIRST}, "dataset": {"dataset": name}}
    elif folder == "point":
        config.load_pointing(name)
        stages = {"point": {"pointing": name}}
    elif folder in config.TASKS:
        version = config.load_version(folder, name)
        stages = {of_version: {"task": folder, "version": name} for of_version in paths.VERSION_OUTPUTS}
        stages["predict"] = {"task": folder, "version": name, "dataset": [*version.apply_to, version.dataset][0]}
    else:
        raise UsageError(f"'{target}': {nearest(folder, [*config.TASKS, 'samples', 'datasets', 'point'])}")
    if stage not in stages:
        raise UsageError(f"stage '{stage}' of {target} is unknown; known: {', '.join(stages)}")
    return stages[stage]


def read_profile(profile: str) -> dict[str, Any]:
    """A profile that submits to a batch system, by name (as ``snakemake --profile``) or folder."""
    path = profile_file(profile)
    content = yamlfile.read(path)
    if "templated-template" not in content:
        raise ConfigError(f"{path}: has no templated-template, so its jobs are not submitted to a batch system")
    return content


def profile_file(profile: str) -> Path:
    """Where a profile lies: in the folder or link that Snakemake finds, or in ``profiles`` where that link is broken.

    Raises
    ------
    ConfigError
        In neither.
    """
    for folder in (Path(profile), Path("profiles") / profile):
        if (folder / "profile.yaml").is_file():
            return folder / "profile.yaml"
    known = sorted(path.parent.name for path in Path("profiles").glob("*/profile.yaml"))
    raise ConfigError(
        f"profile '{profile}': {Path(profile) / 'profile.yaml'} does not exist; {nearest(profile, known)}"
    )


def default_resources(profile: dict[str, Any]) -> dict[str, Any]:
    """``default-resources`` of a profile: a mapping, or a list of ``name=value``."""
    given = profile.get("default-resources", {})
    if isinstance(given, dict):
        return given
    return dict(item.split("=", 1) for item in given)
