"""Networks build for every loss, give unit vectors, and load in a process that did not make them."""

import subprocess
import sys

import keras
import numpy as np
import pytest

from snpoint.errors import ConfigError, DataError, InputMissingError, NumericError
from snpoint.models import loading, outputs
from snpoint.models.architectures import ARCHITECTURES, build
from snpoint.models.layers import LogCompression, UnitVector
from snpoint.models.losses import LOSSES
from snpoint.models.prediction import predict
from snpoint.settings import Architecture, Drawing

SMALL = Architecture(name="three_plane_cnn", filters=[4, 8], kernel=3, dense=[16], batch_norm=True, dropout=0.1)
IMAGE = Drawing(ticks=32, channels=16, waveform="triangle", scale_adc=60.0)


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(1)
    return (rng.exponential(200, (6, 3, 32, 16)) * (rng.random((6, 3, 32, 16)) < 0.1)).astype(np.float32)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_network_gives_unit_vectors_for_every_loss(name, loss, images):
    model = build(SMALL.model_copy(update={"name": name}), IMAGE, loss)
    raw = model.predict_on_batch(images)
    assert raw.shape == (6, 3 if loss == "angular" else 5)
    np.testing.assert_allclose(np.linalg.norm(raw[:, :3], axis=1), 1.0, atol=1e-5)
    if loss == "head_tail_vmf":
        assert (raw[:, outputs.KAPPA] >= outputs.KAPPA_FLOOR).all()


def test_the_demo_network_has_the_size_it_is_said_to_have():
    demo = Architecture(
        name="three_plane_cnn", filters=[8, 16, 32, 32], kernel=3, dense=[64], batch_norm=True, dropout=0.1
    )
    image = Drawing(ticks=128, channels=32, waveform="triangle", scale_adc=60.0)
    assert build(demo, image, "head_tail_vmf").count_params() == 144_893


def test_branches_share_no_weights(images):
    model = build(SMALL, IMAGE, "angular")
    kernels = [model.get_layer(f"{plane}0_conv").kernel for plane in "ABX"]
    assert len({id(kernel) for kernel in kernels}) == 3


@pytest.mark.parametrize("plane", [0, 1, 2])
def test_every_plane_reaches_the_output(plane, images):
    model = build(SMALL, IMAGE, "head_tail_vmf")
    without = images.copy()
    without[:, plane] = 0
    assert np.abs(model.predict_on_batch(images) - model.predict_on_batch(without)).max() > 1e-4


def test_pooling_stops_before_an_axis_is_gone():
    deep = SMALL.model_copy(update={"filters": [2, 2, 2, 2, 2, 2]})
    assert build(deep, IMAGE, "angular").output_shape == (None, 3)


def test_compression_is_linear_below_its_scale_and_logarithmic_above():
    layer = LogCompression(60.0)
    np.testing.assert_allclose(np.asarray(layer(np.array([0.0, 0.6, 6000.0], "f4"))), [0, 0.00995, 4.615], atol=1e-3)
    with pytest.raises(ValueError, match="positive"):
        LogCompression(0.0)


def test_an_unknown_network_is_named():
    with pytest.raises(ConfigError, match=r"'resnet' is not known; known: three_plane_cnn"):
        build(SMALL.model_copy(update={"name": "resnet"}), IMAGE, "angular")


def test_a_saved_network_predicts_the_same_in_a_fresh_process(tmp_path, images):
    model = build(SMALL, IMAGE, "head_tail_vmf")
    loading.save(model, tmp_path / "model.keras")
    np.save(tmp_path / "images.npy", images)
    code = (
        "import numpy as np; from snpoint.models.loading import load; import sys;"
        "m = load(sys.argv[1] + '/model.keras');"
        "np.save(sys.argv[1] + '/out.npy', m.predict_on_batch(np.load(sys.argv[1] + '/images.npy')))"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), model.predict_on_batch(images), atol=1e-5)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images.npy", "model.keras", "out.npy"]


def test_a_missing_or_damaged_file_is_one_line(tmp_path):
    with pytest.raises(InputMissingError, match="run `train` first"):
        loading.load(tmp_path / "model.keras")
    (tmp_path / "model.keras").write_bytes(b"PK nothing")
    with pytest.raises(DataError, match=r"model.keras: not a readable Keras model") as caught:
        loading.load(tmp_path / "model.keras")
    assert "\n" not in str(caught.value)


def test_the_likelier_end_is_predicted():
    raw = np.array([[0, 0, 1, 5, 2.0], [0, 0, 1, 7, -2.0]], np.float32)
    decoded = outputs.decode(raw)
    np.testing.assert_array_equal(decoded.direction, [[0, 0, 1], [0, 0, -1]])
    np.testing.assert_allclose(decoded.head_probability, 1 / (1 + np.exp(-2.0)), rtol=1e-6)
    np.testing.assert_array_equal(decoded.kappa, [5, 7])


def test_an_angular_output_has_no_concentration():
    decoded = outputs.decode(np.array([[0, 0.6, 0.8]], np.float32))
    assert np.isnan(decoded.kappa).all()
    assert np.isnan(decoded.head_probability).all()


def test_nothing_but_finite_outputs_pass():
    with pytest.raises(NumericError, match="1 of 2 images"):
        outputs.decode(np.array([[0, 0, 1], [np.nan, 0, 0]], np.float32))


def test_predictions_do_not_depend_on_the_batch_size(images):
    model = build(SMALL, IMAGE, "head_tail_vmf")
    whole, parts = (predict(model, lambda rows: images[rows], 6, size) for size in (6, 4))
    np.testing.assert_allclose(whole.direction, parts.direction, atol=1e-5)


def test_a_network_that_is_blind_to_an_image_can_still_learn():
    """All features zero: the direction is undefined, its gradient must be finite."""
    inputs = keras.Input((3,))
    model = keras.Model(inputs, UnitVector()(inputs))
    model.compile(optimizer="sgd", loss="mse")
    vectors = np.zeros((4, 3), np.float32)
    assert np.isfinite(model.predict(vectors, verbose=0)).all()
    layered = keras.Sequential([inputs, keras.layers.Dense(3, kernel_initializer="zeros"), UnitVector()])
    layered.compile(optimizer="sgd", loss="mse")
    layered.fit(np.ones((4, 3), np.float32), np.ones((4, 3), np.float32), epochs=2, verbose=0)
    assert all(np.isfinite(weights).all() for weights in layered.get_weights())
