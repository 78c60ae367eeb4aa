"""Plane ablation: blanks what it says, measures paired, and its sentences follow the numbers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from snpoint.data import contracts
from snpoint.data.atomic import write_json
from snpoint.data.results import read_npz
from snpoint.interpretation import ablation
from snpoint.interpretation.ablation import ABLATIONS, ablate, summarize, without_plane
from snpoint.physics.angles import random_directions
from snpoint.provenance import fingerprint
from snpoint.settings import Architecture, Drawing, InterpretSettings

TRUTH = random_directions(np.random.default_rng(1), 600)
ROWS = np.arange(len(TRUTH))


def draw(rows: np.ndarray) -> np.ndarray:
    """Images whose pixels carry the answer: component i of the direction, plus 2, all over plane i."""
    return (TRUTH[rows][:, :, None, None] + 2.0 + np.zeros((1, 1, 4, 2))).astype(np.float32)


def read_off(images: ablation.Draw) -> np.ndarray:
    """A network that reads each component off its plane, and y from plane X as well: X is worth most."""
    values = images(ROWS)[:, :, 0, 0]
    components = np.where(values > 0, values - 2.0, 0.0)
    components[:, 1] *= values[:, 2] > 0
    return components / np.maximum(np.linalg.norm(components, axis=1, keepdims=True), 1e-6)


@pytest.mark.parametrize(("plane", "index"), [("A", 0), ("B", 1), ("X", 2)])
def test_one_plane_is_blank_and_the_others_are_untouched(plane: str, index: int) -> None:
    images, original = without_plane(draw, plane)(ROWS), draw(ROWS)
    assert (images[:, index] == 0).all()
    others = [other for other in range(3) if other != index]
    assert np.array_equal(images[:, others], original[:, others])


def test_blanking_leaves_the_drawn_images_alone() -> None:
    kept = draw(ROWS)
    without_plane(lambda _: kept, "A")(ROWS)
    assert np.array_equal(kept, draw(ROWS))


def test_errors_are_those_of_the_blanked_images() -> None:
    errors = ablate(draw, read_off, TRUTH)
    assert errors.shape == (len(ABLATIONS), len(TRUTH))
    assert errors[0] == pytest.approx(0, abs=0.1)
    assert errors[1] == pytest.approx(np.degrees(np.arcsin(np.abs(TRUTH[:, 0]))), abs=0.1)
    assert errors[3] == pytest.approx(np.degrees(np.arccos(np.abs(TRUTH[:, 0]))), abs=0.1)


def test_summary_names_the_plane_that_matters() -> None:
    energies = np.random.default_rng(2).uniform(3, 60, len(TRUTH))
    summary = summarize(ablate(draw, read_off, TRUTH), energies, samples=100, seed=1)
    figures = summary["ablations"]
    assert summary["n"] == 600
    assert figures["none"]["difference_deg"] == 0
    for plane in "ABX":
        low, high = figures[plane]["difference_ci95"]
        change = figures[plane]["containment_68_deg"] - figures["none"]["containment_68_deg"]
        assert low < change < high
        assert figures[plane]["difference_deg"] == pytest.approx(change)
    assert "The network leans most on plane X." in summary["sentences"]
    assert [part["n"] for part in summary["by_energy"]] == [200, 200, 200]
    assert summary["by_energy"][0]["high_mev"] == summary["by_energy"][1]["low_mev"]
    json.dumps(summary, allow_nan=False)


def test_a_network_that_ignores_planes_is_said_to_need_none() -> None:
    guesses = random_directions(np.random.default_rng(3), len(TRUTH))
    summary = summarize(ablate(draw, lambda _: guesses, TRUTH), np.full(600, np.nan), samples=50, seed=1)
    assert sum("does not change measurably" in line for line in summary["sentences"]) == 3
    assert any(line.startswith("No plane is needed") for line in summary["sentences"])
    assert summary["by_energy"] == []


def test_stage_writes_what_it_promises(tmp_path: Path) -> None:
    from toy_images import write_toy_dataset

    from snpoint.models import loading
    from snpoint.models.architectures import build
    from snpoint.stages import interpret

    dataset = write_toy_dataset(tmp_path / "dataset", 120)
    image = Drawing(ticks=64, channels=32, waveform="triangle", scale_adc=60.0)
    small = Architecture(name="three_plane_cnn", filters=[4], kernel=3, dense=[8], batch_norm=True, dropout=0.0)
    folder = tmp_path / "v0" / "train"
    loading.save(build(small, image, "head_tail_vmf"), folder / "model.keras")
    origin = {"orientation": "canonical", "model_sha256": fingerprint(folder / "model.keras")["sha256"]}
    write_json(folder / "training.json", {"image": image.model_dump(), "loss": "head_tail_vmf"} | origin)
    out = tmp_path / "v0" / "interpret"
    interpret.run(
        InterpretSettings(seed=1, batch_size=16, max_events=15, bootstrap_samples=20),
        dataset=dataset,
        model=folder / "model.keras",
        training=folder / "training.json",
        attributions=out / "attributions.npz",
        interpretation=out / "interpretation.json",
        report=out / "report.pdf",
    )
    arrays = read_npz(out / "attributions.npz", contracts.ATTRIBUTIONS)
    assert arrays["ablations"].tolist() == ["none", "A", "B", "X"]
    assert arrays["angular_error_deg"].shape == (4, 15)
    assert json.loads((out / "interpretation.json").read_text())["n"] == 15
    assert (out / "report.pdf").read_bytes().startswith(b"%PDF")
    assert {path.name for path in (out / "plots").iterdir()} == {
        f"{stem}.{suffix}" for stem in ("plane_ablation", "plane_ablation_errors") for suffix in ("png", "csv")
    }
