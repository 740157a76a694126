"""Standard problems in other units, and whether much is left to gain from a point of one.

Units are powers of two, so that the problem beneath stays the same to the bit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import scipy.optimize

from benchmarks.constrained_peers import Case, bounds
from benchmarks.hs import INEQUALITIES
from benchmarks.hs import Problem as Constrained
from benchmarks.peers import Vector, scipy_minimize
from benchmarks.problems import Problem, all_problems
from benchmarks.problems.unseen import problems

LARGEST = 20  # variables
SIDE = 10.0  # of a box where the problem has none, in sizes of the start
UNITS = {
    "as stated": (0.0, 0.0),
    "variables": (12.0, 0.0),
    "objective": (0.0, 15.0),
    "both": (12.0, 15.0),
}
"""The largest decimal exponents of the units of the variables, and of the objective."""
PART = 1e-2  # of the value
GAP = 1e-4  # of what there was to gain
FLAT = 1e-3  # of what is left to gain

Told = Callable[[Vector], "tuple[float, Vector]"]


@dataclass(frozen=True, kw_only=True)
class Task:
    """A problem in other units: x = unit * (x of the problem), f likewise.

    Attributes
    ----------
    name : str
    fun : callable
        Value and gradient, in the problem's own units.
    start, lower, upper : ndarray, shape (n,)
        In these, too.
    units : ndarray, shape (n,)
        Powers of two.
    unit : float
        A power of two: that of the objective.
    least : float
        The least value that the problem has, as far as is known.
    texts : tuple of str
        Constraints over x1 to xn.
    rows : object
        The same, compiled, with `values` and `jacobian`.
    """

    name: str = ""
    fun: Told
    start: Vector
    lower: Vector
    upper: Vector
    units: Vector
    unit: float
    least: float = -np.inf
    texts: tuple[str, ...] = ()
    rows: Any = field(default=None, repr=False)

    def __call__(self, x: Vector) -> tuple[float, Vector]:
        """Return value and gradient in the units of the task."""
        f, g = self.fun(x / self.units)
        return float(f) * self.unit, g * self.unit / self.units

    @property
    def n(self) -> int:
        """Number of variables."""
        return int(self.start.size)

    @property
    def x0(self) -> Vector:
        """The start."""
        return self.start * self.units

    @property
    def box(self) -> Vector:
        """The bounds, (n, 2)."""
        return np.column_stack([self.lower * self.units, self.upper * self.units])

    @cached_property
    def constraints(self) -> list[str]:
        """The constraints, over the variables in their units."""
        return [
            re.sub(r"\bx(\d+)\b", lambda m: f"(x{m[1]}/{float(self.units[int(m[1]) - 1])!r})", text)
            for text in self.texts
        ]

    def judged(self, x: Vector) -> str:
        """Return ``'right'``, ``'false'`` or ``'flat'`` for a point that was called a success.

        It is right if SciPy at tight tolerances, from there and in the problem's own units, gains
        no more than a hundredth of the value and 1e-4 of what there was to gain from the start.
        It is flat if the gradient there, followed as far as each variable is from 0 and from its
        start, promises less than a thousandth of what is left: no test of gradients tells such a
        plateau from a minimum.
        """
        point = np.clip(x / self.units, self.lower, self.upper)
        f, g = self.fun(point)
        first = float(self.fun(self.start)[0])
        known = np.isfinite(self.least)
        if known and f - self.least <= max(PART * abs(f), GAP * (first - self.least)):
            return "right"  # nothing lower is known from anywhere
        best = min(float(f), tight(self, point))
        if f - best <= max(PART * abs(f), GAP * (first - best)):
            return "right"
        room = np.where(g < 0.0, self.upper - point, point - self.lower)
        size = np.maximum(np.abs(point), np.abs(point - self.start))
        promise = float(np.abs(g) @ np.minimum(room, size))
        return "flat" if promise <= FLAT * (f - best) and not self.texts else "false"


def tight(task: Task, x: Vector) -> float:
    """Return the least value that SciPy finds from `x`, in the problem's own units."""
    box = np.column_stack([task.lower, task.upper])
    if task.texts:
        rows = {"type": "ineq", "fun": lambda z: -task.rows.values(z)}
        rows["jac"] = lambda z: -task.rows.jacobian(z)
        options = {"ftol": 1e-14, "maxiter": 200}
        minimize: Any = scipy.optimize.minimize
        found = minimize(
            task.fun, x, jac=True, bounds=box, constraints=rows, method="SLSQP", options=options
        )
        above = float(np.max(task.rows.values(found.x), initial=0.0))
        return float(found.fun) if above <= 1e-9 and np.isfinite(found.fun) else np.inf
    values = []
    for _ in range(3):
        found = scipy_minimize(task.fun, x, box, ftol=0.0, gtol=1e-12, maxfun=5000)
        x = found.x
        values.append(float(found.fun))
    return min(values)


