"""A study driven from other programs: one set of messages, and what carries them."""

from optdriver.server.serving import background, serve
from optdriver.server.stdio import serve_stdio
from optdriver.server.wire import Wire

__all__ = ["Wire", "background", "serve", "serve_stdio"]
