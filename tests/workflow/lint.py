"""Snakemake's lints, compared with the committed list of what is allowed. Run by `make lint`.

The command line's `--lint json` prints text in Snakemake 9.27, so the API is asked.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from snakemake.api import ResourceSettings, SnakemakeApi, StorageSettings

ALLOWED = Path(__file__).with_name("lint_allowed.json")


def main() -> int:
    """Print every lint that is not on the list, and every entry of the list that no longer occurs."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output), SnakemakeApi() as snakemake:
        snakemake.workflow(
            resource_settings=ResourceSettings(cores=1), storage_settings=StorageSettings(), snakefile=Path("Snakefile")
        ).lint(json=True)
    found = set(_lints(json.loads(output.getvalue())))
    allowed = set(json.loads(ALLOWED.read_text(encoding="utf-8")))
    for place, title in sorted(found):
        if title not in allowed:
            sys.stderr.write(f"lint not allowed: {place}: {title}\n")
    for title in allowed - {title for _, title in found}:
        sys.stderr.write(f"remove from {ALLOWED.name}, it no longer occurs: {title}\n")
    return 0 if {title for _, title in found} == allowed else 1


def _lints(report: dict) -> Iterator[tuple[str, str]]:
    for part in [*report["snakefiles"], *report["rules"]]:
        for lint in part["lints"]:
            yield json.dumps(part["for"]), lint["title"]


if __name__ == "__main__":
    sys.exit(main())
