"""Arguments that have a help text: Click's own leave it to the text of the command."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

Function = TypeVar("Function", bound=Callable[..., Any])

PATH: Final = click.Path(path_type=Path)


class Argument(click.Argument):
    """An argument with a help text.

    Parameters
    ----------
    help : str
        One line that says what is meant.
    *args, **kwargs
        Of `click.Argument`.
    """

    def __init__(self, *args: Any, help: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.help: str = help


class Command(click.Command):
    """A command whose help lists its arguments."""

    def format_arguments(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Leave arguments to `format_options`: only newer versions of Click list them here."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the arguments and the options."""
        known = [p for p in self.params if isinstance(p, Argument)]
        if known:
            with formatter.section("Arguments"):
                formatter.write_dl([(p.make_metavar(ctx), p.help) for p in known])
        super().format_options(ctx, formatter)


def argument(*names: str, help: str, **given: Any) -> Callable[[Function], Function]:
    """Give a command an argument with a help text."""
    return click.argument(*names, cls=Argument, help=help, **given)


def command(group: click.Group, **given: Any) -> Callable[[Callable[..., Any]], click.Command]:
    """Make a function a command of a group."""
    return group.command(cls=Command, **given)
