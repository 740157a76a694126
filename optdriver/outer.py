"""What outer rings do for inner ones: a study that is told to run does not import what runs it.

The package itself knows all rings and says where these functions are (`optdriver/__init__.py`).
They are imported when they are first called.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

_WHERE: dict[str, str] = {}


def bind(where: Mapping[str, str]) -> None:
    """Say in which modules functions are, by their names."""
    _WHERE.update(where)


def function(name: str) -> Any:
    """Return a function of an outer ring."""
    return getattr(import_module(_WHERE[name]), name)


def call(name: str, *args: Any, **keywords: Any) -> Any:
    """Call it."""
    return function(name)(*args, **keywords)
