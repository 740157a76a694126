"""Leases of suggestions: who evaluates what, since when, and until when that is believed."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import Any, Final

from optdriver.errors import InputError, InputTypeError, UnknownIdError
from optdriver.study import Study

PATIENCE: Final = 60.0
"""Seconds after which what was open at the start, and was not heard of, is handed out again."""

_SHOWN: Final = 5
"""Most workers that a message names."""

_UNKNOWN: Final = "asked before the server was started"


@dataclass(slots=True)
class Lease:
    """One suggestion that is out: times are those of the clock, `seconds` how long it lasts."""

    since: float
    due: float
    seconds: float
    worker: str
    ours: bool = True


def seconds(name: str, value: Any, most: float = math.inf) -> float:
    """Return a time that came as JSON."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputTypeError(f"{name!r} is a number of seconds, not {str(value)[:60]!r}")
    if not 0.0 < value <= most:
        limit = "" if most == math.inf else f", at most {most:g}"
        raise InputError(f"{name!r} is a positive number of seconds{limit}, not {str(value)[:60]}")
    return float(value) if value < 1e300 else math.inf  # whole numbers have no end


class Leases:
    """The leases of one study.  What a dead worker had is evaluated again.

    They are the server's, and hold by its clock: a study knows `lease_seconds` only, one time for
    all, and in run time.  The thread of the study changes them; any thread may ask for `due`.

    Parameters
    ----------
    study : Study
        What is open there was asked before; it is given back after `patience` seconds without a
        heartbeat, since its worker may have ended together with the server.
    lease : float
        Seconds of a lease where no other time is asked for.
    clock : callable
        Seconds that never go back.
    """

    def __init__(
        self,
        study: Study,
        *,
        lease: float = math.inf,
        patience: float = PATIENCE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.study = study
        self.lease = lease
        self.clock = clock
        self._lock = threading.Lock()
        now = clock()
        self.out: dict[int, Lease] = {
            each.id: Lease(now, now + patience, patience, _UNKNOWN, ours=False)
            for each in study.open_suggestions
        }

    def grant(self, id: int, lease: float | None, worker: str) -> float:
        """Note that a suggestion was handed out; return the seconds of its lease."""
        lasts, now = self.lease if lease is None else lease, self.clock()
        with self._lock:
            self.out[id] = Lease(now, now + lasts, lasts, worker)
        return lasts

    def prolong(self, id: int) -> bool:
        """Begin a lease anew; return whether the suggestion still wants a result."""
        try:
            wanted = self.study.wants(id)
        except UnknownIdError:
            return False
        lease = self.out.get(id)
        if wanted and lease is not None:
            lease.due = self.clock() + lease.seconds
        return wanted and lease is not None

    def drop(self, id: int) -> None:
        """Forget a suggestion that was told."""
        with self._lock:
            self.out.pop(id, None)

    def keep(self, ids: Container[int]) -> None:
        """Forget all but these."""
        for id in [id for id in self.out if id not in ids]:
            self.drop(id)

    @property
    def due(self) -> float:
        """When the next lease ends, by the clock."""
        with self._lock:
            return min((lease.due for lease in self.out.values()), default=math.inf)

    def holders(self, ids: Container[int]) -> str:
        """Return in words who has suggestions, and how many of them will never be given again."""
        held = [lease for id, lease in self.out.items() if id in ids]
        names = sorted({lease.worker or "a worker without a name" for lease in held})
        text = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
        endless = sum(lease.due == math.inf for lease in held)
        return f"{text}; {endless} of them until they are told or released" if endless else text

    def expire(self) -> list[int]:
        """Take note of the leases that have ended; return the ids.

        The point is evaluated again, as after a worker that died (`worker_retries` times).
        """
        now = self.clock()
        if self.due > now:
            return []
        ended = {id: lease for id, lease in self.out.items() if lease.due <= now}
        opened = {each.id for each in self.study.open_suggestions}
        for id, lease in ended.items():
            self.drop(id)
            if id not in opened:
                continue
            if lease.ours:
                reason = (
                    f"nothing was heard of {lease.worker or 'its worker'} for {lease.seconds:g} s"
                )
                self.study.tell_failure(id, reason, worker_died=True, expired=True)
            else:
                self.study.release(id, spent=True)
        return list(ended)
