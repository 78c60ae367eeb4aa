"""Which results are up to date, judged from the provenance records beside them.

A result is up to date when its record says that it ended well, with the settings the configuration gives now, from
inputs with the content they have now, and when it is still what was written then. Modification times decide nothing;
they only say where a checksum need not be computed again. What the next run makes again follows by Snakemake's rules:
everything made from a job that runs is made again, and what is missing is made only if a job that runs needs it.

The text of a rule's shell command is in no provenance record: a change of it is seen by Snakemake alone.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypeVar

from snpoint import memory, paths, provenance
from snpoint.errors import DataError, shown
from snpoint.plan import Node
from snpoint.section import Section
from snpoint.submissions import Submissions, see

Word = Literal["ok", "stale", "queued", "running", "held", "failed", "missing"]
T = TypeVar("T")
MOST_SHOWN = 3


@dataclass(frozen=True)
class State:
    """What is known about one node."""

    node: Node
    word: Word
    why: str = ""
    own: bool = False
    """It must run for a reason of its own, not only because of a job before it."""
    runs: bool = False
    """The next run makes it again."""
    missing: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    """Outputs that are not what the record says."""
    visible: bool = True
    """Snakemake can see the reason of its own: other settings or another set of inputs, and nothing else."""
    record: Mapping[str, Any] | None = field(default=None, repr=False)
    job: str = ""
    """Id of the last job that was submitted for it, where the state comes from that job."""
    system: str = ""
    """The batch system that has that job."""

    @property
    def text(self) -> str:
        """The state in words: ``stale (settings: train.epochs 14 -> 20)``."""
        return f"{self.word} ({self.why})" if self.why else self.word


def judge(nodes: Sequence[Node], thorough: bool = False, submissions: Submissions | None = None) -> list[State]:
    """State of every node, in the order of the nodes.

    Parameters
    ----------
    nodes
        Jobs in dependency order, with all jobs before them (`plan.behind`).
    thorough
        Compute every checksum, also of files that nobody has touched since they were recorded.
    submissions
        The journal of this folder, for who wants to know afterwards whether it could be read.
    """
    return _Judge(nodes, thorough, submissions).states()


def unfinished(nodes: Sequence[Node]) -> list[State]:
    """Jobs that have left nothing, or not all, and must run for a reason of their own: failed, killed, edited since.

    What was removed by hand is not among them. Reads no record but of nodes with missing outputs (and before them).
    """
    judged = _Judge(nodes, thorough=False)
    lost = [node for node in nodes if not all(os.path.exists(path) for path in node.outputs)]  # noqa: PTH110 -- fast
    return [judged.own[node] for node in lost if judged.own[node].own]


def differences(prefix: str, before: Any, now: Any) -> Iterator[str]:
    """Changed values of nested settings: ``train.learning_rate 0.001 -> 0.0005``."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for key in sorted(before.keys() | now.keys()):
            yield from differences(f"{prefix}.{key}", before.get(key), now.get(key))
    elif before != now:
        yield f"{prefix} {shown(before)} -> {shown(now)}"


def touched(state: State) -> bool:
    """Whether Snakemake will make an up-to-date result again, because an input is newer though its content is the same.

    So it is for inputs above its limit for checksums, and for all inputs of results it has no record of.
    """
    node = state.node
    if state.word != "ok" or state.runs:
        return False
    oldest = min(Path(path).stat().st_mtime for path in node.outputs)
    noted = memory.read(node.outputs[0])
    for path in map(Path, node.inputs):
        if path.exists() and path.stat().st_mtime > oldest:
            known = memory.checksum(noted, str(path)) is not None
            if not known or path.stat().st_size > memory.LARGEST_CHECKSUM_BYTES:
                return True
    return False


