"""Claim: on standard problems ours finds what SciPy finds, with as many evaluations.

``python -m benchmarks standard`` runs every problem of `benchmarks.problems` through
``scipy.optimize.minimize(method='L-BFGS-B')`` and through ``LBFGSB`` at the same options, and
compares evaluations, final values and the sequences of points. ``--tight`` does so at tolerances
near rounding; ``--details`` prints where sequences part.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.peers import Objective, Vector, scipy_minimize
from benchmarks.problems import Problem, all_problems
from benchmarks.report import Section, Table, Target

WATCHED = 15
AGREEMENT = 1e-8
SOLVED = 1e-6
GTOL = 1e-5
TIGHT = {"ftol": 1e-15, "gtol": 1e-8}
TEXT = """Every problem of `benchmarks/problems` at SciPy's default options, side by side.
*Solved*: the value is within 1e-6 max(1, abs(f)) of a known minimum, or below it, or the projected
gradient is at most 1e-5. *Agree*: the points of the first 15 evaluations differ by at most 1e-8
relative (in the largest component). *SciPy beside itself*: the evaluation at which SciPy's own
sequence parts when the last bit of each gradient component is disturbed; an early one says that
rounding decides there."""
TIGHT_TEXT = """Here with ftol = 1e-15 and gtol = 1e-8. Runs end at the rounding level, at values
that differ, and after counts that rounding decides; so there are no targets."""


@dataclass(frozen=True, kw_only=True)
class Trace:
    """One run: the points of its first evaluations, and what it returned."""

    points: list[Vector]
    values: list[float]
    x: Vector
    fun: float
    nfev: int
    success: bool
    message: str
    gradient: float
    fault: str


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A problem with SciPy's run, SciPy's disturbed run and ours."""

    problem: Problem
    scipy: Trace
    itself: Trace
    ours: Trace

    @property
    def parting(self) -> int | None:
        """The evaluation (from 1) at which our points leave SciPy's, None if they do not."""
        return first_difference(self.scipy, self.ours)

    @property
    def agree(self) -> bool:
        """Whether the watched points agree."""
        return self.parting is None or self.parting > WATCHED

    @property
    def rounding(self) -> bool:
        """Whether SciPy parts from itself among the watched points."""
        parting = first_difference(self.scipy, self.itself)
        return parting is not None and parting <= WATCHED


def first_difference(one: Trace, two: Trace) -> int | None:
    """Return the first evaluation (from 1) whose points differ by more than `AGREEMENT`."""
    for k, (a, b) in enumerate(zip(one.points, two.points, strict=False)):
        if np.abs(a - b).max() > AGREEMENT * max(np.abs(a).max(), np.abs(b).max()):
            return k + 1
    shorter = min(len(one.points), len(two.points))
    return None if len(one.points) == len(two.points) or shorter > WATCHED else shorter + 1


def solved(problem: Problem, trace: Trace) -> bool:
    """Whether a run ended at a known minimum, below one, or at a stationary point."""
    known = [f for f in (problem.f_star, *problem.minima) if f is not None]
    near = any(abs(trace.fun - f) <= SOLVED * max(1.0, abs(f)) for f in known)
    return near or trace.fun < min(known, default=-np.inf) or trace.gradient <= GTOL


def observed(
    problem: Problem, run: Callable[[Objective], Any], disturb: float | None = None
) -> Trace:
    """Run a minimiser on `problem` and keep its first points."""
    points: list[Vector] = []
    values: list[float] = []
    generator = np.random.default_rng(0)

    def fun(x: Vector) -> tuple[float, Vector]:
        f, g = problem.fun(x)
        if len(points) <= 2 * WATCHED:
            points.append(x.copy())
        values.append(float(f))
        if disturb is not None:
            g = g * (1.0 + disturb * generator.choice([-1.0, 0.0, 1.0], g.size))
        return float(f), g

    with np.errstate(all="ignore"):
        result = run(fun)
        f, g = problem.fun(result.x)
        gradient = problem.projected_gradient(result.x, g)
    return Trace(
        points=points,
        values=values,
        x=result.x,
        fun=float(result.fun),
        nfev=len(values),
        success=bool(result.success),
        message=str(result.message),
        gradient=gradient,
        fault=faults(problem, result, float(f), values),
    )


