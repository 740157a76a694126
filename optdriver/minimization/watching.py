"""What looks on while the minimizers run: the user's callback, and a bar in the terminal."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from scipy.optimize import OptimizeResult

from optdriver.errors import InputTypeError
from optdriver.execution.progress import Show
from optdriver.minimization.lanes import Lane
from optdriver.minimization.problem import Problem
from optdriver.space.pytree import Structure
from optdriver.space.units import Unit


class Stopped(Exception):
    """The callback wants no more."""


class Watch:
    """Calls the callback after every iteration of every start.

    Parameters
    ----------
    callback : callable or None
        ``callback(intermediate_result)``, known by the name of its argument, or ``callback(x)``.
    problem : Problem
    show : callable
        Brings the bar up to date.

    """

    def __init__(self, callback: Any, problem: Problem, show: Show) -> None:
        if callback is not None and not callable(callback):
            raise InputTypeError(f"callback is a function, not {callback!r}")
        self._callback, self._problem, self._show = callback, problem, show
        self._detailed = callback is not None and _wants_result(callback)

    def look(self, lane: Lane) -> None:
        """Take notice of what was told to a lane.

        Raises
        ------
        Stopped
            The callback has raised StopIteration.
        """
        self._show()
        minimizer = lane.minimizer
        if self._callback is None or minimizer.nit <= lane.nit or minimizer.best is None:
            return
        lane.nit = minimizer.nit
        try:
            self._call(lane)
        except StopIteration as request:
            raise Stopped(str(request)) from None

    def _call(self, lane: Lane) -> None:
        best = lane.minimizer.best
        if best is None:
            return
        problem, (z, f, g) = self._problem, best
        x = problem.objective.result(problem.to_user(z))
        if not self._detailed:
            self._callback(x)
            return
        made: OptimizeResult = OptimizeResult()
        made.update(
            x=x, fun=with_loss_unit(problem, f), nit=lane.nit, nfev=lane.nfev, start=lane.index
        )
        if g is not None:
            made["jac"] = gradient(problem, g, z)
        self._callback(intermediate_result=made)


def _wants_result(callback: Callable[..., Any]) -> bool:
    try:
        return list(inspect.signature(callback).parameters) == ["intermediate_result"]
    except (TypeError, ValueError):  # a builtin that does not tell
        return False


def with_loss_unit(problem: Problem, f: float) -> Any:
    """Return a value of the loss as the user has it, with its unit."""
    unit, value = problem.value_unit, problem.sign * f
    return value if unit is None else unit.attach(value)


def gradient(problem: Problem, g: Any, z: Any) -> Any:
    """Return a gradient by z, at z, as one by the parameters, with their structure and units."""
    slope = problem.sign * problem.coordinates.slope(problem.to_user(z))
    return structured(problem.structure, g / slope, problem.value_unit, units=problem.units)


def structured(structure: Structure, g: Any, loss: Unit | None, *, units: bool) -> Any:
    """Return the vector of a gradient with the structure and, if wanted, units of the parameters.

    `loss` is the unit of the values.
    """

    def leaf(leaf: Any, part: Any) -> Any:
        numbers = part if leaf.shape else float(part)
        if not units:
            return numbers
        if loss is not None:
            return (loss / leaf.unit).attach(numbers)
        return numbers if leaf.unit is None else leaf.unit.inverse().attach(numbers)

    return structure.build(g, leaf)


def line(lanes: Sequence[Lane], sign: float = 1.0) -> dict[str, Any]:
    """Return what the bar shows."""
    ended = sum(lane.minimizer.done for lane in lanes)
    found = [lane.minimizer.best for lane in lanes]
    values = [best[1] for best in found if best is not None]
    text = f"best {sign * min(values):.6g}" if values else "best none yet"
    return {"completed": ended, "total": len(lanes), "description": f"starts: {text}"}
