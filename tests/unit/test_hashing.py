"""Content hashes: of what a group holds, not of how it is written."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from snpoint.physics.hashing import content_hash

ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(-5, 5), st.integers(0, 9)), max_size=30)


def hashed(rows, n_groups=4):
    group, first, second = np.array(rows, np.int64).reshape(-1, 3).T
    return content_hash(group, n_groups, first, second)


def test_value_is_fixed():
    """Fingerprints are stored in files: they must not change from version to version."""
    assert hashed([(0, 1, 2), (0, 3, 4), (1, 1, 2)], 2).tolist() == [2843378753462871907, 5167718485781182436]


@given(ROWS, st.randoms())
@hypothesis_settings(deadline=None)
def test_order_of_rows_does_not_matter(rows, random):
    mixed = rows.copy()
    random.shuffle(mixed)
    np.testing.assert_array_equal(hashed(rows), hashed(mixed))


@given(ROWS, ROWS)
@hypothesis_settings(deadline=None)
def test_groups_are_equal_if_and_only_if_their_rows_are(first, second):
    ours, theirs = hashed(first), hashed(second)
    for group in range(4):
        same = sorted(row for row in first if row[0] == group) == sorted(row for row in second if row[0] == group)
        assert (ours[group] == theirs[group]) == same


@given(ROWS)
@hypothesis_settings(deadline=None)
def test_hash_is_never_zero(rows):
    assert hashed(rows).all()


def test_width_of_a_column_does_not_matter():
    group, values = np.zeros(3, np.int32), np.array([1, 2, 60000])
    assert content_hash(group, 1, values.astype(np.uint16)) == content_hash(group, 1, values.astype(np.int64))


def test_columns_are_not_interchangeable():
    group, a, b = np.zeros(1, np.int64), np.array([1]), np.array([2])
    assert content_hash(group, 1, a, b) != content_hash(group, 1, b, a)


def test_rows_of_no_group_count_nowhere():
    assert content_hash(np.array([0, -1]), 1, np.array([5, 6])) == content_hash(np.array([0]), 1, np.array([5]))


def test_million_groups_are_all_different():
    number = np.arange(1_000_000)
    assert len(np.unique(content_hash(number, len(number), number))) == len(number)


def test_what_cannot_be_hashed_is_refused():
    group = np.zeros(2, np.int64)
    with pytest.raises(TypeError, match="takes integers, not float64"):
        content_hash(group, 1, np.zeros(2))
    with pytest.raises(ValueError, match="all as long"):
        content_hash(group, 1, np.zeros(3, np.int64))
    with pytest.raises(ValueError, match="group 0 is not below 0"):
        content_hash(group, 0, np.zeros(2, np.int64))
