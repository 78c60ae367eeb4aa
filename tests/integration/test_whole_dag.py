"""The whole DAG, small but real: simulation, training, sky map; then the real files, if they are there."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest


def snpoint(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["snpoint", *arguments], cwd=project, capture_output=True, text=True, timeout=120)


def read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def test_every_stage_left_its_results(finished: Path) -> None:
    for name in (
        "samples/sim_es/simulate/0001.root",
        "samples/sim_es/cluster/0000.parquet",
        "datasets/sim_es_raw/dataset/card.html",
        "electron_direction/v0/train/model.keras",
        "electron_direction/v0/config.yaml",
        "electron_direction/v0_raw/evaluate/report.pdf",
        "electron_direction/v0/interpret/interpretation.json",
        "point/demo_burst/skymap.png",
        "registry.csv",
        "report/index.html",
    ):
        path = finished / "results" / name
        assert path.stat().st_size > 0, name


def test_real_files_left_their_results(finished_with_real_data: Path) -> None:
    for name in (
        "samples/fdhd_cc/cluster/0000.parquet",
        "datasets/fdhd_es/dataset/card.html",
        "electron_direction/v0/predict/fdhd_es/predictions.npz",
        "point/fdhd_es/sky.fits",
        "report/real_data.html",
    ):
        path = finished_with_real_data / "results" / name
        assert path.stat().st_size > 0, name


def test_check_passes_and_second_run_does_nothing(finished: Path) -> None:
    result = snpoint(finished, "check", "results/")
    assert result.returncode == 0, result.stderr
    assert "no contract" not in result.stdout
    again = subprocess.run(
        ["snakemake", "--profile", "local", "-n"], cwd=finished, capture_output=True, text=True, timeout=120
    )
    assert "Nothing to be done" in again.stdout + again.stderr


def test_metrics_are_of_test_events_only(finished: Path) -> None:
    folder = finished / "results/electron_direction/v0/evaluate"
    metrics = read(folder / "metrics.json")
    with np.load(folder / "predictions.npz", allow_pickle=False) as predictions:
        split = predictions["split"]
        errors = np.degrees(
            np.arccos(
                np.clip((predictions["direction_true"] * predictions["direction_pred"]).sum(axis=1), -1, 1)[split == 3]
            )
        )
    assert set(split) == {1, 2, 3}
    assert metrics["n"] == (split == 3).sum()
    assert metrics["containment_68_deg"] == pytest.approx(
        np.sort(errors)[int(np.ceil(0.68 * len(errors))) - 1], abs=0.1
    )
    assert {"isotropic", "principal_axis_blip_vote"} <= metrics["baselines"].keys()


def test_real_es_events_are_linked_and_predicted(finished_with_real_data: Path) -> None:
    finished = finished_with_real_data
    card = read(finished / "results/datasets/fdhd_es/dataset/card.json")
    assert card["counts"]["images"] == 10
    with np.load(finished / "results/electron_direction/v0/predict/fdhd_es/predictions.npz") as predictions:
        assert len(predictions["event_uid"]) == 10
        assert np.isfinite(predictions["direction_true"]).all()
        np.testing.assert_allclose(np.linalg.norm(predictions["direction_pred"], axis=1), 1, atol=1e-4)
    pointing = read(finished / "results/point/fdhd_es/pointing.json")
    assert (pointing["n_events"], pointing["offset_deg"]) == (10, None)


def test_files_without_truth_go_through_to_the_sky(finished_with_real_data: Path) -> None:
    results = finished_with_real_data / "results"
    with np.load(results / "electron_direction/v0/predict/bare_es/predictions.npz") as bare:
        assert np.isnan(bare["direction_true"]).all()
        assert (bare["interaction"] == 255).all()
        directions = bare["direction_pred"]
    with np.load(results / "electron_direction/v0/predict/fdhd_es/predictions.npz") as known:
        np.testing.assert_allclose(directions, known["direction_pred"], atol=1e-5)
    assert read(results / "point/bare_es/pointing.json")["true_direction"] is None


def test_check_passes_on_the_real_files_too(finished_with_real_data: Path) -> None:
    result = snpoint(finished_with_real_data, "check", "--quick")
    assert result.returncode == 0, result.stderr
    assert "no contract" not in result.stdout
