"""Claim: under constraints a fit takes fewer evaluations by its residuals than by its value.

``python -m benchmarks fits-constrained`` fits NIST's nonlinear sets within an ellipsoid round the
origin, active at the minimum or not, by residuals, by their value, and by SciPy's SLSQP and
trust-constr.  ``--only Thurber MGH09`` takes those sets.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import NonlinearConstraint, minimize

from benchmarks.nist import SETS, DataSet
from benchmarks.report import Section, Table, Target
from optdriver.constraints import ConstraintSet
from optdriver.multistart.handover import Handover

Vector = NDArray[np.float64]

OURS, VALUE = "optdriver, residuals", "optdriver, their value"
MOST = 500
CLOSE = 1e-8
LEVELS = {"active": 0.98, "not active": 1.5}
"""How large the ellipsoid is: with 1 the certified parameters are on it."""

TEXT = f"""NIST's 27 nonlinear sets from its two starts, in a box of four times the certified
parameters, within the ellipsoid sum((b / certified b)^2) <= k n, which is active at the minimum
with k = {LEVELS["active"]} and not with k = {LEVELS["not active"]}. *Best*: runs that end within a
part {CLOSE:g} of the least value that any method finds; *elsewhere*: that claim success at another
minimum, or at none; *violating*: points asked beyond the ellipsoid. At most {MOST} evaluations, of
a value with its gradient or of residuals with their Jacobian. SciPy's methods work in units of the
certified parameters, with tolerances of 1e-12."""


@dataclass(kw_only=True)
class Run:
    """What came of a run."""

    calls: int = 0
    violating: int = 0
    value: float = np.inf
    success: bool = False


def by_residuals(data: DataSet, x0: Vector, level: float, run: Run) -> None:
    """Fit by residuals."""
    _drive(data, x0, level, run, fit={})


def by_value(data: DataSet, x0: Vector, level: float, run: Run) -> None:
    """Minimise half of the sum of squares."""
    _drive(data, x0, level, run, fit=None)


def _drive(data: DataSet, x0: Vector, level: float, run: Run, fit: Any) -> None:
    names = [f"x{k + 1}" for k in range(x0.size)]
    parts = [f"({name}/{abs(size)!r})^2" for name, size in zip(names, data.b.tolist(), strict=True)]
    text = f"{' + '.join(parts)} <= {level * x0.size!r}"
    opt = Handover(x0, ConstraintSet(text, names, data.box, reference=x0), fit=fit, maxfun=MOST)
    while not opt.done:
        x = opt.ask()
        r, jacobian = data.residuals(x), data.jacobian(x)
        run.calls += 1
        run.violating += outside(data, x, level)
        if fit is None:
            opt.tell(0.5 * float(r @ r), jacobian.T @ r)
        else:
            opt.tell(r, jacobian)
    run.value, run.success = float(opt.result.fun), opt.converged


def outside(data: DataSet, x: Vector, level: float) -> bool:
    """Return whether a point violates the constraint, by more than its rounding."""
    return bool(np.sum((x / data.b) ** 2) > level * x.size * (1.0 + 1e-14))


class _EnoughError(Exception):
    pass


def scipys(method: str) -> Callable[[DataSet, Vector, float, Run], None]:
    """Return SciPy's method, in units of the certified parameters."""

    def fit(data: DataSet, x0: Vector, level: float, run: Run) -> None:
        def value(u: Vector) -> tuple[float, Vector]:
            if run.calls >= MOST:
                raise _EnoughError
            x = u * data.b
            r, jacobian = data.residuals(x), data.jacobian(x) * data.b
            run.calls += 1
            run.violating += outside(data, x, level)
            f = 0.5 * float(r @ r)
            if f < run.value and not outside(data, x, level - 1e-9):
                run.value = f
            return f / data.rss, jacobian.T @ r / data.rss

        inside = NonlinearConstraint(
            lambda u: level * u.size - u @ u, 0.0, np.inf, jac=lambda u: -2.0 * u[None]
        )
        options = {"maxiter": MOST}
        options |= {"ftol": 1e-12} if method == "SLSQP" else {"gtol": 1e-12, "xtol": 1e-12}
        box = np.sort(data.box / data.b[:, None], axis=1)
        try:
            made = minimize(
                value, x0 / data.b, jac=True, method=method, bounds=box, constraints=inside,
                options=options,
            )  # fmt: skip
            if not outside(data, made.x * data.b, level * (1.0 + 1e-9)):
                run.value = float(made.fun) * data.rss
            run.success = bool(made.success)
        except (_EnoughError, ValueError, np.linalg.LinAlgError):  # not finite
            return

    return fit


