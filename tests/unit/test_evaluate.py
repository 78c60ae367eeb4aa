"""`evaluate` measures on the test split alone, beside baselines on the same events, and shows it."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from toy_images import write_toy_dataset

from snpoint.data import contracts
from snpoint.data.atomic import write_npz
from snpoint.data.results import read_predictions
from snpoint.data.shards import load_dataset, read_split
from snpoint.data.summaries import SUMMARIES, check_summary
from snpoint.errors import DataError, InputMissingError, UntrustedInputError, UsageError
from snpoint.models.outputs import Decoded
from snpoint.physics.angles import angle_deg, random_directions
from snpoint.physics.baselines import ISOTROPIC_EXPECTATION
from snpoint.physics.metrics import HEADLINES
from snpoint.physics.statistics import containment
from snpoint.plots import headlines
from snpoint.plots.pages import text_page
from snpoint.settings import EvaluateSettings
from snpoint.stages import evaluate

SETTINGS = EvaluateSettings(
    code=EvaluateSettings.model_fields["code"].annotation.__args__[0],
    seed=1,
    batch_size=64,
    bootstrap_samples=20,
    energy_edges_mev=[3.0, 10.0, 30.0, 60.0],
)
PLOTS = ("angular_error", "cosine", "energy", "components", "confidence", "loss")


def network(turn, kappa=10.0):
    """A stand-in whose answer is known: the truth, turned by a function."""

    def predict(events, batch_size):
        n = len(events)
        direction = np.asarray(turn(events.direction), np.float32)
        concentration = np.linspace(0.8, 1.2, n) * kappa
        head = np.full(n, 0.9) if np.isfinite(kappa) else np.full(n, np.nan)
        return Decoded(direction, concentration.astype(np.float32), head.astype(np.float32))

    return SimpleNamespace(predict=predict, loss="head_tail_vmf")


def evaluated(monkeypatch, split, folder, stand_in):
    monkeypatch.setattr(evaluate, "load_network", lambda model, training: stand_in)
    out = folder / "electron_direction" / "v7"
    (out / "train").mkdir(parents=True)
    history = {"epoch": [1, 2, 3], "loss": [2.0, 1.0, 0.8], "val_loss": [2.1, 1.4, 1.6]}
    history |= {"val_containment_68_deg": [90.0, 50.0, 52.0], "learning_rate": [1e-3, 1e-3, 5e-4], "seconds": [1.0] * 3}
    pd.DataFrame(history).to_csv(out / "train" / "history.csv", index=False)
    names = {"predictions": "predictions.npz", "metrics": "metrics.json", "report": "report.pdf"}
    paths = {key: out / "evaluate" / name for key, name in names.items()}
    evaluate.run(
        SETTINGS,
        dataset=split,
        model=out / "train/model.keras",
        training=out / "train/training.json",
        history=out / "train/history.csv",
        **paths,
    )
    return SimpleNamespace(**paths, figures=json.loads(paths["metrics"].read_text()))


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    return write_toy_dataset(tmp_path_factory.mktemp("toy"), 400)


def test_a_perfect_network_has_no_error(monkeypatch, split, tmp_path):
    figures = evaluated(monkeypatch, split, tmp_path, network(lambda truth: truth)).figures
    assert figures["containment_68_deg"] == pytest.approx(0.0, abs=1e-4)
    assert figures["flipped_fraction"] == 0.0
    assert figures["containment_68_cosine"] == pytest.approx(1.0)


def test_a_reversed_network_is_flipped_everywhere(monkeypatch, split, tmp_path):
    figures = evaluated(monkeypatch, split, tmp_path, network(lambda truth: -truth)).figures
    assert figures["flipped_fraction"] == figures["reversed_fraction"] == 1.0
    assert figures["axis_error_68_deg"] == pytest.approx(0.0, abs=1e-4)


def mixed(truth):
    """Some right, some turned, some reversed."""
    turned = np.roll(truth, 1, axis=1)
    return np.where((np.arange(len(truth)) % 4 == 0)[:, None], turned, truth * np.where(truth[:, :1] > 0.8, -1, 1))


@pytest.fixture(scope="module")
def result(split, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        yield evaluated(patch, split, tmp_path_factory.mktemp("evaluated"), network(mixed))


def test_predictions_hold_val_calib_and_test_within_their_contract(split, result):
    arrays = read_predictions(result.predictions)
    events = load_dataset(split, ("val", "calib", "test"))
    np.testing.assert_array_equal(arrays["event_uid"], events.event_uid)
    np.testing.assert_array_equal(arrays["split"], events.split)
    assert set(arrays["split"]) == {1, 2, 3}
    assert angle_deg(arrays["axis"], events.direction).size == len(events)


def test_metrics_are_those_of_the_test_split_alone(result):
    arrays = read_predictions(result.predictions)
    test = arrays["split"] == 3
    errors = angle_deg(arrays["direction_true"], arrays["direction_pred"])
    assert result.figures["n"] == test.sum()
    assert result.figures["containment_68_deg"] == pytest.approx(containment(errors[test]), abs=1e-6)
    assert containment(errors) != pytest.approx(containment(errors[test]), abs=1e-3), "the example tells them apart"


def test_every_measured_headline_has_an_interval(result):
    baselines = result.figures["baselines"]
    assert set(baselines) == {"isotropic", "principal_axis_blip_vote"}
    for figures in (result.figures, baselines["principal_axis_blip_vote"]):
        assert figures["n"] == result.figures["n"], "the axis sees the same events"
        for name in HEADLINES:
            low, high = figures["ci95"][name]
            assert low <= high
    assert result.figures["format_version"] == contracts.FORMAT_VERSION


def test_chance_is_exact_and_has_no_interval(result):
    chance = result.figures["baselines"]["isotropic"]
    assert chance == ISOTROPIC_EXPECTATION
    assert set(chance) == set(HEADLINES)
    assert chance["containment_68_deg"] == pytest.approx(111.1, abs=0.1)


def test_the_principal_axis_says_how_often_it_has_no_blip_to_vote(result):
    axis = result.figures["baselines"]["principal_axis_blip_vote"]
    assert axis["axis_error_68_deg"] < 10, "toy tracks are straight"
    assert axis["no_blip_fraction"] < 0.1, "toy tracks have blips ahead of them"


def test_images_in_another_frame_have_no_principal_axis(monkeypatch, tmp_path):
    split = write_toy_dataset(tmp_path / "toy", 200, orientation="predecessor")
    done = evaluated(monkeypatch, split, tmp_path, network(mixed))
    assert done.figures["baselines"] == {"isotropic": ISOTROPIC_EXPECTATION, "principal_axis_blip_vote": None}
    assert np.isnan(read_predictions(done.predictions)["axis"]).all()
    assert "principal_axis_blip_vote" not in pd.read_csv(done.metrics.parent / "plots/angular_error.csv")
    assert done.report.read_bytes().startswith(b"%PDF")


def test_a_missing_history_is_named(monkeypatch, split, tmp_path):
    monkeypatch.setattr(evaluate, "load_network", lambda model, training: network(mixed))
    names = {name: tmp_path / name for name in ("model", "training", "predictions", "metrics", "report")}
    with pytest.raises(InputMissingError, match=r"absent\.csv does not exist; run `train` again"):
        evaluate.run(SETTINGS, dataset=split, history=tmp_path / "absent.csv", **names)
    assert not list(tmp_path.iterdir())


def test_energy_bins_add_up(result):
    bins = result.figures["by_energy"]
    assert [(entry["low_mev"], entry["high_mev"]) for entry in bins] == [(3, 10), (10, 30), (30, 60)]
    assert sum(entry["n"] for entry in bins) == result.figures["n"]


def test_every_plot_has_its_numbers_beside_it(result):
    folder = result.metrics.parent / "plots"
    for name in PLOTS:
        assert (folder / f"{name}.png").stat().st_size > 5_000
        assert len(pd.read_csv(folder / f"{name}.csv")) > 1
    assert result.report.read_bytes().startswith(b"%PDF")
    assert result.report.read_bytes().count(b"/Type /Page ") == len(PLOTS) + 1


def test_a_network_without_concentration_has_no_plot_of_it(monkeypatch, split, tmp_path):
    done = evaluated(monkeypatch, split, tmp_path, network(mixed, kappa=np.nan))
    assert not (done.metrics.parent / "plots" / "confidence.png").exists()


def test_the_same_seed_gives_the_same_metrics(monkeypatch, split, result, tmp_path):
    assert evaluated(monkeypatch, split, tmp_path, network(mixed)).figures == result.figures


def test_no_test_event_is_one_line_and_nothing_is_written(monkeypatch, split, tmp_path):
    arrays = read_split(split)
    arrays["split"][arrays["split"] == 3] = 1
    (tmp_path / "image").symlink_to(split.parent.parent / "image")
    write_npz(tmp_path / "dataset" / "split.npz", arrays)
    with pytest.raises(DataError, match=r"no image of split 'test' has a true direction; raise dataset.split.test"):
        evaluated(monkeypatch, tmp_path / "dataset" / "split.npz", tmp_path, network(mixed))
    assert not (tmp_path / "electron_direction" / "v7" / "evaluate").exists()


# Predictions of the predecessor


def old_predictions(path, n=200, metadata=None, **changes):
    rng = np.random.default_rng(5)
    true = random_directions(rng, n)
    arrays = {"predictions": 7 * mixed(true), "true_directions": true, "energies": rng.uniform(3, 60, n)}
    np.savez(path, **(arrays | ({} if metadata is None else {"metadata": metadata}) | changes))
    return true


def evaluate_imported(path, folder):
    names = {"predictions": "predictions.npz", "metrics": "metrics.json", "report": "report.pdf"}
    paths = {key: folder / "electron_direction" / "v60_old" / "evaluate" / name for key, name in names.items()}
    evaluate.run(SETTINGS, imported=path, **paths)
    return SimpleNamespace(**paths, figures=json.loads(paths["metrics"].read_text()))


def test_imported_predictions_are_measured_like_a_version(tmp_path):
    true = old_predictions(tmp_path / "val_predictions.npz")
    done = evaluate_imported(tmp_path / "val_predictions.npz", tmp_path)
    check_summary(done.metrics, SUMMARIES["metrics.json"])
    arrays = read_predictions(done.predictions)
    assert set(arrays["split"]) == {3}
    errors = angle_deg(true, mixed(true))
    assert done.figures["containment_68_deg"] == pytest.approx(containment(errors), abs=1e-3)
    assert done.figures["baselines"]["isotropic"] == ISOTROPIC_EXPECTATION
    assert done.figures["baselines"]["principal_axis_blip_vote"] is None
    assert done.report.read_bytes().startswith(b"%PDF")
    assert {path.stem for path in (done.metrics.parent / "plots").glob("*.png")} == {
        "angular_error",
        "cosine",
        "components",
    }, "there is no true energy, no concentration and no history"


def test_metrics_say_that_they_were_imported_and_that_val_steered_the_training(tmp_path):
    old_predictions(tmp_path / "val_predictions.npz")
    said = evaluate_imported(tmp_path / "val_predictions.npz", tmp_path).figures["imported"]
    assert said["file"] == "val_predictions.npz"
    assert said["keys"] == ["energies", "predictions", "true_directions"]
    assert said["n"] == 200
    assert len(said["sha256"]) == 64
    assert "validation split (which also steered its training" in said["note"]


def test_the_report_is_about_the_imported_file_and_has_no_empty_column(monkeypatch, tmp_path, caplog):
    pages = []
    monkeypatch.setattr(headlines, "text_page", lambda *page: pages.append(page) or text_page(*page))
    (tmp_path / "run7").mkdir()
    old_predictions(tmp_path / "run7/val_predictions.npz")
    with caplog.at_level("INFO"):
        evaluate_imported(tmp_path / "run7/val_predictions.npz", tmp_path)
    ((title, paragraphs, header, rows),) = pages
    assert title == "run7/val_predictions.npz (imported)"
    assert header == ["", "network", "isotropic"]
    assert {len(row) for row in rows} == {3}
    assert "test" not in " ".join(paragraphs)
    assert "network: 68% of 200 validation events of the predecessor within" in caplog.text
    assert "test events" not in caplog.text


def test_metrics_of_our_own_network_are_not_imported(result):
    assert result.figures["imported"] is None


def test_imported_events_without_a_label_are_left_out_of_the_figures(tmp_path):
    labels = random_directions(np.random.default_rng(2), 200)
    labels[:50] = 0
    old_predictions(tmp_path / "val_predictions.npz", true_directions=labels)
    done = evaluate_imported(tmp_path / "val_predictions.npz", tmp_path)
    assert (done.figures["n"], done.figures["imported"]["without_truth"]) == (150, 50)
    assert len(read_predictions(done.predictions)["split"]) == 200


def test_unsafe_and_strange_imports_are_refused(tmp_path):
    old_predictions(tmp_path / "bad.npz", metadata=np.array([print] * 200, object))
    with pytest.raises(UntrustedInputError, match=r"bad\.npz: 'metadata': loading it would call builtins\.print"):
        evaluate_imported(tmp_path / "bad.npz", tmp_path)
    np.savez(tmp_path / "tagging.npz", y_true=np.zeros(5), y_pred=np.zeros(5), y_prob=np.zeros((5, 2)))
    with pytest.raises(DataError, match=r"tagging\.npz: 'y_pred' of shape \(5,\).* of a direction network"):
        evaluate_imported(tmp_path / "tagging.npz", tmp_path)
    old_predictions(tmp_path / "none.npz", true_directions=np.zeros((200, 3)))
    with pytest.raises(DataError, match=r"none\.npz: none of 200 events has a true direction"):
        evaluate_imported(tmp_path / "none.npz", tmp_path)
    assert not (tmp_path / "electron_direction").exists()


@pytest.mark.parametrize("given", [{}, {"dataset": "x"}, {"imported": "x", "dataset": "y"}])
def test_a_network_or_an_import_is_given(given, tmp_path):
    paths = {key: tmp_path / key for key in ("predictions", "metrics", "report")}
    with pytest.raises(UsageError, match="give --dataset, --model, --training and --history, or --imported alone"):
        evaluate.run(SETTINGS, **paths, **{key: tmp_path / name for key, name in given.items()})
