"""Errors on real events among errors on their simulated twins: calibrated, awake, and clear about what is lost."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from scipy import stats

from snpoint.data.atomic import write_npz
from snpoint.data.contracts import FORMAT_VERSION
from snpoint.errors import ConfigError, DataError, UsageError
from snpoint.physics.constants import CC, ES
from snpoint.physics.validation.errors import Case, agrees, compare_errors, lost_probability, real_errors, twin_errors
from snpoint.settings import Twin
from snpoint.tools import validate_errors

TWINS = [
    Twin(interaction="CC" if k % 2 else "ES", electron_mev=3.5 + k, neutrino_mev=10.0 + k, abs_x_cm=20.0 + k)
    for k in range(20)
]
TIMES = 100


def cases(rng: np.random.Generator, factor: float = 1.0, lost: float = 0.0) -> list[Case]:
    """Errors that fall with energy; real ones times a factor, a share of both lost."""

    def errors(twin: Twin, n: int, scale: float) -> np.ndarray:
        found = np.minimum(scale * rng.gamma(1.5, 150.0 / twin.electron_mev, n), 180.0)
        return np.where(rng.random(n) < lost, np.nan, found)

    made = []
    for twin in TWINS * 3:
        twins = errors(twin, TIMES, 1.0)
        made.append(Case(twin, float(errors(twin, 1, factor)[0]), twins[np.isfinite(twins)], TIMES))
    return made


def predictions(energy: np.ndarray, interaction: np.ndarray, error_deg: np.ndarray, event: np.ndarray) -> dict:
    """A predictions file whose errors are those given."""
    n = len(energy)
    angle = np.radians(error_deg)
    truth = np.tile(np.array([0.0, 0.0, 1.0], np.float32), (n, 1))
    found = np.stack([np.sin(angle), np.zeros(n), np.cos(angle)], axis=1).astype(np.float32)
    return {
        "format_version": np.uint16(FORMAT_VERSION),
        "event_uid": (np.uint64(600_000 << 44) + event.astype(np.uint64)),
        "split": np.full(n, 3, np.uint8),
        "direction_true": truth,
        "direction_pred": found,
        "axis": found,
        "kappa": np.ones(n, np.float32),
        "head_probability": np.ones(n, np.float32),
        "energy_true_mev": energy.astype(np.float32),
        "energy_reco_mev": np.ones((n, 3), np.float32),
        "interaction": interaction.astype(np.uint8),
        "neutrino_direction": truth,
    }


def of_twins(error_deg: np.ndarray, kept: np.ndarray | None = None) -> dict:
    """Predictions of a sample of twins with `TIMES` events per entry; event k repeats entry (k - 1) mod 20."""
    event = np.arange(1, TIMES * len(TWINS) + 1)
    event = event if kept is None else event[kept]
    entry = [TWINS[(k - 1) % len(TWINS)] for k in event]
    kinds = np.array([CC if twin.interaction == "CC" else ES for twin in entry])
    return predictions(np.array([twin.electron_mev for twin in entry]), kinds, error_deg[: len(event)], event)


def of_real(error_deg: np.ndarray, chosen: list[int]) -> dict:
    kinds = np.array([CC if TWINS[k].interaction == "CC" else ES for k in chosen])
    return predictions(np.array([TWINS[k].electron_mev for k in chosen]), kinds, error_deg, np.array(chosen) + 900)


def test_p_values_are_uniform_where_errors_are_the_same() -> None:
    rng = np.random.default_rng(1)
    found = [compare_errors(cases(rng, lost=0.1), seed, trials=2) for seed in range(100)]
    assert stats.kstest([each.p for each in found], "uniform").pvalue > 0.01
    assert stats.kstest([each.p_with_lost for each in found], "uniform").pvalue > 0.01


def test_errors_twice_as_large_are_found_with_their_size() -> None:
    found = compare_errors(cases(np.random.default_rng(2), factor=2.0), trials=300)
    assert found.p < 0.01
    assert not agrees(found)
    assert found.median_ratio_ci95[0] > 1.2
    assert found.median_ratio == pytest.approx(2.0, rel=0.3)
    assert 1.0 < found.seen_above < 2.0
    assert 0.3 < found.seen_below < 1.0


def test_real_events_that_are_lost_too_often_are_found() -> None:
    rng = np.random.default_rng(3)
    made = [
        Case(case.twin, float("nan") if k % 2 else case.real_deg, case.twins_deg, case.simulated)
        for k, case in enumerate(cases(rng, lost=0.02))
    ]
    found = compare_errors(made, trials=2)
    assert (found.n, found.ranked) == (60, 60 - found.lost)
    assert found.lost >= 30
    assert found.lost_expected < 3
    assert found.lost_p < 1e-6
    assert found.p > 0.01  # of those with an image all is well
    assert not agrees(found)


def test_probability_of_a_number_of_lost_events() -> None:
    shares = np.array([0.5, 0.5])
    assert lost_probability(1, shares) == pytest.approx(1.0)
    assert lost_probability(0, shares) == pytest.approx(0.5)
    assert lost_probability(2, np.zeros(3)) == 0.0


def test_real_events_are_found_by_energy_and_interaction_and_missing_ones_are_lost() -> None:
    chosen = [4, 0, 7]
    found = real_errors(of_real(np.array([40.0, 10.0, 70.0]), chosen), TWINS, "file")
    assert found[[4, 0, 7]] == pytest.approx([40.0, 10.0, 70.0], abs=0.01)
    assert np.isnan(np.delete(found, chosen)).all()


def test_twins_are_found_by_the_number_of_their_event() -> None:
    kept = np.arange(1, TIMES * len(TWINS), 2)  # entries 1, 3, .. only: the others lost theirs
    found = twin_errors(of_twins(np.full(len(kept), 25.0), kept), TWINS, "file")
    assert [len(own) for own in found] == [0, TIMES] * 10


def test_predictions_of_another_list_are_refused() -> None:
    with pytest.raises(DataError, match="belong to another list"):
        twin_errors(of_twins(np.full(TIMES * len(TWINS), 25.0)), TWINS[::-1], "file")
    with pytest.raises(DataError, match="no event of the list"):
        real_errors(predictions(np.array([77.0]), np.array([ES]), np.array([1.0]), np.array([1])), TWINS, "file")


def test_two_images_of_an_event_are_refused() -> None:
    twice = of_real(np.array([1.0, 2.0]), [3, 3])
    with pytest.raises(DataError, match="2 images of one event"):
        real_errors(twice, TWINS, "file")


def write_both(folder: Path, factor: float) -> list[str]:
    """Files of real events and twins; arguments of the command."""
    rng = np.random.default_rng(4)
    write_npz(folder / "real.npz", of_real(factor * rng.uniform(5.0, 60.0, 20), list(range(20))))
    write_npz(folder / "twins.npz", of_twins(rng.uniform(5.0, 60.0, TIMES * len(TWINS))))
    files = ["--real", str(folder / "real.npz"), "--twins", str(folder / "twins.npz")]
    return [*files, "--sample", "twins_toy", "--real-sample", "toy", "--least", str(TIMES), "-o", str(folder)]


@pytest.fixture
def toy_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validate_errors, "twins_of", lambda sample: (TWINS, TIMES))
    monkeypatch.setattr(validate_errors, "outside_mev", lambda sample: [])


@pytest.mark.usefixtures("toy_list")
def test_the_command_writes_numbers_and_figure_and_succeeds_where_all_is_well(tmp_path: Path) -> None:
    result = CliRunner().invoke(validate_errors.command, write_both(tmp_path, 1.0), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "20 real events (10 ES, 10 CC), 100 or more twins of each" in result.output
    assert "without an image: 0 real" in result.output
    assert "with 90% power" in result.output
    figures = json.loads((tmp_path / "errors.json").read_text())
    assert figures["ranked"] == 20
    assert figures["p"] > 0.01
    table = pd.read_csv(tmp_path / "errors.csv")
    assert len(table) == 20
    assert table["rank"].between(0, 1).all()
    assert (tmp_path / "errors.png").stat().st_size > 10_000


@pytest.mark.usefixtures("toy_list")
def test_the_command_fails_where_errors_disagree(tmp_path: Path) -> None:
    result = CliRunner().invoke(validate_errors.command, write_both(tmp_path, 3.0))
    assert result.exit_code == 1
    assert (tmp_path / "errors.json").exists()


@pytest.mark.usefixtures("toy_list")
def test_several_files_follow_one_option(tmp_path: Path) -> None:
    _, real, _, twins, *rest = write_both(tmp_path, 1.0)
    arguments = ["--real", real, real, f"--twins={twins}", twins, "--sample", "a", "b", "--real-sample", "c", "d"]
    arguments += rest[4:]
    result = CliRunner().invoke(validate_errors.command, arguments, catch_exceptions=False)
    assert "40 real events (20 ES, 20 CC)" in result.output
    with pytest.raises(UsageError, match="--real has 2 and --twins 1 values"):
        CliRunner().invoke(
            validate_errors.command, ["--real", real, real, "--twins", twins, *rest], catch_exceptions=False
        )


@pytest.mark.usefixtures("toy_list")
def test_too_few_twins_are_refused(tmp_path: Path) -> None:
    arguments = [*write_both(tmp_path, 1.0), "--least", "2000"]
    with pytest.raises(UsageError, match="100 twins only"):
        CliRunner().invoke(validate_errors.command, arguments, catch_exceptions=False)


def test_only_events_above_the_least_energy_count(tmp_path: Path, toy_list: None) -> None:
    result = CliRunner().invoke(validate_errors.command, [*write_both(tmp_path, 1.0), "--min-mev", "10"])
    assert "13 real events (6 ES, 7 CC)" in result.output


@pytest.mark.usefixtures("toy_list")
def test_what_is_wrong_with_the_arguments_is_said_with_a_remedy(tmp_path: Path) -> None:
    arguments = write_both(tmp_path, 1.0)
    with pytest.raises(UsageError, match=r"--min-mev 99: no event has so much, the largest T is 22.5 MeV"):
        CliRunner().invoke(validate_errors.command, [*arguments, "--min-mev", "99"], catch_exceptions=False)
    for option in ("--sample", "--real-sample"):
        place = arguments.index(option)
        shorter = arguments[:place] + arguments[place + 2 :]
        with pytest.raises(UsageError, match=f"not named after a dataset; name the sample with {option}"):
            CliRunner().invoke(validate_errors.command, shorter, catch_exceptions=False)


@pytest.mark.usefixtures("toy_list")
def test_vertices_outside_count_and_the_numbers_without_them_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two events outside, one of them lost: numbers of twenty, and of eighteen."""
    monkeypatch.setattr(validate_errors, "outside_mev", lambda sample: [TWINS[3].electron_mev, TWINS[5].electron_mev])
    rng = np.random.default_rng(5)
    arguments = write_both(tmp_path, 1.0)
    write_npz(tmp_path / "real.npz", of_real(rng.uniform(5.0, 60.0, 19), [k for k in range(20) if k != 5]))
    page = "<!-- errors: written by the command -->\nold\n<!-- end of errors -->\n"
    (tmp_path / "real.md").write_text(page)
    result = CliRunner().invoke(validate_errors.command, arguments, catch_exceptions=False)
    figures = json.loads((tmp_path / "errors.json").read_text())
    assert (figures["n"], figures["lost"]) == (20, 1)
    assert (figures["vertices_inside"]["n"], figures["vertices_inside"]["lost"]) == (18, 0)
    assert figures["vertices_inside"]["p_with_lost"] != figures["p_with_lost"]
    paragraph = result.output.strip().splitlines()[-1]
    assert "Without the 2 events with vertices outside of the drift volumes" in paragraph
    assert (tmp_path / "real.md").read_text() == page.replace("old", paragraph)
    assert list(pd.read_csv(tmp_path / "errors.csv").query("vertex == 'outside'").index) == [3, 5]


def test_the_two_real_events_outside_are_found(real_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNPOINT_DATA", str(real_data))
    assert validate_errors.outside_mev("fdhd_es") == []
    assert len(validate_errors.outside_mev("fdhd_cc")) == 2


def test_the_committed_lists_repeat_every_event_two_thousand_times() -> None:
    entries, times = zip(*(validate_errors.twins_of(name) for name in ("twins_es", "twins_cc")), strict=True)
    assert [len(own) for own in entries] == [10, 50]
    assert min(times) >= 2000
    energetic = [twin.interaction for own in entries for twin in own if twin.electron_mev >= 3.0]
    assert (energetic.count("ES"), energetic.count("CC")) == (10, 48)


def test_a_sample_that_is_no_list_of_twins_is_refused() -> None:
    with pytest.raises(ConfigError, match="generator: twins"):
        validate_errors.twins_of("fdhd_es")
