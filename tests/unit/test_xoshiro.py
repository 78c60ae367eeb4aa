"""Random numbers of the compiled loops: known sequence, normal numbers and their tail."""

from __future__ import annotations

import numpy as np
from scipy import stats

from snpoint.physics import xoshiro


def state(seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 2**63, 4, dtype=np.uint64)


def test_the_generator_is_xoshiro256_plus_plus() -> None:
    # First outputs of the authors' program from the state 1, 2, 3, 4.
    words, start = [], np.array([1, 2, 3, 4], np.uint64)
    for _ in range(4):
        words.append(int(xoshiro.word(start)))
    assert words == [41943041, 58720359, 3588806011781223, 3591011842654386]


def test_normal_numbers_are_normal_also_far_out() -> None:
    start = state()
    values = np.array([xoshiro.normal(start) for _ in range(400_000)])
    assert stats.kstest(values, "norm").pvalue > 0.01
    for least in (1.0, 2.0, 3.0, 3.6):
        expected = 2 * stats.norm.sf(least) * len(values)
        assert abs((np.abs(values) > least).sum() - expected) < 4 * np.sqrt(expected)
    assert abs(np.corrcoef(values[1:], values[:-1])[0, 1]) < 0.01


def test_the_tail_alone_is_that_of_a_normal_distribution() -> None:
    start = state(2)
    for least in (1.0, 4.1):
        values = np.array([xoshiro.normal_above(least, start) for _ in range(50_000)])
        assert values.min() > least
        assert stats.kstest(values, lambda x, cut=least: 1 - stats.norm.sf(x) / stats.norm.sf(cut)).pvalue > 0.01
