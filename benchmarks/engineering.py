"""Claim: ordinary designs are solved by a study that was told nothing but the problem.

``python -m benchmarks engineering`` runs the designs of `benchmarks.problems.engineering` through
studies with all defaults, with gradients and by differences, until five minimizers have converged,
and beside them SLSQP at tight tolerances from the starts of these very minimizers.
``--only NAME`` takes those with this in their names.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from benchmarks.problems.engineering import Design, Vector, designs
from benchmarks.report import Section, Table, Target
from optdriver import create_study
from optdriver.constraints import ConstraintSet
from optdriver.study import Study

MINIMIZERS = 5
MOST = 4000
LARGE = 20  # variables from which on one minimizer does, by differences
NEAR = 1e-6
TEXT = f"""Studies with all defaults until {MINIMIZERS} minimizers have converged ({MOST}
evaluations at most; of the robot's way by differences one minimizer), from starts of their own.
*Best* is the least value of SLSQP with a tolerance of 1e-14, exact gradients and derivatives of
the rows, from the same starts, the objective divided by its first value; where it finds none, as
where the minimum has no multipliers, it is known. *Off* is what a study's best is above it, beside
max(1, abs(f)). *Converged*: minimizers, of those begun."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a study came to."""

    evaluations: int
    value: float
    success: bool
    converged: str
    seconds: float
    starts: list[Vector]


def names_of(design: Design) -> list[str]:
    """Return the names of the variables."""
    return [f"x{i + 1}" for i in range(len(design.box))]


def driven(design: Design, jac: bool) -> Outcome:
    """Run a study to its end."""
    names = names_of(design)
    few = 1 if not jac and len(names) >= LARGE else MINIMIZERS
    study: Study = create_study(
        dict(zip(names, design.box, strict=True)),
        constraints=list(design.texts),
        jac=jac,
        max_num_minimizers=few,
        max_iter=MOST,
        initial_samples=[list(start) for start in design.starts],
    )

    def told(**given: float) -> float | tuple[float, list[float]]:
        x = np.array([given[name] for name in names])
        value = design.value(x)
        return (value, design.slope(x).tolist()) if jac else value

    began = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study.run(told)
    runs = study.runs
    best = study.best
    return Outcome(
        evaluations=study.num_evaluations,
        value=np.inf if best is None or best.value is None else best.value,
        success=study.info()["success"],
        converged=f"{sum(run.state == 'converged' for run in runs)} of {len(runs)}",
        seconds=time.process_time() - began,
        starts=[np.array([run.start[name] for name in names]) for run in runs],
    )


def reference(design: Design, starts: Sequence[Vector]) -> float:
    """Return the least value that SLSQP finds."""
    made = ConstraintSet(list(design.texts), names_of(design), list(design.box))
    p = made.n_inequalities
    rows = []
    for kind, sign, part in (("ineq", -1.0, slice(0, p)), ("eq", 1.0, slice(p, None))):
        if len(range(len(made))[part]):
            rows.append(
                {
                    "type": kind,
                    "fun": lambda x, s=sign, k=part: s * made.values(x)[k],
                    "jac": lambda x, s=sign, k=part: s * made.jacobian(x)[k],
                }
            )
    values = [np.inf]
    for start in starts:
        size = max(1.0, abs(design.value(start)))  # in dollars it stops at once
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            found = minimize(
                lambda x, s=size: design.value(x) / s,
                start,
                jac=lambda x, s=size: design.slope(x) / s,
                bounds=design.box,
                constraints=rows,
                method="SLSQP",
                options={"maxiter": 1000, "ftol": 1e-14},
            )
        if np.isfinite(found.fun) and made.violation(found.x) <= 1e-8:
            values.append(float(design.value(found.x)))
    return min(values)


def run(options: Sequence[str]) -> Section:
    """Run all designs and return the section of the results."""
    parser = argparse.ArgumentParser(prog="engineering", description=__doc__)
    parser.add_argument("--only", default="")
    chosen = parser.parse_args(list(options)).only
    rows, off, failures = [], [], 0
    for design in designs():
        if chosen not in design.name:
            continue
        found = {jac: driven(design, jac) for jac in (True, False)}
        least = design.best
        if least is None:
            least = reference(design, found[True].starts)
        cells = []
        for outcome in found.values():
            above = (outcome.value - least) / max(1.0, abs(least))
            off.append(above)
            failures += not outcome.success
            cells += [
                f"{outcome.evaluations:,}",
                f"{max(above, 0.0):.1g}",
                outcome.converged,
                f"{outcome.seconds:.2g}",
            ]
        rows.append((f"{design.name} ({design.trap})", f"{least:.9g}", *cells))
    head = ("evaluations", "off", "converged", "s")
    return Section(
        name="engineering",
        title="Engineering designs, with all defaults",
        text=TEXT,
        targets=[
            Target(claim="largest distance from the best", value=max(off, default=0.0), limit=NEAR),
            Target(claim="studies without success", value=float(failures), limit=0.0),
        ],
        tables=[
            Table(
                header=("design", "best", *head, *(f"{name}, by differences" for name in head)),
                rows=rows,
            )
        ],
    )
