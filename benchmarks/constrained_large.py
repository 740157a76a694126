"""Claim: under many constraints the work beside an evaluation stays below a second at n = 1000.

``python -m benchmarks constrained_large`` runs three problems of any size, their constraints given
as texts: a chain of curved inequalities, one dense row over all variables, and steps that are
bounded.  ``--sizes 100`` takes that size alone.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.hs.problem import Vector
from benchmarks.report import Section, Table, Target
from optdriver.feasible import FeasibleMinimizer

SIZES = (10, 100, 1000)
MOST = 200
TEXT = """Three problems of growing size at the default options. *Seconds beside an evaluation*: the
time of `tell` with all inner work, mean and largest of the run; *compile* is the time from texts to
the first point. All asked points are feasible. Products of sparse Jacobians are sparse, the matrix
of the subproblem is dense: 8 n^2 bytes, of which a handful are alive."""


@dataclass(frozen=True, kw_only=True)
class Scalable:
    """A problem for every n: texts, objective with gradient, start."""

    name: str
    texts: Callable[[int], list[str]]
    objective: Callable[[Vector], tuple[float, Vector]]
    start: Callable[[int], Vector]


def _valley(x: Vector) -> tuple[float, Vector]:
    """Neighbours that want to agree on different goals."""
    goal = 1.0 + 0.5 * np.sin(np.arange(len(x)))
    bends, away = x[1:] - x[:-1], x - goal
    g = 2.0 * away + 4.0 * away**3
    g[1:] += 2.0 * bends
    g[:-1] -= 2.0 * bends
    return float(away @ away + np.sum(away**4) + bends @ bends), g


PROBLEMS = (
    Scalable(
        name="chain",
        texts=lambda n: [f"x{i}^2 + x{i + 1} <= 1.2" for i in range(1, n)],
        objective=_valley,
        start=lambda n: np.zeros(n),
    ),
    Scalable(
        name="one dense row",
        texts=lambda n: [" + ".join(f"x{i}^2" for i in range(1, n + 1)) + f" <= {0.5 * n}"],
        objective=_valley,
        start=lambda n: np.zeros(n),
    ),
    Scalable(
        name="bounded steps",
        texts=lambda n: [f"(x{i + 1} - x{i})^2 <= 0.04" for i in range(1, n)],
        objective=_valley,
        start=lambda n: np.ones(n),
    ),
)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What one run took."""

    name: str
    n: int
    compile_s: float
    mean_s: float
    largest_s: float
    nfev: int
    converged: bool
    kkt: float
    violation: float


def measure(problem: Scalable, n: int) -> Measured:
    """Run `problem` at size `n`."""
    began = time.perf_counter()
    opt = FeasibleMinimizer(problem.start(n), problem.texts(n), maxfun=MOST)
    compiled = time.perf_counter() - began
    spent: list[float] = []
    worst = 0.0
    while not opt.done:
        x = opt.ask()
        worst = max(worst, float(np.max(opt.constraints.values(x))))
        f, g = problem.objective(x)
        began = time.perf_counter()
        opt.tell(f, g)
        spent.append(time.perf_counter() - began)
    return Measured(
        name=problem.name,
        n=n,
        compile_s=compiled,
        mean_s=float(np.mean(spent)),
        largest_s=max(spent),
        nfev=opt.nfev,
        converged=opt.converged,
        kkt=float(opt.result.kkt),
        violation=worst,
    )


def run(options: Sequence[str]) -> Section:
    """Measure all problems at all sizes and return the section of the results."""
    parser = argparse.ArgumentParser(prog="constrained_large", description=__doc__)
    parser.add_argument("--sizes", nargs="*", type=int, default=list(SIZES))
    sizes = parser.parse_args(list(options)).sizes
    found = [measure(problem, n) for problem in PROBLEMS for n in sizes]
    header = ("problem", "n", "evaluations", "optimal", "residual", "compile s", "mean s", "max s")
    rows = [
        (
            each.name,
            str(each.n),
            str(each.nfev),
            "yes" if each.converged else "no",
            f"{each.kkt:.1e}",
            f"{each.compile_s:.2f}",
            f"{each.mean_s:.3f}",
            f"{each.largest_s:.3f}",
        )
        for each in found
    ]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0
    return Section(
        name="constrained-large",
        title="Constraints: larger problems",
        text=TEXT,
        targets=[
            Target(
                claim="mean seconds beside an evaluation, all sizes",
                value=max(each.mean_s for each in found),
                limit=1.0,
            ),
            Target(
                claim="largest violation of an asked point",
                value=max(each.violation for each in found),
                limit=0.0,
            ),
            Target(
                claim="part of the runs that end optimal",
                value=float(np.mean([each.converged for each in found])),
                limit=1.0,
                at_least=True,
            ),
        ],
        tables=[Table(header=header, rows=rows, caption=f"Peak memory {peak:.0f} MB.")],
    )
