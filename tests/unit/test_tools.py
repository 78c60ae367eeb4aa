"""`snpoint registry` and `snpoint compare`: what they print, and when they fail."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from made_predictions import predictions

from snpoint.data.atomic import write_json, write_npz
from snpoint.data.contracts import FORMAT_VERSION
from snpoint.physics.angles import angle_deg
from snpoint.physics.sphere import normalized
from snpoint.physics.statistics import containment
from snpoint.tools import compare, registry

CONFIGS = Path(__file__).parents[2] / "configs"

FIGURES = {
    "containment_68_deg": 44.3,
    "containment_68_low_deg": 40.8,
    "containment_68_high_deg": 48.0,
    "angular_error_median_deg": 27.9,
    "flipped_fraction": 0.182,
    "isotropic_68_deg": 111.1,
    "n_test": 1425,
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project as working directory."""
    (tmp_path / "configs/pointing").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_registry_shows_both_baselines_and_fits_a_terminal(here: Path) -> None:
    common = {"task": "electron_direction"}
    rows = [
        common | {"version": "v0"} | FIGURES | {"principal_axis_68_deg": 126.8},
        common | {"version": "v0_raw"} | FIGURES | {"principal_axis_68_deg": None},
        common | {"version": "v1"},
    ]
    write_json(here / "results/registry.json", {"format_version": FORMAT_VERSION, "versions": rows})
    lines = CliRunner().invoke(registry.command).output.splitlines()
    assert max(map(len, lines)) <= 110
    table = [line for line in lines if line.startswith("electron_direction/")]
    assert table[0].split()[1:] == ["44.3", "40.8", "to", "48.0", "27.9", "0.18", "126.8", "111.1", "1425"]
    assert table[1].split()[1:] == ["44.3", "40.8", "to", "48.0", "27.9", "0.18", "-", "111.1", "1425"]
    assert table[2].split()[1:] == ["not", "yet"]


def test_registry_shows_the_hard_reference_dataset_beside_the_clean_one(here: Path) -> None:
    common = {"task": "electron_direction", "dataset": "reference_es"} | FIGURES
    rows = [common | {"version": version, "principal_axis_68_deg": None} for version in ("v5", "v6")]
    write_json(here / "results/registry.json", {"format_version": FORMAT_VERSION, "versions": rows})
    arrays = predictions(2000)
    arrays["direction_true"][:500] = np.nan  # background: no direction
    write_npz(here / "results/electron_direction/v5/predict/reference_es_full/predictions.npz", arrays)
    lines = CliRunner().invoke(registry.command).output.splitlines()
    known = np.isfinite(arrays["direction_true"]).all(axis=1)
    expected = containment(angle_deg(arrays["direction_true"][known], arrays["direction_pred"][known]))
    beside = [line.split() for line in lines if line.startswith("  on reference_es_full")]
    assert beside[0][2:] == [f"{expected:.1f}", "1500"]
    assert beside[1][2:4] == ["not", "yet"] and beside[1][-1].endswith("v6/predict/reference_es_full/predictions.npz")


def test_registry_that_is_none_is_one_line(here: Path) -> None:
    write_json(here / "results/registry.json", {"format_version": FORMAT_VERSION})
    result = CliRunner().invoke(registry.command)
    assert "registry.json: not a registry" in str(result.exception)


@pytest.fixture
def two_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same events predicted by a broad and by a sharp version; both exist in the project's configuration."""
    (tmp_path / "configs").symlink_to(CONFIGS)
    monkeypatch.chdir(tmp_path)
    broad = predictions(3000)
    sharp = normalized(broad["direction_pred"] + 0.5 * broad["direction_true"]).astype("f4")
    for name, arrays in (("v0_raw", broad), ("v0", broad | {"direction_pred": sharp})):
        write_npz(tmp_path / f"results/electron_direction/{name}/evaluate/predictions.npz", arrays)
    return tmp_path


@pytest.mark.parametrize(("options", "code"), [([], 0), (["--at-least", "1"], 0), (["--at-least", "90"], 1)])
def test_compare_fails_when_the_interval_is_not_above_what_is_asked(
    two_versions: Path, options: list[str], code: int
) -> None:
    """As a process: the exit code is what a Makefile sees."""
    names = ["electron_direction/v0_raw", "electron_direction/v0"]
    command = [sys.executable, "-m", "snpoint", "compare", *names, "--samples", "50", *options]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert result.returncode == code, result.stderr
    assert "difference" in result.stdout
    assert len(result.stderr.splitlines()) == code
    assert ("not above 90 deg" in result.stderr) == bool(code)


def test_a_version_is_not_better_than_itself(two_versions: Path) -> None:
    names = ["electron_direction/v0", "electron_direction/v0"]
    assert CliRunner().invoke(compare.command, [*names, "--samples", "20", "--at-least", "0"]).exit_code == 1
