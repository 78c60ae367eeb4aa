"""Losses agree with their formulas, and stay finite where formulas do not."""

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import vonmises_fisher

from snpoint.physics.angles import angle_deg, random_directions

keras = pytest.importorskip("keras")
from keras import ops  # noqa: E402

from snpoint.models import losses  # noqa: E402
from snpoint.models.metrics import Containment  # noqa: E402
from snpoint.models.outputs import decode  # noqa: E402
from snpoint.physics.statistics import containment  # noqa: E402

Z = np.array([[0.0, 0.0, 1.0]], np.float32)


def value(loss, truth, output):
    return ops.convert_to_numpy(loss(np.asarray(truth, np.float32), np.asarray(output, np.float32)))


def gradient(loss, truth, output):
    """Gradient by the output, whatever the backend: of a model that is nothing but its output."""
    if keras.backend.backend() != "tensorflow":
        pytest.skip("gradients are tested with the TensorFlow backend")
    import tensorflow as tf

    variable = tf.constant(output, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(variable)
        total = tf.reduce_sum(loss(tf.constant(truth, tf.float32), variable))
    return tape.gradient(total, variable).numpy()


def head_tail(direction, kappa, logit):
    direction = np.atleast_2d(direction)
    ones = np.ones((len(direction), 1))
    return np.hstack([direction, kappa * ones, logit * ones]).astype(np.float32)


def test_angular_is_the_angle_in_radians():
    rng = np.random.default_rng(1)
    a, b = random_directions(rng, 300), random_directions(rng, 300)
    np.testing.assert_allclose(value(losses.angular, a, b), np.radians(angle_deg(a, b)), atol=2e-6)


@pytest.mark.parametrize("sign", [1, -1])
def test_angular_has_a_finite_value_and_gradient_at_its_ends(sign):
    assert value(losses.angular, Z, sign * Z)[0] == pytest.approx(0 if sign > 0 else math.pi, abs=1e-5)
    assert np.isfinite(gradient(losses.angular, Z, sign * Z)).all()


def test_angular_pulls_towards_the_truth_with_unit_strength():
    output = np.array([[math.sin(0.01), 0.0, math.cos(0.01)]])
    across = gradient(losses.angular, Z, output)[0] @ [math.cos(0.01), 0.0, -math.sin(0.01)]
    assert across == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("kappa", [0.01, 0.4, 0.6, 3.0, 40.0])
@pytest.mark.parametrize("logit", [-2.0, 0.0, 3.0])
def test_head_tail_is_the_mixture_of_two_von_mises_fisher_densities(kappa, logit):
    truth = random_directions(np.random.default_rng(2), 50)
    w = 1 / (1 + math.exp(-logit))
    density = w * vonmises_fisher(Z[0], kappa).pdf(truth) + (1 - w) * vonmises_fisher(-Z[0], kappa).pdf(truth)
    output = head_tail(np.repeat(Z, 50, axis=0), kappa, logit)
    np.testing.assert_allclose(value(losses.head_tail_vmf, truth, output), -np.log(density), rtol=2e-5, atol=2e-5)


def test_head_tail_density_integrates_to_one():
    def density(cosine):
        truth = [[math.sqrt(1 - cosine**2), 0.0, cosine]]
        return 2 * math.pi * math.exp(-value(losses.head_tail_vmf, truth, head_tail(Z, 5.0, 0.7))[0])

    assert quad(density, -1, 1, epsabs=1e-4)[0] == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("kappa", [1e-3, 1e-6, 0.5, 1e4])
@pytest.mark.parametrize("logit", [-1e4, 0.0, 1e4])
@pytest.mark.parametrize("sign", [1, -1])
def test_head_tail_is_finite_at_every_extreme(kappa, logit, sign):
    output = head_tail(sign * Z, kappa, logit)
    assert np.isfinite(value(losses.head_tail_vmf, Z, output)).all()
    assert np.isfinite(gradient(losses.head_tail_vmf, Z, output)).all()


def test_without_concentration_every_direction_costs_the_same():
    truth = random_directions(np.random.default_rng(3), 20)
    output = head_tail(np.repeat(Z, 20, axis=0), 1e-6, 0.3)
    np.testing.assert_allclose(value(losses.head_tail_vmf, truth, output), math.log(4 * math.pi), atol=1e-5)


def test_swapping_ends_and_head_changes_nothing():
    truth = random_directions(np.random.default_rng(4), 30)
    mu = random_directions(np.random.default_rng(5), 30)
    np.testing.assert_allclose(
        value(losses.head_tail_vmf, truth, head_tail(mu, 7.0, 1.3)),
        value(losses.head_tail_vmf, truth, head_tail(-mu, 7.0, -1.3)),
        atol=1e-4,
    )


def test_with_an_undecided_head_the_axis_is_still_learnt():
    """An angular loss is flat here: theta + (180 - theta) is constant."""
    output = head_tail([[math.sin(0.5), 0.0, math.cos(0.5)]], 5.0, 0.0)
    for truth in (Z, -Z):
        towards = gradient(losses.head_tail_vmf, truth, output)[0, :3] @ [math.cos(0.5), 0.0, -math.sin(0.5)]
        assert towards > 0.5, "moving away from the axis must cost"


def test_normalization_has_no_step_where_series_and_closed_form_meet():
    kappa = np.array([0.4999, 0.5, 0.5001], np.float32)
    exact = np.log(4 * np.pi * np.sinh(kappa.astype(np.float64)) / kappa)
    np.testing.assert_allclose(ops.convert_to_numpy(losses.log_normalization(kappa)), exact, atol=2e-6)


def test_watched_containment_is_the_order_statistic_to_a_bin():
    truth, mu = (random_directions(np.random.default_rng(seed), 500) for seed in (6, 7))
    output = head_tail(mu, 3.0, 0.0)
    output[:, 4] = np.random.default_rng(8).normal(0, 2, 500)
    metric = Containment()
    for start in range(0, 500, 100):
        metric.update_state(truth[start : start + 100].astype("f4"), ops.convert_to_tensor(output[start : start + 100]))
    exact = containment(angle_deg(truth, decode(output).direction))
    assert float(metric.result()) == pytest.approx(exact, abs=0.26)
