"""Why a waiting HTCondor job does not start: could any machine run it once it is free? If not, what excludes them?"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# of a partitionable slot, what it has -> what all of it was before parts were given away
_WHOLE = {"Cpus": "TotalSlotCpus", "Memory": "TotalSlotMemory", "Disk": "TotalSlotDisk", "GPUs": "TotalSlotGPUs"}
# attribute of the job, of the slot, name in the submit file, unit
_RESOURCES = (
    ("RequestCpus", "Cpus", "request_cpus", ""),
    ("RequestMemory", "Memory", "request_memory", " MB"),
    ("RequestDisk", "Disk", "request_disk", " KB"),
    ("RequestGPUs", "GPUs", "request_gpus", ""),
)
SLOT_ATTRIBUTES = ("Name", "Machine", "SlotType", "PartitionableSlot", "Start", *_WHOLE, *_WHOLE.values())
_NOT_A_PART = 'SlotType =!= "Dynamic"'
_MOST_SHOWN = 4


@dataclass(frozen=True)
class Verdict:
    """What the pool's machines are to a job.

    Parameters
    ----------
    never : bool
        No machine can run it, however long it waits.
    reason : str
        Which requirement excludes the machines, or how many fit.
    """

    never: bool
    reason: str


@dataclass(frozen=True)
class _Clause:
    shown: str
    """As the message names it."""
    excluded: int
    best: str
    """What the machines have instead."""


def split(requirements: str) -> list[str]:
    """Clauses of a ClassAd expression, all of which must be true: split at ``&&``, without the brackets around them."""
    text = requirements.strip()
    while text.startswith("(") and _closing(text) == len(text) - 1:
        text = text[1:-1].strip()
    pieces = _top_level(text)
    if len(pieces) == 1:
        return [text]
    return [clause for piece in pieces for clause in split(piece)]


def examine(job: Any, slots: Sequence[Any]) -> Verdict:
    """Whether any slot could run a job, judged as if all slots were free.

    Parameters
    ----------
    job : classad2.ClassAd
        The whole ad of the job.
    slots : sequence of classad2.ClassAd
        Slots of the pool; dynamic ones are parts of others and are passed over.
    """
    machines = [_emptied(slot) for slot in slots if str(slot.get("SlotType")) != "Dynamic"]
    if not machines:
        # a collector that was just started knows no machine; that is not the job's fault
        return Verdict(False, "waiting: the pool shows no machine")
    passed = [True] * len(machines)
    failing = []
    for clause, results in _clauses(job, machines):
        passed = [before and now for before, now in zip(passed, results, strict=True)]
        if clause.excluded:
            failing.append(clause)
    fitting = [machine for machine, fits in zip(machines, passed, strict=True) if fits]
    if fitting:
        return Verdict(False, _waiting(job, fitting, len(machines)))
    return Verdict(True, _why(failing, len(machines)))


def examine_all(
    jobs: Mapping[str, Any], slots_with: Callable[[str, Sequence[str]], Sequence[Any]]
) -> dict[str, Verdict]:
    """`examine` for many jobs, by id. A large pool is asked only for the attributes that the requirements look at.

    Parameters
    ----------
    jobs : mapping
        Whole ads of the jobs.
    slots_with : callable
        The collector's answer to a constraint and names of attributes; no names: all attributes.
    """
    on_gpu = {job for job, ad in jobs.items() if "RequestGPUs" in ad and ad.eval("RequestGPUs")}
    verdicts: dict[str, Verdict] = {}
    for group in (on_gpu, jobs.keys() - on_gpu):
        if not group:
            continue
        names = sorted(set(SLOT_ATTRIBUTES).union(*(_references(jobs[job]) for job in group)))
        slots: Sequence[Any] = []
        if group is on_gpu:
            # the properties of each GPU have attributes of their own, which cannot be asked for by name
            slots = slots_with(f"{_NOT_A_PART} && TotalGPUs > 0", [])
        slots = slots or slots_with(_NOT_A_PART, names)
        # hundreds of jobs ask for the same, and each comparison with a large pool takes seconds
        by_wish: dict[tuple[str, ...], Verdict] = {}
        for job in group:
            wish = _wish(jobs[job])
            verdicts[job] = by_wish[wish] = by_wish.get(wish) or examine(jobs[job], slots)
    return verdicts


def _wish(job: Any) -> tuple[str, ...]:
    """All of a job that a verdict depends on; equal for jobs that ask for the same."""
    asking = [job.lookup(name) for name in ("Requirements", "RequireGPUs") if name in job]
    own = {asked for asked, *_ in _RESOURCES}.union(*(job.internalRefs(expression) for expression in asking))
    return (*map(str, asking), *(f"{name} {job.flatten(job.lookup(name))}" for name in sorted(own) if name in job))


def _references(job: Any) -> set[str]:
    """Attributes of the slot that a job's requirements look at."""
    names = job.externalRefs(job.lookup("Requirements")) if "Requirements" in job else []
    return {re.sub("(?i)^target[.]", "", name).split(".")[0] for name in names}


def _waiting(job: Any, fitting: Sequence[Any], total: int) -> str:
    willing = [slot for slot in fitting if "Start" not in slot or slot.lookup("Start").eval(slot, job) is not False]
    count = f"{len(fitting)} of {total} slots fit"
    if not willing:
        return f"waiting: {count}, but their own policy (START) refuses the job for now: {fitting[0].lookup('Start')}"
    return f"waiting: {count}, and all of them are busy or not offered to you yet"


