"""Claim: with noise that is told, a success is one to the precision that it names.

``python -m benchmarks noise`` minimises by values alone, which carry noise of a known standard
deviation, from random starts. ``--starts`` says from how many, from ``--seed`` on.
``python -m benchmarks noise-fresh`` takes six functions that nothing was tuned on.
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cmaes
import numpy as np
from scipy import optimize

from benchmarks.peers import Vector
from benchmarks.report import Section, Table, Target
from optdriver import MultiStart

STARTS = 9
SIGMAS = (1e-4, 1e-2, 0.3)
LIMIT = 3000
MISSED = 10.0
TEXT = """Values carry noise with a standard deviation of 1e-4, 1e-2 and 0.3; there are no
gradients, and 3,000 evaluations at most. *Above* is the true value at the end above the minimum
that belongs to it, in standard deviations of the noise: the median, and the largest of those
that claim success. A claim is *false* where that is more than ten; the second target counts
those of them where it is more than the reason of the end names, too. `difference_rule=3` is
ours as it was in 0.6.0. What SciPy's methods call success is that a tolerance was met, which
knows nothing of noise; CMA-ES claims nothing, and ends by its own tests."""


@dataclass(frozen=True)
class Problem:
    """A smooth function in a box, with the values of its minima."""

    name: str
    function: Callable[[Vector], float]
    n: int
    side: float
    minima: tuple[float, ...] = (0.0,)


def rosenbrock(x: Vector) -> float:
    """Return Rosenbrock's function, of chained pairs."""
    return float(np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2))


def beale(x: Vector) -> float:
    """Return Beale's function, which has a minimum where x is at its lower bound, too."""
    a, b = x
    return float((1.5 - a + a * b) ** 2 + (2.25 - a + a * b**2) ** 2 + (2.625 - a + a * b**3) ** 2)


def wood(x: Vector) -> float:
    """Return Wood's function, whose saddle at 7.8 has hardly any slope to leave it by."""
    a, b, c, d = x
    return float(
        100.0 * (b - a * a) ** 2
        + (1.0 - a) ** 2
        + 90.0 * (d - c * c) ** 2
        + (1.0 - c) ** 2
        + 10.1 * ((b - 1.0) ** 2 + (d - 1.0) ** 2)
        + 19.8 * (b - 1.0) * (d - 1.0)
    )


def parabola(n: int, condition: float, seed: int) -> Callable[[Vector], float]:
    """Return a parabola of a condition, turned at random."""
    turn = np.linalg.qr(np.random.default_rng(seed).standard_normal((n, n)))[0]
    roots = np.sqrt(0.5 * np.logspace(0.0, math.log10(condition), n))[:, None] * turn.T

    def function(x: Vector) -> float:
        return float(np.sum((roots @ (x - 0.3)) ** 2))

    return function


PROBLEMS = (
    Problem("Rosenbrock 2", rosenbrock, 2, 2.0),
    Problem("Rosenbrock 4", rosenbrock, 4, 2.0, (0.0, 3.7014)),
    Problem("Beale", beale, 2, 4.0, (0.0, 0.7968)),
    Problem("Wood", wood, 4, 3.0),
    Problem("parabola 2, 1", parabola(2, 1.0, 0), 2, 2.0),
    Problem("parabola 2, 1e4", parabola(2, 1e4, 1), 2, 2.0),
    Problem("parabola 6, 1e3", parabola(6, 1e3, 2), 6, 2.0),
    Problem("parabola 10, 1e2", parabola(10, 1e2, 3), 10, 2.0),
)


def branin(x: Vector) -> float:
    """Return Branin's function, of three minima of one value."""
    a, b = x
    bend = b - 5.1 * a * a / (4.0 * math.pi**2) + 5.0 * a / math.pi - 6.0
    return float(bend**2 + 10.0 * (1.0 - 0.125 / math.pi) * math.cos(a) + 10.0)


def helix(x: Vector) -> float:
    """Return the helical valley of Fletcher and Powell."""
    a, b, c = x
    turn = math.atan2(b, a) / (2.0 * math.pi)
    return float(100.0 * ((c - 10.0 * turn) ** 2 + (math.hypot(a, b) - 1.0) ** 2) + c * c)


