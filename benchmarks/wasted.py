"""Claim: where values are only known to a few digits, no evaluations are wasted on the rest.

``python -m benchmarks wasted`` runs sixty minimisations whose values and gradients are float32
numbers, and sixty whose values carry noise, through ours and through SciPy. Counted are abnormal
ends, results that are not the best point seen, and wasted evaluations: those after the first one
whose value is the run's best, to the resolution of the values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.peers import Vector, scipy_minimize
from benchmarks.problems import Problem, by_name
from benchmarks.report import Section, Table, Target

NOISE = 1e-6
STARTS = 3
PROBLEMS = (  # their formulas stay in single precision when their argument is
    *("HS1", "HS2", "HS5", "HS38", "HS110", "Algorithm 778 sample", "NONSCOMP", "BIGGSB1"),
    *("BDEXP", "MCCORMCK", "HATFLDA", "HATFLDC", "PSPDOC", "CAMEL6", "GENROSE", "ENGVAL1"),
    *("EDENSCH", "CRAGGLVY", "DIXMAANA", "combustion"),
)
TEXT = """Twenty problems of `benchmarks/problems` from three starts each, default options.
*Float32*: evaluated in single precision. *Noise*: the value multiplied by
1 + 1e-6 u, u uniform in (-1, 1), another one each evaluation; *told* means that ours is given that
level as `noise`. *Wasted*: evaluations after the first whose value equals the run's best to the
resolution of the values. *Worse*: the true value at the result is higher than the other's by more
than ten times that resolution."""


Coarsely = Callable[[Problem, Vector, int], tuple[float, Vector]]


class Coarse:
    """A problem whose values are coarse, remembering what it returned."""

    def __init__(self, problem: Problem, coarsely: Coarsely) -> None:
        self.problem = problem
        self.coarsely = coarsely
        self.values: list[float] = []

    def __call__(self, x: Vector) -> tuple[float, Vector]:
        """Return the coarse value and the gradient."""
        f, g = self.coarsely(self.problem, x, len(self.values))
        self.values.append(f)
        return f, g


def single(problem: Problem, x: Vector, _: int) -> tuple[float, Vector]:
    """Evaluate in single precision."""
    f, g = problem.fun(x.astype(np.float32))
    return float(f), g.astype(np.float64)


def noisy(problem: Problem, x: Vector, call: int) -> tuple[float, Vector]:
    """Disturb the value: the same way in the k-th evaluation of every run."""
    f, g = problem.fun(x)
    return float(f) * (1.0 + NOISE * np.random.default_rng(call).uniform(-1.0, 1.0)), g


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one run did."""

    abnormal: bool
    not_best: bool
    wasted: int
    evaluations: int
    true: float


def minimise_scipy(fun: Coarse, x0: Vector, noise: float) -> Any:  # noqa: ARG001 - SciPy has none
    """Run SciPy."""
    return scipy_minimize(fun, x0, fun.problem.bounds)


def minimise_ours(fun: Coarse, x0: Vector, noise: float) -> Any:
    """Run ours."""
    from optdriver import LBFGSB

    opt = LBFGSB(x0, bounds=fun.problem.bounds, noise=noise)
    while not opt.done:
        opt.tell(*fun(opt.ask()))
    return opt.result


def starts(problem: Problem) -> list[Vector]:
    """Return the standard start and others about it."""
    found = [problem.start]
    for seed in range(1, STARTS):
        away = np.random.default_rng(seed).uniform(-0.1, 0.1, problem.n)
        x = problem.start + away * np.maximum(np.abs(problem.start), 0.1)
        found.append(x if problem.bounds is None else np.clip(x, problem.lower, problem.upper))
    return found


