"""Copies of clusters and backgrounds are found by content, and of each content one event keeps it."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from snpoint.physics.duplicates import find_copies, in_several

rows_of_few = st.lists(st.tuples(st.integers(1, 6), st.integers(0, 4)), max_size=30)


def columns(rows):
    table = np.array(rows, np.uint64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def test_copies_under_other_events_are_found():
    event, content = columns([(1, 50), (2, 60), (3, 50), (4, 70), (5, 50)])
    copies = find_copies(event, content)
    assert copies.shared.tolist() == [True, False, True, False, True]
    assert copies.later.tolist() == [False, False, True, False, True]
    assert copies.report() == {
        "n_images": 5,
        "n_shared": 3,
        "share": 0.6,
        "n_later": 2,
        "n_contents": 1,
        "most_events": 3,
        "examples": [{"fingerprint": "0000000000000032", "n_events": 3, "events": [1, 3, 5], "rows": [0, 2, 4]}],
    }


def test_images_of_one_event_may_share_a_background():
    event, content = columns([(1, 50), (1, 50), (2, 60), (2, 60)])
    assert not find_copies(event, content).shared.any()


def test_zero_is_no_content():
    event, content = columns([(1, 0), (2, 0), (3, 0)])
    assert not find_copies(event, content).shared.any()
    assert in_several(np.array([0, 1, 2], np.uint8), content) == 0


def test_nothing_has_no_copies():
    event, content = columns([])
    assert find_copies(event, content).report()["share"] == 0.0


@settings(max_examples=100, deadline=None)
@given(rows=rows_of_few)
def test_what_is_left_has_each_content_in_one_event(rows):
    event, content = columns(rows)
    copies = find_copies(event, content)
    kept = [row for row, later in zip(rows, copies.later.tolist(), strict=True) if not later]
    for value in {content for _, content in rows if content}:
        assert {event for event, own in kept if own == value} == {min(event for event, own in rows if own == value)}
    assert [row for row in rows if row[1] == 0] == [row for row in kept if row[1] == 0]


@settings(max_examples=50, deadline=None)
@given(rows=rows_of_few, data=st.data())
def test_order_of_the_rows_does_not_matter(rows, data):
    event, content = columns(rows)
    order = np.array(data.draw(st.permutations(range(len(rows)))), np.int64)
    straight, shuffled = find_copies(event, content), find_copies(event[order], content[order])
    np.testing.assert_array_equal(shuffled.later, straight.later[order])
    np.testing.assert_array_equal(shuffled.shared, straight.shared[order])


def test_content_in_two_splits_is_counted():
    split = np.array([0, 0, 1, 3, 3], np.uint8)
    assert in_several(split, np.array([5, 6, 5, 6, 7], np.uint64)) == 2
