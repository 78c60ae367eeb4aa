"""P(cos theta | E): densities that integrate to one, fits that find what was put in, tables that fall back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from made_predictions import predictions, vmf_cosines

from snpoint.data import contracts
from snpoint.data.atomic import write_npz
from snpoint.data.results import read_npz
from snpoint.errors import DataError
from snpoint.physics import likelihood
from snpoint.physics.angles import cosine
from snpoint.settings import LikelihoodSettings
from snpoint.stages import likelihood as stage

EDGES = np.linspace(-1, 1, 201)
SETTINGS = {
    "method": "vmf_mixture",
    "target": "neutrino",
    "energy_edges_mev": [0.0, 10.0, 20.0, 60.0],
    "cos_bins": 200,
    "min_events": 100,
    "min_pdf": 1e-4,
}


def run(folder: Path, arrays: dict[str, np.ndarray], **changes: object) -> tuple[dict[str, np.ndarray], dict]:
    write_npz(folder / "predictions.npz", arrays)
    stage.run(
        LikelihoodSettings(**{**SETTINGS, **changes}),
        predictions=folder / "predictions.npz",
        likelihood=folder / "likelihood" / "likelihood.npz",
        validation=folder / "likelihood" / "validation.json",
    )
    table = read_npz(folder / "likelihood" / "likelihood.npz", contracts.LIKELIHOOD)
    return table, json.loads((folder / "likelihood" / "validation.json").read_text())


@pytest.mark.parametrize("kappa", [0.0, 1e-5, 0.3, 10.0, 800.0])
def test_vmf_density_integrates_to_its_distribution_function(kappa: float) -> None:
    cosines = np.linspace(-1, 1, 400_001)
    density = np.exp(likelihood.log_vmf(cosines, kappa))
    assert np.trapezoid(density, cosines) == pytest.approx(1, abs=1e-4)
    half = cosines > 0.9
    share = 1 - likelihood.vmf_cdf(np.array(0.9), kappa)
    assert np.trapezoid(density[half], cosines[half]) == pytest.approx(share, abs=1e-4)


@pytest.mark.parametrize("kappa", [0.001, 0.5, 12.0, 900.0])
def test_concentration_inverts_the_mean_cosine(kappa: float) -> None:
    mean = 1 / np.tanh(kappa) - 1 / kappa
    assert likelihood.concentration(mean) == pytest.approx(kappa, rel=1e-3)


def test_concentration_of_nothing_and_of_a_spike() -> None:
    assert likelihood.concentration(-0.2) == 0.0
    assert likelihood.concentration(1.0) <= 2000.0


def test_fit_finds_the_mixture_that_was_drawn() -> None:
    rng = np.random.default_rng(2)
    parts = vmf_cosines(7000, 12.0, rng), -vmf_cosines(2000, 5.0, rng), rng.uniform(-1, 1, 1000)
    found = likelihood.fit_mixture(np.concatenate(parts))
    assert found.forward_share == pytest.approx(0.7, abs=0.03)
    assert found.forward_kappa == pytest.approx(12, rel=0.1)
    assert found.backward_share == pytest.approx(0.2, abs=0.03)
    assert found.backward_kappa == pytest.approx(5, rel=0.25)
    assert found.isotropic_share == pytest.approx(0.1, abs=0.04)


def test_fit_of_isotropic_events_is_isotropic() -> None:
    found = likelihood.fit_mixture(np.random.default_rng(3).uniform(-1, 1, 20_000))
    assert np.abs(likelihood.table_row(found, EDGES, 1e-4) - 0.5).max() < 0.06


@pytest.mark.parametrize("cosines", [[1.0], [-1.0], [0.3], [1.0] * 50, [-1.0, 1.0]])
def test_few_or_extreme_events_still_give_a_density(cosines: list[float]) -> None:
    row = likelihood.table_row(likelihood.fit_mixture(np.array(cosines)), EDGES, 1e-4)
    assert np.isfinite(row).all()
    assert row.min() > 0
    assert np.sum(row * np.diff(EDGES)) == pytest.approx(1, abs=1e-9)


def test_a_few_reversed_events_make_no_spike() -> None:
    rng = np.random.default_rng(4)
    found = likelihood.fit_mixture(np.concatenate([vmf_cosines(120, 2.0, rng), [-0.999, -0.998, -0.9999]]))
    assert found.backward_kappa <= found.forward_kappa < 5


def test_rows_integrate_to_one_and_keep_the_floor() -> None:
    sharp = likelihood.Mixture(1.0, 500.0, 0.0, 0.0)
    row = likelihood.table_row(sharp, EDGES, 1e-3)
    assert np.sum(row * np.diff(EDGES)) == pytest.approx(1, abs=1e-12)
    assert row.min() == pytest.approx(1e-3, rel=0.01)


def test_interpolated_row_has_the_integral_of_the_histogram() -> None:
    row = likelihood.table_row(likelihood.Mixture(0.7, 20.0, 0.2, 8.0), EDGES, 1e-4)
    tables = likelihood.Tables(row[None], np.array([0.0, 60.0]), EDGES, np.array([9]), np.array([False]))
    cosines = np.linspace(-1, 1, 200_001)
    assert np.trapezoid(np.exp(tables.log_pdf(0, cosines)), cosines) == pytest.approx(1, abs=1e-6)


def test_outer_energy_bins_are_open() -> None:
    edges = np.array([5.0, 10.0, 20.0])
    assert likelihood.energy_rows(np.array([0.0, 5.0, 10.0, 20.0, 900.0]), edges).tolist() == [0, 0, 1, 1, 1]


def test_stage_writes_its_contract_and_recovers_the_truth(tmp_path: Path) -> None:
    arrays = predictions(6000)
    table, checks = run(tmp_path, arrays)
    widths = np.diff(table["cos_edges"])
    assert np.abs((table["pdf"] * widths).sum(axis=-1) - 1).max() < 1e-6
    assert table["classes"].tolist() == ["ES"]
    assert table["target"] == "neutrino"
    row = checks["rows"][1]
    assert row["forward_share"] == pytest.approx(0.8, abs=0.05)
    assert row["forward_kappa"] == pytest.approx(8, rel=0.2)
    assert row["ks_p_value"] > 0.01
    cosines = cosine(arrays["direction_pred"], arrays["neutrino_direction"])[arrays["split"] == 3]
    drawn_from = likelihood.Mixture(0.8, 8.0, 0.2, 8.0)
    best = np.log(drawn_from.pdf(cosines)).mean()
    assert best - 0.03 < checks["test"]["ES"]["mean_log_likelihood"] < best + 0.01
    plots = tmp_path / "likelihood" / "plots"
    assert {path.name for path in plots.iterdir()} == {
        f"{stem}.{suffix}" for stem in ("tables_and_events_es", "density_by_angle_es") for suffix in ("png", "csv")
    }


def test_bins_with_few_events_take_the_table_of_all_energies(tmp_path: Path) -> None:
    arrays = predictions(3000)
    table, checks = run(tmp_path, arrays)  # no event above 25 MeV fills the last bin enough
    few = [row for row in checks["rows"] if row["n"] < 100]
    assert table["fallback"][0].tolist() == [int(row["n"] < 100) for row in checks["rows"]]
    table, checks = run(tmp_path, arrays, energy_edges_mev=[0.0, 24.9, 60.0])
    few = checks["rows"][1]
    assert few["n"] < 100
    assert few["fallback"]
    assert few["n_behind"] == table["n_events"][0, 1] == np.sum(arrays["split"] == 2)


def test_only_calibration_events_make_the_tables(tmp_path: Path) -> None:
    arrays = predictions(3000)
    spoiled = dict(arrays)
    others = arrays["split"] != 2
    spoiled["direction_pred"] = np.where(others[:, None], -arrays["direction_pred"], arrays["direction_pred"])
    original, before = run(tmp_path / "a", arrays)
    changed, after = run(tmp_path / "b", spoiled)
    assert np.array_equal(original["pdf"], changed["pdf"])
    assert after["test"]["ES"]["mean_log_likelihood"] < before["test"]["ES"]["mean_log_likelihood"] - 0.5


def test_target_chooses_the_true_direction(tmp_path: Path) -> None:
    arrays = predictions(2000)
    arrays["direction_true"] = arrays["direction_pred"]
    _, checks = run(tmp_path, arrays, target="electron")
    assert checks["rows"][0]["forward_kappa"] > 1000


def test_without_calibration_truth_the_error_says_what_to_do(tmp_path: Path) -> None:
    arrays = predictions(300)
    arrays["neutrino_direction"] = np.full((300, 3), np.nan, np.float32)
    with pytest.raises(DataError, match=r"neutrino_direction.*dataset\.split\.calib"):
        run(tmp_path, arrays)
    assert not (tmp_path / "likelihood" / "likelihood.npz").exists()
