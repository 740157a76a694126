"""Which threads have to do with a study, and whether waiting for them makes sense."""

from __future__ import annotations

import threading
from typing import Final

POLL: Final = 0.5
"""Seconds after which a waiting thread looks whether the others are still alive."""


class Threads:
    """The condition on which threads wait for a change of the study, and who they are.

    Attributes
    ----------
    lock : threading.RLock
        Guards the study.
    changed : threading.Condition
        Notified, with that lock held, when somebody may go on.
    """

    __slots__ = ("_bystanders", "_partners", "_waiting", "changed", "lock")

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self._waiting: set[int] = set()
        self._partners: set[int] = set()
        self._bystanders = {thread.ident for thread in threading.enumerate() if thread.daemon}

    def note_result(self) -> None:
        """Note that the calling thread reported a result, and wake those who wait."""
        self._partners.add(threading.get_ident())
        if self._waiting:
            self.changed.notify_all()

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
        return bool(alive - self._waiting - {threading.get_ident()})

    def wait(self, seconds: float) -> bool:
        """Wait for a change, `POLL` seconds at most; False when there is no time left."""
        if seconds <= 0.0:
            return False
        me = threading.get_ident()
        self._waiting.add(me)
        try:
            self.changed.wait(min(seconds, POLL))
        finally:
            self._waiting.discard(me)
        return True
