"""Lines of a benchmark table, and the clock behind their figures."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

REPETITIONS = 5


@dataclass(frozen=True)
class Row:
    """A figure, what the predecessor reached, and the limit that must be kept."""

    what: str
    predecessor: str
    limit: float
    found: float
    unit: str
    higher_is_better: bool = True

    @property
    def passed(self) -> bool:
        """Whether the limit is kept."""
        return self.found >= self.limit if self.higher_is_better else self.found <= self.limit


def show(rows: Iterable[Row]) -> bool:
    """Print the table; true if every limit is kept."""
    rows = list(rows)
    sign = {True: ">=", False: "<="}
    width = max(len(row.what) for row in rows)
    for row in rows:
        verdict = "ok" if row.passed else "MISSED"
        limit = f"{sign[row.higher_is_better]} {row.limit:g}"
        sys.stdout.write(
            f"{row.what:<{width}}  {row.found:>9.3g} {row.unit:<12} {limit:>9}  {verdict:<6}  {row.predecessor}\n"
        )
    return all(row.passed for row in rows)


def processor_seconds(work: Callable[[], object]) -> float:
    """Processor time of a piece of work [s], best of several after one to warm up."""
    work()
    best = float("inf")
    for _ in range(REPETITIONS):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best
