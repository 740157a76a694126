"""The requests as OpenAPI describes them: made from the signatures that answer them."""

from __future__ import annotations

import inspect
from typing import Any, Final

from optdriver.messages import VERSION
from optdriver.server.wire import ASKING, READING, REQUESTS, Wire

_TYPES: Final[dict[str, dict[str, Any]]] = {
    "int": {"type": "integer"},
    "bool": {"type": "boolean"},
    "str": {"type": "string"},
    "str | None": {"type": ["string", "null"]},
    "float | None": {"type": ["number", "null"]},
    "Any": {},
}

_WAIT: Final[dict[str, Any]] = {"wait": {"type": "number"}}
"""What the carrier answers itself: how long to wait for a suggestion."""


def openapi() -> dict[str, Any]:
    """Return the description in the form of OpenAPI 3.1."""
    answer = {"200": {"description": "an object"}, "default": {"description": "an error"}}
    name = {"name": "study", "in": "path", "required": True, "schema": {"type": "string"}}
    paths: dict[str, Any] = {
        "/studies": {"get": {"summary": "The studies that are served.", "responses": answer}}
    }
    for request in REQUESTS:
        summary, schema = described(request)
        body = {"content": {"application/json": {"schema": schema}}}
        entry: dict[str, Any] = {
            "post": {"summary": summary, "requestBody": body, "responses": answer}
        }
        if request in READING:
            entry["get"] = {"summary": summary, "responses": answer}
        paths[f"/studies/{{study}}/{request}"] = {"parameters": [name], **entry}
    return {
        "openapi": "3.1.0",
        "info": {"title": "optdriver", "version": str(VERSION)},
        "paths": paths,
    }


def described(request: str) -> tuple[str, dict[str, Any]]:
    """Return what a request does, and the schema of its parameters."""
    method = getattr(Wire, f"_{request}")
    parameters = list(inspect.signature(method).parameters.values())[1:]
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {each.name: _TYPES[str(each.annotation)] for each in parameters}
        | (_WAIT if request in ASKING else {}),
        "additionalProperties": False,
    }
    needed = [each.name for each in parameters if each.default is each.empty]
    if needed:
        schema["required"] = needed
    return inspect.cleandoc(method.__doc__ or ""), schema
