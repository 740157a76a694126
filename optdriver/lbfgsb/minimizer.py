"""L-BFGS-B as a thing to ask and tell: the public class, and the generator."""

from __future__ import annotations

import functools
import math
from collections.abc import Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from optdriver.errors import InputError, InputTypeError, ProtocolError, say
from optdriver.lbfgsb import machine
from optdriver.lbfgsb.codes import BESIDE, DONE, MOST_BESIDE, START, Phase, Stop
from optdriver.lbfgsb.options import (
    OptionArguments,
    Options,
    Vector,
    limit,
    read_bounds,
    read_point,
)
from optdriver.lbfgsb.state import State, finite_sides, from_dict
from optdriver.reading import real_array, real_number, real_vector
from optdriver.stored import hand_on, hand_on_copied, own, pickled_beside

if TYPE_CHECKING:
    from scipy.optimize import OptimizeResult

VERSION = 1

FLOAT64 = np.dtype(np.float64)

COMPILED = machine.compiled()

HALT = -1
NO_REASON = (0, "")
"""When a reason was given (the number of the failed evaluation, or `HALT`), and which."""

LARGE = 1000
"""Variables from which on the interpreted kernel is slow enough to say so."""


def start(x0: Any, bounds: Any = None, options: Options | None = None) -> State:
    """Return the state of a run that has not been told anything yet.

    Parameters
    ----------
    x0 : (n,) array_like
        The start; moved into the bounds if it lies outside.
    bounds : optional
        See `LBFGSB`.
    options : Options, optional
        The options.

    Returns
    -------
    State
        Its pending point is the start.
    """
    options = Options() if options is None else options
    if not isinstance(options, Options):
        raise InputTypeError(f"options is {options!r}; expected Options(maxcor=10, ...) or None")
    x = read_point(x0)
    lower, upper = read_bounds(bounds, x.size)
    return begin(x, lower, upper, options)


def begin(x0: Vector, lower: Vector, upper: Vector, options: Options) -> State:
    """Return the state that `start` gives, of vectors that were checked."""
    if x0.size >= LARGE and not machine.compiled():
        say_interpreted()
    x = np.minimum(np.maximum(x0, lower), upper)
    return set_up(x, lower, upper, finite_sides(lower, upper), options)


def set_up(x: Vector, lower: Vector, upper: Vector, sides: int, options: Options) -> State:
    """Return the state of a run that begins at `x`, within bounds of which `sides` are finite.

    Nothing is checked.
    """
    state = State(x.size, int(options.maxcor))
    n = x.size
    state.reals[:n] = lower
    state.reals[n : 2 * n] = upper
    state.vector("xt")[:] = x
    state.constrained = int(sides > 0)
    state.boxed = int(sides == 2 * x.size)
    state.ftol = float(options.ftol)
    state.gtol = float(options.gtol)
    state.noise = float(options.noise)
    state.cautious = 9 * int(options.cautious)
    state.initial_step = float(options.initial_step or 0.0)
    state.maxfun = limit(options.maxfun)
    state.maxiter = limit(options.maxiter)
    state.maxls = limit(options.maxls)
    return state


@functools.cache
def say_interpreted() -> None:
    """Say, the first time only, that the kernel is not compiled."""
    say(
        f"{LARGE} variables or more on the interpreted kernel: every evaluation will cost "
        "milliseconds; install optdriver where there is a C compiler (optdriver.show_config() "
        "tells which kernel runs)",
        RuntimeWarning,
    )


def pending(state: State) -> Vector:
    """Return a copy of the point whose value and gradient the state waits for."""
    if state.phase == DONE:
        raise ProtocolError(f"ask: the run has ended ({Stop(state.stop).message})")
    point: Vector = state.vector("xt").copy()
    return point


def pending_points(minimizers: Sequence[LBFGSB]) -> Vector:
    """Return the points that minimizers of n variables wait for, which run: shape (k, n)."""
    views = [
        minimizer.state.vector("xt") if minimizer._xt is None else minimizer._xt  # noqa: SLF001  # our own class
        for minimizer in minimizers
    ]
    return np.concatenate(views).reshape(len(views), -1)


def advance(state: State, f: Any, g: Any) -> None:
    """Take the value and the gradient at the pending point, and find the next one.

    Parameters
    ----------
    state : State
        Changed in place.
    f : float
        Value.  NaN or infinity counts as a failed evaluation.
    g : (n,) array_like
        Gradient.  So does a component that is not finite.

    Raises
    ------
    ProtocolError
        If the run has ended.
    InputError
        If `f` is not a number or `g` not a real vector of length n; the state is unchanged.
    """
    if state.phase == DONE:
        raise ProtocolError(f"tell: the run has ended ({Stop(state.stop).message})")
    value = real_number("the value", f)
    state.vector("gt")[...] = real_vector("the gradient", g, state.n)
    machine.advance(state, value)


