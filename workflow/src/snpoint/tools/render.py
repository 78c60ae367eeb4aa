"""``snpoint render``: the submit file of one job, as the executor would write it, without submitting anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from snpoint import config, paths, yamlfile
from snpoint.errors import ConfigError, UsageError
from snpoint.validation import nearest

FIRST = paths.chunk_name(0)


@click.command("render")
@click.argument("target")
@click.argument("stage")
@click.option("--profile", default="htcondor", show_default=True, help="Profile whose template is rendered.")
def command(target: str, stage: str, profile: str) -> None:
    """Print the submit file of STAGE of TARGET, and submit nothing.

    TARGET is task/version (train, evaluate, likelihood, interpret, predict), samples/NAME (simulate, match, cluster),
    datasets/NAME (image, dataset) or point/NAME (point). Of a stage with many jobs the first one is shown.

    For example: snpoint render electron_direction/v0 train --profile slurm
    """
    click.echo(submit_text(target, stage, profile), nl=False)


def submit_text(target: str, stage: str, profile: str) -> str:
    """Text of the submit file of one stage of a version, sample, dataset or pointing.

    Raises
    ------
    UsageError
        There is no such kind of target, or it has no such stage.
    ConfigError
        The profile or its template is wrong, or the target does not exist.
    """
    from snakemake_executor_plugin_templated.render import fields_from, render

    content = read_profile(profile)
    wildcards = job_wildcards(target, stage)
    resources = config.resources(config.stage_job(stage, wildcards), stage)
    name = ".".join((stage, *wildcards.values())).replace("/", "_")
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


def job_wildcards(target: str, stage: str) -> dict[str, str]:
    """Snakemake's wildcards of the (first) job of a stage: they make its name and lead to its request."""
    folder, slash, name = target.partition("/")
    if not slash or not name:
        raise UsageError(f"'{target}': expected folder/name, for example electron_direction/v0 or samples/sim_es")
    stages: dict[str, dict[str, str]]
    if folder == "samples":
        simulated = config.load_sample(name).source == "simulated"
        chunks = paths.SAMPLE_STAGES if simulated else paths.SAMPLE_STAGES[1:]
        stages = {chunked: {"sample": name, "chunk": FIRST} for chunked in chunks}
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