def faults(problem: Problem, result: Any, f: float, values: list[float]) -> str:
    """Say what is wrong with a result, whatever its quality."""
    found = []
    if f != result.fun:
        found.append("f is not f(x)")
    if result.fun > min((v for v in values if np.isfinite(v)), default=np.inf):
        found.append("not the best seen")
    bounds = problem.bounds
    if bounds is not None and not (np.clip(result.x, *bounds.T) == result.x).all():
        found.append("out of bounds")
    return ", ".join(found)


def run_scipy(problem: Problem, options: dict[str, Any]) -> Callable[[Objective], Any]:
    """Return SciPy's minimiser for `problem`."""
    return lambda fun: scipy_minimize(fun, problem.start, problem.bounds, **options)


def run_ours(problem: Problem, options: dict[str, Any]) -> Callable[[Objective], Any]:
    """Return ours, driven through ask and tell."""
    from optdriver.lbfgsb import LBFGSB

    def run(fun: Objective) -> Any:
        opt = LBFGSB(problem.start, bounds=problem.bounds, **options)
        while not opt.done:
            opt.tell(*fun(opt.ask()))
        return opt.result

    return run


def compare(problem: Problem, options: dict[str, Any]) -> Comparison:
    """Run `problem` three times."""
    return Comparison(
        problem=problem,
        scipy=observed(problem, run_scipy(problem, options)),
        itself=observed(problem, run_scipy(problem, options), disturb=2.0**-52),
        ours=observed(problem, run_ours(problem, options)),
    )


def share(cases: Sequence[bool]) -> float:
    """Return the part of `cases` that is true, in per cent."""
    return 100.0 * sum(cases) / max(len(cases), 1)


def targets(comparisons: Sequence[Comparison]) -> list[Target]:
    """Return the issue's three claims, and that no result contradicts itself."""
    lost = [c for c in comparisons if solved(c.problem, c.scipy) and not solved(c.problem, c.ours)]
    evaluations = sum(c.ours.nfev for c in comparisons) / sum(c.scipy.nfev for c in comparisons)
    steady = [c.agree for c in comparisons if not c.rounding]
    return [
        Target(claim="problems that SciPy solves and ours does not", value=len(lost), limit=0),
        Target(
            claim="evaluations of ours / SciPy's, all problems",
            value=evaluations,
            limit=1.02,
            form=".4f",
        ),
        Target(
            claim="sequences that agree, per cent",
            value=share([c.agree for c in comparisons]),
            limit=90.0,
            at_least=True,
            form=".1f",
        ),
        Target(
            claim="the same where SciPy agrees with itself",
            value=share(steady),
            limit=90.0,
            at_least=True,
            form=".1f",
        ),
        Target(
            claim="our results that are out of bounds, not the best seen or not f(x)",
            value=sum(bool(c.ours.fault) for c in comparisons),
            limit=0,
        ),
    ]


def summary(comparisons: Sequence[Comparison]) -> Table:
    """Return the totals of both."""
    rows = []
    for name in ("scipy", "ours"):
        traces = [(c.problem, getattr(c, name)) for c in comparisons]
        rows.append(
            (
                "SciPy" if name == "scipy" else "optdriver",
                str(sum(solved(p, t) for p, t in traces)),
                str(sum(t.nfev for _, t in traces)),
                str(sum("ABNORMAL" in t.message for _, t in traces)),
                str(sum(bool(t.fault) for _, t in traces)),
            )
        )
    header = ("", f"solved of {len(comparisons)}", "evaluations", "abnormal ends", "faulty results")
    return Table(header=header, rows=rows)


def parting_text(parting: int | None) -> str:
    """Return an evaluation's number, or a dash where the sequences stay together."""
    return "-" if parting is None else str(parting)


