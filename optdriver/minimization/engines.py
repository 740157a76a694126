"""The ways in which the minimizers of all starts are driven.

``'serial'``: in turn, one evaluation each; anything can be driven so.  ``'batch'``: L-BFGS-B of a
loss that JAX has compiled, within bounds; one vectorised call of the loss a round serves all.
``'device'``: the same, minimizers included, as one program of the device (`optdriver.batch.jax`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy as np

from optdriver.coroutine import CallbackMinimizer
from optdriver.errors import InputError, unknown_option
from optdriver.lbfgsb import LBFGSB, Stop, advance_lanes
from optdriver.minimization.finished import Found, Population
from optdriver.minimization.lanes import Lane
from optdriver.minimization.problem import Problem
from optdriver.minimization.watching import Watch
from optdriver.multistart import local
from optdriver.objectives.jax_objective import JaxObjective
from optdriver.objectives.plain import attempt

NARROWER = 4
"""A batch of which fewer than one in so many still run is compiled again for these."""

FEW = 16
"""Fewer rows are not worth another compilation."""

MANY = 64
"""From so many starts on, the minimizers go to the device with the loss, if there is one."""

AT_A_TIME = 4096
"""Minimizers that run on the device at a time; the others wait for their places."""

SHARED = ("ftol", "gtol", "maxfun", "maxiter", "maxls", "noise", "cautious")
"""Options that a minimizer on the device takes from one on the host."""

DOUBTED = (int(Stop.PROJECTED_GRADIENT), int(Stop.REDUCTION), int(Stop.ABNORMAL))
"""Ends on the device after which a minimizer on the host looks whether there is more to gain.

