"""Every minimum once: how many evaluations until all are catalogued, and how often one is listed.

``python -m benchmarks minima [-- --seeds 20]``.  Distinct minima: evaluations, with a gradient
each, until every minimum of a function is in the catalogue (looked at every ten), for each rule of
starts, beside SciPy's ``shgo`` (which is given gradients, and as many evaluations as a rule may
take).  Flat minima: how many are listed after 40 converged runs, with ends compared (as now) and
without (as by 0.2.0), and what that costs.  The known minima are those of tight L-BFGS-B from a
grid.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from benchmarks.report import Section, Table, Target
from optdriver import MultiStart

Vector = NDArray[np.float64]
Function = Callable[[Vector], tuple[float, Vector]]

CAP = 4000
"""Evaluations in which all minima are to be found."""

LOOK = 10
RUNS = 40
SAME = 1e-3
"""How near to a known minimum one of the catalogue is, in widths of the box."""

RULES: dict[str, dict[str, Any]] = {
    "sobol": {},
    "uniform": {"sobol_sequence": False},
    "mlsl": {"start_rule": "mlsl"},
}

_SHEKEL_A = np.array(
    [[4, 4, 4, 4], [1, 1, 1, 1], [8, 8, 8, 8], [6, 6, 6, 6], [3, 7, 3, 7],
     [2, 9, 2, 9], [5, 5, 3, 3], [8, 1, 8, 1], [6, 2, 6, 2], [7, 3.6, 7, 3.6]]
)  # fmt: skip
_SHEKEL_C = np.array([0.1, 0.2, 0.2, 0.4, 0.4, 0.6, 0.3, 0.7, 0.5, 0.5])


@dataclass(frozen=True, slots=True)
class Problem:
    """A function with its gradient, its box, and how many minima it has."""

    name: str
    function: Function
    bounds: list[tuple[float, float]]
    minima: int


def camel(x: Vector) -> tuple[float, Vector]:
    """Six-hump camel (Dixon and Szego 1978)."""
    a, b = x
    f = (4 - 2.1 * a * a + a**4 / 3) * a * a + a * b + (4 * b * b - 4) * b * b
    return float(f), np.array([8 * a - 8.4 * a**3 + 2 * a**5 + b, a + 16 * b**3 - 8 * b])


def himmelblau(x: Vector) -> tuple[float, Vector]:
    """Himmelblau's function (1972): four minima of the value 0."""
    a, b = x[0] ** 2 + x[1] - 11, x[0] + x[1] ** 2 - 7
    return float(a * a + b * b), np.array([4 * a * x[0] + 2 * b, 2 * a + 4 * b * x[1]])


def rastrigin(x: Vector) -> tuple[float, Vector]:
    """Rastrigin's function (1974)."""
    f = np.sum(x * x - 10 * np.cos(2 * np.pi * x) + 10)
    return float(f), 2 * x + 20 * np.pi * np.sin(2 * np.pi * x)


def shekel(x: Vector) -> tuple[float, Vector]:
    """Shekel's function with ten minima (1971)."""
    d = x - _SHEKEL_A
    q = np.sum(d * d, axis=1) + _SHEKEL_C
    return float(-np.sum(1 / q)), np.asarray(2 * np.sum(d / (q * q)[:, None], axis=0))


def quartic(x: Vector) -> tuple[float, Vector]:
    """Return the sum of fourth powers."""
    return float(np.sum(x**4)), 4 * x**3


def powell(x: Vector) -> tuple[float, Vector]:
    """Powell's singular function (1962)."""
    a, b, c, d = x
    f = (a + 10 * b) ** 2 + 5 * (c - d) ** 2 + (b - 2 * c) ** 4 + 10 * (a - d) ** 4
    p, q, r, s = 2 * (a + 10 * b), 10 * (c - d), 4 * (b - 2 * c) ** 3, 40 * (a - d) ** 3
    return float(f), np.array([p + s, 10 * p + r, q - 2 * r, -q - s])


def valley(x: Vector) -> tuple[float, Vector]:
    """Return a quadratic of condition 1e8."""
    return float(0.5e-8 * x[0] ** 2 + 0.5 * x[1] ** 2), np.array([1e-8 * x[0], x[1]])


def line(x: Vector) -> tuple[float, Vector]:
    """Return a function whose minima are a line."""
    t = x[0] - x[1]
    return float(t * t), np.array([2 * t, -2 * t])


def ring(x: Vector) -> tuple[float, Vector]:
    """Return a function whose minima are a circle."""
    t = float(x @ x) - 1.0
    return t * t, 4.0 * t * x


DISTINCT = [
    Problem("six-hump camel", camel, [(-3.0, 3.0), (-2.0, 2.0)], 6),
    Problem("Himmelblau", himmelblau, [(-5.0, 5.0)] * 2, 4),
    Problem("Rastrigin", rastrigin, [(-2.5, 2.5)] * 2, 25),
    Problem("Shekel 10", shekel, [(0.0, 10.0)] * 4, 10),
]
FLAT = [
    Problem("sum of fourth powers", quartic, [(-1.0, 1.3)] * 2, 1),
    Problem("Powell singular", powell, [(-4.0, 5.0)] * 4, 1),
    Problem("valley of condition 1e8", valley, [(-10.0, 13.0)] * 2, 1),
    Problem("line of minima", line, [(-1.0, 1.3)] * 2, 1),
    Problem("circle of minima", ring, [(-2.0, 2.1)] * 2, 1),
]


