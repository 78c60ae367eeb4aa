"""Files that stand on one another: ``extends`` and single values put on top."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from snpoint import paths, yamlfile
from snpoint.errors import ConfigError, InputMissingError, UsageError, shown
from snpoint.validation import nearest

OWN_KEYS = ("why", "status", "lesson", "extends")
"""Keys that belong to one file alone and are not inherited."""


def config_file(folder: str, name: str) -> Path:
    """``configs/<folder>/<name>.yaml``."""
    return paths.CONFIGS / folder / f"{name}.yaml"


def check_project_folder() -> None:
    """Check that the working directory is a project.

    Raises
    ------
    InputMissingError
        It has no folder of configuration files.
    """
    if not paths.CONFIGS.is_dir():
        raise InputMissingError(f"{Path.cwd()} has no {paths.CONFIGS}/; run this in the project's folder")


@cache
def merged(folder: str, name: str) -> dict[str, Any]:
    """A configuration file with its parents filled in, not validated."""
    return _merged(folder, name, ())


def _merged(folder: str, name: str, children: tuple[str, ...]) -> dict[str, Any]:
    path = config_file(folder, name)
    check_project_folder()
    if name in children:
        raise ConfigError(f"{path}: extends itself ({' -> '.join((*children, name))})")
    if not path.exists():
        known = sorted(file.stem for file in path.parent.glob("*.yaml"))
        asked = config_file(folder, children[-1]) if children else f"configs/{folder}"
        raise ConfigError(f"{asked}: '{name}' does not exist; {nearest(name, known)}")
    content = yamlfile.read(path)
    parent = content.pop("extends", None) or "_base"
    if name == "_base":
        return content
    if not isinstance(parent, str):
        raise ConfigError(f"{path}: extends: {shown(parent)}; name one file of this folder")
    inherited = _merged(folder, parent, (*children, name))
    return _overlaid({key: value for key, value in inherited.items() if key not in OWN_KEYS}, content)


def _overlaid(below: dict[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(below)
    for key, value in above.items():
        if isinstance(value, Mapping) and isinstance(result.get(key), Mapping):
            result[key] = _overlaid(dict(result[key]), value)
        else:
            result[key] = value
    return result


def put(values: dict[str, Any], change: str) -> None:
    """Put one ``key.below=value`` on top of nested values, which are changed.

    Raises
    ------
    UsageError
        There is no ``=``.
    """
    key, equals, text = change.partition("=")
    if not equals:
        raise UsageError(f"--set {change}: expected key=value")
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        value = text
    *parents, last = key.split(".")
    for parent in parents:
        below = values.get(parent)
        values[parent] = dict(below) if isinstance(below, Mapping) else {}
        values = values[parent]
    values[last] = value