class _Judge:
    def __init__(self, nodes: Sequence[Node], thorough: bool, submissions: Submissions | None = None) -> None:
        self.nodes = nodes
        self.submissions = submissions or Submissions()
        self.thorough = thorough
        self.maker = {path: node for node in nodes for path in node.outputs}
        self.own = _Lazy(self._own)
        self.records = _Lazy(_record)

    def states(self) -> list[State]:
        runs = self._runs()
        causes: dict[Node, list[str]] = {}
        result = []
        for node in self.nodes:
            state = replace(self.own[node], runs=node in runs)
            if state.runs:
                before = [cause for maker in self._makers(node) for cause in causes.get(maker, [])]
                causes[node] = [_cause(node)] if state.own or not before else list(dict.fromkeys(before))
                if state.word == "ok":
                    state = replace(state, word="stale", why=f"upstream: {_listed(causes[node])}")
            elif state.word == "missing":
                state = replace(
                    state, why="; ".join(filter(None, [state.why, "not needed: what is made from it is there"]))
                )
            result.append(state)
        return result

    def _runs(self) -> set[Node]:
        """Nodes the next run makes."""
        users: dict[Node, list[Node]] = {node: [] for node in self.nodes}
        for node in self.nodes:
            for maker in self._makers(node):
                users[maker].append(node)
        queue = [node for node in self.nodes if self.own[node].own or self._wanted(node, users[node])]
        runs = set(queue)
        while queue:
            node = queue.pop()
            needed = [maker for maker in self._makers(node) if set(node.inputs) & set(self.own[maker].missing)]
            new = {*users[node], *needed} - runs
            runs |= new
            queue += new
        return runs

    def _wanted(self, node: Node, users: list[Node]) -> bool:
        """Whether a node is missing that nothing else asks for: a page, or what the user named."""
        asked = node.outputs[:1] if node.stage == "report" else node.outputs
        return not users and bool(set(asked) & set(self.own[node].missing))

    def _makers(self, node: Node) -> list[Node]:
        return list(dict.fromkeys(self.maker[path] for path in node.inputs if path in self.maker))

    def _own(self, node: Node) -> State:
        """State of a node by itself, as if all before it were up to date."""
        missing = tuple(path for path in node.outputs if not Path(path).exists())
        found = State(node, "missing" if missing else "ok", missing=missing)
        try:
            record = self.records[node]
        except DataError as error:
            return replace(found, word="missing" if missing else "stale", why=str(error), own=True, visible=False)
        told = self.submissions.told(node.outputs, record, node.log, not missing, node.settings_json)
        if told is not None:
            word: Word = ("missing" if missing else "stale") if told.word == "interrupted" else told.word
            return replace(found, word=word, why=told.why, job=told.job, system=told.system, own=True, visible=False)
        if record is None:
            whole = len(missing) == len(node.outputs)
            return found if whole else replace(found, word="stale", why="no provenance record", own=True, visible=False)
        found = replace(found, record=record)
        if record["state"] != "ok":
            return _not_ok(found, record)
        changed = self._changed(node, record)
        plain = [*self._settings(node, record), *self._set_of_inputs(node, record)]
        content = self._content_of_inputs(node, record)
        if changed:
            content.append(f"changed since it was written: {_listed(changed)}")
        if plain or content:
            word = "missing" if missing else "stale"
            why = "; ".join(plain + content)
            return replace(found, word=word, why=why, own=True, changed=tuple(changed), visible=not content)
        some = missing and len(missing) < len(node.outputs)
        return replace(found, why=_listed([Path(path).name for path in missing])) if some else found

    def _settings(self, node: Node, record: Mapping[str, Any]) -> Iterator[str]:
        now = node.settings_json
        if Section.canonical_json(record["settings"]) != now:
            changes = differences(node.stage, record["settings"], json.loads(now))
            yield f"settings: {_listed(list(changes))}"

    def _set_of_inputs(self, node: Node, record: Mapping[str, Any]) -> Iterator[str]:
        new = [f"+ {path}" for path in node.inputs if path not in record["inputs"]]
        gone = [f"- {path}" for path in record["inputs"] if path not in node.inputs]
        if new or gone:
            yield f"set of inputs: {_listed(new + gone)}"

    def _content_of_inputs(self, node: Node, record: Mapping[str, Any]) -> list[str]:
        recorded = record["inputs"]
        common = [path for path in node.inputs if path in recorded]
        changed = [path for path in common if not self._same_input(path, recorded[path], record["started"])]
        return [f"changed input: {_listed(changed)}"] if changed else []

    def _same_input(self, path: str, recorded: Mapping[str, Any], started: str) -> bool:
        """Whether an input has the recorded content; what another node made is compared with that node's record."""
        maker = self.maker.get(path)
        if maker is None:
            return self._unchanged(path, recorded, started)
        made = self.records[maker] if self.own[maker].record else None
        if made is None or made["state"] != "ok":
            return True
        return bool(made["outputs"].get(path, recorded)["sha256"] == recorded["sha256"])

    def _changed(self, node: Node, record: Mapping[str, Any]) -> list[str]:
        there = [path for path in node.outputs if Path(path).exists()]
        return [path for path in there if not self._unchanged(path, record["outputs"].get(path), record["stopped"])]

    def _unchanged(self, path: str, recorded: Mapping[str, Any] | None, since: str) -> bool:
        """Whether a file has the recorded content.

        The checksum is computed only if somebody touched the file since. Snakemake does so with the outputs of every
        finished job; it notes the time.
        """
        try:
            found = Path(path).stat()
        except FileNotFoundError:
            return False
        if recorded is None or found.st_size != recorded["bytes"]:
            return False
        if not self.thorough:
            if found.st_mtime <= datetime.fromisoformat(since).timestamp() + 1:
                return True
            if (memory.read(path) or {}).get("endtime") == found.st_mtime:
                return True
        return bool(provenance.fingerprint(path)["sha256"] == recorded["sha256"])


