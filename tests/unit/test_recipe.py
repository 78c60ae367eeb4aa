"""The defaults of every version are the recipe of the training insights of November 2025."""

import pytest

from snpoint import config
from snpoint.settings import TrainSettings


@pytest.fixture(scope="module")
def train():
    return config.parse_settings("train", None, ())


def test_defaults_are_complete_settings(train):
    assert isinstance(train, TrainSettings)


def test_gradients_are_clipped(train):
    assert train.clipnorm == 1.0


def test_batches_are_normalized(train):
    assert train.architecture.batch_norm is True


def test_the_network_is_four_layers_of_64_filters(train):
    assert train.architecture.filters == [64, 64, 64, 64]


def test_training_may_take_its_time(train):
    assert train.epochs == 300
    assert train.early_stopping.patience == 50


def test_the_learning_rate_falls_on_a_plateau(train):
    reduce = train.reduce_learning_rate
    assert (reduce.patience, reduce.factor, reduce.min_learning_rate) == (10, 0.5, 1e-6)


def test_the_optimizer_is_adam_and_the_loss_is_angular(train):
    assert (train.optimizer, train.learning_rate, train.loss) == ("adam", 1e-3, "angular")


def test_predictions_are_always_saved():
    """No setting can turn them off: `predictions.npz` is an output of the rule."""
    from snpoint import paths

    assert "predictions.npz" in paths.VERSION_OUTPUTS["evaluate"]
