"""Claim: one bad evaluation, of whatever kind and wherever, does not ruin a run.

``python -m benchmarks failures`` runs Rosenbrock in three variables with one bad evaluation at
each position, of five kinds, through ours and through SciPy. A run is *ruined* if it does not end
at the minimum, *false* if it reports success elsewhere, *astray* if it asked for an evaluation at
a point that is not finite or larger than 1e6.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.peers import Vector, scipy_minimize
from benchmarks.problems.separable import genrose
from benchmarks.report import Section, Table, Target

START = np.array([-1.2, 1.0, 1.0])
AT_MINIMUM = 1e-6
FAR = 1e6
Bad = Callable[[float, Vector], "tuple[float, Vector] | None"]


def all_nan(_: float, g: Vector) -> tuple[float, Vector]:
    """Value and gradient NaN."""
    return np.nan, np.full_like(g, np.nan)


def infinite_value(_: float, g: Vector) -> tuple[float, Vector]:
    """Value infinite, gradient right."""
    return np.inf, g


def nan_value(_: float, g: Vector) -> tuple[float, Vector]:
    """Value NaN, gradient right."""
    return np.nan, g


def infinite_component(f: float, g: Vector) -> tuple[float, Vector]:
    """Value right, one component of the gradient infinite."""
    return f, np.append(np.inf, g[1:])


def told(_f: float, _g: Vector) -> None:
    """No evaluation at all."""


KINDS: dict[str, Bad] = {
    "f and g NaN": all_nan,
    "f = +inf, true g": infinite_value,
    "f = NaN, true g": nan_value,
    "one component of g infinite": infinite_component,
    "told as a failure": told,
}
TEXT = """Rosenbrock in three variables, one bad evaluation of each kind at each position of the
run. *Ruined*: does not end within 1e-6 of the minimal value. *False*: reports success elsewhere.
*Astray*: asks for a point that is not finite or beyond 1e6. SciPy cannot be told of a failure; an
exception ends its run, so that row is its failure by definition."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One run with one bad evaluation."""

    ruined: bool
    false: bool
    astray: bool
    evaluations: int


class Spoiled:
    """The objective with one bad evaluation."""

    def __init__(self, position: int, bad: Bad) -> None:
        self.position = position
        self.bad = bad
        self.calls = 0
        self.astray = False

    def evaluate(self, x: Vector) -> tuple[float, Vector] | None:
        """Return the value and the gradient, bad ones at the position, None for a failure."""
        self.calls += 1
        if not np.isfinite(x).all() or np.abs(x).max() > FAR:
            self.astray = True
        f, g = genrose(x)
        return self.bad(float(f), g) if self.calls == self.position else (float(f), g)

    def __call__(self, x: Vector) -> tuple[float, Vector]:
        """Return the same; a failure is an exception, the only way SciPy can be told."""
        evaluation = self.evaluate(x)
        if evaluation is None:
            raise RuntimeError("evaluation failed")
        return evaluation


def outcome(spoiled: Spoiled, fun: float, success: bool) -> Outcome:
    """Judge a run by what it returned."""
    there = abs(fun - 1.0) <= AT_MINIMUM
    return Outcome(
        ruined=not there,
        false=success and not there,
        astray=spoiled.astray,
        evaluations=spoiled.calls,
    )


def with_scipy(spoiled: Spoiled) -> Outcome:
    """Run SciPy."""
    try:
        result = scipy_minimize(spoiled, START)
    except RuntimeError:
        return outcome(spoiled, np.inf, False)
    return outcome(spoiled, float(result.fun), bool(result.success))


def with_ours(spoiled: Spoiled) -> Outcome:
    """Run ours."""
    from optdriver import LBFGSB

    opt = LBFGSB(START)
    while not opt.done:
        evaluation = spoiled.evaluate(opt.ask())
        if evaluation is None:
            opt.tell_failure("injected")
        else:
            opt.tell(*evaluation)
    result = opt.result
    return outcome(spoiled, float(result.fun), bool(result.success))


RUNS: dict[str, Callable[[Spoiled], Outcome]] = {"SciPy": with_scipy, "optdriver": with_ours}


def length(minimise: Callable[[Spoiled], Outcome]) -> int:
    """Return how many evaluations a run takes when none is bad."""
    untouched = Spoiled(0, told)
    minimise(untouched)
    return untouched.calls


def outcomes(kind: str, name: str) -> list[Outcome]:
    """Return the outcomes of one peer for one kind, at every position."""
    positions = range(1, length(RUNS[name]) + 1)
    with np.errstate(all="ignore"):
        return [RUNS[name](Spoiled(position, KINDS[kind])) for position in positions]


def row(kind: str, found: dict[str, list[Outcome]]) -> tuple[str, ...]:
    """Return one kind's row."""
    cells = [kind]
    for runs in found.values():
        for name in ("ruined", "false", "astray"):
            cells.append(f"{sum(getattr(run, name) for run in runs)} of {len(runs)}")
        cells.append(f"{np.mean([run.evaluations for run in runs]):.1f}")
    return tuple(cells)


def run(arguments: Sequence[str] = ()) -> Section:  # noqa: ARG001 - has no options
    """Inject all failures and return the section of the results."""
    table = {kind: {name: outcomes(kind, name) for name in RUNS} for kind in KINDS}
    ours = [result for found in table.values() for result in found["optdriver"]]
    header = ["bad evaluation"]
    for name in RUNS:
        header += [f"{name} ruined", "false", "astray", "mean evaluations"]
    clean = ", ".join(f"{name} {length(minimise)}" for name, minimise in RUNS.items())
    return Section(
        name="failures",
        title="One bad evaluation",
        text=f"{TEXT} Evaluations without any: {clean}.",
        targets=[
            Target(claim="our ruined runs", value=sum(r.ruined for r in ours), limit=0),
            Target(claim="our false successes", value=sum(r.false for r in ours), limit=0),
            Target(claim="our runs astray", value=sum(r.astray for r in ours), limit=0),
        ],
        tables=[Table(header=tuple(header), rows=[row(*item) for item in table.items()])],
    )
