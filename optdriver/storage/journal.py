"""What keeps a study: the protocol, and the journal that keeps it in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from optdriver.errors import ProtocolError, StorageError
from optdriver.study.events import Event

Record = Mapping[str, Any]
"""Strings, numbers, lists and arrays, as the ``to_dict`` methods give them."""


class Journal(Protocol):
    """Keeps the specification of a study and its events; a snapshot is a cache of their fold."""

    @property
    def spec(self) -> Record:
        """The specification."""

    @property
    def closed(self) -> bool:
        """Whether `close` has been called."""

    @property
    def idle(self) -> bool:
        """Whether it is only read, and no process writes it."""

    @property
    def read_only(self) -> bool:
        """Whether nothing can be appended."""

    @property
    def last(self) -> int:
        """The number of the last event; the first is 1, and 0 means that there is none."""

    @property
    def in_doubt(self) -> bool:
        """Whether it is not known what became of the last event: reading will tell."""

    def append(self, event: Event, /, *more: Event) -> None:
        """Keep `event`; when this returns, the event will be there after a crash as well.

        With `more` of them all are kept, or none.
        """

    def read(self, after: int = 0) -> Iterator[Event]:
        """Yield the events that come after number `after`."""

    def snapshot(self) -> tuple[int, Record] | None:
        """Return the newest state that is kept whole, and the number of its last event."""

    def save_snapshot(self, state: Record) -> None:
        """Keep the state to which all events have led; older snapshots may go."""

    def respecify(self, spec: Record) -> None:
        """Begin anew, with another specification and without events."""

    def attach(self, state: Callable[[], Record | None]) -> None:
        """Tell the journal how to get the present state, for snapshots that it takes itself.

        None stands for a state that must not be kept.
        """

    def close(self) -> None:
        """End; what was appended stays."""


class MemoryJournal:
    """The journal that is lost with the process."""

    read_only = in_doubt = idle = False

    def __init__(self, spec: Record) -> None:
        self.spec = spec
        self.events: list[Event] = []
        self.closed = False
        self._snapshot: tuple[int, Record] | None = None

    @property
    def last(self) -> int:
        """The number of the last event."""
        return len(self.events)

    def append(self, event: Event, /, *more: Event) -> None:
        """Keep `event`, and `more` with it."""
        self._check_open()
        self.events.extend((event, *more))

    def read(self, after: int = 0) -> Iterator[Event]:
        """Yield the events that come after number `after`."""
        self._check_open()
        yield from self.events[after:]

    def snapshot(self) -> tuple[int, Record] | None:
        """Return the newest snapshot."""
        self._check_open()
        return self._snapshot

    def save_snapshot(self, state: Record) -> None:
        """Keep the state to which all events have led."""
        self._check_open()
        self._snapshot = (self.last, state)

    def respecify(self, spec: Record) -> None:
        """Begin anew, with another specification and without events."""
        self._check_open()
        self.spec, self._snapshot = spec, None
        self.events.clear()

    def attach(self, state: Callable[[], Record | None]) -> None:
        """Take no snapshots of one's own: memory is not kept."""

    def close(self) -> None:
        """End."""
        self.closed = True

    def _check_open(self) -> None:
        if self.closed:
            raise StorageError("the study is closed; open it again to go on")


def not_kept() -> ProtocolError:
    """Build the error for what only a kept study can do."""
    return ProtocolError(
        "this study is not kept in a file: create it with create_study(..., storage='study.db')"
    )