def singular(x: Vector) -> float:
    """Return Powell's singular function: at the minimum half of its curvature is zero."""
    a, b, c, d = x
    return float((a + 10 * b) ** 2 + 5 * (c - d) ** 2 + (b - 2 * c) ** 4 + 10 * (a - d) ** 4)


def trid(x: Vector) -> float:
    """Return the function Trid, a parabola whose minimum is far from zero."""
    return float(np.sum((x - 1.0) ** 2) - np.sum(x[1:] * x[:-1]))


def zakharov(x: Vector) -> float:
    """Return Zakharov's function."""
    along = 0.5 * float(np.arange(1, x.size + 1) @ x)
    return float(x @ x) + along**2 + along**4


def dixon_price(x: Vector) -> float:
    """Return the function of Dixon and Price, which has a second minimum of the value 2/3."""
    weights = np.arange(2, x.size + 1)
    return float((x[0] - 1.0) ** 2 + weights @ (2.0 * x[1:] ** 2 - x[:-1]) ** 2)


FRESH = (
    Problem("Branin 2", branin, 2, 5.0, (0.397887,)),
    Problem("helical valley 3", helix, 3, 3.0),
    Problem("Powell's singular 4", singular, 4, 4.0),
    Problem("Trid 6", trid, 6, 15.0, (-50.0,)),
    Problem("Zakharov 8", zakharov, 8, 4.0),
    Problem("Dixon-Price 10", dixon_price, 10, 3.0, (0.0, 2.0 / 3.0)),
)
"""Chosen before anything was run on them."""


@dataclass(frozen=True)
class Task:
    """One start on one problem, with noise."""

    problem: Problem
    sigma: float
    seed: int

    @property
    def start(self) -> Vector:
        """A random point of the box."""
        side, n = self.problem.side, self.problem.n
        return np.random.default_rng([self.seed, 7]).uniform(-side, side, n)

    @property
    def box(self) -> list[tuple[float, float]]:
        """The bounds."""
        return [(-self.problem.side, self.problem.side)] * self.problem.n


@dataclass(frozen=True)
class End:
    """Where a run ended, and what it said of it."""

    x: Vector
    claims: bool
    evaluations: int
    named: float = math.inf


class Spent(Exception):
    """The evaluations are used up."""


class Noisy:
    """The values of a task; the best of them is kept."""

    def __init__(self, task: Task) -> None:
        self.task, self.calls = task, 0
        self.random = np.random.default_rng([task.seed, 8])
        self.best, self.x = math.inf, task.start

    def __call__(self, x: Vector) -> float:
        """Return a value with noise."""
        if self.calls >= LIMIT:
            raise Spent
        self.calls += 1
        value = self.task.problem.function(np.asarray(x)) + self.task.sigma * float(
            self.random.standard_normal()
        )
        if value < self.best:
            self.best, self.x = value, np.array(x)
        return value


def ours(task: Task, *, told: bool = True, rule: int = 5) -> End:
    """Run one minimizer of ours."""
    noisy = Noisy(task)
    driver = MultiStart(
        task.box, jac=False, max_num_minimizers=1, initial_samples=[task.start],
        difference_rule=rule,
    )  # fmt: skip
    while noisy.calls < LIMIT and (points := driver.ask(1)):
        (point,) = points
        if point.run:
            break  # the first has ended
        if told:
            driver.expect_noise(point.id, task.sigma)
        driver.tell(point.id, noisy(point.x))
    run = driver.runs[0]
    named = re.findall(r"(?:promises|more than|hide) ([0-9.e+-]+[0-9])", run.reason)
    x = noisy.x if run.x is None else np.array(run.x)
    named_most = max(map(float, named), default=math.inf)
    return End(x, run.state == "converged", noisy.calls, named_most)


def scipys(task: Task, method: str) -> End:
    """Run a method of SciPy's with its defaults."""
    noisy = Noisy(task)
    try:
        found = optimize.minimize(noisy, task.start, method=method, bounds=task.box)
    except Spent:
        return End(noisy.x, False, noisy.calls)
    return End(found.x, bool(found.success), noisy.calls)


