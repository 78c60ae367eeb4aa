"""Reading YAML strictly: no tags, no aliases, no duplicate keys, no surprises about size."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from snpoint.errors import ConfigError, InputMissingError, UntrustedInputError

LARGEST_BYTES = 1_000_000


class _StrictLoader(yaml.CSafeLoader):
    """The safe loader, with duplicate keys refused instead of silently won by the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key '{key}' is given twice; keep one", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def read(path: Path, empty: bool = False) -> dict[str, Any]:
    """Read one YAML mapping; ``empty``: a file without any line is one, too.

    Raises
    ------
    InputMissingError
        The file does not exist.
    ConfigError
        Not YAML, not a mapping, a duplicate key, an alias, or larger than 1 MB; with file and line.
    UntrustedInputError
        The file asks for a Python object.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise InputMissingError(f"{path} does not exist") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as UTF-8 text ({error})") from error
    if len(text) > LARGEST_BYTES:
        raise ConfigError(f"{path}: {len(text)} bytes; a configuration file has at most {LARGEST_BYTES}")
    content = _parse(text, path)
    if content is None and empty:
        return {}
    if not isinstance(content, dict):
        holds = "is empty" if content is None else f"holds {type(content).__name__}"
        raise ConfigError(f"{path}: {holds}, expected `key: value` lines")
    return content


def _parse(text: str, path: Path) -> Any:
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            if isinstance(event, yaml.AliasEvent):
                raise ConfigError(
                    f"{path}, line {event.start_mark.line + 1}: aliases (*{event.anchor}) are not allowed"
                )
        return yaml.load(text, Loader=_StrictLoader)  # noqa: S506 -- a subclass of the safe loader
    except yaml.MarkedYAMLError as error:
        # what is missing at the end is reported for the line after it
        last = len(text.rstrip().splitlines())
        line = f", line {min(error.problem_mark.line + 1, last)}" if error.problem_mark else ""
        if "could not determine a constructor" in str(error.problem):
            raise UntrustedInputError(f"{path}{line}: tags such as !!python are refused") from error
        raise ConfigError(f"{path}{line}: {error.problem or 'not YAML'}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not YAML ({' '.join(str(error).split())})") from error
