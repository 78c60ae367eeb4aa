"""Rows sorted by several keys: what numpy's lexsort gives, whatever the ranges of the keys."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from snpoint.physics.ordering import sorted_order


@given(
    st.integers(0, 2**32 - 1),
    st.lists(st.tuples(st.integers(-(2**62), 2**62), st.integers(0, 40), st.integers(0, 8)), min_size=1, max_size=4),
    st.sampled_from([0, 1, 255, 256, 3000]),
)
@hypothesis_settings(max_examples=100, deadline=None)
def test_same_order_as_lexsort(seed, ranges, n):
    rng = np.random.default_rng(seed)
    keys = [low // 2 + (rng.integers(0, 1 << bits, n) << zeros) for low, bits, zeros in ranges]
    np.testing.assert_array_equal(sorted_order(*keys), np.lexsort(keys[::-1]))


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32, np.int32, np.uint64])
def test_every_integer_type_will_do(dtype):
    values = np.random.default_rng(1).integers(0, 60000, 1000).astype(dtype)
    np.testing.assert_array_equal(sorted_order(values), np.argsort(values, kind="stable"))


def test_rows_in_order_stay():
    values = np.repeat(np.arange(500), 3)
    np.testing.assert_array_equal(sorted_order(values, np.zeros(1500, np.int8)), np.arange(1500))
