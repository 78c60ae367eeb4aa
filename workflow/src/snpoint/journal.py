"""The record of every submission of a work directory: what is in the queue, and what became of the rest.

One line of JSON per step, synced before the next step is taken: the intent before the submission, the id after it, the
outcome when it was acted upon. A pipeline that starts again finds its jobs by it; each job carries the work directory's
token and its own key, so that even one whose id was never written down is found.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from snpoint.atomic import write_text
from snpoint.errors import DataError, OutputError

FOLDER = Path(".snakemake/templated")
BY_PIPELINE = "by the pipeline"
"""Begins the reason of a removal that the user asked for: it is nobody's failure."""

TORN = "#torn"
"""Ends a line that was never written to its end."""


@dataclass(frozen=True)
class Entry:
    """One submission."""

    key: str
    target: str
    """First output of the job: what it is for."""
    name: str
    """As the queue shows it: rule and wildcards."""
    system: str
    digest: str
    """Of the shell command and its inputs: the same digest, the same work."""
    guard: str = ""
    """Of the digest and the code: what failed for a reason of its own is not worth doing again unchanged."""
    request_mb: int = 0
    """Memory that the configuration asked for."""
    mem_mb: int = 0
    """Memory that was asked for after escalation."""
    max_segments: int = 0
    """How many times it may go on from its checkpoint; 0: as many as usual."""
    submit: str = ""
    """The kept copy of the submit file."""
    stdout: str = ""
    record: str = ""
    """What the payload writes about itself."""
    log: str = ""
    driver: str = ""
    """Process that submitted it, as ``host:pid:process start``."""
    intended: str = ""
    """UTC time of the intent."""
    queue: str = ""
    """Schedd or cluster that took it."""
    id: str | None = None
    outcome: Mapping[str, Any] | None = None
    """`Outcome.as_json` once it was acted upon."""
    ended: str = ""

    @property
    def open(self) -> bool:
        """Whether its end was not yet acted upon."""
        return self.outcome is None

    @property
    def by_pipeline(self) -> bool:
        """Whether the pipeline itself took it out of the queue, or never brought it there: its end says nothing."""
        return str((self.outcome or {}).get("reason", "")).startswith(BY_PIPELINE)


def attempts(entries: Sequence[Entry]) -> int:
    """How many of the submissions for one output count as tries of what is wanted now.

    Those since the last success, without what the pipeline itself took out of the queue.
    """
    count = 0
    for entry in reversed(entries):
        if (entry.outcome or {}).get("kind") == "completed" and count:
            break
        count += not entry.by_pipeline
    return count


class Journal:
    """The journal of one work directory.

    Parameters
    ----------
    folder : Path
        Where it lies; made by the first submission.

    Raises
    ------
    DataError
        The journal is there and is not one.
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        self.folder = folder
        self.path = folder / "jobs.jsonl"
        self.entries: dict[str, Entry] = {}
        self._by_target: dict[str, list[str]] = {}
        self._torn = False
        for number, line in enumerate(self._lines(), start=1):
            self._read(line, number)

    @property
    def token(self) -> str:
        """The work directory's token: made once, never changed.

        Raises
        ------
        DataError
            What is there is no token: jobs of other folders might carry the same.
        """
        path = self.folder / "token"
        if not path.exists():
            write_text(path, secrets.token_hex(8) + "\n")
        token = path.read_text(encoding="ascii", errors="replace").strip()
        if not re.fullmatch("[0-9a-f]{16}", token):
            raise DataError(f"{path}: not a token; if no job of this folder is in the queue, remove the file")
        return token

    def of(self, target: str) -> list[Entry]:
        """All submissions for an output, oldest first."""
        return [self.entries[key] for key in self._by_target.get(target, ())]

    def open_entries(self) -> list[Entry]:
        """Submissions whose end was not yet acted upon."""
        return [entry for entry in self.entries.values() if entry.open]

    def intend(self, entry: Entry) -> Entry:
        """Write down a submission before it is made."""
        entry = replace(entry, intended=_now())
        self._write({"event": "intent", **_given(entry)})
        self._add(entry)
        return entry

    def submitted(self, key: str, job: str) -> None:
        """Write down the id that the batch system gave."""
        self.entries[key] = replace(self.entries[key], id=job)
        self._write({"event": "submitted", "key": key, "id": job})

    def ended(self, key: str, outcome: Mapping[str, Any]) -> None:
        """Write down how a job ended, before Snakemake is told."""
        now = _now()
        self._write({"event": "ended", "key": key, "outcome": dict(outcome), "ended": now})
        self.entries[key] = replace(self.entries[key], outcome=dict(outcome), ended=now)

    def compact(self, keep: int = 100) -> None:
        """Forget all but the last ``keep`` submissions of each output, and the open ones."""
        kept = {key for keys in self._by_target.values() for key in keys[-keep:]}
        kept |= {entry.key for entry in self.open_entries()}
        intents = [{"event": "intent", **_given(entry)} for key, entry in self.entries.items() if key in kept]
        write_text(self.path, "".join(json.dumps(intent) + "\n" for intent in intents))
        self.entries = {key: entry for key, entry in self.entries.items() if key in kept}
        self._by_target = {}
        for entry in list(self.entries.values()):
            self._add(entry)

    def _lines(self) -> list[str]:
        try:
            content = self.path.read_bytes()
            # the last line may be half of one: the driver was killed while writing it, and nothing followed from it
            *lines, rest = content.decode("ascii").split("\n")
        except FileNotFoundError:
            return []
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(
                f"{self.path}: not a journal of submissions ({error}); if no job of this folder is in the queue, remove"
                " the file"
            ) from error
        self._torn = bool(rest)
        return lines

    def _read(self, line: str, number: int) -> None:
        if line.endswith(TORN):
            return
        try:
            content = json.loads(line)
            event, key = content.pop("event"), content["key"]
            if event == "intent":
                known = Entry.__dataclass_fields__
                self._add(Entry(**{name: value for name, value in content.items() if name in known}))
            elif event in ("submitted", "ended"):
                del content["key"]
                self.entries[key] = replace(self.entries[key], **content)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(
                f"{self.path}, line {number}: not a record of a submission ({error}); if no job of this folder is in"
                " the queue, remove the file"
            ) from error

    def _add(self, entry: Entry) -> None:
        self.entries[entry.key] = entry
        keys = self._by_target.setdefault(entry.target, [])
        if entry.key not in keys:
            keys.append(entry.key)

    def _write(self, content: Mapping[str, Any]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        # ASCII only: a line that was cut off is readable up to the cut
        text = json.dumps(content) + "\n"
        torn, self._torn = self._torn, True  # as long as it is not known to be written to its end
        _append(self.path, f"{TORN}\n{text}" if torn else text)
        self._torn = False


def new_key() -> str:
    """A key that no other submission has."""
    return secrets.token_hex(6)


def _given(entry: Entry) -> dict[str, Any]:
    return {key: value for key, value in vars(entry).items() if value not in (None, "", 0)}


def _append(path: Path, text: str) -> None:
    """Append and sync: what is written here must have happened before the next step."""
    try:
        with path.open("ab") as stream:
            stream.write(text.encode())
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror}); check permissions and quota") from error


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
