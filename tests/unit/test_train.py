"""`train` on a small dataset: it learns, its files say what happened, and nothing is written when it fails."""

import json
import logging
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from toy_images import write_toy_dataset

from snpoint.data.atomic import write_npz
from snpoint.data.shards import load_dataset, read_split
from snpoint.errors import DataError, InputMissingError, NumericError
from snpoint.models.batches import ImageBatches
from snpoint.models.network import load_network
from snpoint.models.training import _duration
from snpoint.physics.angles import axis_angle_deg
from snpoint.physics.statistics import containment
from snpoint.settings import TrainSettings
from snpoint.stages import predict, train

SETTINGS = TrainSettings.model_validate(
    {
        "code": TrainSettings.model_fields["code"].annotation.__args__[0],
        "seed": 1,
        "architecture": {
            "name": "three_plane_cnn",
            "filters": [4, 8, 8],
            "kernel": 3,
            "dense": [16],
            "batch_norm": True,
            "dropout": 0.0,
        },
        "image": {"ticks": 64, "channels": 32, "waveform": "triangle", "scale_adc": 60.0},
        "loss": "head_tail_vmf",
        "optimizer": "adam",
        "learning_rate": 0.01,
        "clipnorm": 1.0,
        "batch_size": 16,
        "epochs": 6,
        "early_stopping": {"patience": 50},
        "reduce_learning_rate": {"patience": 10, "factor": 0.5, "min_learning_rate": 1e-6},
    }
)


def trained(settings, split, folder):
    paths = {"model": folder / "model.keras", "history": folder / "history.csv", "training": folder / "training.json"}
    train.run(settings, dataset=split, **paths)
    return paths


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    return write_toy_dataset(tmp_path_factory.mktemp("toy"), 800)


@pytest.fixture(scope="module")
def result(split, tmp_path_factory):
    return trained(SETTINGS, split, tmp_path_factory.mktemp("train"))


def test_a_small_network_learns_straight_tracks(split, result):
    network = load_network(result["model"], result["training"])
    test = load_dataset(split, ("test",))
    errors = axis_angle_deg(network.predict(test, 64).direction, test.direction)
    assert containment(errors) < 45.0, "a random axis has 71 deg"


def test_history_has_a_line_per_epoch(result):
    history = pd.read_csv(result["history"])
    expected = ["epoch", "loss", "val_loss", "val_containment_68_deg", "learning_rate", "seconds"]
    assert list(history.columns) == expected
    assert list(history["epoch"]) == [1, 2, 3, 4, 5, 6]
    assert history["loss"].iloc[-1] < history["loss"].iloc[0]
    assert np.isfinite(history.to_numpy()).all()


def test_the_summary_agrees_with_the_history(result):
    summary, history = json.loads(result["training"].read_text()), pd.read_csv(result["history"])
    best = history.loc[history["val_loss"].idxmin()]
    assert summary["best_epoch"] == best["epoch"]
    assert summary["best_val_loss"] == pytest.approx(best["val_loss"])
    assert (summary["n_train"], summary["n_val"]) == (400, 160)
    assert summary["planes"] == ["A", "B", "X"]
    assert summary["settings"] == SETTINGS.model_dump(mode="json")
    assert summary["backend"] == "tensorflow"
    assert summary["samples_per_second"] > 0


def test_the_kept_network_is_that_of_the_best_epoch(split, result):
    from snpoint.models.losses import head_tail_vmf

    network = load_network(result["model"], result["training"])
    val = load_dataset(split, ("val",))
    raw = network.model.predict_on_batch(network.draw(val)(np.arange(len(val))))
    loss = float(np.mean(np.asarray(head_tail_vmf(val.direction, raw))))
    assert loss == pytest.approx(json.loads(result["training"].read_text())["best_val_loss"], abs=1e-3)


def test_the_same_seed_gives_the_same_losses_and_another_does_not(split, result, tmp_path):
    quick = SETTINGS.model_copy(update={"epochs": 1})
    again = pd.read_csv(trained(quick, split, tmp_path / "again")["history"])["val_loss"][0]
    other = pd.read_csv(trained(quick.model_copy(update={"seed": 2}), split, tmp_path / "other")["history"])[
        "val_loss"
    ][0]
    first = pd.read_csv(result["history"])["val_loss"][0]
    assert again == pytest.approx(first, rel=1e-4)
    assert other != pytest.approx(first, rel=1e-4)


def test_the_log_has_a_line_per_epoch(split, tmp_path, caplog):
    caplog.set_level(logging.INFO, "snpoint")
    trained(SETTINGS.model_copy(update={"epochs": 2, "loss": "angular", "batch_size": 200}), split, tmp_path)
    lines = [record.getMessage() for record in caplog.records]
    for number in (1, 2):
        (line,) = [line for line in lines if line.startswith(f"epoch {number}/2: ")]
        for word in ("loss", "val loss", "learning rate", "samples/s", "left"):
            assert word in line


