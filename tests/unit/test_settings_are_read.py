"""A setting that no code reads is a promise nobody keeps: every field of a stage's settings is read by the stage."""

from __future__ import annotations

import ast
import inspect
import typing
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import snpoint
from snpoint import settings, simulationsettings
from snpoint.settings import STAGES, Section

PACKAGE = Path(inspect.getfile(snpoint)).parent
DECLARATIONS = {settings.__name__, simulationsettings.__name__}
"""Modules that name the settings; that is not reading them."""


@pytest.mark.parametrize("stage", STAGES)
def test_every_setting_is_read(stage: str) -> None:
    assert list(unread(STAGES[stage], *reads(f"snpoint.stages.{stage}"))) == []


def test_a_setting_nobody_reads_is_found() -> None:
    class Inner(Section):
        used: int
        idle: int

    class Outer(Section):
        code: int = 1
        inner: Inner
        named: Inner | None
        forgotten: list[float]

    assert list(unread(Outer, {"inner", "named", "used"}, {"named"})) == ["inner.idle", "forgotten"]


def test_what_is_read_by_a_name_in_a_variable_counts() -> None:
    attributes, groups = reads_of("shares = [getattr(settings.split, name) for name in NAMES]; x = settings.seed")
    assert (attributes, groups) == ({"split", "seed"}, {"split"})
    for source in ("settings.seed = 1", "self.model.seed + 1", "seed"):
        assert reads_of(source) == (set(), set()), source


def unread(section: type[Section], attributes: set[str], groups: set[str], prefix: str = "") -> Iterator[str]:
    """Names of the fields, with those of inner sections, that are neither attributes nor in a group read by name."""
    for name, field in section.model_fields.items():
        if name == "code" and not prefix:  # makes results stale, and is read by nobody
            continue
        if name not in attributes:
            yield prefix + name
        for inner in sections(field.annotation):
            if name not in groups:
                yield from unread(inner, attributes, groups, f"{prefix}{name}.")


def sections(annotation: Any) -> list[type[Section]]:
    """Settings classes in an annotation."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [found for part in typing.get_args(annotation) for found in sections(part)]


@cache
def reads(module: str) -> tuple[set[str], set[str]]:
    """Attributes read anywhere in the import closure of a module, and those whose own attributes are read by name."""
    seen: set[str] = set()
    # The one class of settings that reads itself: on `self`, which does not count elsewhere.
    attributes, groups = reads_of(inspect.getsource(settings.PerPlane).replace("self.", "planes."))
    queue = [module]
    while queue:
        name = queue.pop()
        if name in seen or name in DECLARATIONS:
            continue
        seen.add(name)
        source = file_of(name).read_text(encoding="utf-8")
        more, by_name = reads_of(source)
        attributes, groups = attributes | more, groups | by_name
        queue += imported(source)
    return attributes, groups


def reads_of(source: str) -> tuple[set[str], set[str]]:
    """What one piece of source code reads: attributes, and first arguments of ``getattr``.

    Attributes of ``self`` and what is called do not count: ``self.model.optimizer`` is Keras', not a setting.
    """
    attributes, groups = set(), set()
    tree = ast.parse(source)
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            if id(node) not in called and root(node) != "self":
                attributes.add(node.attr)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "getattr":
            groups |= {part.attr for part in node.args[:1] if isinstance(part, ast.Attribute)}
    return attributes, groups


def root(node: ast.expr) -> str | None:
    """Name a chain of attributes starts with; settings kept on an object count as a start of their own."""
    while isinstance(node, ast.Attribute):
        node = node.value
        if isinstance(node, ast.Attribute) and node.attr == "_settings":
            return node.attr
    return node.id if isinstance(node, ast.Name) else None


def imported(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)]
        yield from (name for name in names if name.startswith("snpoint.") and file_of(name) is not None)


def file_of(module: str) -> Path | None:
    path = PACKAGE.joinpath(*module.split(".")[1:])
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)