def units(generator: np.random.Generator, most: float, n: int) -> Vector:
    """Return powers of two near 10^u, u uniform up to `most`."""
    return np.asarray(2.0 ** np.round(generator.uniform(-most, most, n) * np.log2(10.0)))


def boxed(lower: Vector, upper: Vector, x: Vector) -> tuple[Vector, Vector]:
    """Give sides to a box where it has none: far ones."""
    size = SIDE * np.maximum(1.0, np.abs(x))
    low = np.where(np.isfinite(lower), lower, x - size)
    return low, np.where(np.isfinite(upper), upper, x + size)


def bounded(problem: Problem, generator: np.random.Generator, scales: Sequence[float]) -> Task:
    """Return a standard problem from a start near its own, in random units."""
    n, start = problem.n, problem.start.astype(float)
    sides = np.full(n, -np.inf), np.full(n, np.inf)
    if problem.lower is not None and problem.upper is not None:
        sides = problem.lower, problem.upper
    lower, upper = boxed(*sides, start)
    moved = start + 0.05 * generator.standard_normal(n) * np.maximum(np.abs(start), 0.1)
    return Task(
        name=problem.name,
        fun=problem.fun,
        start=np.clip(moved, lower, upper),
        lower=lower,
        upper=upper,
        units=units(generator, scales[0], n),
        unit=float(units(generator, scales[1], 1)[0]),
        least=-np.inf if problem.f_star is None else problem.f_star,
    )


def constrained(case: Case, generator: np.random.Generator, scales: Sequence[float]) -> Task:
    """Return a problem with inequalities from its feasible start, in random units."""
    problem = case.problem
    lower, upper = boxed(*np.array(bounds(problem), dtype=float).T, case.start)
    return Task(
        name=problem.name,
        fun=case.objective,
        start=case.start,
        lower=lower,
        upper=upper,
        units=units(generator, scales[0], problem.n),
        unit=float(units(generator, scales[1], 1)[0]),
        texts=tuple(problem.texts),
        rows=case.constraints,
    )


def plain(problem: Constrained) -> bool:
    """Whether a problem is stated by formulas over a few variables."""
    return problem.functions is None and problem.n <= 5


def tasks(kind: str, *, under_constraints: bool = False, unseen: bool = False) -> Iterator[Task]:
    """Yield tasks in units of a kind without end, always the same ones.

    Those that are `unseen` have no part in the choice of any threshold.
    """
    pool: list[Any] = [problem for problem in all_problems() if problem.n <= LARGEST]
    make: Any = bounded
    if unseen:
        pool = [problem for seed in range(20) for problem in problems(seed)]
    if under_constraints:
        pool, make = [Case.of(problem) for problem in INEQUALITIES if plain(problem)], constrained
    for number in range(2**31):
        generator = np.random.default_rng([sum(map(ord, kind)), number])
        yield make(pool[generator.integers(len(pool))], generator, UNITS[kind])
