"""Real events among their simulated twins: ranks, tests and ratios.

Each real event is simulated again K times with its energies, its distance |x| and its interaction. If the simulation
is right, the real value of any quantity is one more draw from the distribution of its K twins, whatever that is: its
rank among them is uniform. Ranks of different events are independent and can be tested together, although no two
events are alike.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

LEVEL = 0.01
"""A quantity whose p-value (after Holm) is not above this disagrees."""
BOOTSTRAP_SAMPLES = 2000
TIE_DRAWS = 101
"""How often ties are broken. One drawing decides much of p where most values tie: its median over all counts."""
LEAST_SHARE = 0.5
"""A median of ratios is given only where this share of the events has one."""


@dataclass(frozen=True)
class Agreement:
    """How a quantity of real events lies among that of their twins."""

    n: int  # real events compared
    p: float  # Kolmogorov-Smirnov p-value of the ranks, median over the drawings of ties; NaN without events
    p_low: float  # smallest and largest of these drawings
    p_high: float
    mean_rank: float  # 0.5 +- 0.29 / sqrt(n) if all is well; above: the real values are larger
    ratio: float  # median over events of real / median of the twins; NaN where few events have one
    ratio_ci95: tuple[float, float]
    mean_ratio: float  # (weighted) sum of the real values / that of the twins' means
    mean_ratio_ci95: tuple[float, float]


@dataclass(frozen=True)
class RankTest:
    """Kolmogorov-Smirnov test of the ranks over many drawings of ties."""

    p: float  # median over the drawings
    p_low: float
    p_high: float
    mean_rank: float


def uniform_rank(real: float, twins: FloatArray, rng: np.random.Generator, draws: int = 1) -> FloatArray:
    """Rank of a value among its K twins, numbers, shape (draws,), each exactly uniform on (0, 1) if all are alike.

    A real value that ties with t of its twins may be at any of t + 1 places among them; one is drawn, and then a
    point of that place's interval of length 1 / (K + 1). So counts with many ties, and few twins, are no problem: the
    null distribution is continuous, which the Kolmogorov-Smirnov test asks for. NaN (nothing to measure) counts as
    below every number, for the real event as for the twins.

    Raises
    ------
    ValueError
        There is no twin.
    """
    if len(twins) == 0:
        raise ValueError("a real event without twins has no rank")
    value = -math.inf if math.isnan(real) else real
    others = np.where(np.isnan(twins), -np.inf, twins)
    below = int(np.count_nonzero(others < value))
    ties = int(np.count_nonzero(others == value))
    return np.asarray((below + rng.random(draws) * (ties + 1)) / (len(others) + 1))


def ranks(real: FloatArray, twins: Sequence[FloatArray], name: str, seed: int = 1) -> FloatArray:
    """`uniform_rank` of each real event, shape (n,), ties broken once; ``name`` and ``seed`` decide how."""
    return np.asarray(drawn_ranks(real, twins, name, seed, 1)[0])


def drawn_ranks(
    real: FloatArray, twins: Sequence[FloatArray], name: str, seed: int = 1, draws: int = TIE_DRAWS
) -> FloatArray:
    """`uniform_rank` of each real event, shape (draws, n): ties broken again and again."""
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    drawn = [uniform_rank(float(value), own, rng, draws) for value, own in zip(real, twins, strict=True)]
    return np.stack(drawn, axis=1) if drawn else np.empty((draws, 0))


def rank_test(real: FloatArray, twins: Sequence[FloatArray], name: str, seed: int = 1) -> RankTest:
    """Test that ranks are uniform; NaN without events.

    The median of p over the drawings is that of the median distance, as p falls with the distance. It is valid in the
    sense of rejecting not more often than its level says: averaging over the drawings takes noise away, and with it
    the p-values near 0 and 1 that ties alone produce.
    """
    u = drawn_ranks(real, twins, name, seed)
    if not u.shape[1]:
        return RankTest(math.nan, math.nan, math.nan, math.nan)
    distance = _distances(u)
    middle, largest, smallest = (
        float(stats.kstwo.sf(value, u.shape[1])) for value in (np.median(distance), distance.max(), distance.min())
    )
    return RankTest(middle, largest, smallest, float(u.mean()))


def uniformity(u: FloatArray) -> float:
    """Exact two-sided Kolmogorov-Smirnov p-value that numbers are uniform on (0, 1); NaN without any."""
    return float(stats.kstest(u, "uniform", method="exact").pvalue) if len(u) else math.nan


def agreement(
    real: FloatArray, twins: Sequence[FloatArray], name: str, seed: int = 1, weights: FloatArray | None = None
) -> Agreement:
    """Compare one quantity.

    Parameters
    ----------
    real
        Values of the real events, shape (n,); NaN where there is nothing to measure.
    twins
        Of each real event, the values of its twins.
    name, seed
        Decide the random numbers that ties are broken with, and those of the bootstrap.
    weights
        Of the events in the sums, shape (n,): their energies where quantities are per MeV, so that totals are compared.
    """
    test = rank_test(real, twins, name, seed)
    pairs, sums = ratios(real, twins), _sums(real, twins, np.ones(len(real)) if weights is None else weights)
    pairs = pairs if len(pairs) >= LEAST_SHARE * len(real) else pairs[:0]
    return Agreement(
        len(real),
        test.p,
        test.p_low,
        test.p_high,
        test.mean_rank,
        _median(pairs),
        interval(pairs, medians, seed),
        float(_ratios_of_sums(sums[None])[0]),
        interval(sums, _ratios_of_sums, seed),
    )


def ratios(real: FloatArray, twins: Sequence[FloatArray]) -> FloatArray:
    """Real value / median of the twins, of the events for which both are numbers and the latter is positive."""
    middle = np.array([_median(own[np.isfinite(own)]) for own in twins]).reshape(-1)
    good = np.isfinite(real) & np.isfinite(middle)
    good &= np.where(good, middle, 0.0) > 0
    return np.asarray(real[good] / middle[good])


def holm(p: Mapping[str, float]) -> dict[str, float]:
    """Holm's adjusted p-values: each may be compared with the level of the whole family. NaN stays, and is no test.

    Source: S. Holm, Scandinavian Journal of Statistics 6 (1979) 65.
    """
    tests = sorted((value, key) for key, value in p.items() if not math.isnan(value))
    adjusted, largest = dict.fromkeys(p, math.nan), 0.0
    for place, (value, key) in enumerate(tests):
        largest = max(largest, min(1.0, (len(tests) - place) * value))
        adjusted[key] = largest
    return adjusted


def smallest_shift(
    twins: Sequence[FloatArray], *, power: float = 0.9, level: float = LEVEL, trials: int = 1000, seed: int = 1,
    largest: float = math.inf,
) -> tuple[float, float]:  # fmt: skip
    """The factors below and above 1 that the test of the ranks would have seen.

    Real events are made up: a random twin of each, its value times the factor (not above ``largest``). The share of
    such sets that the test at ``level`` rejects is its power; it is searched for by bisection.

    Returns
    -------
    (float, float)
        The largest factor below 1 and the smallest above 1 that are seen with this ``power``; 0 and infinity where
        even factors of 1/16 and 16 are not; NaN without trials.
    """
    if not trials:
        return math.nan, math.nan
    ordered = [np.sort(np.where(np.isnan(own), -np.inf, own)) for own in twins]
    critical = float(stats.kstwo.ppf(1.0 - level, len(ordered)))

    def seen(factor: float) -> bool:
        rng = np.random.default_rng(seed)
        u = np.stack([_ranks_of_made_up(own, factor, largest, trials, rng) for own in ordered], axis=1)
        return bool(np.mean(_distances(u) > critical) >= power)

    down, up = _border(seen, -1), _border(seen, +1)
    return down, up


def _border(seen: Callable[[float], bool], sign: int) -> float:
    """The factor nearest to 1 that is seen, in the direction of the sign."""
    low, high = 0.0, math.log(16.0)
    if not seen(math.exp(sign * high)):
        return math.inf if sign > 0 else 0.0
    for _ in range(14):
        middle = (low + high) / 2
        low, high = (low, middle) if seen(math.exp(sign * middle)) else (middle, high)
    return math.exp(sign * high)


def _ranks_of_made_up(
    ordered: FloatArray, factor: float, largest: float, trials: int, rng: np.random.Generator
) -> FloatArray:
    values = np.minimum(ordered[rng.integers(0, len(ordered), trials)] * factor, largest)
    below = np.searchsorted(ordered, values, side="left")
    ties = np.searchsorted(ordered, values, side="right") - below
    return np.asarray((below + rng.random(trials) * (ties + 1)) / (len(ordered) + 1))


def _distances(u: FloatArray) -> FloatArray:
    """Kolmogorov-Smirnov distances from the uniform distribution of sets, shape (sets, n)."""
    n = u.shape[1]
    ordered = np.sort(u, axis=1)
    above = (np.arange(1, n + 1) / n - ordered).max(axis=1)
    below = (ordered - np.arange(n) / n).max(axis=1)
    return np.asarray(np.maximum(above, below))


def _median(values: FloatArray) -> float:
    return float(np.median(values)) if len(values) else math.nan


def _sums(real: FloatArray, twins: Sequence[FloatArray], weights: FloatArray) -> FloatArray:
    """Weighted real value and mean of the twins, shape (n, 2), of the events for which both are numbers."""
    means = [float(own[np.isfinite(own)].mean()) if np.isfinite(own).any() else math.nan for own in twins]
    both = np.column_stack([real, np.array(means).reshape(-1)]) * weights[:, None]
    return np.asarray(both[np.isfinite(both).all(axis=1)])


def medians(values: FloatArray) -> FloatArray:
    """Median of each set, sets along the first axis; NaN of empty sets."""
    return np.median(values, axis=1) if values.shape[1] else np.full(len(values), np.nan)


def _ratios_of_sums(sums: FloatArray) -> FloatArray:
    """Ratio of the sums of both columns of each set, shape (sets,); NaN where the second is 0."""
    total = sums.sum(axis=1)
    return np.asarray(total[:, 0] / np.where(total[:, 1] > 0, total[:, 1], np.nan))


def interval(values: FloatArray, statistic: Callable[[FloatArray], FloatArray], seed: int) -> tuple[float, float]:
    """Percentile bootstrap 95% interval, as `snpoint.physics.statistics.bootstrap_interval` but all samples at once.

    Parameters
    ----------
    values
        One entry per event along the first axis.
    statistic
        Takes sets of events, shape (samples, n, ...), and gives a number for each.
    seed
        Of the drawing.
    """
    n = len(values)
    if n == 0:
        return math.nan, math.nan
    draws = statistic(values[np.random.default_rng(seed).integers(0, n, (BOOTSTRAP_SAMPLES, n))])
    finite = draws[np.isfinite(draws)]
    if not len(finite):
        return math.nan, math.nan
    low, high = np.percentile(finite, [2.5, 97.5])
    return float(low), float(high)
