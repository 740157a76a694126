"""Claim: no success is claimed in a narrow curved valley, within constraints either.

``python -m benchmarks curved`` minimises random valleys in a box, in a disc and behind a linear
row, by SciPy's methods behind our ask and tell and by SciPy alone, and counts the successes that
are claimed above the minimum beside them.  With ``--keep FILE`` what was done is kept there and not
done again, and ``--seconds`` ends a run that is to be continued.
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
from optdriver import MultiStart

LIMIT = 6000
SIDE = 2.0
PLACES = ("box", "disc", "row")
TEXT = """Random narrow valleys whose floors are parabolas, turned, in two and three variables, from
random starts in a box of side 4, in a disc (a ball) within it, and behind a linear row; 6,000
evaluations at most. *Above* is the value at the end above the least that SciPy's SLSQP
reaches from there and from eight points beside it with exact derivatives, as a part of
it: a claim of success is *false* where that is more than 1e-3. SciPy alone has its own defaults;
Nelder-Mead and Powell take no constraints there, TNC not here either. `convergence_rule=10` is ours
as it was in 0.10.0."""


class Valley:
    """One of them, with its place."""

    def __init__(self, seed: int, place: str) -> None:
        chance = np.random.default_rng([10, seed])
        self.place, self.n = place, 3 if seed % 4 == 3 else 2
        self.turn = np.linalg.qr(chance.standard_normal((self.n, self.n)))[0]
        self.middle = chance.uniform(-0.5, 0.5, self.n)
        self.walls = float(10.0 ** chance.uniform(1.5, 3.5))
        self.bend = float(chance.uniform(0.5, 2.0))
        self.at = chance.uniform(-0.7, 0.7, self.n)
        self.radius = float(chance.uniform(0.8, 1.6))
        self.normal = chance.standard_normal(self.n)
        self.normal /= float(np.linalg.norm(self.normal))
        self.level = float(chance.uniform(-0.3, 0.6))
        self.box = np.array([(-SIDE, SIDE)] * self.n)
        x = chance.uniform(-1.5, 1.5, self.n)
        if place == "disc":
            x *= min(1.0, 0.9 * self.radius / float(np.linalg.norm(x)))
        if place == "row":
            x -= max(0.0, float(self.normal @ x) - self.level + 0.1) * self.normal
        self.start = x

    def value(self, x: Vector) -> float:
        """Return the value."""
        y = self.turn @ (np.asarray(x) - self.middle)
        off = y[1] - self.bend * y[0] ** 2
        return float(1.0 + self.walls * off**2 + np.sum((y - self.at) ** 2))

    def slope(self, x: Vector) -> Vector:
        """Return the gradient."""
        y = self.turn @ (np.asarray(x) - self.middle)
        off, g = y[1] - self.bend * y[0] ** 2, 2.0 * (y - self.at)
        g[1] += 2.0 * self.walls * off
        g[0] -= 4.0 * self.walls * self.bend * off * y[0]
        return np.asarray(self.turn.T @ g)

    @property
    def text(self) -> str | None:
        """The constraint as ours takes it."""
        if self.place == "box":
            return None
        if self.place == "disc":
            squares = " + ".join(f"x{i + 1}^2" for i in range(self.n))
            return f"{squares} <= {self.radius**2!r}"
        terms = " + ".join(f"({float(c)!r}) * x{i + 1}" for i, c in enumerate(self.normal))
        return f"{terms} <= {self.level!r}"

    @property
    def rows(self) -> list[Any]:
        """The constraint as SciPy takes it."""
        if self.place == "box":
            return []
        if self.place == "row":
            return [optimize.LinearConstraint(self.normal[None], -np.inf, self.level)]
        squared: Any = lambda x: x @ x  # noqa: E731
        slope: Any = lambda x: 2.0 * x[None]  # noqa: E731
        return [optimize.NonlinearConstraint(squared, -np.inf, self.radius**2, jac=slope)]

    def violation(self, x: Vector) -> float:
        """Return by how much the constraint is violated."""
        levels = {"box": -1.0, "disc": x @ x - self.radius**2, "row": self.normal @ x - self.level}
        return max(0.0, float(levels[self.place]))

    def above(self, x: Vector) -> float:
        """Return how much higher than the minimum below it the value is at a point, as a part."""
        least = self.value(x)
        for k in range(9):
            beside = np.zeros(self.n)
            angle = np.pi / 4 * k
            beside[:2] = 0.01 * np.array([np.cos(angle), np.sin(angle)]) * (k > 0)
            found = optimize.minimize(
                self.value, np.clip(x + beside, -SIDE, SIDE), jac=self.slope, bounds=self.box,
                constraints=self.rows, method="SLSQP", options={"ftol": 1e-15, "maxiter": 500},
            )  # fmt: skip
            if self.violation(found.x) <= 1e-8:
                least = min(least, float(found.fun))
        return (self.value(x) - least) / least


def ours(seed: int, place: str, method: str, rule: int) -> Ended:
    """Run one minimizer of ours."""
    task, told = Valley(seed, place), method in GRADIENTS
    made = MultiStart(
        task.box, method=method, jac=told, initial_samples=[task.start], max_num_minimizers=1,
        constraints=task.text, must_stay_feasible=method in KEPT, convergence_rule=rule,
    )  # fmt: skip
    while made.nfev < LIMIT and (points := made.ask(1)) and points[0].run == 0:
        x = points[0].x
        made.tell(points[0].id, task.value(x), task.slope(x) if told else None)
    run = made.runs[0]
    x = task.start if run.x is None else np.array(run.x)
    return run.state == "converged", task.above(x), run.nfev


def scipys(seed: int, place: str, method: str) -> Ended:
    """Run SciPy's."""
    task, calls, x = Valley(seed, place), 0, np.zeros(0)

    def value(at: Vector) -> float:
        nonlocal calls, x
        if calls >= LIMIT:
            raise Spent
        calls, x = calls + 1, np.array(at)
        return task.value(at)

    options = {} if method == "COBYLA" else {"maxfev": LIMIT}
    given: dict[str, Any] = {"jac": task.slope} if method in GRADIENTS else {"options": options}
    if place != "box":
        given["constraints"] = task.rows
    run: Any = optimize.minimize
    try:
        found = run(value, task.start, method=method, bounds=task.box, **given)
    except Spent:
        return False, task.above(x), calls
    claims = bool(found.success) and task.violation(found.x) <= 1e-6
    return claims, task.above(found.x), calls


def ways(place: str) -> dict[str, Callable[[int], Ended]]:
    """Return who is run there."""
    made: dict[str, Callable[[int], Ended]] = {}
    for method in METHODS:
        if place == "box" or method != "TNC":
            for rule in (11, 10):
                name = f"{method}{', `convergence_rule=10`' * (rule == 10)}"
                made[name] = partial(ours, place=place, method=method, rule=rule)
        if place == "box" or method not in (*KEPT, "TNC"):
            made[f"SciPy {method}"] = partial(scipys, place=place, method=method)
    return made


def run(arguments: Sequence[str] = ()) -> Section:
    """Run all and return the section of the results."""
    return counted(
        arguments,
        Section(name="curved", title="Narrow curved valleys within constraints", text=TEXT),
        __doc__,
        places=PLACES,
        ways=ways,
        noun="valleys",
        heads="valleys",
        old="=",
    )
