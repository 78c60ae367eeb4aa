"""A tiny project in which the whole pipeline has run, shared by all tests here."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

RUN_LIMIT_S = 600
ONE_CORE_EACH = [f"{rule}=1" for rule in ("train", "evaluate", "likelihood", "interpret", "predict")]
"""Tiny networks gain nothing from a second core: two jobs at a time do."""
BARE = {
    "samples": "extends: fdhd_es\nmatch: {truth: none}\n",
    "datasets": "extends: fdhd_es\nsamples: [bare_es]\n",
    "pointing": "extends: fdhd_es\npredictions: bare_es\n",
}
"""The real ES file, its truth not looked at: what a file without truth goes through."""


def run(project: Path, *targets: str, **extra: str) -> None:
    """Run the pipeline as a user does."""
    result = subprocess.run(
        ["snakemake", *targets, "--profile", "local", "--set-threads", *ONE_CORE_EACH],
        cwd=project,
        env=os.environ | extra,
        capture_output=True,
        text=True,
        timeout=RUN_LIMIT_S,
    )
    assert result.returncode == 0, result.stderr[-4000:]


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, make_tiny_project: Callable[[Path], Path]) -> Path:
    """A tiny project in which `snakemake --profile local` has run. It needs no real files."""
    project = make_tiny_project(tmp_path_factory.mktemp("whole") / "project")
    run(project)
    return project


@pytest.fixture(scope="session")
def finished_with_real_data(finished: Path, real_data: Path) -> Path:
    """The same project after `snakemake --profile local real_data`, and the map of a real file without its truth."""
    for folder, text in BARE.items():
        path = finished / f"configs/{folder}/bare_es.yaml"
        path.write_text(f"why: a file without truth\nstatus: draft\n{text}", encoding="utf-8")
    run(finished, "real_data", "results/point/bare_es/pointing.json", SNPOINT_DATA=str(real_data))
    return finished
