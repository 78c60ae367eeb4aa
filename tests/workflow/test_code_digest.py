"""A change of code that may change results is either announced (`code` in settings.py) or acknowledged.

Snakemake does not see the package's code. Every settings class therefore carries a number, `code`: bumping it makes all
results of its stage stale. This test fails when what a stage is made of changed since it was last acknowledged, so that
nobody forgets to decide. Comments, docstrings and layout do not count.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from snpoint.settings import STAGES

PACKAGE = Path(__file__).parents[2] / "workflow/src/snpoint"
GOLDEN = Path(__file__).parents[1] / "golden/code_digests.json"
COMMAND = "SNPOINT_ACKNOWLEDGE=1 pytest -q tests/workflow/test_code_digest.py"
TRACKED_OTHERWISE = {
    "snpoint",
    *(f"snpoint.{name}" for name in ("config", "documents", "errors", "paths", "provenance", "section", "settings")),
    *(f"snpoint.{name}" for name in ("simulationsettings", "validation", "yamlfile")),
}
"""What hands over settings and paths (their values are what Snakemake tracks), and what keeps the records."""
DATA = {
    "snpoint.physics.geometry": "geometry/*.yaml",
    "snpoint.physics.simulation.cavern": "reference/cavern.yaml",
    "snpoint.physics.simulation.decays": "reference/decays.yaml",
    "snpoint.physics.simulation.neutron_capture": "reference/argon41.yaml",
    "snpoint.physics.simulation.nuclides": "reference/nuclei.yaml",
    "snpoint.physics.simulation.strengths": "reference/argon40_strengths.yaml",
    "snpoint.stages.dataset": "stages/templates/card*.j2",
    "snpoint.stages.report": "stages/templates/report*.j2",
}
"""Modules -> files of the package that they read; a stage that imports the module depends on them."""


def test_changed_code_is_announced_or_acknowledged() -> None:
    found = digests()
    if os.environ.get("SNPOINT_ACKNOWLEDGE"):
        GOLDEN.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    known = json.loads(GOLDEN.read_text(encoding="utf-8"))
    problems = list(changes(known, found))
    if problems:
        pytest.fail("\n".join([*problems, f"Then acknowledge, and commit {GOLDEN.name}: {COMMAND}"]), pytrace=False)


def test_comments_docstrings_and_layout_do_not_count() -> None:
    plain = "def f(x):\n    return x + 1\n"
    assert digest(plain) == digest(
        '"""Module."""\n# why\ndef f(x):\n    """Add one."""\n\n    return (x +\n 1)  # one\n'
    )
    assert digest(plain) != digest("def f(x):\n    return x + 2\n")
    assert digest("x = 1\n") != digest("x = 1.0\n")
    assert digest("x = f'{a:.1f}'\n") != digest("x = f'{a:.2f}'\n")


def test_the_closure_follows_imports_to_the_end() -> None:
    assert "snpoint.physics.angles" in closure("snpoint.stages.evaluate")
    assert not [name for name in closure("snpoint.stages.match") if name.startswith("snpoint.models")]


def test_a_change_is_named() -> None:
    known: dict[str, Any] = {
        "stages": {"match": {"code": 1, "modules": ["a", "b"]}, "point": {"code": 1, "modules": ["c"]}},
        "modules": {"a": "1", "b": "2", "c": "3"},
    }
    other = json.loads(json.dumps(known))
    assert list(changes(known, other)) == []
    other["modules"]["b"] = "9"
    (problem,) = changes(known, other)
    assert problem.startswith("match: b changed, and `code` of MatchSettings (1) did not.")
    other["stages"]["match"]["code"] = 2
    (problem,) = changes(known, other)
    assert problem == "match: `code` went from 1 to 2."


def changes(known: dict[str, Any], found: dict[str, Any]) -> Iterator[str]:
    """One line for every stage that is not as it was acknowledged."""
    for stage in sorted(known["stages"].keys() | found["stages"].keys()):
        before, now = known["stages"].get(stage, {}), found["stages"].get(stage, {})
        names = sorted({*before.get("modules", ()), *now.get("modules", ())})
        changed = [name for name in names if known["modules"].get(name) != found["modules"].get(name)]
        if before.get("code") != now.get("code"):
            yield f"{stage}: `code` went from {before.get('code')} to {now.get('code')}."
        elif changed or before != now:
            yield (
                f"{stage}: {', '.join(changed) or 'imports'} changed, and `code` of"
                f" {STAGES[stage].__name__} ({now.get('code')}) did not. If its results change, bump it in settings.py."
            )


def digests() -> dict[str, Any]:
    """What every stage is made of, and a digest of each module."""
    closures = {stage: sorted(closure(f"snpoint.stages.{stage}")) for stage in STAGES}
    code = {stage: settings.model_fields["code"].default for stage, settings in STAGES.items()}
    names = sorted({name for modules in closures.values() for name in modules})
    return {
        "stages": {stage: {"code": code[stage], "modules": modules} for stage, modules in closures.items()},
        "modules": {name: _digest_of(name) for name in names},
    }


@cache
def closure(module: str) -> frozenset[str]:
    """Modules of the package that a module imports, directly or not, also inside functions; and their data files."""
    found: set[str] = set()
    queue = [module]
    while queue:
        name = queue.pop()
        if name in found or name in TRACKED_OTHERWISE:
            continue
        found.add(name)
        queue += _imported(name)
    patterns = [pattern for name, pattern in DATA.items() if name in found]
    return frozenset(found | {str(file.relative_to(PACKAGE)) for pattern in patterns for file in PACKAGE.glob(pattern)})


def digest(source: str) -> str:
    """Digest of the syntax tree without docstrings and places, in a form that all versions of Python share."""
    return hashlib.sha256(repr(_plain(ast.parse(source))).encode()).hexdigest()[:16]


def _plain(node: Any) -> Any:
    if isinstance(node, list):
        return [_plain(item) for item in node]
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = dict(ast.iter_fields(node))
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(node):
        fields["body"] = node.body[1:]
    kept = {name: value for name, value in fields.items() if value not in (None, []) or isinstance(node, ast.Constant)}
    return type(node).__name__, [(name, _plain(value)) for name, value in sorted(kept.items()) if name != "kind"]


def _digest_of(name: str) -> str:
    if "/" in name:
        text = (PACKAGE / name).read_text(encoding="utf-8")
        content = json.dumps(yaml.safe_load(text), sort_keys=True) if name.endswith(".yaml") else text
        return hashlib.sha256(content.encode()).hexdigest()[:16]
    file = _file(name)
    assert file is not None
    return digest(file.read_text(encoding="utf-8"))


def _imported(name: str) -> Iterator[str]:
    file = _file(name)
    assert file is not None, name
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            wanted = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative imports are not followed"
            wanted = [str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        yield from (module for module in wanted if module.split(".")[0] == "snpoint" and _file(module) is not None)


def _file(module: str) -> Path | None:
    path = PACKAGE.joinpath(*module.split(".")[1:])
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)
