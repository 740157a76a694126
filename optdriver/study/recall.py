"""From where a study is brought back when a call was broken off in the middle.

Ctrl-C, or an error that nobody foresaw, can end a call between any two instructions.  What was
recorded has happened then, and nothing else: the state is folded again from the record.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, Final

from optdriver.errors import InputError
from optdriver.study import fold, snapshots
from optdriver.study.events import Event, Journal, Keeper
from optdriver.study.spec import Spec
from optdriver.study.state import State

PAYS: Final = 256
"""So many events are replayed so fast that a copy of the state would be no gain."""


class Memory:
    """The record of a study without a file: a state that is left alone, and the events since.

    A copy of the state is taken when the events since the last one are half as many as all events
    before it, so that copying costs a small part of what the events cost.

    Parameters
    ----------
    journal : Journal or None
        The user's, which is given every event first.
    state : State or None
        That of a study to which something has happened before.

    Attributes
    ----------
    at_once : bool
        Whether `append` takes several events, of which all have happened, or none.
    """

    __slots__ = ("_base", "_before", "_events", "_given", "_journal", "at_once")

    in_doubt: ClassVar = False

    def __init__(self, journal: Journal | None, state: State | None) -> None:
        self._journal = journal
        self._base = None if state is None else snapshots.copied(state)
        self._before = 0 if state is None else state.ledger.size
        self._events: list[Event] = []
        self._given: tuple[Event, ...] = ()
        self.at_once = journal is None or _is_plain_list(journal)

    def append(self, event: Event, *more: Event) -> None:
        """Record events: they have happened from the moment on at which they are in the list."""
        given = (event, *more)
        if self._journal is not None:
            self._given = given
            if more and isinstance(self._journal, list):
                self._journal.extend(given)
            else:
                self._journal.append(event)
        self._events.extend(given)
        self._given = ()

    def rest(self, state: State) -> None:
        """Take a copy of `state`, to which all events have led, if that pays."""
        since = len(self._events)
        if since < PAYS or 2 * since < self._before:
            return
        base, before = snapshots.copied(state), self._before + since
        self._base, self._events, self._before = base, [], before

    def restored(self, spec: Spec) -> tuple[Spec, State, Event | None]:
        """Return the specification, the state to which the events have led, and the last event."""
        given, self._given = self._given, ()
        journaled = isinstance(self._journal, list) and _last(self._journal)
        if given and given[-1] is journaled and given[-1] is not _last(self._events):
            self._events.extend(given)
        base = fold.begin(spec) if self._base is None else snapshots.copied(self._base)
        return spec, fold.replay(base, self._events), _last(self._events)


class File:
    """The record of a study that is kept."""

    __slots__ = ("_journal", "append")

    at_once: ClassVar = True

    def __init__(self, journal: Keeper) -> None:
        self._journal = journal
        self.append = journal.append

    @property
    def in_doubt(self) -> bool:
        """Whether an error has left it open if the last event was recorded."""
        return self._journal.in_doubt

    def rest(self, state: State) -> None:
        """Leave it to the journal to take snapshots."""

    def restored(self, spec: Spec) -> tuple[Spec, State, Event | None]:
        """Return the specification, the state to which the events have led, and the last event."""
        journal = self._journal
        if journal.spec != spec.to_dict():
            spec = replace(Spec.from_dict(journal.spec), space=spec.space)
        state = folded(journal, spec)
        return spec, state, next(journal.read(max(journal.last - 1, 0)), None)


def _is_plain_list(journal: object) -> bool:
    return type(journal) is list


def _last(events: list[Any]) -> Any:
    return events[-1] if events else None


def folded(journal: Keeper, spec: Spec) -> State:
    """Return the state to which the events of a journal lead."""
    seq, state = _newest(journal, spec)
    return fold.replay(state, journal.read(seq), part=journal.may_part)


def _newest(journal: Keeper, spec: Spec) -> tuple[int, State]:
    """Return the state of the newest snapshot that can be used, or the first state."""
    try:
        found = journal.snapshot()
        if found is not None:
            state = snapshots.from_dict(found[1])
            if state.spec.to_dict() == spec.to_dict():
                state.spec = spec  # whose structure is the user's own
                return found[0], state
    except (InputError, LookupError, TypeError, ValueError, AttributeError, ArithmeticError,
            RecursionError, MemoryError):  # fmt: skip
        return 0, fold.begin(spec)  # of another version: the log tells everything
    return 0, fold.begin(spec)
