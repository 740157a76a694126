"""Objectives, ways to run them, and random problems."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable

import numpy as np
from hypothesis import strategies as st

from optdriver.lbfgsb import LBFGSB


def rosenbrock(x):
    x = np.asarray(x, dtype=float)
    t, u = x[1:] - x[:-1] ** 2, 1.0 - x[:-1]
    g = np.zeros_like(x)
    g[:-1] = -400.0 * x[:-1] * t - 2.0 * u
    g[1:] += 200.0 * t
    return float(100.0 * t @ t + u @ u), g


def quartic(x):
    """Smooth and convex, minimum 0 at 1."""
    t = x - 1.0
    return float(t @ t + np.sum(t**4)), 2.0 * t + 4.0 * t**3


def ripples(x):
    """Smooth, with several minima."""
    k = np.arange(1.0, x.size + 1)
    t = x - 0.3
    return float(0.1 * t @ t + np.sum(np.cos(3.0 * x + k))), 0.2 * t - 3.0 * np.sin(3.0 * x + k)


def quadratic(hessian, centre):
    def fun(x):
        t = x - centre
        g = hessian @ t
        return float(0.5 * t @ g), g

    return fun


ROSENBROCK_START = np.array([-1.2, 1.0, 1.0])


def run(fun, x0, bounds=None, *, make=LBFGSB, **options):
    """Minimise; return the minimizer at its end and the evaluations (x, f, g)."""
    opt = make(x0, bounds, **options)
    return opt, drive(opt, fun)


def drive(opt, fun, limit=100_000):
    """Tell `opt` what `fun` gives until it is done; None from `fun` is a failure."""
    seen = []
    while not opt.done:
        x = opt.ask()
        evaluation = fun(x)
        if evaluation is None:
            seen.append((x, math.nan, None))
            opt.tell_failure("the objective said so")
        else:
            seen.append((x, *evaluation))
            opt.tell(*evaluation)
        assert len(seen) < limit
    return seen


def points(seen):
    return np.array([x for x, _, _ in seen])


def same(a, b):
    """Whether two nested states are equal to the bit (NaN equals NaN, 0 differs from -0)."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[name], b[name]) for name in a)
    if isinstance(a, np.ndarray):
        return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()
    if isinstance(a, float):
        return np.float64(a).tobytes() == np.float64(b).tobytes()
    return a == b


def through_json(fields):
    """What becomes of a dict on its way through JSON: arrays are lists."""
    return json.loads(json.dumps(fields, default=lambda array: array.tolist()))


def projected_gradient(x, g, lower, upper):
    """|P(x - g) - x|, by its definition."""
    return float(np.max(np.abs(np.clip(x - g, lower, upper) - x), initial=0.0))


@dataclasses.dataclass
class Problem:
    fun: Callable
    x0: np.ndarray
    lower: np.ndarray
    upper: np.ndarray

    @property
    def bounds(self):
        return np.column_stack([self.lower, self.upper])


def _convex(rng, n):
    a = rng.standard_normal((n, n))
    return quadratic(a @ a.T + np.diag(10.0 ** rng.uniform(-2, 2, n)), rng.standard_normal(n))


KINDS = {
    "convex": _convex,
    "rosenbrock": lambda rng, n: rosenbrock,
    "quartic": lambda rng, n: quartic,
    "ripples": lambda rng, n: ripples,
}


def random_bounds(rng, n, style):
    """Free, half-open, closed, tight and fixed variables; `style` 'free' leaves all free."""
    lower, upper = np.full(n, -np.inf), np.full(n, np.inf)
    if style == "free":
        return lower, upper
    centre, width = rng.uniform(-1.5, 1.5, n), 10.0 ** rng.uniform(-1, 1, n)
    kinds = rng.integers(0, 6, n) if style == "mixed" else np.full(n, 3)
    lower[np.isin(kinds, (1, 3))] = (centre - width)[np.isin(kinds, (1, 3))]
    upper[np.isin(kinds, (2, 3))] = (centre + width)[np.isin(kinds, (2, 3))]
    for kind, w in ((4, 0.0), (5, 1e-9)):
        lower[kinds == kind], upper[kinds == kind] = (
            centre[kinds == kind],
            centre[kinds == kind] + w,
        )
    return lower, upper


def random_problem(seed, n, kind, style):
    rng = np.random.default_rng(seed)
    fun = KINDS[kind](rng, n)
    lower, upper = random_bounds(rng, n, style)
    return Problem(fun, rng.uniform(-3, 3, n), lower, upper)


problems = st.builds(
    random_problem,
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 7),
    kind=st.sampled_from(sorted(KINDS)),
    style=st.sampled_from(["free", "mixed", "boxed"]),
)

options = st.fixed_dictionaries(
    {},
    optional={
        "maxcor": st.sampled_from([1, 2, 3, 5, 10, 17]),
        "ftol": st.sampled_from([0.0, 1e-12, 1e-6]),
        "gtol": st.sampled_from([0.0, 1e-8, 1e-3]),
        "maxls": st.sampled_from([1, 2, 3, 20]),
        "maxiter": st.sampled_from([0, 1, 7, math.inf]),
        "initial_step": st.sampled_from([1e-6, 0.3, 50.0]),
        "noise": st.sampled_from([1e-12, 1e-4]),
    },
).map(lambda given: {"maxfun": 60, **given})
