"""Claim: to doubt an end costs little where it was right, and pays where it was not.

``python -m benchmarks doubt`` runs `LBFGSB` over the standard problems, and over ones on which no
threshold was chosen, with SciPy's tests and with cautious ones. Problems where the plain end is
false, or where the doubt gains more than a hundredth of the value, are counted apart: evaluations
there are useful work.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.problems import Problem, all_problems
from benchmarks.problems.unseen import problems as unseen
from benchmarks.report import Section, Table, Target
from benchmarks.scaled import PART, Task
from optdriver import LBFGSB

LARGEST = 60  # variables
MOST = 3000  # evaluations
SEEDS = 10
TEXT = """Standard problems of `benchmarks/problems` with 60 variables at most, from their starts;
and *unseen* ones (`benchmarks/problems/unseen.py`, ten seeds), on which no threshold was chosen.
*False* is as in *False successes*. *Right* are problems where the plain end is right, and the doubt
gains no more than 1 per cent of the value; the others are *far*: evaluations are useful there."""


@dataclass(frozen=True, kw_only=True)
class End:
    """How a run ended: its evaluations and value, and how its success is judged."""

    nfev: int
    f: float
    judged: str


def end(problem: Problem, *, cautious: bool) -> End:
    """Run a problem from its start."""
    opt = LBFGSB(problem.start, problem.bounds, cautious=cautious)
    with np.errstate(all="ignore"):
        while not opt.done and opt.nfev < MOST:
            opt.tell(*problem.fun(opt.ask()))
        result = opt.result
        judged = judge(problem).judged(result.x) if result.success else "none"
    return End(nfev=opt.nfev, f=float(result.fun), judged=judged)


def judge(problem: Problem) -> Task:
    """Return the problem in its own units."""
    n = problem.n
    free = np.full(n, np.inf)
    return Task(
        name=problem.name,
        fun=problem.fun,
        start=problem.start.astype(float),
        lower=-free if problem.lower is None else problem.lower,
        upper=free if problem.upper is None else problem.upper,
        units=np.ones(n),
        unit=1.0,
    )


def is_far(plain: End, cautious: End) -> bool:
    """Whether the plain end left something to be gained."""
    return plain.judged != "right" or plain.f - cautious.f > PART * abs(plain.f) > 1e-12


def pairs_of(problems: Sequence[Problem]) -> list[tuple[End, ...]]:
    """Run problems with SciPy's tests and with cautious ones."""
    return [tuple(end(p, cautious=cautious) for cautious in (False, True)) for p in problems]


def row(name: str, group: Sequence[tuple[End, ...]]) -> tuple[str, ...]:
    """Return what a group of problems took, and how often its ends are false or flat."""
    counts = [sum(pair[k].nfev for pair in group) for k in (0, 1)]
    false = [sum(pair[k].judged in ("false", "flat") for pair in group) for k in (0, 1)]
    ratio = f"{counts[1] / counts[0]:.3f}" if group else ""
    return (name, str(len(group)), *map(str, counts), ratio, *map(str, false))


def run(arguments: Sequence[str] = ()) -> Section:  # noqa: ARG001 - it has no options
    """Run all and return the section of the results."""
    standard = pairs_of([problem for problem in all_problems() if problem.n <= LARGEST])
    others = pairs_of([problem for seed in range(SEEDS) for problem in unseen(seed)])
    groups = {
        "right": [pair for pair in standard if not is_far(*pair)],
        "far": [pair for pair in standard if is_far(*pair)],
        "unseen, right": [pair for pair in others if not is_far(*pair)],
        "unseen, far": [pair for pair in others if is_far(*pair)],
    }
    right = [sum(pair[k].nfev for pair in groups["right"]) for k in (0, 1)]
    still = sum(pair[1].judged in ("false", "flat") for pair in standard)
    head = ("plain end", "problems", "evaluations", "cautious", "ratio", "false", "cautious, false")
    claim = "evaluations of a cautious run where the plain end was right, ratio"
    return Section(
        name="doubt",
        title="What doubt costs",
        text=TEXT,
        targets=[
            Target(claim=claim, value=right[1] / right[0], limit=1.1),
            Target(claim="false or flat ends of cautious runs", value=still, limit=0),
        ],
        tables=[Table(header=head, rows=[row(*item) for item in groups.items()])],
    )
