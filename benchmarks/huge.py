"""Claim: no success is claimed far from a minimum in a huge box, within constraints either.

``python -m benchmarks huge`` minimises random convex functions whose minima are known, in boxes of
1e3 to 1e100, by SciPy's methods behind our ask and tell and by SciPy alone, and counts the
successes that are claimed above the minimum.  With ``--keep FILE`` what was done is kept there and
not done again, and ``--seconds`` ends a run that is to be continued.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from scipy import optimize

from benchmarks.claims import GRADIENTS, KEPT, METHODS, Ended, Spent, counted
from benchmarks.peers import Vector
from benchmarks.report import Section
from optdriver import MultiStart, create_study

LIMIT = 3000
PLACES = ("box", "rows", "disc")
TEXT = """Random convex functions (a quadratic one, and a quartic one in every second problem),
whose least value is known by construction, in two to four variables, with variables at 0 where a
multiplier holds them, alone, behind one or two linear rows, or in a disc (a ball), at whose edge
the minimum is. Starts are within 10 of the minimum; the sides of the box are at 0 and at 1e3 to
1e100, or at this and its negative; the objective is multiplied by 1e-12 to 1e12; 3,000 evaluations
at most. *Above* is the value at the end above the least one, as a part of it: a claim of success is
*false* where that is more than 1e-3. Nelder-Mead and Powell take no constraints in SciPy, TNC not
here either. *Study*: the same through a study, whose variables are in units of the box. `rule 11`
is ours as it was in 0.11.0."""


class Task:
    """One of them, with its place."""

    def __init__(self, seed: int, place: str) -> None:
        chance = np.random.default_rng([11, seed, PLACES.index(place)])
        self.place, self.n = place, int(chance.integers(2, 5))
        n = self.n
        width = float(10.0 ** chance.choice([3, 4, 6, 8, 10, 15, 20, 40, 60, 100]))
        self.box = np.array([(0.0 if one else -width, width) for one in chance.random(n) < 0.5])
        self.times = float(10.0 ** chance.uniform(-12, 12))
        root = chance.standard_normal((n, n))
        self.bowl = root @ root.T + 0.1 * np.eye(n)
        self.quartic = 0.5 * (seed % 2)
        self.end = chance.uniform(0.5, 3.0, n) * np.where(self.box[:, 0] < 0.0, -1.0, 1.0)
        held = (self.box[:, 0] == 0.0) & (chance.random(n) < 0.4)
        self.end[held] = 0.0
        self.pull = np.where(held, chance.uniform(0.1, 3.0, n), 0.0)
        self.normals, self.levels = np.zeros((0, n)), np.zeros(0)
        self.middle, self.radius = np.zeros(n), 0.0
        if place == "rows":
            self.normals = chance.standard_normal((int(chance.integers(1, 3)), n))
            self.normals = self.normals[: n - int(held.sum())]
            self.levels = self.normals @ self.end
            self.pull -= chance.uniform(0.1, 3.0, len(self.levels)) @ self.normals
        if place == "disc":
            way = chance.standard_normal(n)
            self.radius = float(chance.uniform(1.0, 5.0))
            self.middle = self.end - self.radius * way / float(np.linalg.norm(way))
            self.pull -= float(chance.uniform(0.1, 3.0)) * (self.end - self.middle)
        self.start = self.end
        for _ in range(10_000):
            x = np.clip(self.end + chance.uniform(-10.0, 10.0, n), *self.box.T)
            if self.place == "disc":  # drawn to its middle, of which the box may have a part only
                x = np.maximum(self.middle + chance.random() * (x - self.middle), self.box[:, 0])
            if self.violation(x) <= 0.0:
                self.start = x
                break

    def value(self, x: Vector) -> float:
        """Return the value."""
        d = np.asarray(x) - self.end
        square = d @ self.bowl @ d  # may overflow
        return float(self.times * (1.0 + square / 2 + self.quartic * square**2 + self.pull @ d))

    def slope(self, x: Vector) -> Vector:
        """Return the gradient."""
        d = np.asarray(x) - self.end
        square = d @ self.bowl @ d
        g = (1.0 + 4.0 * self.quartic * square) * (self.bowl @ d) + self.pull
        return np.asarray(self.times * g)

    @property
    def texts(self) -> list[str] | None:
        """The constraints as ours takes them."""
        if self.place == "box":
            return None
        if self.place == "disc":
            squares = [f"(x{i + 1} - ({float(c)!r}))^2" for i, c in enumerate(self.middle)]
            return [f"{' + '.join(squares)} <= {self.radius**2!r}"]
        return [
            " + ".join(f"({float(c)!r}) * x{i + 1}" for i, c in enumerate(row)) + f" <= {level!r}"
            for row, level in zip(self.normals, self.levels.tolist(), strict=True)
        ]

    @property
    def rows(self) -> list[Any]:
        """The constraints as SciPy takes them."""
        if self.place == "box":
            return []
        if self.place == "rows":
            return [optimize.LinearConstraint(self.normals, -np.inf, self.levels)]
        squared: Any = lambda x: (x - self.middle) @ (x - self.middle)  # noqa: E731
        slope: Any = lambda x: 2.0 * (x - self.middle)[None]  # noqa: E731
        return [optimize.NonlinearConstraint(squared, -np.inf, self.radius**2, jac=slope)]

    def violation(self, x: Vector) -> float:
        """Return by how much the constraints are violated."""
        left = [*(self.normals @ x - self.levels)]
        if self.place == "disc":
            left.append((x - self.middle) @ (x - self.middle) - self.radius**2)
        return max(0.0, *map(float, left)) if left else 0.0

    def above(self, x: Vector) -> float:
        """Return how much higher than the least one the value is, as a part of it."""
        return self.value(x) / self.times - 1.0


def ours(seed: int, place: str, method: str, rule: int) -> Ended:
    """Run one minimizer of ours."""
    task, told = Task(seed, place), method in GRADIENTS
    made = MultiStart(
        task.box, method=method, jac=told, initial_samples=[task.start], max_num_minimizers=1,
        constraints=task.texts, must_stay_feasible=method in KEPT, convergence_rule=rule,
    )  # fmt: skip
    while made.nfev < LIMIT and (points := made.ask(1)) and points[0].run == 0:
        x = points[0].x
        made.tell(points[0].id, task.value(x), task.slope(x) if told else None)
    run = made.runs[0]
    x = task.start if run.x is None else np.array(run.x)
    return run.state == "converged", task.above(x), run.nfev


def study(seed: int, place: str, method: str, rule: int) -> Ended:
    """Run one minimizer of a study."""
    task, told = Task(seed, place), method in GRADIENTS
    names = [f"x{i + 1}" for i in range(task.n)]
    made = create_study(
        {name: tuple(side) for name, side in zip(names, task.box.tolist(), strict=True)},
        constraints=task.texts, driver=method, jac=told, must_stay_feasible=method in KEPT,
        initial_samples=[task.start.tolist()], max_num_minimizers=1, convergence_rule=rule,
    )  # fmt: skip
    calls = 0
    while calls < LIMIT and (asked := made.ask()) is not None and asked.run == 0:
        x, calls = np.array([asked.params[name] for name in names]), calls + 1
        g = dict(zip(names, task.slope(x).tolist(), strict=True)) if told else None
        made.tell(asked.id, task.value(x), g)
    run = made.runs[0]
    x = task.start if run.params is None else np.array([run.params[name] for name in names])
    return run.state == "converged", task.above(x), calls


def scipys(seed: int, place: str, method: str) -> Ended:
    """Run SciPy's."""
    task, calls, x = Task(seed, place), 0, np.zeros(0)

    def value(at: Vector) -> float:
        nonlocal calls, x
        if calls >= LIMIT:
            raise Spent
        calls, x = calls + 1, np.array(at)
        return task.value(at)

    given: dict[str, Any] = {"jac": task.slope} if method in GRADIENTS else {}
    if place != "box":
        given["constraints"] = task.rows
    run: Any = optimize.minimize
    try:
        found = run(value, task.start, method=method, bounds=task.box, **given)
    except (Spent, ValueError, ArithmeticError):
        return False, task.above(x if x.size else task.start), calls
    claims = bool(found.success) and task.violation(found.x) <= 1e-6
    return claims, task.above(found.x), calls


def ways(place: str) -> dict[str, Callable[[int], Ended]]:
    """Return who is run there."""
    made: dict[str, Callable[[int], Ended]] = {}
    for method in METHODS:
        if place == "box" or method != "TNC":
            for rule in (12, 11):
                old = ", rule 11" * (rule == 11)
                made[f"{method}{old}"] = partial(ours, place=place, method=method, rule=rule)
                made[f"{method}, study{old}"] = partial(
                    study, place=place, method=method, rule=rule
                )
        if place == "box" or method not in (*KEPT, "TNC"):
            made[f"SciPy {method}"] = partial(scipys, place=place, method=method)
    return made


def run(arguments: Sequence[str] = ()) -> Section:
    """Run all and return the section of the results."""
    return counted(
        arguments,
        Section(name="huge", title="Huge boxes", text=TEXT),
        __doc__,
        places=PLACES,
        ways=ways,
        noun="problems",
        heads="runs",
        old="rule",
    )
