"""Methods for constrained problems on equal terms: one start, one way of counting.

Every distinct point at which the objective is asked counts once, value and gradient together.  A
method has solved a problem at the first of its points that is feasible (to 1e-6 of a unit
gradient; ours are so exactly) and whose value is within 1e-6 max(1, |best|) of the best known.
It goes on until it ends by itself, or has asked `MOST` points, or has had `SECONDS` of processor.
"""

from __future__ import annotations

import importlib.util
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy.optimize import Bounds, NonlinearConstraint, minimize

from benchmarks.hs import Objective, Problem
from benchmarks.hs.problem import Vector
from optdriver.constraints import ConstraintSet
from optdriver.feasible import FeasibleMinimizer
from optdriver.feasible.region import Region, region

SOLVED = 1e-6
FEASIBLE = 1e-6
INFEASIBLE = 1e-9
MOST = 500
MOST_VALUES = 2000  # for a method that asks for values alone
SECONDS = 15.0
PENALTY_FREE = 1e10  # what a method is told where the formula has no value


class _EnoughError(Exception):
    """The budget of evaluations or of time is spent."""


@dataclass(kw_only=True)
class Trace:
    """What one method did on one problem."""

    method: str
    problem: str
    solved_at: int | None = None
    count: int = 0
    infeasible: int = 0
    off_manifold: int = 0
    success: bool = False
    ended: bool = False
    stop: str = ""
    kkt: float = np.nan
    fun: float = np.inf
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A problem, compiled, with its feasible start, and who follows its evaluations."""

    problem: Problem
    objective: Objective
    constraints: Any
    region: Region
    start: Vector
    follow: Callable[[Trace], None] | None = None

    @staticmethod
    def of(problem: Problem) -> Case:
        """Compile `problem` and move the book's start to the nearest feasible point."""
        opt = FeasibleMinimizer(problem.start, compiled(problem), bounds(problem))
        lower, upper = opt.bounds
        reference = np.clip(np.array(problem.start, dtype=float), lower, upper)
        made = region(opt.constraints, lower, upper, reference)
        return Case(
            problem=problem,
            objective=Objective(problem),
            constraints=opt.constraints,
            region=made,
            start=opt.x0,
        )


def compiled(problem: Problem) -> Any:
    """Return the constraints as texts compiled by us; as functions for the few without a text."""
    if problem.functions is not None:
        return problem.functions()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # notes on rows that always hold
        return ConstraintSet(
            problem.texts,
            problem.names,
            bounds(problem),
            reference=np.array(problem.start, dtype=float),
        )


def bounds(problem: Problem) -> list[tuple[float, float]]:
    """Return the box as pairs."""
    return list(zip(*(side.tolist() for side in problem.box), strict=True))


class Recorder:
    """The objective as a method sees it: counts, judges and remembers every point."""

    def __init__(self, case: Case, method: str, most: int = MOST) -> None:
        self.case, self.most = case, most
        self.trace = Trace(method=method, problem=case.problem.name)
        self._seen: dict[bytes, tuple[float, Vector]] = {}
        self._began = time.process_time()

    def __call__(self, x: Vector) -> tuple[float, Vector]:
        """Return f and g; what was seen before is free."""
        point = np.array(x, dtype=float)
        key = point.tobytes()
        if key not in self._seen:
            late = time.process_time() - self._began > SECONDS
            if self.trace.count >= self.most or late:
                self.trace.note = "time" if late else "evaluations"
                raise _EnoughError
            self._seen[key] = self.case.objective(point)
            self._judge(point, self._seen[key][0])
        f, g = self._seen[key]
        usable = np.isfinite(f) and bool(np.all(np.isfinite(g)))
        return (f, g.copy()) if usable else (PENALTY_FREE, np.zeros_like(g))

    def _judge(self, x: Vector, f: float) -> None:
        trace, best = self.trace, self.case.problem.best
        trace.count += 1
        above, off = self.case.region.violation(x)
        trace.infeasible += above > INFEASIBLE
        trace.off_manifold += off > INFEASIBLE
        if max(above, off) <= FEASIBLE and np.isfinite(f):
            trace.fun = min(trace.fun, f)
            if trace.solved_at is None and f - best <= SOLVED * max(1.0, abs(best)):
                trace.solved_at = trace.count
        if self.case.follow is not None:
            self.case.follow(trace)

    def run(self, method: Callable[[], Any], *errors: type[Exception]) -> Trace:
        """Run a method to its end, or until it has had enough; it returns whether it succeeded.

        `errors` are those by which a peer says that it gives up, beside the common ones.
        """
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                self.trace.success = bool(method())
            except _EnoughError:
                self.trace.success = False
            except (ValueError, RuntimeError, ArithmeticError, *errors) as error:
                self.trace.note = f"{type(error).__name__}: {error}"  # the peer gives up
        self.trace.ended = True
        return self.trace


def ours(case: Case) -> Trace:
    """Run `FeasibleMinimizer` at its default options."""
    recorder = Recorder(case, "optdriver")

    def run() -> bool:
        opt = FeasibleMinimizer(case.problem.start, case.constraints, bounds(case.problem))
        while not opt.done:
            opt.tell(*recorder(opt.ask()))
        recorder.trace.stop, recorder.trace.kkt = str(opt.result.stop), float(opt.result.kkt)
        return opt.converged

    return recorder.run(run)


