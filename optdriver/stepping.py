"""A run of one machine that is told vectors: how it is driven, how it stands, and how it ends.

`optdriver.LeastSquares` and `optdriver.SQP` are such runs; what they are told, and what they say of
their best point, is their own.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from optdriver.errors import ProtocolError
from optdriver.numerics import is_numeric, quiet
from optdriver.stored import hand_on, hand_on_copied, own, pickled_beside

if TYPE_CHECKING:
    from scipy.optimize import OptimizeResult

Vector = NDArray[np.float64]


class Ending(StrEnum):
    """Why a run has ended; a member is made of its name in a state, its status and a message."""

    status: int
    """A status number; 0 is a success."""

    message: str
    """One line for a person."""

    def __new__(cls, value: str, status: int = 0, message: str = "") -> Self:
        """Make a member; a call with its value alone finds one."""
        made = str.__new__(cls, value)
        made._value_, made.status, made.message = value, status, message
        return made

    @property
    def success(self) -> bool:
        """Whether the run ended at a point that passes the test of convergence."""
        return self.status == 0


class Now(Protocol):
    """What is read of the state of a run; arrays are replaced, never changed."""

    lower: Vector
    upper: Vector
    pending: Vector | None
    x: Vector | None
    reason: str
    nit: int
    nfev: int
    nfail: int
    failures: int
    aside: Any

    @property
    def stop(self) -> Ending | None:
        """Why the run has ended, None while it goes on."""

    def copy(self) -> Self:
        """Return another state with the same arrays."""


S = TypeVar("S", bound=Now)


class Machine(Protocol):
    """How a run is ended from outside of its own steps."""

    def halt(self, state: Any, reason: str) -> None:
        """End it for the caller."""

    def give_up(self, state: Any, reason: str) -> None:
        """End it, since its numbers allow no further step."""


class Stepping(ABC, Generic[S]):
    """A run, driven by ask and tell."""

    __slots__ = ("_now",)

    _machine: ClassVar[Machine]
    _ours: ClassVar[tuple[str, ...]] = ("_now",)
    """The attributes of the class; what else is set on an object is its own."""

    _now: S

    # -- asking and telling -----------------------------------------------------------------------

    def ask(self) -> Vector:
        """Return a copy of the pending point; the same one until it is told.

        Raises
        ------
        ProtocolError
            If the run has ended.
        """
        return self._running("ask").copy()

    @quiet
    def tell_failure(self, reason: str = "") -> None:
        """Tell that the evaluation at the pending point failed; the next step is shorter.

        Parameters
        ----------
        reason : str, optional
            Kept for the message of a run that ends by failures.
        """
        self._running("tell_failure")
        said = str(reason)
        self._advance(lambda state: self._failed(state, said))

    def halt(self, reason: str = "") -> None:
        """End the run from outside, without success; what was evaluated stays in `result`."""
        self._running("halt")
        state = self._now.copy()
        self._machine.halt(state, str(reason))
        self._now = state

    @abstractmethod
    def _failed(self, state: S, reason: str) -> None:
        """Let the machine take a failed evaluation."""

    def _advance(self, step: Callable[[S], None]) -> None:
        """Take a step on a copy; where its numbers do not allow one, the run ends and says why."""
        state = self._now.copy()
        try:
            step(state)
        except Exception as error:
            if not is_numeric(error):
                raise
            self._machine.give_up(state, f"numeric error: {type(error).__name__}: {error}")
        self._now = state

    def go_on_from(self, before: Self) -> None:
        """Know of points beside ends what the run knew that comes before this one."""
        state = self._now.copy()
        state.aside = before._now.aside.kept()
        self._now = state

    def _running(self, call: str) -> Vector:
        if self._now.pending is None:
            raise ProtocolError(f"{call}: the run has ended ({self._now.stop})")
        return self._now.pending

    # -- how it stands ----------------------------------------------------------------------------

    @property
    def n(self) -> int:
        """Number of variables."""
        return self._now.lower.size

    @property
    def bounds(self) -> tuple[Vector, Vector]:
        """Lower and upper bounds."""
        return self._now.lower, self._now.upper

    @property
    def done(self) -> bool:
        """Whether the run has ended."""
        return self._now.stop is not None

    @property
    def converged(self) -> bool:
        """Whether the run ended at a point that passes the test of convergence."""
        return self._now.stop is not None and self._now.stop.success

    @property
    def at_start(self) -> bool:
        """Whether no evaluation has succeeded yet."""
        return self._now.x is None

    @property
    def nfev(self) -> int:
        """Evaluations told, failed ones included."""
        return self._now.nfev

    @property
    def nfail(self) -> int:
        """Failed evaluations told."""
        return self._now.nfail

    @property
    def failures(self) -> int:
        """Failed evaluations in a row, up to now."""
        return self._now.failures

    @property
    def nit(self) -> int:
        """Iterations."""
        return self._now.nit

    @property
    def message(self) -> str:
        """How the run stands, or why it has ended, in words."""
        stop, reason = self._now.stop, self._now.reason
        said = "RUNNING" if stop is None else stop.message
        return f"{said}: {reason}" if reason else said

    def _result(self, best: tuple[Vector, float, Vector] | None, **more: Any) -> OptimizeResult:
        """Return the best point, or without one where the run begins, and how it stands."""
        from scipy.optimize import OptimizeResult  # longer to import than all the rest

        state = self._now
        x, fun, gradient = best or (self._nowhere(), math.nan, np.full(self.n, math.nan))
        result = OptimizeResult()
        result.update(
            x=x,
            fun=fun,
            jac=gradient,
            nfev=state.nfev,
            njev=state.nfev,
            nit=state.nit,
            status=-1 if state.stop is None else state.stop.status,
            success=self.converged,
            message=self.message,
            stop=state.stop,
            nfail=state.nfail,
            **more,
        )
        return result

    def _nowhere(self) -> Vector:
        state = self._now
        if state.pending is not None:
            return state.pending.copy()
        return np.minimum(np.maximum(0.0, state.lower), state.upper)

    # -- state as data ----------------------------------------------------------------------------

    def copy(self) -> Self:
        """Return an independent copy that goes on in the same way.

        What a derived class has set besides is shared.
        """
        return hand_on(own(self, self._ours), self._apart())

    @abstractmethod
    def _apart(self) -> Self:
        """Return a run in the same state, with which nothing is shared that changes."""

    def __copy__(self) -> Self:
        return self.copy()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return hand_on_copied(own(self, self._ours), self.copy(), self, memo)

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Return the whole state as data."""

    def __reduce__(self) -> tuple[Any, ...]:
        rebuild = type(self).from_dict  # type: ignore[attr-defined]  # it has one
        return rebuild, (self.to_dict(),), pickled_beside(self, self._ours)
