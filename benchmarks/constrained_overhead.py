"""Claim: what the feasible minimizer does beside an evaluation is a few times SLSQP's work.

``python -m benchmarks constrained-overhead`` measures the processor time of whole runs, by
evaluation and less the objective's own, on small problems of Hock and Schittkowski and on three
balls in n variables (a quartic valley inside their intersection), beside SLSQP and trust-constr in
the same rounds.  The peers get values and Jacobians of the constraints from plain compiled Python
functions (printed by SymPy with common subexpressions, on Python's floats).  A second table times
values, Jacobians and Hessians themselves, and a third one studies with one
constraint, linear or an inactive nonlinear one.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy
from scipy.optimize import Bounds, NonlinearConstraint, minimize

from benchmarks.hs import INEQUALITIES
from benchmarks.hs.problem import Objective, Vector
from benchmarks.report import Section, Table, Target
from benchmarks.timing import interleaved, ratio
from optdriver import create_study
from optdriver.constraints import ConstraintSet
from optdriver.feasible import FeasibleMinimizer
from optdriver.geometry import optimality, posing

SMALL = ("HS43", "HS76", "HS100", "HS113")
LIMITS = {"HS43": 4.0, "HS76": 4.0, "HS100": 4.0, "HS113": 4.0}
BALLS = {20: 4.0, 50: 8.0, 100: 8.0, 200: 4.0}
BEFORE = {
    "HS43": 27, "HS76": 24, "HS100": 101, "HS113": 36,
    "balls 20": 118, "balls 50": 193, "balls 100": 110, "balls 200": 48,
}  # fmt: skip
STUDIES = {
    "linear": {10: 1.5, 100: 1.5, 1000: 2.0},
    "nonlinear, inactive": {10: 2.0, 100: 2.0, 1000: 3.0},
}
STUDIES_BEFORE = {
    "linear": {10: 7, 100: 50, 1000: 250},
    "nonlinear, inactive": {10: 8, 100: 175, 1000: 500},
}
CREATION = 3.0  # of a study with one linear row in 1000 variables, and of its first ask
FORMULAS = {"values": 0.7, "Jacobian": 1.0, "Hessian": 1.5}
FORMULAS_BEFORE = {"values": "8", "Jacobian": "38", "Hessian": "-"}
MOST = 100
EVALUATIONS = 12  # of a study
TEXT = """Processor time beside the objective, by evaluation, as a ratio to the peer in the same
round (medians); *ms* is ours. *Before* is what was measured for version 0.1.0 from outside. The
peers' constraints are plain compiled Python functions; both stop at their own tests. *Compiled* is
what two compiled calls take by evaluation, as a ratio to SLSQP: those that solve the subproblem and
judge the first-order conditions, made again with the arguments of a run. With this arithmetic, and
no Python at all beside them, that would be left: for 200 variables more than the target already,
and for HS100 and 20 variables most of the rest is Python beside them. Of the rows alone
*compiled* is the compiled page without the two Python calls round it; in studies *calls* are the
Python functions called by an ask and a tell, with the row / without: where arithmetic is as little
as that of one linear row they are what is paid for."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A problem with its constraints as texts and as compiled Python functions."""

    name: str
    texts: Sequence[str]
    names: list[str]
    sides: list[tuple[float, float]]
    start: Vector
    objective: Callable[[Vector], tuple[float, Vector]]
    values: Callable[..., Any]
    jacobian: Callable[..., Any]
    hessian: Callable[..., Any]
    equalities: int


def case(
    name: str,
    texts: Sequence[str],
    sides: list[tuple[float, float]],
    start: Vector,
    objective: Callable[[Vector], tuple[float, Vector]],
) -> Case:
    """Compile the texts of a problem (they are ours) by SymPy too."""
    names = [f"x{i + 1}" for i in range(len(start))]
    symbols = sympy.symbols(names)
    weights = sympy.symbols([f"w{i + 1}" for i in range(len(texts))])
    rows = [_row(text, dict(zip(names, symbols, strict=True))) for text in texts]
    slopes = [[sympy.diff(row, s) for s in symbols] for row in rows]
    total = [
        sum(w * line[i] for w, line in zip(weights, slopes, strict=True)) for i in range(len(names))
    ]
    bends = [
        sympy.diff(total[i], symbols[j]) if total[i].has(symbols[j]) else sympy.Integer(0)
        for i in range(len(names))
        for j in range(len(names))
    ]
    return Case(
        name=name,
        texts=texts,
        names=names,
        sides=sides,
        start=start,
        objective=objective,
        values=sympy.lambdify(symbols, rows, "math", cse=True),
        jacobian=sympy.lambdify(symbols, slopes, "math", cse=True),
        hessian=sympy.lambdify([*symbols, *weights], bends, "math", cse=True),
        equalities=sum("==" in text for text in texts),
    )


