"""Commands and groups of commands as this project has them: lists of files after an option, imports on demand."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import click

from snpoint.errors import UsageError
from snpoint.validation import nearest

PATH = click.Path(path_type=Path)

seed_option = click.option(
    "--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Seed of the random numbers."
)


def output_option(what: str) -> Any:
    """The option for the folder that a command writes ``what`` to."""
    return click.option("-o", "--output", type=PATH, required=True, metavar="FOLDER", help=f"Folder for {what}.")


def list_option(flag: str, what: str, *, required: bool = True, metavar: str = "PATH...", type: Any = PATH) -> Any:
    """An option of a `ListsCommand` that takes several values."""
    return click.option(flag, multiple=True, required=required, type=type, metavar=metavar, help=what)


class ListsCommand(click.Command):
    """Options that take lists take all that follow, up to the next option: ``--background A B``.

    Those named in ``lists``; by default all that may be given several times.
    """

    def __init__(self, *args: Any, lists: tuple[str, ...] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        many = (option for option in self.params if isinstance(option, click.Option) and option.multiple)
        self.lists = tuple(flag for option in many for flag in option.opts) if lists is None else lists

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Repeat the option in front of each of its values, as click wants it; none at all is legal."""
        spread: list[str] = []
        current = None
        for arg in args:
            if arg.startswith("-"):
                flag, equals, first = arg.partition("=")
                current = flag if flag in self.lists else None
                if current and not equals:
                    continue
                arg = first if current else arg
            spread += [current, arg] if current else [arg]
        return super().parse_args(ctx, spread)


class LazyGroup(click.Group):
    """Imports a command when it is asked for, so that ``--help`` imports no numpy."""

    modules: ClassVar[Mapping[str, str]] = {}
    """Command -> module that has it as ``command``."""
    sections: ClassVar[Mapping[str, Mapping[str, str]]] = {}
    """Heading of the help -> commands and what they do, in their order."""
    prefix = ""
    """What stands before the command in messages."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of the sections."""
        return [name for section in self.sections.values() for name in section]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The subcommand of this name."""
        if cmd_name not in self.modules:
            return None
        command = importlib.import_module(self.modules[cmd_name]).command
        assert isinstance(command, click.Command)  # noqa: S101 -- for the type checker
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that was meant, or a hint where there is none of that name."""
        known = self.list_commands(ctx)
        if args and not args[0].startswith("-") and args[0] not in known:
            raise UsageError(f"there is no command '{self.prefix}{args[0]}'; {nearest(args[0], known)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The lists, without importing anything."""
        for heading, commands in self.sections.items():
            with formatter.section(heading):
                formatter.write_dl(list(commands.items()))