METHODS: dict[str, Callable[[DataSet, Vector, float, Run], None]] = {
    OURS: by_residuals,
    VALUE: by_value,
    "SLSQP": scipys("SLSQP"),
    "trust-constr": scipys("trust-constr"),
}
Runs = dict[str, list[Run]]


def run(options: Sequence[str]) -> Section:
    """Run the comparison and return its section of the results."""
    parser = argparse.ArgumentParser(prog="fits-constrained", description=__doc__)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--quick", action="store_true", help="without trust-constr")
    given = parser.parse_args(list(options))
    sets = [data for name, data in SETS.items() if not given.only or name in given.only]
    methods = [name for name in METHODS if not (given.quick and name == "trust-constr")]
    found = {kind: traced(sets, level, methods) for kind, level in LEVELS.items()}
    return Section(
        name="fits-constrained",
        title="Fits under a constraint: NIST's nonlinear sets within an ellipsoid",
        text=TEXT,
        targets=[target for kind, runs in found.items() for target in _targets(kind, runs)],
        tables=[_summary(runs, f"The constraint is {kind}.") for kind, runs in found.items()],
        details=[_details(sets, runs, f"Evaluations; {kind}.") for kind, runs in found.items()],
    )


def traced(sets: Sequence[DataSet], level: float, methods: Sequence[str]) -> Runs:
    """Run all methods from both starts of all sets."""
    found: Runs = {name: [] for name in methods}
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for data in sets:
            for start in data.starts:
                for name in methods:
                    made = Run()
                    METHODS[name](data, np.clip(start, *data.box.T), level, made)
                    found[name].append(made)
    return found


def _best(runs: Runs) -> Vector:
    """Return the least value that any method finds, by start."""
    values = np.array([[run.value for run in each] for each in runs.values()])
    pairs = np.nanmin(values, axis=0).reshape(-1, 2)
    return np.repeat(np.min(pairs, axis=1), 2)


def _right(runs: Runs, name: str) -> NDArray[np.bool_]:
    values = np.array([run.value for run in runs[name]])
    return np.asarray(values <= _best(runs) * (1.0 + CLOSE) + 1e-18)


def _targets(kind: str, runs: Runs) -> list[Target]:
    ours, value = (sum(run.calls for run in runs[name]) for name in (OURS, VALUE))
    return [
        Target(claim=f"{kind}: evaluations beside the value's", value=ours / value, limit=0.5),
        Target(
            claim=f"{kind}: best minima, the value's",
            value=int(_right(runs, OURS).sum()),
            limit=int(_right(runs, VALUE).sum()),
            at_least=True,
        ),
        Target(
            claim=f"{kind}: violating points",
            value=sum(run.violating for run in runs[OURS]),
            limit=0,
        ),
    ]


def _summary(runs: Runs, caption: str) -> Table:
    rows = []
    for name, each in runs.items():
        right = _right(runs, name)
        false = sum(run.success and not ok for run, ok in zip(each, right, strict=True))
        rows.append(
            (
                name,
                f"{sum(run.calls for run in each)}",
                f"{right.sum()} of {len(each)}",
                f"{false}",
                f"{sum(run.violating for run in each)}",
            )
        )
    header = ("method", "evaluations", "best", "elsewhere", "violating")
    return Table(header=header, rows=rows, caption=caption)


def _details(sets: Sequence[DataSet], runs: Runs, caption: str) -> Table:
    rows = []
    for k, data in enumerate(sets):
        for start in range(2):
            cells = []
            for name, each in runs.items():
                mark = "" if _right(runs, name)[2 * k + start] else " -"
                cells.append(f"{each[2 * k + start].calls}{mark}")
            rows.append((f"{data.name} {start + 1}", *cells))
    header = ("set, start (-: not the best minimum)", *runs)
    return Table(header=header, rows=rows, caption=caption)
