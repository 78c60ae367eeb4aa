"""``snpoint render``: the submit file of one job, as the executor would write it, without submitting anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from snpoint import config, paths, yamlfile
from snpoint.errors import ConfigError, UsageError
from snpoint.validation import nearest

STAGES = (*paths.VERSION_OUTPUTS,)


@click.command("render")
@click.argument("version")
@click.argument("stage")
@click.option("--profile", default="htcondor", show_default=True, help="Profile whose template is rendered.")
def command(version: str, stage: str, profile: str) -> None:
    """Print the submit file of STAGE (train, evaluate, likelihood, interpret) of VERSION (task/version).

    For example: snpoint render electron_direction/v0 train --profile slurm
    """
    task, slash, name = version.partition("/")
    if not slash:
        raise UsageError(f"'{version}': expected task/version, for example electron_direction/{version}")
    if stage not in STAGES:
        raise UsageError(f"stage '{stage}' of a version is unknown; {nearest(stage, STAGES)}")
    click.echo(submit_text(task, name, stage, profile), nl=False)


def submit_text(task: str, version: str, stage: str, profile: str) -> str:
    """Text of the submit file of one stage of a version.

    Raises
    ------
    ConfigError
        The profile or its template is wrong, or the version does not exist.
    """
    from snakemake_executor_plugin_templated.render import fields_from, render

    content = read_profile(profile)
    resources = config.resources(config.stage_job(stage, {"task": task, "version": version}), stage)
    name = ".".join((stage, task, version)).replace("/", "_")
    folder = Path.cwd() / ".snakemake/templated/RUN"
    fields = fields_from(
        default_resources(content) | resources,
        resources["threads"],
        name=name,
        wrapper=str(folder / f"{name}.sh"),
        log=str(folder / "events.log"),
        stdout=str(folder / f"{name}.out"),
    )
    return render(content["templated-template"], fields)


def read_profile(profile: str) -> dict[str, Any]:
    """A profile that submits to a batch system, by name (as ``snakemake --profile``) or folder."""
    path = Path(profile) / "profile.yaml"
    if not path.exists():
        known = sorted(folder.parent.name for folder in Path("profiles").glob("*/profile.yaml"))
        raise ConfigError(f"profile '{profile}' has no {path}; {nearest(profile, known)}")
    content = yamlfile.read(path)
    if "templated-template" not in content:
        raise ConfigError(f"{path}: has no templated-template, so its jobs are not submitted to a batch system")
    return content


def default_resources(profile: dict[str, Any]) -> dict[str, Any]:
    """``default-resources`` of a profile: a mapping, or a list of ``name=value``."""
    given = profile.get("default-resources", {})
    if isinstance(given, dict):
        return given
    return dict(item.split("=", 1) for item in given)