def advance_failure(state: State) -> None:
    """Take the news that the evaluation at the pending point has failed, and find another.

    A failed start is asked once more.  In a line search the step goes back toward the last good
    point; the memory is kept.
    """
    if state.phase == DONE:
        raise ProtocolError(f"tell_failure: the run has ended ({Stop(state.stop).message})")
    machine.advance_failure(state)


def stored_pairs(state: State) -> tuple[Vector, Vector]:
    """Return copies of the correction pairs S and Y, (k, n) each, oldest first."""
    n, m = state.n, state.m
    slots = (
        state.reals[state.reals.size - 2 * n * m :].reshape(n, m, 2).T
    )  # without the other views
    wrapped = max(state.head + state.k - m, 0)
    ring = slots[:, state.head : state.head + state.k], slots[:, :wrapped]
    changes, steps = np.concatenate(ring, axis=1)
    return steps, changes


def iterate(state: State) -> Generator[Vector, tuple[Any, Any] | None, State]:
    """Drive a state: yields points, is sent ``(f, g)``, or None for a failed evaluation.

    The generator holds nothing of its own: it can be dropped at any time and made again from the
    state, whose pending point it yields first.

    Parameters
    ----------
    state : State
        From `start`, `State.copy`, or unpickled.

    Yields
    ------
    (n,) array
        The next point to evaluate.

    Returns
    -------
    State
        The same object, at the end of the run.
    """
    while state.phase != DONE:
        evaluation = yield pending(state)
        if evaluation is None:
            advance_failure(state)
            continue
        try:
            f, g = evaluation
        except (TypeError, ValueError) as error:
            raise InputTypeError(
                f"iterate was sent {evaluation!r}; expected (f, g), or None for a failure"
            ) from error
        advance(state, f, g)
    return state


