"""The order in which GNU's std::sort leaves elements whose keys are equal.

The older chain sorts TPs by time with std::sort, which is not stable, and its clusters depend on the order of TPs that
start together. To compare with it cluster by cluster, the same order is needed: introsort as libstdc++ does it, with
the median of three as pivot, partitions down to 16 elements, and one insertion sort at the end.
"""

from __future__ import annotations

from collections.abc import Sequence

_THRESHOLD = 16


def introsort_order(keys: Sequence[int]) -> list[int]:
    """Places of the elements after std::sort by ``keys``."""
    items = list(range(len(keys)))
    if items:
        _Sorter(keys, items).sort()
    return items


class _Sorter:
    def __init__(self, keys: Sequence[int], items: list[int]) -> None:
        self.keys, self.items = keys, items

    def less(self, a: int, b: int) -> bool:
        return self.keys[a] < self.keys[b]

    def swap(self, i: int, j: int) -> None:
        self.items[i], self.items[j] = self.items[j], self.items[i]

    def sort(self) -> None:
        n = len(self.items)
        self.introsort(0, n, 2 * (n.bit_length() - 1))
        if n > _THRESHOLD:
            self.insertion(0, _THRESHOLD)
            for i in range(_THRESHOLD, n):
                self.sink(i)
        else:
            self.insertion(0, n)

    def introsort(self, first: int, last: int, depth: int) -> None:
        while last - first > _THRESHOLD:
            assert depth > 0, "heap sort would begin here; no real event is that unlucky"
            depth -= 1
            cut = self.partition(first, last)
            self.introsort(cut, last, depth)
            last = cut

    def partition(self, first: int, last: int) -> int:
        """Median of the second, middle and last element to the front; then everything around it."""
        self.median_to_front(first, first + 1, first + (last - first) // 2, last - 1)
        pivot = self.items[first]
        low, high = first + 1, last
        while True:
            while self.less(self.items[low], pivot):
                low += 1
            high -= 1
            while self.less(pivot, self.items[high]):
                high -= 1
            if low >= high:
                return low
            self.swap(low, high)
            low += 1

    def median_to_front(self, result: int, i: int, j: int, k: int) -> None:
        a, b, c = (self.items[place] for place in (i, j, k))
        if self.less(a, b):
            chosen = j if self.less(b, c) else k if self.less(a, c) else i
        else:
            chosen = i if self.less(a, c) else k if self.less(b, c) else j
        self.swap(result, chosen)

    def insertion(self, first: int, last: int) -> None:
        for i in range(first + 1, last):
            if self.less(self.items[i], self.items[first]):
                self.items.insert(first, self.items.pop(i))
            else:
                self.sink(i)

    def sink(self, i: int) -> None:
        """Move an element down past all that are greater; one that is not is there."""
        own = self.items[i]
        while self.less(own, self.items[i - 1]):
            self.items[i] = self.items[i - 1]
            i -= 1
        self.items[i] = own
