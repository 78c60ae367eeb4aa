"""Ranks of real values among simulated twins: calibrated where all is well, and awake where it is not."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from snpoint.physics.validation.ranks import (
    TIE_DRAWS,
    agreement,
    drawn_ranks,
    holm,
    rank_test,
    ranks,
    smallest_shift,
    uniform_rank,
    uniformity,
)

EVENTS, TWINS = 60, 40


def gamma_events(rng: np.random.Generator, gain: float = 1.0) -> tuple[np.ndarray, list[np.ndarray]]:
    """Sixty events of quite different sizes, a real value (times a gain) and twins of each; 8% spread."""
    sizes = rng.uniform(3.0, 60.0, EVENTS)
    return gain * sizes * rng.normal(1.0, 0.08, EVENTS), [size * rng.normal(1.0, 0.08, TWINS) for size in sizes]


def counted_events(rng: np.random.Generator, factor: float = 1.0) -> tuple[np.ndarray, list[np.ndarray]]:
    """Sixty events with few counts each: mostly ties."""
    means = rng.uniform(0.2, 5.0, EVENTS)
    return rng.poisson(factor * means).astype(float), [rng.poisson(mean, TWINS).astype(float) for mean in means]


@pytest.mark.parametrize("made", [gamma_events, counted_events], ids=["continuous", "counts with ties"])
def test_p_values_are_uniform_where_real_and_simulated_are_the_same(made) -> None:
    rng = np.random.default_rng(5)
    p = [uniformity(ranks(*made(rng), "q", seed)) for seed in range(400)]
    assert stats.kstest(p, "uniform").pvalue > 0.01
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=0.035)


def test_mid_ranks_of_ties_would_not_be_uniform() -> None:
    """Why ties are broken at random: counts that are nearly always 0 give the same mid-rank to all events."""
    rng = np.random.default_rng(6)
    real, twins = (rng.random(EVENTS) < 0.1).astype(float), [(rng.random(TWINS) < 0.1).astype(float)] * EVENTS
    mid = np.array([np.mean(own < value) + np.mean(own == value) / 2 for value, own in zip(real, twins, strict=True)])
    assert uniformity(mid) < 1e-6
    assert uniformity(ranks(real, twins, "q")) > 0.01


def test_the_rank_of_one_value_among_few_twins_is_uniform() -> None:
    rng = np.random.default_rng(7)
    u = np.concatenate([uniform_rank(rng.random(), rng.random(3), rng) for _ in range(4000)])
    assert stats.kstest(u, "uniform").pvalue > 0.01


@pytest.mark.parametrize("made", [gamma_events, counted_events], ids=["continuous", "counts with ties"])
def test_the_median_over_drawings_of_ties_rejects_not_more_often_than_its_level(made) -> None:
    rng = np.random.default_rng(16)
    p = np.array([rank_test(*made(rng), "q", seed).p for seed in range(400)])
    assert np.mean(p < 0.05) < 0.08
    assert np.mean(p < 0.01) < 0.025


def test_p_of_tied_counts_is_the_median_of_many_drawings_and_their_range_is_told() -> None:
    real, twins = counted_events(np.random.default_rng(17))
    found = agreement(real, twins, "q")
    drawn = [uniformity(u) for u in drawn_ranks(real, twins, "q")]
    assert len(drawn) == TIE_DRAWS
    assert found.p == pytest.approx(np.median(drawn), rel=1e-6)
    assert (found.p_low, found.p_high) == pytest.approx((min(drawn), max(drawn)), rel=1e-6)
    assert found.p_high - found.p_low > 0.1  # one drawing would have decided much
    others = [agreement(real, twins, "q", seed).p for seed in range(2, 12)]
    assert max(others) < 1.5 * min(others)  # the median does not depend on the seed


def test_without_ties_the_drawings_agree() -> None:
    rng = np.random.default_rng(18)
    means = rng.uniform(3.0, 60.0, EVENTS)
    found = agreement(means * rng.normal(1.1, 0.1, EVENTS), [m * rng.normal(1.0, 0.1, 2000) for m in means], "q")
    assert found.p_high < 1.2 * found.p_low


def test_the_median_ratio_is_blank_where_less_than_half_of_the_events_have_one() -> None:
    twins = [np.array([0.0, 0.0, 3.0])] * 6 + [np.array([1.0, 1.0, 1.0])] * 4
    found = agreement(np.full(10, 2.0), twins, "q")
    assert math.isnan(found.ratio)
    assert math.isnan(found.ratio_ci95[0])
    assert found.mean_ratio == pytest.approx(2.0)
    assert agreement(np.full(10, 2.0), twins[2:] + twins[-2:], "q").ratio == 2.0


def test_a_gain_of_15_percent_is_found_with_its_size() -> None:
    found = agreement(*gamma_events(np.random.default_rng(8), gain=1.15), "adc")
    assert found.p < 1e-6
    assert found.mean_rank > 0.8
    assert found.ratio == pytest.approx(1.15, abs=0.03)
    assert found.ratio_ci95[0] < 1.15 < found.ratio_ci95[1]
    assert found.ratio_ci95[0] > 1.05


def test_doubled_noise_is_found_with_its_size() -> None:
    found = agreement(*counted_events(np.random.default_rng(9), factor=2.0), "noise")
    assert found.p < 1e-6
    assert found.mean_ratio == pytest.approx(2.0, rel=0.25)
    assert found.mean_ratio_ci95[0] > 1.5


def test_a_wrong_spread_is_found_without_a_shift() -> None:
    rng = np.random.default_rng(10)
    real = rng.normal(0.0, 3.0, EVENTS)
    found = agreement(real, [rng.normal(0.0, 1.0, TWINS) for _ in range(EVENTS)], "q")
    assert found.p < 1e-3
    assert found.mean_rank == pytest.approx(0.5, abs=0.15)


def test_events_with_nothing_to_measure_count_as_lowest_and_have_no_ratio() -> None:
    rng = np.random.default_rng(11)
    assert uniform_rank(math.nan, np.array([1.0, 2.0, 3.0]), rng) < 0.25
    assert uniform_rank(0.0, np.array([math.nan, math.nan, math.nan]), rng) > 0.75
    found = agreement(np.array([math.nan, 2.0]), [np.array([1.0, 3.0]), np.array([1.0, 1.0])], "q")
    assert found.n == 2
    assert (found.ratio, found.mean_ratio) == (2.0, 2.0)


def test_as_many_lost_as_in_the_simulation_is_no_disagreement() -> None:
    rng = np.random.default_rng(12)

    def some(n: int) -> np.ndarray:
        return np.where(rng.random(n) < 0.5, np.nan, rng.random(n))

    assert uniformity(ranks(some(EVENTS), [some(TWINS) for _ in range(EVENTS)], "q")) > 0.01
    assert uniformity(ranks(np.full(EVENTS, np.nan), [some(TWINS) for _ in range(EVENTS)], "q")) < 0.01


def test_holm_corrects_for_the_number_of_tests_and_keeps_the_order() -> None:
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06})
    assert holm({"a": 0.9, "b": 0.8}) == {"a": 1.0, "b": 1.0}
    found = holm({"a": 0.004, "none": math.nan})
    assert found["a"] == 0.004
    assert math.isnan(found["none"])


def test_the_family_of_forty_quantities_fails_as_rarely_as_it_says() -> None:
    rng = np.random.default_rng(13)
    families = rng.random((2000, 40))
    failed = [min(holm({str(k): p for k, p in enumerate(row)}).values()) <= 0.05 for row in families]
    assert np.mean(failed) == pytest.approx(0.05, abs=0.015)


def test_the_smallest_shift_is_one_that_is_seen_in_nine_of_ten_sets() -> None:
    rng = np.random.default_rng(14)
    twins = [rng.lognormal(3.0, 0.8, 500) for _ in range(EVENTS)]
    below, above = smallest_shift(twins, trials=500)
    assert 0.5 < below < 0.8
    assert 1.25 < above < 2.0
    seen = []
    for seed in range(200):
        real = np.array([rng.choice(own) * above for own in twins])
        seen.append(uniformity(ranks(real, twins, "q", seed)) < 0.01)
    assert np.mean(seen) == pytest.approx(0.9, abs=0.07)


def test_what_cannot_be_seen_is_said_to_be_infinite() -> None:
    assert smallest_shift([np.array([180.0])] * EVENTS, trials=50, largest=180.0)[1] == math.inf


def test_the_same_seed_gives_the_same_numbers() -> None:
    events = counted_events(np.random.default_rng(15))
    assert agreement(*events, "q", 3) == agreement(*events, "q", 3)
    assert (ranks(*events, "q", 3) != ranks(*events, "q", 4)).any()