class LBFGSB:
    """Bound-constrained limited-memory quasi-Newton minimizer, driven by ask and tell.

    Parameters
    ----------
    x0 : (n,) array_like
        The start; moved into the bounds if it lies outside.
    bounds : None, sequence of pairs, (n, 2) array or scipy.optimize.Bounds, optional
        Lower and upper bounds; None or an infinity where there is none.  ``lower == upper``
        fixes a variable.
    pairs : (S, Y), optional
        Correction pairs of another run, as its `pairs` gives them, to start with its curvature.
    **options
        See `Options`: maxcor, ftol, gtol, maxfun, maxiter, maxls, initial_step, noise,
        cautious.

    Raises
    ------
    InputError
        If `x0`, `bounds`, `pairs` or an option cannot be used.

    Notes
    -----
    The algorithm is that of Byrd, Lu, Nocedal and Zhu, SIAM J. Sci. Comput. 16 (1995) 1190, with
    the changes of Morales and Nocedal, ACM TOMS 38 (2011) 7:1, and the line search of More and
    Thuente, ACM TOMS 20 (1994) 286.

    The object can be pickled, copied or turned into a dict between any two calls; what comes
    back goes on with the same bits, compiled or interpreted, on any machine.

    With n = 0, or with every variable fixed, the start is evaluated once and the run converges.

    Examples
    --------
    >>> opt = LBFGSB([0.0, 0.0], bounds=[(0, 1), (None, None)])
    >>> while not opt.done:
    ...     x = opt.ask()
    ...     opt.tell((x[0] - 2) ** 2 + x[1] ** 2, [2 * (x[0] - 2), 2 * x[1]])
    >>> opt.result.x
    array([1., 0.])
    """

    __slots__ = ("_gt", "_reason", "_shape", "_xt", "state")

    def __init__(
        self,
        x0: Any,
        bounds: Any = None,
        *,
        pairs: tuple[Any, Any] | None = None,
        **options: Unpack[OptionArguments],
    ) -> None:
        self._take(start(x0, bounds, Options.read(options)))
        if pairs is not None:
            _seed(self.state, pairs)

    def _take(self, state: State) -> None:
        """Make `state` this minimizer's, with the two arrays at hand that every call needs.

        Where the kernel is interpreted there is none: a step goes into a copy of the state, which
        takes its place when it is complete, so that a call that is broken off changes nothing.
        """
        self.state = state
        self._xt: Vector | None = state.vector("xt") if COMPILED else None
        self._gt: Vector | None = state.vector("gt") if COMPILED else None
        self._shape = (state.n,)
        self._reason: tuple[int, str] = NO_REASON

    def ask(self) -> Vector:
        """Return the point to evaluate next, the same until it is told.

        Returns
        -------
        (n,) array
            A copy; inside the bounds.

        Raises
        ------
        ProtocolError
            If the run has ended.
        """
        if self._xt is None or self.state.phase == DONE:
            return pending(self.state)  # or the error
        return self._xt.copy()

    def tell(self, f: Any, g: Any) -> None:
        """Tell the value and the gradient at the point that `ask` gives; see `advance`.

        Raises
        ------
        ProtocolError
            If the run has ended.
        InputError
            If `f` is not a number or `g` not a vector of length n; nothing is changed.
        """
        if (
            self._gt is not None
            and isinstance(f, float)  # NumPy's float64 is one
            and type(g) is np.ndarray
            and g.dtype is FLOAT64  # others take the longer way
            and g.shape == self._shape
            and self.state.phase != DONE
        ):
            self._gt[...] = g
            machine.advance(self.state, f)
        else:
            state = self._spare()
            advance(state, f, g)
            self.state = state

    def _spare(self) -> State:
        """Return the state in which a step is made: see `_take`."""
        return self.state if COMPILED else self.state.copy()

    def tell_failure(self, reason: str = "") -> None:
        """Tell that the evaluation at the pending point failed; see `advance_failure`.

        Parameters
        ----------
        reason : str, optional
            Kept for the message of a run that ends by failures.
        """
        state = self._spare()
        self._reason = int(state.nfev) + 1, str(reason)  # it counts from the next line on
        advance_failure(state)
        self.state = state

    def halt(self, reason: str = "") -> None:
        """End the run from outside, without success; what was evaluated stays in `result`."""
        if self.done:
            raise ProtocolError(f"halt: the run has ended ({self.stop.message})")
        state = self._spare()
        self._reason = HALT, str(reason)
        machine.halt(state)
        self.state = state

    @property
    def n(self) -> int:
        """Number of variables."""
        return int(self.state.n)

    @property
    def done(self) -> bool:
        """Whether the run has ended."""
        return bool(self.state.phase == DONE)

    @property
    def stop(self) -> Stop:
        """Why the run has ended; `Stop.RUNNING` while it goes on."""
        return Stop(self.state.stop)

    @property
    def converged(self) -> bool:
        """Whether the run ended at a point that passes a convergence test."""
        return self.stop.success

    @property
    def at_start(self) -> bool:
        """Whether no evaluation has succeeded yet."""
        return bool(self.state.phase == START or math.isinf(self.state.best_f))

    @property
    def beside(self) -> int:
        """By how many variables the pending point lies beside an end; 0 if it is no such point.

        At least 2 where derivatives may tell of further directions.
        """
        s = self.state
        if s.phase != BESIDE:
            return 0
        moved = int(np.count_nonzero(s.vector("xt") != s.vector("z")))
        if s.beside > MOST_BESIDE:
            return 1
        turns = s.cautious > 7 and s.beside > 2 and np.array_equal(s.vector("xb"), s.vector("z"))
        return max(moved, 2) if turns else moved

    @property
    def nfev(self) -> int:
        """Evaluations told, failed ones included."""
        return int(self.state.nfev)

    @property
    def nfail(self) -> int:
        """Failed evaluations told."""
        return int(self.state.nfail)

    @property
    def failures(self) -> int:
        """Failed evaluations in a row, up to now."""
        return int(self.state.failures)

    @property
    def nit(self) -> int:
        """Iterations."""
        return int(self.state.nit)

    @property
    def best(self) -> tuple[Vector, float, Vector] | None:
        """The best point evaluated, its value and its gradient; None before there is one."""
        if self.at_start:
            return None
        s = self.state
        return s.vector("xb").copy(), float(s.best_f), s.vector("gb").copy()

    @property
    def iterate(self) -> tuple[Vector, float, Vector] | None:
        """The present iterate, its value and its gradient; None before there is one."""
        if self.at_start:
            return None
        s = self.state
        return s.vector("x").copy(), float(s.f), s.vector("g").copy()

    @property
    def pairs(self) -> tuple[Vector, Vector]:
        """The correction pairs S and Y, (k, n) each, oldest first."""
        return stored_pairs(self.state)

    @property
    def result(self) -> OptimizeResult:
        """The best point evaluated and how the run stands, with SciPy's fields.

        Returns
        -------
        scipy.optimize.OptimizeResult
            x, fun, jac (of one and the same evaluation), nfev, njev, nit, status, success,
            message, hess_inv; and stop (`Stop`), nfail.
        """
        from scipy.optimize import OptimizeResult  # longer to import than all the rest

        from optdriver.lbfgsb.hessian import InverseHessian

        s, stop = self.state, self.stop
        x, fun, jac = self.best or (s.vector("xt").copy(), math.nan, np.full(s.n, math.nan))
        result = OptimizeResult()
        result.update(
            x=x,
            fun=fun,
            jac=jac,
            nfev=self.nfev,
            njev=self.nfev,
            nit=self.nit,
            status=stop.status,
            success=stop.success,
            message=self.message,
            hess_inv=InverseHessian(*self.pairs, float(s.theta)),
            stop=stop,
            nfail=self.nfail,
        )
        return result

    @property
    def message(self) -> str:
        """Why the run has ended, in words."""
        return ": ".join([self.stop.message, *self._reasons()])

    def _reasons(self) -> list[str]:
        """Return what was said of the end, or of the last evaluation if it failed."""
        when, reason = self._reason
        told = HALT if self.state.stop == Stop.HALTED else int(self.state.nfev)
        return [reason] if reason and when == told else []

    def copy(self) -> LBFGSB:
        """Return an independent copy that goes on in the same way.

        What a derived class has set besides is shared.
        """
        return hand_on(own(self, LBFGSB.__slots__), self._at(self.state.copy(), self._reason))

    @classmethod
    def within(cls, x0: Vector, bounds: Vector, options: Options) -> LBFGSB:
        """Return a new minimizer; `x0` and `bounds`, (n, 2), were checked before."""
        lower, upper = np.ascontiguousarray(bounds.T)
        return cls._at(begin(x0, lower, upper, options), NO_REASON)

    @classmethod
    def _at(cls, state: State, reason: tuple[int, str]) -> LBFGSB:
        """Return the minimizer whose state this is."""
        self = cls.__new__(cls)
        self._take(state)
        self._reason = reason
        return self

    __copy__ = copy

    def __deepcopy__(self, memo: dict[int, Any]) -> LBFGSB:
        return hand_on_copied(own(self, LBFGSB.__slots__), self.copy(), self, memo)

    def to_dict(self) -> dict[str, Any]:
        """Return the whole state: a version, numbers, strings and arrays; nothing else."""
        return {"version": VERSION, "reasons": self._reasons(), "state": self.state.to_dict()}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> LBFGSB:
        """Rebuild a minimizer from `to_dict`; arrays may have become lists on the way.

        Raises
        ------
        InputError
            If the dict is not one of `to_dict`, or of a later version.
        """
        self = cls.__new__(cls)
        try:
            if fields["version"] != VERSION:
                raise InputError(
                    f"this run was stored with version {fields['version']!r} of the format; "
                    f"this optdriver reads version {VERSION}"
                )
            self._take(from_dict(fields["state"]))
            when = HALT if self.state.stop == Stop.HALTED else int(self.state.nfev)
            for reason in fields["reasons"]:
                self._reason = when, str(reason)
        except InputError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise InputError(f"this is no stored LBFGSB: {error!r}") from error
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self).from_dict, (self.to_dict(),), pickled_beside(self, LBFGSB.__slots__)

    def __repr__(self) -> str:
        s = self.state
        return (
            f"<LBFGSB n={s.n} {Phase(s.phase).name} nit={s.nit} nfev={s.nfev} "
            f"best={s.best_f:.6g} {self.stop.message}>"
        )


def _seed(state: State, pairs: tuple[Any, Any]) -> None:
    """Store the pairs of another run in a new state."""
    if not isinstance(pairs, Sequence) or len(pairs) != 2:
        raise InputTypeError(f"pairs is {pairs!r}; expected two arrays (S, Y)")
    steps, changes = (np.atleast_2d(real_array("pairs", side)) for side in pairs)
    if steps.shape != changes.shape or steps.shape[1:] != (state.n,):
        raise InputError(
            f"pairs have shapes {steps.shape} and {changes.shape}; expected two of (k, {state.n})"
        )
    if not (np.isfinite(steps).all() and np.isfinite(changes).all()):
        raise InputError("pairs hold numbers that are not finite")
    for step, change in zip(steps, changes, strict=True):
        machine.seed(state, change, step)
