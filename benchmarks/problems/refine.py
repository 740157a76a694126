"""Compute the least values on record (``best_known.py``): ``python -m benchmarks.problems.refine``.

For problems without a minimum in closed form. SciPy's L-BFGS-B at its tightest tolerance from
the start and from points around it; then Newton's method on the variables that no bound holds,
with a Hessian by the complex step. The tests compare the outcome with the published values.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.peers import scipy_minimize

from . import collected
from .problem import Problem, Vector

TRIALS = 40
HEADER = '''"""Values at minima, computed; the tests check them against the published digits.

Written by ``python -m benchmarks.problems.refine``: the least value found, and, where it is
another one, the value at the local minimum that a descent from the standard start ends in.
"""

BEST_KNOWN: dict[str, tuple[float, ...]] = {
'''


def descend(problem: Problem, x: Vector) -> Vector:
    """Minimise by SciPy's L-BFGS-B until it makes no progress."""
    options = {"ftol": 0.0, "gtol": 1e-13, "maxcor": 30, "maxfun": 20000, "maxiter": 20000}
    for _ in range(5):
        x = scipy_minimize(problem.fun, x, problem.bounds, **options).x
    return x


def hessian(problem: Problem, x: Vector, free: Vector) -> Vector:
    """Hessian on the `free` variables, by the complex step."""
    square = []
    for i in np.flatnonzero(free):
        z = x.astype(complex)
        z[i] += 1e-30j
        square.append(problem.fun(z)[1].imag[free] / 1e-30)
    return np.array(square)


def polish(problem: Problem, x: Vector, steps: int = 200) -> Vector:
    """Levenberg-damped projected Newton steps, only ever downhill."""
    lower = np.full(problem.n, -np.inf) if problem.lower is None else problem.lower
    upper = np.full(problem.n, np.inf) if problem.upper is None else problem.upper
    damping = 1e-8
    f, g = problem.fun(x)
    for _ in range(steps):
        free = ~((x <= lower) & (g > 0) | (x >= upper) & (g < 0))
        if not free.any() or damping > 1e12:
            break
        square = hessian(problem, x, free)
        values, basis = np.linalg.eigh((square + square.T) / 2.0)
        scale = np.maximum(np.abs(values), 1e-300) + damping * max(np.abs(values).max(), 1e-300)
        trial = x.copy()
        trial[free] -= basis @ ((basis.T @ g[free]) / scale)
        trial = np.clip(trial, lower, upper)
        f_trial, g_trial = problem.fun(trial)
        if f_trial < f:
            x, f, g, damping = trial, f_trial, g_trial, max(damping / 10.0, 1e-16)
        else:
            damping *= 10.0
    return x


def starts(problem: Problem) -> list[Vector]:
    """Return the start and points scattered about it (only the start for many variables)."""
    generator = np.random.default_rng(20)
    around = []
    for trial in range(TRIALS if problem.n <= 30 else 0):
        spread = 10.0 ** (-(trial % 4)) * np.maximum(np.abs(problem.start), 0.3)
        x = problem.start + spread * generator.standard_normal(problem.n)
        if problem.bounds is not None:
            x = np.clip(x, problem.lower, problem.upper)
        around.append(x)
    return [problem.start, *around]


def value(problem: Problem, x: Vector) -> float:
    """Return f(x), infinite where it is not a number."""
    return float(np.nan_to_num(problem.fun(x)[0], nan=np.inf))


def refined(problem: Problem, x: Vector) -> Vector:
    """Return the end of a descent from `x`, polished where a Hessian can be had."""
    return polish(problem, x) if problem.smooth and problem.n <= 500 else x


def minima(problem: Problem) -> tuple[float, ...]:
    """Return the least value found, and the local minimum below the start if it is another."""
    ends = [descend(problem, x) for x in starts(problem)]
    local = refined(problem, ends[0])
    f_local, g = problem.fun(local)
    ends.sort(key=lambda x: value(problem, x))
    least = min(value(problem, refined(problem, x)) for x in [*ends[:5], local])
    least = min(least, np.inf if problem.f_star is None else problem.f_star)
    stationary = problem.projected_gradient(local, g) <= 1e-6 * max(1.0, abs(f_local))
    if stationary and f_local - least > 1e-6 * max(abs(least), 1e-12):
        return least, float(f_local)
    return (least,)


def main() -> None:
    """Write ``best_known.py`` beside this file."""
    lines = []
    with np.errstate(all="ignore"):
        for problem in collected():
            lines.append(f'    "{problem.name}": {minima(problem)!r},\n')
            print(lines[-1].strip(), "published:", problem.published, flush=True)
    Path(__file__).with_name("best_known.py").write_text(HEADER + "".join(lines) + "}\n")


if __name__ == "__main__":
    main()
