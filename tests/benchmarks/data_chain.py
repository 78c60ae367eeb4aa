"""Speed of the data chain on one core, beside the predecessor's figures; exit code 1 where a limit is missed.

Run ``make bench-data``, or one of ``data_matching.py``, ``data_clustering.py`` and ``data_images.py`` alone. The real
CC file is read through ``SNPOINT_DATA``; compilation is not counted.
"""

from __future__ import annotations

import os
import sys

import data_clustering
import data_images
import data_matching
from rows import show


def main() -> None:
    """Measure everything and print one table."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    rows = [row for module in (data_matching, data_clustering, data_images) for row in module.measure()]
    sys.exit(0 if show(rows) else 1)


if __name__ == "__main__":
    main()