def test_an_infinite_loss_ends_without_any_file(split, tmp_path):
    broken = SETTINGS.model_copy(update={"learning_rate": 1e38, "batch_size": 200})
    with pytest.raises(NumericError, match=r"loss became .* in epoch .*; nothing was written") as caught:
        trained(broken, split, tmp_path / "broken")
    assert caught.value.exit_code == 76
    assert not (tmp_path / "broken").exists()


@pytest.mark.parametrize("name", ["train", "val"])
def test_an_empty_split_is_named_with_its_remedy(name, split, tmp_path):
    arrays = read_split(split)
    arrays["split"][arrays["split"] == {"train": 0, "val": 1}[name]] = 3
    (tmp_path / "image").symlink_to(split.parent.parent / "image")
    write_npz(tmp_path / "dataset" / "split.npz", arrays)
    with pytest.raises(DataError, match=f"split '{name}' is empty; raise dataset.split.{name}"):
        trained(SETTINGS, tmp_path / "dataset" / "split.npz", tmp_path / "train")


def test_images_without_truth_are_refused(tmp_path):
    split = write_toy_dataset(tmp_path, 20, truth=False)
    with pytest.raises(DataError, match="require_truth"):
        trained(SETTINGS, split, tmp_path / "train")


def test_predict_needs_no_truth_and_takes_every_split(result, tmp_path):
    split = write_toy_dataset(tmp_path, 30, seed=2, truth=False)
    predict.run(
        predict.PredictSettings(code=_code(predict.PredictSettings), batch_size=8),
        dataset=split,
        model=result["model"],
        training=result["training"],
        predictions=tmp_path / "predictions.npz",
    )
    with np.load(tmp_path / "predictions.npz") as arrays:
        assert len(arrays["event_uid"]) == 30
        assert set(arrays["split"]) == {0, 1, 2, 3}
        assert np.isnan(arrays["direction_true"]).all()
        np.testing.assert_allclose(np.linalg.norm(arrays["direction_pred"], axis=1), 1.0, atol=1e-5)
        assert (arrays["head_probability"] >= 0.5).all()
        assert (arrays["interaction"] == 255).all()


def test_a_network_and_a_summary_that_do_not_belong_together_are_refused(result, tmp_path):
    summary = json.loads(result["training"].read_text())
    summary["image"]["ticks"] = 128
    (tmp_path / "training.json").write_text(json.dumps(summary))
    with pytest.raises(DataError, match="takes images"):
        load_network(result["model"], tmp_path / "training.json")
    (tmp_path / "training.json").write_text("{}")
    with pytest.raises(DataError, match="a key is missing"):
        load_network(result["model"], tmp_path / "training.json")
    with pytest.raises(InputMissingError):
        load_network(tmp_path / "no.keras", result["training"])
    summary = json.loads(result["training"].read_text()) | {"model_sha256": "0" * 64}
    (tmp_path / "training.json").write_text(json.dumps(summary))
    with pytest.raises(DataError, match="is not the network that"):
        load_network(result["model"], tmp_path / "training.json")


def test_images_of_another_frame_are_refused(result, tmp_path):
    events = load_dataset(write_toy_dataset(tmp_path / "dataset", 20))
    with pytest.raises(DataError, match="trained on images in the frame 'canonical', these are 'predecessor'"):
        load_network(result["model"], result["training"]).draw(replace(events, orientation="predecessor"))


def test_batches_hold_every_event_once_in_an_order_of_seed_and_epoch():
    def batches(seed=1):
        return ImageBatches(lambda rows: rows, 100, 10, np.arange(100), seed)

    first = batches()
    order = np.concatenate([first[i][0] for i in range(len(first))])
    assert sorted(order) == list(range(100))
    np.testing.assert_array_equal(order, np.concatenate([batches()[i][0] for i in range(10)]))
    first.on_epoch_end()
    assert not np.array_equal(order, np.concatenate([first[i][0] for i in range(10)]))
    assert not np.array_equal(order[:10], batches(seed=2)[0][0])


def test_incomplete_batches_are_left_out_of_training_but_not_of_validation():
    training = ImageBatches(lambda rows: rows, 25, 10, np.arange(25), seed=1)
    assert (len(training), training.n_used) == (2, 20)
    validation = ImageBatches(lambda rows: rows, 25, 10, np.arange(25))
    assert [len(validation[i][0]) for i in range(len(validation))] == [10, 10, 5]
    assert len(ImageBatches(lambda rows: rows, 7, 64, np.arange(7), seed=1)) == 1, "fewer events than a batch"


def test_durations_read_well():
    assert [_duration(value) for value in (12, 600, 36_000)] == ["12 s", "10 min", "10.0 h"]


def _code(settings):
    return settings.model_fields["code"].annotation.__args__[0]
