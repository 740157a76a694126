"""optdriver: minimisation that is driven, not called.

Ask for the next point, tell the result, stop, store, and go on later as if nothing had happened.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

# Public names and where they live; a name is imported when it is first used.
_WHERE = {
    "LBFGSB": "optdriver.lbfgsb",
    "MultiStart": "optdriver.multistart",
    "Observation": "optdriver.study",
    "Study": "optdriver.study",
    "SubprocessObjective": "optdriver.objectives",
    "Suggestion": "optdriver.study",
    "Space": "optdriver.space",
    "client": "optdriver.study",
    "create_study": "optdriver.study",
    "import_study": "optdriver.storage",
    "load_study": "optdriver.storage",
    "scipy_method": "optdriver.integrations.scipy_method",
    "show_config": "optdriver.config",
}

__all__ = ["__version__", *sorted(_WHERE)]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'optdriver' has no attribute {name!r}")
    value = getattr(importlib.import_module(_WHERE[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_WHERE})
