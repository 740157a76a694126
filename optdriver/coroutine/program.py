"""SciPy's side: one run of a method, whose callbacks wait for answers.

A point is asked once: value and gradient are told together, and what is known already (the last
point again, or the start of a further leg) is not asked again.  Every asked point is in the bounds:
what leaves them by rounding, or by the step of a difference inside of the method, is put back.
Variables that the bounds fix are no variables for the method.  Under constraints see
`optdriver.coroutine.constraints`.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from optdriver.coroutine import constraints as walls
from optdriver.coroutine import wide
from optdriver.coroutine.coroutine import Wait
from optdriver.coroutine.scipy_methods import Method, named
from optdriver.coroutine.state import Data, Record, State, Vector
from optdriver.geometry.products import norm
from optdriver.lbfgsb.unit import unit_of

if TYPE_CHECKING:
    from optdriver.constraints import ConstraintSet

LARGE = 2**31 - 1
"""What stands for no limit in compiled code."""

ROUNDING = 1e-12
DIFFERENCE = math.sqrt(np.finfo(np.float64).eps)

STEEP = 10.0
"""How much steeper the bowl around the best point is than the objective there."""

FIRST_ONLY = ("initial_simplex", "direc", "hess_inv0")
"""Options for the first leg only."""

WAY, EDGE, SHORTEST, NEAR = 0.1, 0.02, 1e-4, 0.01
"""Edges of a fresh simplex: of the way from the start, of the variable, in all; at a bound."""

REACH = 0.3
"""How far a further leg of Powell's method searches, as a part of the way from the start."""

POWELL = "Powell"

INTERIOR = "trust-constr"
"""The method with a barrier at bounds and inequalities."""

BARRIER = {"initial_barrier_parameter": 1e-6, "initial_barrier_tolerance": 1e-6, "gtol": 1e-12}
"""With what each second further leg of it begins: with next to none.

Its least squares multipliers leave of a gradient g about g s^2 at a distance s from a bound.
"""

CONFIRMING = "COBYQA"
"""The method whose legs decide whether those that take values alone have converged."""

TARGET = "f_target"
"""The option with a value of f: at which COBYQA and COBYLA are to stop."""

RADIUS, FINER = (1e-4, 0.01), 1e-3
"""Its first trust region at least and at most, in half widths of the box; its last, as a part."""

FIXED = 2
"""The status with which it ends where bounds are so close that they fix all variables for it."""

IDLE = 10_000
"""Calls in a row for points that are known, after which a method is at its end."""

_ERRORS = (ArithmeticError, LookupError, TypeError, ValueError, RuntimeError)


