"""The whole DAG, small but real: simulation, training, sky map, real files; then every result is corrupted once."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from conftest import copy_project, shrink

RUN_LIMIT_S = 600


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, real_data: Path) -> Path:
    """A tiny project in which `snakemake --profile local` and `... real_data` have run."""
    project = shrink(copy_project(tmp_path_factory.mktemp("whole") / "project"))
    environment = os.environ | {"SNPOINT_DATA": str(real_data)}
    for target in ([], ["real_data"]):
        result = subprocess.run(
            ["snakemake", "--profile", "local", *target],
            cwd=project,
            env=environment,
            capture_output=True,
            text=True,
            timeout=RUN_LIMIT_S,
        )
        assert result.returncode == 0, result.stderr[-4000:]
    return project


def snpoint(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["snpoint", *arguments], cwd=project, capture_output=True, text=True, timeout=120)


def read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def test_every_stage_left_its_results(finished: Path) -> None:
    for name in (
        "samples/sim_es/simulate/0001.root",
        "samples/fdhd_es/cluster/0000.parquet",
        "datasets/sim_es_raw/dataset/card.html",
        "electron_direction/v0/train/model.keras",
        "electron_direction/v0/config.yaml",
        "electron_direction/v0_raw/evaluate/report.pdf",
        "electron_direction/v0/interpret/interpretation.json",
        "electron_direction/v0/predict/fdhd_es/predictions.npz",
        "point/demo_burst/skymap.png",
        "point/fdhd_es/sky.fits",
        "registry.csv",
        "report/index.html",
        "report/real_data.html",
    ):
        path = finished / "results" / name
        assert path.stat().st_size > 0, name


def test_check_passes_and_second_run_does_nothing(finished: Path) -> None:
    result = snpoint(finished, "check", "results/")
    assert result.returncode == 0, result.stderr
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


def test_real_es_events_are_linked_and_predicted(finished: Path) -> None:
    card = read(finished / "results/datasets/fdhd_es/dataset/card.json")
    assert card["counts"]["images"] == 10
    with np.load(finished / "results/electron_direction/v0/predict/fdhd_es/predictions.npz") as predictions:
        assert len(predictions["event_uid"]) == 10
        assert np.isfinite(predictions["direction_true"]).all()
        np.testing.assert_allclose(np.linalg.norm(predictions["direction_pred"], axis=1), 1, atol=1e-4)
    pointing = read(finished / "results/point/fdhd_es/pointing.json")
    assert (pointing["n_events"], pointing["offset_deg"]) == (10, None)


def test_files_without_truth_go_through_to_the_sky(finished: Path, tmp_path: Path, real_data: Path) -> None:
    """The same real file stripped of all truth: match.truth none, predict, point."""
    project = tmp_path / "project"
    shutil.copytree(finished, project, symlinks=True)
    (project / "configs/samples/bare_es.yaml").write_text(
        "why: the real ES file, its truth not looked at\nstatus: active\nextends: fdhd_es\nmatch: {truth: none}\n"
    )
    (project / "configs/datasets/bare_es.yaml").write_text(
        "why: images without truth\nstatus: active\nextends: fdhd_es\nsamples: [bare_es]\n"
    )
    (project / "configs/pointing/bare_es.yaml").write_text(
        "why: a map without truth\nstatus: active\nextends: fdhd_es\npredictions: bare_es\n"
    )
    result = subprocess.run(
        ["snakemake", "--profile", "local", "results/point/bare_es/pointing.json"],
        cwd=project,
        env=os.environ | {"SNPOINT_DATA": str(real_data)},
        capture_output=True,
        text=True,
        timeout=RUN_LIMIT_S,
    )
    assert result.returncode == 0, result.stderr[-4000:]
    with np.load(project / "results/electron_direction/v0/predict/bare_es/predictions.npz") as bare:
        assert np.isnan(bare["direction_true"]).all()
        assert (bare["interaction"] == 255).all()
        directions = bare["direction_pred"]
    with np.load(project / "results/electron_direction/v0/predict/fdhd_es/predictions.npz") as known:
        np.testing.assert_allclose(directions, known["direction_pred"], atol=1e-5)
    assert read(project / "results/point/bare_es/pointing.json")["true_direction"] is None


def cut(path: Path) -> None:
    """Lose the second half."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def change_json(path: Path) -> None:
    """Another format version."""
    path.write_text(json.dumps(read(path) | {"format_version": 99}))


