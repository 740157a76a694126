"""The space of a problem: names, nested parameters, units, scales, boxes, and where starts are."""

from __future__ import annotations

from importlib import import_module
from typing import Any

PICKLED = ("Space", "Parameter", "_with_structure")
"""What was pickled when all of it was one module."""


def __getattr__(name: str) -> Any:
    if name not in PICKLED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("optdriver.space.space"), name)