class _Lazy(dict[Node, T]):
    """A dictionary that works out what it is asked for, once."""

    def __init__(self, function: Callable[[Node], T]) -> None:
        super().__init__()
        self.function = function

    def __missing__(self, node: Node) -> T:
        self[node] = self.function(node)
        return self[node]


def _record(node: Node) -> dict[str, Any] | None:
    """The provenance record of a node, with all that is read here.

    Raises
    ------
    DataError
        The record is not readable, or something is missing in it.
    """
    record = provenance.read(node.record)
    needed = {"state", "settings", "inputs", "host", "pid", "started"}
    if record is not None and record.get("state") != "running":
        needed |= {"outputs", "stopped"} if record.get("state") == "ok" else {"error"}
    if record is not None and not needed <= record.keys():
        raise DataError(f"{node.record}: not a provenance record; remove it and run its stage again")
    return record


def _not_ok(found: State, record: dict[str, Any]) -> State:
    found = replace(found, own=True, visible=False)
    if record["state"] == "failed":
        return replace(found, word="failed", why=f"{record['error']}{see(found.node.log)}")
    job = (
        f"job {record['job_id']} on {record['host']}"
        if record.get("job_id")
        else f"{record['host']}, pid {record['pid']}"
    )
    if provenance.is_running(record):
        return replace(found, word="running", why=f"{job}, since {record['started']}")
    return replace(
        found, word="failed", why=f"killed: {job}, started {record['started']}{see(found.node.log)}", own=True
    )


def _cause(node: Node) -> str:
    """A node as the cause of another one's state: without its chunk."""
    return f"{node.stage} {node.key.partition('/')[0] if node.stage in paths.CHUNK_STAGES else node.key}"


def _listed(items: Sequence[str]) -> str:
    more = f" and {len(items) - MOST_SHOWN} more" if len(items) > MOST_SHOWN else ""
    return ", ".join(items[:MOST_SHOWN]) + more
