"""The messages on standard input and output: JSON-RPC 2.0, one object a line, no network."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, BinaryIO, Final

from optdriver.errors import InputError, OptDriverError
from optdriver.messages import encoded
from optdriver.server.wire import Wire
from optdriver.study import Study

LONGEST: Final = 16 * 2**20
"""Bytes of a line; a longer one is refused, and passed over."""

_PARSE, _REQUEST, _PARAMS, _OURS = -32700, -32600, -32602, -32000
"""Codes of JSON-RPC 2.0: no JSON, no request, wrong parameters, an error of the study."""


def serve_stdio(study: Study, lines: BinaryIO, out: BinaryIO) -> None:
    """Answer requests until the input ends.

    Each line is ``{"jsonrpc": "2.0", "id": 1, "method": "ask", "params": {"n": 2}}``; the answer
    has the same ``id`` and a ``result`` or an ``error``.  One without an ``id`` is not answered.

    Parameters
    ----------
    study : Study
    lines, out : binary files
        Requests, and where answers go.
    """
    wire = Wire(study)
    while line := lines.readline(LONGEST + 1):
        if len(line) > LONGEST:
            _skip(lines, line)
            answer: dict[str, Any] | None = _error(
                None, _REQUEST, f"a line has at most {LONGEST} bytes"
            )
        elif not line.strip():
            continue
        else:
            answer = respond(wire.found, line)
        if answer is not None:
            out.write(encoded(answer) + b"\n")
            out.flush()


def _skip(lines: BinaryIO, line: bytes) -> None:
    while line and not line.endswith(b"\n"):
        line = lines.readline(LONGEST)


def respond(answer: Callable[[Any, Any], dict[str, Any]], line: bytes) -> dict[str, Any] | None:
    """Return the answer to one line, None if none is wanted."""
    try:
        request = json.loads(line)
    except (ValueError, RecursionError) as error:
        return _error(None, _PARSE, f"this is no JSON: {error}")
    if not isinstance(request, dict) or not isinstance(request.get("method"), str):
        return _error(None, _REQUEST, 'a request is {"id": .., "method": "..", "params": {..}}')
    id = request.get("id")
    try:
        result = answer(request["method"], request.get("params", {}))
    except InputError as error:
        found = _error(id, _PARAMS, str(error), type(error).__name__)
    except OptDriverError as error:
        found = _error(id, _OURS, str(error), type(error).__name__)
    else:
        found = {"jsonrpc": "2.0", "id": id, "result": result}
    return found if "id" in request else None


def _error(id: Any, code: int, message: str, kind: str | None = None) -> dict[str, Any]:
    error: dict[str, Any] = {"code": code, "message": message}
    if kind is not None:
        error["data"] = {"type": kind}
    return {"jsonrpc": "2.0", "id": id, "error": error}
