"""Other packages' global searches, until the lowest value is met: evaluations, gradients alike.

A call for a value alone, or for a value and a gradient at a point, is one evaluation.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from benchmarks.problems.multimodal import Problem

Vector = NDArray[np.float64]
CLOSE = 1e-4
"""The lowest value is met where f is at most so much above it, relative to max(1, |f|)."""


class Enough(Exception):  # it is the good end
    """The lowest value was met, or the evaluations are used up."""


class Counted:
    """A function that counts its evaluations, and ends it all at the lowest value."""

    def __init__(self, problem: Problem, least: float, cap: int):
        self.problem, self.cap, self.count = problem, cap, 0
        self.limit = least + CLOSE * max(1.0, abs(least))
        self.met: int | None = None
        self._last: tuple[Vector, float, Vector] | None = None

    def both(self, x: Any) -> tuple[float, Vector]:
        """Return value and gradient."""
        point = np.array(x, dtype=np.float64)
        if self._last is None or not np.array_equal(self._last[0], point):
            if self.count >= self.cap:
                raise Enough
            self.count += 1
            self._last = (point, *self.problem.function(point))
            if self._last[1] <= self.limit:
                self.met = self.count
                raise Enough
        return self._last[1], self._last[2]

    def value(self, x: Any) -> float:
        """Return the value."""
        return self.both(x)[0]

    def slope(self, x: Any) -> Vector:
        """Return the gradient."""
        return self.both(x)[1]


def _start(problem: Problem, seed: int) -> Vector:
    low, high = np.array(problem.bounds).T
    return np.random.default_rng(seed).uniform(low, high)


def cma(counted: Counted, seed: int) -> None:
    """Search with pycma and restarts (BIPOP), in the unit box."""
    import cma as pycma

    low, high = np.array(counted.problem.bounds).T
    pycma.fmin2(
        lambda u: counted.value(low + (high - low) * np.clip(u, 0.0, 1.0)),
        (_start(counted.problem, seed) - low) / (high - low), 0.3,
        {"bounds": [0, 1], "verbose": -9, "seed": seed + 1, "maxfevals": counted.cap},
        restarts=99, bipop=True,
    )  # fmt: skip


def shgo(counted: Counted, seed: int) -> None:
    """Search with SciPy's shgo, on Sobol points."""
    del seed
    for number in (32, 64, 128, 256, 512, 1024):
        optimize.shgo(
            counted.value, counted.problem.bounds, n=number, iters=1, sampling_method="sobol",
            minimizer_kwargs={"method": "L-BFGS-B", "jac": counted.slope},
        )  # fmt: skip


def dual_annealing(counted: Counted, seed: int) -> None:
    """Search with SciPy's dual annealing."""
    optimize.dual_annealing(
        counted.value, counted.problem.bounds, rng=seed, maxiter=100_000,
        minimizer_kwargs={
            "method": "L-BFGS-B", "jac": counted.slope, "bounds": counted.problem.bounds,
        },
    )  # fmt: skip


def basinhopping(counted: Counted, seed: int) -> None:
    """Search with SciPy's basin hopping, whose steps are a quarter of the box."""
    low, high = np.array(counted.problem.bounds).T
    random = np.random.default_rng(seed)

    def step(x: Vector) -> Vector:
        return np.clip(x + random.uniform(-0.25, 0.25, x.size) * (high - low), low, high)

    optimize.basinhopping(
        counted.both, _start(counted.problem, seed), niter=100_000, take_step=step, rng=seed,
        minimizer_kwargs={"method": "L-BFGS-B", "jac": True, "bounds": counted.problem.bounds},
    )  # fmt: skip


def mlsl_lds(counted: Counted, seed: int) -> None:
    """Search with NLopt's multi-level single linkage on a low-discrepancy sequence."""
    import nlopt

    nlopt.srand(seed + 1)
    low, high = np.array(counted.problem.bounds).T

    def both(x: Vector, g: Vector) -> float:
        f, slope = counted.both(x)
        if g.size:
            g[:] = slope
        return f

    local, outer = (nlopt.opt(name, low.size) for name in (nlopt.LD_LBFGS, nlopt.GD_MLSL_LDS))
    local.set_ftol_rel(1e-9)
    outer.set_local_optimizer(local)
    for each in (local, outer):
        each.set_min_objective(both)
        each.set_lower_bounds(low)
        each.set_upper_bounds(high)
    outer.set_maxeval(counted.cap)
    outer.optimize(_start(counted.problem, seed))


PEERS: dict[str, tuple[str, Callable[[Counted, int], None]]] = {
    "NLopt MLSL-LDS": ("nlopt", mlsl_lds),
    "pycma": ("cma", cma),
    "shgo": ("scipy", shgo),
    "dual_annealing": ("scipy", dual_annealing),
    "basinhopping": ("scipy", basinhopping),
}
"""The peers, each with the package that it needs."""


def installed() -> list[str]:
    """Return the peers that can be run here."""
    return [name for name, (package, _) in PEERS.items() if importlib.util.find_spec(package)]


def until_lowest(name: str, problem: Problem, least: float, cap: int, seed: int) -> int | None:
    """Return the evaluations of a peer until the lowest value is met; None beyond the cap."""
    counted = Counted(problem, least, cap)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            PEERS[name][1](counted, seed)
        except Enough:
            pass
        except Exception:  # a peer may turn our exception into one of its own
            if counted.met is None and counted.count < counted.cap:
                raise
    return counted.met
