"""Text of a constraint -> tokens, each with its place; nothing else is let through."""

from __future__ import annotations

import math
import re
import unicodedata
from typing import NamedTuple

from optdriver.errors import ConstraintError, InputTypeError

MAX_LENGTH = 40_000
"""Longest text of one constraint, in characters."""

_TOKEN = re.compile(
    r"(?P<space>[ \t\r\n]+)"
    r"|(?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<name>[^\W\d]\w*)"
    r"|(?P<operator>\*\*|<=|>=|==|[-+*/^(),<>])"
)
_INSTEAD = {
    "=": "'=='",
    "!": "'<=', '>=' or '=='",
    "−": "'-'",
    "–": "'-'",
    "×": "'*'",
    "·": "'*'",
    "÷": "'/'",
    "≤": "'<='",
    "≥": "'>='",
    "√": "'sqrt'",
    "²": "'^2'",
    "³": "'^3'",
    "[": "'(', and the name of one parameter: there is no indexing",
    "{": "'('",
}
_WINDOW = 60


class Token(NamedTuple):
    """A piece of the text: its kind (``number``, ``name``, ``operator``, ``end``) and place."""

    kind: str
    text: str
    start: int


def pointed(text: str, start: int, message: str, length: int = 1) -> ConstraintError:
    """Build the error `message` with the text below it and a caret under place `start`."""
    start = min(max(start, 0), len(text))
    first = max(0, start - _WINDOW // 2)
    last = min(len(text), first + _WINDOW)
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[first:last])
    before, after = "... " if first else "", " ..." if last < len(text) else ""
    carets = "^" * max(1, min(length, last - start))
    indent = " " * (len(before) + start - first)
    error = ConstraintError(f"{message}\n    {before}{shown}{after}\n    {indent}{carets}")
    error.position = start
    return error


def tokenize(text: str) -> list[Token]:
    """Cut `text` into tokens, the last of which is the ``end``.

    Raises
    ------
    ConstraintError
        For a text that is too long, or a character that has no place in a constraint.
    """
    if not isinstance(text, str):
        raise InputTypeError(f"a constraint is a text such as 'x1 + x2 <= 1', not {text!r}")
    if len(text) > MAX_LENGTH:
        raise pointed(
            text,
            MAX_LENGTH,
            f"the constraint has {len(text)} characters and at most {MAX_LENGTH} are allowed;"
            " split it into several",
        )
    tokens, place = [], 0
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None:
            raise _stray(text, place)
        if found.lastgroup == "number":
            _check_number(text, found)
        if found.lastgroup != "space":
            tokens.append(Token(str(found.lastgroup), found.group(), place))
        place = found.end()
    tokens.append(Token("end", "", len(text)))
    return tokens


def _check_number(text: str, found: re.Match[str]) -> None:
    digits, start, end = found.group(), found.start(), found.end()
    if not math.isfinite(float(digits)):
        raise pointed(text, start, "this number is too large for a float", len(digits))
    if end < len(text) and (text[end].isalnum() or text[end] == "_"):
        rest = re.match(r"\w*", text[end:])
        tail = rest.group() if rest is not None else ""
        raise pointed(
            text, end, f"{digits!r} is followed by {tail[:20]!r}: write {digits[:20]}*{tail[:20]}"
        )


def _stray(text: str, place: int) -> ConstraintError:
    character = text[place]
    called = unicodedata.name(character, "a control character")
    instead = _INSTEAD.get(character)
    hint = f"; write {instead}" if instead else ""
    return pointed(
        text, place, f"{character!r} (U+{ord(character):04X}, {called}) has no meaning here{hint}"
    )