class UnitLearnt(Exception):
    """The unit of f became known in the course of a leg whose target was in another one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What a method wants: the value at x; or its Hessian there, or that times a direction.

    `wanted` is ``'value'``, ``'hessian'`` or ``'product'``.
    """

    x: Vector
    wanted: str = "value"
    direction: Vector | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How a method ended, in its own words.

    `error` says that the words are those of an exception; `x` and `f` are what it returned.
    """

    success: bool
    status: int
    message: str
    x: Vector | None = None
    f: float = math.nan
    nit: int | None = None
    error: bool = False


class Program:
    """One leg of a run, ready to be made a coroutine.

    Attributes
    ----------
    nit : int
        Iterations so far.
    troubled : bool
        Whether the method has met a failed evaluation.
    """

    def __init__(
        self, state: State, known: Iterable[Record], constraints: ConstraintSet | None = None
    ) -> None:
        self._method = method_of(state)
        stays = walls.has_rows(constraints) and not walls.may_leave(state.method, constraints)
        self._given = constraints if walls.may_leave(self._method.name, constraints) else None
        self._kept = constraints if stays else None
        self._sizes = walls.sizes(state.lower, state.upper, state.x0)
        self._hessian = state.hessian
        self._options = scipy_options(self._method, state, state.legs > 0)
        self._start = state.start.copy()
        self._lower, self._upper = state.lower, state.upper
        self._free = state.lower < state.upper
        self._within = searched(self._method, state)
        self._x0 = self._start[self._free]
        self._wide = False  # whether the box is no measure
        self._origin, self._unit = np.array([-0.0]), np.ones(1)  # -0.0 + x has the bits of x
        if is_confirming(state):
            self._origin, self._unit = self._x0, confirming_sizes(state)
            self._x0, (lower, upper) = np.zeros(self._x0.size), self._within
            self._within = (lower - self._origin) / self._unit, (upper - self._origin) / self._unit
        self._state = state
        self._known = {_key(r.x, r.p, r.h is not None): r for r in known}
        self._best = min(
            (r for r in self._known.values() if r.wanted == "value" and not r.failed),
            key=lambda r: r.f,
            default=None,
        )
        self._box = (state.lower, state.upper)
        self._cautious, self._unit_rule = state.cautious, state.unit_rule
        self._doubt_rule = state.doubt_rule
        self._factor = self._targeted = 1.0
        self._in_units = state.doubt_rule > 1 and TARGET in self._options
        self._learnt = False
        if state.aside.left:  # the first value may have been that of a saddle, with no slope
            self._learn(self._known[_key(self._start, None, False)])
        for record in self._known.values():
            self._learn(record)
        self._wait: Wait | None = None
        self._repeats = 0
        self.nit = 0
        self.troubled = False

    def __call__(self, wait: Wait) -> Outcome:
        """Run the method."""
        self._wait = wait
        if not self._free.any():
            f = self._answer(Request(x=self._start)).f
            message = "all variables are fixed by their bounds"
            return Outcome(success=True, status=0, message=message, x=self._start, f=f)
        self._wait = _unlocked(self._method, wait)
        try:
            self._measure()
            try:
                result = self._minimize()
            except UnitLearnt:  # the same points, of which the first is known, and its own target
                self.nit = 0
                result = self._minimize()
        except _ERRORS as error:
            message = f"{type(error).__name__}: {error}"
            return Outcome(success=False, status=-1, message=message, error=True)
        return Outcome(
            success=bool(result.success) and not self._is_stuck(result),
            status=int(result.get("status", 0)),
            message=str(result.get("message", "")),
            x=self._admitted(result.x),
            f=float(result.fun) / self._factor,
            nit=int(result.get("nit", self.nit)),
        )

    def _measure(self) -> None:
        """Measure variables by their own sizes where their box is far wider.

        A first value with its gradient tells these, too: it is what the method asks first.
        """
        state = self._state
        if is_confirming(state) or not wide.may_be(state):
            return
        known = self._answer(Request(x=self._start)) if self._method.gradient else None
        unit = wide.units(state) if known is None else wide.units(state, known.f, known.g)
        if unit is None:
            return
        lower, upper = self._within
        self._wide, self._unit, self._x0 = True, unit, self._x0 / unit
        self._within = box = lower / unit, upper / unit
        self._options = wide.measured(self._options, state.method, self._x0, box, unit)
        self._sizes[self._free] = np.where(unit == 1.0, self._sizes[self._free], unit)

    def _minimize(self) -> Any:
        from scipy import optimize  # which takes longer to import than all the rest

        keywords: Data = {"jac": self._gradient} if self._method.gradient else {}
        keywords |= self._second_derivatives()
        if self._method.bounds and np.any(np.isfinite(self._lower) | np.isfinite(self._upper)):
            keywords["bounds"] = optimize.Bounds(*self._within, keep_feasible=True)
        if self._given is not None:
            origin, unit = self._origin, self._unit
            rows = walls.Rows(self._given, self._start, self._free, origin, unit, small=self._wide)
            keywords["constraints"] = rows.objects(equalities=self._kept is None)
        self._targeted = self._factor
        options = self._options
        if self._in_units:
            options = {**options, TARGET: self._factor * options[TARGET]}
        minimize: Any = optimize.minimize
        return minimize(
            self._value,
            self._x0,
            method=self._method.function or self._method.name,
            options=options,
            callback=self._count,
            **keywords,
        )

    def _second_derivatives(self) -> Data:
        method = self._method
        if self._hessian == "matrix":
            return {"hess": self._told_hessian}
        if self._hessian == "product":
            return {"hessp": self._told_product}
        if method.differences and method.hessian == ("matrix",):
            return {"hess": self._differenced_hessian}
        if method.differences and method.name != "Newton-CG":  # which has its own
            return {"hess": "2-point"}
        return {}

    # -- the callbacks --------------------------------------------------------------------------

    def _count(self, *_: Any) -> None:
        self.nit += 1

    def _value(self, x: Vector) -> float:
        at = None if self._is_outside(x) else self._admitted(x)
        if at is None:
            return math.inf
        record = self._answer(Request(x=at))
        if self._in_units and self._factor != self._targeted:
            raise UnitLearnt
        return self._factor * (self._instead(record)[0] if record.failed else record.f)

    def _gradient(self, x: Vector) -> Vector:
        if self._is_outside(x):
            return np.full(int(self._free.sum()), math.nan)
        record = self._answer(Request(x=self._point(x)))
        g = self._instead(record)[1] if record.failed else record.g
        if g is None:
            return np.full(len(x), math.nan)
        return np.asarray(self._factor * self._unit * g[self._free])

    def _instead(self, record: Record) -> tuple[float, Vector | None]:
        """Return what a method is told of a point that could not be evaluated.

        Infinity, or for one that would not stand it (`Method.bowl`) a steep bowl around the best
        point, whose slope along the way there is that of the objective.
        """
        best = self._best
        if best is None or best.g is None or not self._method.gradient:
            return math.inf, None
        way = record.x - best.x
        steep = STEEP * norm(best.g) / norm(way)
        f = best.f + float(best.g @ way) + 0.5 * steep * float(way @ way)
        return f if self._method.bowl else math.inf, best.g + steep * way

    def _told_hessian(self, x: Vector) -> Vector:
        h = self._answer(Request(x=self._point(x), wanted="hessian")).h
        size = int(self._free.sum())
        if h is None:
            return np.full((size, size), math.nan)
        both = self._unit * self._unit[:, None]
        return np.asarray(self._factor * both * h[np.ix_(self._free, self._free)])

    def _told_product(self, x: Vector, p: Vector) -> Vector:
        direction = np.zeros(len(self._free))
        direction[self._free] = self._unit * p
        request = Request(x=self._point(x), wanted="product", direction=direction)
        record = self._answer(request)
        if record.failed or record.g is None:
            return np.full(len(p), math.nan)
        return np.asarray(self._factor * self._unit * record.g[self._free])

    def _differenced_hessian(self, x: Vector) -> Vector:
        """Return the symmetric part of forward differences of the gradient."""
        g = self._gradient(x)
        columns = []
        for i, size in enumerate(x):
            step = DIFFERENCE * math.copysign(max(1.0, abs(size)), size)
            moved = x.copy()
            moved[i] += step
            if self._answer(Request(x=self._point(moved))).failed:
                moved[i] = x[i] - step
            columns.append((self._gradient(moved) - g) / (moved[i] - x[i]))
        matrix = np.array(columns)
        return np.asarray((matrix + matrix.T) / 2.0)

    # -- points ---------------------------------------------------------------------------------

    def _answer(self, request: Request) -> Record:
        if not np.all(np.isfinite(request.x)):
            raise ArithmeticError("the method wanted a point that is not finite")
        key = _key(request.x, request.direction, request.wanted == "hessian")
        record = self._known.get(key)
        self._repeats = 0 if record is None else self._repeats + 1
        if self._repeats > IDLE:
            raise ArithmeticError(
                f"the last {IDLE} points were known already, so that the tolerances cannot be met"
            )
        if record is None:
            if self._wait is None:
                raise RuntimeError("the program does not run")
            record = self._known[key] = self._wait(request)
            self._learn(record)
            if record.wanted == "value" and not record.failed:
                self._best = record if self._best is None or record.f < self._best.f else self._best
        self.troubled |= record.failed
        return record

    def _learn(self, record: Record) -> None:
        """Learn from the first good value by what power of two a small objective is amplified."""
        if self._cautious and not self._learnt and record.wanted == "value" and not record.failed:
            unit = unit_of(record.f, record.g, record.x, *self._box, self._unit_rule)
            self._factor = 1.0 / unit
            self._learnt = True

    def _point(self, x: Any) -> Vector:
        """Return all variables, in their bounds."""
        full = self._start.copy()
        full[self._free] = self._origin + self._unit * x
        return np.minimum(np.maximum(full, self._lower), self._upper)

    def _is_stuck(self, result: Any) -> bool:
        """Return whether COBYQA has called variables fixed whose bounds lie close together."""
        known = self._doubt_rule > 1 and self._method.name == "COBYQA"
        return known and result.status == FIXED

    def _admitted(self, x: Any) -> Vector | None:
        """Return the point that is asked for `x`: in the bounds, and feasible where that is kept.

        None if no feasible point is found beside it.
        """
        point = self._point(x)
        if self._kept is None or not np.all(np.isfinite(point)):
            return point
        return walls.nearest(self._kept, point, self._sizes)

    def _is_outside(self, x: Vector) -> bool:
        """Return whether the barrier of trust-constr stands between this trial and the run."""
        if self._method.name != INTERIOR:
            return False
        lower, upper = self._within
        slack = ROUNDING * (1.0 + np.abs(x))
        return bool(np.any((x < lower - slack) | (x > upper + slack)))


def scipy_options(method: Method, state: State, again: bool) -> Data:
    """Return the options as SciPy takes them: without limits where ours count."""
    options = {k: v for k, v in state.options.items() if not (again and k in FIRST_ONLY)}
    if is_confirming(state):
        options = {k: v for k, v in options.items() if k in method.options}
        options |= confirming_radii(state)
    if has_low_barrier(state):
        options = BARRIER | options
        options["gtol"] = min(options["gtol"], BARRIER["gtol"])
    if again and state.cautious and method.name == "Nelder-Mead":
        options["initial_simplex"] = fresh_simplex(state)
    if again and looks_anew(method, state):
        options["direc"] = fresh_directions(state)
    if state.maxfun is not None:
        options = {**dict.fromkeys(method.limits, LARGE), **options}
    if again:
        options |= rest_of_limits(state)
    return {k: LARGE if _is_limit(k) and v == math.inf else v for k, v in options.items()}


def rest_of_limits(state: State) -> Data:
    """Return what the limits among the options leave to a leg: they count all legs together."""
    used = sum(record.wanted == "value" for record in state.records[: state.leg])
    spent = {"maxiter": state.nit_before, "maxfev": used, "maxfun": used}
    given = {name: state.options[name] for name in spent if state.options.get(name) is not None}
    return {name: limit - spent[name] for name, limit in given.items()}


def leaves_room(state: State) -> bool:
    """Return whether the limits among the options, of all legs, let another one begin.

    It needs the points of a simplex, or of a quadratic model, before it gets anywhere.
    """
    used = sum(record.wanted == "value" for record in state.records)
    first = 2 * len(state.x0) + 2
    needs = {"maxiter": state.nit, "maxfev": used + first, "maxfun": used + first}
    given = {name: state.options.get(name) for name in needs}
    return all(limit is None or limit > needs[name] for name, limit in given.items())


def method_of(state: State) -> Method:
    """Return the method of the present leg."""
    return named(CONFIRMING if is_confirming(state) else state.method)


def is_confirming(state: State) -> bool:
    """Return whether the present leg is one by which the success of another method is judged.

    Its quadratic model sees what linear ones and searches along lines do not: that f falls along
    the floor of a narrow valley.  A leg of Powell's method, through all of the box, comes first.
    """
    if not is_confirmed_by_another(state) or state.legs == 0:
        return False
    return state.method != POWELL or state.legs % 2 == 0


def is_confirmed_by_another(state: State) -> bool:
    """Return whether another method decides if this one has converged."""
    return state.cautious and state.doubt_rule > 1 and state.method in (POWELL, "COBYLA")


def is_doubted_more(state: State) -> bool:
    """Return whether variables at 0, and rows that hold a slope, are seen where f falls."""
    return state.cautious and state.doubt_rule > 2


def has_barrier(state: State) -> bool:
    """Return whether a success is one of a barrier, and doubted as such."""
    return is_doubted_more(state) and state.method == INTERIOR


def has_low_barrier(state: State) -> bool:
    """Return whether the present leg begins with next to no barrier.

    A barrier keeps ends off the bounds; but near these a run gets nowhere without one, so each
    first further leg has it.
    """
    return has_barrier(state) and state.legs > 0 and state.legs % 2 == 0


def confirming_sizes(state: State) -> Vector:
    """Return by what each free variable is measured in a confirming leg: half of its box.

    A variable without a side is measured by its own size, or the way that it has come.
    """
    free = state.lower < state.upper
    x, x0, half = state.start[free], state.x0[free], (state.upper / 2 - state.lower / 2)[free]
    size = np.maximum(np.abs(x), np.abs(x - x0))
    size[size == 0.0] = 1.0
    unit = wide.units(state)
    made = np.where(np.isfinite(half), half, size)
    return made if unit is None else np.where(unit == 1.0, made, unit)


def confirming_radii(state: State) -> Data:
    """Return the first and the last trust region of a confirming leg, in these sizes.

    It begins with a tenth of the way that the run has come.
    """
    free = state.lower < state.upper
    way = np.abs(state.start - state.x0)[free] / confirming_sizes(state)
    least, most = RADIUS
    radius = min(max(WAY * float(np.max(way)), least), most)
    return {"initial_tr_radius": radius, "final_tr_radius": FINER * radius}


def fresh_simplex(state: State) -> Vector:
    """Return a simplex at the start of a further leg, (k + 1, k), into the wider side of the box.

    Its edges are a tenth of the way that the run has come, in each variable, or a fiftieth of the
    variable itself, and a hundredth of that with a variable at its bound: what a simplex tries
    outside is put back there, so that it collapses on the face unless a vertex beside it is lower.
    """
    free = state.lower < state.upper
    x = state.start[free]
    below, above = x - state.lower[free], state.upper[free] - x
    size = _sizes_of_leg(state)
    size = size * NEAR if np.any((below == 0.0) | (above == 0.0)) else size
    edges = np.where(above >= below, np.minimum(size, above / 2), -np.minimum(size, below / 2))
    return np.vstack([x, x + np.diag(edges)])


def _sizes_of_leg(state: State) -> Vector:
    """Return how far a further leg looks at first in each free variable."""
    free = state.lower < state.upper
    x, x0 = state.start[free], state.x0[free]
    unit = wide.units(state)
    least = SHORTEST if unit is None else SHORTEST * unit
    return np.maximum(np.maximum(WAY * np.abs(x - x0), EDGE * np.abs(x)), least)


def _reach(state: State) -> Vector:
    """Return how far a further leg of Powell's method searches in each free variable."""
    free = state.lower < state.upper
    size, way = _sizes_of_leg(state), np.abs(state.start - state.x0)[free]
    width = (state.upper - state.lower)[free]
    known = np.isfinite(width)
    part = np.max(way[known] / width[known], initial=0.0)
    size[known] = np.minimum(np.maximum(size[known], REACH * part * width[known]), width[known])
    return size


