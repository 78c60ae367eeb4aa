"""What a row of squeue or sacct says about a job, as a typed outcome."""

from __future__ import annotations

import pwd
import re
import shlex
from dataclasses import dataclass, replace
from pathlib import Path

from .outcome import CHECKPOINTED, Outcome, ended

# states of a job that has not ended; a preempted job that is started again shows as PENDING
LIVE = frozenset(
    {"PENDING", "CONFIGURING", "RUNNING", "SUSPENDED", "STOPPED", "RESIZING", "SIGNALING", "STAGE_OUT", "COMPLETING"}
    | {"REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT"}
)

# slurmstepd's own "signal" for an output file that it cannot open
NO_OUTPUT_FILE = 53

TAIL_BYTES = 8000

# reasons of an ended job that its state or its exit code says better
_SAYS_NOTHING = ("None", "", "NonZeroExitCode", "JobLaunchFailure", "TimeLimit", "OutOfMemory")

# reasons of a waiting job that waiting does not cure, in words
NEVER = {
    "PartitionTimeLimit": "the run time is above the limit of the partition (job: runtime_h, partition)",
    "PartitionNodeLimit": "the partition has too few nodes for it (job: partition)",
    "PartitionDown": "the partition is down (job: partition)",
    "PartitionInactive": "the partition is inactive (job: partition)",
    "PartitionConfig": "the partition does not fit what it asks for (job: partition)",
    "BadConstraints": "no node has all that it asks for (job: gpu_model, memory_gb, cpus, partition)",
    "ReqNodeNotAvail": "every node that could run it is down, drained or reserved (job: partition, gpu_model)",
    "MaxMemPerLimit": "the memory is above the limit of the partition (job: memory_gb, partition)",
    "AccountNotAllowed": "the account may not use this partition or QOS (job: account)",
    "InvalidAccount": "the account does not exist or is not yours (job: account)",
    "QOSNotAllowed": "the QOS may not be used here (job: qos)",
    "InvalidQOS": "the QOS does not exist or is not yours (job: qos)",
    "DependencyNeverSatisfied": "it depends on a job that has failed",
    "AccountingPolicy": "a limit of your account forbids it (job: account, qos)",
}
# limits of one job; those of all jobs together (QOSMaxJobsPerUserLimit, AssocGrpCpuLimit) pass by
_OWN_LIMIT = re.compile(r"(QOS|Assoc)(Max\w*PerJob(Limit)?|Max\w*PerNode\w*|Min\w+)")


@dataclass(frozen=True)
class Row:
    """One job, as squeue or sacct shows it."""

    id: str
    state: str
    reason: str = ""
    exit_code: int = 0
    signal: int = 0
    node: str = ""
    restarts: int = 0
    comment: str = ""
    stdout: str = ""

    @property
    def live(self) -> bool:
        """Whether it waits or runs."""
        return self.state.partition(" ")[0] in LIVE

    @property
    def held(self) -> bool:
        """Whether somebody must release it before it can run."""
        if not self.live or self.state == "COMPLETING":
            return False
        # JobHeldUser, JobHeldAdmin, "job requeued in held state", "launch failed requeued held", JobHoldMaxRequeue
        told = "held" in self.reason.lower() or self.reason.startswith("JobHold")
        return told or self.state in ("REQUEUE_HOLD", "SPECIAL_EXIT")


def exit_status(text: str) -> tuple[int, int]:
    """Exit code and signal: sacct writes ``3:0``, squeue the wait status."""
    code, colon, signal = text.partition(":")
    if colon:
        return (int(code), int(signal)) if code.isdigit() and signal.isdigit() else (0, 0)
    status = int(text) if text.isdigit() else 0
    return status >> 8, status & 0x7F