def _row(text: str, known: dict[str, Any]) -> Any:
    """Return the row that is at most zero."""
    for sign in ("<=", ">=", "=="):
        if sign in text:
            left, right = (
                sympy.sympify(side.replace("^", "**"), known) for side in text.split(sign)
            )
            return right - left if sign == ">=" else left - right
    raise ValueError(text)


def hock_schittkowski(name: str) -> Case:
    """Return a problem of the collection."""
    problem = next(p for p in INEQUALITIES if p.name == name)
    lower, upper = problem.box
    sides = list(zip(lower.tolist(), upper.tolist(), strict=True))
    start = np.array(problem.start, dtype=float)
    return case(name, problem.texts, sides, start, Objective(problem))


def balls(n: int) -> Case:
    """Return a quartic valley in the intersection of three balls."""
    generator = np.random.default_rng(n)
    texts = []
    for _ in range(3):
        centre = generator.uniform(-0.5, 0.5, n)
        away = (f"(x{i + 1} - {c:.4f})^2" for i, c in enumerate(centre))
        texts.append(" + ".join(away) + f" <= {1.2 * n / 8:.4f}")
    goal = 1.0 + 0.5 * np.sin(np.arange(n))

    def objective(x: Vector) -> tuple[float, Vector]:
        bends, away = x[1:] - x[:-1], x - goal
        g = 2.0 * away + 4.0 * away**3
        g[1:] += 2.0 * bends
        g[:-1] -= 2.0 * bends
        return float(away @ away + np.sum(away**4) + bends @ bends), g

    return case(f"balls {n}", texts, [(-5.0, 5.0)] * n, np.zeros(n), objective)


class Timed:
    """An objective that keeps what it takes, and how often it was asked."""

    def __init__(self, objective: Callable[[Vector], tuple[float, Vector]]) -> None:
        self.objective = objective
        self.seconds, self.calls = 0.0, 0

    def __call__(self, x: Vector) -> tuple[float, Vector]:
        """Return f and g."""
        before = time.process_time()
        made = self.objective(x)
        self.calls += 1
        self.seconds += time.process_time() - before
        return made


def by_evaluation(run: Callable[[Timed], Any], objective: Any) -> Callable[[], float]:
    """Return a measurement of the seconds beside the objective, by evaluation."""

    def measure() -> float:
        gc.collect()
        fun = Timed(objective)
        before = time.process_time()
        run(fun)
        return (time.process_time() - before - fun.seconds) / fun.calls

    return measure


