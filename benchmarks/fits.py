"""Claim: fits take fewer evaluations than `scipy.optimize.least_squares`, and reach more digits.

``python -m benchmarks fits`` runs the 27 nonlinear sets of NIST from NIST's two starts, and
``python -m benchmarks fits-sobol`` from 16 Sobol starts in a wide box each.  ``--only Thurber``
takes that set.  Optimistix is measured where it is installed.
"""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.stats import qmc

import optdriver
from benchmarks.nist import SETS, DataSet, digits
from benchmarks.report import Section, Table, Target

Vector = NDArray[np.float64]

SOLVED = 6.0
CLOSE = 1e-9
STARTS = 16
MOST, MOST_SOBOL = 1000, 500
OURS, PEER = "optdriver", "SciPy trf"
TEXT = """The 27 nonlinear sets of NIST. *To 9*: evaluations until the residual sum of squares
agrees with the certified one in 9 digits; *all*: until the method stops; *digits*: in how many
the parameters agree with the certified ones then. An evaluation of optdriver is residuals with
their Jacobian; SciPy's and Optimistix's are those of the residuals, without their Jacobians.
SciPy's tolerances are 1e-15 and its `x_scale` is 'jac', without which it solves fewer; those of
Optimistix's Levenberg-Marquardt are 1e-12."""
FROM_NIST = f"""{TEXT} From NIST's two starts, without bounds, with {MOST} evaluations at most."""
FROM_SOBOL = f"""{TEXT} From {STARTS} Sobol starts in a box of four times the certified parameters
on one side of zero (`benchmarks.nist.DataSet.box`), with {MOST_SOBOL} evaluations at most; *solved*
are those that end with {SOLVED:g} digits of the parameters, and the evaluations are all."""


@dataclass(slots=True)
class Watched:
    """The residuals of a set, counted."""

    data: DataSet
    calls: int = 0
    reached: int | None = None
    first: Vector = field(default_factory=lambda: np.zeros(0))

    def __call__(self, b: Vector) -> Vector:
        """Return the residuals, and note how close they are."""
        r = self.data.residuals(b)
        self.calls += 1
        with np.errstate(over="ignore", invalid="ignore"):
            rss = float(r @ r)
        if self.reached is None and abs(rss / self.data.rss - 1.0) <= CLOSE:
            self.reached = self.calls
        return r


def ours(watched: Watched, x0: Vector, box: Vector | None, most: int) -> Vector:
    """Fit with optdriver; return the parameters."""
    opt = optdriver.LeastSquares(x0, box, maxfun=most)
    while not opt.done:
        x = opt.ask()
        opt.tell(watched(x), watched.data.jacobian(x))
    found: Vector = opt.result.x
    return found


def peer(watched: Watched, x0: Vector, box: Vector | None, most: int, method: str) -> Vector:
    """Fit with SciPy; return the parameters, or the start where it raises."""
    bounds: Any = (-np.inf, np.inf) if box is None else box.T
    jacobian = watched.data.jacobian
    tight = dict.fromkeys(("ftol", "xtol", "gtol"), 1e-15)
    try:
        found: Vector = least_squares(
            watched, x0, jacobian, bounds, method, x_scale="jac", max_nfev=most, **tight
        ).x
    except (ValueError, np.linalg.LinAlgError):  # residuals that are not finite
        return x0
    return found


def optimistix(watched: Watched, x0: Vector, _box: Vector | None, most: int) -> Vector:
    """Fit with Optimistix, which calls back; return the parameters, or the start where it fails."""
    import jax
    import optimistix as optx

    jax.config.update("jax_enable_x64", True)
    m = jax.ShapeDtypeStruct((watched.data.y.size,), np.float64)
    table = jax.ShapeDtypeStruct((watched.data.y.size, x0.size), np.float64)

    @jax.custom_jvp
    def residuals(b: Any) -> Any:
        return jax.pure_callback(lambda at: watched(np.asarray(at)), m, b)

    @residuals.defjvp
    def _(primals: Any, tangents: Any) -> Any:
        rows = jax.pure_callback(lambda at: watched.data.jacobian(np.asarray(at)), table, *primals)
        return residuals(*primals), rows @ tangents[0]

    solver = optx.LevenbergMarquardt(rtol=1e-12, atol=1e-12)
    made = optx.least_squares(
        lambda b, _: residuals(b), solver, jax.numpy.asarray(x0), max_steps=most, throw=False
    )
    return np.asarray(made.value)


METHODS: dict[str, Callable[[Watched, Vector, Vector | None, int], Vector]] = {
    "optdriver": ours,
    "SciPy trf": lambda w, x, box, most: peer(w, x, box, most, "trf"),
    "SciPy lm": lambda w, x, box, most: peer(w, x, box, most, "lm"),
}
if importlib.util.find_spec("optimistix") is not None:
    METHODS["Optimistix LM"] = optimistix


