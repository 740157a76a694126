"""Which threads have to do with a study, and whether waiting for them makes sense."""

from __future__ import annotations

import math
import threading
import time
from contextlib import suppress
from numbers import Integral, Real
from queue import Empty, SimpleQueue
from typing import Any, Final

from optdriver.errors import InputTypeError, ProtocolError, say
from optdriver.study.state import State

POLL: Final = 0.5
"""Seconds after which a waiting thread looks whether the others are still alive."""


SPINS: Final = 10_000
SPIN_SECONDS: Final = 10.0
"""Asking so often in vain, within so many seconds, is a loop that gets nowhere."""

Change = SimpleQueue[None]


class Threads:
    """The threads that wait for a change of the study, and who they are.

    Waiting is one call of a queue, which an interrupt cannot leave half done, as it can a
    condition's.

    Attributes
    ----------
    lock : threading.RLock
        Guards the study.
    """

    __slots__ = ("_bystanders", "_partners", "_vain", "_vain_since", "_waiting", "lock")

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._waiting: dict[int, Change] = {}
        self._partners: set[int] = set()
        self._vain, self._vain_since = 0, 0.0
        self._bystanders = {thread.ident for thread in threading.enumerate() if thread.daemon}

    def note_result(self) -> None:
        """Note that the calling thread reported a result, and wake those who wait."""
        self._partners.add(threading.get_ident())
        self._vain = 0
        if self._waiting:
            self.wake()

    def note_asked(self, count: int, state: State) -> None:
        """Note how many points were handed out, and warn of a loop that gets nowhere.

        That is one that asks and asks while all is handed out, and nobody is there to report a
        result: it is told once, and again after a result.
        """
        if count or not len(state.out) or state.stop is not None:
            self._vain = 0
            return
        self._vain += 1
        if self._vain == 1:
            self._vain_since = time.monotonic()
        if self._vain != SPINS or self.someone_else_could_report():
            return
        if time.monotonic() - self._vain_since < SPIN_SECONDS:
            say(
                f"asked {SPINS} times in a row without a result being reported, while "
                f"{len(state.open)} suggestions are open (ids {list(state.open)[:8]}); if they "
                "were lost, give them back with release_all(), and they come again",
                RuntimeWarning,
            )

    def check_not_alone(self, state: State) -> None:
        """Raise unless some other live thread could report a result."""
        if state.open and self.someone_else_could_report():
            return
        raise ProtocolError(
            f"get_suggestion would wait for ever: {len(state.open)} suggestions are open "
            f"(ids {list(state.open)[:8]}, num_parallel = {state.parameters['num_parallel']}), and "
            "no other thread is there to report one; report or clear them first, or raise "
            "num_parallel"
        )

    def wake(self) -> None:
        """Let those who wait look again."""
        for change in list(self._waiting.values()):
            change.put(None)

    def someone_else_could_report(self) -> bool:
        """Return whether another live thread might report a result.

        Threads that wait for a suggestion themselves do not count, nor do daemon threads that were
        there before the study (those of a notebook, say) and never reported to it.
        """
        alive = {
            thread.ident
            for thread in threading.enumerate()
            if thread.ident in self._partners
            or not (thread.daemon and thread.ident in self._bystanders)
        }
        return bool(alive - self._waiting.keys() - {threading.get_ident()})

    def begin_waiting(self) -> None:
        """Count the calling thread, which has the lock, among those that wait."""
        self._waiting[threading.get_ident()] = Change()

    def wait(self, seconds: float) -> bool:
        """Wait for a change since `begin_waiting`, `POLL` seconds at most; False: no time left."""
        change = self._waiting[threading.get_ident()]
        with suppress(Empty):
            change.get(timeout=min(max(seconds, 0.0), POLL))
        self.end_waiting()
        return seconds > 0.0

    def end_waiting(self) -> None:
        """Count the calling thread among the others again."""
        self._waiting.pop(threading.get_ident(), None)


def check_number_wanted(n: Any) -> None:
    """Refuse what is no number of suggestions."""
    if isinstance(n, bool) or not isinstance(n, Integral) or n < 0:
        raise InputTypeError(f"ask(n) takes a number of suggestions, not {n!r}")


def check_timeout(timeout: Any) -> float:
    """Return a time limit in seconds."""
    if isinstance(timeout, bool) or not isinstance(timeout, Real) or math.isnan(timeout):
        raise InputTypeError(f"timeout is a number of seconds, or None, not {timeout!r}")
    return float(timeout)