def ours(given: Case) -> Callable[[Timed], Any]:
    """Return a run of `FeasibleMinimizer`; the texts are compiled before."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = ConstraintSet(given.texts, given.names, given.sides, reference=given.start)
    first = FeasibleMinimizer(given.start, made)

    def run(fun: Timed) -> None:
        opt = first.copy()
        while not opt.done and fun.calls < MOST:
            opt.tell(*fun(opt.ask()))

    return run


def slsqp(given: Case) -> Callable[[Timed], Any]:
    """Return a run of SLSQP, each distinct point counted once."""
    p = len(given.texts) - given.equalities
    rows = [
        {
            "type": kind,
            "fun": lambda x, s=part, f=factor: f * np.array(given.values(*x.tolist()))[s],
            "jac": lambda x, s=part, f=factor: f * np.array(given.jacobian(*x.tolist()))[s],
        }
        for kind, part, factor in (("ineq", slice(0, p), -1.0), ("eq", slice(p, None), 1.0))
        if len(range(len(given.texts))[part])
    ]

    def run(fun: Timed) -> None:
        minimize(
            fun,
            given.start,
            jac=True,
            method="SLSQP",
            bounds=given.sides,
            constraints=rows,
            options={"maxiter": MOST, "ftol": 1e-10},
        )

    return run


def trust_constr(given: Case) -> Callable[[Timed], Any]:
    """Return a run of trust-constr, with exact second derivatives of the constraints."""
    n, p = len(given.start), len(given.texts) - given.equalities
    row = NonlinearConstraint(
        lambda x: np.array(given.values(*x.tolist())),
        [-np.inf] * p + [0.0] * given.equalities,
        0.0,
        jac=lambda x: np.array(given.jacobian(*x.tolist())),
        hess=lambda x, v: np.array(given.hessian(*x.tolist(), *v.tolist())).reshape(n, n),
    )

    def run(fun: Timed) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            minimize(
                fun,
                given.start,
                jac=True,
                method="trust-constr",
                bounds=Bounds(*zip(*given.sides, strict=True)),
                constraints=[row],
                options={"maxiter": MOST, "gtol": 1e-8},
            )

    return run


COMPILED = ((posing, "solved"), (optimality, "judged"))
"""What does most of the arithmetic."""


def compiled(given: Case) -> Callable[[], float]:
    """Return a measurement of the seconds of these calls alone, by evaluation of a run."""
    made: list[tuple[Callable[..., Any], tuple[Any, ...]]] = []
    whole = [getattr(page, name) for page, name in COMPILED]

    def noted(work: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args: (made.append((work, args)), work(*args))[1]

    fun = Timed(given.objective)
    try:
        for (page, name), work in zip(COMPILED, whole, strict=True):
            setattr(page, name, noted(work))
        ours(given)(fun)
    finally:
        for (page, name), work in zip(COMPILED, whole, strict=True):
            setattr(page, name, work)

    def measure() -> float:
        before = time.process_time()
        for work, args in made:
            work(*args)
        return (time.process_time() - before) / fun.calls

    return measure


def minimizers(cases: Sequence[Case], rounds: int, slow: bool) -> tuple[list[Target], Table]:
    """Measure whole runs."""
    targets, lines = [], []
    for given in cases:
        limit = LIMITS.get(given.name) or BALLS[len(given.start)]
        works = {"ours": ours(given), "SLSQP": slsqp(given)}
        if slow:
            works["trust-constr"] = trust_constr(given)
        timed = {name: by_evaluation(run, given.objective) for name, run in works.items()}
        measured = interleaved({**timed, "compiled": compiled(given)}, rounds)
        own = measured["ours"]
        against = {name: ratio(own, measured[name]) for name in works if name != "ours"}
        targets.append(Target(claim=f"{given.name}, / SLSQP", value=against["SLSQP"], limit=limit))
        if slow:
            found = against["trust-constr"]
            targets.append(Target(claim=f"{given.name}, / trust-constr", value=found, limit=1.0))
        lines.append(
            (
                given.name,
                str(BEFORE[given.name]),
                f"{against['SLSQP']:.2f}",
                f"{limit:g}",
                f"{ratio(measured['compiled'], measured['SLSQP']):.2f}",
                f"{against.get('trust-constr', np.nan):.3f}",
                f"{1e3 * float(np.median(own)):.3f}",
                f"{1e3 * float(np.median(measured['SLSQP'])):.3f}",
            )
        )
    header = (
        "problem", "before", "/ SLSQP", "target", "compiled", "/ trust-constr", "ms", "SLSQP ms",
    )  # fmt: skip
    return targets, Table(header=header, rows=lines, caption="*One minimizer, whole runs.*")


def seconds(work: Callable[[], Any], repeats: int = 2000) -> float:
    """Return the processor time of one call."""
    before = time.process_time()
    for _ in range(repeats):
        work()
    return (time.process_time() - before) / repeats


def formulas(given: Case, rounds: int) -> tuple[list[Target], Table]:
    """Measure values, Jacobian and Hessian of the rows, ours as NumPy arrays."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = ConstraintSet(given.texts, given.names, given.sides)
    x, w = given.start + 0.1, np.linspace(0.5, 1.5, len(given.texts))
    plain, weights = x.tolist(), w.tolist()
    works: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
        "values": (lambda: made.values(x), lambda: given.values(*plain)),
        "Jacobian": (lambda: made.jacobian(x), lambda: given.jacobian(*plain)),
        "Hessian": (lambda: made.hessian(x, w), lambda: given.hessian(*plain, *weights)),
    }
    targets, lines = [], []
    page, flat = made.system, np.ascontiguousarray(x)
    if page is None:
        raise ValueError("the rows are no programs")
    alone: dict[str, Callable[[], Any]] = {
        "values": lambda: page.rows(flat),
        "Jacobian": lambda: page.jacobian(flat),
        "Hessian": lambda: page.hessian(flat, w),
    }
    for what, pair in works.items():
        measured = interleaved(
            {
                k: (lambda w=work: seconds(w))
                for k, work in zip("abc", (*pair, alone[what]), strict=True)
            },
            rounds,
        )
        found = ratio(measured["a"], measured["b"])
        targets.append(Target(claim=f"{given.name}, {what}", value=found, limit=FORMULAS[what]))
        lines.append(
            (
                what,
                FORMULAS_BEFORE[what],
                f"{found:.2f}",
                f"{FORMULAS[what]:g}",
                f"{ratio(measured['c'], measured['b']):.2f}",
                f"{1e6 * float(np.median(measured['a'])):.1f}",
            )
        )
    caption = f"*The constraints of {given.name} alone, beside plain compiled Python functions.*"
    return targets, Table(
        header=("of the rows", "before", "ratio", "target", "compiled", "us"),
        rows=lines,
        caption=caption,
    )


