"""Containment is an order statistic; bootstrap intervals cover and are decided by their seed."""

import numpy as np
import pytest

from snpoint.physics.statistics import bootstrap_interval, containment, paired_bootstrap_difference


def mean(values):
    return float(values.mean())


@pytest.mark.parametrize(("n", "rank"), [(1, 1), (2, 2), (3, 3), (10, 7), (25, 17), (100, 68), (101, 69), (1000, 680)])
def test_containment_is_the_ceiling_rank(n, rank):
    errors = np.random.default_rng(n).permutation(np.arange(1.0, n + 1))
    assert containment(errors) == rank


def test_containment_is_a_value_of_the_sample_and_never_interpolated():
    assert containment([1.0, 2.0, 50.0]) == 50.0
    assert containment([1.0, 2.0, 50.0], fraction=0.5) == 2.0


def test_containment_of_everything_is_the_maximum():
    assert containment([3.0, 9.0, 1.0], fraction=1.0) == 9.0


def test_containment_without_events_or_with_nan_is_nan():
    assert np.isnan(containment([]))
    assert np.isnan(containment([1.0, np.nan]))


def test_interval_covers_a_known_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(1)
    covered = 0
    for trial in range(200):
        low, high = bootstrap_interval(rng.normal(0, 1, 100), mean, 200, seed=trial)
        covered += low <= 0 <= high
    assert 0.87 <= covered / 200 <= 0.99


def test_interval_is_decided_by_its_seed():
    values = np.random.default_rng(1).normal(size=50)
    assert bootstrap_interval(values, mean, 50, seed=7) == bootstrap_interval(values, mean, 50, seed=7)
    assert bootstrap_interval(values, mean, 50, seed=7) != bootstrap_interval(values, mean, 50, seed=8)


def test_interval_without_events_is_nan():
    assert np.isnan(bootstrap_interval([], mean, 10, seed=1)).all()


def test_pairing_cancels_what_two_samples_share():
    rng = np.random.default_rng(2)
    shared = rng.normal(0, 10, 500)
    a, b = shared + 1.0, shared + rng.normal(0, 0.1, 500)
    difference, low, high = paired_bootstrap_difference(a, b, mean, 300, seed=1)
    assert low < difference < high
    assert low > 0.9, "unpaired, the interval would be wider than 2"
    assert high - low < 0.1


def test_pairs_must_match():
    with pytest.raises(ValueError, match="2 and 3 events"):
        paired_bootstrap_difference([1.0, 2.0], [1.0, 2.0, 3.0], mean, 10, seed=1)
