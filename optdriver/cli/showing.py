"""A study in words: tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from types import MappingProxyType
from typing import Any, Final

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from optdriver.cli.summary import failures
from optdriver.study import Study
from optdriver.study.kinds import MAXIMUM, MINIMUM
from optdriver.study.tables import flat

MOST_ROWS: Final = 12
"""Rows of a table that are shown; how many more there are is said."""

NO_UNITS: Final[Mapping[str, str]] = MappingProxyType({})

MOST_COLUMNS: Final = 6
"""Parameters that stand side by side; more of them stand in lines."""


def number(value: Any) -> str:
    """Return a number as a person reads it."""
    if isinstance(value, float):
        return f"{value:.8g}"
    return "" if value is None else str(value)


def screen(study: Study, units: Mapping[str, str] = NO_UNITS) -> RenderableType:
    """Return everything that `show` shows; `units` are those of parameters, by name."""
    info = study.info()
    parts: list[RenderableType] = [_head(info), _best(study, units)]
    more = (_minima(study, units), _runs(study), _failures(study))
    parts += [part for part in more if part is not None]
    return Group(*parts)


def _labels(names: Iterable[str], units: Mapping[str, str]) -> list[str]:
    return [f"{name} ({units[name]})" if name in units else name for name in names]


def _head(info: dict[str, Any]) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    state = info["status"] + (f": {info['stop_reason']}" if info["stop_reason"] else "")
    if info["status"] == "idle":
        state += ": no process has it open; the command that ran it goes on"
    table.add_row("study", Text(info["name"] or "(no name)", style="bold"))
    table.add_row("state", state)
    table.add_row("success", "yes" if info["success"] else "not yet")
    table.add_row(
        "evaluations",
        f"{info['num_evaluations']} ended, {info['num_failed']} of them failed, "
        f"{info['num_open']} open"
        + (f"; {info['num_former']} of former objectives" if info["num_former"] else ""),
    )
    table.add_row("minimizers", f"{info['num_minimizers']}, {info['num_minima']} minima")
    table.add_row("run time", f"{info['elapsed']:.1f} s")
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _best(study: Study, units: Mapping[str, str]) -> RenderableType:
    best = study.best
    if best is None:
        return Text("\nnothing was observed yet")
    params = flat(best.params)
    if len(params) > MOST_COLUMNS:
        table = _table(f"best: {number(best.value)}", "parameter", "value")
        labels = _labels(params, units)
        for name, value in islice(zip(labels, params.values(), strict=True), 3 * MOST_ROWS):
            table.add_row(name, number(value))
        return _with_rest(table, len(params), 3 * MOST_ROWS)
    table = _table("best", "value", *_labels(params, units))
    table.add_row(number(best.value), *(number(value) for value in params.values()))
    return table


def _minima(study: Study, units: Mapping[str, str]) -> RenderableType | None:
    rows = study.minima
    if not rows:
        return None
    names = list(flat(rows[0].params))[:MOST_COLUMNS]
    dots = ["..."] if len(flat(rows[0].params)) > MOST_COLUMNS else []
    sort, plain = ("minima", MINIMUM) if study.spec.sign > 0.0 else ("maxima", MAXIMUM)
    table = _table(sort, "value", "found", *_labels(names, units), *dots)
    for row in rows[:MOST_ROWS]:
        values = flat(row.params)
        cells = (number(values[name]) for name in names)
        found = f"{row.times_found}x" if row.kind == plain else f"{row.times_found}x, {row.kind}"
        table.add_row(number(row.value), found, *cells, *dots)
    return _with_rest(table, len(rows))


def _runs(study: Study) -> RenderableType | None:
    rows = study.runs
    if not rows:
        return None
    table = _table("minimizers", "", "state", "evaluations", "failed", "value", "reason")
    for row in rows[-MOST_ROWS:]:
        cells = (row.index, row.state, row.evaluations, row.failures, row.value, row.reason)
        table.add_row(*(number(cell) for cell in cells))
    return _with_rest(table, len(rows))


def _failures(study: Study) -> RenderableType | None:
    rows = failures(study)
    if not rows:
        return None
    table = _table("failures", "times", "reason")
    for reason, times in list(rows.items())[:MOST_ROWS]:
        table.add_row(str(times), reason)
    return _with_rest(table, len(rows))


def _with_rest(table: Table, number_of_rows: int, shown: int = MOST_ROWS) -> RenderableType:
    more = number_of_rows - shown
    return Group(table, Text(f"and {more} more", style="dim")) if more > 0 else table
