"""The registry and the page: everything that exists is shown, nothing is invented, nothing breaks out of the page."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from made_predictions import predictions

from snpoint import config
from snpoint.data import registry
from snpoint.data.atomic import write_json, write_npz, write_text
from snpoint.errors import DataError
from snpoint.settings import ReportSettings
from snpoint.stages import report

REPOSITORY = Path(__file__).parents[2]
VERSIONS = ["electron_direction/v0", "electron_direction/v0_raw"]
METRICS = {
    "n": 500,
    "angular_error_mean_deg": 48.0,
    "angular_error_median_deg": 31.0,
    "containment_68_deg": 45.25,
    "axis_error_68_deg": 33.0,
    "flipped_fraction": 0.17,
    "reversed_fraction": 0.09,
    "baselines": {
        "isotropic": {"containment_68_deg": 111.1},
        "principal_axis_blip_vote": {"containment_68_deg": 81.5, "axis_error_68_deg": 29.25, "no_blip_fraction": 0.553},
    },
    "ci95": {"containment_68_deg": [43.5, 47.0], "flipped_fraction": [0.14, 0.2]},
}
TRAINING = {"n_train": 8000, "n_val": 900, "n_parameters": 61234, "epochs_run": 14, "best_epoch": 12, "seconds": 95.0}
POINTING = {
    "n_events": 100,
    "n_true_directions": 1,
    "area_deg2": {"0.68": 210.0, "0.9": 400.0},
    "best_longitude_deg": -30.5,
    "best_latitude_deg": 12.0,
    "offset_deg": 7.25,
    "true_direction_inside": {"0.68": True, "0.9": True},
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project with the repository's configuration, as working directory."""
    shutil.copytree(REPOSITORY / "configs", tmp_path / "configs")
    monkeypatch.chdir(tmp_path)
    _forget_configuration()
    yield tmp_path
    _forget_configuration()


def _forget_configuration() -> None:
    """Empty the caches: they are keyed by name, and each test has its own files."""
    for function in vars(config).values():
        if hasattr(function, "cache_clear"):
            function.cache_clear()


@pytest.fixture
def trained(here: Path) -> Path:
    """The same with one version evaluated, a pointing and predictions of real files."""
    folder = here / "results/electron_direction/v0"
    write_json(folder / "evaluate/metrics.json", METRICS)
    write_json(folder / "train/training.json", TRAINING)
    write_json(
        folder / "train/provenance.json", {"code": {"git_commit": "0123456789abcdef"}, "stopped": "2026-01-02T03"}
    )
    write_json(folder / "interpret/interpretation.json", {"sentences": ["The network leans most on plane X."]})
    write_text(folder / "evaluate/report.pdf", "%PDF")
    write_text(folder / "evaluate/plots/angular_error.png", "")
    write_text(folder / "config.yaml", "")
    write_json(here / "results/point/demo_burst/pointing.json", POINTING)
    write_text(here / "results/point/demo_burst/skymap.png", "")
    write_text(here / "results/datasets/sim_es/dataset/card.html", "")
    write_npz(folder / "predict/fdhd_es/predictions.npz", predictions(10))
    return here


def run(here: Path, page: str = "index", **names: list[str]) -> tuple[str, list[dict], list[dict]]:
    settings = {"versions": VERSIONS, "datasets": ["sim_es"], "predictions": [], "pointings": ["demo_burst"]} | names
    folder = here / "results"
    target = folder / "report" / f"{page}.html"
    report.run(
        ReportSettings(**settings),
        page=target,
        registry_csv=folder / "registry.csv",
        registry_json=folder / "registry.json",
    )
    with (folder / "registry.csv").open() as stream:
        table = list(csv.DictReader(stream))
    return target.read_text(), table, json.loads((folder / "registry.json").read_text())["versions"]


def test_registry_has_one_row_per_version_and_blanks_for_what_is_missing(trained: Path) -> None:
    _, table, rows = run(trained)
    assert [row["version"] for row in table] == ["v0", "v0_raw"]
    assert tuple(table[0]) == registry.COLUMNS == tuple(rows[0])
    assert table[0]["containment_68_deg"] == "45.25"
    assert (rows[0]["containment_68_low_deg"], rows[0]["containment_68_high_deg"]) == (43.5, 47.0)
    assert rows[0]["angular_error_mean_low_deg"] is None
    assert (rows[0]["principal_axis_68_deg"], rows[0]["isotropic_68_deg"]) == (81.5, 111.1)
    assert (rows[0]["n_train"], rows[0]["n_test"], rows[0]["n_parameters"]) == (8000, 500, 61234)
    assert (rows[0]["git_commit"], rows[0]["date"]) == ("0123456789abcdef", "2026-01-02T03")
    assert rows[0]["why"] == config.load_version("electron_direction", "v0").why
    described = {"task", "version", "state", "status", "why", "lesson", "dataset"}
    assert all(value == "" for key, value in table[1].items() if key not in described)
    assert rows[1]["state"] == "not yet"


def test_page_of_an_empty_project_says_not_yet(here: Path) -> None:
    page, _, rows = run(here, predictions=["electron_direction/v0/predict/fdhd_es"])
    assert [row["state"] for row in rows] == ["not yet", "not yet"]
    assert page.count("Not trained yet.") == 2
    assert "None" not in page
    assert not re.search(r"\bnan\b", page)


