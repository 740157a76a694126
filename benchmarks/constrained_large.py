"""Claim: under many constraints the work beside an evaluation stays below a second at n = 1000.

``python -m benchmarks constrained-large`` runs problems of any size, their constraints given as
texts: a chain of curved inequalities, bounded steps, one dense row over all variables (as a sum,
and under a root), the equations of motion of a pendulum that is steered, the same with a free end
time, which occurs in all of them, and Luksan and Vlcek's chain of equalities.  ``--sizes 100``
takes that size alone.  Memory is measured by `tracemalloc` in a second, short run.
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.hs.problem import Vector
from benchmarks.report import Section, Table, Target
from optdriver.feasible import FeasibleMinimizer

SIZES = (100, 300, 1000, 3000)
MOST = 200
STEPS_MEASURED = 4
GROWTH_FROM, GROWTH_TO = 300, 3000
TEXT = """Problems of growing size at the default options. *Mean s, max s*: the processor time of
`tell` with all inner work, mean and largest of the run; *compile* is that from texts to the first
point; *MB*: the most memory that building and the first four steps take. All asked points are
feasible, equalities to 1e-10 of a unit gradient."""


@dataclass(frozen=True, kw_only=True)
class Scalable:
    """A problem for every n: texts, objective with gradient, start."""

    name: str
    texts: Callable[[int], list[str]]
    objective: Callable[[Vector], tuple[float, Vector]]
    start: Callable[[int], Vector]
    names: Callable[[int], list[str]] = lambda n: [f"x{i + 1}" for i in range(n)]


def _squares(n: int) -> str:
    return " + ".join(f"x{i}^2" for i in range(1, n + 1))


def _valley(x: Vector) -> tuple[float, Vector]:
    """Neighbours that want to agree on different goals."""
    goal = 1.0 + 0.5 * np.sin(np.arange(len(x)))
    bends, away = x[1:] - x[:-1], x - goal
    g = 2.0 * away + 4.0 * away**3
    g[1:] += 2.0 * bends
    g[:-1] -= 2.0 * bends
    return float(away @ away + np.sum(away**4) + bends @ bends), g


def _motion(steps: int, end: str = "3") -> list[str]:
    """Angle q, speed w, torque u of a pendulum, by Euler's method from 0 to `end`."""
    h = f"({end}/{steps})"
    rows = ["q0 == 0.1", "w0 == 0.1"]
    for k in range(steps - 1):
        rows += [
            f"q{k + 1} == q{k} + {h}*w{k}",
            f"w{k + 1} == w{k} + {h}*(u{k} - sin(q{k}))",
        ]
    return rows


def _steering(x: Vector) -> tuple[float, Vector]:
    """Be at an angle of one, at little cost."""
    h, g = 9.0 / len(x), np.zeros_like(x)
    away, speed, torque = x[0::3] - 1.0, x[1::3], x[2::3]
    g[0::3], g[1::3], g[2::3] = 2.0 * h * away, 0.02 * h * speed, 0.2 * h * torque
    return h * float(away @ away + 0.01 * speed @ speed + 0.1 * torque @ torque), g


def _steering_until(x: Vector) -> tuple[float, Vector]:
    """Do so until a time that is free, x[-1], but best near three."""
    f, g = _steering(x[:-1])
    part, late = x[-1] / 3.0, x[-1] - 3.0
    return part * f + 0.05 * late**2, np.append(part * g, f / 3.0 + 0.1 * late)


def _rosenbrock(x: Vector) -> tuple[float, Vector]:
    bends, away, g = x[:-1] ** 2 - x[1:], x[:-1] - 1.0, np.zeros_like(x)
    g[:-1] = 400.0 * bends * x[:-1] + 2.0 * away
    g[1:] -= 200.0 * bends
    return float(100.0 * bends @ bends + away @ away), g


