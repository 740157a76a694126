"""What is out and waits for its result: one by one, or many that went out together.

A round of hundreds goes out and comes back as a whole, as columns; made into an object for each row
and a place in a dictionary it would cost more than all else that is done with it.  So it stays what
it is until one of its rows is looked at by itself.
"""

from __future__ import annotations

import operator
from typing import Any, Generic, Protocol, Self, TypeVar

T = TypeVar("T", covariant=True)


class Together(Protocol[T]):
    """Rows that went out together."""

    @property
    def rows(self) -> list[int]:
        """Their ids."""

    def one(self, row: int) -> T:
        """Return a row, by its place."""

    def without(self, row: int) -> Self:
        """Return all rows but one, by its place."""


R = TypeVar("R", bound=Together[Any])
E = TypeVar("E")


class Outstanding(Generic[E, R]):
    """What is out, by id, in the order in which it went out; `known` is out from the beginning."""

    __slots__ = ("_now",)

    def __init__(self, known: dict[int, E] | None = None) -> None:
        self._now: tuple[dict[int, E], tuple[R, ...]] = known or {}, ()

    @property
    def by_id(self) -> dict[int, E]:
        """Everything that is out, by id; to be changed in place."""
        single, rounds = self._now
        if rounds:
            single = dict(single)
            for together in rounds:
                ones = map(together.one, range(len(together.rows)))
                single.update(zip(together.rows, ones, strict=True))
            self._now = single, ()  # at once: an interrupt finds all of it before, or after
        return single

    def __len__(self) -> int:
        single, rounds = self._now
        if not rounds:
            return len(single)
        return len(single) + sum(len(together.rows) for together in rounds)

    def add(self, together: R) -> None:
        """Let a round go out."""
        single, rounds = self._now
        self._now = single, (*rounds, together)

    def get(self, id: Any) -> E | None:
        """Return what is out by an id, None if nothing is; its round stays one."""
        single, rounds = self._now
        found = single.get(id)
        if found is not None or not rounds:
            return found
        number = operator.index(id)
        for together in rounds:
            if number in together.rows:
                one: E = together.one(together.rows.index(number))
                return one
        return None

    def whole(self, ids: list[int]) -> tuple[R, ...]:
        """Return the rounds that have these ids, one round after the other; none if none have."""
        found, place = [], 0
        for together in self._now[1]:
            end = place + len(together.rows)
            if ids[place:end] == together.rows:
                found.append(together)
                place = end
        return tuple(found) if place == len(ids) else ()

    def drop(self, whole: tuple[R, ...]) -> None:
        """Let rounds that `whole` gave be out no more."""
        single, rounds = self._now
        self._now = single, tuple(each for each in rounds if not any(each is one for one in whole))

    def pop(self, id: int) -> None:
        """Let something be out no more; the rest of its round stays one."""
        single, rounds = self._now
        if id in single:
            del single[id]
            return
        place = next(k for k, together in enumerate(rounds) if id in together.rows)
        together = rounds[place]
        left = together.without(together.rows.index(id))
        kept = (left,) if left.rows else ()
        self._now = single, (*rounds[:place], *kept, *rounds[place + 1 :])
