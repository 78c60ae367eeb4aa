"""A finished project to edit: the whole DAG, run once with placeholder stages (see stub_snpoint.py)."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from quick import Quick
from workplace import Workplace

STUB = Path(__file__).with_name("stub_snpoint.py")


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The tests' environment, with the stand-in for `snpoint` first on PATH and no real data set."""
    folder = tmp_path_factory.mktemp("bin")
    command = folder / "snpoint"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -P {STUB} "$@"\n', encoding="utf-8")
    command.chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SNPOINT_", "SNAKEMAKE_"))}
    return kept | {"PATH": os.pathsep.join((str(folder), str(Path(sys.executable).parent), os.environ["PATH"]))}


@pytest.fixture(scope="session")
def finished(
    tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str], make_tiny_project: Callable[[Path], Path]
) -> Path:
    """A project whose DAG has run to the end, real files included. Do not change it: copy it."""
    folder = make_tiny_project(tmp_path_factory.mktemp("finished") / "project")
    (folder / "data").mkdir()
    for name in ("es", "cc"):
        (folder / f"data/test_{name}_tpstream.root").write_text(f"placeholder {name}\n", encoding="utf-8")
    Workplace(folder, environment).snakemake("--profile", "local", "all", "real_data")
    return folder


@pytest.fixture(scope="session")
def quick(environment: dict[str, str]) -> Iterator[Quick]:
    """Dry runs and states without the imports."""
    server = Quick(environment)
    yield server
    server.close()


@pytest.fixture
def workplace(tmp_path: Path, finished: Path, environment: dict[str, str], quick: Quick) -> Workplace:
    """A copy of the finished project. Times are kept; Snakemake's records name files relative to the folder."""
    shutil.copytree(finished, tmp_path / "project", symlinks=True)
    return Workplace(tmp_path / "project", environment, quick)


@pytest.fixture
def empty_workplace(project: Path, environment: dict[str, str], quick: Quick) -> Workplace:
    """A project in which nothing was run."""
    return Workplace(project, environment, quick)
