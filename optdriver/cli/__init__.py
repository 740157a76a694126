"""The command `optdriver`: studies stated in a file, run, shown and driven from a shell.

It needs Click and Rich, the extra `cli`; everything it does goes through `optdriver.Study`.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any

from optdriver.errors import missing_extra

__all__ = ["main"]


def main() -> None:
    """Run the command line; what is missing is said in one line."""
    try:
        import click
        import rich
    except ImportError as error:
        sys.exit(str(missing_extra("the command line", error.name or "click", "cli")))
    del click, rich
    from optdriver.cli.commands import run_app

    with warnings.catch_warnings():
        warnings.showwarning = _say  # type: ignore[assignment]  # it is called with more
        status = run_app()
    sys.exit(status)


def _say(message: Warning | str, *_where: Any) -> None:
    """Write a warning without the line of ours that raised it, which says nothing to a user."""
    print(f"optdriver: {message}", file=sys.stderr)  # noqa: T201
