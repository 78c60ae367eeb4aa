"""How a job can end: one typed outcome, whatever the batch system calls it."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

CHECKPOINTED, BROKEN_MACHINE, IO_ERROR, NO_SPACE, OUT_OF_MEMORY = 75, 69, 74, 73, 137
"""Exit codes of a job that say nothing about its work (docs/errors.md)."""

Kind = Literal[
    "completed",
    "failed",
    "held",
    "removed",
    "out_of_memory",
    "out_of_time",
    "never_matched",
    "vanished",
]


@dataclass(frozen=True)
class Outcome:
    """The end of one job.

    Parameters
    ----------
    kind : str
        ``completed`` (exit code 0), ``failed`` (another exit code, or a signal), ``held`` (taken out of the race by the
        batch system or by somebody; it is removed from the queue when this is reported), ``removed`` (by somebody),
        ``out_of_memory``, ``out_of_time``, ``never_matched`` (no machine can run it), ``vanished`` (nobody knows it any
        more, or its node died).
    reason : str
        What the batch system says, one line.
    exit_code, signal : int, optional
        How its command ended.
    hold_code, hold_subcode : int, optional
        HTCondor's HoldReasonCode and HoldReasonSubCode.
    node : str
        Machine it ran on, as the batch system names it, or empty.
    seconds : float, optional
        How long it ran, where the job itself has written that down.
    """

    kind: Kind
    reason: str = ""
    exit_code: int | None = None
    signal: int | None = None
    hold_code: int | None = None
    hold_subcode: int | None = None
    node: str = ""
    seconds: float | None = None

    @property
    def ok(self) -> bool:
        """Whether the job's command ended with exit code 0."""
        return self.kind == "completed"

    def as_json(self) -> dict[str, Any]:
        """What is known, for the journal."""
        return {key: value for key, value in asdict(self).items() if value not in (None, "")}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Outcome:
        """The outcome that `as_json` wrote; keys of later versions are passed over."""
        known = {field.name for field in fields(cls)}
        return cls(**{key: value for key, value in content.items() if key in known})


def ended(exit_code: int, by_signal: int = 0, node: str = "") -> Outcome:
    """Outcome of a command that ended with an exit code, or by a signal if that is not 0."""
    if by_signal:
        return Outcome("failed", f"killed by signal {by_signal}", signal=by_signal, node=node)
    if exit_code:
        return Outcome("failed", f"exit code {exit_code}", exit_code=exit_code, node=node)
    return Outcome("completed", exit_code=0, node=node)


def refined(outcome: Outcome, record: Mapping[str, Any]) -> Outcome:
    """What the batch system says, and what the job has written down about itself (`payload.read_record`), together."""
    if record.get("state") != "ended":
        return outcome
    node = outcome.node or str(record.get("node") or "")
    if outcome.kind == "vanished" and record.get("cause") != "terminated":
        # the batch system has forgotten it, the job has not; what its dying node had ended says nothing about the work
        outcome = ended(record.get("exit_code") or 0, record.get("signal") or 0)
    outcome = replace(outcome, node=node, seconds=record.get("seconds"))
    if outcome.kind != "failed":
        return outcome
    if record.get("cause") == "time limit" and outcome.exit_code != CHECKPOINTED:
        limit = f"the run-time limit was near: ended after {record.get('seconds') or 0:.0f} s"
        return replace(outcome, kind="out_of_time", reason=f"{limit} ({outcome.reason})")
    # the supervisor has survived the command: so the kernel took the process that held the most memory
    killed = outcome.signal == signal.SIGKILL and not record.get("cause")
    if outcome.exit_code == OUT_OF_MEMORY or killed:
        return replace(outcome, kind="out_of_memory", reason=f"no memory left ({outcome.reason})")
    return outcome
