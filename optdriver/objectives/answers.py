"""Reading what a program left behind: numbers as simulators print them, by file and pattern."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from optdriver.errors import EvaluationError, InputError, InputTypeError, unknown_option
from optdriver.messages import numbers

Result = float | list[float] | tuple[Any, Any] | dict[str, Any]

MOST: Final = 64 * 2**20
"""Bytes of an answer that are read at most."""

_BESIDE: Final = frozenset(("outputs", "uncertainty"))
"""What stands beside a value in an answer, and makes it one by name."""

_SHOWN: Final = 400
"""Characters of a file's end that go into the reason of a failure."""

_DIGITS: Final = r"(?:\d++\.?\d*+|\.\d++)"  # possessive: no time is lost on a million digits
_FLOAT: Final = re.compile(rf"([+-]?{_DIGITS})(?:[eEdDqQ]([+-]?\d+)|([+-]\d+))?")
_SPECIAL: Final = re.compile(r"[+-]?(?:nan|inf|infinity)(?:\([^)]*\))?", re.IGNORECASE)
_NAMED: Final = re.compile(r"\s*([^\s=:,;]+)\s*[=:]\s*(\S+)\s*")


def read_number(text: str) -> float:
    """Return the number that a simulator has printed.

    Taken are all forms of Python, C and Fortran: ``1.``, ``.5``, ``+1.5``, ``1e-3``, ``0.1D+01``,
    ``1.5Q0``, ``1.234-101`` (Fortran leaves the letter out where the exponent has three digits),
    ``nan``, ``NaN(0x7ff)``, ``inf``, ``-Infinity``.

    Raises
    ------
    ValueError
        For anything else.
    """
    text = text.strip()
    if _SPECIAL.fullmatch(text):
        return float(text.partition("(")[0])
    found = _FLOAT.fullmatch(text)
    if found is None:
        raise ValueError(f"{text[:60]!r} is not a number")
    return float(f"{found[1]}e{found[2] or found[3] or 0}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where something stands in what a program left behind.

    Attributes
    ----------
    file : str or None
        A file in the work directory; None is the standard output.
    pattern : str or None
        A regular expression with one group, the number; of several matches the last one counts,
        which is the final one where a simulator prints its progress.  Of a gradient every group of
        every match is a derivative.  None takes the whole file.
    """

    file: str | None = None
    pattern: str | None = None

    @classmethod
    def of(cls, given: Any, what: str) -> Place:
        """Return the place that a user described, as ``{"file": ..., "pattern": ...}``."""
        if isinstance(given, Place):
            return given
        if isinstance(given, str):
            return cls(file=given)
        if not isinstance(given, Mapping):
            raise InputTypeError(
                f"{what} is where the program leaves it, as {{'file': 'out.txt', 'pattern': "
                f"'R = (\\\\S+)'}}, not {given!r}"
            )
        for key in given:
            if key not in ("file", "pattern"):
                raise unknown_option(f"key of {what}", str(key), ("file", "pattern"))
        _check_pattern(given.get("pattern"), what)
        return cls(file=given.get("file"), pattern=given.get("pattern"))

    def text(self, workdir: Path, output: str) -> str:
        """Return what stands there; an `EvaluationError` if the program wrote no such file."""
        if self.file is None:
            return output
        return read_file(workdir / self.file)

    def name(self) -> str:
        """Return what a message calls it."""
        return "the standard output" if self.file is None else self.file


def _check_pattern(pattern: Any, what: str) -> None:
    if pattern is None:
        return
    try:
        groups = re.compile(pattern).groups
    except (re.error, TypeError) as error:
        raise InputError(f"the pattern of {what} is no regular expression: {error}") from None
    if groups != 1 and (what != "gradient" or not groups):
        needs = "one for each derivative" if what == "gradient" else "one: the number"
        raise InputError(
            f"the pattern {pattern!r} of {what} has {groups} groups in parentheses, and needs "
            f"{needs}"
        )


def read_file(path: Path) -> str:
    """Return the text of a file that a program wrote: a plain file of bounded size.

    Raises
    ------
    EvaluationError
        If there is none, or it is no plain file, or too large.
    """
    if not path.exists():
        raise EvaluationError(f"the program wrote no file {path.name}")
    if not path.is_file():
        raise EvaluationError(f"{path.name} is not a plain file")
    try:
        with path.open("rb") as file:
            data = file.read(MOST + 1)
    except OSError as error:
        raise EvaluationError(f"{path.name} cannot be read: {error}") from error
    if len(data) > MOST:
        raise EvaluationError(f"{path.name} has more than {MOST} bytes")
    return data.decode("utf-8", errors="replace")


def find_number(place: Place, workdir: Path, output: str) -> float:
    """Return the number at a place.

    Raises
    ------
    EvaluationError
        If none is found there; the end of the file is in the message.
    """
    text = place.text(workdir, output)
    if place.pattern is None:
        return _only_number(text, place)
    return _number(_matches(place.pattern, place, text)[-1], place)


def _matches(pattern: str, place: Place, text: str) -> list[Any]:
    """Return what the groups of a pattern have matched, which is at least something."""
    found = re.findall(pattern, text, re.MULTILINE)
    if not found:
        raise EvaluationError(
            f"the pattern {pattern!r} matches nothing in {place.name()}, {_tail(text)}"
        )
    return found


def _only_number(text: str, place: Place) -> float:
    """Return the number of the last line, alone or after a name."""
    line = next((line for line in reversed(text.splitlines()) if line.strip()), "")
    named = _NAMED.fullmatch(line)
    return _number(named[2] if named else line, place)


def _number(text: str, place: Place) -> float:
    try:
        return read_number(text)
    except ValueError as error:
        raise EvaluationError(f"{error} ({place.name()})") from None


def find_gradient(place: Place, workdir: Path, output: str) -> list[float] | dict[str, float]:
    """Return the derivatives at a place: a number a line in order, or ``name = number`` lines.

    With a pattern every group of every match is a derivative, in order.  Empty lines, and those
    that begin with ``#``, ``!`` or ``%``, are passed over.

    Raises
    ------
    EvaluationError
        If something else stands there, or the pattern matches nothing.
    """
    text = place.text(workdir, output)
    if place.pattern is not None:
        found = _matches(place.pattern, place, text)
        groups = [(each,) if isinstance(each, str) else each for each in found]
        return [_number(part, place) for parts in groups for part in parts]
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and line[0] not in "#!%"]
    named = [_NAMED.fullmatch(line) for line in lines]
    if lines and all(named):
        return {found[1]: _number(found[2], place) for found in named if found}
    return [_number(part, place) for line in lines for part in re.split(r"[\s,;]+", line) if part]


def _tail(text: str) -> str:
    text = text.rstrip()
    shown = text if len(text) <= _SHOWN else "..." + text[-_SHOWN:]
    return f"which ends: {shown!r}" if shown else "which is empty"


def read_answer(text: str) -> Result:
    """Return value, or value and gradient, from what a program printed last.

    That is JSON (a number, or ``{"value": .., "gradient": ..}``), a number as simulators print it,
    or such a number behind a name (``R = 0.25``).  In a fit it is
    ``{"residuals": [..], "jacobian": [[..], ..]}``, the Jacobian with a row for each residual.
    Outputs stand beside the value, ``{"value": .., "outputs": {"stress": 3.5}}``, or
    ``{"stress": {"value": 3.5, "gradient": [..]}}``, and ``"uncertainty"`` beside either.

    Raises
    ------
    EvaluationError
        For anything else.
    """
    answer = _from_json(text)
    if isinstance(answer, Mapping) and "residuals" in answer:
        return _residuals(answer)
    if isinstance(answer, Mapping) and "value" in answer and answer.keys() & _BESIDE:
        return {str(key): numbers(each) for key, each in answer.items()}
    if isinstance(answer, Mapping) and "value" in answer:
        value, gradient = answer["value"], answer.get("gradient")
    else:
        value, gradient = answer, None
    if isinstance(value, bool) or not isinstance(value, int | float):
        named = _NAMED.fullmatch(text)
        try:
            return read_number(named[2] if named else text)
        except ValueError:
            shown = text.strip() if len(text) < 200 else text[:200] + "..."
            raise EvaluationError(
                'the program should answer with a number or {"value": .., "gradient": ..} in JSON, '
                f"but gave {shown!r}"
            ) from None
    try:
        number = float(value)
    except OverflowError:
        raise EvaluationError("the value that the program gave is too large for a float") from None
    return number if gradient is None else (number, gradient)


def _residuals(answer: Mapping[str, Any]) -> Result:
    """Return residuals, or these and their Jacobian."""
    found, jacobian = numbers(answer["residuals"]), numbers(answer.get("jacobian"))
    spread = numbers(answer.get("uncertainty"))
    if not isinstance(found, list) or not found:
        raise EvaluationError(
            f'"residuals" is a list of numbers in what the program gave, not {str(found)[:60]!r}'
        )
    if spread is not None:
        return {"residuals": found, "jacobian": jacobian, "uncertainty": spread}
    return found if jacobian is None else (found, jacobian)


def _from_json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
