"""Which links are made of all candidates."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snpoint.physics import linking_assignment
from snpoint.physics.linking_assignment import Choices, assign

MISSING = 12.0


def choices(tables, us, vs):
    """Candidates from one table of costs and the names of the partners per collection cluster."""
    begin = [np.cumsum([0, *sizes]) for sizes in ([len(u) for u in us], [len(v) for v in vs], [t.size for t in tables])]
    flat = [np.concatenate([np.asarray(part, kind) for part in parts]) for parts, kind in ((us, int), (vs, int))]
    costs = np.concatenate([table.ravel() for table in tables])
    return Choices(begin[0], begin[1], flat[0], flat[1], costs, begin[2])


def problem(rng, n):
    """Collection clusters 0 .. n-1 and some partners of each on U (100 ..) and V (200 ..), at random costs."""
    us, vs, tables = [], [], []
    for _ in range(n):
        u = np.flatnonzero(rng.random(n) < 0.6)
        v = np.flatnonzero(rng.random(n) < 0.6)
        pair_u, pair_v = (np.append(MISSING, rng.uniform(0, MISSING, len(own))) for own in (u, v))
        table = pair_u[:, None] + pair_v[None]
        table[1:, 1:] += rng.choice([0.1, 6.0, 20.0], (len(u), len(v)))
        us.append(n + u)
        vs.append(2 * n + v)
        tables.append(table if len(u) + len(v) else table[:0])
    return tables, us, vs


def padded(found, n):
    """`Choices` number all clusters; those of U and V have no tables."""
    more = 2 * n
    return found._replace(
        begin_u=np.append(found.begin_u, [found.begin_u[-1]] * more),
        begin_v=np.append(found.begin_v, [found.begin_v[-1]] * more),
        begin=np.append(found.begin, [found.begin[-1]] * more),
    )


def solved(rng, n):
    tables, us, vs = problem(rng, n)
    partner, margin = assign(padded(choices(tables, us, vs), n), np.ones(3 * n))
    return tables, us, vs, partner[:n], margin[:n]


def row_of(names, partner):
    return 0 if partner < 0 else 1 + names.tolist().index(partner)


def cost(tables, us, vs, partner):
    return sum(
        table[row_of(u, own[0]), row_of(v, own[1])] if table.size else 2 * MISSING
        for table, u, v, own in zip(tables, us, vs, partner, strict=True)
    )


def cheapest(tables, us, vs):
    """By trying everything."""
    options = [
        [(int(a), int(b)) for a in (-1, *u) for b in (-1, *v)] if table.size else [(-1, -1)]
        for table, u, v in zip(tables, us, vs, strict=True)
    ]
    best = np.inf
    for chosen in product(*options):
        names = [name for own in chosen for name in own if name >= 0]
        if len(set(names)) == len(names):
            best = min(best, cost(tables, us, vs, chosen))
    return best


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 12))
def test_no_cluster_is_in_two_links_and_no_link_costs_more_than_none(seed, n):
    tables, us, vs, partner, _ = solved(np.random.default_rng(seed), n)
    names = partner[partner >= 0]
    assert len(np.unique(names)) == len(names)
    for table, u, v, own in zip(tables, us, vs, partner, strict=True):
        if table.size:
            assert table[row_of(u, own[0]), row_of(v, own[1])] <= 2 * MISSING


def test_the_sum_of_costs_is_nearly_always_the_smallest():
    rng = np.random.default_rng(5)
    excess = []
    for _ in range(150):
        tables, us, vs, partner, _ = solved(rng, 3)
        excess.append(cost(tables, us, vs, partner) - cheapest(tables, us, vs))
    assert min(excess) > -1e-9
    assert np.mean(np.array(excess) < 1e-9) > 0.9
    assert np.mean(excess) < 0.2


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_large_tables_of_costs_are_solved_alike(seed):
    tables, us, vs, partner, _ = solved(np.random.default_rng(seed), 8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(linking_assignment, "_MAX_DENSE", 0)
        sparse = solved(np.random.default_rng(seed), 8)[3]
    assert cost(tables, us, vs, sparse) == pytest.approx(cost(tables, us, vs, partner))


def test_each_takes_its_cheapest_where_nobody_else_wants_it():
    table = np.array([[24.0, 13.0], [14.0, 2.5]])
    partner, margin = assign(padded(choices([table], [[1]], [[2]]), 1), np.ones(3))
    assert partner[0].tolist() == [1, 2]
    assert np.isnan(margin[0])


def test_margin_is_the_distance_to_the_best_link_with_another_partner():
    table = np.array([[24.0, 13.0], [14.0, 2.5], [15.0, 7.0]])
    partner, margin = assign(padded(choices([table], [[1, 3]], [[2]]), 1), np.ones(4))
    assert partner[0].tolist() == [1, 2]
    assert margin[0] == pytest.approx(4.5)


def two_that_want_one():
    """Clusters 0 and 1 both like cluster 2 on U; 0 has cluster 3 as an alternative."""
    first, second = np.array([[24.0], [13.0], [17.0]]), np.array([[24.0], [14.0]])
    return padded(choices([first, second], [[2, 3], [2]], [[], []]), 2)


def test_of_two_that_want_one_partner_the_one_with_an_alternative_gives_way():
    partner, margin = assign(two_that_want_one(), np.ones(6))
    assert partner[:2, 0].tolist() == [3, 2]
    assert margin[0] == pytest.approx(-4.0)  # it would have been better off with the other one
    assert np.isnan(margin[1])


def test_a_heavier_cluster_keeps_its_partner():
    partner, _ = assign(two_that_want_one(), np.array([10.0, 1.0, 1.0, 1.0, 1.0, 1.0]))
    assert partner[:2, 0].tolist() == [2, -1]


def test_nothing_to_assign():
    partner, margin = assign(padded(choices([np.empty((0, 1))], [[]], [[]]), 1), np.ones(3))
    assert partner.tolist() == [[-1, -1]] * 3
    assert np.isnan(margin).all()
