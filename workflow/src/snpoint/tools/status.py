"""``snpoint status``: what is up to date, and why what is not is not."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from snpoint import config, inputs, memory, paths, plan, staleness
from snpoint.errors import InputMissingError, UsageError
from snpoint.plan import Node
from snpoint.staleness import State
from snpoint.submissions import Submissions
from snpoint.validation import nearest

COLORS = {
    "ok": "green",
    "stale": "yellow",
    "queued": "blue",
    "running": "cyan",
    "held": "red",
    "failed": "red",
    "missing": "magenta",
}
CONFIG_FOLDERS = {"samples": "samples", "datasets": "datasets", "pointing": "point"}
"""Folder of the configuration -> folder of the results."""


@click.command("status", short_help="Show the state of every stage of every version.")
@click.argument("targets", nargs=-1, metavar="[TARGET]...")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for scripts instead of a table.")
def command(targets: tuple[str, ...], as_json: bool) -> None:
    """Show what is up to date, and why what is not is not.

    TARGET is a version, sample, dataset or pointing (v0, electron_direction/v0, sim_es), a path under results/, `all`
    or `real_data`. Without one: all that `snakemake` builds, and the real files once something was made from them.

    \b
    ok        as the configuration wants it
    stale     made with other settings or inputs, or changed since (why)
    queued    submitted to a batch system, has not begun (job, since when)
    running   at work (host, process or job)
    held      taken out of the queue by the batch system (why, which attempt)
    failed    ended with an error, or was killed (why, which attempt)
    missing   not made yet, or removed

    The states come from the provenance records beside the results, so they are right also when .snakemake is lost;
    what waits in a queue is known from the journal of submissions (.snakemake/templated).
    """  # noqa: D301 -- click reads the backspace
    if not paths.CONFIGS.is_dir():
        raise InputMissingError(f"{paths.CONFIGS}/ does not exist in {Path.cwd()}; run this in the project folder")
    notices: list[str] = []
    states = _states(targets, notices)
    unknown, touched = _unrecorded(states), [str(state.node) for state in states if staleness.touched(state)]
    notices += [*_notices(unknown, touched), *_stand_ins(states)]
    if as_json:
        content = {
            "format_version": 1,
            "stages": [_as_json(state) for state in states],
            "without_snakemake_record": unknown,
            "touched": touched,
            "notices": notices,
        }
        click.echo(json.dumps(content, indent=2, ensure_ascii=False))
        return
    if any(state.changed for state in states):
        notices.append(
            "a result was changed since it was written, which Snakemake cannot see: run `snpoint repair` first."
        )
    _print_table(states, _leaves(states) if targets else [])
    for notice in notices:
        click.echo(click.style("\nWARNING: ", fg="red", bold=True) + notice)


def _states(targets: Sequence[str], notices: list[str]) -> list[State]:
    if targets:
        asked, owners = zip(*(pair for target in targets for pair in resolve(target)), strict=True)
        states = _judged(plan.behind(asked), notices)
        return [state for state in states if None in owners or state.node.owner in owners]
    nodes = plan.behind(["all"])
    try:
        more = plan.behind(["all", "real_data"])[len(nodes) :]
        if any(node.record.exists() or Path(node.outputs[0]).exists() for node in more):
            nodes += more
    except InputMissingError as error:
        if Path(paths.report_page("real_data")).exists():
            notices.append(f"the real files are not shown: {error}")
    return _judged(nodes, notices)


def _judged(nodes: Sequence[Node], notices: list[str]) -> list[State]:
    submissions = Submissions()
    states = staleness.judge(nodes, submissions=submissions)
    if submissions.problem:
        notices.append(f"what is in the queue is not known: {submissions.problem}")
    return states


def resolve(target: str) -> list[tuple[str, str | None]]:
    """What a word of the user means: targets of the plan, each with the owner whose stages are shown (None: all).

    Raises
    ------
    UsageError
        No such sample, dataset, version or pointing.
    """
    if target in ("all", "real_data"):
        return [(target, None)]
    known = {f"{place}/{name}": name for folder, place in CONFIG_FOLDERS.items() for name in config.names(folder)}
    known |= {f"{task}/{name}": name for task in config.TASKS for name in config.names(task)}
    known |= {"report/index": "index", "report/real_data": "real_data"}
    words = target.strip("/").removeprefix("results/").split("/")
    words[0] = CONFIG_FOLDERS.get(words[0], words[0])
    owner = "/".join(words[:2]).removesuffix(".html")
    found = [owner] if owner in known else [key for key, name in known.items() if name == target]
    if not found:
        hint = nearest(target, [*known, *known.values()])
        raise UsageError(f"'{target}': no such version, sample, dataset or pointing; {hint}")
    return [(f"results/{owner}", owner) for owner in found]


def _unrecorded(states: Iterable[State]) -> list[str]:
    outputs = [path for state in states for path in state.node.outputs if path not in state.missing]
    return [path for path in outputs if memory.read(path) is None]


def _stand_ins(states: Iterable[State]) -> list[str]:
    """Samples that are simulated in place of a production."""
    used = {path for state in states for path in (*state.node.inputs, *state.node.outputs)}
    samples = sorted({path.split("/")[2] for path in used if path.startswith(paths.sample_folder(""))})
    found = [name for name in samples if inputs.is_stand_in(config.load_sample(name))]
    if not found:
        return []
    return [
        f"SNPOINT_PRODUCTION is not set: {', '.join(found)} {'is' if len(found) == 1 else 'are'} simulated (stand-in)"
    ]


def _notices(unknown: Sequence[str], touched: Sequence[str]) -> Iterator[str]:
    """Where Snakemake's next run would do something else than the table says."""
    if unknown:
        yield (
            f"Snakemake has no record of {len(unknown)} existing files (was .snakemake lost or moved?): its dry run"
            " cannot see edits behind them. This table is right; run `snpoint repair` before the next `snakemake`."
        )
    if touched:
        yield (
            f"Snakemake will make {len(touched)} results again only because an input is newer, not different"
            f" ({touched[0]}{', ...' if len(touched) > 1 else ''}). `snpoint repair` puts the times in order."
        )


