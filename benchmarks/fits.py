"""Fits: the 27 nonlinear sets of NIST, beside `scipy.optimize.least_squares`.

Run ``python -m benchmarks.fits``.  For each set, from NIST's two starts without bounds, and from 16
Sobol starts in a wide box (`benchmarks.nist.DataSet.box`):

- *to 9*: evaluations until the residual sum of squares agrees with the certified one in 9 digits;
- *all*: evaluations until the method stops;
- *digits*: in how many the parameters agree with the certified ones then;
- *solved*: of the 16 starts, those that end with 6 digits of the parameters, and the evaluations of
  all 16 together.

An evaluation of optdriver is residuals with their Jacobian; SciPy's are those of the residuals, and
its Jacobians are not counted.  SciPy's tolerances are 1e-15 and its `x_scale` is 'jac', without
which it solves fewer.  The limit is 1000 evaluations, and 500 from each Sobol start.
"""

from __future__ import annotations

import argparse
import platform
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.stats import qmc

import optdriver
from benchmarks.nist import SETS, DataSet, digits

Vector = NDArray[np.float64]

SOLVED = 6.0
CLOSE = 1e-9
STARTS = 16
MOST, MOST_SOBOL = 1000, 500


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


METHODS: dict[str, Callable[[Watched, Vector, Vector | None, int], Vector]] = {
    "optdriver": ours,
    "SciPy trf": lambda w, x, box, most: peer(w, x, box, most, "trf"),
    "SciPy lm": lambda w, x, box, most: peer(w, x, box, most, "lm"),
}


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


def main() -> None:
    """Print the tables, or one of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", nargs="?", choices=("nist", "sobol"), help="only these starts")
    part = parser.parse_args().part
    print(
        f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, NumPy "
        f"{np.__version__}, SciPy {scipy.__version__}, optdriver {optdriver.__version__}\n"
    )
    if part != "sobol":
        print_nist()
    if part != "nist":
        print_sobol()


def print_nist() -> None:
    """Print what comes of NIST's starts."""
    head = " | ".join(f"{name}: to 9 / all / digits" for name in METHODS)
    print(f"| set, start | {head} |\n|---|{'---|' * len(METHODS)}")
    sums = {name: [0, 0, 0] for name in METHODS}
    for data in SETS.values():
        found = {name: from_nist(data, name) for name in METHODS}
        for k in range(2):
            cells = []
            for name, rows in found.items():
                reached, calls, agreed = rows[k]
                sums[name] = [a + b for a, b in zip(sums[name], (calls, agreed >= 9, agreed >= SOLVED), strict=True)]  # fmt: skip  # noqa: E501
                cells.append(f"{reached or '-'} / {calls} / {agreed:.1f}")
            print(f"| {data.name} {k + 1} | {' | '.join(cells)} |", flush=True)
    for name, (calls, nine, six) in sums.items():
        print(f"\n{name}: {calls} evaluations, {nine} of 54 to 9 digits, {six} to 6")


def print_sobol() -> None:
    """Print what comes of Sobol starts."""
    print("\n| set | optdriver: solved, evaluations | SciPy trf |\n|---|---|---|")
    total = {name: [0, 0] for name in list(METHODS)[:2]}
    for data in SETS.values():
        cells = []
        for name, so_far in total.items():
            solved, calls = from_sobol(data, name)
            so_far[0], so_far[1] = so_far[0] + solved, so_far[1] + calls
            cells.append(f"{solved}, {calls}")
        print(f"| {data.name} | {' | '.join(cells)} |", flush=True)
    cells = [f"{solved} of {STARTS * len(SETS)}, {calls}" for solved, calls in total.values()]
    print(f"| all | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
