"""A study driven from other programs: one set of messages, and what carries them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # a carrier is imported when it is first used: the loop of events takes its time
    from optdriver.server.serving import background as background
    from optdriver.server.serving import serve as serve
    from optdriver.server.stdio import serve_stdio as serve_stdio
    from optdriver.server.wire import Wire as Wire

_WHERE = {
    "Wire": "optdriver.server.wire",
    "background": "optdriver.server.serving",
    "serve": "optdriver.server.serving",
    "serve_stdio": "optdriver.server.stdio",
}

__all__ = ["Wire", "background", "serve", "serve_stdio"]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'optdriver.server' has no attribute {name!r}")
    return getattr(importlib.import_module(_WHERE[name]), name)
