"""Claim: standard errors of fits are those certified, and profiles are those of lmfit.

``python -m benchmarks fits-errors`` runs a study for each of NIST's nonlinear sets, from NIST's
near start, and compares its standard errors with the certified ones; its intervals by profile
likelihood stand beside those of ``lmfit.conf_interval``, where lmfit is installed.  ``--only``
takes some sets.
"""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

import optdriver
from benchmarks.nist import SETS, DataSet, digits
from benchmarks.report import Section, Table, Target

Vector = NDArray[np.float64]

LEVEL = 0.9545
"""Of the intervals: two standard deviations of a normal distribution."""

TEXT = f"""Standard errors of `study.uncertainty()` beside those that NIST certifies, in digits that
agree, with Jacobians and by differences; and the intervals of `study.profile(level={LEVEL})` beside
those of `lmfit.conf_interval`, as the largest difference of their ends in standard errors; *bent*:
the largest part by which an end differs from that of `intervals`, which takes the model for linear.
Evaluations are those of the residuals: ours for profiles alone, each with a
Jacobian, of lmfit all, without. The box is eight times as wide as each parameter is large."""


class Counted:
    """Residuals of a set by name, with the Jacobian or without, counted."""

    def __init__(self, data: DataSet, *, jac: bool) -> None:
        self.data, self.jac, self.calls = data, jac, 0

    def __call__(self, **b: float) -> Any:
        """Evaluate."""
        self.calls += 1
        x = list(b.values())
        r = self.data.residuals(x)
        return (r, self.data.jacobian(x)) if self.jac else r


def fitted(data: DataSet, objective: Counted) -> optdriver.Study:
    """Return a study of a set, from NIST's near start, that has converged."""
    reach = 4.0 * np.abs(data.b)
    box = np.column_stack([data.b - reach, data.b + reach])
    study: optdriver.Study = optdriver.create_study(
        dict(zip(data.names, map(tuple, box), strict=True)),
        driver="least-squares",
        jac=objective.jac,
        max_num_minimizers=1,
        initial_samples=[np.clip(data.starts[1], *box.T)],
    )
    study.run(objective)
    return study


def by_lmfit(data: DataSet) -> tuple[Vector, int] | None:
    """Return lmfit's intervals, shape (n, 2), and its evaluations; None where it gives up."""
    import lmfit

    calls = 0

    def residuals(params: Any) -> Vector:
        nonlocal calls
        calls += 1
        return data.residuals([params[name].value for name in data.names])

    params = lmfit.Parameters()
    for name, start in zip(data.names, data.starts[1], strict=True):
        params.add(name, value=float(start))
    minimizer = lmfit.Minimizer(residuals, params)
    try:
        result = minimizer.minimize(xtol=1e-15, ftol=1e-15)
        found = lmfit.conf_interval(minimizer, result, sigmas=[LEVEL])
    except Exception:  # noqa: BLE001  # of many classes
        return None
    ends = [(found[name][0][1], found[name][-1][1]) for name in data.names]
    return np.array(ends, dtype=float), calls


def one(data: DataSet) -> tuple[str, float, float, float, str, str, str]:
    """Return the row of a set."""
    exact = Counted(data, jac=True)
    study = fitted(data, exact)
    found = study.uncertainty()
    by_differences = fitted(data, Counted(data, jac=False)).uncertainty()
    exact.calls = 0
    profile = study.profile(exact, level=LEVEL)
    ends = np.array([(row.low, row.high) for row in profile])
    straight = np.array(list(found.intervals(LEVEL).values()))
    errors = found.standard_errors[:, None]
    bent = np.abs(ends - straight) / (straight[:, 1:] - straight[:, :1])
    theirs = by_lmfit(data) if importlib.util.find_spec("lmfit") else None
    apart, calls = "-", "-"
    if theirs is not None:
        apart = f"{np.max(np.abs(ends - theirs[0]) / errors):.1e}"
        calls = f"{theirs[1]}"
    return (
        data.name,
        digits(found.standard_errors, data.sd),
        digits(by_differences.standard_errors, data.sd),
        float(np.max(bent)),
        apart,
        f"{exact.calls}",
        calls,
    )


def run(options: Sequence[str]) -> Section:
    """Run the comparison and return its section of the results."""
    parser = argparse.ArgumentParser(prog="fits-errors", description=__doc__)
    parser.add_argument("--only", nargs="*", default=[])
    given = parser.parse_args(list(options))
    rows = [one(data) for name, data in SETS.items() if not given.only or name in given.only]
    named = [row for row in rows if row[0] != "Lanczos1"]  # whose residuals are rounding
    return Section(
        name="fits-errors",
        title="Fits: standard errors and intervals of NIST's nonlinear sets",
        text=TEXT,
        targets=[
            Target(
                claim=f"least digits of standard errors, {how} (all sets but Lanczos1)",
                value=min((row[place] for row in named), default=np.nan),
                limit=5.0,
                at_least=True,
            )
            for place, how in ((1, "Jacobians"), (2, "differences"))
        ],
        details=[
            Table(
                header=(
                    "set",
                    "digits",
                    "digits by differences",
                    "bent",
                    "from lmfit's, in errors",
                    "evaluations",
                    "lmfit's",
                ),
                rows=[
                    (row[0], f"{row[1]:.1f}", f"{row[2]:.1f}", f"{row[3]:.2f}", *row[4:])
                    for row in rows
                ],
            )
        ],
        packages=("lmfit",),
    )