PROBLEMS = (
    Scalable(
        name="chain",
        texts=lambda n: [f"x{i}^2 + x{i + 1} <= 1.2" for i in range(1, n)],
        objective=_valley,
        start=lambda n: np.zeros(n),
    ),
    Scalable(
        name="one dense row",
        texts=lambda n: [f"{_squares(n)} <= {0.5 * n}"],
        objective=_valley,
        start=lambda n: np.zeros(n),
    ),
    Scalable(
        name="one dense row, a norm",
        texts=lambda n: [f"sqrt({_squares(n)}) <= {(0.5 * n) ** 0.5!r}"],
        objective=_valley,
        start=lambda n: np.full(n, 0.1),
    ),
    Scalable(
        name="bounded steps",
        texts=lambda n: [f"(x{i + 1} - x{i})^2 <= 0.04" for i in range(1, n)],
        objective=_valley,
        start=lambda n: np.ones(n),
    ),
    Scalable(
        name="pendulum (equalities)",
        texts=lambda n: _motion(n // 3),
        objective=_steering,
        start=lambda n: np.zeros(3 * (n // 3)),
        names=lambda n: [f"{kind}{k}" for k in range(n // 3) for kind in "qwu"],
    ),
    Scalable(
        name="pendulum, free end time",
        texts=lambda n: [*_motion(n // 3, "T"), "T >= 1", "T <= 6"],
        objective=_steering_until,
        start=lambda n: np.append(np.zeros(3 * (n // 3)), 3.0),
        names=lambda n: [*(f"{kind}{k}" for k in range(n // 3) for kind in "qwu"), "T"],
    ),
    Scalable(
        name="chained equalities",
        texts=lambda n: [
            f"3*x{k + 1}^3 + 2*x{k + 2} - 8 + sin(x{k + 1} - x{k + 2})*sin(x{k + 1} + x{k + 2})"
            f" + 4*x{k + 1} - x{k}*exp(x{k} - x{k + 1}) == 0"
            for k in range(1, n - 1)
        ],
        objective=_rosenbrock,
        start=lambda n: np.where(np.arange(n) % 2 == 0, -1.2, 1.0),
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
    megabytes: float


def _made(problem: Scalable, n: int) -> FeasibleMinimizer:
    return FeasibleMinimizer(
        problem.start(n), problem.texts(n), names=problem.names(n), maxfun=MOST
    )


def _violation(opt: FeasibleMinimizer, x: Vector) -> float:
    """Return the largest violation, equalities only as far as they are off the manifold."""
    rows, p = opt.constraints.values(x), opt.constraints.n_inequalities
    off = float(np.max(np.abs(rows[p:]), initial=0.0))
    return max(float(np.max(rows[:p], initial=0.0)), off if off > 1e-9 else 0.0)


def measure(problem: Scalable, n: int) -> Measured:
    """Run `problem` at size `n`."""
    began = time.process_time()
    opt = _made(problem, n)
    compiled = time.process_time() - began
    spent: list[float] = []
    worst = 0.0
    while not opt.done:
        x = opt.ask()
        worst = max(worst, _violation(opt, x))
        f, g = problem.objective(x)
        began = time.process_time()
        opt.tell(f, g)
        spent.append(time.process_time() - began)
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
        megabytes=_memory(problem, n),
    )


def _memory(problem: Scalable, n: int) -> float:
    """Return the most memory that building and the first steps take, in MB."""
    tracemalloc.start()
    opt = _made(problem, n)
    for _ in range(STEPS_MEASURED):
        if not opt.done:
            opt.tell(*problem.objective(opt.ask()))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


def _growth(found: Sequence[Measured]) -> float:
    """Return the largest exponent p of memory ~ n^p between the two sizes."""
    exponents = [0.0]
    for problem in PROBLEMS:
        sizes = {each.n: each.megabytes for each in found if each.name == problem.name}
        if GROWTH_FROM in sizes and GROWTH_TO in sizes:
            ratio = sizes[GROWTH_TO] / sizes[GROWTH_FROM]
            exponents.append(float(np.log(ratio) / np.log(GROWTH_TO / GROWTH_FROM)))
    return max(exponents)


def run(options: Sequence[str]) -> Section:
    """Measure all problems at all sizes and return the section of the results."""
    parser = argparse.ArgumentParser(prog="constrained_large", description=__doc__)
    parser.add_argument("--sizes", nargs="*", type=int, default=list(SIZES))
    sizes = parser.parse_args(list(options)).sizes
    found = [measure(problem, n) for problem in PROBLEMS for n in sizes]
    limited = [each for each in found if each.n <= 1000]
    return Section(
        name="constrained-large",
        title="Constraints: larger problems",
        text=TEXT,
        targets=[
            Target(
                claim="mean seconds beside an evaluation, up to n = 1000",
                value=max((each.mean_s for each in limited), default=0.0),
                limit=1.0,
            ),
            Target(
                claim="largest seconds beside an evaluation, up to n = 1000",
                value=max((each.largest_s for each in limited), default=0.0),
                limit=1.0,
            ),
            Target(
                claim="exponent of memory's growth, n = 300 to 3000",
                value=_growth(found),
                limit=1.2,
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
        tables=[Table(header=HEADER, rows=[_row(each) for each in found])],
    )


HEADER = (
    "problem",
    "n",
    "evaluations",
    "optimal",
    "residual",
    "compile s",
    "mean s",
    "max s",
    "MB",
)


def _row(each: Measured) -> tuple[str, ...]:
    return (
        each.name,
        str(each.n),
        str(each.nfev),
        "yes" if each.converged else "no",
        f"{each.kkt:.1e}",
        f"{each.compile_s:.2f}",
        f"{each.mean_s:.3f}",
        f"{each.largest_s:.3f}",
        f"{each.megabytes:.1f}",
    )
