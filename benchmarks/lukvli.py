"""Claim: with fifty variables the choice of two models is never far worse than damped BFGS alone.

``python -m benchmarks lukvli`` runs four problems of Luksan and Vlcek, "Sparse and partially
separable test problems for unconstrained and equality constrained optimization", report 767 of the
Czech Academy of Sciences (1999), in the form with inequalities that CUTEst (Gould, Orban, Toint
2015) gives them.  ``--n 20`` takes another size, ``--all`` all methods that are installed.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np

from benchmarks.constrained_peers import METHODS, Case, Recorder, Trace, bounds
from benchmarks.hs import Problem
from benchmarks.hs.problem import total
from benchmarks.report import Section, Table, Target
from optdriver.feasible import FeasibleMinimizer

OURS, ALONE = "optdriver", "model B alone"
PEERS = ("SLSQP", "Ipopt L-BFGS")
SIZE = 50
BEST = {  # for SIZE; the lowest value that any of the methods reached at a feasible point
    "LUKVLI1": 0.0,
    "LUKVLI6": 2891.648934,
    "LUKVLI9": 4.994673026,
    "LUKVLI10": 17.24673366,
}
WORSE = 1.5
TEXT = """Four problems of Luksan and Vlcek with inequalities (CUTEst's LUKVLI), 50 variables.
Evaluations, value and gradient together, until the value is within 1e-6 max(1, abs(best)) of the
best known at a feasible point; *-* where 500 do not suffice. *Model B alone*: the damped BFGS
matrix without the choice between it and SR1."""


def problems(n: int) -> list[Problem]:
    """Return the four problems at size `n`."""
    return [_lukvli1(n), _lukvli6(n), _lukvli9(n), _lukvli10(n)]


def _alternating(n: int, odd: float, even: float) -> tuple[float, ...]:
    return tuple(even if i % 2 else odd for i in range(n))


def _lukvli1(n: int) -> Problem:
    """Return chained Rosenbrock, trigonometric and exponential constraints."""
    terms = [f"100*(x{i}^2 - x{i + 1})^2 + (x{i} - 1)^2" for i in range(1, n)]
    rows = [
        f"3*x{k + 1}^3 + 2*x{k + 2} - 8 + sin(x{k + 1} - x{k + 2})*sin(x{k + 1} + x{k + 2})"
        f" + 4*x{k + 1} - x{k}*exp(x{k} - x{k + 1}) <= 0"
        for k in range(1, n - 1)
    ]
    return Problem(
        name="LUKVLI1",
        objective=total(terms),
        inequalities=tuple(rows),
        start=_alternating(n, -1.2, 1.0),
        best=BEST["LUKVLI1"],
    )


def _lukvli6(n: int) -> Problem:
    """Return Broyden's banded function, exponential constraints."""
    terms = []
    for i in range(1, n + 1):
        band = total([f"x{j} + x{j}^2" for j in range(max(1, i - 5), min(n, i + 1) + 1)])
        terms.append(f"((2*x{i} + 5*x{i}^3 + 1 + {band})^2)^(7/6)")  # abs(...)^(7/3)
    rows = [
        f"4*x{2 * k} - (x{2 * k - 1} - x{2 * k + 1})*exp(x{2 * k - 1} - x{2 * k} - x{2 * k + 1})"
        " >= 3"
        for k in range(1, (n - 1) // 2 + 1)
    ]
    return Problem(
        name="LUKVLI6",
        objective=total(terms),
        inequalities=tuple(rows),
        start=(3.0,) * n,
        best=BEST["LUKVLI6"],
    )


def _lukvli9(n: int) -> Problem:
    """Return the modified Brown function with seven-diagonal constraints at both ends."""
    terms = [f"x{i}^2/1000 - (x{i} - x{i + 1}) + exp(20*(x{i} - x{i + 1}))" for i in range(1, n, 2)]
    a, b, c, d, e, f = (f"x{n - k}" for k in range(6))
    rows = [
        "4*(x1 - x2^2) + x2 - x3^2 + x3 - x4^2 <= 0",
        "8*(x2^3 - x2*x1) + 6*x2 - 2 - 4*x3^2 + x1^2 + x3 - x4^2 + x4 - x5^2 <= 0",
        "8*(x3^3 - x3*x2) + 6*x3 - 2 - 4*x4^2 + x2^2 - x1 + x4 - x5^2 + x1^2 + x5 - x6^2 <= 0",
        f"8*({c}^3 - {c}*{d}) + 6*{c} - 2 - 4*{b}^2 + {d}^2 - {e} + {b} - {a}^2 + {e}^2 + {a}"
        f" - {f} <= 0",
        f"8*({b}^3 - {b}*{c}) + 6*{b} - 2 - 4*{a}^2 + {c}^2 - {d} + {a} + {d}^2 - {e} <= 0",
        f"8*({a}^3 - {a}*{b}) + 2*{a} + {b}^2 - {c} + {c}^2 - {d} <= 0",
    ]
    return Problem(
        name="LUKVLI9",
        objective=total(terms),
        inequalities=tuple(rows),
        start=(-1.0,) * n,
        best=BEST["LUKVLI9"],
    )


def _lukvli10(n: int) -> Problem:
    """Return Brown's function, Broyden's tridiagonal constraints."""
    terms = [f"(x{i}^2)^(x{i + 1}^2 + 1) + (x{i + 1}^2)^(x{i}^2 + 1)" for i in range(1, n, 2)]
    rows = [f"(3 - 2*x{k + 1})*x{k + 1} + 1 - x{k} - 2*x{k + 2} <= 0" for k in range(1, n - 1)]
    return Problem(
        name="LUKVLI10",
        objective=total(terms),
        inequalities=tuple(rows),
        start=_alternating(n, -1.0, 1.0),
        best=BEST["LUKVLI10"],
    )


def alone(case: Case) -> Trace:
    """Run ours with the damped BFGS model only: the other's score is infinite."""
    recorder = Recorder(case, ALONE)
    opt = FeasibleMinimizer(case.problem.start, case.constraints, bounds(case.problem))
    opt._state.scores = np.array([np.inf, 0.0])  # noqa: SLF001  no option sets it
    while not opt.done and opt.nfev < recorder.most:
        opt.tell(*recorder(opt.ask()))
    recorder.trace.success = opt.converged
    recorder.trace.kkt = float(opt.result.kkt)
    return recorder.trace


def run(options: Sequence[str]) -> Section:
    """Run the four problems and return the section of the results."""
    parser = argparse.ArgumentParser(prog="lukvli", description=__doc__)
    parser.add_argument("--n", type=int, default=SIZE)
    parser.add_argument("--all", action="store_true")
    given = parser.parse_args(list(options))
    peers = [name for name in METHODS if name != OURS and (given.all or name in PEERS)]
    methods = {OURS: METHODS[OURS], ALONE: alone, **{name: METHODS[name] for name in peers}}
    rows, ratios, infeasible = [], [], 0
    for problem in problems(given.n):
        case = Case.of(problem)
        traces = [method(case) for method in methods.values()]
        counts = [trace.solved_at or np.inf for trace in traces]
        ratios.append(counts[0] / counts[1] if counts[0] < np.inf else np.inf)
        infeasible += traces[0].infeasible
        lowest = min(trace.fun for trace in traces)
        cells = ["-" if count == np.inf else f"{count:g}" for count in counts]
        rows.append((problem.name, f"{lowest:.10g}", *cells, str(traces[0].success)))
    header = ("problem", "lowest value", *methods, "ours ends optimal")
    return Section(
        name="lukvli",
        title="Constraints: problems of Luksan and Vlcek",
        text=TEXT,
        targets=[
            Target(
                claim="evaluations beside model B's, the worst problem",
                value=max(ratios),
                limit=WORSE,
            ),
            Target(claim="infeasible evaluations", value=infeasible, limit=0),
        ],
        tables=[Table(header=header, rows=rows)],
    )