def outcome(fun: Coarse, result: Any, resolution: float) -> Outcome:
    """Judge a run."""
    finite = [v for v in fun.values if np.isfinite(v)]
    best = min(finite)
    near = best + resolution * abs(best)
    first = next(k for k, v in enumerate(fun.values) if v <= near)
    return Outcome(
        abnormal="ABNORMAL" in str(result.message),
        not_best=float(result.fun) > best,
        wasted=len(fun.values) - 1 - first,
        evaluations=len(fun.values),
        true=float(fun.problem.fun(result.x)[0]),
    )


def outcomes(
    minimise: Callable[[Coarse, Vector, float], Any],
    coarsely: Coarsely,
    resolution: float,
    told: bool,
) -> list[Outcome]:
    """Return the outcomes of all runs."""
    found = []
    with np.errstate(all="ignore"):
        for problem in map(by_name, PROBLEMS):
            for x0 in starts(problem):
                noise = resolution * abs(float(problem.fun(x0)[0])) if told else 0.0
                fun = Coarse(problem, coarsely)
                found.append(outcome(fun, minimise(fun, x0, noise), resolution))
    return found


def worse(ones: Sequence[Outcome], others: Sequence[Outcome], resolution: float) -> int:
    """Count runs whose true value is clearly above that of the other's."""
    slack = 10.0 * resolution
    pairs = zip(ones, others, strict=True)
    return sum(a.true > b.true + slack * max(1.0, abs(b.true)) for a, b in pairs)


def row(
    name: str, ones: Sequence[Outcome], others: Sequence[Outcome], resolution: float
) -> tuple[str, ...]:
    """Return a peer's row."""
    return (
        name,
        str(sum(run.abnormal for run in ones)),
        str(sum(run.not_best for run in ones)),
        str(sum(run.wasted for run in ones)),
        str(max(run.wasted for run in ones)),
        str(sum(run.evaluations for run in ones)),
        str(worse(ones, others, resolution)),
    )


def run(arguments: Sequence[str] = ()) -> Section:  # noqa: ARG001 - has no options
    """Run everything and return the section of the results."""
    unit = float(np.finfo(np.float32).eps)
    peers = {
        "SciPy, float32": outcomes(minimise_scipy, single, unit, False),
        "optdriver, float32": outcomes(minimise_ours, single, unit, False),
        "SciPy, noise": outcomes(minimise_scipy, noisy, 2 * NOISE, False),
        "optdriver, noise": outcomes(minimise_ours, noisy, 2 * NOISE, False),
        "optdriver, noise told": outcomes(minimise_ours, noisy, 2 * NOISE, True),
    }
    rows = [
        row(name, found, peers[other_of(name)], unit if "float32" in name else 2 * NOISE)
        for name, found in peers.items()
    ]
    header = ("60 runs each", "abnormal", "not the best seen", "wasted", "most wasted in a run")
    return Section(
        name="wasted",
        title="Coarse and noisy values",
        text=TEXT,
        targets=targets(peers),
        tables=[Table(header=(*header, "evaluations", "worse than the other"), rows=rows)],
    )


def other_of(name: str) -> str:
    """Return the peer that a row is compared with."""
    kind = "float32" if "float32" in name else "noise"
    return f"optdriver, {kind}" if name.startswith("SciPy") else f"SciPy, {kind}"


def targets(peers: dict[str, list[Outcome]]) -> list[Target]:
    """Return the claims about float32 values, and that the best point is always returned."""
    scipy, ours = peers["SciPy, float32"], peers["optdriver, float32"]
    every = [run for name, found in peers.items() if name.startswith("opt") for run in found]
    abnormal, missed = sum(run.abnormal for run in ours), sum(run.not_best for run in every)
    share = sum(run.wasted for run in ours) / max(sum(run.wasted for run in scipy), 1)
    return [
        Target(claim="our abnormal ends, float32", value=abnormal, limit=0),
        Target(claim="our results not the best seen", value=missed, limit=0),
        Target(claim="wasted evaluations, float32, ours / SciPy's", value=share, limit=0.5),
    ]
