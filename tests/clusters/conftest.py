"""Fixtures of the cluster tests."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import toy as shared


@pytest.fixture(scope="session", params=["htcondor", "slurm"])
def cluster(request: pytest.FixtureRequest) -> Iterator[shared.Cluster]:
    """Each batch system in turn; a module that needs one of them has ``pytestmark = only(...)``."""
    with shared.running_cluster(request.param) as running:
        yield running


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """Folder for the toy workflow, with the project's profiles and templates."""
    return shared.link_project(tmp_path)


@pytest.fixture
def start(cluster: shared.Cluster, toy: Path) -> Iterator[shared.Pipelines]:
    """Starts pipelines in the toy folder; what still runs in the end is interrupted."""
    pipelines = shared.Pipelines(cluster, toy)
    yield pipelines
    pipelines.stop()


@pytest.fixture
def schedd(cluster: shared.Cluster) -> Iterator[int]:
    """Process of the schedd, which a test may stop; it goes on in the end."""
    master = (shared.HTCONDOR_HOME / "run/master.pid").read_text().strip()
    pid = int(cluster.run("pgrep", "-P", master, "condor_schedd"))
    yield pid
    os.kill(pid, signal.SIGCONT)