def looks_anew(method: Method, state: State) -> bool:
    """Return whether this leg of Powell's method has directions of its own: each second one.

    Along the axes it stands still where the leg before did, and a search over the whole box does
    not see a narrow valley around the point from which it begins.
    """
    return looks_twice(method, state) and state.legs > 0 and state.legs % 2 == 0


def looks_twice(method: Method, state: State) -> bool:
    """Return whether two further legs confirm a success: along the axes, and along others."""
    known = state.cautious and state.aside.turning and method.name == POWELL
    return known and not is_confirmed_by_another(state)


def fresh_directions(state: State) -> Vector:
    """Return the directions of a further leg as rows, shape (k, k), orthogonal but for sizes.

    They are along no axis, but for the variables at a bound: along others there may be no room.
    """
    free = state.lower < state.upper
    x = state.start[free]
    inside = np.flatnonzero((x > state.lower[free]) & (x < state.upper[free]))
    made = np.eye(x.size)
    if inside.size > 1:
        normal = np.full(inside.size, 1.0 / math.sqrt(inside.size))
        normal[0] += 1.0
        normal /= norm(normal)
        made[np.ix_(inside, inside)] -= 2.0 * np.outer(normal, normal)
    return np.asarray(made * _reach(state))


def searched(method: Method, state: State) -> tuple[Vector, Vector]:
    """Return the bounds of the free variables between which a leg searches."""
    free = state.lower < state.upper
    lower, upper = state.lower[free], state.upper[free]
    if not looks_anew(method, state):
        return lower, upper
    x, size = state.start[free], _reach(state)
    return np.maximum(lower, x - size), np.minimum(upper, x + size)


def _is_limit(name: str) -> bool:
    return name in ("maxiter", "maxfun", "maxfev")


def _key(x: Vector, p: Vector | None, hessian: bool) -> tuple[bytes, bytes, bool]:
    """Return what tells points apart; both zeros are the same."""
    return (x + 0.0).tobytes(), b"" if p is None else (p + 0.0).tobytes(), hessian


# -- SciPy's lock ---------------------------------------------------------------------------------


def _unlocked(method: Method, wait: Wait) -> Wait:
    """Let go of the lock that SciPy holds during a run of COBYQA, while the run waits."""
    lock = _cobyqa_lock() if method.name == "COBYQA" else None
    if lock is None:
        return wait
    held: Any = lock

    def waiting(request: Any) -> Any:
        held.release()
        try:
            return wait(request)
        finally:
            held.acquire()

    return waiting


def _cobyqa_lock() -> threading.Lock | None:
    from scipy.optimize import _cobyqa_py

    return getattr(_cobyqa_py, "COBYQA_LOCK", None)
