"""Rows that are shown as a table: in a terminal as lines, in a notebook as HTML."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar, overload

import numpy as np

from optdriver.space.units import number_of

Row = TypeVar("Row", covariant=True)

_MOST_ROWS: Final = 30
"""Rows of a table that are shown; how many more there are is said."""

_MOST_COLUMNS: Final = 12
_WIDTH: Final = 48
"""Characters of a cell."""


class Rows(Sequence[Row]):
    """Records of one kind, which cannot be changed, and are shown as a table.

    Parameters
    ----------
    items : iterable
        The records, or what `make` makes them of.
    make : callable, optional
        By which a record is made when it is looked at; of thousands only a few may be.
    """

    __slots__ = ("_items", "_make")

    def __init__(self, items: Iterable[Any] = (), make: Callable[[Any], Row] | None = None) -> None:
        self._items, self._make = tuple(items), make

    def __len__(self) -> int:
        return len(self._items)

    @overload
    def __getitem__(self, index: int) -> Row: ...

    @overload
    def __getitem__(self, index: slice) -> Rows[Row]: ...

    def __getitem__(self, index: int | slice) -> Row | Rows[Row]:
        if isinstance(index, slice):
            return Rows(self._items[index], self._make)
        item: Row = self._items[index]
        return item if self._make is None else self._make(item)

    def __iter__(self) -> Iterator[Row]:
        return iter(self._items) if self._make is None else map(self._make, self._items)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, (Rows, tuple)):
            return NotImplemented
        return tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment]  # rows hold dicts

    def __reduce__(self) -> tuple[Any, ...]:
        return Rows, (tuple(self),)

    def __repr__(self) -> str:
        """Return the table as aligned lines."""
        if not self:
            return "()"
        head, body = _cells(self)
        widths = [max(map(len, column)) for column in zip(head, *body, strict=True)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in (head, *body)
        ]
        return "\n".join([*lines, *_rest(self)])

    def _repr_html_(self) -> str:
        """Return the table as a notebook shows it."""
        if not self:
            return "<p>no rows</p>"
        head, body = _cells(self)
        rows = ["".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in body]
        return (
            "<table><thead><tr>"
            + "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
            + "</tr></thead><tbody>"
            + "".join(f"<tr>{row}</tr>" for row in rows)
            + "</tbody></table>"
            + "".join(f"<p>{html.escape(line)}</p>" for line in _rest(self))
        )


def _rest(rows: Rows[Any]) -> list[str]:
    more = len(rows) - _MOST_ROWS
    return [f"... and {more} more"] if more > 0 else []


def _cells(rows: Rows[Any]) -> tuple[list[str], list[list[str]]]:
    """Return the names of the columns, and the texts of the rows that are shown."""
    names = [name for name in type(rows[0]).shown if name != "params"]
    shown = rows[:_MOST_ROWS]
    params = [flat(getattr(row, "params", None)) for row in shown]
    parameters = max((list(values) for values in params), key=len)
    parts = parameters[: max(_MOST_COLUMNS - len(names), 1)]
    dots = ["..."] if len(parts) < len(parameters) else []
    body = [
        [_text(getattr(row, name)) for name in names]
        + [_text(values.get(part)) for part in parts]
        + dots
        for row, values in zip(shown, params, strict=True)
    ]
    return [*names, *parts, *dots], body


def flat(params: Any) -> dict[str, Any]:
    """Return parameters by names such as ``layer.w[0, 1]``, whatever containers they are in."""
    return dict(leaves(params))


def leaves(params: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the names and values of `flat`, one after the other."""
    if params is None:
        return
    if isinstance(params, Mapping):
        inner = [(f"{path}.{key}" if path else str(key), each) for key, each in params.items()]
    elif isinstance(params, list | tuple):
        fields = getattr(params, "_fields", range(len(params)))
        keys = [f".{key}" if isinstance(key, str) else f"[{key}]" for key in fields]
        paths = [(path + key).removeprefix(".") for key in keys]
        inner = list(zip(paths, params, strict=True))
    elif np.ndim(number_of(params)):
        array = np.asarray(number_of(params))
        for i in np.ndindex(array.shape):
            yield f"{path}[{', '.join(map(str, i))}]", array[i].item()
        return
    else:
        yield path or "x", params
        return
    for key, each in inner:
        yield from leaves(each, key)


def _text(value: Any) -> str:
    if value is None:
        return "-"
    text = f"{value:.7g}" if isinstance(value, float) else str(value)
    text = " ".join(text.split())
    return text if len(text) <= _WIDTH else text[: _WIDTH - 3] + "..."