def _as_json(state: State) -> dict[str, Any]:
    node = state.node
    return {
        "owner": node.owner,
        "stage": node.stage,
        "key": node.key,
        "state": state.word,
        "why": state.why,
        "runs": state.runs,
        "job": state.job,
        "outputs": node.outputs,
        "missing": state.missing,
        "provenance": str(node.record),
        "log": node.log,
    }


def _leaves(states: Sequence[State]) -> list[str]:
    """One output of each job to run that no other one needs: what to ask Snakemake for."""
    needed = {path for state in states if state.runs for path in state.node.inputs}
    return [state.node.outputs[0] for state in states if state.runs and not needed & set(state.node.outputs)]


def _print_table(states: Sequence[State], leaves: Sequence[str]) -> None:
    order = ["samples", "datasets", *config.TASKS, "point", "report"]
    owners = sorted({state.node.owner: None for state in states}, key=lambda owner: order.index(owner.split("/")[0]))
    width = max(len(owner) for owner in owners)
    for owner in owners:
        title = owner
        for stage in dict.fromkeys(state.node.stage for state in states if state.node.owner == owner):
            here = [state for state in states if (state.node.owner, state.node.stage) == (owner, stage)]
            click.echo(f"{title:{width}s}  {stage:10s}  {_summary(here)}")
            title = ""
    words = {word: sum(state.word == word for state in states) for word in COLORS}
    counts = ", ".join(f"{count} {click.style(word, fg=COLORS[word])}" for word, count in words.items() if count)
    click.echo(f"\n{counts}. {_next_step(states, leaves)}")


def _next_step(states: Sequence[State], leaves: Sequence[str]) -> str:
    """How many jobs are to run, how many of them a batch system has already, and the command that looks at them."""
    jobs = sum(state.runs for state in states)
    if not jobs:
        return "Nothing to run."
    systems = [state.system for state in states if state.runs and state.word in ("queued", "running") and state.system]
    there = ", ".join(f"{systems.count(system)} of them in the queue of {system}" for system in dict.fromkeys(systems))
    profile = max(systems or Submissions().systems(), key=systems.count, default="local")
    command = " ".join([f"snakemake --profile {profile} -n", *leaves])
    return f"{jobs} job{'' if jobs == 1 else 's'} to run{f', {there}' if there else ''}: {command}"


def _summary(states: Sequence[State]) -> str:
    """The states of one stage in one line; chunks are counted."""
    if len(states) == 1:
        return click.style(states[0].word, fg=COLORS[states[0].word]) + states[0].text.removeprefix(states[0].word)
    pieces: list[str] = []
    for word, color in COLORS.items():
        here = [state for state in states if state.word == word]
        if here:
            reasons = list(dict.fromkeys(state.why for state in here if state.why))
            why = f" ({reasons[0]}{' ...' if len(reasons) > 1 else ''})" if reasons else ""
            count = f"{len(here)}/{len(states)}" if not pieces else f"{len(here)}"
            pieces.append(f"{count} {click.style(word, fg=color)}{why}")
    return ", ".join(pieces)