def never_reason(reason: str) -> str:
    """Why a job that waits for this reason waits in vain, in words; empty if it need not."""
    word = re.match(r"\w*", reason)[0]  # type: ignore[index]  # "ReqNodeNotAvail, UnavailableNodes:n[1-4]"
    if word == "ReqNodeNotAvail" and "maintenance" in reason.lower():
        return ""
    if _OWN_LIMIT.fullmatch(word):
        return "a limit for one job forbids it (job: qos, account, or a smaller request)"
    return NEVER.get(word, "")


def outcome(row: Row) -> Outcome | None:
    """How the job ended; None while it waits or runs, held or not."""
    if row.live:
        return None
    state, _, by = row.state.partition(" ")
    if state == "COMPLETED":
        return ended(0, node=row.node)
    told = "" if row.reason in _SAYS_NOTHING else row.reason
    codes = {"exit_code": row.exit_code or None, "signal": row.signal or None, "node": row.node}
    if _out_of_memory(row, state):
        asked = "its memory request was not enough"
        return Outcome("out_of_memory", _line(state, asked, told), **codes)  # type: ignore[arg-type]
    if state in ("TIMEOUT", "DEADLINE", "PREEMPTED") and row.exit_code == CHECKPOINTED:
        return ended(CHECKPOINTED, node=row.node)
    if state in ("TIMEOUT", "DEADLINE"):
        said = "it ran longer than it had asked for" if state == "TIMEOUT" else "its deadline has passed"
        return Outcome("out_of_time", _line(state, said, told), **codes)  # type: ignore[arg-type]
    if state == "CANCELLED":
        said = f"removed from the queue: CANCELLED {_by_name(by)}"
        return Outcome("removed", _line(said, told), **codes)  # type: ignore[arg-type]
    if state in ("NODE_FAIL", "BOOT_FAIL", "PREEMPTED", "REVOKED"):
        where = f"on {row.node}" if row.node else ""
        return Outcome("vanished", _line(state, where, told), node=row.node)
    end = ended(row.exit_code, row.signal, row.node)
    if row.signal == NO_OUTPUT_FILE:
        return replace(end, reason=f"{state}, {row.node or 'the node'} could not open the output file {row.stdout}")
    if end.ok:  # FAILED without a code: the batch script was never started
        end = Outcome("failed", node=row.node)
    return replace(end, reason=_line(state, told, end.reason or row.reason))


def lost(seconds: float) -> Outcome:
    """Outcome of a job that nobody knows any more."""
    return Outcome("vanished", f"unknown to squeue (and to sacct, where there is one) for {seconds:.0f} s")


def stdout_of(submit_line: str) -> str:
    """The output file that the submit file names, found by sacct's SubmitLine; empty if it is gone."""
    try:
        return stdout_named(Path(shlex.split(submit_line)[-1]).read_text(encoding="utf-8"))
    except (ValueError, IndexError, OSError):
        return ""


def stdout_named(submit_text: str) -> str:
    """The output file that a submit file names."""
    lines = submit_text.splitlines()
    named = [line.partition("=")[2].strip() for line in lines if line.startswith("#SBATCH --output=")]
    return named[-1] if named else ""


def _out_of_memory(row: Row, state: str) -> bool:
    if state == "OUT_OF_MEMORY":
        return True
    # without cgroups the accounting kills the job; its state is a plain failure, and the reason stands in its output
    return state in ("FAILED", "CANCELLED") and row.signal == 9 and "Exceeded job memory limit" in _tail(row.stdout)


def _by_name(by: str) -> str:
    """``by root`` for sacct's ``by 0``; squeue does not say who it was."""
    try:
        return f"by {pwd.getpwuid(int(by.removeprefix('by '))).pw_name}"
    except (ValueError, KeyError):
        return by


def _tail(path: str) -> str:
    try:
        with Path(path).open("rb") as stream:
            stream.seek(max(0, stream.seek(0, 2) - TAIL_BYTES))
            return stream.read().decode("utf-8", errors="replace")
    except OSError:
        return ""


def _line(*parts: str) -> str:
    return ", ".join(part.strip() for part in parts if part.strip())