def evolved(task: Task) -> End:
    """Run CMA-ES until its own tests stop it; its mean is the answer."""
    noisy, box = Noisy(task), np.array(task.box)
    made = cmaes.CMA(mean=task.start, sigma=0.3 * task.problem.side, bounds=box, seed=task.seed)
    while not made.should_stop() and noisy.calls + made.population_size <= LIMIT:
        asked = [made.ask() for _ in range(made.population_size)]
        made.tell([(x, noisy(x)) for x in asked])
    return End(np.clip(made.mean, *box.T), False, noisy.calls)


WAYS: dict[str, Callable[[Task], End]] = {
    "optdriver, noise told": ours,
    "optdriver, noise told, `difference_rule=3`": lambda task: ours(task, rule=3),
    "optdriver, not told": lambda task: ours(task, told=False),
    "SciPy L-BFGS-B": lambda task: scipys(task, "L-BFGS-B"),
    "SciPy Nelder-Mead": lambda task: scipys(task, "Nelder-Mead"),
    "SciPy COBYQA": lambda task: scipys(task, "COBYQA"),
    "CMA-ES (cmaes)": evolved,
}


def above(task: Task, end: End) -> float:
    """Return the height of an end over the nearest minimum that is not higher, in sigmas."""
    value = task.problem.function(end.x)
    least = max(each for each in task.problem.minima if each <= value + 10.0 * task.sigma)
    return max(0.0, value - least) / task.sigma


def summary(tasks: Sequence[Task], ends: Sequence[End]) -> tuple[list[str], int, int]:
    """Return cells of a row, the claims, and how many of them are false."""
    heights = [above(task, end) for task, end in zip(tasks, ends, strict=True)]
    claimed = [height for height, end in zip(heights, ends, strict=True) if end.claims]
    false = sum(height > MISSED for height in claimed)
    beyond = sum(
        height > MISSED and height * task.sigma > end.named
        for task, end, height in zip(tasks, ends, heights, strict=True)
        if end.claims and math.isfinite(end.named)
    )
    cells = [
        f"{sum(end.evaluations for end in ends):,}",
        f"{np.median(heights):.2g}",
        f"{sum(height <= MISSED for height in heights)}",
        f"{len(claimed)}",
        f"{false}",
        f"{max(claimed, default=math.nan):.3g}",
    ]
    return cells, false, beyond


def run(arguments: Sequence[str] = ()) -> Section:
    """Run all and return the section of the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks noise", description=__doc__)
    parser.add_argument("--starts", type=int, default=STARTS)
    parser.add_argument("--seed", type=int, default=0, help="the first one")
    parser.add_argument("--only", default="", help="ways with this in their names")
    parser.add_argument("--fresh", action="store_true", help="functions nothing was tuned on")
    chosen = parser.parse_args(arguments)
    problems = FRESH if chosen.fresh else PROBLEMS
    seeds = range(chosen.seed, chosen.seed + chosen.starts)
    tasks = [
        Task(problem, sigma, seed) for problem in problems for sigma in SIGMAS for seed in seeds
    ]
    rows, targets, by_problem = [], [], []
    for name, way in WAYS.items():
        if chosen.only not in name:
            continue
        with np.errstate(all="ignore"):
            ends = [way(task) for task in tasks]
        cells, false, beyond = summary(tasks, ends)
        rows.append((name, *cells))
        if way is ours:
            part = false / max(1, sum(end.claims for end in ends))
            targets.append(Target(claim="part of the claims that is false", value=part, limit=0.02))
            targets.append(
                Target(claim="ends beyond the precision they name", value=beyond, limit=0)
            )
        for problem in problems:
            mine = [k for k, task in enumerate(tasks) if task.problem is problem]
            cells, _, _ = summary([tasks[k] for k in mine], [ends[k] for k in mine])
            by_problem.append((problem.name, name, *cells))
    head = ("evaluations", "above, median", f"within {MISSED:g}", "claims", "false", "worst claim")
    return Section(
        name="noise-fresh" if chosen.fresh else "noise",
        title="Values with noise" + ", of functions that nothing was tuned on" * chosen.fresh,
        text=f"{TEXT} {len(tasks)} runs each.",
        targets=targets,
        tables=[Table(header=("method", *head), rows=rows)],
        details=[Table(header=("problem", "method", *head), rows=sorted(by_problem))],
        packages=("cmaes",),
    )
