"""Compiled code is kept where a change of any source of the package is noticed."""

from __future__ import annotations

from pathlib import Path

import pytest

from snpoint.physics.compiled import cache_folder, compiled


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package folder with a kernel, its constants and something else, and an empty home for caches."""
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "package"
    folder.mkdir()
    kernel = "from snpoint.physics.compiled import compiled\nfrom snpoint.physics.constants import STEP_CM\n"
    (folder / "kernel.py").write_text(kernel, encoding="utf-8")
    (folder / "constants.py").write_text("STEP_CM = 0.05\n", encoding="utf-8")
    (folder / "other.py").write_text("LEVEL = 1\n", encoding="utf-8")
    return folder


def test_a_changed_constant_moves_the_compiled_code(package: Path) -> None:
    before = cache_folder(package)
    assert before == cache_folder(package)
    assert before.parent == package / "__pycache__"
    (package / "constants.py").write_text("STEP_CM = 0.10\n", encoding="utf-8")
    assert cache_folder(package) != before


@pytest.mark.parametrize(
    "line",
    [
        "from snpoint.physics.deeper.tables import (\n    STEP_CM,\n)\n",
        "from snpoint.physics.deeper import tables\n",
        "from snpoint.physics.deeper import tables as t\n",
    ],
)
def test_modules_of_packages_count(package: Path, line: str) -> None:
    (package / "deeper").mkdir()
    kernel = "from snpoint.physics.compiled import compiled\n" + line
    (package / "deeper/kernel.py").write_text(kernel, encoding="utf-8")
    (package / "deeper/tables.py").write_text("STEP_CM = 0.05\n", encoding="utf-8")
    before = cache_folder(package)
    (package / "deeper/tables.py").write_text("STEP_CM = 0.10\n", encoding="utf-8")
    assert cache_folder(package) != before


def test_a_change_elsewhere_compiles_nothing_again(package: Path) -> None:
    before = cache_folder(package)
    (package / "other.py").write_text("LEVEL = 2\n", encoding="utf-8")
    assert cache_folder(package) == before


def test_a_package_that_cannot_be_written_uses_the_cache_of_the_user(package: Path, tmp_path: Path) -> None:
    (package / "__pycache__").write_text("in the way", encoding="utf-8")
    assert cache_folder(package).parent == tmp_path / "cache" / "snpoint"


def test_the_place_can_be_chosen(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "mine"))
    assert cache_folder(package).parent == tmp_path / "mine"


def test_compiled_functions_compute() -> None:
    @compiled()
    def double(x: float) -> float:
        return 2.0 * x

    assert double(1.5) == 3.0
    assert double.signatures
