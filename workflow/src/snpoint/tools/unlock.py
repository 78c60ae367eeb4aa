"""``snpoint unlock``: remove the lock of a run that is dead, and of no other."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import click

from snpoint import lock
from snpoint.errors import OutputError, SnpointError, UsageError
from snpoint.journal import Entry, Journal

MOST_SHOWN = 5


@click.command("unlock")
@click.option(
    "--break-lock",
    is_flag=True,
    help="Also where nobody can tell from here: you have made sure that no run is at work on another machine.",
)
def command(break_lock: bool) -> None:
    """Remove the lock of a run that is dead: killed, closed with its terminal, gone with its machine.

    Each run writes down its machine, process and boot (.snakemake/owner.json) and touches that record while it lives.
    The lock is removed if that process is gone from this machine. A run of another machine cannot be seen from here:
    with --break-lock its lock is removed, but only after ten minutes without a sign of life.

    Jobs of the dead run live on in the queue; the next `snakemake --profile ...` goes on with them.
    """
    locked = lock.lock_files()
    if not locked:
        click.echo(f"{Path.cwd()} is not locked.")
    else:
        reason = judge(break_lock)
        _remove(locked)
        click.echo(f"unlocked: {reason}")
    _say_what_is_queued()


def judge(break_lock: bool) -> str:
    """Why the lock may be removed.

    Raises
    ------
    UsageError
        It may not.
    """
    living = lock.running_here(Path.cwd())
    if living:
        raise UsageError(
            f"Snakemake is at work here (process {_listed(living)} of this machine): wait for it, or end"
            f" it with {_ending(living[0])} and call this again"
        )
    owner = lock.owner()
    if owner is None or lock.newer_than_owner():
        if break_lock:
            return "no living Snakemake of this machine holds the lock, and you have ruled out the others"
        raise UsageError(
            "the lock was taken by a run that was killed before it could write down who it is; none is alive on this"
            " machine. If none is on another machine either: snpoint unlock --break-lock"
        )
    if owner.dead:
        return f"{owner}, is gone"
    if owner.here:
        raise UsageError(
            f"the lock belongs to {owner}, which is alive: wait for it, or end it with {_ending(owner.pid)}"
        )
    return _judge_elsewhere(owner, break_lock)


def _judge_elsewhere(owner: lock.Owner, break_lock: bool) -> str:
    silent = lock.heartbeat()
    minutes = "unknown" if silent is None else f"{silent / 60:.0f} min ago"
    known = f"the lock belongs to {owner}; its last sign of life was {minutes}"
    if silent is not None and silent <= lock.SILENT_S:
        raise UsageError(
            f"{known}, so it may be alive. Log in there (ssh {owner.host}) and end it with {_ending(owner.pid)}; or, if"
            f" that machine is gone, `snpoint unlock --break-lock` after {lock.SILENT_S / 60:.0f} minutes"
        )
    if not break_lock:
        raise UsageError(
            f"{known}. From here it cannot be seen: log in there and look (ssh {owner.host} ps -p {owner.pid}); if it"
            f" is gone, `snpoint unlock` there, or here `snpoint unlock --break-lock`"
        )
    return f"{owner}, has given no sign of life for {(silent or 0) / 60:.0f} min"


def _ending(pid: int) -> str:
    """How to end a living run. SIGTERM waits for every job, also for those that have not begun in a queue."""
    if _left():
        return (
            f"`kill -HUP {pid}` (-KILL if it was started with nohup; its jobs stay in the queue, and the next run goes"
            " on with them, while -TERM waits for all of them)"
        )
    return f"`kill -TERM {pid}` (running jobs end well)"


def _left() -> list[Entry]:
    """Jobs that may be in a queue; none where the journal cannot be read."""
    try:
        return Journal().open_entries()
    except SnpointError as error:
        click.echo(f"WARNING: {error}", err=True)
        return []


def _remove(files: list[Path]) -> None:
    try:
        for path in files:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{error.filename}: cannot be removed ({error.strerror}); check permissions") from error
    with suppress(OSError):  # what else is in the folder is not a lock
        lock.LOCKS.rmdir()


def _say_what_is_queued() -> None:
    """What the dead run has left in the queue."""
    entries = _left()
    for system in sorted({entry.system for entry in entries}):
        ids = [entry.id or "?" for entry in entries if entry.system == system]
        several = f"{len(ids)} jobs" if len(ids) > 1 else "1 job"
        click.echo(
            f"{several} may still be in the queue of {system} ({_listed(ids)}):"
            f" `snakemake --profile {system}` goes on with what is there"
        )


def _listed(items: list[str] | list[int]) -> str:
    more = f" and {len(items) - MOST_SHOWN} more" if len(items) > MOST_SHOWN else ""
    return ", ".join(map(str, items[:MOST_SHOWN])) + more
