"""Splits and choices by a hash of the event: nothing else moves an event."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snpoint.physics.splitting import assign_split, choose_images

SHARES = (0.7, 0.1, 0.1, 0.1)
UIDS = np.arange(50_000, dtype=np.uint64) + np.uint64(1 << 44)
CLASSES = (np.arange(400) % 5 == 0).astype(np.uint8)


def test_shares_are_met():
    found = np.bincount(assign_split(UIDS, 1, SHARES), minlength=4) / len(UIDS)
    np.testing.assert_allclose(found, SHARES, atol=0.006)


def test_share_of_zero_gets_nothing_and_of_one_everything():
    assert set(assign_split(UIDS, 1, (0.0, 0.0, 0.0, 1.0)).tolist()) == {3}
    assert set(assign_split(UIDS, 1, (1.0, 0.0, 0.0, 0.0)).tolist()) == {0}
    assert set(assign_split(UIDS, 1, (0.5, 0.0, 0.5, 0.0)).tolist()) == {0, 2}


def test_split_depends_on_the_seed_alone():
    np.testing.assert_array_equal(assign_split(UIDS, 1, SHARES), assign_split(UIDS[::-1], 1, SHARES)[::-1])
    differs = assign_split(UIDS, 1, SHARES) != assign_split(UIDS, 2, SHARES)
    assert differs.mean() == pytest.approx(1 - sum(share**2 for share in SHARES), abs=0.02)


@settings(max_examples=30, deadline=None)
@given(
    count=st.integers(0, 300), more=st.integers(0, 300), seed=st.integers(0, 2**32 - 1), classes=st.sampled_from([0, 1])
)
def test_choosing_more_images_drops_none(count, more, seed, classes):
    kinds = CLASSES if classes else None
    few = choose_images(UIDS[:400], UIDS[:400], seed, count, kinds)
    many = choose_images(UIDS[:400], UIDS[:400], seed, count + more, kinds)
    assert few.sum() == (min(count // 2, 80) * 2 if classes else count)
    assert not (few & ~many).any()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), order=st.permutations(range(40)))
def test_choice_does_not_depend_on_the_order_of_the_files(seed, order):
    event, tie = UIDS[np.arange(40) // 3], np.arange(1, 41, dtype=np.uint64)
    straight = choose_images(event, tie, seed, 17)
    np.testing.assert_array_equal(choose_images(event[order], tie[order], seed, 17), straight[order])


def test_choice_takes_the_same_share_of_every_split():
    split, chosen = assign_split(UIDS, 5, SHARES), choose_images(UIDS, UIDS, 5, 20_000)
    for number in range(4):
        assert chosen[split == number].mean() == pytest.approx(0.4, abs=0.03)


def test_balance_takes_as_many_as_the_smallest_class_has():
    chosen = choose_images(UIDS[:400], UIDS[:400], 1, None, CLASSES)
    assert np.bincount(CLASSES[chosen]).tolist() == [80, 80]
    assert choose_images(UIDS[:0], UIDS[:0], 1, 5, CLASSES[:0]).shape == (0,)
