"""Claim: an evaluation through ask and tell costs a fraction of what it costs through SciPy.

``python -m benchmarks overhead`` times whole runs of bounded extended Rosenbrock problems, ours,
``scipy.optimize.minimize`` and a bare loop over SciPy's private kernel interleaved in one process.
The objective times itself inside the run, and its time is subtracted. Runs that end at their first
evaluation give the set-up. ``--busy`` does so while other processes keep every processor busy,
``--threads`` without holding BLAS to one thread.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.peers import Vector, bare_kernel, scipy_minimize
from benchmarks.report import Section, Table, Target
from benchmarks.timing import busy, interleaved, ratio, spread, timed

MAXCOR = 10
MAXFUN = 60
ROUNDS = {2: 60, 10: 60, 100: 60, 1000: 40, 10000: 15}
REPEATS = {2: 20, 10: 10, 100: 5, 1000: 1, 10000: 1}
LIMITS = {2: 0.08, 10: 0.10, 100: 0.13, 1000: 0.17, 10000: 0.20}
BARE_LIMITS = {2: 0.75, 10: 0.60, 100: 0.45, 1000: 0.35, 10000: 0.35}
PASSES = 2  # over the pairs: what an evaluation cannot do without, beside writing one
VECTORS = 8  # x, g, l, u, d, z and those that become the new pair, once each
LARGE = 1000  # variables from which on memory is what an evaluation waits for
SETUP_LIMIT = 0.25
IMPORT_LIMIT = 1.3
NAMES = ("scipy.minimize", "bare setulb loop", "optdriver")
TEXT = """Microseconds that one minimizer costs beside its objective: medians (quartiles) over
interleaved runs of at most 60 evaluations, maxcor = 10, half of the variables at a bound in the
end. *Set-up*: runs that end at their first evaluation. *Later evaluations*: whole runs less the
set-up, by evaluation after the first."""
IMPORTS = {
    "numpy and scipy.optimize": "import numpy, scipy.optimize",
    "optdriver": "import optdriver",
    "optdriver.LBFGSB": "from optdriver import LBFGSB",
}


class Rosenbrock:
    """Extended Rosenbrock in pairs, with bounds that are active at the minimum, timing itself.

    The pairs start at different points, so that no two variables do the same.
    """

    def __init__(self, n: int) -> None:
        self.n = n
        self.seconds = 0.0
        self.calls = 0
        generator = np.random.default_rng(n)
        self.x0 = np.tile([-1.2, 1.0], n // 2) + generator.uniform(-0.5, 0.5, n)
        self.bounds = np.tile([[-50.0, 0.5], [0.0, 100.0]], (n // 2, 1))
        self.x0 = np.clip(self.x0, *self.bounds.T)

    def __call__(self, x: Vector) -> tuple[Any, Vector]:
        """Return the value and the gradient."""
        before = perf_counter()
        a, b = x[::2], x[1::2]
        residual, rest = b - a * a, 1.0 - a
        g = np.empty(x.size)
        g[::2] = -400.0 * a * residual - 2.0 * rest
        g[1::2] = 200.0 * residual
        f = 100.0 * (residual @ residual) + rest @ rest
        self.calls += 1
        self.seconds += perf_counter() - before
        return f, g


class Flat(Rosenbrock):
    """The same start and bounds, but flat: a run ends at its first evaluation."""

    def __call__(self, x: Vector) -> tuple[Any, Vector]:
        """Return zero and a gradient of zeros."""
        before = perf_counter()
        g = np.zeros(x.size)
        self.calls += 1
        self.seconds += perf_counter() - before
        return 0.0, g


def run_scipy(fun: Rosenbrock) -> None:
    """Run through SciPy's public function."""
    scipy_minimize(fun, fun.x0, fun.bounds, maxcor=MAXCOR, maxfun=MAXFUN)


def run_bare(fun: Rosenbrock) -> None:
    """Run SciPy's private kernel in a bare loop."""
    bare_kernel(fun, fun.x0, fun.bounds, MAXCOR, MAXFUN)


