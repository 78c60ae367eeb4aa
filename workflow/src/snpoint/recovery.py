"""Helping Snakemake's memory: after it was lost, and where it forgets.

Snakemake decides from its own records under ``.snakemake/``. This writes such records from the provenance beside the
results, so that Snakemake decides as if it had made the results itself: its dry run then shows what was really
edited since. Results are neither made nor removed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from snpoint import config, memory, paths, plan, staleness
from snpoint.plan import Node
from snpoint.section import Section
from snpoint.staleness import State

SECOND = 1_000_000_000


def remember_unfinished() -> None:
    """Make Snakemake see jobs that failed or were killed and have left nothing. Called when the Snakefile is read.

    Snakemake 9.27.1 records the new settings also when a job fails, and then sees no reason to run it while results
    made from its previous outputs are still there: after an edit and a failed training, `snakemake` would say that
    there is nothing to be done and leave the old evaluation in place. Mistakes in active files were reported before
    (`preflight.check_active`); what else cannot be worked out, such as a broken draft, is passed over.
    """
    for state in staleness.unfinished(plan.behind(everything(), lenient=True)):
        _remember(state)


def _remember(state: State) -> None:
    known = [memory.read(path) for path in state.node.outputs]
    if all(record is not None and record.get("params") != [repr(state.node.settings_json)] for record in known):
        return
    try:
        for path in state.node.outputs:
            memory.write(path, rule=state.node.rule, params=[repr(f"{state.word}: {state.why}")])
    except OSError:
        return


def everything() -> list[str]:
    """All targets that may have results: `all`, `real_data`, and drafts that were built by name."""
    targets = ["all"]
    if Path(paths.report_page("real_data")).parent.is_dir():
        targets.append("real_data")
    for task in config.TASKS:
        drafts = (paths.version_folder(task, name) for name in config.names(task, ["draft"]))
        targets += [folder for folder in drafts if Path(folder).is_dir()]
    return targets


def repair(nodes: Sequence[Node], code: Mapping[str, str], dry_run: bool = False) -> list[State]:
    """Write Snakemake's records of all results from their provenance; return what is known about each.

    What was made with other settings or from another set of inputs gets a record that says so: Snakemake finds the
    difference by itself, and finds none after the edit is taken back. What cannot be said that way (a file was changed
    by hand, a job failed, there is no provenance) gets a param that no configuration can have. The times of results
    are put in order where they are not, as after a copy: Snakemake decides by them for inputs above 1 MB.

    Parameters
    ----------
    nodes
        Jobs in dependency order, complete upstream.
    code
        Shell command of every rule as written in it. A record that Snakemake still has keeps its own, so that
        a changed rule is not accepted silently.
    dry_run
        Write nothing.
    """
    states = [state for state in staleness.judge(nodes, thorough=True) if state.record or state.word != "missing"]
    times: dict[str, int] = {}
    for state in states if not dry_run else ():
        _set_times(state, times)
        _record(state, code)
    return states


def _record(state: State, code: Mapping[str, str]) -> None:
    node, record = state.node, state.record
    fields: dict[str, object] = {"rule": node.rule, "log": [node.log], "input": sorted(node.inputs)}
    params = [repr(node.settings_json)]
    if record is not None and record["state"] == "ok":
        params = [repr(Section.canonical_json(record["settings"]))]
        fields["input"] = sorted(record["inputs"])
        fields["input_checksums"] = {path: f"sha256:{found['sha256']}" for path, found in record["inputs"].items()}
        fields["starttime"] = _nanoseconds(record["started"]) / 1e9
    if not state.visible:
        params.append(repr(f"{state.word}: {state.why}"))
    for path in node.outputs:
        fields["code"] = (memory.read(path) or {}).get("code") or code.get(node.rule)
        fields["endtime"] = None if path in state.missing else Path(path).stat().st_mtime
        memory.write(path, **fields, params=sorted(params))
        if state.visible:
            memory.forget_incomplete(path)


def _set_times(state: State, times: dict[str, int]) -> None:
    """Give results that match their record the time at which they were made, but none before that of their inputs."""
    newest = max((times.get(path) or _mtime(path) for path in state.node.inputs), default=0)
    record = state.record or {}
    matches = record.get("state") == "ok"
    made = max(newest, _nanoseconds(record["stopped"])) if matches else newest
    for path in state.node.outputs:
        times[path] = newest if path in state.missing else _mtime(path)
        if matches and path not in (*state.missing, *state.changed) and not newest <= times[path] <= made + SECOND:
            os.utime(path, ns=(made, made))
            times[path] = made


def _mtime(path: str) -> int:
    try:
        return Path(path).stat().st_mtime_ns
    except OSError:
        return 0


def _nanoseconds(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp()) * SECOND
