"""The page: one file, which may load nothing and run nothing but what stands in it."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from importlib.resources import files
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

FILE: Final = "page.htm"


@cache
def text() -> str:
    """Return the page as it stands in the package."""
    return files(__package__).joinpath(FILE).read_text(encoding="utf-8")


@cache
def policy() -> str:
    """Return the content security policy: the page's own script and styles by their hashes."""
    script, style = (_hash(_inside(tag)) for tag in ("script", "style"))
    return (
        f"default-src 'none'; script-src {script}; style-src {style}; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _inside(tag: str) -> str:
    found = re.search(rf"<{tag}>(.*?)</{tag}>", text(), re.DOTALL)
    return found[1] if found else ""


def _hash(inside: str) -> str:
    digest = hashlib.sha256(inside.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


async def answer(_request: Request) -> Response:
    """Return the page; it asks for all that is a study's itself."""
    return Response(text(), media_type="text/html", headers={"content-security-policy": policy()})
