"""Fixtures that all tests share."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the two real TPStream files. Missing: a loud skip for users, a failure in CI."""
    folder = Path(os.environ.get("SNPOINT_DATA") or REPOSITORY / "data")
    if not folder.is_absolute():
        folder = (REPOSITORY / folder).resolve()
    if not (folder / "test_es_tpstream.root").exists():
        message = f"REAL DATA MISSING: no test_es_tpstream.root in {folder}; set SNPOINT_DATA (README, 'Real data')"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project to work in: own configs and results, the repository's Snakefile and workflow."""
    return copy_project(tmp_path / "project")


@pytest.fixture
def tiny_project(tmp_path: Path) -> Path:
    """A project shrunk until the whole DAG runs in minutes: few events, few epochs, tiny networks."""
    return shrink(copy_project(tmp_path / "project"))


@pytest.fixture(scope="session")
def make_tiny_project() -> Callable[[Path], Path]:
    """A function that makes a `tiny_project` in a folder of its own, to share it between tests."""
    return lambda folder: shrink(copy_project(folder))


def copy_project(target: Path) -> Path:
    """Copy what belongs to a user (configs, profiles), link what belongs to the project (workflow)."""
    target.mkdir(parents=True)
    for name in ("configs", "profiles"):
        shutil.copytree(REPOSITORY / name, target / name)
    for name in ("Snakefile", "workflow"):
        (target / name).symlink_to(REPOSITORY / name)
    for name in ("local", "htcondor", "slurm"):
        (target / name).symlink_to(f"profiles/{name}")
    (target / "results").mkdir()
    return target


def edit(path: Path, *changes: tuple[str, str]) -> None:
    """Replace pieces of a text file; each must be there."""
    text = path.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text, f"{path}: {old!r} not found"
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")


def shrink(project: Path) -> Path:
    """Make every stage small: 2 chunks of 150 events with noise TPs, 2 epochs, 20 bootstrap samples."""
    configs = project / "configs"
    edit(
        configs / "samples/sim_es.yaml", ("chunks: 6", "chunks: 2"), ("events_per_chunk: 2500", "events_per_chunk: 150")
    )
    edit(
        configs / "samples/sim_es.yaml",
        ("tps_per_event: {U: 0.0, V: 0.0, X: 0.0}", "tps_per_event: {U: 36.0, V: 36.0, X: 54.0}"),
    )
    edit(
        configs / "electron_direction/v0.yaml",
        ("filters: [8, 16, 32, 32]", "filters: [4, 4]"),
        ("dense: [64]", "dense: [8]"),
        ("epochs: 10", "epochs: 2"),
    )
    edit(configs / "electron_direction/_base.yaml", ("bootstrap_samples: 1000", "bootstrap_samples: 20"))
    edit(configs / "electron_direction/_base.yaml", ("min_events: 100", "min_events: 20"))
    edit(configs / "pointing/_base.yaml", ("nside: 64", "nside: 16"), ("n_events: 100", "n_events: 10"))
    return project


@pytest.fixture
def edit_file() -> Callable[..., None]:
    """The function `edit`."""
    return edit
