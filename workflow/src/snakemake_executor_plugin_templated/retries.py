"""What follows from the end of a job: whether it is worth another try, with how much memory, and where not.

Pure functions of the outcome and of the journal. Retries go by cause; how often is said here and nowhere else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from snpoint.errors import ConfigError
from snpoint.journal import Entry

from .outcome import BROKEN_MACHINE, CHECKPOINTED, IO_ERROR, NO_SPACE, OUT_OF_MEMORY, Outcome

TERMINATED = (130, 143)

MEMORY_FACTOR = 1.5
MOST_BROKEN_MACHINES = 3
SEGMENTS = 10
MOST_TRANSIENT = 2
"""Tries again after an input/output error, or after the node or the batch system lost the job."""

BROKEN_MACHINE_WITHIN_S = 60.0
"""A machine that does not work shows it at once; later the same exit code is the job's own trouble."""

EXCLUDED_FOR = timedelta(days=1)
"""Machines are repaired."""


@dataclass(frozen=True)
class Decision:
    """Whether a job is tried again, and why."""

    again: bool
    why: str


def decide(
    outcome: Outcome,
    past: Sequence[Entry],
    *,
    ceiling_mb: int | None = None,
    max_segments: int = SEGMENTS,
) -> Decision:
    """Decide what follows from an end that is not a success.

    Parameters
    ----------
    outcome : Outcome
        How the job ended.
    past : sequence of Entry
        All submissions for the same output, oldest first; the last one is the one that ended, outcome included.
    ceiling_mb : int, optional
        Largest memory that the site gives to a job.
    max_segments : int
        How many times a job may go on from its checkpoint.
    """
    if outcome.kind == "out_of_memory":
        return _after_memory(past, ceiling_mb)
    if outcome.kind == "failed" and outcome.exit_code == CHECKPOINTED:
        count = _in_a_row(past, lambda end: end.get("exit_code") == CHECKPOINTED)
        if count < max_segments:
            return Decision(True, f"goes on from its checkpoint (segment {count + 1} of {max_segments})")
        return Decision(False, f"has used its {max_segments} segments: raise job: max_segments, or runtime_h")
    if outcome.kind == "failed" and outcome.exit_code == BROKEN_MACHINE:
        count = _in_a_row(past, lambda end: end.get("exit_code") == BROKEN_MACHINE)
        if not _broken_machine(outcome.as_json()):
            return Decision(False, f"not tried again: it came after {outcome.seconds:.0f} s, so the machine had worked")
        if count <= MOST_BROKEN_MACHINES:
            where = f"without {outcome.node}" if outcome.node else "on whatever machine comes"
            return Decision(True, f"tried again {where}")
        return Decision(False, f"not tried again: {count} machines in a row did not work")
    if _transient(outcome.as_json()):
        count = _in_a_row(past, _transient)
        if count <= MOST_TRANSIENT:
            return Decision(True, f"tried again ({count} of {MOST_TRANSIENT})")
        return Decision(False, f"not tried again: it happened {count} times in a row")
    return Decision(False, "")


def _after_memory(past: Sequence[Entry], ceiling_mb: int | None) -> Decision:
    last = past[-1]
    try:
        memory = memory_to_ask(last.request_mb, past, ceiling_mb)
    except ConfigError as error:
        return Decision(False, str(error))
    if memory <= last.mem_mb:
        return Decision(False, "not tried again: no memory request to enlarge; set job: memory_gb")
    return Decision(True, f"tried again with {memory} MB instead of {last.mem_mb} MB")


def memory_to_ask(request_mb: int, past: Iterable[Entry], ceiling_mb: int | None = None) -> int:
    """Memory to ask for: the configured request, or 1.5 times what was not enough last time.

    What was not enough counts as long as the configured request stays the same; a user who changes it is taken at
    their word.

    Raises
    ------
    snpoint.errors.ConfigError
        The job has already run out of the most that the site gives.
    """
    failed = [
        entry.mem_mb
        for entry in past
        if entry.request_mb == request_mb and (entry.outcome or {}).get("kind") == "out_of_memory"
    ]
    if not request_mb or not failed:
        return request_mb
    most = max(failed)
    wanted = max(request_mb, math.ceil(MEMORY_FACTOR * most))
    if ceiling_mb is not None and wanted > ceiling_mb:
        if most >= ceiling_mb:
            raise ConfigError(
                f"{most} MB were not enough, and the site gives no more than {ceiling_mb} MB: make the job smaller"
                " (batch size, files_per_job), or change job: memory_gb to start over"
            )
        return ceiling_mb
    return wanted


def excluded_nodes(submissions: Iterable[Entry]) -> tuple[str, ...]:
    """Machines that did not work within the last day, whatever they were to do."""
    now = datetime.now(UTC)
    nodes: dict[str, None] = {}
    for entry in submissions:
        end = entry.outcome or {}
        if end.get("node") and _broken_machine(end) and now - datetime.fromisoformat(entry.ended) < EXCLUDED_FOR:
            nodes[end["node"]] = None
    return tuple(nodes)


def for_a_reason_of_its_own(end: Mapping[str, Any]) -> bool:
    """Whether doing the same again would end the same: a wrong configuration, bad data, NaN, a bug."""
    code = end.get("exit_code")
    elsewhere = {CHECKPOINTED, BROKEN_MACHINE, IO_ERROR, NO_SPACE, OUT_OF_MEMORY, *TERMINATED}
    return end.get("kind") == "failed" and code is not None and code not in elsewhere


def _broken_machine(end: Mapping[str, Any]) -> bool:
    """Whether a machine had not what it promised, which shows at once."""
    return bool(end.get("exit_code") == BROKEN_MACHINE and (end.get("seconds") or 0) <= BROKEN_MACHINE_WITHIN_S)


def _transient(end: Mapping[str, Any]) -> bool:
    return bool(end.get("kind") == "vanished" or (end.get("kind") == "failed" and end.get("exit_code") == IO_ERROR))


def _in_a_row(past: Sequence[Entry], matches: Callable[[Mapping[str, Any]], bool]) -> int:
    """How many of the last submissions of the same work ended like this."""
    count = 0
    for entry in reversed(past):
        if entry.by_pipeline:
            continue
        if entry.digest != past[-1].digest or entry.outcome is None or not matches(entry.outcome):
            break
        count += 1
    return count
