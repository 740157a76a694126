"""The points that are asked under constraints and of fits, as hexadecimal numbers.

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


def rational(b: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return residuals of a rational function by + - * / alone, and their Jacobian."""
    t = np.arange(size) / size * 3.0 - 1.0
    bottom = 1.0 + t * (0.4 + t * b[3])
    made = (b[0] + t * (b[1] + t * b[2])) / bottom
    noise = (np.arange(size) * 7919 % 101 / 101.0 - 0.5) * 0.2
    columns = [1.0 / bottom, t / bottom, t * t / bottom, -made * t * t / bottom]
    seen = (1.3 - t * (0.8 - t * 0.6)) / (1.0 + t * (0.4 + t * 0.5))
    return made - seen - noise, np.column_stack(columns)


def fit(
    size: int, *, box: object = None, texts: list[str] | None = None, loss: str = "linear"
) -> list[list[str]]:
    """Return the points of a fit, with its factors and gradient at the end."""
    start, options = np.array([0.2, 1.0, -2.0, 3.0]), {"loss": loss, "f_scale": 0.05}
    opt = (
        optdriver.LeastSquares(start, box, **options)
        if texts is None
        else FeasibleMinimizer(start, texts, box, residuals=True, **options)
    )
    points = []
    while not opt.done:
        points.append(opt.ask())
        opt.tell(*rational(points[-1], size))
    points += [opt.factors.triangle.ravel()]
    return [hexed(x) for x in points]


def quadratic_programs(name: str) -> list[list[str]]:
    """Return the points of a run whose rows are told."""
    problem = next(p for p in (*INEQUALITIES, *EQUALITIES) if p.name == name)
    objective, box = Objective(problem), np.column_stack(problem.box)
    rows = ConstraintSet(problem.texts, problem.names, [(None, None)] * len(problem.names))
    opt = optdriver.SQP(
        problem.start,
        box,
        inequalities=rows.n_inequalities,
        equalities=rows.n_equalities,
        maxfun=40,
    )
    points = []
    while not opt.done:
        points.append(opt.ask())
        f, g = objective(points[-1])
        values, slopes = rows.values(points[-1]), rows.jacobian(points[-1])
        opt.tell(np.concatenate([[f], values]), np.vstack([g[None], slopes]))
    return [hexed(x) for x in points]


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
    made: dict[str, Callable[[], list[list[str]]]] = {
        "large": large,
        "fit": partial(fit, 40),
        "fit-tiles": partial(fit, 700, loss="cauchy"),
        "fit-box": partial(fit, 40, box=[(None, 1.0), (None, None), (0.7, None), (0.1, 2.0)]),
        "fit-ball": partial(fit, 40, texts=["x1^2 + x2^2 + x3^2 + x4^2 <= 2"], loss="soft_l1"),
    }
    for name in ("HS43", "HS71", "HS100"):
        made[f"SQP-{name}"] = partial(quadratic_programs, name)
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
