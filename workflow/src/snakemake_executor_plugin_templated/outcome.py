"""How a job can end: one typed outcome, whatever the batch system calls it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

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
    """

    kind: Kind
    reason: str = ""
    exit_code: int | None = None
    signal: int | None = None
    hold_code: int | None = None
    hold_subcode: int | None = None
    node: str = ""

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


def ended(exit_code: int, signal: int = 0, node: str = "") -> Outcome:
    """Outcome of a command that ended with an exit code, or by a signal if that is not 0."""
    if signal:
        return Outcome("failed", f"killed by signal {signal}", signal=signal, node=node)
    if exit_code:
        return Outcome("failed", f"exit code {exit_code}", exit_code=exit_code, node=node)
    return Outcome("completed", exit_code=0, node=node)
