"""The progress bar of `run`, drawn by rich in a terminal."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from optdriver.errors import InputTypeError, missing_extra

if TYPE_CHECKING:
    from optdriver.study import Study

Show = Callable[[], None]

PERIOD: Final = 0.1
"""Seconds between two looks at the study."""


@contextmanager
def progress_bar(study: Study, progress: bool | None) -> Iterator[Show]:
    """Yield a function that brings the bar of a study up to date; see `bar`."""
    with bar(partial(_line, study), progress) as show:
        yield show


@contextmanager
def bar(line: Callable[[], dict[str, Any]], progress: bool | None) -> Iterator[Show]:
    """Yield a function that brings a bar up to date.

    Parameters
    ----------
    line : callable
        Returns what the bar shows: completed, total and description.
    progress : bool or None
        None shows a bar in a terminal if rich is installed; True insists on it; False is quiet.

    Raises
    ------
    MissingExtraError
        If a bar is insisted on and rich is not installed.
    """
    if not _wanted(progress):
        yield _nothing
        return
    with _bar() as drawn:
        task = drawn.add_task("", total=None)

        shown = -math.inf

        def show() -> None:
            nonlocal shown
            if time.monotonic() - shown >= PERIOD:
                drawn.update(task, **line())
                shown = time.monotonic()

        yield show
        drawn.update(task, **line())


def _wanted(progress: bool | None) -> bool:
    if progress is not None and not isinstance(progress, bool):
        raise InputTypeError(f"progress is True, False or None, not {progress!r}")
    installed = find_spec("rich") is not None
    if progress and not installed:
        raise missing_extra("the progress bar", "rich", "progress")
    return installed and sys.stderr.isatty() if progress is None else progress


def _nothing() -> None:
    """Show nothing."""


def _bar() -> Any:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )


def _line(study: Study) -> dict[str, Any]:
    """Return what the bar shows."""
    info = study.info()
    limit = study.parameters["max_iter"]
    best = info["min_objective"]
    text = f"{study.name or 'study'}: best " + ("none yet" if best is None else f"{best:.6g}")
    if info["num_failed"]:
        text += f", {info['num_failed']} failed"
    if info["num_minima"]:
        text += f", {info['num_minima']} minima"
    total = None if limit == float("inf") else int(limit)
    return {"completed": info["num_evaluations"], "total": total, "description": text}
