"""Before the first job: are all configuration files right, and what exactly is about to run?"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import yaml

from snpoint import config, paths
from snpoint.atomic import write_text
from snpoint.documents import Dataset, Described, Pointing, Sample, Version
from snpoint.errors import ConfigError
from snpoint.inheritance import config_file


def check_active() -> None:
    """Read every file that `all` and `real_data` need, so that a mistake is found at once.

    Raises
    ------
    ConfigError
        The first mistake.
    """
    for task, version in config.active_versions():
        _check(task, version)
    for pointing in config.names("pointing", ["active"]):
        _check("pointing", pointing)


def _check(folder: str, name: str) -> None:
    content = config.load(folder, name)
    for _, other, needed in references(content, str(config_file(folder, name))):
        _check(other, needed)


def references(content: Described, where: str) -> list[tuple[str, str, str]]:
    """Files that a file names, as (key, folder, name).

    Raises
    ------
    ConfigError
        One of them does not exist.
    """
    needed: list[tuple[str, str, str]] = []
    if isinstance(content, Sample):
        needed = [("calibration", "samples", content.calibration)] if content.calibration else []
        needed += [("background.sample", "samples", content.background.sample)] if content.background else []
    elif isinstance(content, Dataset):
        needed = [("samples", "samples", name) for name in content.samples]
    elif isinstance(content, Version):
        needed = [("dataset", "datasets", content.dataset)]
        needed += [("apply_to", "datasets", name) for name in content.apply_to]
    elif isinstance(content, Pointing):
        task, version = content.version.split("/", 1)
        needed = [("version", task, version)]
        if content.predictions is not None:
            needed.append(("predictions", "datasets", content.predictions))
    for key, folder, name in needed:
        if folder not in config.FOLDERS or name not in config.names(folder):
            hint = config.nearest_name(folder, name)
            raise ConfigError(f"{where}: {key}: '{name}' does not exist in configs/{folder}; {hint}")
    return needed


def write_resolved(versions: Iterable[tuple[str, str]]) -> None:
    """Write ``config.yaml``, resolved and complete, into the folder of each of these versions where it differs."""
    for task, version in sorted(set(versions)):
        target = Path(paths.resolved_config(task, version))
        content = config.load_version(task, version).model_dump(mode="json")
        text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
        if not target.exists() or target.read_text(encoding="utf-8") != text:
            write_text(target, text)
