"""From event directions to the sky: the burst is found, areas are honest, rotations commute with pointing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from made_predictions import predictions, vmf_cosines

from snpoint.data.atomic import write_npz
from snpoint.data.contracts import FORMAT_VERSION
from snpoint.data.sky import read_sky
from snpoint.errors import DataError, InputMissingError
from snpoint.physics import likelihood, pointing, sphere
from snpoint.physics.angles import angle_deg, random_directions
from snpoint.settings import PointSettings
from snpoint.stages import point

KAPPA = 8.0
NSIDE = 32


def tables(kappa: float = KAPPA) -> likelihood.Tables:
    edges = np.linspace(-1, 1, 401)
    row = likelihood.table_row(likelihood.Mixture(1.0, kappa, 0.0, 0.0), edges, 1e-6)
    return likelihood.Tables(row[None], np.array([0.0, 60.0]), edges, np.array([1000]), np.array([False]))


def burst(n: int, direction: np.ndarray, seed: int, kappa: float = KAPPA) -> np.ndarray:
    """Directions with von Mises-Fisher residuals around one direction."""
    rng = np.random.default_rng(seed)
    cosines = vmf_cosines(n, kappa, rng)[:, None]
    east, north = sphere.tangents(np.tile(direction, (n, 1)))
    azimuth = rng.uniform(0, 2 * np.pi, (n, 1))
    return cosines * direction + np.sqrt(1 - cosines**2) * (np.cos(azimuth) * east + np.sin(azimuth) * north)


def posterior(directions: np.ndarray, nside: int = NSIDE) -> np.ndarray:
    sky = sphere.pixel_directions(nside)
    return pointing.posterior(pointing.log_likelihood(sky, directions, np.full(len(directions), 10.0), tables()))


def test_longitude_and_latitude_follow_the_detector() -> None:
    for direction, expected in (
        ([0, 0, 1], (0, 0)),
        ([1, 0, 0], (90, 0)),
        ([0, 1, 0], (0, 90)),
        ([-1, 0, 0], (-90, 0)),
    ):
        longitude, latitude = sphere.longitude_latitude_deg(np.array(direction, float))
        assert (longitude, latitude) == pytest.approx(expected)
    vectors = random_directions(np.random.default_rng(1), 500)
    assert sphere.from_longitude_latitude(*sphere.longitude_latitude_deg(vectors)) == pytest.approx(vectors)


def test_pixels_cover_the_sky_and_know_their_numbers() -> None:
    sky = sphere.pixel_directions(8)
    assert np.linalg.norm(sky, axis=1) == pytest.approx(1)
    assert np.abs(sky.mean(axis=0)).max() < 1e-12
    assert (sphere.pixel_of(8, sky) == np.arange(len(sky))).all()
    assert sphere.pixel_area_deg2(8) * len(sky) == pytest.approx(41252.96, rel=1e-6)


def test_rotations_take_each_source_to_the_target_and_keep_angles() -> None:
    rng = np.random.default_rng(2)
    sources = np.concatenate([random_directions(rng, 50), [[0, 1, 0], [0, -1, 0], [0, 0, 1]]])
    turns = sphere.rotations_onto(sources, np.array([0.0, 1.0, 0.0]), rng.uniform(0, 6, len(sources)))
    assert np.einsum("nij,nj->ni", turns, sources) == pytest.approx(np.tile([0, 1, 0], (53, 1)), abs=1e-12)
    assert turns @ np.swapaxes(turns, 1, 2) == pytest.approx(np.tile(np.eye(3), (53, 1, 1)), abs=1e-12)
    assert np.linalg.det(turns) == pytest.approx(1)


def test_burst_is_found_within_its_statistical_error() -> None:
    # One vMF event of concentration k gives k A(k) per axis of Fisher information (over 2 for each of two axes).
    truth, n = sphere.normalized(np.array([0.3, -0.5, 0.8])), 100
    sigma = np.degrees(1 / np.sqrt(n * KAPPA * (1 / np.tanh(KAPPA) - 1 / KAPPA)))
    sky = sphere.pixel_directions(64)
    offsets = []
    for seed in range(12):
        probability = posterior(burst(n, truth, seed), nside=64)
        mean = pointing.mean_direction(probability, sky)
        offsets.append(float(angle_deg(mean, truth)))
    assert max(offsets) < 5 * sigma
    assert np.sqrt(np.mean(np.square(offsets)) / 2) == pytest.approx(sigma, rel=0.5)


def test_credible_areas_cover_the_truth_as_often_as_they_say() -> None:
    rng, inside = np.random.default_rng(5), 0
    for seed in range(60):
        truth = random_directions(rng, 1)[0]
        probability = posterior(burst(20, truth, seed))
        inside += pointing.credible_set(probability, 0.68)[sphere.pixel_of(NSIDE, truth)]
    assert 0.68 - 0.2 < inside / 60 < 0.68 + 0.2


def test_areas_of_an_even_sky_are_the_fraction_of_the_full_sky() -> None:
    even = np.full(sphere.n_pixels(16), 1 / sphere.n_pixels(16))
    for level in (0.1, 0.68, 0.9):
        area = pointing.credible_area_deg2(even, level)
        assert area == pytest.approx(level * 41252.96, rel=5e-3)
    assert pointing.mean_direction(even, sphere.pixel_directions(16)) is None


def test_turning_all_events_turns_the_answer() -> None:
    directions = burst(60, np.array([0.0, 0.0, 1.0]), 3)
    turn = sphere.rotations_onto(
        np.array([[0.0, 0.0, 1.0]]), sphere.normalized(np.array([1, -2, 0.5])), np.array([0.7])
    )[0]
    sky = sphere.pixel_directions(NSIDE)
    before = pointing.mean_direction(posterior(directions), sky)
    after = pointing.mean_direction(posterior(directions @ turn.T), sky)
    assert angle_deg(turn @ before, after) < 0.1
    areas = [pointing.credible_area_deg2(posterior(part), 0.9) for part in (directions, directions @ turn.T)]
    assert areas[0] == pytest.approx(areas[1], rel=0.1)


def test_log_likelihood_is_the_sum_over_events_whatever_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    sky, directions = sphere.pixel_directions(4), burst(7, np.array([0.0, 1.0, 0.0]), 4)
    energies = np.full(7, 10.0)
    expected = sum(tables().log_pdf(0, sky @ direction) for direction in directions)
    assert pointing.log_likelihood(sky, directions, energies, tables()) == pytest.approx(expected)
    monkeypatch.setattr(pointing, "_BLOCK_VALUES", 50)
    assert pointing.log_likelihood(sky, directions, energies, tables()) == pytest.approx(expected)


def test_drawn_burst_keeps_each_residual() -> None:
    rng = np.random.default_rng(6)
    neutrinos, predicted = random_directions(rng, 200), random_directions(rng, 200)
    candidates = np.arange(50, 150)
    made = pointing.draw_burst(predicted, neutrinos, np.arange(200.0), candidates, 80, np.array([0, 0, 2.0]), rng)
    assert len(np.unique(made.rows)) == 80
    assert set(made.rows) <= set(candidates)
    assert made.true_direction == pytest.approx([0, 0, 1])
    assert made.energies_mev == pytest.approx(made.rows)
    before = angle_deg(predicted[made.rows], neutrinos[made.rows])
    assert angle_deg(made.directions, made.true_direction) == pytest.approx(before, abs=1e-6)


def test_common_direction_needs_all_events_to_agree() -> None:
    close = sphere.normalized(np.array([[0, 0, 1.0], [0.01, 0, 1.0]]))
    assert angle_deg(pointing.common_direction(close), [0.005, 0, 1]) < 0.1
    assert pointing.common_direction(np.array([[0, 0, 1.0], [0, 1.0, 0]])) is None
    assert pointing.common_direction(np.array([[0, 0, 1.0], [np.nan] * 3])) is None


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    write_npz(tmp_path / "predictions.npz", predictions(800))
    row = likelihood.table_row(likelihood.Mixture(0.8, 8.0, 0.2, 8.0), np.linspace(-1, 1, 201), 1e-4)
    write_npz(
        tmp_path / "likelihood.npz",
        {
            "format_version": np.array(FORMAT_VERSION, np.uint16),
            "pdf": np.stack([[row, row]]),
            "classes": np.array(["ES"]),
            "energy_edges_mev": np.array([0.0, 10.0, 60.0]),
            "cos_edges": np.linspace(-1, 1, 201),
            "n_events": np.array([[500, 500]]),
            "fallback": np.array([[0, 1]], np.uint8),
            "method": np.array("vmf_mixture"),
            "target": np.array("neutrino"),
        },
    )
    return tmp_path


def run(folder: Path, **changes: object) -> dict:
    settings = {
        "seed": 1, "nside": 16, "burst": "draw", "n_events": 100, "direction": None, "levels": [0.68, 0.9]
    }  # fmt: skip
    point.run(
        PointSettings(**{**settings, **changes}),
        predictions=folder / "predictions.npz",
        likelihood=folder / "likelihood.npz",
        sky=folder / "out" / "sky.fits",
        pointing=folder / "out" / "pointing.json",
        skymap=folder / "out" / "skymap.png",
    )
    return json.loads((folder / "out" / "pointing.json").read_text())


def test_stage_points_at_a_drawn_burst(inputs: Path) -> None:
    result = run(inputs, direction=[0.0, 3.0, 4.0])
    assert result["true_direction"] == pytest.approx([0, 0.6, 0.8])
    assert result["offset_deg"] < 12
    assert result["offset_deg"] == pytest.approx(angle_deg(result["best_direction"], [0, 0.6, 0.8]))
    assert 0 < result["area_deg2"]["0.68"] < result["area_deg2"]["0.9"] < 1500
    assert result["n_tables_fallback"] == 1
    sky = read_sky(inputs / "out" / "sky.fits")
    assert sky["probability"].sum() == pytest.approx(1)
    assert sphere.pixel_directions(16)[np.argmax(sky["log_likelihood"])] == pytest.approx(result["best_direction"])
    with fits.open(inputs / "out" / "sky.fits") as file:
        header = file[1].header
    assert (header["PIXTYPE"], header["ORDERING"], header["NSIDE"]) == ("HEALPIX", "RING", 16)
    assert (inputs / "out" / "skymap.png").stat().st_size > 20_000
    assert len((inputs / "out" / "skymap.csv").read_text().splitlines()) == 101


def test_same_seed_same_burst(inputs: Path) -> None:
    assert run(inputs) == run(inputs)
    assert run(inputs)["true_direction"] != run(inputs, seed=2)["true_direction"]


def test_more_events_than_there_are_repeats_some(inputs: Path) -> None:
    result = run(inputs, n_events=1000)
    assert result["n_events"] == 1000
    assert result["n_different_events"] < 300


def test_all_events_without_one_truth_have_no_offset(inputs: Path) -> None:
    result = run(inputs, burst="all")
    assert result["n_events"] == 800
    assert result["offset_deg"] is None
    assert result["true_direction_inside"] is None


def test_all_events_of_one_supernova_have_an_offset(inputs: Path) -> None:
    arrays = predictions(60)
    one = np.tile(np.float32([0, 0, 1]), (60, 1))
    directions = burst(60, np.array([0.0, 0.0, 1.0]), 1).astype(np.float32)
    arrays |= {"neutrino_direction": one, "direction_pred": directions, "split": np.full(60, 255, np.uint8)}
    write_npz(inputs / "predictions.npz", arrays)
    result = run(inputs, burst="all")
    assert result["true_direction"] == pytest.approx([0, 0, 1])
    assert result["offset_deg"] < 15


def test_a_draw_without_test_events_says_what_to_do(inputs: Path) -> None:
    arrays = predictions(60)
    write_npz(inputs / "predictions.npz", arrays | {"split": np.zeros(60, np.uint8)})
    with pytest.raises(DataError, match=r"'split'.*burst: all"):
        run(inputs)


@pytest.mark.filterwarnings("ignore:File may have been truncated")
def test_missing_and_damaged_sky_maps_are_told_apart(inputs: Path) -> None:
    with pytest.raises(InputMissingError):
        read_sky(inputs / "none.fits")
    run(inputs)
    path = inputs / "out" / "sky.fits"
    path.write_bytes(path.read_bytes()[:10_000])
    with pytest.raises(DataError):
        read_sky(path)
