"""Claim: under constraints ours asks no infeasible point, and fewer points than the others.

``python -m benchmarks constrained`` runs the problems of `benchmarks.hs` through ours and through
every peer that is installed, from the same start: the book's, moved to the nearest feasible point.
``--quick`` takes SLSQP as the only peer; ``--only HS43 HS71`` takes those problems.

SciPy's methods are always there. The others: ``pip install -e '.[bench]'`` for NLopt and
``'.[bench-ipopt]'`` for Ipopt, which is built from source and on Debian needs
``apt-get install gfortran pkg-config coinor-libipopt-dev libmumps-seq-dev liblapack-dev
libblas-dev``.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from benchmarks.constrained_peers import (
    INEQUALITIES_ONLY,
    METHODS,
    MOST,
    MOST_VALUES,
    SECONDS,
    SOLVED,
    Case,
    Trace,
)
from benchmarks.hs import EQUALITIES, INEQUALITIES, Problem
from benchmarks.parallel import Report, last_reports
from benchmarks.report import Section, Table, Target
from optdriver.feasible.state import Stop

OURS, PEER = "optdriver", "SLSQP"
FIRST_ORDER = 1e-6  # of max(1, |f|): a residual of an end by slopes
BEST = {problem.name: problem.best for problem in (*INEQUALITIES, *EQUALITIES)}
OPTIONAL = ("NLopt SLSQP", "Ipopt L-BFGS")
TEXT = f"""The {len(INEQUALITIES)} problems of Hock and Schittkowski (1981) that have nonlinear or
linear inequalities and the {len(EQUALITIES)} with equalities, from the book's start moved to
feasibility; all methods with exact gradients of the objective and of the constraints, COBYQA with
values alone. *Solved*: the value is within 1e-6 max(1, abs(best)) of the best known, at a point
that is feasible to 1e-6 of a unit gradient. *Evaluations*: distinct points at which the objective
was asked, up to the one that solves; value and gradient count as one. *Its*, *ours*:
evaluations of the method and of ours, summed over the problems that both solve. *Infeasible*:
evaluations at points that violate an inequality or a bound by more than 1e-9 of a unit gradient,
*off*: that miss an equality by as much, and on how many problems; over whole runs. A run goes on
until the method ends it, or has asked {MOST} points ({MOST_VALUES} where a point is a value alone),
or has had {SECONDS:g} s of processor; *cut short* counts the last two. A success of ours claims
slopes, and is held to its residual, or that f falls no more; then its slopes may be larger, as
they are where f is flat. Each is held to the best known value, but for those that are at
another point where the first-order conditions hold."""

Traces = dict[str, list[Trace]]


def run(options: Sequence[str]) -> Section:
    """Run the comparison and return its section of the results."""
    parser = argparse.ArgumentParser(
        prog="constrained", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", nargs="*", default=[])
    given = parser.parse_args(list(options))
    methods = [OURS, PEER] if given.quick else list(METHODS)
    wanted = partial(_wanted, only=given.only)
    inequalities = trace(wanted(INEQUALITIES), methods)
    equalities = trace(
        wanted(EQUALITIES), [name for name in methods if name not in INEQUALITIES_ONLY]
    )
    return Section(
        name="constrained",
        title="Constraints: Hock and Schittkowski's problems",
        text=" ".join([TEXT, *_missing(methods)]),
        targets=[*_inequality_targets(inequalities), *_equality_targets(equalities)],
        tables=[
            _summary(inequalities, f"Inequalities.{_at_success(inequalities)}"),
            _summary(equalities, f"With equalities.{_at_success(equalities)}"),
        ],
        details=[
            _details(inequalities, "Inequalities: evaluations, problem by problem."),
            _details(equalities, "With equalities: evaluations, problem by problem."),
        ],
        packages=("sympy", "nlopt", "cyipopt"),
    )


def _missing(methods: Sequence[str]) -> list[str]:
    missing = [name.split()[0] for name in OPTIONAL if name not in methods]
    return [f"Not measured: {', '.join(missing)}."] if missing else []


def _wanted(problems: Iterable[Problem], only: Sequence[str]) -> list[Problem]:
    return [problem for problem in problems if not only or problem.name in only]


def trace(problems: Sequence[Problem], methods: Sequence[str]) -> Traces:
    """Run every method on every problem, each in a process of its own."""
    cases = [Case.of(problem) for problem in problems]
    grid = [(case, method) for case in cases for method in methods]
    last = dict(last_reports([partial(_one, *pair) for pair in grid], seconds=SECONDS + 5.0))
    found: Traces = {method: [] for method in methods}
    for index, (case, method) in enumerate(grid):
        nothing = Trace(method=method, problem=case.problem.name)
        found[method].append(last[index] or nothing)
    return found


def _one(case: Case, method: str, report: Report) -> None:
    report(METHODS[method](replace(case, follow=report)))


def _both(traces: Traces, peer: str = PEER) -> tuple[int, int, int]:
    """Return on how many problems ours and a peer succeed, and the evaluations of both on those."""
    pairs = [
        (a.solved_at, b.solved_at)
        for a, b in zip(traces[OURS], traces[peer], strict=True)
        if a.solved_at is not None and b.solved_at is not None
    ]
    return len(pairs), sum(a for a, _ in pairs), sum(b for _, b in pairs)


def _solved(traces: Sequence[Trace]) -> int:
    return sum(trace.solved_at is not None for trace in traces)


def _median(traces: Sequence[Trace]) -> float:
    counts = [np.inf if trace.solved_at is None else trace.solved_at for trace in traces]
    return float(np.median(counts)) if counts else np.nan


def _residual(trace: Trace) -> float:
    """Return what is left of the first-order conditions, beside the size of f as the tests are."""
    return trace.kkt / max(1.0, abs(trace.fun))


def _error(trace: Trace) -> float:
    """Return by how much f is above the best known value, beside the size of that."""
    best = BEST[trace.problem]
    return max(0.0, trace.fun - best) / max(1.0, abs(best))


def _at_slopes(traces: Sequence[Trace]) -> list[Trace]:
    """Return the ends that claim that the first-order conditions hold."""
    return [trace for trace in traces if trace.success and trace.stop == Stop.OPTIMAL]


def _at_values(traces: Sequence[Trace]) -> list[Trace]:
    """Return the successes but for those at another point where the conditions hold."""
    return [trace for trace in traces if trace.success and not _is_elsewhere(trace)]


def _is_elsewhere(trace: Trace) -> bool:
    return trace.success and _error(trace) > SOLVED and _residual(trace) <= FIRST_ORDER


def _inequality_targets(traces: Traces) -> list[Target]:
    own = traces[OURS]
    if not own:
        return []
    _, mine, theirs = _both(traces)
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
        *_success_targets("inequalities", own),
    ]


def _equality_targets(traces: Traces) -> list[Target]:
    own = traces[OURS]
    if not own:
        return []
    _, mine, theirs = _both(traces)
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
        *_success_targets("equalities", own),
    ]


def _success_targets(which: str, own: Sequence[Trace]) -> list[Target]:
    """Return what successes are held to: slopes where they are claimed, and f everywhere."""
    return [
        Target(
            claim=f"{which}: largest residual of an end by slopes, beside max(1, |f|)",
            value=max(map(_residual, _at_slopes(own)), default=0.0),
            limit=FIRST_ORDER,
        ),
        Target(
            claim=f"{which}: largest error of f at a success, beside max(1, |best|)",
            value=max(map(_error, _at_values(own)), default=0.0),
            limit=SOLVED,
        ),
    ]


HEADER = ("method", "solved", "median", "both solve", "its", "ours", "infeasible", "cut short")


def _at_success(traces: Traces) -> str:
    """Say how successes of ours ended, and where each kind is worst."""
    own = traces[OURS]
    slopes, values = _at_slopes(own), _at_values(own)
    said = [
        f"Ours ended {len(slopes)} times by slopes and {_count(own) - len(slopes)} times by a small"
        " reduction of f."
    ]
    if slopes:
        worst = max(slopes, key=_residual)
        said.append(
            f"Largest residual of an end by slopes, beside max(1, |f|): {_residual(worst):.1e} "
            f"({worst.problem}, f = {worst.fun:.6g})."
        )
    if values:
        worst = max(values, key=_error)
        said.append(
            f"Largest error of f at a success, beside max(1, |best|): {_error(worst):.1e} "
            f"({worst.problem})."
        )
    elsewhere = [trace.problem for trace in own if _is_elsewhere(trace)]
    if elsewhere:
        said.append(
            f"At another point where the first-order conditions hold: {', '.join(elsewhere)}."
        )
    return " ".join(["", *said])


def _count(own: Sequence[Trace]) -> int:
    return sum(trace.success for trace in own)


def _summary(traces: Traces, caption: str) -> Table:
    rows = []
    for method, found in traces.items():
        both, ours, its = _both(traces, method)
        cut = sum(not trace.ended or trace.note in ("time", "evaluations") for trace in found)
        rows.append(
            (
                method,
                f"{_solved(found)} of {len(found)}",
                f"{_median(found):g}".replace("inf", "-"),
                f"{both}",
                f"{its}",
                f"{ours}",
                _wrong(found),
                f"{cut or '-'}",
            )
        )
    return Table(header=HEADER, rows=rows, caption=caption)


def _wrong(found: Sequence[Trace]) -> str:
    """Return how many evaluations violate a constraint, and on how many problems."""
    parts = []
    for word, counts in (
        ("", [trace.infeasible for trace in found]),
        ("off ", [trace.off_manifold for trace in found]),
    ):
        if sum(counts):
            parts.append(f"{word}{sum(counts)} on {np.count_nonzero(counts)}")
    return ", ".join(parts) or "0"


def _details(traces: Traces, caption: str) -> Table:
    header = ("problem", *traces)
    rows = []
    for row in zip(*traces.values(), strict=True):
        cells = ["-" if t.solved_at is None else str(t.solved_at) for t in row]
        rows.append((row[0].problem, *cells))
    return Table(header=header, rows=rows, caption=caption)