def _scipy(
    method: str,
    options: dict[str, Any],
    form: Callable[[Case], Any],
    gradient: bool = True,
    keep_feasible: bool = False,
) -> Callable[[Case], Trace]:
    def run(case: Case) -> Trace:
        recorder = Recorder(case, method, MOST if gradient else MOST_VALUES)
        return recorder.run(
            lambda: (
                minimize(
                    recorder if gradient else lambda x: recorder(x)[0],
                    case.start,
                    jac=gradient or None,
                    method=method,
                    bounds=Bounds(case.region.lower, case.region.upper, keep_feasible),
                    constraints=form(case),
                    options=options,
                ).success
            )
        )

    return run


def _dictionaries(case: Case) -> list[dict[str, Any]]:
    made, rows = case.constraints, case.constraints.n_inequalities
    found: list[dict[str, Any]] = []
    if rows:
        found.append(
            {
                "type": "ineq",
                "fun": lambda x: -made.values(x)[:rows],
                "jac": lambda x: -made.jacobian(x)[:rows],
            }
        )
    if len(made.names) > rows:
        found.append(
            {
                "type": "eq",
                "fun": lambda x: made.values(x)[rows:],
                "jac": lambda x: made.jacobian(x)[rows:],
            }
        )
    return found


def _objects(case: Case, keep_feasible: bool = False) -> list[NonlinearConstraint]:
    made = case.constraints
    lower = np.where(np.arange(len(made.names)) < made.n_inequalities, -np.inf, 0.0)
    if not len(lower):
        return []
    return [
        NonlinearConstraint(
            made.values,
            lower,
            0.0,
            jac=made.jacobian,
            hess=lambda x, v: made.hessian(x, v),
            keep_feasible=keep_feasible,
        )
    ]


IPOPT = {"hessian_approximation": "limited-memory", "max_iter": 400, "sb": "yes"}
TRUST = {"gtol": 1e-8, "maxiter": 400}
FEASIBLE_OBJECTS = partial(_objects, keep_feasible=True)
METHODS: dict[str, Callable[[Case], Trace]] = {
    "optdriver": ours,
    "SLSQP": _scipy("SLSQP", {"ftol": 1e-10, "maxiter": 400}, _dictionaries),
    "trust-constr": _scipy("trust-constr", TRUST, _objects),
    "trust-constr, keep_feasible": _scipy(
        "trust-constr", TRUST, partial(_objects, keep_feasible=True)
    ),
    "COBYQA": _scipy("COBYQA", {"maxfev": MOST_VALUES}, _objects, gradient=False),
}
INEQUALITIES_ONLY = ("NLopt MMA", "NLopt CCSAQ")


def _nlopt(name: str) -> Callable[[Case], Trace]:
    def run(case: Case) -> Trace:
        import nlopt

        recorder = Recorder(case, f"NLopt {name}")
        opt = nlopt.opt(getattr(nlopt, f"LD_{name}"), case.problem.n)
        opt.set_lower_bounds(case.region.lower)
        opt.set_upper_bounds(case.region.upper)
        opt.set_min_objective(_filling(recorder))
        _add_rows(opt, case)
        opt.set_ftol_rel(1e-12)
        opt.set_maxeval(MOST)

        def method() -> bool:
            opt.optimize(case.start)
            return bool(opt.last_optimize_result() > 0)

        return recorder.run(method, nlopt.RoundoffLimited, nlopt.ForcedStop)

    return run


def _filling(recorder: Recorder) -> Callable[[Vector, Vector], float]:
    def fill(x: Vector, gradient: Vector) -> float:
        f, g = recorder(x)
        if gradient.size:
            gradient[:] = g
        return f

    return fill


def _add_rows(opt: Any, case: Case) -> None:
    made = case.constraints

    def part(rows: slice) -> Callable[[Vector, Vector, Vector], None]:
        def fill(result: Vector, x: Vector, gradient: Vector) -> None:
            result[:] = made.values(x)[rows]
            if gradient.size:
                gradient[:] = made.jacobian(x)[rows]

        return fill

    rows = made.n_inequalities
    if rows:
        opt.add_inequality_mconstraint(part(slice(0, rows)), np.full(rows, 1e-8))
    if len(made.names) > rows:
        opt.add_equality_mconstraint(part(slice(rows, None)), np.full(len(made.names) - rows, 1e-8))


def _ipopt(case: Case) -> Trace:
    import cyipopt

    recorder = Recorder(case, "Ipopt L-BFGS")
    return recorder.run(
        lambda: (
            cyipopt.minimize_ipopt(
                recorder,
                case.start,
                jac=True,
                bounds=list(zip(case.region.lower, case.region.upper, strict=True)),
                constraints=_dictionaries(case),
                options=IPOPT,
                tol=1e-8,
            ).success
        )
    )


if importlib.util.find_spec("nlopt"):
    METHODS |= {f"NLopt {name}": _nlopt(name) for name in ("SLSQP", "MMA", "CCSAQ")}
if importlib.util.find_spec("cyipopt"):
    METHODS["Ipopt L-BFGS"] = _ipopt
