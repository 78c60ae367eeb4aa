"""What HTCondor's words for the end of a job mean: hold codes, removal reasons, job ClassAds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .outcome import Kind, Outcome, ended

# JobStatus of the job ClassAd
IDLE, REMOVED, COMPLETED, HELD = 1, 3, 4, 5

# HoldReasonCode: 34 is memory by name, 46 and 47 the allowed job and execution time. 3 (the job's own policy) and 26
# (the site's) say nothing by themselves; 46 is the subcode of the run-time limit in this project's template
MEMORY_CODE, MEMORY_SUBCODE = 34, 34
TIME_CODES, TIME_SUBCODE = (46, 47), 46
JOB_POLICY, SITE_POLICY = 3, 26

# input files are being spooled: the one hold that ends by itself
SPOOLING = 16

_MEMORY = re.compile("memory|ResidentSetSize|ProportionalSetSize|ImageSize", re.IGNORECASE)
_TIME = re.compile(
    r"run.?time|wall|execut\w+ (time|duration)|job duration|JobStartDate|JobCurrentStart|CommittedTime", re.IGNORECASE
)
_BY_SOMEBODY = re.compile(r"condor_rm|\(by user ")

# "The system macro SYSTEM_PERIODIC_REMOVE expression '...' evaluated to TRUE": what a policy looks at, and not what it
# has seen; one expression may join limits of every kind
_QUOTED = re.compile(r"expression\s+'(.*)'\s+evaluated", re.IGNORECASE | re.DOTALL)


def hold(code: int, subcode: int, reason: str, node: str = "") -> Outcome:
    """Outcome of a job that HTCondor or somebody put on hold."""
    policy = code in (JOB_POLICY, SITE_POLICY)
    kind: Kind = "held"
    if code == MEMORY_CODE or (policy and subcode == MEMORY_SUBCODE):
        kind = "out_of_memory"
    elif code in TIME_CODES or (code == JOB_POLICY and subcode == TIME_SUBCODE):
        kind = "out_of_time"
    elif policy:
        kind = _limit(reason) or kind
    return Outcome(kind, _one_line(reason), hold_code=code, hold_subcode=subcode, node=node)


def removal(reason: str, node: str = "") -> Outcome:
    """Outcome of a job that left the queue without having ended: by somebody, or by a policy that says why."""
    kind: Kind = "removed"
    if not _BY_SOMEBODY.search(reason):
        kind = _limit(reason) or kind
    return Outcome(kind, _one_line(reason), node=node)


def _limit(reason: str) -> Kind | None:
    """Which limit a policy's words name: its own words first, then its expression if that knows only one limit."""
    if _MEMORY.search(said := _QUOTED.sub("", reason)):
        return "out_of_memory"
    if _TIME.search(said):
        return "out_of_time"
    quoted = " ".join(_QUOTED.findall(reason))
    memory, time = _MEMORY.search(quoted), _TIME.search(quoted)
    if bool(memory) == bool(time):
        return None
    return "out_of_memory" if memory else "out_of_time"


def outcome_of(ad: Mapping[str, Any]) -> Outcome | None:
    """Outcome that a job ClassAd tells, None while the job is waiting or running."""
    status = ad.get("JobStatus")
    node = machine(str(ad.get("LastRemoteHost", "")))
    if status == HELD and ad.get("HoldReasonCode") != SPOOLING:
        code, subcode = (int(ad.get(name, 0)) for name in ("HoldReasonCode", "HoldReasonSubCode"))
        return hold(code, subcode, str(ad.get("HoldReason", "")), node)
    if status == REMOVED:
        return removal(str(ad.get("RemoveReason", "")), node)
    if status != COMPLETED:
        return None
    signal = int(ad.get("ExitSignal", 0)) if ad.get("ExitBySignal") else 0
    return ended(int(ad.get("ExitCode", 0)), signal, node)


def machine(slot: str) -> str:
    """``slot1_2@node7.site`` -> ``node7.site``, HTCondor's Machine attribute."""
    return slot.rpartition("@")[2]


def _one_line(text: str) -> str:
    return " ".join(text.split()) or "no reason given"