def _why(failing: Sequence[_Clause], total: int) -> str:
    alone = [clause for clause in failing if clause.excluded == total]
    if alone:
        return "; ".join(
            f"{clause.shown}: {clause.best} (slots excluded: {total} of {total})" for clause in alone[:_MOST_SHOWN]
        )
    worst = sorted(failing, key=lambda clause: -clause.excluded)[:_MOST_SHOWN]
    each = "; ".join(
        f"{clause.shown}: {clause.best} (slots excluded: {clause.excluded} of {total})" for clause in worst
    )
    return f"no slot satisfies all requirements together: {each}"


def _clauses(job: Any, machines: Sequence[Any]) -> list[tuple[_Clause, list[bool]]]:
    """Resources that the job asks for, then the clauses of its requirements that say something else."""
    import classad2

    judged = []
    for asked, has, name, unit in _RESOURCES:
        wanted = job.eval(asked) if asked in job else None
        if not isinstance(wanted, int | float) or wanted <= 0:
            continue
        amounts = [float(slot.get(has, 0) or 0) for slot in machines]
        results = [amount >= wanted for amount in amounts]
        best = f"the largest slot has {max(amounts):.0f}{unit}"
        judged.append((_Clause(f"{name} {wanted:.0f}{unit}", results.count(False), best), results))
    known = [results for _, results in judged]
    for text in split(str(job.lookup("Requirements"))) if "Requirements" in job else []:
        expression = classad2.ExprTree(text)
        results = [expression.eval(job, slot) is True for slot in machines]
        if results in known and re.search("Request(Cpus|Memory|Disk|GPUs)", text, re.IGNORECASE):
            # condor_submit adds a clause for most requests
            continue
        judged.append((_Clause(_shown(text, job), results.count(False), _best(text, job, machines)), results))
    return judged


def _shown(text: str, job: Any) -> str:
    if "requiregpus" in text.lower() and "RequireGPUs" in job:
        # with the job's own numbers filled in
        return (
            f"request_gpus {job.eval('RequestGPUs')} with require_gpus {_plain(job.flatten(job.lookup('RequireGPUs')))}"
        )
    return f"requirements {_plain(text)}"


def _best(text: str, job: Any, machines: Sequence[Any]) -> str:
    import classad2

    if "requiregpus" in text.lower():
        return f"the pool has {_some(_gpu_text(gpu) for slot in machines for gpu in _gpus(slot))}"
    refs = {re.sub("(?i)^target[.]", "", ref) for ref in job.externalRefs(classad2.ExprTree(text))}
    if len(refs) != 1:
        return "no other value to name"
    name = refs.pop()
    return f"{name} is {_some(str(slot.get(name, 'not set')) for slot in machines)}"


def _plain(expression: Any) -> str:
    """An expression with its numbers as people write them: 8.0 and not 8.000000000000000E+00."""
    return re.sub(r"\b\d\.\d{15}E[+-]\d\d", lambda found: f"{float(found[0]):g}", str(expression))


def _some(values: Any) -> str:
    kinds = list(dict.fromkeys(values))
    more = f" and {len(kinds) - _MOST_SHOWN} others" if len(kinds) > _MOST_SHOWN else ""
    return (", ".join(kinds[:_MOST_SHOWN]) or "none") + more


def _gpu_text(gpu: Any) -> str:
    name, capability, memory = (gpu.get(key, "?") for key in ("DeviceName", "Capability", "GlobalMemoryMb"))
    return f"{name} (capability {capability}, {memory} MB)"


def _gpus(slot: Any) -> list[Any]:
    names = [name for name in slot if re.match("gpus_", name, re.IGNORECASE)]
    return [value for name in names if hasattr(value := slot[name], "lookup") and "Id" in value]


def _emptied(slot: Any) -> Any:
    """A copy of a slot's ad with everything given back that runs in it now."""
    import classad2

    free = classad2.ClassAd(str(slot))
    if not slot.get("PartitionableSlot"):
        return free
    for has, whole in _WHOLE.items():
        if whole in slot:
            free[has] = slot[whole]
    names = [name for name in slot if re.match("gpus_", name, re.IGNORECASE) and hasattr(slot[name], "lookup")]
    free["AvailableGPUs"] = classad2.ExprTree(f"{{{', '.join(names)}}}")
    return free


def _closing(text: str) -> int:
    """Position of the bracket that closes the one at the start."""
    return next((place for place, depth, _ in _walk(text) if depth == 0), -1)


def _top_level(text: str) -> list[str]:
    """Pieces between ``&&`` outside brackets and strings; one piece if a weaker operator holds them together."""
    cuts = []
    for place, depth, character in _walk(text):
        if depth:
            continue
        if character == "?" or text.startswith("||", place):
            # "=?=" is a comparison, not a condition
            if text[place - 1 : place + 2] != "=?=":
                return [text]
        elif text.startswith("&&", place):
            cuts.append(place)
    starts = [0, *(place + 2 for place in cuts)]
    return [text[start:stop].strip() for start, stop in zip(starts, [*cuts, len(text)], strict=True)]


def _walk(text: str) -> Any:
    """Position, bracket depth after it, and character, outside strings."""
    depth, quote, escaped = 0, "", False
    for place, character in enumerate(text):
        if quote:
            closed = character == quote and not escaped
            escaped = character == "\\" and not escaped
            quote = "" if closed else quote
            continue
        if character in "\"'":
            quote = character
            continue
        depth += (character in "([{") - (character in ")]}")
        yield place, depth, character
