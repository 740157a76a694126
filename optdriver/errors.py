"""Every error and warning a user can meet, and how one is said.

All of them derive from `OptDriverError`.  Errors about what was given also derive from
`ValueError` (or `TypeError`), and errors about when a call was made also derive from
`RuntimeError`, so that code written against the standard classes keeps working.
"""

from __future__ import annotations

import difflib
import inspect
import warnings
from collections.abc import Callable, Iterable, Mapping


class OptDriverError(Exception):
    """Base class of all errors raised on purpose by optdriver."""


class InputError(OptDriverError, ValueError):
    """A value that was given cannot be used; the message says what was expected."""


class InputTypeError(InputError, TypeError):
    """A value of the wrong kind was given; the message says which kind is expected."""


class UnknownOptionError(InputError, TypeError):
    """An option, parameter or name that does not exist; the message proposes the nearest one."""


class GradientError(InputError):
    """A supplied gradient disagrees with finite differences; the message names the parameter."""


class ConstraintError(InputError):
    """A constraint that cannot be used; where a text is at fault a caret points at the place.

    Attributes
    ----------
    position : int or None
        Where in the text the fault lies, counted in characters from 0.
    """

    position: int | None = None


class ConstraintWarning(UserWarning):
    """A constraint that works, but perhaps not as its author thinks."""


class ObjectiveWarning(UserWarning):
    """An objective that works, but perhaps not as its author thinks."""


class InternalWarning(RuntimeWarning):
    """An exception inside of optdriver ended a minimizer: a fault in optdriver, please report it.

    The study goes on without that minimizer, whose row in `runs` has the exception's text.
    """


class StudyDoneWarning(UserWarning):
    """A call that would go on with a study that is done; it says why, and what to raise."""


class ProtocolError(OptDriverError, RuntimeError):
    """A call that the present state does not allow; the message names the call and the state."""


class StudyDoneError(ProtocolError):
    """A suggestion was wanted from a study that is done; the message says why it is."""


class UnknownIdError(OptDriverError, KeyError):
    """An id that was never handed out."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class EvaluationError(OptDriverError, RuntimeError):
    """An evaluation gave no value; in a study it counts as a failed one."""


class StorageError(OptDriverError, OSError):
    """A file of a study cannot be used, or cannot be written any more; the message says why."""


class StorageWarning(UserWarning):
    """A study that was opened without evaluations that had been told: the message says which."""


class StudyInUseError(StorageError):
    """Another process (or another object of this one) writes to the study; the message says who."""


class UnknownStudyError(InputError):
    """There is no study of this name on a server; the message says which there are."""


class ServerError(OptDriverError, ConnectionError):
    """A server of studies does not answer, or answers what is no answer; nothing is lost there."""


class MissingExtraError(OptDriverError, ImportError):
    """A feature needs an optional dependency; the message names the extra that brings it."""


_INSIDE = ("optdriver", "contextlib", "functools", "scipy")
"""Packages between a user's line and what is said about it; SciPy's, where it calls a method."""


def say(message: str, kind: type[Warning] = ObjectiveWarning) -> None:
    """Warn, at the line outside of this package that led here."""
    frame, depth = inspect.currentframe(), 1
    while frame and frame.f_globals.get("__name__", "").partition(".")[0] in _INSIDE:
        frame, depth = frame.f_back, depth + 1
    warnings.warn(message, kind, stacklevel=depth)


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``" (did you mean 'x'?)"`` for the known name nearest to `name`, or ``""``."""
    names = {plain_name(each): each for each in reversed(list(known))}  # the first of equals
    found = difflib.get_close_matches(plain_name(str(name)), list(names), n=1, cutoff=0.5)
    return f" (did you mean {names[found[0]]!r}?)" if found else ""


def plain_name(name: str) -> str:
    """Return a name as names are compared: without case, hyphens, underscores and spaces."""
    return "".join(part for part in name.casefold() if part not in "-_ ")


def unknown_option(
    kind: str, name: str, known: Iterable[str], hint: str = ""
) -> UnknownOptionError:
    """Build the error for an unknown `kind` (``"option"``, ``"parameter"``, ...) called `name`.

    `hint` says what is called otherwise here; without it the nearest known name is proposed.
    """
    names = sorted(known)
    said = f": {hint}" if hint else nearest(name, names)
    return UnknownOptionError(f"unknown {kind} {name!r}{said}; known: {', '.join(names)}")


def hints(meant: Mapping[str, Iterable[str]]) -> Callable[[str], str]:
    """Return what says of an argument of another package what it is called here, or nothing.

    `meant` has the names elsewhere under what is said of them.
    """
    known = {plain_name(name): said for said, names in meant.items() for name in names}
    return lambda name: known.get(plain_name(name), "")


def missing_extra(feature: str, module: str, extra: str) -> MissingExtraError:
    """Build the error for a `feature` whose optional `module` is not installed."""
    return MissingExtraError(
        f"{feature} needs {module!r}, which is not installed: pip install 'optdriver[{extra}]'"
    )