def run_ours(fun: Rosenbrock) -> None:
    """Run ours through the public ask and tell."""
    from optdriver import LBFGSB

    opt = LBFGSB(fun.x0, bounds=fun.bounds, maxcor=MAXCOR, maxfun=MAXFUN)
    while not opt.done:
        opt.tell(*fun(opt.ask()))


RUNS: dict[str, Callable[[Rosenbrock], None]] = dict(
    zip(NAMES, (run_scipy, run_bare, run_ours), strict=True)
)


def whole_run(run: Callable[[Rosenbrock], None], fun: Rosenbrock) -> Callable[[], float]:
    """Return a measurement of a run's seconds beside its objective's."""
    repeats = REPEATS[fun.n]
    own: list[float] = []

    def work() -> None:
        fun.seconds, fun.calls = 0.0, 0
        run(fun)
        own.append(fun.seconds)

    def measure() -> float:
        own.clear()
        seconds = timed(work, repeats)
        return (seconds - sum(own[1:])) / repeats

    return measure


@dataclass(frozen=True, kw_only=True)
class Costs:
    """Seconds beside the objective, by peer: of a set-up, of whole runs, of an evaluation."""

    setup: dict[str, list[float]]
    total: dict[str, list[float]]
    calls: dict[str, int]

    def whole(self) -> dict[str, list[float]]:
        """Return the seconds of whole runs, by evaluation."""
        return {name: [t / self.calls[name] for t in self.total[name]] for name in NAMES}

    def later(self) -> dict[str, list[float]]:
        """Return the seconds of an evaluation after the first."""
        pairs = {name: zip(self.total[name], self.setup[name], strict=True) for name in NAMES}
        return {name: [(t - s) / (self.calls[name] - 1) for t, s in pairs[name]] for name in NAMES}


def measure(n: int, rounds: int) -> Costs:
    """Measure the three at `n` variables."""
    objectives = {name: Rosenbrock(n) for name in NAMES}
    works = {f"set-up {name}": whole_run(RUNS[name], Flat(n)) for name in NAMES}
    works |= {name: whole_run(RUNS[name], objectives[name]) for name in NAMES}
    seconds = interleaved(works, rounds)
    return Costs(
        setup={name: seconds[f"set-up {name}"] for name in NAMES},
        total={name: seconds[name] for name in NAMES},
        calls={name: objectives[name].calls for name in NAMES},
    )


def importing(rounds: int) -> dict[str, list[float]]:
    """Return the seconds that imports take, each in a fresh interpreter."""
    code = "import time; t = time.perf_counter(); {}; print(time.perf_counter() - t)"

    def work(statement: str) -> Callable[[], float]:
        command = [sys.executable, "-c", code.format(statement)]
        return lambda: float(subprocess.run(command, check=True, capture_output=True).stdout)

    return interleaved({name: work(text) for name, text in IMPORTS.items()}, rounds)


def kernel() -> str:
    """Return which kernel runs."""
    from optdriver.lbfgsb import compiled

    return "compiled" if compiled() else "interpreted"


def cost_table(caption: str, costs: dict[int, dict[str, list[float]]]) -> Table:
    """Return microseconds by number of variables, and the ratios of ours."""
    rows = [
        (
            str(n),
            *(spread(cost[name], 1e6) for name in NAMES),
            f"{ratio(cost[NAMES[2]], cost[NAMES[0]]):.3f}",
            f"{ratio(cost[NAMES[2]], cost[NAMES[1]]):.3f}",
        )
        for n, cost in costs.items()
    ]
    header = ("n", *NAMES, "ours / scipy.minimize", "ours / bare loop")
    return Table(caption=caption, header=header, rows=rows)


