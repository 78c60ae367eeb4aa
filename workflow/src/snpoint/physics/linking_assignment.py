"""Which links are made of all candidates: each cluster in one link at most, at the smallest sum of costs."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components, min_weight_full_bipartite_matching

from snpoint.physics.compiled import compiled

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_MAX_ROUNDS = 20
_FORBIDDEN = 1e9
_MAX_DENSE = 1_000_000
"""Larger tables of costs, of which nearly all entries are forbidden, are not written out."""


class Choices(NamedTuple):
    """Candidates of each collection cluster x, all numbered as clusters.

    Its partners are ``u[begin_u[x] : begin_u[x + 1]]``, the same for v. ``costs[begin[x] : begin[x + 1]]`` is its table
    of (1 + partners on U) x (1 + partners on V), flattened; the first row and column leave the plane out. Clusters
    without any partner have an empty table.
    """

    begin_u: Ints
    begin_v: Ints
    u: Ints
    v: Ints
    costs: Floats
    begin: Ints

    def table(self, x: int) -> Floats:
        """Costs of all links of one cluster."""
        flat = self.costs[self.begin[x] : self.begin[x + 1]]
        return flat.reshape(1 + int(self.begin_u[x + 1] - self.begin_u[x]), -1)


def assign(choices: Choices, weight: Floats) -> tuple[Ints, Floats]:
    """Choose links.

    Where no two collection clusters want the same partner, each takes its cheapest link, which is the best there is.
    Elsewhere the assignment is solved for one induction plane with that of the other kept, in turns until nothing
    changes, from either plane; the cheaper end is taken.

    Returns
    -------
    partner, margin
        (n, 2) clusters on U and V, -1 for none; and by how much each link is cheaper than the best one of the same
        collection cluster with another partner (NaN where there is none).
    """
    n = len(weight)
    row = np.zeros((n, 2), np.int64)  # of each cluster's table: which partner on U and V, 0 for none
    _cheapest(choices.begin, choices.begin_v, choices.costs, row)
    for component in _conflicts(choices, row, n):
        row[component] = _solve(choices, component, weight)
    partner = np.full((n, 2), -1, np.int64)
    for plane, (begin, own) in enumerate(((choices.begin_u, choices.u), (choices.begin_v, choices.v))):
        has = np.flatnonzero(row[:, plane] > 0)
        partner[has, plane] = own[begin[has] + row[has, plane] - 1]
    return partner, _margins(choices.begin, choices.begin_v, choices.costs, row)


@compiled()
def _cheapest(begin: Any, begin_v: Any, costs: Any, row: Any) -> None:
    for x in range(len(begin) - 1):
        if begin[x + 1] > begin[x]:
            width = 1 + begin_v[x + 1] - begin_v[x]
            best = np.argmin(costs[begin[x] : begin[x + 1]])
            row[x, 0], row[x, 1] = best // width, best % width


@compiled()
def _margins(begin: Any, begin_v: Any, costs: Any, row: Any) -> Any:
    """Cost of the best link that names another partner, less that of the chosen one."""
    found = np.full(len(begin) - 1, np.nan)
    for x in range(len(begin) - 1):
        a, b = row[x]
        if begin[x + 1] == begin[x] or (a == 0 and b == 0):
            continue
        width = 1 + begin_v[x + 1] - begin_v[x]
        own, best = costs[begin[x] + a * width + b], np.inf
        for k in range(begin[x + 1] - begin[x]):
            other_u, other_v = k // width, k % width
            if (other_u != 0 and other_u != a) or (other_v != 0 and other_v != b):
                best = min(best, costs[begin[x] + k])
        if best < np.inf:
            found[x] = best - own
    return found


def _conflicts(choices: Choices, row: Ints, n: int) -> list[Ints]:
    """Groups of collection clusters that share candidates, where two want the same partner."""
    wanted = []
    for plane, (begin, own) in enumerate(((choices.begin_u, choices.u), (choices.begin_v, choices.v))):
        has = np.flatnonzero(row[:, plane] > 0)
        wanted.append(own[begin[has] + row[has, plane] - 1])
    count = np.bincount(np.concatenate(wanted), minlength=n)
    contested = np.flatnonzero(count > 1)
    if not len(contested):
        return []
    x = np.concatenate([np.repeat(np.arange(n), np.diff(begin)) for begin in (choices.begin_u, choices.begin_v)])
    other = np.concatenate([choices.u, choices.v])
    graph = coo_array((np.ones(len(x), np.int8), (x, other)), shape=(n, n))
    label = connected_components(graph, directed=False)[1]
    members = np.unique(x)
    members = members[np.isin(label[members], label[contested])]
    members = members[np.argsort(label[members], kind="stable")]
    return np.split(members, np.flatnonzero(np.diff(label[members])) + 1)


def _solve(choices: Choices, component: Ints, weight: Floats) -> Ints:
    """Assignment of some collection clusters: rows of their tables, (n, 2)."""
    tables = [weight[x] * choices.table(int(x)) for x in component]
    names = [
        [own[begin[x] : begin[x + 1]] for x in component]
        for begin, own in ((choices.begin_u, choices.u), (choices.begin_v, choices.v))
    ]
    ends = [_alternate(tables, names, first) for first in (0, 1)]
    costs = [sum(float(table[tuple(row)]) for table, row in zip(tables, end, strict=True)) for end in ends]
    return ends[int(costs[1] < costs[0])]


def _alternate(tables: list[Floats], names: list[list[Ints]], first: int) -> Ints:
    """Solve one plane with the other kept, in turns. At first the other plane is free, as if nobody wanted the same."""
    chosen = np.zeros((len(tables), 2), np.int64)
    costs = [table.min(axis=1 - first) for table in tables]
    chosen[:, first] = _one_plane(costs, names[first])
    plane = 1 - first
    for _ in range(_MAX_ROUNDS):
        before = chosen.copy()
        costs = [np.take(table, chosen[k, 1 - plane], axis=1 - plane) for k, table in enumerate(tables)]
        chosen[:, plane] = _one_plane(costs, names[plane])
        if (chosen == before).all() and plane == first:
            break
        plane = 1 - plane
    return chosen


def _one_plane(costs: list[Floats], names: list[Ints]) -> Ints:
    """Cheapest assignment of partners on one plane; each row may also go without (the first of its costs)."""
    n, size = len(costs), np.array([len(name) for name in names])
    own, column = np.unique(np.concatenate(names), return_inverse=True)
    row, column = np.repeat(np.arange(n), size), column.reshape(-1)
    # Going without is a column of one's own.
    rows, columns = np.append(row, np.arange(n)), np.append(column, len(own) + np.arange(n))
    values = np.concatenate([cost[1:] for cost in costs] + [[cost[0] for cost in costs]])
    if n * (len(own) + n) <= _MAX_DENSE:
        matrix = np.full((n, len(own) + n), _FORBIDDEN)
        matrix[rows, columns] = values
        taken = linear_sum_assignment(matrix)[1]
    else:  # the same problem in little memory; no value may be zero
        sparse = csr_array((values + 1.0, (rows, columns)), shape=(n, len(own) + n))
        taken = min_weight_full_bipartite_matching(sparse)[1]
    place = np.zeros(n, np.int64)
    chosen = np.flatnonzero(column == taken[row])
    place[row[chosen]] = 1 + chosen - (np.cumsum(size) - size)[row[chosen]]
    return place
