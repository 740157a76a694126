"""Claim: many minimizers together cost a fraction of what as many calls of SciPy's do.

``python -m benchmarks batch`` times whole runs, from the starts to the results, of N bounded
extended Rosenbrock problems: `minimize_batch`, N calls of ``scipy.optimize.minimize`` one after
the other, a lock-step loop over SciPy's private kernel, and a lock-step loop over N `LBFGSB`,
interleaved in one process.  The objective times itself, and its time is subtracted.  Then the
memory that a batch takes, and how busy refilled lanes are.  ``--busy`` measures while other
processes keep every processor busy.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.overhead import kernel
from benchmarks.peers import Vector, scipy_minimize, setulb_arguments
from benchmarks.report import Section, Table, Target
from benchmarks.timing import busy, interleaved, ratio, spread, timed
from optdriver import LBFGSB
from optdriver.batch import Batch, minimize_batch
from optdriver.space.sampling import starts

MAXCOR = 10
MAXFUN = {16: 60, 256: 60, 4096: 30}
ROUNDS = {16: 30, 256: 12, 4096: 6}
MOST_SEQUENTIAL = 128
SIZES = (10, 100)
LIMITS = {10: 0.05, 100: 0.10}
LOCKSTEP_LIMITS = {10: 0.30, 100: 0.35}
MEMORY_LIMIT = 300.0
BUSY_LIMIT = 0.95
NAMES = ("N x scipy.minimize", "setulb in lock-step", "N LBFGSB in lock-step", "minimize_batch")
TEXT = f"""Microseconds by evaluation, beside the objective, that N minimizers cost from their
starts to their results: medians (quartiles) over interleaved runs of at most 60 evaluations each
(30 at N = 4096), maxcor = 10, half of the variables at a bound in the end. SciPy's public function
is called for {MOST_SEQUENTIAL} of the starts at most."""

MEMORY = """
import sys, tracemalloc
from benchmarks.batch import Rosenbrock, held
lanes, n, maxcor = map(int, sys.argv[1:])
fun = Rosenbrock(lanes, n)
tracemalloc.start()
held(fun, maxcor)
print(tracemalloc.get_traced_memory()[1] / 2**20)
"""


class Rosenbrock:
    """Extended Rosenbrock in pairs, for one point or many, timing itself; bounds as in `overhead`.

    Every start is another one, so that no two lanes do the same.
    """

    def __init__(self, count: int, n: int) -> None:
        self.seconds = 0.0
        self.points = 0
        generator = np.random.default_rng(n)
        x0s = np.tile([-1.2, 1.0], n // 2) + generator.uniform(-0.5, 0.5, (count, n))
        self.bounds = np.tile([[-50.0, 0.5], [0.0, 100.0]], (n // 2, 1))
        self.x0s = np.clip(x0s, *self.bounds.T)

    def __call__(self, x: Vector) -> tuple[Any, Vector]:
        """Return the values and the gradients."""
        before = perf_counter()
        a, b = x[..., ::2], x[..., 1::2]
        residual, rest = b - a * a, 1.0 - a
        g = np.empty(x.shape)
        g[..., ::2] = -400.0 * a * residual - 2.0 * rest
        g[..., 1::2] = 200.0 * residual
        f = (100.0 * residual * residual + rest * rest).sum(axis=-1)
        self.points += x.size // x.shape[-1]
        self.seconds += perf_counter() - before
        return f, g


def run_scipy(fun: Rosenbrock, maxfun: int) -> None:
    """Call SciPy's public function for one start after the other."""
    for x0 in fun.x0s[:MOST_SEQUENTIAL]:
        scipy_minimize(fun, x0, fun.bounds, maxcor=MAXCOR, maxfun=maxfun)