def drop_json_key(path: Path) -> None:
    content = read(path)
    del content[list(content)[-1]]
    path.write_text(json.dumps(content))


def change_arrays(path: Path, **changes: Callable[[np.ndarray], np.ndarray]) -> None:
    with np.load(path) as file:
        arrays = {key: file[key] for key in file.files}
    arrays |= {key: change(arrays[key]) for key, change in changes.items()}
    np.savez(path, **arrays)


CORRUPTIONS: list[tuple[str, Callable[[Path], None]]] = [
    ("samples/sim_es/simulate/0000.root", cut),
    ("samples/sim_es/match/0000.parquet", cut),
    ("samples/sim_es/cluster/0000.parquet", cut),
    ("datasets/sim_es/image/shard_sim_es_0000.npz", cut),
    (
        "datasets/sim_es/image/shard_sim_es_0000.npz",
        lambda path: change_arrays(path, tick=lambda values: values.astype("i4")),
    ),
    ("datasets/sim_es/image/shard_sim_es_0000.npz", lambda path: change_arrays(path, direction=lambda v: v * 1.5)),
    ("datasets/sim_es/dataset/split.npz", lambda path: change_arrays(path, split=lambda values: values + 7)),
    ("datasets/sim_es/dataset/split.npz", lambda path: change_arrays(path, row=lambda values: values[:-1])),
    ("datasets/sim_es/dataset/card.json", drop_json_key),
    ("datasets/sim_es/dataset/card.html", cut),
    ("electron_direction/v0/train/model.keras", cut),
    ("electron_direction/v0/train/training.json", change_json),
    ("electron_direction/v0/train/history.csv", lambda path: path.write_text("epoch,loss\n1,2,3,4\n5\n")),
    (
        "electron_direction/v0/evaluate/predictions.npz",
        lambda path: change_arrays(path, format_version=lambda values: np.array(99, "u2")),
    ),
    ("electron_direction/v0/evaluate/metrics.json", lambda path: path.write_text('{"containment_68_deg": NaN}')),
    ("electron_direction/v0/evaluate/report.pdf", cut),
    ("electron_direction/v0/likelihood/likelihood.npz", lambda path: change_arrays(path, pdf=lambda v: v * 1.1)),
    ("electron_direction/v0/likelihood/validation.json", change_json),
    ("electron_direction/v0/interpret/attributions.npz", cut),
    ("electron_direction/v0/interpret/interpretation.json", drop_json_key),
    ("electron_direction/v0/config.yaml", lambda path: path.write_text(path.read_text() + "surprise: 1\n")),
    ("point/demo_burst/sky.fits", cut),
    (
        "point/demo_burst/pointing.json",
        lambda path: path.write_text(path.read_text().replace('"nside": 16', '"nside": 0')),
    ),
    ("point/demo_burst/skymap.png", cut),
    ("registry.json", change_json),
    ("registry.csv", lambda path: path.write_text("")),
    ("report/index.html", cut),
    ("electron_direction/v0/train/provenance.json", cut),
]


@pytest.mark.parametrize(
    ("name", "corrupt"), CORRUPTIONS, ids=[f"{i}-{name}" for i, (name, _) in enumerate(CORRUPTIONS)]
)
def test_check_finds_corruption(finished: Path, name: str, corrupt: Callable[[Path], None]) -> None:
    """The contract alone must notice, without the help of checksums."""
    path = finished / "results" / name
    whole = path.read_bytes()
    try:
        corrupt(path)
        found = _contract_problems(finished, path)
    finally:
        path.write_bytes(whole)
    assert len(found) == 1
    assert path.name in found[0]


def _contract_problems(project: Path, path: Path) -> list[str]:
    from snpoint.tools.check import _problems, checker_of

    checker = checker_of(path)
    assert checker is not None
    return _problems(path, checker)


def test_check_finds_a_silent_change_by_its_checksum(finished: Path) -> None:
    path = finished / "results/electron_direction/v0/train/history.csv"
    whole = path.read_text()
    try:
        path.write_text(whole.replace("1", "2", 1))
        result = snpoint(finished, "check", "results/electron_direction/v0")
    finally:
        path.write_text(whole)
    assert result.returncode == 65
    assert "checksum" in result.stderr
