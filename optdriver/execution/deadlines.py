"""When an evaluation has taken too long."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any, Final

from optdriver.errors import InputError
from optdriver.study.waiting import check_timeout

Clock = Callable[[], float]

monotonic: Clock = time.monotonic
"""Seconds of a clock that never goes back."""

LOOK: Final = 0.2
"""Seconds after which it is looked again, at most, which evaluations have begun."""


class Deadlines:
    """The time limit of each evaluation, counted from where it begins.

    Parameters
    ----------
    timeout : float or None
        Seconds that an evaluation may take; None or infinite where it may take any time.
    """

    def __init__(self, timeout: float | None) -> None:
        self.timeout = math.inf if timeout is None else check_timeout(timeout)
        if not self.timeout > 0.0:
            raise InputError(f"timeout must be more than 0 seconds, not {timeout!r}")
        self._since: dict[Future[Any], float] = {}

    @property
    def limited(self) -> bool:
        """Whether there is a limit."""
        return self.timeout < math.inf

    def overdue(
        self, out: Iterable[Future[Any]], has_begun: Callable[[Future[Any]], bool]
    ) -> list[Future[Any]]:
        """Return those of the evaluations that are out whose time is over.

        It counts from when `has_begun` first says so of a call.
        """
        if not self.limited:
            return []
        now, since = monotonic(), self._since
        self._since = {
            future: since.get(future, now)
            for future in out
            if not future.done() and (future in since or has_begun(future))
        }
        return [future for future, begun in self._since.items() if now - begun >= self.timeout]

    def wait(self) -> float:
        """Return the seconds until it has to be looked again."""
        since = self._since  # another thread may look at the same time
        if not since:
            return LOOK
        left = min(since.values()) + self.timeout - monotonic()
        return min(max(left, 0.0), LOOK)


class Durations:
    """How long evaluations take: those that are out, and the longest one of those that ended."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._since: dict[Future[Any], float] = {}

    def begin(self, future: Future[Any]) -> None:
        """Take note of an evaluation that is sent out."""
        self._since[future] = monotonic()

    def end(self, future: Future[Any]) -> None:
        """Take note of an evaluation that has ended."""
        since = self._since.pop(future, None)
        if since is not None:
            self.longest = max(self.longest, monotonic() - since)

    def late(self, out: Iterable[Future[Any]]) -> list[Future[Any]]:
        """Return those of the evaluations that are out which take longer than any other took."""
        now = monotonic()
        self._since = {future: self._since.get(future, now) for future in out}
        return [f for f, since in self._since.items() if now - since >= self.longest]

    def shortest(self, out: Iterable[Future[Any]]) -> float:
        """Return since when the last one of the evaluations that are out is; 0 without any."""
        now = monotonic()
        return min((now - self._since.get(future, now) for future in out), default=0.0)
