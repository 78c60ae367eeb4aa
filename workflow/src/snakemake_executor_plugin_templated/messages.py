"""What a user reads when a job has not ended well: reason, logs, submit file, and what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .outcome import Outcome

TAIL_LINES = 30
TAIL_BYTES = 12000

KINDS = {
    "failed": "failed",
    "held": "held",
    "removed": "removed from the queue",
    "out_of_memory": "out of memory",
    "out_of_time": "out of time",
    "never_matched": "no machine can run it",
    "vanished": "vanished",
}

EXIT_CODES = {
    64: "the command line is wrong: mend the rule",
    65: "a file is damaged or breaks its contract: replace it",
    66: "an input is missing: provide it",
    69: "the machine lacks something (a package, a GPU)",
    70: "a bug: please report it with the log",
    73: "a result cannot be written: look at quota and permissions, then start again",
    74: "reading or writing failed: look at the file system, then start again",
    76: "a number became NaN or infinite: change the settings",
    77: "an input would execute code: it is refused",
    78: "a configuration file or the environment is wrong: the log names it",
}

ADVICE = {
    "held": "mend what the reason names, then start again",
    "removed": "if it was not meant to be, start again",
    "out_of_memory": "raise job: memory_gb, or make the job smaller",
    "out_of_time": "raise job: runtime_h; a training goes on from its checkpoint",
    "never_matched": "ask for less, or at another site",
    "vanished": "start again",
}


def advice(outcome: Outcome) -> str:
    """The next step after an end that is not tried again."""
    if outcome.kind == "failed":
        return EXIT_CODES.get(outcome.exit_code or 0, "look at the log")
    return ADVICE.get(outcome.kind, "")


def error_message(
    outcome: Outcome, *, decided: str, again: bool, submit: str, logs: Sequence[Path], attempt: int
) -> str:
    """Reason, next step, the submit file, and the last lines of the logs.

    Parameters
    ----------
    outcome : Outcome
        How the job ended.
    decided : str
        What follows from it, or empty.
    again : bool
        Whether it is tried again.
    submit : str
        Path of the kept submit file.
    logs : sequence of Path
        The job's own logs and its output.
    attempt : int
        How many times it was submitted, this one included.
    """
    kind, reason = KINDS.get(outcome.kind, outcome.kind), outcome.reason
    head = reason if outcome.kind == "failed" else f"{kind}: {reason}" if reason else kind
    hold = f" (code {outcome.hold_code}/{outcome.hold_subcode})" if outcome.hold_code is not None else ""
    lines = [f"{head}{hold}" + (f", on {outcome.node}" if outcome.node else "") + f", attempt {attempt}"]
    if decided:
        lines.append(f"        {decided}")
    if not again and (step := advice(outcome)):
        lines.append(f"        next step: {step}")
    if submit:
        lines.append(f"        submit file: {submit}")
    return "\n".join([*lines, *(text for path in logs if (text := tail(path)))])


def tail(path: Path) -> str:
    """Last lines of a log with a heading, empty if there are none; however long the file, little of it is read."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL_BYTES))
            text = file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
    lines = text.rstrip().splitlines()[-TAIL_LINES:]
    return "\n".join([f"        end of {path}:", *(f"        | {line}" for line in lines)]) if lines else ""
