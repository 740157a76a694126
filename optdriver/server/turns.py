"""Everything that is asked of a study, done one thing after the other."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, Final, TypeVar

T = TypeVar("T")

BRIEF: Final = 0.01
"""Seconds for which the loop may be kept from all else."""

IN_A_ROW: Final = 20
"""After so many calls in a row that were brief the next one is believed to be."""


class Turns:
    """Lets coroutines take their turn, in a thread, so that nobody else waits for a long call.

    To get to the thread and back takes a fifth of a request.  So a call that is said to be brief,
    as those before it were, is made at once, where nothing is being done in the thread.  (An
    executor with one thread would do the same as the thread here at three times the cost: it makes
    a second future for each call, and a lock for that.)

    Parameters
    ----------
    name : str
        Of the thread.
    alone : bool
        Whether nobody is kept waiting by a call that takes long against all expectation, but those
        who wait for their turn here.
    """

    def __init__(self, name: str, *, alone: bool = False) -> None:
        self.alone = alone
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._waiting = 0  # changed in the loop only
        self._brief = 0
        threading.Thread(target=self._work, name=name, daemon=True).start()

    async def take(self, call: Callable[..., T], *arguments: Any) -> T:
        """Return what a call returns, or raise what it raises, when its turn has come."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def turn() -> None:
            result, error = None, None
            try:
                result = call(*arguments)
            except BaseException as raised:  # noqa: BLE001 - raised where it was called for
                error = raised
            with suppress(RuntimeError):  # the loop has ended, and with it who waited
                loop.call_soon_threadsafe(self._settle, future, result, error)

        self._waiting += 1
        self._queue.put(turn)
        return await future

    @property
    def at_once(self) -> bool:
        """Whether a call that is likely to be brief may be made without waiting for its turn."""
        return self.alone and self._brief >= IN_A_ROW and not self._waiting

    async def take_briefly(self, call: Callable[..., T], *arguments: Any) -> T:
        """Do the same as `take` with a call that is likely to be brief."""
        if self.at_once:
            return self.timed(call, *arguments)
        return await self.take(self.timed, call, *arguments)

    def timed(self, call: Callable[..., T], *arguments: Any) -> T:
        """Make a call, and note whether it was brief."""
        begin = time.perf_counter()
        try:
            return call(*arguments)
        finally:
            self._brief = self._brief + 1 if time.perf_counter() - begin < BRIEF else 0

    def end(self) -> None:
        """Let the thread end when all that was called for is done."""
        self._queue.put(None)

    def _work(self) -> None:
        while (turn := self._queue.get()) is not None:
            turn()

    def _settle(
        self, future: asyncio.Future[Any], result: Any, error: BaseException | None
    ) -> None:
        self._waiting -= 1
        if future.done():  # nobody waits any more
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
