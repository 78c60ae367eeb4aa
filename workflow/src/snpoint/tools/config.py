"""``snpoint config``: show, validate or describe configuration files."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import click
import yaml

from snpoint import config, paths
from snpoint.documents import Dataset, Pointing, Sample, Version
from snpoint.errors import ConfigError, InputMissingError, SnpointError, UsageError
from snpoint.inheritance import config_file
from snpoint.preflight import references
from snpoint.section import Section
from snpoint.site import Site, load_site

SCHEMAS: dict[str, type[Section]] = {
    "sample": Sample,
    "dataset": Dataset,
    "version": Version,
    "pointing": Pointing,
    "site": Site,
}


@click.group("config")
def command() -> None:
    """Show or validate configuration files, or print their JSON schema."""


@command.command()
@click.argument("name")
def show(name: str) -> None:
    """Print one file, resolved and complete.

    NAME is folder/file, for example electron_direction/v0, samples/sim_es, datasets/sim_es, pointing/demo_burst.
    """
    folder, _, file = name.partition("/")
    if folder not in config.FOLDERS or not file:
        raise UsageError(f"'{name}': expected folder/file, with folder one of {', '.join(config.FOLDERS)}")
    content = config.load(folder, file).model_dump(mode="json")
    click.echo(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), nl=False)


@command.command()
def validate() -> None:
    """Check every file under configs/, and that the names in them exist. All problems are listed."""
    if not paths.CONFIGS.is_dir():
        raise InputMissingError(f"{Path.cwd()} has no folder {paths.CONFIGS}; run this in the project folder")
    problems: list[str] = []
    names = [(folder, name) for folder in config.FOLDERS for name in config.names(folder)]
    sites = sorted((paths.CONFIGS / "sites").glob("*.yaml"))
    checks = [*(partial(_check, folder, name) for folder, name in names), *(partial(load_site, path) for path in sites)]
    for check in checks:
        try:
            check()
        except SnpointError as error:
            problems.append(str(error))
    count = len(checks)
    for problem in problems:
        click.echo(problem, err=True)
    if problems:
        raise ConfigError(f"{len(problems)} of {count} files under configs/ have a problem")
    click.echo(f"{count} files under configs/ are valid")


def _check(folder: str, name: str) -> None:
    references(config.load(folder, name), str(config_file(folder, name)))


@command.command()
@click.argument("kind", type=click.Choice(list(SCHEMAS)), required=False)
@click.option("--write", is_flag=True, help="Write all of them to configs/schema/ instead.")
def schema(kind: str | None, write: bool) -> None:
    """Print the JSON schema of one KIND of file, for editors (configs/schema/ holds them)."""
    if write:
        for name in SCHEMAS:
            Path(paths.CONFIGS / "schema" / f"{name}.json").write_text(schema_text(name), encoding="utf-8")
        return
    if kind is None:
        raise UsageError(f"which schema? one of {', '.join(SCHEMAS)}")
    click.echo(schema_text(kind), nl=False)


def schema_text(kind: str) -> str:
    """JSON schema of one kind of file. Only `why` and `status` are required: the rest has defaults in `_base.yaml`."""
    content = SCHEMAS[kind].model_json_schema()
    _loosen(content)
    if kind != "site":
        content["properties"]["extends"] = {
            "type": "string",
            "description": "parent in the same folder (default _base)",
        }
    return json.dumps(content, indent=2) + "\n"


def _loosen(part: object) -> None:
    if isinstance(part, dict):
        part.pop("required", None)
        for below in part.values():
            _loosen(below)
    elif isinstance(part, list):
        for below in part:
            _loosen(below)
