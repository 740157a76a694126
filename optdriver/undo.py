"""Taking back a call that was broken off, on an object whose state is data.

Ctrl-C, or an error that nobody foresaw, can end a call between any two instructions, and leave half
of its work.  An object that goes through `Undo.step` for every change is as it was before such a
call: a state is kept aside, and the calls since, which the next call makes again upon it.  A change
is also `quiet`: what an overflow does depends on nobody's ``np.seterr``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import (
    Any,
    ClassVar,
    Concatenate,
    Final,
    Generic,
    ParamSpec,
    Protocol,
    Self,
    SupportsIndex,
    TypeVar,
)

from optdriver.numerics import quiet
from optdriver.stored import Derived, hand_on, reduced

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S")

PAYS: Final = 256
"""So many calls are made again so fast that a newer state aside would be no gain."""


class Restorable(Protocol):
    """What can be set back to a state that it gave."""

    def __getstate__(self) -> Any:
        """Return the state as data, with which nothing is shared that changes."""

    def restore(self, data: Any, /) -> None:
        """Go on from what `__getstate__` gave, which stays as it is."""


T = TypeVar("T", bound=Restorable)


class Undo:
    """A state aside and the calls since; a newer one is taken when these are half of all.

    Attributes
    ----------
    broken : int or None
        After a call that was broken off, how many of the calls since are whole.
    """

    __slots__ = ("_before", "_since", "broken")

    def __init__(self) -> None:
        self.broken: int | None = None
        self._since: tuple[Any, list[tuple[Any, ...]]] | None = None
        self._before = 0

    @quiet
    def step(
        self, owner: T, change: Callable[Concatenate[T, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Return ``change(owner, *args)``, all of which happens, or nothing.

        The arguments are kept, and must not be changed afterwards.
        """
        if self.broken is not None:
            self.take_back(owner)
        calls = self._kept(owner)
        whole = len(calls)
        try:
            result = change(owner, *args, **kwargs)
            calls.append((change, args, kwargs))
            return result
        except BaseException:
            self.broken = whole
            raise

    def _kept(self, owner: Restorable) -> list[tuple[Any, ...]]:
        """Return the calls since the state aside; take a newer one if that pays."""
        since = self._since
        if since is not None:
            count = len(since[1])
            if count < PAYS or 2 * count < self._before:
                return since[1]
            self._before += count
        self._since = since = (owner.__getstate__(), [])
        return since[1]

    @quiet
    def take_back(self, owner: Restorable) -> None:
        """Set the object back to where it was before the call that was broken off."""
        whole = self.broken
        if self._since is None or whole is None:
            return
        data, calls = self._since
        del calls[whole:]
        try:
            self.broken = None
            owner.restore(data)
            for change, args, kwargs in calls:
                change(owner, *args, **kwargs)
        except BaseException:
            self.broken = whole
            raise


class Undoing(ABC, Generic[S]):
    """What keeps its state in `_now`, reads it by `_state`, and changes it by `_change` only."""

    __slots__ = ("_now", "_undo")

    _now: S
    _undo: Undo | None

    _ours: ClassVar[tuple[str, ...]] = ("_now", "_undo")
    """The attributes of the class; what else is set on an object is its own."""

    @abstractmethod
    def _data(self) -> dict[str, Any]:
        """Return the state as data, with which nothing is shared that changes."""

    def __getstate__(self) -> dict[str, Any]:
        return self._data()

    def __setstate__(self, data: Any) -> None:
        self._undo = Undo()
        if isinstance(data, Derived):
            self.restore(data.state)
            hand_on(data.own, self)
        else:
            self.restore(data)

    def __reduce_ex__(self, protocol: SupportsIndex) -> str | tuple[Any, ...]:
        return reduced(self, Undoing, self._ours) or super().__reduce_ex__(protocol)

    @abstractmethod
    def restore(self, data: Any, /) -> None:
        """Go on from what `__getstate__` gave, which stays as it is."""

    @property
    def _state(self) -> S:
        """The state, set back first where a call was broken off."""
        undo = self._undo
        if undo is not None and undo.broken is not None:
            undo.take_back(self)
        return self._now

    def _change(
        self, change: Callable[Concatenate[Self, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Return ``change(self, *args)``, all of which happens, or nothing."""
        if self._undo is None:
            return change(self, *args, **kwargs)
        return self._undo.step(self, change, *args, **kwargs)

    def _change_state(
        self, change: Callable[Concatenate[S, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Return ``change(state, *args)``, all of which happens, or nothing."""
        if self._undo is None:
            return change(self._now, *args, **kwargs)
        return self._undo.step(self, _on_state, change, *args, **kwargs)

    def without_undo(self) -> Self:
        """Leave it to the owner, who can make it anew, to undo calls that were broken off.

        The owner is `quiet` itself then, has read the numbers that it tells, and lets nobody change
        them.
        """
        self._undo = None
        return self


def _on_state(
    owner: Undoing[S],
    change: Callable[Concatenate[S, P], R],
    /,
    *args: P.args,
    **kwargs: P.kwargs,
) -> R:
    return change(owner._now, *args, **kwargs)  # noqa: SLF001  # our own class
