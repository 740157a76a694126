"""Losses that compute in 32 bits, JAX's default: evaluations, the value reached, and the claim.

Networks, a classifier, Rosenbrock's function and quadratics of a condition of 1e4, from eight
starts, by `optdriver.minimize` beside SciPy's L-BFGS-B, which is given the same numbers.  Printed
for each: median and most evaluations, median and worst value, and how many runs claim success.

    python -m benchmarks.coarse
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import minimize as scipys

import optdriver

STARTS = 8
Problem = tuple[str, Callable[[Any], Any], int, float]


def problems() -> Iterator[Problem]:
    """Yield names, losses, numbers of variables, and how far starts lie from 0."""
    random = np.random.default_rng(0)
    line = jnp.array(random.uniform(-2.0, 2.0, (64, 1)), dtype=jnp.float32)
    wave = jnp.sin(2.0 * line) + 0.1 * jnp.array(random.normal(size=(64, 1)), dtype=jnp.float32)
    cloud = jnp.array(random.normal(size=(100, 3)), dtype=jnp.float32)
    level = cloud[:, :1] * cloud[:, 1:2] + jnp.tanh(cloud[:, 2:])
    sign = (level > 0).astype(jnp.float32)
    rising = jnp.logspace(0.0, 4.0, 20, dtype=jnp.float32)

    def network(v: Any, hidden: int, at: Any) -> Any:
        width = at.shape[1] * hidden
        inner, outer = v[:width].reshape(-1, hidden), v[width + hidden : -1]
        return jnp.tanh(at @ inner + v[width : width + hidden]) @ outer[:, None] + v[-1]

    def classified(v: Any) -> Any:
        z = network(v, 12, cloud)
        return jnp.mean(jnp.logaddexp(0.0, z) - sign * z) + 1e-3 * jnp.mean(v**2)

    def valley(v: Any) -> Any:
        return jnp.sum(100.0 * (v[1:] - v[:-1] ** 2) ** 2 + (1.0 - v[:-1]) ** 2)

    yield "network 8", lambda v: jnp.mean((network(v, 8, line) - wave) ** 2), 25, 1.0
    yield "network 20", lambda v: jnp.mean((network(v, 20, line) - wave) ** 2), 61, 1.0
    yield "network 3-12", lambda v: jnp.mean((network(v, 12, cloud) - level) ** 2), 61, 1.0
    yield "classifier", classified, 61, 1.0
    yield "Rosenbrock", valley, 10, 2.0
    yield "Rosenbrock + 1e3", lambda v: 1e3 + valley(v), 4, 2.0
    yield "quadratic", lambda v: jnp.sum(rising * (v - 0.3) ** 2), 20, 2.0
    yield "quadratic + 1", lambda v: 1.0 + 1e-3 * jnp.sum(rising * (v - 0.3) ** 2), 20, 2.0


def ours(loss: Callable[[Any], Any], x0: Any) -> tuple[int, float, bool]:
    """Return evaluations, value and claim of `optdriver.minimize`."""
    box = [(np.full(x0.size, -4.0), np.full(x0.size, 4.0))]
    found = optdriver.minimize(loss, box, x0=[x0], progress=False)
    return int(found.nfev), float(found.fun), bool(found.success)


def theirs(loss: Callable[[Any], Any], x0: Any) -> tuple[int, float, bool]:
    """Return those of SciPy's L-BFGS-B."""
    both = jax.jit(jax.value_and_grad(loss))

    def fun(v: Any) -> tuple[float, Any]:
        f, g = both(jnp.array(v, dtype=jnp.float32))
        return float(f), np.array(g, dtype=np.float64)

    limits = {"maxiter": 20_000, "maxfun": 20_000}
    box = [(-4.0, 4.0)] * x0.size
    found = scipys(fun, x0, jac=True, method="L-BFGS-B", bounds=box, options=limits)
    return int(found.nfev), float(found.fun), bool(found.success)


def main() -> None:
    """Print a table."""
    warnings.simplefilter("ignore")
    print(f"optdriver {optdriver.__version__}, {STARTS} starts")
    print(f"{'':18}{'evaluations':>12} {'most':>6} {'value':>10} {'worst':>10} {'claims':>7}")
    for name, loss, n, far in problems():
        starts = [np.random.default_rng(k).uniform(-far, far, n) for k in range(STARTS)]
        for by, run in (("ours", ours), ("SciPy", theirs)):
            counts, values, claims = zip(*(run(loss, x0) for x0 in starts), strict=True)
            row = f"{np.median(counts):12.0f} {max(counts):6} {np.median(values):10.4g}"
            title = name if by == "ours" else "    SciPy"
            print(f"{title:18}{row} {max(values):10.4g} {sum(claims):5}/{STARTS}", flush=True)


if __name__ == "__main__":
    main()
