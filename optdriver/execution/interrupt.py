"""Ctrl-C while a study runs: the first ends it in an orderly way, the second at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Final

NOTE: Final = b"\nstopping: open evaluations are finished first; Ctrl-C again leaves at once\n"


class Interrupts:
    """Counts Ctrl-C.  The handler only takes notes: it may run in the middle of anything.

    `wake` is called at every Ctrl-C, to get the loop out of its waiting; `may_raise` tells whether
    the objective runs in the main thread at this moment, the one place that has to be left by an
    exception.
    """

    def __init__(self, wake: Callable[[], object], may_raise: Callable[[], bool]) -> None:
        self.count = 0
        self._wake = wake
        self._may_raise = may_raise

    def handle(self, _signal: int, _frame: FrameType | None) -> None:
        """Take note of a Ctrl-C."""
        self.count += 1
        self._wake()
        if self.count == 1:
            with suppress(OSError):  # without a terminal there is nobody to tell
                os.write(2, NOTE)  # unlike print, it may be called in the middle of a print
        if self.count > 1 and self._may_raise():
            raise KeyboardInterrupt

    @contextmanager
    def caught(self) -> Iterator[Interrupts]:
        """Handle Ctrl-C, if this is the main thread and nobody else handles it."""
        main = threading.current_thread() is threading.main_thread()
        if not main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
            yield self
            return
        signal.signal(signal.SIGINT, self.handle)
        try:
            yield self
        finally:
            signal.signal(signal.SIGINT, signal.default_int_handler)
