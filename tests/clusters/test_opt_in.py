"""The cluster tests are left out on a user's machine, and never in CI."""

from __future__ import annotations

import os
from pathlib import Path


def test_ci_starts_the_clusters() -> None:
    """In CI a run in which test_clusters.py is skipped must not pass."""
    if os.environ.get("CI"):
        assert os.environ.get("SNPOINT_TEST_CLUSTERS") == "1", "CI skips the cluster tests: set SNPOINT_TEST_CLUSTERS=1"


def test_ci_script_asks_for_them() -> None:
    lines = (Path(__file__).parents[2] / ".ci/run").read_text(encoding="utf-8").splitlines()
    assert "export CI=true" in lines
    assert any(line.startswith("export SNPOINT_TEST_CLUSTERS=1") for line in lines)
