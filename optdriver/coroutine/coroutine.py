"""A generator whose body may call functions that yield: any callback-style program, suspended.

`greenlet` keeps the stack of the program, C frames included, while it waits.  A greenlet belongs to
the thread that made it, so a coroutine does too (`Coroutine.here`).
"""

from __future__ import annotations

import functools
import importlib
import threading
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from optdriver.errors import MissingExtraError, ProtocolError, missing_extra

Wait = Callable[[Any], Any]
"""``wait(request) -> answer``: suspends the program until the answer is there."""

_TURN = threading.RLock()  # one program at a time: warning filters belong to the whole process
_LOCAL = threading.local()


class Coroutine:
    """A program that runs until it wants something, and goes on when it gets it.

    Parameters
    ----------
    program : callable
        ``program(wait) -> result``; it calls ``wait(request)`` wherever it likes, from callbacks
        of compiled code too.

    Notes
    -----
    As for a generator, ``send(None)`` starts it, `send` returns its next request, and the end is
    `StopIteration` with the result.  The program sees no warning filters, and no floating-point
    error handling, but its own (nothing is reported): where it is suspended inside of
    ``catch_warnings``, what its host does in between is not touched, and what the host does never
    changes where the program goes.
    """

    def __init__(self, program: Callable[[Wait], Any]) -> None:
        self._end: list[Any] = []
        # The waiting program must not refer to this object, or neither would ever be freed.
        self._greenlet: Any = _greenlet()(functools.partial(_run, program, self._end))
        self._thread = this_thread()
        self._filters: Any = [("ignore", None, Warning, None, 0)]

    @property
    def here(self) -> bool:
        """Whether this thread is the one that can go on with it."""
        return self._thread is this_thread()

    @property
    def done(self) -> bool:
        """Whether the program has ended."""
        return bool(self._greenlet.dead)

    def send(self, answer: Any) -> Any:
        """Give the program its answer (None at first); return its next request.

        Raises
        ------
        StopIteration
            The program has ended; `value` is what it returned.
        ProtocolError
            This is another thread than the one that made the coroutine, or the program runs now.
        Exception
            Whatever the program raised.
        """
        return self._switch(self._greenlet.switch, answer)

    def throw(self, error: BaseException) -> Any:
        """Raise `error` where the program waits; return its next request, as `send` does."""
        return self._switch(self._greenlet.throw, error)

    def close(self) -> None:
        """End the program where it waits.  In another thread it is only let go."""
        if not self.done and self.here:
            self._greenlet.throw()

    def _switch(self, switch: Callable[[Any], Any], argument: Any) -> Any:
        if not self.here:
            raise ProtocolError("a coroutine goes on in the thread that made it, and in no other")
        if self.done:
            raise StopIteration(None)
        current = _current()
        if current is self._greenlet:
            raise ProtocolError("a coroutine cannot go on from inside of itself")
        with _TURN, np.errstate(all="ignore"):
            self._greenlet.parent = current
            host = _warning_state()
            warnings.filters = self._filters
            try:
                request = switch(argument)
            finally:
                self._filters = warnings.filters
                _set_warning_state(host)
        if self._greenlet.dead:
            raise StopIteration(*self._end)
        return request


def _run(program: Callable[[Wait], Any], end: list[Any], _first: Any) -> None:
    with np.errstate(all="ignore"):
        end.append(program(_wait))


def _wait(request: Any) -> Any:
    return _current().parent.switch(request)


def this_thread() -> object:
    """Return what stands for this thread; its number would be used again by a later one."""
    if not hasattr(_LOCAL, "token"):
        _LOCAL.token = object()
    return _LOCAL.token


def _greenlet() -> Any:
    try:
        greenlet = importlib.import_module("greenlet")
    except ImportError:
        raise missing() from None
    return greenlet.greenlet


def _current() -> Any:
    greenlet: Any = importlib.import_module("greenlet")
    return greenlet.getcurrent()


def missing() -> MissingExtraError:
    """Build the error for an environment without greenlet."""
    return missing_extra("suspending a callback-style method", "greenlet", "methods")


# What `warnings.catch_warnings` saves and puts back; it must not be put back into another place.
_SAVED = ("filters", "showwarning", "_showwarnmsg_impl")


def _warning_state() -> list[Any]:
    return [getattr(warnings, name, None) for name in _SAVED]


def _set_warning_state(state: list[Any]) -> None:
    for name, value in zip(_SAVED, state, strict=True):
        setattr(warnings, name, value)
