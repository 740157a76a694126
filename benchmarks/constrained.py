"""Claim: under constraints ours asks no infeasible point, and fewer points than the others.

``python -m benchmarks constrained`` runs the problems of `benchmarks.hs` through ours and through
every peer that is installed, from the same start: the book's, moved to the nearest feasible point.
``--quick`` takes SLSQP as the only peer; ``--only HS43 HS71`` takes those problems.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from functools import partial

import numpy as np

from benchmarks.constrained_peers import METHODS, Case, Trace
from benchmarks.hs import EQUALITIES, INEQUALITIES, Problem
from benchmarks.report import Section, Table, Target

OURS, PEER = "optdriver", "SLSQP"
TEXT = """Problems of Hock and Schittkowski (1981), from the book's start moved to feasibility.
*Solved*: the value is within 1e-6 max(1, abs(best)) of the best known, at a point that is feasible
to 1e-6 of a unit gradient. *Evaluations*: distinct points at which the objective was asked, up to
the one that solves; value and gradient count as one. *Infeasible*: evaluations at points that
violate an inequality or a bound by more than 1e-9 of a unit gradient, *off*: that miss an
equality by as much; both over whole runs."""

Traces = dict[str, list[Trace]]


def run(options: Sequence[str]) -> Section:
    """Run the comparison and return its section of the results."""
    parser = argparse.ArgumentParser(prog="constrained", description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", nargs="*", default=[])
    given = parser.parse_args(list(options))
    methods = [OURS, PEER] if given.quick else list(METHODS)
    wanted = partial(_wanted, only=given.only)
    inequalities = trace(wanted(INEQUALITIES), methods)
    equalities = trace(wanted(EQUALITIES), methods)
    return Section(
        name="constrained",
        title="Constraints: Hock and Schittkowski's problems",
        text=TEXT,
        targets=[*_inequality_targets(inequalities), *_equality_targets(equalities)],
        tables=[
            _summary(inequalities, "Inequalities."),
            _summary(equalities, "With equalities."),
            _details(inequalities, "Inequalities: evaluations, problem by problem."),
            _details(equalities, "With equalities: evaluations, problem by problem."),
        ],
    )


def _wanted(problems: Iterable[Problem], only: Sequence[str]) -> list[Problem]:
    return [problem for problem in problems if not only or problem.name in only]


def trace(problems: Sequence[Problem], methods: Sequence[str]) -> Traces:
    """Run every method on every problem."""
    found: Traces = {method: [] for method in methods}
    for problem in problems:
        case = Case.of(problem)
        for method in methods:
            found[method].append(METHODS[method](case))
    return found


def _both(traces: Traces) -> tuple[int, int]:
    """Return the evaluations of ours and of SLSQP on the problems that both solve."""
    pairs = [
        (a.solved_at, b.solved_at)
        for a, b in zip(traces[OURS], traces[PEER], strict=True)
        if a.solved_at is not None and b.solved_at is not None
    ]
    return sum(a for a, _ in pairs), sum(b for _, b in pairs)


def _solved(traces: Sequence[Trace]) -> int:
    return sum(trace.solved_at is not None for trace in traces)


def _median(traces: Sequence[Trace]) -> float:
    counts = [np.inf if trace.solved_at is None else trace.solved_at for trace in traces]
    return float(np.median(counts)) if counts else np.nan


def _largest_residual(traces: Sequence[Trace]) -> float:
    return max((trace.kkt for trace in traces if trace.success), default=np.nan)


def _inequality_targets(traces: Traces) -> list[Target]:
    own = traces[OURS]
    if not own:
        return []
    mine, theirs = _both(traces)
    return [
        Target(
            claim="inequalities: part solved",
            value=_solved(own) / len(own),
            limit=0.96,
            at_least=True,
        ),
        Target(claim="inequalities: median evaluations", value=_median(own), limit=4.5),
        Target(
            claim=f"inequalities: evaluations beside {PEER}'s",
            value=mine / max(theirs, 1),
            limit=0.55,
        ),
        Target(
            claim="inequalities: infeasible evaluations",
            value=sum(trace.infeasible for trace in own),
            limit=0,
        ),
        Target(
            claim="inequalities: largest residual at success",
            value=_largest_residual(own),
            limit=1e-6,
        ),
    ]


def _equality_targets(traces: Traces) -> list[Target]:
    own = traces[OURS]
    if not own:
        return []
    mine, theirs = _both(traces)
    return [
        Target(
            claim=f"equalities: solved, {PEER} solves",
            value=_solved(own),
            limit=_solved(traces[PEER]),
            at_least=True,
        ),
        Target(
            claim=f"equalities: evaluations beside {PEER}'s",
            value=mine / max(theirs, 1),
            limit=0.75,
        ),
        Target(
            claim="equalities: evaluations off the manifold or infeasible",
            value=sum(trace.infeasible + trace.off_manifold for trace in own),
            limit=0,
        ),
    ]


def _summary(traces: Traces, caption: str) -> Table:
    header = ("method", "solved", "median", "sum over all solved by ours and SLSQP", "infeasible")
    shared = [
        a.problem
        for a, b in zip(traces[OURS], traces[PEER], strict=True)
        if a.solved_at and b.solved_at
    ]
    rows = []
    for method, found in traces.items():
        counts = [t.solved_at for t in found if t.problem in shared]
        total = sum(count for count in counts if count is not None)
        missing = sum(count is None for count in counts)
        wrong = sum(trace.infeasible for trace in found)
        off = sum(trace.off_manifold for trace in found)
        rows.append(
            (
                method,
                f"{_solved(found)} of {len(found)}",
                f"{_median(found):g}",
                f"{total}" + (f" ({missing} not solved)" if missing else ""),
                f"{wrong}" + (f", off {off}" if off else ""),
            )
        )
    return Table(header=header, rows=rows, caption=caption)


def _details(traces: Traces, caption: str) -> Table:
    header = ("problem", *traces)
    rows = []
    for row in zip(*traces.values(), strict=True):
        cells = ["-" if t.solved_at is None else str(t.solved_at) for t in row]
        rows.append((row[0].problem, *cells))
    return Table(header=header, rows=rows, caption=caption)
