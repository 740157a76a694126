"""The points that are asked under constraints, as hexadecimal numbers.

``python -m tests.geometry.sequences [NAME ...]`` prints them: what the processor may not change.
"""

from __future__ import annotations

import itertools
import json
import sys
import warnings
from collections.abc import Callable
from functools import partial

import numpy as np

import optdriver
from benchmarks.hs import EQUALITIES, INEQUALITIES, Objective
from optdriver.constraints import ConstraintSet
from optdriver.feasible import FeasibleMinimizer

LOCAL = ["HS12", "HS43", "HS63", "HS71", "HS76", "HS100", "HS103", "HS106", "HS108", "HS111"]
"""Problems with sums, products, powers, roots, logarithms, equalities, and starts to be moved."""

STUDIES = {
    "annulus": ["x^2 + y^2 <= 2", "x^2 + y^2 >= 0.5"],
    "curve": ["exp(x) * cos(y) == 1.2", "sin(x + y) <= 0.9"],
    "line": ["0.3*x + 0.7*y + 0.1*z <= 0.4"],
    "surface": ["x^2 + y^2/3 + z^2 == 1"],
    "corner": ["x + y <= -2.1", "y >= tanh(z)"],
}


def local(name: str) -> list[list[str]]:
    """Return the points that the feasible minimizer asks, with its numbers of the last."""
    problem = next(p for p in (*INEQUALITIES, *EQUALITIES) if p.name == name)
    objective = Objective(problem)
    box = np.column_stack(problem.box)
    opt = FeasibleMinimizer(problem.start, problem.texts, box, names=problem.names, maxfun=40)
    points = []
    while not opt.done:
        points.append(opt.ask())
        opt.tell(*objective(points[-1]))
    return [hexed(x) for x in [*points, opt.result.kkt, opt.result.bound_multipliers]]


def study(texts: list[str], *, gradients: bool) -> list[list[str]]:
    """Return the points of a study from feasible starts."""
    box = {"x": (-2.0, 2.0), "y": (-2.0, 2.0), "z": (-2.0, 2.0)}
    made = optdriver.create_study(box, constraints=texts, jac=gradients, num_initial=2, max_iter=30)
    points = []
    while not made.is_done():
        asked = made.ask()
        x = np.array([asked.params[name] for name in box])
        points.append(hexed(x))
        f, g = bowl(x)
        made.tell(asked.id, f, g) if gradients else made.tell(asked.id, f)
    return points


def large(n: int = 40) -> list[list[str]]:
    """Return what projection makes of points, rows of one form together and a wide sum."""
    names = [f"v{i}" for i in range(n)]
    texts = [f"exp({a}) + sin({b})^2 <= 1.5" for a, b in itertools.pairwise(names)]
    texts += ["+".join(f"{name}^1.5" for name in names) + " <= 3"]
    made = ConstraintSet(texts, names, [(0.01, 2.0)] * n)
    starts = np.random.default_rng(1).uniform(0.01, 2.0, (4, n))
    return [hexed(made.project(x).x) for x in starts] + [hexed(made.values_many(starts).ravel())]


def bowl(x: np.ndarray) -> tuple[float, np.ndarray]:
    """Return a quadratic function, its terms added in order, and its gradient."""
    weights, middle = np.array([1.0, 3.0, 10.0]), np.array([0.9, -0.4, 0.2])
    total = 0.0
    for w, a in zip(weights.tolist(), (x - middle).tolist(), strict=True):
        total += w * a * a
    return total, 2.0 * weights * (x - middle)


def hexed(x: np.ndarray) -> list[str]:
    """Return numbers to the last bit."""
    return [float(v).hex() for v in np.atleast_1d(x)]


def all_sequences() -> dict[str, Callable[[], list[list[str]]]]:
    """Return what makes each sequence, by name."""
    made: dict[str, Callable[[], list[list[str]]]] = {"large": large}
    for name in LOCAL:
        made[name] = partial(local, name)
    for name, texts in STUDIES.items():
        made[name] = partial(study, texts, gradients=True)
        made[f"{name}-differences"] = partial(study, texts, gradients=False)
    return made


def main(wanted: list[str]) -> None:
    """Print the sequences of these names, or all."""
    warnings.simplefilter("ignore")
    known = all_sequences()
    json.dump({name: known[name]() for name in wanted or known}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1:])