def from_nist(data: DataSet, name: str) -> list[tuple[int | None, int, float]]:
    """Return evaluations to 9 digits, all of them, and digits, from both starts."""
    rows = []
    for x0 in data.starts:
        watched = Watched(data)
        x = METHODS[name](watched, x0, None, MOST)
        rows.append((watched.reached, watched.calls, digits(x, data.b)))
    return rows


def from_sobol(data: DataSet, name: str) -> tuple[int, int]:
    """Return how many starts were solved, and the evaluations of all."""
    low, high = data.box.T
    starts = low + (high - low) * qmc.Sobol(low.size, seed=0).random(STARTS)
    solved = calls = 0
    for x0 in starts:
        watched = Watched(data)
        x = METHODS[name](watched, x0, data.box, MOST_SOBOL)
        solved += digits(x, data.b) >= SOLVED
        calls += watched.calls
    return solved, calls


def run(options: Sequence[str]) -> Section:
    """Run one of the comparisons and return its section of the results."""
    parser = argparse.ArgumentParser(prog="fits", description=__doc__)
    parser.add_argument("--sobol", action="store_true")
    parser.add_argument("--only", nargs="*", default=[])
    given = parser.parse_args(list(options))
    sets = [data for name, data in SETS.items() if not given.only or name in given.only]
    return of_sobol(sets) if given.sobol else of_nist(sets)


def of_nist(sets: Sequence[DataSet]) -> Section:
    """Return what comes of NIST's starts."""
    found = {name: [from_nist(data, name) for data in sets] for name in METHODS}
    totals = {name: [row for rows in each for row in rows] for name, each in found.items()}
    rows = [
        (f"{data.name} {start + 1}", *(_cell(each[k][start]) for each in found.values()))
        for k, data in enumerate(sets)
        for start in range(2)
    ]
    return Section(
        name="fits",
        title="Fits: NIST's nonlinear sets from NIST's starts",
        text=FROM_NIST,
        targets=[
            Target(
                claim=f"evaluations beside {PEER}'s",
                value=_calls(totals[OURS]) / _calls(totals[PEER]),
                limit=1.0,
            ),
            Target(
                claim="starts with all parameters to 9 digits",
                value=_reached(totals[OURS], 9.0),
                limit=2 * len(sets),
                at_least=True,
            ),
        ],
        tables=[
            Table(
                header=("method", "evaluations", "to 9 digits", f"to {SOLVED:g}"),
                rows=[
                    (
                        name,
                        f"{_calls(each)}",
                        f"{_reached(each, 9.0)} of {len(each)}",
                        f"{_reached(each, SOLVED)}",
                    )
                    for name, each in totals.items()
                ],
            )
        ],
        details=[Table(header=("set, start: to 9 / all / digits", *METHODS), rows=rows)],
        packages=PACKAGES,
    )


PACKAGES = ("jax", "optimistix", "lmfit")
Ends = Sequence[tuple[int | None, int, float]]


def _cell(end: tuple[int | None, int, float]) -> str:
    reached, calls, agreed = end
    return f"{reached or '-'} / {calls} / {agreed:.1f}"


def _calls(ends: Ends) -> int:
    return sum(calls for _, calls, _ in ends)


def _reached(ends: Ends, least: float) -> int:
    return sum(agreed >= least for _, _, agreed in ends)


def of_sobol(sets: Sequence[DataSet]) -> Section:
    """Return what comes of Sobol starts."""
    methods = (OURS, PEER)
    found = {name: [from_sobol(data, name) for data in sets] for name in methods}
    solved = {name: sum(s for s, _ in each) for name, each in found.items()}
    calls = {name: sum(c for _, c in each) for name, each in found.items()}
    rows = [
        (data.name, *("{}, {}".format(*found[name][k]) for name in methods))
        for k, data in enumerate(sets)
    ]
    return Section(
        name="fits-sobol",
        title="Fits: NIST's nonlinear sets from Sobol starts",
        text=FROM_SOBOL,
        targets=[
            Target(
                claim=f"solved, {PEER} solves",
                value=solved[OURS],
                limit=solved[PEER],
                at_least=True,
            ),
            Target(
                claim=f"evaluations beside {PEER}'s",
                value=calls[OURS] / calls[PEER],
                limit=1.0,
            ),
        ],
        tables=[
            Table(
                header=("method", "solved", "evaluations"),
                rows=[
                    (name, f"{solved[name]} of {STARTS * len(sets)}", f"{calls[name]}")
                    for name in methods
                ],
            )
        ],
        details=[Table(header=("set: solved, evaluations", *methods), rows=rows)],
    )
