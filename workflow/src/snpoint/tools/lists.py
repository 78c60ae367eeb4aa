"""Commands whose options take several files: ``--real A B --twins C``."""

from __future__ import annotations

import click


class ListsCommand(click.Command):
    """Options that may be given several times take all that follow, up to the next option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Repeat the option in front of each of its values, as click wants it."""
        many = {flag for option in self.params if isinstance(option, click.Option) and option.multiple
                for flag in option.opts}  # fmt: skip
        spread: list[str] = []
        current = None
        for arg in args:
            if arg.startswith("-"):
                flag, equals, first = arg.partition("=")
                current = flag if flag in many else None
                if current and not equals:
                    continue
                arg = first if current else arg
            spread += [current, arg] if current else [arg]
        return super().parse_args(ctx, spread)
