"""`CallbackMinimizer`: a method that calls its objective, driven by ask and tell instead."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from optdriver.coroutine import beside as places
from optdriver.coroutine import constraints as walls
from optdriver.coroutine import ending, optimality
from optdriver.coroutine import state as states
from optdriver.coroutine.coroutine import Coroutine, this_thread
from optdriver.coroutine.options import checked_hessian, checked_limit, checked_options
from optdriver.coroutine.program import Outcome, Program, Request, leaves_room
from optdriver.coroutine.scipy_methods import method_names, named
from optdriver.coroutine.state import Data, Record, ReplayWarning, State, Stop, Vector
from optdriver.errors import InputError, ProtocolError, say
from optdriver.geometry import aside
from optdriver.geometry.aside import MOST_LOOKED, Aside
from optdriver.lbfgsb.options import read_bounds, read_point
from optdriver.reading import check_flag, real_array, real_number, real_vector
from optdriver.stored import Derived, hand_on, hand_on_copied, own
from optdriver.undo import Undo, Undoing

if TYPE_CHECKING:
    from scipy.optimize import OptimizeResult

    from optdriver.constraints import ConstraintSet

MOST_FAILURES = 20
"""Failed evaluations in a row that end a run."""

CLOSE = 1e-6
"""How far a replayed point may be from the recorded one, relative to its size."""

_STATUS = {
    Stop.CONVERGED: 0,
    Stop.MAX_EVALUATIONS: 1,
    Stop.MAX_ITERATIONS: 1,
    Stop.ABNORMAL: 2,
    Stop.FAILED: 3,
    Stop.HALTED: 99,
}


class CallbackMinimizer(Undoing[State]):
    """A method of `scipy.optimize.minimize`, asked for points and told what is there.

    Parameters
    ----------
    method : str
        ``'SLSQP'``, ``'TNC'``, ``'trust-constr'``, ``'Nelder-Mead'``, ``'Powell'``,
        ``'COBYQA'``, ``'COBYLA'``; without bounds also ``'BFGS'``, ``'CG'``, ``'Newton-CG'``,
        ``'dogleg'``, ``'trust-ncg'``, ``'trust-krylov'`` and ``'trust-exact'``.
    x0 : array_like, shape (n,)
        The start; moved into the bounds if it lies outside.
    bounds : sequence of (low, high), array of shape (n, 2), scipy.optimize.Bounds, or None
        No point outside is ever asked.  Equal ones fix a variable, with every method.
    constraints : str, mapping, function, SciPy constraint, a list of these, or ConstraintSet
        As `optdriver.constraints.ConstraintSet` takes them.  ``'SLSQP'``, ``'trust-constr'``,
        ``'COBYQA'`` and ``'COBYLA'`` get them, and ask points that violate them on their way.
        ``'Nelder-Mead'`` and ``'Powell'`` never do: what they propose outside is evaluated at the
        nearest feasible point.  The others are refused.  A start that violates them is moved to
        the nearest feasible point found with the latter, and left where it is with the former.
    names, fixed : optional
        The variables in texts, ``x1`` to ``xn`` by default, and further names with their values.
    hessian : {None, 'matrix', 'product'}
        The second derivatives that are told, for the methods that use them.  None: the method
        makes them of gradients (trust-constr by BFGS updates, the others by differences, at points
        that are asked for it).
    cautious : bool
        Give the method an objective whose first value and gradient are below 1 in a smaller unit, a
        power of two (see `optdriver.lbfgsb.unit`), so that its tolerances mean something, and do
        not believe a success that the gradient plainly contradicts; nor, with a method that uses
        values alone, one that a further leg from there does not confirm, of the method itself or of
        COBYQA (`doubt_rule`): it must gain no more than 1e-4 of f or 1e-7 of what was gained
        before.  What is told and reported stays in the objective's own unit.
    beside : {2, 1, 0}, optional
        Ask points beside an end to which symmetry may have led, and go on with a further leg from
        there if one is lower; 1: one in a single direction; 0, or False: none.  True is 2.  As
        `cautious` if it is not given.
    unit_rule : {4, 3}, optional
        How that unit is learnt: 4, within bounds, takes a first value far below 1 for what it is,
        however much its gradient promises over the box; 3, under constraints, where the least value
        is not near that of no gradient.
    doubt_rule : {4, 3, 2, 1}, optional
        How a success is doubted: 3 has one of Powell's method and of COBYLA confirmed by a short
        leg of COBYQA, whose model is quadratic, and one with told gradients stand where f falls by
        no more than 1e-2 of f or of what was gained (trust-constr: 1e-5 of that), on the way to
        rows, too; with 4 variables are in units of their size besides where the box is far wider.
        Earlier ones are what earlier versions recorded: see docs/reference/rules.md.
    maxfun : int, math.inf or None
        Hard limit of evaluations, of all legs together.  None leaves it to the method.
    **options
        SciPy's options of the method (``xatol``, ``ftol``, ``maxiter``, ...), and `tol`.  Limits
        count all legs together.

    Raises
    ------
    InputError
        Something given cannot be used; bounds or constraints that the method does not keep.
    MissingExtraError
        greenlet is not installed.

    Notes
    -----
    The method runs in a coroutine.  A minimizer that was stored, or that goes on in another
    thread, runs the method again through the evaluations of its present leg, which costs the
    method's own time for each of them and no evaluation.  If that leads to a point that differs
    from the recorded one, a `ReplayWarning` says so: the recorded one counts, and where they are
    far apart (another version of SciPy) a further leg begins at the best point.

    A failed evaluation is infinity to the method.  A run that has met one, or that ends above its
    best point, goes on with a further leg from that point, as long as this gets lower; it is a
    success only where the last leg is one.  A start that fails is asked once more.

    Examples
    --------
    >>> opt = CallbackMinimizer("Nelder-Mead", [0.0, 0.0], [(-1, 3), (-1, 3)])
    >>> while not opt.done:
    ...     x = opt.ask()
    ...     opt.tell((x[0] - 2.0) ** 2 + (x[1] - 0.5) ** 2)
    >>> opt.result.success, opt.result.x.round(3).tolist()
    (True, [2.0, 0.5])
    """

    _ours = (*Undoing._ours, "_constraints", "_live", "_thread")  # noqa: SLF001  # our own class

    def __init__(
        self,
        method: str,
        x0: ArrayLike,
        bounds: Any = None,
        *,
        constraints: Any = None,
        names: Sequence[str] | None = None,
        fixed: Mapping[str, float] | None = None,
        hessian: str | None = None,
        maxfun: float | None = None,
        cautious: bool = False,
        beside: bool | int | None = None,
        unit_rule: int | None = None,
        doubt_rule: int = states.NEWEST_DOUBT,
        **options: Any,
    ) -> None:
        found = named(method)
        start = read_point(x0)
        lower, upper = read_bounds(bounds, start.size)
        box = np.column_stack([lower, upper])
        known = walls.compiled(constraints, box, start.size, names, fixed)
        walls.check(found.name, known)
        if known is not None:
            lower, upper = np.maximum(lower, known.lower), np.minimum(upper, known.upper)
        _check_bounds(found.name, lower, upper)
        self._constraints = known
        start = _started(found.name, known, np.minimum(np.maximum(start, lower), upper))
        self._live: _Live | None = None
        self._thread: object = None
        self._undo = Undo()
        looks = aside.read_looks(check_flag("cautious", cautious) if beside is None else beside)
        self._now = State(
            method=found.name,
            options=checked_options(found, options, lower < upper),
            hessian=checked_hessian(found, hessian),
            maxfun=checked_limit(maxfun),
            cautious=check_flag("cautious", cautious),
            unit_rule=_checked_rule(unit_rule, known is not None),
            doubt_rule=_checked("doubt_rule", doubt_rule, states.DOUBT_RULES),
            x0=start,
            lower=lower,
            upper=upper,
            start=start,
            pending=start.copy(),
            aside=Aside(began=start.copy(), turning=looks > 1) if looks else Aside(),
        )
        self._live = _Live(self._state, known)
        self._take(self._live.send(None))
        if self._state.nfev == 0 and self.done:
            raise InputError(f"{found.name} cannot begin: {self._state.message}")

    # -- asking and telling ---------------------------------------------------------------------

    def ask(self) -> Vector:
        """Return a copy of the pending point; the same one until it is told."""
        return self._running("ask").copy()

    def tell(self, f: float, g: ArrayLike | None = None) -> None:
        """Take value and gradient at the pending point; not finite counts as a failure.

        Parameters
        ----------
        f : float
        g : array_like, shape (n,)
            May be left out with a method that needs none.

        Raises
        ------
        InputError
            What was told cannot be used; nothing has changed.
        ProtocolError
            The run has ended, or second derivatives are wanted: see `wanted`.
        """
        x = self._running("tell")
        if self.wanted != "value":
            raise ProtocolError(f"tell() while the {self.wanted} is wanted: tell_hessian(h)")
        value = real_number("the value", f)
        wanted = g is not None or "g" in self.needs
        gradient = real_vector("the gradient", g, self.n).copy() if wanted else None
        if math.isfinite(value) and (gradient is None or np.all(np.isfinite(gradient))):
            self._change(CallbackMinimizer._record, Record(x=x, f=value, g=gradient))
        else:
            reason = "the value or the gradient is not finite"
            self._change(CallbackMinimizer._failed, x, reason)

    def tell_hessian(self, h: ArrayLike) -> None:
        """Take the Hessian at the pending point, or its product with `direction`.

        Parameters
        ----------
        h : array_like, shape (n, n), or (n,) where the product is wanted
        """
        x = self._running("tell_hessian")
        wanted, p = self.wanted, self._state.direction
        if wanted == "value":
            raise ProtocolError("tell_hessian() while a value is wanted: tell(f, g)")
        product = wanted == "product"
        told = _array("the product" if product else "the Hessian", h, x.shape * (2 - product))
        f = 0.0 if np.all(np.isfinite(told)) else math.nan
        if product:
            self._change(CallbackMinimizer._record, Record(x=x, f=f, g=told.copy(), p=p))
        else:
            self._change(CallbackMinimizer._record, Record(x=x, f=f, h=told.copy()))

    def tell_failure(self, reason: str = "") -> None:
        """Take the news that the pending point could not be evaluated."""
        x = self._running("tell_failure")
        self._change(CallbackMinimizer._failed, x, str(reason))

    def halt(self, reason: str = "") -> None:
        """Stop from outside."""
        self._running("halt")
        message = f"HALTED: {reason or 'stopped by the caller'}"
        self._change(CallbackMinimizer._finish, Stop.HALTED, message)

    def go_on_from(self, before: CallbackMinimizer) -> None:
        """Know of points beside ends what the run knew that comes before this one."""
        self._now.aside = before._state.aside.kept()

    def _running(self, call: str) -> Vector:
        state = self._state
        if state.pending is None:
            raise ProtocolError(f"{call}() after the run has ended ({state.stop}: {state.message})")
        return state.pending

    # -- what an answer sets off ----------------------------------------------------------------

    def _failed(self, x: Vector, reason: str) -> None:
        state = self._state
        wanted = self.wanted
        if wanted != "value":
            h = np.full(x.shape * 2, math.nan) if wanted == "hessian" else None
            self._record(Record(x=x, f=math.nan, h=h, p=state.direction))
            return
        state.records.append(Record(x=x, f=math.nan))
        state.nfev += 1
        state.nfail += 1
        state.failures += 1
        said = f": {reason}" if reason else ""
        if state.failures >= (2 if self.at_start else MOST_FAILURES):
            count = state.failures
            self._finish(Stop.FAILED, f"FAILED: {count} evaluations failed in a row{said}")
        elif state.aside.end is not None:
            self._end_beside()
        elif not self.at_start:
            self._advance()
            if state.stop is not None and said:
                state.message += f" (an evaluation failed{said})"
        elif self._spent():
            self._finish(Stop.MAX_EVALUATIONS, "STOP: the limit of evaluations is reached")

    def _record(self, record: Record) -> None:
        state = self._state
        state.records.append(record)
        if record.wanted == "value":
            state.nfev += 1
            state.failures = 0
            if self._leaves and self._constraints is not None:
                record.violation = self._constraints.violation(record.x)
            if state.aside.end is not None:
                self._take_beside(record)
                return
            if state.best < 0 or ending.rank(record) < ending.rank(state.records[state.best]):
                state.best = len(state.records) - 1
        self._advance()

    def _advance(self) -> None:
        """Let the method go on with the newest record."""
        if self._live is None or not self._live.here:
            request = self._replay()
        else:
            request = self._live.send(self._state.records[-1])
        self._take(request)

    @property
    def _leaves(self) -> bool:
        """Whether points that violate constraints may be asked."""
        return walls.may_leave(self._now.method, self._constraints)

    def _take(self, request: Request | Outcome | None) -> None:
        """Make a request the pending point, or draw the consequences of an end."""
        state = self._state
        while True:
            if request is None:
                request = self._new_leg()
            if isinstance(request, Request):
                break
            if self._end(request):
                return
            request = None
        if self._live is not None:
            state.nit = state.nit_before + self._live.program.nit
        if request.wanted == "value" and self._spent():
            self._finish(Stop.MAX_EVALUATIONS, "STOP: the limit of evaluations is reached")
        else:
            state.pending, state.direction = request.x, request.direction
            state.wanted = request.wanted
            self._keep_or_let_go()

    def _spent(self) -> bool:
        limit = self._state.maxfun
        return limit is not None and self._state.nfev >= limit

    def _end(self, outcome: Outcome) -> bool:
        """End the run and return True, or leave it to a further leg."""
        state = self._state
        program = self._live.program if self._live is not None else None
        if program is not None:
            nit = program.nit if outcome.nit is None else outcome.nit
            state.nit = state.nit_before + nit
        left = self._constraints if self._leaves else None
        troubled = program is not None and program.troubled
        ended = ending.judged(state, outcome, left, troubled=troubled)
        if ended is not None and not self._looks_beside(*ended):
            self._finish(*ended)
        return ended is not None

    # -- beside an end --------------------------------------------------------------------------

    def _looks_beside(self, stop: Stop, message: str, status: int | None) -> bool:
        """Ask a point beside an end with success to which symmetry may have led, once an end."""
        state = self._state
        if stop is not Stop.CONVERGED or not state.aside.may_look or not leaves_room(state):
            return False
        end = state.records[state.best]
        p, turns = places.step(state, end)
        if not self._asks_beside(state.aside.at(end.x, str(stop), turns), p):
            return False
        state.said, state.said_status = message, _STATUS[stop] if status is None else status
        self._let_go()
        return True

    def _asks_beside(self, made: Aside, p: Vector) -> bool:
        """Ask for the point at this step from the end, if there is one that is not known."""
        state = self._state
        if made.end is None or self._spent():
            return False
        point = places.point(state, made.end, p, self._constraints)
        if point is None or any(np.array_equal(point, r.x) for r in state.records[state.leg :]):
            return False
        state.aside, state.pending, state.wanted, state.direction = made, point, "value", None
        return True

    def _take_beside(self, record: Record) -> None:
        """Go on from a point beside the end that is lower than it; otherwise the end stands.

        See `optdriver.lbfgsb.machine.take_beside`.
        """
        state = self._state
        made = state.aside
        lower, following, turns = places.judged(state, record)
        if lower:
            small = places.is_small(state, record)
            state.best = len(state.records) - 1
            stands = ending.is_optimal(state, self._constraints if self._leaves else None)
            made = replace(made, ending=str(Stop.CONVERGED) if stands else "")
            if not (stands or small):
                following = np.zeros(following.size)
        state.aside = made.after(lower=lower, turns=turns)
        if state.aside.looked > MOST_LOOKED or not self._asks_beside(state.aside, following):
            self._end_beside()

    def _end_beside(self) -> None:
        """Let the end stand, or go on with a further leg from a lower point beside it."""
        state = self._state
        if state.aside.ending:
            state.aside = replace(state.aside, end=None)
            self._finish(Stop.CONVERGED, state.said, state.said_status)
        else:
            state.aside = state.aside.gone()
            self._take(None)

    def _new_leg(self) -> Request | Outcome:
        state = self._state
        state.legs += 1
        state.leg = len(state.records)
        state.nit_before = state.nit
        state.start = state.records[state.best].x.copy()
        self._let_go()
        self._live = _Live(state, self._constraints)
        return self._live.send(None)

    def _finish(self, stop: Stop, message: str, status: int | None = None) -> None:
        state = self._state
        state.stop, state.message = stop, message
        state.status = _STATUS[stop] if status is None else status
        state.pending = state.direction = None
        state.wanted = "value"
        self._let_go()

    def _keep_or_let_go(self) -> None:
        """Keep the coroutine where this thread is likely to come again.

        One that waits in a thread that has ended could never be freed.
        """
        thread = this_thread()
        if thread is not self._thread and threading.current_thread() is not threading.main_thread():
            self._let_go()
        self._thread = thread

    def _let_go(self) -> None:
        if self._live is not None:
            self._live.close()
        self._live = None

    def _replay(self) -> Request | Outcome | None:
        """Run the method again through the records of its leg; None where it went elsewhere."""
        state = self._state
        self._let_go()
        self._live = live = _Live(state, self._constraints)
        request = live.send(None)
        begun = state.leg > 0
        for record in state.records[state.leg :]:
            begun = begun or not record.failed
            if not begun:
                continue  # a start that failed was not answered
            if not (isinstance(request, Request) and self._fits(request, record)):
                say(
                    f"{state.method}, run again through its recorded evaluations, went elsewhere "
                    "(another version of SciPy?): it starts again at the best point",
                    ReplayWarning,
                )
                return None
            request = live.send(record)
        return request

    def _fits(self, request: Request, record: Record) -> bool:
        if request.wanted != record.wanted:
            return False
        asked, recorded = [request.x], [record.x]
        if request.direction is not None and record.p is not None:
            asked.append(request.direction)
            recorded.append(record.p)
        if np.array_equal(asked, recorded):
            return True
        near = np.allclose(asked, recorded, rtol=CLOSE, atol=CLOSE)
        if near:
            say(
                f"{self._state.method}, run again through its recorded evaluations, asked points "
                "that differ from them by rounding: the recorded ones count",
                ReplayWarning,
            )
        return near

    # -- what is known --------------------------------------------------------------------------

    @property
    def method(self) -> str:
        """SciPy's name of the method."""
        return self._state.method

    @property
    def needs(self) -> tuple[str, ...]:
        """What is told: ``'f'``; ``'g'`` where needed; ``'hessian'`` or ``'product'`` if chosen."""
        second = {"": (), "matrix": ("hessian",), "product": ("product",)}[self._state.hessian]
        return ("f", "g", *second) if named(self.method).gradient else ("f",)

    @property
    def wanted(self) -> str:
        """What is to be told next: ``'value'``, ``'hessian'`` or ``'product'``."""
        return self._state.wanted

    @property
    def direction(self) -> Vector | None:
        """The vector of which the product with the Hessian is wanted, shape (n,), or None."""
        return None if self._state.direction is None else self._state.direction.copy()

    @property
    def n(self) -> int:
        """Number of variables."""
        return len(self._state.x0)

    @property
    def x0(self) -> Vector:
        """The start."""
        return self._state.x0.copy()

    @property
    def bounds(self) -> tuple[Vector, Vector]:
        """Lower and upper bounds."""
        return self._state.lower.copy(), self._state.upper.copy()

    @property
    def done(self) -> bool:
        """Whether the run has ended."""
        return self._state.stop is not None

    @property
    def stop(self) -> Stop | None:
        """Why the run ended, or None."""
        return self._state.stop

    @property
    def converged(self) -> bool:
        """Whether the run ended because the method's own test passed."""
        return self._state.stop is Stop.CONVERGED

    @property
    def nfev(self) -> int:
        """Evaluations told, failures included."""
        return self._state.nfev

    @property
    def nhev(self) -> int:
        """Hessians and products told."""
        return len(self._state.records) - self._state.nfev

    @property
    def nit(self) -> int:
        """Iterations of the method, of all legs together."""
        return self._state.nit

    @property
    def nfail(self) -> int:
        """Failed evaluations."""
        return self._state.nfail

    @property
    def failures(self) -> int:
        """Failed evaluations in a row, now."""
        return self._state.failures

    @property
    def legs(self) -> int:
        """How often the method was started again at the best point."""
        return self._state.legs

    @property
    def at_start(self) -> bool:
        """Whether no evaluation has succeeded yet."""
        return self._state.best < 0

    @property
    def best(self) -> tuple[Vector, float, Vector | None] | None:
        """The best evaluated point with value and gradient (None if none was told), or None.

        Of a method that leaves constraints the lowest one that is feasible to 1e-6 (scaled), or the
        least infeasible one where there is none: see `feasible`.
        """
        if self.at_start:
            return None
        record = self._state.records[self._state.best]
        return record.x.copy(), record.f, None if record.g is None else record.g.copy()

    @property
    def beside(self) -> int:
        """By how many variables the pending point lies beside an end; 0 if it is no such point."""
        return self._state.aside.moved(self._state.pending)

    @property
    def feasible(self) -> bool:
        """Whether the best point satisfies the constraints to 1e-6, scaled."""
        return not self.at_start and ending.is_feasible(self._state.records[self._state.best])

    @property
    def constraints(self) -> ConstraintSet | None:
        """The constraints, or None."""
        return self._constraints

    @property
    def result(self) -> OptimizeResult:
        """The best evaluated point, with the value and gradient that were told there.

        Before any evaluation has succeeded ``fun`` and ``jac`` are NaN and ``x`` is the start;
        ``jac`` is NaN, too, where no gradient was told.  Under constraints there are ``maxcv``,
        ``active``, ``multipliers``, ``bound_multipliers``, ``kkt`` and ``certified`` too, as of
        `optdriver.FeasibleMinimizer`; all that needs a gradient is NaN, or empty, without one.
        """
        from optdriver.feasible.result import FeasibleResult  # SciPy's class takes long to import

        state = self._state
        x, f, g = self.best or (self.x0, math.nan, None)
        result = FeasibleResult()
        result.update(
            x=x,
            fun=f,
            jac=np.full(self.n, math.nan) if g is None else g,
            nfev=self.nfev,
            njev=self.nfev if "g" in self.needs else 0,
            nhev=self.nhev,
            nit=self.nit,
            nfail=self.nfail,
            legs=self.legs,
            status=state.status,
            success=self.converged,
            message=state.message,
            stop=state.stop,
        )
        if self._constraints is not None and walls.has_rows(self._constraints):
            result.update(optimality.conditions(self._constraints, x, g, *self.bounds))
        return result

    # -- state as data --------------------------------------------------------------------------

    def to_dict(self, *, constraints: bool = True) -> Data:
        """Return the specification and all that was told, as numbers, strings and arrays.

        With ``constraints=False`` these are left out, for whoever keeps them for many minimizers.

        Raises
        ------
        InputError
            A constraint is a function, which is no data.
        """
        data = states.to_dict(self._state)
        if constraints and self._constraints is not None:
            data["constraints"] = self._constraints.to_dict()
        return data

    @classmethod
    def from_dict(
        cls, data: Mapping[str, Any], constraints: ConstraintSet | None = None
    ) -> CallbackMinimizer:
        """Make the minimizer of `to_dict` again; arrays may come as lists.

        `constraints` are those that ``to_dict(constraints=False)`` left out.

        Raises
        ------
        InputError
            When `data` is not a state of this version.
        """
        known = constraints
        if known is None and isinstance(data, Mapping) and data.get("constraints") is not None:
            from optdriver.constraints import ConstraintSet

            known = ConstraintSet.from_dict(data["constraints"])
        new = cls.__new__(cls)
        new.__setstate__({**data, "constraints": known} if isinstance(data, Mapping) else data)
        return new

    def copy(self) -> CallbackMinimizer:
        """Return an independent minimizer in the same state.

        What a derived class has set besides is shared.
        """
        new = type(self).from_dict(states.to_dict(self._state), self._constraints)
        return hand_on(own(self, self._ours), new)

    __copy__ = copy

    def __deepcopy__(self, memo: dict[int, Any]) -> CallbackMinimizer:
        return hand_on_copied(own(self, self._ours), self.copy(), self, memo)

    def _data(self) -> Data:
        return states.to_dict(self._state) | {"constraints": self._constraints}

    def __setstate__(self, data: Any) -> None:
        self._live = self._thread = None
        known = data.state if isinstance(data, Derived) else data
        self._constraints = known.get("constraints") if isinstance(known, Mapping) else None
        super().__setstate__(data)

    def restore(self, data: Mapping[str, Any]) -> None:
        """Go on from a state of `to_dict`, under the same constraints."""
        self._let_go()
        self._now = states.from_dict(data)
        known = self._constraints
        if known is not None and known.n != self._now.x0.size:
            raise InputError(f"a state of {self._now.x0.size} variables, constraints of {known.n}")

    def __repr__(self) -> str:
        return (
            f"<CallbackMinimizer {self.method} n={self.n} nfev={self.nfev} {self._state.message}>"
        )


