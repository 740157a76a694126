"""Claim: BoTorch and Optuna get the same answers sooner from the drop-ins than from their own code.

``python -m benchmarks dropins`` times whole calls of BoTorch's ``fmin_l_bfgs_b_batched``, Optuna's
``batched_lbfgsb`` and ours of the same names, interleaved in one process: on a plain objective, and
called by ``optimize_acqf`` and ``GPSampler``. The objective times itself inside the call, and its
time is subtracted for the overhead. ``--busy`` does so while other processes keep every processor
busy. It needs the extras ``botorch``, ``optuna`` and ``bench``.
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.peers import Vector
from benchmarks.report import Section, Table, Target
from benchmarks.timing import busy, interleaved, ratio, spread, timed
from optdriver.integrations import botorch as for_botorch
from optdriver.integrations import optuna as for_optuna
from optdriver.integrations.swapping import Exchange

SIZES = tuple((n, count) for n in (2, 10, 100) for count in (1, 8, 64, 512))
REPEATS = {1: 20, 8: 5, 64: 1, 512: 1}
ROUNDS = 9
MAXITER = 40
OBJECTIVE = {"BoTorch": "func", "Optuna": "func_and_grad"}
"""The name that the objective has as an argument; inside the packages all are given by name."""
PEERS = ("BoTorch", "Optuna")
MANY = 64
"""Starts from which on the overhead has a target."""
LIMITS = {"BoTorch": 0.55, "Optuna": 0.3}
SAME, NOISE = 1e-6, 1e-7
"""Largest differences of points, and of values relative to max(1, abs(f)), that count as none."""
WORSE_LIMIT = 0.01

TEXT = """Medians (quartiles) over interleaved calls. *Overhead*: the seconds of a call beside those
of the objective, by evaluation (one point of one start). *Whole*: the objective included, here one
of NumPy, vectorised over the starts: bounded extended Rosenbrock, at most 40 iterations. Inside the
packages *whole* is the call that a user makes, `optimize_acqf` on a fitted Gaussian process or a
study of 12 trials, of which the minimiser is a part; *overhead* is the minimiser's own. *Same /
better / worse*: of all the starts that a package minimises from in one such call, how many end at
the same point (within 1e-6) or value (within 1e-7) from ours as from theirs, at a lower value, and
at a higher one, each time from the same starts. Where ours is better, theirs has taken a tiny step
for convergence."""

Function = Callable[..., Any]


@dataclass
class Clocked:
    """An objective that times itself, and counts the points."""

    function: Function
    seconds: float = 0.0
    points: int = 0

    def __call__(self, x: Vector, *args: Any, **options: Any) -> Any:
        """Return what the function returns."""
        before = perf_counter()
        answer = self.function(x, *args, **options)
        self.points += len(x)
        self.seconds += perf_counter() - before
        return answer


def rosenbrock(x: Vector) -> tuple[Vector, Vector]:
    """Return values and gradients of the extended Rosenbrock function, in pairs."""
    a, b = x[:, ::2], x[:, 1::2]
    residual, rest = b - a * a, 1.0 - a
    g = np.empty(x.shape)
    g[:, ::2] = -400.0 * a * residual - 2.0 * rest
    g[:, 1::2] = 200.0 * residual
    return 100.0 * (residual**2).sum(axis=1) + (rest**2).sum(axis=1), g


def functions() -> dict[str, tuple[Function, Function]]:
    """Return theirs and ours by package."""
    from botorch.optim.batched_lbfgs_b import fmin_l_bfgs_b_batched
    from optuna._gp.batched_lbfgsb import batched_lbfgsb

    return {
        "BoTorch": (fmin_l_bfgs_b_batched, for_botorch.fmin_l_bfgs_b_batched),
        "Optuna": (batched_lbfgsb, for_optuna.batched_lbfgsb),
    }


@dataclass
class Seconds:
    """What a case took: whole calls and the overhead in them, by round."""

    whole: list[float] = field(default_factory=list)
    overhead: list[float] = field(default_factory=list)
    points: int = 0


Pair = tuple[Seconds, Seconds]


def compare(works: Sequence[Callable[[], Clocked]], rounds: int, repeats: int) -> Pair:
    """Time two works that return the clock of their objective, interleaved."""
    kept = Seconds(), Seconds()

    def measure(work: Callable[[], Clocked], seconds: Seconds) -> float:
        clocks: list[Clocked] = []
        whole = timed(lambda: clocks.append(work()), repeats) / repeats
        inside = sum(clock.seconds for clock in clocks[1:]) / repeats
        seconds.points = clocks[-1].points
        seconds.whole.append(whole)
        seconds.overhead.append(whole - inside)
        return whole

    jobs = {str(i): functools.partial(measure, works[i], kept[i]) for i in range(2)}
    interleaved(jobs, rounds)
    return kept


def problem(n: int, count: int) -> tuple[Vector, list[tuple[float, float]]]:
    """Return starts and bounds, half of them active in the end."""
    x0 = np.random.default_rng(n + count).uniform(-1.5, 1.5, (count, n))
    return x0, [(-50.0, 0.5), (0.0, 100.0)] * (n // 2)


@dataclass
class Agreement:
    """How many starts have the same end from ours as from theirs, a better or a worse one."""

    same: int = 0
    better: int = 0
    worse: int = 0

    def add(self, theirs: tuple[Vector, ...], ours: tuple[Vector, ...]) -> None:
        """Count the starts of a call that both have made."""
        apart = np.abs(ours[0] - theirs[0]).max(axis=1, initial=0.0) > SAME
        gain = (theirs[1] - ours[1]) / np.maximum(np.abs(theirs[1]), 1.0)
        better, worse = apart & (gain > NOISE), apart & (gain < -NOISE)
        self.better += int(better.sum())
        self.worse += int(worse.sum())
        self.same += int((~(better | worse)).sum())

    def __str__(self) -> str:
        return f"{self.same} / {self.better} / {self.worse}"


def plain(peer: str, n: int, count: int, rounds: int) -> Pair:
    """Compare on the plain objective."""
    x0, bounds = problem(n, count)
    limit = {"BoTorch": "maxiter", "Optuna": "max_iters"}[peer]

    def work(function: Function) -> Clocked:
        clock = Clocked(rosenbrock)
        function(clock, x0, bounds=bounds, **{limit: MAXITER})
        return clock

    works = [functools.partial(work, f) for f in functions()[peer]]
    return compare(works, rounds, REPEATS[count])


def installed(peer: str, function: Function) -> AbstractContextManager[None]:
    """Let the package use `function`, which has the arguments of its own."""
    usual: Exchange = {"BoTorch": for_botorch, "Optuna": for_optuna}[peer].EXCHANGE
    return Exchange(
        package=usual.package, home=usual.home, name=usual.name, user=usual.user, ours=function
    ).installed()


def inside(peer: str, function: Function, call: Callable[[], Any]) -> Clocked:
    """Make a call in which a package uses `function`; the clock holds all but its overhead."""
    total = Clocked(rosenbrock)
    optimiser = [0.0]

    @functools.wraps(function)
    def clocked(**options: Any) -> Any:
        clock = Clocked(options.pop(OBJECTIVE[peer]))
        before = perf_counter()
        answer = function(**{OBJECTIVE[peer]: clock}, **options)
        optimiser[0] += perf_counter() - before - clock.seconds
        total.points += clock.points
        return answer

    before = perf_counter()
    with installed(peer, clocked):
        call()
    total.seconds = perf_counter() - before - optimiser[0]
    return total


def agreement(peer: str, call: Callable[[], Any]) -> Agreement:
    """Make a call in which theirs and ours begin from the same starts every time."""
    theirs, ours = functions()[peer]
    found = Agreement()

    @functools.wraps(theirs)
    def both(**options: Any) -> Any:
        answer = theirs(**options)
        found.add(answer, ours(**options))
        return answer

    with installed(peer, both):
        call()
    return found


def acquisition(d: int, restarts: int) -> Callable[[], Any]:
    """Return a call of BoTorch's ``optimize_acqf`` on a Gaussian process in `d` variables."""
    import torch
    from botorch.acquisition import LogExpectedImprovement
    from botorch.fit import fit_gpytorch_mll
    from botorch.models import SingleTaskGP
    from botorch.optim import optimize_acqf
    from gpytorch.mlls import ExactMarginalLogLikelihood

    torch.manual_seed(d)
    x = torch.rand(10 * d, d, dtype=torch.double)
    y = (0.3 * torch.sin(7 * x) - (x - 0.4) ** 2).sum(-1, keepdim=True)
    model = SingleTaskGP(x, y)
    fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
    box = torch.stack([torch.zeros(d), torch.ones(d)]).double()
    acqf = LogExpectedImprovement(model, y.max())

    def call() -> Any:
        torch.manual_seed(0)
        return optimize_acqf(acqf, box, q=1, num_restarts=restarts, raw_samples=4 * restarts)

    return call