def copying(n: int) -> float:
    """Return the seconds for a byte read or written, copying arrays as large as the pairs."""
    pairs = np.ones(2 * MAXCOR * n)
    there = np.empty_like(pairs)
    repeats = max(2_000_000 // pairs.size, 4)
    seconds = min(timed(lambda: np.copyto(there, pairs), repeats) for _ in range(9)) / repeats
    return seconds / (2 * pairs.nbytes)


def limit_table(costs: dict[int, Costs]) -> Table:
    """Return what an evaluation has to move, beside what it takes."""
    rows = []
    for n, cost in costs.items():
        if n < LARGE:
            continue
        numbers = PASSES * 2 * MAXCOR + 2 + VECTORS
        least = numbers * 8 * n * copying(n)
        ours = float(np.median(cost.later()[NAMES[2]]))
        moved = f"{numbers * 8 * n / 1e6:.2f}"
        rows.append(
            (str(n), moved, f"{1e6 * least:.3g}", f"{1e6 * ours:.3g}", f"{ours / least:.2f}")
        )
    caption = (
        f"Where the limit lies: {PASSES} passes over {MAXCOR} pairs, one written, and {VECTORS} "
        "vectors, at the speed of a copy of arrays as large as the pairs."
    )
    header = ("n", "MB to move", "us at the speed of a copy", "us of ours", "ours / limit")
    return Table(caption=caption, header=header, rows=rows)


def targets(costs: dict[int, Costs]) -> list[Target]:
    """Return the claims about evaluations and set-ups."""
    claims = []
    scipy, bare, ours = NAMES
    for n, cost in costs.items():
        for kind, by_name in (("whole runs", cost.whole()), ("later evaluations", cost.later())):
            for peer, limit in ((scipy, LIMITS[n]), (bare, BARE_LIMITS[n])):
                value = ratio(by_name[ours], by_name[peer])
                claims.append(Target(claim=f"{kind} / {peer}, n = {n}", value=value, limit=limit))
    for n, cost in costs.items():
        value = ratio(cost.setup[ours], cost.setup[scipy])
        claims.append(Target(claim=f"set-up / {scipy}, n = {n}", value=value, limit=SETUP_LIMIT))
    return claims


def import_results(rounds: int) -> tuple[Table, Target]:
    """Return the import times and the claim about them."""
    seconds = importing(rounds)
    base, _, ours = IMPORTS
    rows = [(name, spread(values, 1e3)) for name, values in seconds.items()]
    value = ratio(seconds[ours], seconds[base])
    claim = "import of optdriver.LBFGSB / import of numpy and scipy.optimize"
    table = Table(caption="Imports, each in a fresh interpreter.", header=("", "ms"), rows=rows)
    return table, Target(claim=claim, value=value, limit=IMPORT_LIMIT)


def run(arguments: Sequence[str] = ()) -> Section:
    """Measure and return the section of the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks overhead", description=__doc__)
    parser.add_argument("--busy", action="store_true", help="keep every processor busy meanwhile")
    parser.add_argument("--threads", action="store_true", help="leave BLAS its threads")
    parser.add_argument("--quick", type=int, default=1, help="divide the rounds by this")
    parser.add_argument("--sizes", type=int, nargs="*", default=list(ROUNDS), choices=list(ROUNDS))
    chosen = parser.parse_args(arguments)
    with busy() if chosen.busy else nullcontext():
        costs = {n: measure(n, max(ROUNDS[n] // chosen.quick, 5)) for n in chosen.sizes}
        imports, import_target = import_results(max(20 // chosen.quick, 3))
    counts = [f"{'/'.join(map(str, costs[n].calls.values()))} at n = {n}" for n in costs]
    busyness = ", busy machine" * chosen.busy + ", BLAS with its threads" * chosen.threads
    state = "Every processor kept busy by another process." if chosen.busy else "No load added."
    state += " BLAS with as many threads as it likes." if chosen.threads else " One BLAS thread."
    return Section(
        name="overhead" + "-busy" * chosen.busy + "-threads" * chosen.threads,
        title=f"Cost of an evaluation{busyness}",
        text=f"{TEXT}\n\nKernel: {kernel()}. {state} Evaluations: {', '.join(counts)}.",
        targets=[*targets(costs), import_target],
        tables=[
            cost_table("Whole runs, by evaluation.", {n: c.whole() for n, c in costs.items()}),
            cost_table("Evaluations after the first.", {n: c.later() for n, c in costs.items()}),
            cost_table("Set-up.", {n: c.setup for n, c in costs.items()}),
            *([limit_table(costs)] if max(costs) >= LARGE else []),
            imports,
        ],
    )