class _Live:
    """A leg that runs: its program, in a coroutine."""

    def __init__(self, state: State, constraints: ConstraintSet | None) -> None:
        self.program = Program(state, state.records[: state.leg], constraints)
        self._coroutine = Coroutine(self.program)

    @property
    def here(self) -> bool:
        return self._coroutine.here

    def send(self, record: Record | None) -> Request | Outcome:
        try:
            request: Request = self._coroutine.send(record)
        except StopIteration as end:
            outcome: Outcome = end.value
            return outcome
        return request

    def close(self) -> None:
        self._coroutine.close()


def _checked_rule(rule: Any, constrained: bool) -> int:
    if rule is None:
        return states.OLDEST_UNIT if constrained else states.NEWEST_UNIT
    return _checked("unit_rule", rule, states.UNIT_RULES)


def _checked(name: str, rule: Any, known: tuple[int, ...]) -> int:
    if type(rule) is not int or rule not in known:
        raise InputError(f"{name} is {rule!r}; expected one of {known}")
    return rule


def _check_bounds(method: str, lower: Vector, upper: Vector) -> None:
    bounded = walls.bounded(lower, upper)
    if not named(method).bounds and bounded.any():
        known = ", ".join(map(repr, ("L-BFGS-B", *method_names(bounds=True))))
        raise InputError(
            f"method {method!r} does not keep to bounds, which {np.count_nonzero(bounded)} of "
            f"{bounded.size} variables have: methods that do are {known}"
        )


def _started(method: str, constraints: ConstraintSet | None, start: Vector) -> Vector:
    """Return the start, feasible where a method is to stay so."""
    if constraints is None or not walls.has_rows(constraints):
        return start
    if walls.may_leave(method, constraints):
        return start
    weights = walls.sizes(constraints.lower, constraints.upper, start)
    found = walls.nearest(constraints, start, weights)
    if found is None:
        name, size = constraints.worst(start)
        raise InputError(
            f"no feasible point was found; {name!r} resists: it is violated by {size:.3g} "
            "(scaled) at the start"
        )
    return found


def _array(name: str, values: Any, shape: tuple[int, ...]) -> Vector:
    array = np.array(real_array(name, values))
    if array.shape != shape:
        raise InputError(f"{name} has shape {array.shape}, expected {shape}")
    return array
