"""Modules that have moved: what was pickled before names the places where they were."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from importlib import import_module


def stand_in(package: str, place: str, names: Iterable[str]) -> None:
    """Let modules that are in the package `place` be found in `package`, too."""
    for name in names:
        sys.modules[f"{package}.{name}"] = import_module(f"{place}.{name}")
