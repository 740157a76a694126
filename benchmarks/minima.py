"""Every minimum once: how many evaluations until all are catalogued, and how often one is listed.

``python -m benchmarks minima [-- --seeds 20 --only camel]``.  Distinct minima: evaluations, with a
gradient each, until every minimum of a function is in the catalogue, for each rule of starts,
beside SciPy's ``shgo`` (which is given gradients, and as many evaluations as a rule may take);
some of them under constraints.  The lowest: evaluations until its value is met, beside peers.  Flat
minima: how many are listed after 40 converged runs, with ends compared (as now) and without (as by
0.2.0), and what that costs.  The known minima are those of tight searches of SciPy from a grid.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from benchmarks.global_peers import installed, until_lowest
from benchmarks.problems.multimodal import CONSTRAINED, DISTINCT, LOWEST, SAME, Problem, known
from benchmarks.report import Section, Table, Target
from benchmarks.searches import RULES, cell, search
from optdriver import MultiStart

Vector = NDArray[np.float64]

CAP = 4000
"""Evaluations in which all minima are to be found."""

RUNS = 40


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


FLAT = [
    Problem("sum of fourth powers", quartic, [(-1.0, 1.3)] * 2, 1),
    Problem("Powell singular", powell, [(-4.0, 5.0)] * 4, 1),
    Problem("valley of condition 1e8", valley, [(-10.0, 13.0)] * 2, 1),
    Problem("line of minima", line, [(-1.0, 1.3)] * 2, 1),
    Problem("circle of minima", ring, [(-2.0, 2.1)] * 2, 1),
]


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


def distinct(problem: Problem, seeds: int) -> tuple[str, ...]:
    """Return the row of a function all of whose minima are looked for."""
    places = known(problem)
    if problem.minima is not None and len(places) != problem.minima:
        raise RuntimeError(f"{len(places)} minima of {problem.name}, not {problem.minima}")
    least = min(problem.function(x)[0] for x in places)
    cells = []
    for options in RULES.values():
        found = [search(problem, places, least, CAP, seed, **options) for seed in range(seeds)]
        cells.append(cell([each.all for each in found], CAP))
    peer = "" if problem.texts else by_shgo(problem, places)
    return (problem.name, str(len(places)), *cells, peer)


def lowest(problem: Problem, seeds: int) -> tuple[str, ...]:
    """Return the row of a function of which the lowest minimum is looked for."""
    least = min(problem.function(x)[0] for x in known(problem)) if problem.least is None else (
        problem.least
    )  # fmt: skip
    cells = [
        cell([search(problem, None, least, CAP, k, **options).lowest for k in range(seeds)], CAP)
        for options in RULES.values()
    ]
    peers = [
        cell([until_lowest(name, problem, least, CAP, k) for k in range(seeds)], CAP)
        for name in installed()
    ]
    return (problem.name, *cells, *peers)


def run(arguments: Sequence[str] = ()) -> Section:
    """Measure, and return the section of the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks minima", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--only", default="", help="functions whose names contain it")
    parser.add_argument("--part", choices=("distinct", "lowest", "flat"))
    given = parser.parse_args(arguments)
    seeds = given.seeds

    def wanted(problems: Sequence[Problem], part: str) -> list[Problem]:
        return [p for p in problems if given.only in p.name and given.part in (None, part)]

    every = [distinct(problem, seeds) for problem in wanted(DISTINCT + CONSTRAINED, "distinct")]
    least = [lowest(problem, seeds) for problem in wanted(DISTINCT + LOWEST, "lowest")]
    flat, worst = [], 0
    for problem in wanted(FLAT, "flat"):
        before = [listed(problem, seed, convergence_rule=2) for seed in range(seeds)]
        after = [listed(problem, seed) for seed in range(seeds)]
        worst = max(worst, max(count for count, _ in after))
        flat.append(
            (problem.name, *(f"{median(k for k, _ in each):.0f}" for each in (before, after)),
             *(f"{median(n for _, n in each):.0f}" for each in (before, after)))
        )  # fmt: skip
    tables = [
        Table(header=("function", "minima", *RULES, "shgo: minima, evaluations"), rows=every),
        Table(header=("function", *RULES, *installed()), rows=least),
        Table(
            header=("flat function", "listed before", "now", "evaluations before", "now"),
            rows=flat,
        ),
    ]
    return Section(
        name="minima" if given.part is None else f"minima-{given.part}",
        title="Every minimum, once" + f": {given.part}" * (given.part is not None),
        text=(
            "Evaluations, each with a gradient, until all minima are catalogued: median "
            f"[quartiles] of {seeds} seeds, in brackets how many of these did not get there within "
            f"{CAP}, and what `scipy.optimize.shgo` finds; the same until the lowest value is met; "
            "what the catalogue lists for one flat minimum after "
            f"{RUNS} converged runs, without and with the comparison of ends."
        ),
        targets=[Target(claim="minima listed for a flat one", value=worst, limit=1, form="d")]
        * bool(flat),
        tables=[table for table in tables if table.rows],
    )