def known(problem: Problem) -> Vector:
    """Return the minima, found by SciPy from a grid; from beside each of them it leads back."""
    number = 21 if len(problem.bounds) == 2 else 5
    lower, upper = np.array(problem.bounds).T
    width = upper - lower

    def end(start: Any) -> Vector:
        found = optimize.minimize(
            problem.function, np.clip(start, lower, upper), jac=True, method="L-BFGS-B",
            bounds=problem.bounds, options={"ftol": 0.0, "gtol": 1e-9},
        )  # fmt: skip
        return np.asarray(found.x)

    def apart(x: Vector, y: Vector) -> bool:
        return bool(np.max(np.abs(x - y) / width) > SAME)

    found: list[Vector] = []
    for start in itertools.product(*np.linspace(lower + 0.013 * width, upper, number).T):
        x = end(start)
        if all(apart(x, y) for y in found):
            found.append(x)
    beside = np.random.default_rng(1).uniform(-1e-3, 1e-3, (4, width.size)) * width
    return np.array([x for x in found if not any(apart(end(x + step), x) for step in beside)])


def until_all(problem: Problem, places: Vector, seed: int, **options: Any) -> int | None:
    """Return the evaluations until every known minimum is catalogued; None beyond the cap."""
    width = np.array([high - low for low, high in problem.bounds])
    starts, missing = MultiStart(problem.bounds, seed=seed, **options), list(places)
    while starts.nfev < CAP:
        for _ in range(LOOK):
            (point,) = starts.ask(1)
            starts.tell(point.id, *problem.function(point.x))
        for minimum in starts.minima:
            missing = [x for x in missing if np.max(np.abs(x - minimum.x) / width) > SAME]
        if not missing:
            return starts.nfev
    return None


def listed(problem: Problem, seed: int, **options: Any) -> tuple[int, int]:
    """Return how many minima are listed after some runs, and the evaluations."""
    starts = MultiStart(problem.bounds, max_num_minimizers=RUNS, seed=seed, **options)
    while not starts.done:
        (point,) = starts.ask(1)
        starts.tell(point.id, *problem.function(point.x))
    return len(starts.minima), starts.nfev


def by_shgo(problem: Problem, places: Vector) -> str:
    """Return how many of the minima SciPy's shgo finds, with how many evaluations."""
    width = np.array([high - low for low, high in problem.bounds])
    result = optimize.shgo(
        lambda x: problem.function(x)[0], problem.bounds, n=128, iters=3, sampling_method="sobol",
        options={"maxfev": CAP},
        minimizer_kwargs={"method": "L-BFGS-B", "jac": lambda x: problem.function(x)[1]},
    )  # fmt: skip
    ends = result.xl if len(result.get("xl", ())) else np.empty((0, len(width)))
    hit = sum(bool(np.any(np.max(np.abs(ends - x) / width, axis=1) <= SAME)) for x in places)
    return f"{hit} of {len(places)}, {result.nfev}"


def run(arguments: Sequence[str] = ()) -> Section:
    """Measure, and return the section of the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks minima", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    seeds = parser.parse_args(arguments).seeds
    rows, lost = [], 0
    for problem in DISTINCT:
        places = known(problem)
        if len(places) != problem.minima:
            raise RuntimeError(f"{len(places)} minima of {problem.name}, not {problem.minima}")
        cells = []
        for options in RULES.values():
            found = [until_all(problem, places, seed, **options) for seed in range(seeds)]
            missed = found.count(None)
            lost += missed
            middle = median(CAP if each is None else each for each in found)
            cells.append(f"{middle:.0f}" + (f" ({missed})" if missed else ""))
        rows.append((problem.name, str(len(places)), *cells, by_shgo(problem, places)))
    flat, worst = [], 0
    for problem in FLAT:
        before = [listed(problem, seed, convergence_rule=2) for seed in range(seeds)]
        after = [listed(problem, seed) for seed in range(seeds)]
        if problem.function is not ring:
            worst = max(worst, max(count for count, _ in after))
        flat.append(
            (problem.name, *(f"{median(k for k, _ in each):.0f}" for each in (before, after)),
             *(f"{median(n for _, n in each):.0f}" for each in (before, after)))
        )  # fmt: skip
    return Section(
        name="minima",
        title="Every minimum, once",
        text=(
            f"Median evaluations, each with a gradient, until all minima are catalogued ({seeds} "
            f"seeds, at most {CAP}; in brackets how many of the seeds did not get there), and what "
            "`scipy.optimize.shgo` finds. Then what the catalogue lists for one flat minimum after "
            f"{RUNS} converged runs, without and with the comparison of ends."
        ),
        targets=[
            Target(
                claim="minima listed for a flat one, but a circle", value=worst, limit=1, form="d"
            )
        ],
        tables=[
            Table(header=("function", "minima", *RULES, "shgo: minima, evaluations"), rows=rows),
            Table(
                header=("flat function", "listed before", "now", "evaluations before", "now"),
                rows=flat,
            ),
        ],
    )
