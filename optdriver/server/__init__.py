"""A study driven from another program: one set of messages, and what carries them."""

from optdriver.server.stdio import serve_stdio
from optdriver.server.wire import Wire

__all__ = ["Wire", "serve_stdio"]