def run_lockstep(fun: Rosenbrock, maxfun: int) -> list[Vector]:
    """Loop over SciPy's private kernel, all lanes a round, one call of the objective for them.

    For measurements only: the signature changes between SciPy's versions.
    """
    from scipy.optimize import _lbfgsb

    lanes = [setulb_arguments(x0, fun.bounds, MAXCOR) for x0 in fun.x0s]
    live = lanes
    for _ in range(maxfun + 1):
        waiting = []
        for arguments in live:
            task = arguments[10]
            while True:
                _lbfgsb.setulb(MAXCOR, *arguments)
                if task[0] == 3:
                    waiting.append(arguments)
                if task[0] != 1:
                    break
        if not waiting:
            break
        live = waiting
        f, g = fun(np.stack([arguments[0] for arguments in live]))
        for row, arguments in enumerate(live):
            arguments[4], arguments[5] = f[row], g[row]
    return [arguments[0] for arguments in lanes]


def run_objects(fun: Rosenbrock, maxfun: int) -> list[Any]:
    """Ask and tell N minimizers, one by one, with one call of the objective a round."""
    objects = [LBFGSB(x0, fun.bounds, maxcor=MAXCOR, maxfun=maxfun) for x0 in fun.x0s]
    live = objects
    while live:
        f, g = fun(np.stack([opt.ask() for opt in live]))
        for row, opt in enumerate(live):
            opt.tell(f[row], g[row])
        live = [opt for opt in live if not opt.done]
    return [opt.result for opt in objects]


def run_batch(fun: Rosenbrock, maxfun: int) -> Any:
    """Run ours."""
    return minimize_batch(fun, fun.x0s, fun.bounds, maxcor=MAXCOR, maxfun=maxfun, cautious=False)


RUNS: dict[str, Callable[[Rosenbrock, int], Any]] = dict(
    zip(NAMES, (run_scipy, run_lockstep, run_objects, run_batch), strict=True)
)


def whole_run(run: Callable[[Rosenbrock, int], Any], count: int, n: int) -> Callable[[], float]:
    """Return a measurement of the seconds by evaluation beside the objective's."""
    fun = Rosenbrock(count, n)

    def work() -> None:
        fun.seconds, fun.points = 0.0, 0
        run(fun, MAXFUN[count])

    def measure() -> float:
        seconds = timed(work, warm=count < max(MAXFUN))
        return (seconds - fun.seconds) / fun.points

    return measure


def measure(count: int, n: int, rounds: int) -> dict[str, list[float]]:
    """Measure the four at N = `count`."""
    return interleaved({name: whole_run(RUNS[name], count, n) for name in NAMES}, rounds)


def held(fun: Rosenbrock, maxcor: int) -> Any:
    """Run a batch until the memory of every lane is full."""
    most = maxcor + 8
    return minimize_batch(fun, fun.x0s, fun.bounds, maxcor=maxcor, maxfun=most, cautious=False)