def test_page_shows_the_numbers_and_both_baselines(trained: Path) -> None:
    page, _, _ = run(trained)
    for text in ("45.2", "43.5", "47.0", "111.1", "81.5", "17.0%", "The network leans most on plane X.", "7.2", "210"):
        assert text in page, text


def test_page_says_why_the_principal_axis_can_be_worse_than_chance(trained: Path) -> None:
    page, _, rows = run(trained)
    assert (rows[0]["principal_axis_axis_error_68_deg"], rows[0]["principal_axis_no_blip_fraction"]) == (29.25, 0.553)
    assert "axis 29.2<br>no blip 55.3%" in page
    assert "a coin for the events without a blip (55.3% of the test events)" in page


def test_page_says_why_a_version_has_no_principal_axis(trained: Path) -> None:
    metrics = METRICS | {"baselines": METRICS["baselines"] | {"principal_axis_blip_vote": None}}
    write_json(trained / "results/electron_direction/v0/evaluate/metrics.json", metrics)
    page, _, rows = run(trained)
    assert rows[0]["principal_axis_68_deg"] is None
    assert '<td>–<br><span class="small">needs canonical<br>images' in page
    assert 'fill="#cc5500"' in page, "the legend stays"
    assert page.count('fill="#cc5500"') == 1


def test_events_with_many_directions_are_said_to_point_nowhere(trained: Path) -> None:
    numbers = POINTING | {"n_events": 10, "n_true_directions": 10, "offset_deg": None, "true_direction_inside": None}
    write_json(trained / "results/point/fdhd_es/pointing.json", numbers)
    page, _, _ = run(trained, "real_data", pointings=["fdhd_es", "demo_burst"])
    assert page.count("Not a burst:") == 1
    assert "these 10 events have 10 different true neutrino directions" in page


def test_chart_makes_room_for_the_worst_baseline(trained: Path) -> None:
    metrics = json.loads(json.dumps(METRICS))
    metrics["baselines"]["principal_axis_blip_vote"]["containment_68_deg"] = 129.8
    write_json(trained / "results/electron_direction/v0/evaluate/metrics.json", metrics)
    page, _, _ = run(trained)
    box = float(re.search(r'viewBox="0 0 ([0-9.]+)', page)[1])
    drawn = [float(x) for x in re.findall(r'(?:<circle cx="|<path d="M |x2=")\s*([0-9.]+)', page)]
    assert max(drawn) < box
    assert ">140</text>" in page


def test_every_link_of_the_page_is_relative_and_leads_somewhere(trained: Path) -> None:
    page, _, _ = run(trained, predictions=["electron_direction/v0/predict/fdhd_es"])
    links = re.findall(r'(?:href|src)="([^"]+)"', page)
    anchors = [link[1:] for link in links if link.startswith("#")]
    assert all(f'id="{anchor}"' in page for anchor in anchors)
    files = {link for link in links if not link.startswith("#")}
    assert {
        "../electron_direction/v0/evaluate/report.pdf",
        "../point/demo_burst/skymap.png",
        "../registry.csv",
    } <= files
    for link in files:
        assert (trained / "results/report" / link).exists(), link


def test_page_needs_nothing_from_outside(trained: Path) -> None:
    page, _, _ = run(trained)
    assert "http" not in page
    assert "<script" not in page


def test_real_files_page_lists_the_events_and_makes_no_registry(trained: Path) -> None:
    page = trained / "results/report/real_data.html"
    settings = ReportSettings(
        versions=VERSIONS, datasets=[], predictions=["electron_direction/v0/predict/fdhd_es"], pointings=[]
    )
    report.run(settings, page=page)
    assert not (trained / "results/registry.csv").exists()
    text = page.read_text()
    assert "fdhd_es" in text
    assert text.count("<td>0 / 0 / ") == 10


def test_predictions_without_truth_are_shown_without_errors(trained: Path) -> None:
    arrays = predictions(4)
    arrays["direction_true"] = np.full((4, 3), np.nan, np.float32)
    write_npz(trained / "results/electron_direction/v0/predict/fdhd_es/predictions.npz", arrays)
    page, _, _ = run(trained, "real_data", predictions=["electron_direction/v0/predict/fdhd_es"])
    assert "no truth" in page


def test_text_of_a_configuration_cannot_break_the_page(trained: Path) -> None:
    path = trained / "configs/electron_direction/v0.yaml"
    lines = path.read_text().splitlines()
    lines = [line for line in lines if not line.startswith(("why:", "lesson:"))]
    path.write_text("\n".join([*lines, "why: '<script>alert(1)</script> & more'", "lesson: 'a < b'", ""]))
    page, _, rows = run(trained)
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "a &lt; b" in page
    assert rows[0]["lesson"] == "a < b"


def test_a_version_without_configuration_keeps_its_numbers(trained: Path) -> None:
    (trained / "configs/electron_direction/v0.yaml").rename(trained / "configs/electron_direction/v7.yaml")
    _, _, rows = run(trained, versions=["electron_direction/v0"])
    assert rows[0]["why"] is None
    assert rows[0]["containment_68_deg"] == 45.25


def test_a_damaged_result_is_named(trained: Path) -> None:
    path = trained / "results/electron_direction/v0/evaluate/metrics.json"
    path.write_text('{"n": 5')
    with pytest.raises(DataError, match=r"metrics\.json"):
        run(trained)
    assert not (trained / "results/report/index.html").exists()