def row(c: Comparison) -> tuple[str, ...]:
    """Return a problem's row of the long table."""
    marks = ["yes" if solved(c.problem, trace) else "no" for trace in (c.scipy, c.ours)]
    return (
        c.problem.name,
        str(c.problem.n),
        str(c.scipy.nfev),
        str(c.ours.nfev),
        f"{c.scipy.fun:.8g}",
        f"{c.ours.fun:.8g}",
        "/".join(marks),
        parting_text(c.parting),
        parting_text(first_difference(c.scipy, c.itself)),
    )


HEADER = (
    *("problem", "n", "SciPy evals", "our evals", "SciPy f", "our f"),
    *("solved SciPy/ours", "parts at", "SciPy beside itself"),
)


def problem_table(comparisons: Sequence[Comparison], only_different: bool) -> Table:
    """Return a row a problem, or a row for those whose evaluations or ends differ."""
    shown = [
        c for c in comparisons if not (only_different and c.ours.nfev == c.scipy.nfev and c.agree)
    ]
    caption = f"The {len(shown)} problems where counts differ." if only_different else ""
    return Table(header=HEADER, rows=[row(c) for c in shown], caption=caption)


def details(comparisons: Sequence[Comparison]) -> str:
    """Describe every deviation: lost problems, partings, differing counts."""
    lines = []
    for c in comparisons:
        parted = parting_text(c.parting)
        lost = solved(c.problem, c.scipy) and not solved(c.problem, c.ours)
        if c.agree and not lost and c.ours.nfev <= 1.02 * c.scipy.nfev and not c.ours.fault:
            continue
        beside = parting_text(first_difference(c.scipy, c.itself))
        flags = (
            ["LOST"] * lost + ["PARTS"] * (not c.agree) + ["MORE"] * (c.ours.nfev > c.scipy.nfev)
        )
        lines.append(
            f"* {c.problem.name} (n={c.problem.n}) {' '.join(flags)} {c.ours.fault}: parts at "
            f"{parted} (SciPy beside itself {beside}); evals {c.ours.nfev}/{c.scipy.nfev}, "
            f"f {c.ours.fun:.12g}/{c.scipy.fun:.12g}, pg {c.ours.gradient:.2g}/"
            f"{c.scipy.gradient:.2g}, {c.ours.message!r}/{c.scipy.message!r}"
        )
        if c.parting is not None:
            lines += at_parting(c, c.parting - 1)
    return "\n".join(lines)


def at_parting(c: Comparison, k: int) -> list[str]:
    """Show both sequences from the last common point on."""
    lines = []
    for j in range(max(k - 1, 0), k + 2):
        for name, trace in (("SciPy", c.scipy), ("ours", c.ours)):
            if j < len(trace.points):
                shown = np.array2string(trace.points[j][:4], precision=12, separator=" ")
                lines.append(f"    eval {j + 1} {name:5s} f={trace.values[j]!r} x={shown}")
    return lines


def run(arguments: Sequence[str] = ()) -> Section:
    """Run all problems and return the section of the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks standard", description=__doc__)
    parser.add_argument("--tight", action="store_true", help="tolerances near rounding")
    parser.add_argument("--details", action="store_true", help="print where sequences part")
    parser.add_argument("--only", default="", help="problems whose name contains this")
    chosen = parser.parse_args(arguments)
    options: dict[str, Any] = TIGHT if chosen.tight else {}
    problems = [problem for problem in all_problems() if chosen.only in problem.name]
    comparisons = [compare(problem, options) for problem in problems]
    if chosen.details:
        print(details(comparisons))
    return Section(
        name="standard-tight" if chosen.tight else "standard",
        title="Standard problems beside SciPy" + (", tight tolerances" if chosen.tight else ""),
        text=f"{TEXT}\n\n{TIGHT_TEXT}" if chosen.tight else TEXT,
        targets=() if chosen.tight else targets(comparisons),
        tables=[summary(comparisons)],
        details=[problem_table(comparisons, only_different=chosen.tight)],
    )
