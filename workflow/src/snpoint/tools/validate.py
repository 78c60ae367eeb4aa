"""``snpoint validate``: the simulation beside Geant4, published tables and real events."""

from __future__ import annotations

import importlib

import click

from snpoint.errors import UsageError
from snpoint.validation import nearest

SUBCOMMANDS = {
    "transport": "Single electrons beside those of Geant4.",
    "events": "Neutrino interactions beside published tables.",
    "backgrounds": "Rates and spectra of radioactivity and noise.",
    "real": "Real events among their simulated twins, quantity by quantity.",
    "errors": "Errors of a network on real events among those on their twins.",
    "twins-of": "Write the list of twins of real events.",
    "tune": "Fit gain and small-blip rate on one half of the real events.",
}
_MODULES = {"twins-of": "validate_twins"}


class LazyGroup(click.Group):
    """Imports a subcommand when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of the chain, from single particles to errors of networks."""
        return list(SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The subcommand of this name."""
        if cmd_name not in SUBCOMMANDS:
            return None
        module = _MODULES.get(cmd_name, f"validate_{cmd_name}")
        command = importlib.import_module(f"snpoint.tools.{module}").command
        assert isinstance(command, click.Command)  # noqa: S101 -- for the type checker
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The subcommand that was meant, or a hint where there is none of that name."""
        if args and not args[0].startswith("-") and args[0] not in SUBCOMMANDS:
            raise UsageError(f"there is no command 'validate {args[0]}'; {nearest(args[0], list(SUBCOMMANDS))}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list, without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl(list(SUBCOMMANDS.items()))


@click.group("validate", cls=LazyGroup)
def command() -> None:
    """Compare the simulation with Geant4, published tables and real events.

    Each command prints a table with a verdict per line, writes figures and CSV files, and fails (exit code 1) where a
    criterion is missed. The pages under docs/validation show what they gave.
    """
