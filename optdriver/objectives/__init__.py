"""Where values come from: losses, structured or with JAX, other programs, and differences."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # whoever takes differences alone needs neither
    from optdriver.objectives.subprocess import SubprocessObjective as SubprocessObjective
    from optdriver.space.pytree import Interval as Interval

_WHERE = {
    "Interval": "optdriver.space.pytree",
    "SubprocessObjective": "optdriver.objectives.subprocess",
}

__all__ = ["Interval", "SubprocessObjective"]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'optdriver.objectives' has no attribute {name!r}")
    return getattr(importlib.import_module(_WHERE[name]), name)
