"""``snpoint repair``: give Snakemake its memory back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from snpoint import plan, recovery
from snpoint.errors import InputMissingError, OutputError, UsageError
from snpoint.staleness import State
from snpoint.tools.status import resolve


@click.command("repair", short_help="Re-record what matches its provenance, force the rest.")
@click.argument("targets", nargs=-1, metavar="[TARGET]...")
@click.option("-n", "--dry-run", is_flag=True, help="Only say what would be recorded and what would be made again.")
def command(targets: tuple[str, ...], dry_run: bool) -> None:
    """Re-record what matches its provenance, force the rest.

    For when .snakemake/ was lost, or results were copied here: Snakemake then takes every existing file for up to date.
    This writes Snakemake's records from the provenance beside the results. All checksums are computed, modification
    times are not trusted. The next `snakemake` (and `snakemake -n`) then makes exactly what is stale. No result is
    changed or removed; files that were copied get their time back.

    TARGET is as in `snpoint status`; without one: everything that has results.
    """
    locks = sorted(Path(".snakemake/locks").glob("*.lock"))
    if locks and not dry_run:
        raise UsageError(f"{locks[0]} exists: Snakemake is at work here; wait, or `snpoint unlock` after a crash")
    if targets:
        asked = [name for target in targets for name, _ in resolve(target)]
        nodes = plan.behind(asked)
    else:
        nodes = plan.behind(recovery.everything(), lenient=True)
    try:
        states = recovery.repair(nodes, {} if dry_run else rule_commands(), dry_run)
    except OSError as error:
        raise OutputError(f"{error.filename}: cannot be written ({error.strerror})") from error
    _report(states, dry_run)


def rule_commands() -> dict[str, str]:
    """Shell command of every rule, as written in the rule files: what Snakemake compares to notice a changed rule."""
    from snakemake.api import SnakemakeApi
    from snakemake.settings.types import ResourceSettings

    if not Path("Snakefile").exists():
        raise InputMissingError("Snakefile does not exist; run this in the project folder")
    with SnakemakeApi() as api:
        workflow = api.workflow(ResourceSettings(cores=1), snakefile=Path("Snakefile"))._workflow
        return {rule.name: rule.shellcmd for rule in workflow.rules if rule.shellcmd is not None}


def _report(states: Sequence[State], dry_run: bool) -> None:
    again = [state for state in states if state.runs]
    for state in again:
        if state.own:
            click.echo(f"{state.node}: {state.text}")
    would = "would be " if dry_run else ""
    click.echo(f"{len(states) - len(again)} results match their provenance and {would or 'are '}recorded as up to date")
    if again:
        click.echo(
            f"{len(again)} {would or 'will be '}made again by the next run; look first: snakemake --profile local -n"
        )
