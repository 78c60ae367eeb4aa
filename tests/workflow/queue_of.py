"""A journal of submissions as an executor leaves it, without an executor."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from snpoint.journal import Entry, Journal


class Queue:
    """The journal of a batch run in a project folder, and the records of its jobs."""

    def __init__(self, folder: Path, system: str = "htcondor", name: str = "") -> None:
        self.journal = Journal(folder / ".snakemake/templated")
        self.system = system
        self.name = name

    def submit(self, job: str | None, target: str) -> str:
        """A submission: the intent, then the id (None: the driver was killed in between). Returns its key."""
        key = f"key{len(self.journal.entries)}"
        record = str(self.journal.folder / f"{key}.job.json")
        self.journal.intend(
            Entry(key=key, target=target, name="x", system=self.system, queue=self.name, digest="d", record=record)
        )
        if job is not None:
            self.journal.submitted(key, job)
        return key

    def record(self, key: str, **content: Any) -> None:
        """What the job has written down about itself."""
        Path(self.journal.entries[key].record).write_text(json.dumps(content), encoding="utf-8")