def _study(
    n: int, constraints: Sequence[str], count: Callable[..., None] | None = None
) -> tuple[float, float, float]:
    """Return the seconds of creation, of the first ask, and of a later ask and tell.

    `count`, if any, is told of every call of the last.
    """
    goal = 0.3 * np.sin(np.arange(n))
    gc.collect()
    marks = [time.process_time()]
    study = create_study(
        {f"x{i + 1}": (-1.0, 1.0) for i in range(n)},
        constraints=list(constraints),
        jac=True,
        seed=1,
    )
    marks.append(time.process_time())
    asked = study.ask()
    marks.append(time.process_time())
    sys.setprofile(count)
    for _ in range(EVALUATIONS):
        x = np.array(list(asked.params.values()))
        away = x - goal
        study.tell(asked.id, float(away @ away + np.sum(away**4)), 2.0 * away + 4.0 * away**3)
        asked = study.ask()
    sys.setprofile(None)
    marks.append(time.process_time())
    creation, first, later = np.diff(marks)
    return float(creation), float(first), float(later) / EVALUATIONS


def _calls(n: int, constraints: Sequence[str]) -> float:
    """Return how many Python functions an ask and a tell call."""
    made = [0]

    def count(_frame: Any, event: str, _given: Any) -> None:
        made[0] += event == "call"

    _study(n, constraints, count)
    return made[0] / EVALUATIONS


def _row_of(kind: str, n: int) -> str:
    if kind == "linear":
        return " + ".join(f"x{i + 1}" for i in range(n)) + f" <= {0.3 * n}"
    return "x1^2 + x2^2 <= 1.5"


def studies(sizes: Sequence[int], rounds: int) -> tuple[list[Target], Table]:
    """Measure studies in memory with one constraint and without."""
    targets, lines = [], []
    for kind, n in ((kind, n) for kind in STUDIES for n in sizes):
        text, limit = _row_of(kind, n), STUDIES[kind][n]
        _study(n, [text])
        made = [(_study(n, [text]), _study(n, [])) for _ in range(rounds)]
        found = [float(np.median([a[k] / b[k] for a, b in made])) for k in range(3)]
        name = f"study, one row, {kind}, n = {n}"
        targets.append(Target(claim=name, value=found[2], limit=limit))
        if kind == "linear" and n == max(sizes):
            targets += [
                Target(claim=f"{name}: {what}", value=found[k], limit=CREATION)
                for k, what in enumerate(("creation", "first ask"))
            ]
        lines.append(
            (
                kind,
                str(n),
                str(STUDIES_BEFORE[kind][n]),
                f"{found[2]:.2f}",
                f"{limit:g}",
                f"{_calls(n, [text]):.0f} / {_calls(n, []):.0f}",
                f"{found[0]:.2f}",
                f"{found[1]:.2f}",
            )
        )
    header = ("one row", "n", "before", "ask + tell", "target", "calls", "creation", "first ask")
    caption = "*Studies with one constraint, beside the same without.*"
    return targets, Table(header=header, rows=lines, caption=caption)


def run(options: Sequence[str]) -> Section:
    """Measure and return the tables."""
    parser = argparse.ArgumentParser("constrained-overhead", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--sizes", type=int, nargs="*", default=list(BALLS))
    parser.add_argument("--no-trust-constr", action="store_true")
    parser.add_argument("--no-studies", action="store_true")
    chosen = parser.parse_args(options)
    cases = [*map(hock_schittkowski, SMALL), *map(balls, chosen.sizes)]
    parts = [minimizers(cases, chosen.rounds, not chosen.no_trust_constr)]
    parts.append(formulas(cases[3], chosen.rounds))
    if not chosen.no_studies:
        parts.append(studies(tuple(STUDIES["linear"]), max(3, chosen.rounds // 3)))
    return Section(
        name="constrained-overhead",
        title="Work beside an evaluation under constraints",
        text=TEXT,
        targets=[target for made, _ in parts for target in made],
        tables=[table for _, table in parts],
        packages=("sympy",),
    )