def sampler(d: int) -> Callable[[], Any]:
    """Return a call of a study with Optuna's ``GPSampler`` in `d` variables."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)

    def objective(trial: optuna.Trial) -> float:
        x = [trial.suggest_float(f"x{i}", -5, 5) for i in range(d)]
        return float(sum((t - 1) ** 2 + 0.5 * np.sin(3 * t) for t in x))

    def call() -> Any:
        gp = optuna.samplers.GPSampler(seed=0, n_startup_trials=6)
        study = optuna.create_study(sampler=gp)
        study.optimize(objective, n_trials=12)
        return study

    return call


CALLS: dict[str, tuple[str, Callable[[], Callable[[], Any]]]] = {
    "optimize_acqf, n = 2, 8 starts": ("BoTorch", functools.partial(acquisition, 2, 8)),
    "optimize_acqf, n = 6, 32 starts": ("BoTorch", functools.partial(acquisition, 6, 32)),
    "optimize_acqf, n = 20, 64 starts": ("BoTorch", functools.partial(acquisition, 20, 64)),
    "GPSampler, n = 2, 10 starts": ("Optuna", functools.partial(sampler, 2)),
    "GPSampler, n = 10, 10 starts": ("Optuna", functools.partial(sampler, 10)),
}


def in_package(peer: str, call: Callable[[], Any], rounds: int) -> Pair:
    """Compare inside the package."""
    works = [functools.partial(inside, peer, f, call) for f in functions()[peer]]
    return compare(works, rounds, 1)


def row(name: tuple[str, ...], pair: Pair) -> tuple[str, ...]:
    """Return microseconds of overhead by evaluation, milliseconds of calls, and the ratios."""
    theirs, ours = pair
    costs = [[t / s.points for t in s.overhead] for s in pair]
    return (
        *name,
        f"{theirs.points}/{ours.points}",
        *(spread(cost, 1e6) for cost in costs),
        f"{ratio(costs[1], costs[0]):.3f}",
        *(spread(s.whole, 1e3) for s in pair),
        f"{ratio(ours.whole, theirs.whole):.3f}",
    )


def columns(*first: str) -> tuple[str, ...]:
    """Return the header that belongs to `row`."""
    kinds = ("overhead, us an evaluation", "whole, ms")
    pairs = [(f"{kind}: theirs", "ours", "ratio") for kind in kinds]
    return (*first, "evaluations", *pairs[0], *pairs[1])


def plain_results(peer: str, rounds: int) -> tuple[Table, list[Target]]:
    """Measure on the plain objective; claims are about the overhead of many starts."""
    rows, claims = [], []
    for n, count in SIZES:
        theirs, ours = pair = plain(peer, n, count, rounds)
        rows.append(row((str(n), str(count)), pair))
        if count >= MANY:
            value = ratio(ours.overhead, theirs.overhead)
            claim = f"overhead / {peer}'s, n = {n}, {count} starts"
            claims.append(Target(claim=claim, value=value, limit=LIMITS[peer]))
    caption = f"{peer}'s own function and ours in its place, on a plain objective."
    return Table(caption=caption, header=columns("n", "starts"), rows=rows), claims


def inside_results(rounds: int) -> tuple[Table, list[Target]]:
    """Measure inside the packages; claims are about whole calls and about the answers."""
    rows, claims, worse = [], [], 0.0
    for name, (peer, make) in CALLS.items():
        call = make()
        found = agreement(peer, call)
        theirs, ours = pair = in_package(peer, call, rounds)
        rows.append(row((name, str(found)), pair))
        value = ratio(ours.whole, theirs.whole)
        claims.append(Target(claim=f"whole {name}: ours / theirs", value=value, limit=1.0))
        worse = max(worse, found.worse / (found.same + found.better + found.worse))
    claim = "part of the starts that end worse, at most"
    claims.append(Target(claim=claim, value=worse, limit=WORSE_LIMIT))
    header = columns("call", "same / better / worse")
    return Table(caption="Inside BoTorch and Optuna.", header=header, rows=rows), claims


def run(arguments: Sequence[str] = ()) -> Section:
    """Measure and return the section of the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks dropins", description=__doc__)
    parser.add_argument("--busy", action="store_true", help="keep every processor busy meanwhile")
    parser.add_argument("--quick", type=int, default=1, help="divide the rounds by this")
    chosen = parser.parse_args(arguments)
    rounds = max(ROUNDS // chosen.quick, 3)
    warnings.simplefilter("ignore")  # the packages' own affairs
    with busy() if chosen.busy else nullcontext():
        results = [plain_results(peer, rounds) for peer in PEERS] + [inside_results(rounds)]
    greenlet = "with" if importlib.util.find_spec("greenlet") else "without"
    state = "Every processor kept busy by another process." if chosen.busy else "No load added."
    return Section(
        name="dropins" + "-busy" * chosen.busy,
        title="Inside BoTorch and Optuna" + ", busy machine" * chosen.busy,
        text=f"{TEXT}\n\n{state} One BLAS thread; Optuna {greenlet} greenlet.",
        targets=[target for _, targets in results for target in targets],
        tables=[table for table, _ in results],
    )