At a success by the gradient it asks at most a point beside it.
"""


def known(engine: Any) -> str | None:
    """Check the name of an engine; None leaves the choice open."""
    if engine is not None and engine not in _ENGINES:
        raise unknown_option("engine", str(engine), _ENGINES)
    return None if engine is None else str(engine)


def choose(
    engine: str | None, problem: Problem, lanes: Sequence[Lane], watched: bool = False
) -> str:
    """Return the engine to use: the one wanted, or the fastest that can be used.

    Parameters
    ----------
    engine : str or None
    problem : Problem
    lanes : sequence of Lane
    watched : bool
        Whether a callback wants to see every iteration.

    Raises
    ------
    InputError
        The one wanted cannot be used.
    """
    if engine == "serial" or (engine is None and len(lanes) == 1):
        return "serial"
    reason = _not_together(problem, lanes)
    if engine == "device" and watched:
        reason = "a callback cannot look at what is on the device"
    if engine is not None and reason:
        raise InputError(f"engine {engine!r} cannot be used here: {reason}; leave engine out")
    if engine is not None or reason:
        return engine or "serial"
    return "device" if _accelerated() and len(lanes) >= MANY and not watched else "batch"


def _not_together(problem: Problem, lanes: Sequence[Lane]) -> str:
    """Return why the loss cannot be evaluated for all starts at once; "" if it can."""
    objective = problem.objective
    if not isinstance(lanes[0].minimizer, LBFGSB):
        return "it drives L-BFGS-B within bounds only, no other method and no constraints"
    if not isinstance(objective, JaxObjective) or not objective.compiled:
        return "the loss is not compiled by JAX"
    points = problem.to_user(np.array([lane.start for lane in lanes]))
    return attempt(lambda: objective.trace_many(points))[1]


def _accelerated() -> bool:
    """Return whether JAX computes on something else than the processor."""
    return bool(import_module("jax").default_backend() != "cpu")


def run(engine: str, problem: Problem, lanes: Sequence[Lane], watch: Watch) -> None:
    """Drive every lane to its end."""
    _ENGINES[engine](problem, lanes, watch)


# -- one after the other ------------------------------------------------------------------------


def serial(problem: Problem, lanes: Sequence[Lane], watch: Watch) -> None:
    """Drive every lane to its end, an evaluation of each in turn."""
    live = [lane for lane in lanes if not lane.minimizer.done]
    while live:
        for lane in live:
            step(problem, lane)
            watch.look(lane)
        live = [lane for lane in live if not lane.minimizer.done]


def step(problem: Problem, lane: Lane) -> None:
    """Evaluate what a lane asks for, and tell it."""
    minimizer = lane.minimizer
    if isinstance(minimizer, CallbackMinimizer):
        if minimizer.wanted != "value":
            _tell_curvature(problem, lane, minimizer)
            return
        with_gradient = "g" in minimizer.needs
    else:
        with_gradient = not isinstance(minimizer, Population)
    _tell_value(problem, lane, with_gradient)


def _tell_value(problem: Problem, lane: Lane, with_gradient: bool) -> None:
    z, trouble = attempt(lane.minimizer.ask)
    if trouble:  # in the optimizer of another package
        lane.minimizer.halt(trouble)
        return
    before = problem.objective.calls
    function = problem.value_and_grad if with_gradient else problem.value_alone
    made, reason = attempt(lambda: function(z))
    lane.nfev += problem.objective.calls - before
    lane.njev += with_gradient
    if reason:
        lane.failed(reason)
        return
    f, g = made
    if not np.isfinite(f):
        lane.failed("the loss is not finite")
    elif g is not None and not np.all(np.isfinite(g)):
        lane.failed("the gradient is not finite")
    else:
        if lane.precision is not None:
            lane.precision.tell(lane.minimizer, f)
        lane.minimizer.tell(f, g)


def _tell_curvature(problem: Problem, lane: Lane, minimizer: CallbackMinimizer) -> None:
    z, direction = minimizer.ask(), minimizer.direction
    lane.nhev += 1
    if direction is None:
        made, reason = attempt(lambda: problem.hessian(z))
    else:
        made, reason = attempt(lambda: problem.hessian_product(z, direction))
    if reason:
        lane.failed(reason)
    else:
        minimizer.tell_hessian(made)


# -- all at once --------------------------------------------------------------------------------


def batch(problem: Problem, lanes: Sequence[Lane], watch: Watch) -> None:
    """Drive every lane to its end, with one call of the loss a round for all of them.

    Each lane goes as it would go alone; should the call raise, they do go on alone.
    """
    live = [lane for lane in lanes if not lane.minimizer.done]
    width = len(live)
    points = np.array([lane.minimizer.ask() for lane in live])
    while live:
        width = width if len(live) * NARROWER > width or width <= FEW else len(live)
        made, reason = attempt(lambda: problem.many(points, width))  # noqa: B023 - called at once
        if reason:
            serial(problem, live, watch)
            return
        points = _told(live, *made)
        for lane in live:
            watch.look(lane)
        running = [not lane.minimizer.done for lane in live]
        live = [lane for lane, runs in zip(live, running, strict=True) if runs]
        points = points[running]


def _told(lanes: Sequence[Lane], f: Any, g: Any) -> Any:
    """Tell every lane its value and gradient; return the next points."""
    good = np.isfinite(f) & np.all(np.isfinite(g), axis=1)
    for lane, fine, value in zip(lanes, good, f, strict=True):
        lane.nfev, lane.njev = lane.nfev + 1, lane.njev + 1
        if not fine:
            what = "gradient" if np.isfinite(value) else "loss"
            lane.reasons[1:] = [f"the {what} is not finite"]
        if lane.precision is not None:
            lane.precision.tell(lane.minimizer, float(value))
    points = np.empty_like(g)
    advance_lanes(tuple(_state(lane) for lane in lanes), f, g, points)
    return points


def _state(lane: Lane) -> Any:
    minimizer: Any = lane.minimizer
    return minimizer.state


# -- on the device ------------------------------------------------------------------------------


def device(problem: Problem, lanes: Sequence[Lane], watch: Watch) -> None:
    """Minimise from all starts as one program of the device."""
    engine = import_module("optdriver.batch.jax")
    state = _state(lanes[0])
    options = {name: getattr(state, name) for name in SHARED}
    options |= {"maxcor": state.m, "initial_step": state.initial_step or None}
    options["cautious"] = bool(state.cautious)
    if lanes[0].precision is not None:  # the device has a way of its own with rounding
        options["ftol"] = lanes[0].precision.coarsest
        for lane in lanes:
            lane.precision = None
    found = engine.minimize(
        problem.traceable,
        problem.bounds,
        starts=np.array([lane.start for lane in lanes]),
        lanes=min(len(lanes), AT_A_TIME) if _accelerated() else None,
        dtype="float64" if problem.smooth.wide else "float32",
        **options,
    )
    if problem.coordinates.logarithmic:
        found = _evaluated_here(problem, found)
    for k, lane in enumerate(lanes):
        lane.nfev = lane.njev = int(found.nfev[k])
        if found.nfail[k]:
            lane.reasons = ["the loss or its gradient is not finite"]
        if found.stop[k] not in DOUBTED:
            lane.minimizer = _found(found, k, lane.start)
        watch.look(lane)
    _doubt(problem, lanes, found, options, watch)


def _evaluated_here(problem: Problem, found: Any) -> Any:
    """Return what was found with values and gradients of this machine.

    The exponentials of the device differ in their last digits, so that the values there belong to
    points that are not quite those handed out.
    """
    f, g = problem.many(np.asarray(found.x, dtype=np.float64), len(found.x))
    return replace(found, fun=f, jac=g, nfev=np.asarray(found.nfev) + 1)


def _doubt(problem: Problem, lanes: Sequence[Lane], found: Any, options: Any, watch: Watch) -> None:
    """Go on here where a minimizer on the device has ended in one of the ways `DOUBTED`."""
    small = np.flatnonzero(np.isin(found.stop, DOUBTED)).tolist()
    if small:
        firsts = problem.many(found.starts[small], len(small))
        for k, f, g in zip(small, *firsts, strict=True):
            lanes[k].nfev, lanes[k].njev = lanes[k].nfev + 1, lanes[k].njev + 1
            lanes[k].minimizer = _looks_again(problem, lanes[k], found, k, (f, g), options)
        batch(problem, [lanes[k] for k in small], watch)


def _looks_again(
    problem: Problem, lane: Lane, found: Any, k: int, first: Any, options: Any
) -> LBFGSB:
    """Return a minimizer that goes on, without memory, where the one on the device had ended.

    Its start had value and gradient `first`: what is small depends on them.
    """
    before: Any = lane.minimizer
    before.tell(*first)
    x, f, g = (np.array(part[k], dtype=np.float64) for part in (found.x, found.fun, found.jac))
    made = LBFGSB(x, problem.bounds, **options)
    local.go_on_from(made, before)
    made.state.nit, made.state.nfev = int(found.nit[k]), int(found.nfev[k]) - 1
    made.tell(float(f), g)
    return made


def _found(found: Any, k: int, start: Any) -> Found:
    f, status = float(found.fun[k]), int(found.status[k])
    x, g = np.array(found.x[k], dtype=np.float64), np.array(found.jac[k], dtype=np.float64)
    best = (x, f, g) if np.isfinite(f) else None
    success, nit = bool(found.success[k]), int(found.nit[k])
    return Found(best, start, success, status, found.message[k], nit)


_ENGINES = {"serial": serial, "batch": batch, "device": device}