def megabytes(lanes: int, n: int, maxcor: int) -> float:
    """Return the peak of what a batch allocates, measured in a fresh interpreter."""
    command = [sys.executable, "-c", MEMORY, str(lanes), str(n), str(maxcor)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def multimodal(x: Vector) -> tuple[Any, Vector]:
    """Return values and gradients of Rastrigin's function with its ripples made shallower."""
    ripples = 3.0 * np.cos(2.0 * np.pi * x)
    value = np.add.reduce(x * x - ripples, axis=-1)
    return value, 2.0 * x + 6.0 * np.pi * np.sin(2.0 * np.pi * x)


def refilling(total: int, lanes: int = 256, n: int = 10) -> tuple[Table, list[Target]]:
    """Run many starts through few lanes; compare with one run after the other."""
    box = np.tile([-5.12, 5.12], (n, 1))
    batch = Batch(bounds=box, total=total, lanes=lanes)
    evaluations = used = room = 0
    while not batch.done:
        if batch.waiting:
            used, room = used + len(batch.lanes), room + lanes
        x = batch.ask()
        evaluations += len(x)
        batch.tell(*multimodal(x))
    result, same = batch.result, 0
    for lane, x0 in enumerate(starts("sobol", 0, 0, total, *box.T)):
        opt = LBFGSB(x0, box)
        while not opt.done:
            f, g = multimodal(opt.ask())
            opt.tell(float(f), g)
        same += opt.result.x.tobytes() == result.x[lane].tobytes()
    minima = len({tuple(x) for x in result.x[result.success].round(3)})
    row = (str(total), str(lanes), str(evaluations), f"{used / room:.4f}", str(same), str(minima))
    header = ("starts", "lanes", "evaluations", "lanes busy while starts wait")
    header += ("ends equal to single runs, bit for bit", "minima")
    busyness = Target(claim="lanes busy", value=used / room, limit=BUSY_LIMIT, at_least=True)
    equal = Target(claim="runs that differ from single ones", value=total - same, limit=0)
    return Table(caption="Refilled lanes, 10 variables.", header=header, rows=[row]), [
        busyness,
        equal,
    ]


def memory() -> tuple[Table, Target]:
    """Measure the memory of batches of several sizes."""
    sizes = [(1024, 100, 10), (2048, 100, 10), (4096, 100, 10), (4096, 10, 10), (4096, 100, 20)]
    found = {size: megabytes(*size) for size in sizes}
    rows = [
        (str(k), str(n), str(m), f"{mb:.0f}", f"{mb * 2**20 / (8 * k * n * m):.2f}")
        for (k, n, m), mb in found.items()
    ]
    header = ("lanes", "n", "maxcor", "MB", "numbers by lane, variable and pair")
    caption = "Memory: the peak of what is allocated, objective and results included."
    claim = "MB of 4096 lanes, n = 100"
    target = Target(claim=claim, value=found[4096, 100, 10], limit=MEMORY_LIMIT)
    return Table(caption=caption, header=header, rows=rows), target


def cost_table(costs: dict[tuple[int, int], dict[str, list[float]]]) -> Table:
    """Return microseconds by evaluation, and the ratios of ours."""
    rows = [
        (
            str(count),
            str(n),
            *(spread(cost[name], 1e6) for name in NAMES),
            *(f"{ratio(cost[NAMES[3]], cost[name]):.3f}" for name in NAMES[:3]),
        )
        for (count, n), cost in costs.items()
    ]
    return Table(header=("N", "n", *NAMES, *(f"ours / {name}" for name in NAMES[:3])), rows=rows)


def targets(costs: dict[tuple[int, int], dict[str, list[float]]]) -> list[Target]:
    """Return the claims about evaluations."""
    claims = []
    for (count, n), cost in costs.items():
        for name, limit in ((NAMES[0], LIMITS[n]), (NAMES[1], LOCKSTEP_LIMITS[n])):
            if count >= 256:
                claim = f"batch / {name}, N = {count}, n = {n}"
                value = ratio(cost[NAMES[3]], cost[name])
                claims.append(Target(claim=claim, value=value, limit=limit))
    return claims


def run(arguments: Sequence[str] = ()) -> Section:
    """Measure and return the section of the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks batch", description=__doc__)
    parser.add_argument("--busy", action="store_true", help="keep every processor busy meanwhile")
    parser.add_argument("--quick", type=int, default=1, help="divide the rounds by this")
    parser.add_argument("--counts", type=int, nargs="*", default=list(ROUNDS), choices=ROUNDS)
    chosen = parser.parse_args(arguments)
    with busy() if chosen.busy else nullcontext():
        costs = {
            (count, n): measure(count, n, max(ROUNDS[count] // chosen.quick, 3))
            for n in SIZES
            for count in chosen.counts
        }
    tables, claims = [cost_table(costs)], targets(costs)
    if not chosen.busy:
        used, target = memory()
        refilled, others = refilling(10_000 // chosen.quick)
        tables += [used, refilled]
        claims += [target, *others]
    state = "Every processor kept busy by another process." if chosen.busy else "No load added."
    return Section(
        name="batch" + "-busy" * chosen.busy,
        title="Many minimizers together" + ", busy machine" * chosen.busy,
        text=f"{TEXT}\n\nKernel: {kernel()}. {state} One BLAS thread.",
        targets=claims,
        tables=tables,
    )
