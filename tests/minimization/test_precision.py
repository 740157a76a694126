"""Losses in 32 bits: a run ends where it gains no more than rounding shows, and says so."""

import numpy as np
import pytest
from scipy.optimize import minimize as scipys

import optdriver
from optdriver.errors import ObjectiveWarning
from optdriver.minimization.precision import Precision

jax = pytest.importorskip("jax")
jnp = jax.numpy

HIDDEN = 8
N = 3 * HIDDEN + 1
RANDOM = np.random.default_rng(0)
X = jnp.array(RANDOM.uniform(-2.0, 2.0, (64, 1)), dtype=jnp.float32)
Y = jnp.sin(2.0 * X) + 0.1 * jnp.array(RANDOM.normal(size=(64, 1)), dtype=jnp.float32)


def network(v):
    """Return the mean square of a small network's errors, which is small: about 0.009."""
    inner, shift, outer = v[:HIDDEN], v[HIDDEN : 2 * HIDDEN], v[2 * HIDDEN : -1]
    return jnp.mean((jnp.tanh(X * inner + shift) @ outer[:, None] + v[-1] - Y) ** 2)


def fit(x0, **more):
    with pytest.warns(ObjectiveWarning, match="too coarse for the tolerances"):
        return optdriver.minimize(network, [(np.full(N, -4.0), np.full(N, 4.0))], x0=x0, **more)


def peer(x0):
    both = jax.jit(jax.value_and_grad(network))

    def fun(v):
        f, g = both(jnp.array(v, dtype=jnp.float32))
        return float(f), np.array(g, dtype=np.float64)

    return scipys(fun, x0, jac=True, method="L-BFGS-B", bounds=[(-4.0, 4.0)] * N)


def test_a_networks_loss_ends_where_scipys_does():
    for seed in range(2):
        x0 = np.random.default_rng(seed).uniform(-1.0, 1.0, N)
        found, theirs = fit([x0]), peer(x0)
        assert found.success
        assert found.fun < 1.05 * theirs.fun
        assert found.nfev < 1.5 * theirs.nfev


@pytest.mark.parametrize("engine", ["serial", "batch"])
def test_many_starts_end_as_one_does(engine):
    result = fit([np.zeros(N)], n_iter=4, seed=2, engine=engine)
    assert all(start.success for start in result.starts[1:])
    assert result.fun < 0.0095


def test_a_tolerance_that_is_wanted_is_kept():
    loose = fit([np.random.default_rng(0).uniform(-1.0, 1.0, N)], options={"ftol": 1e-6})
    tight = fit([np.random.default_rng(0).uniform(-1.0, 1.0, N)])
    assert loose.nfev < tight.nfev
    assert tight.fun < loose.fun


class Told:
    """What has a state, as L-BFGS-B has."""

    def __init__(self):
        self.state = self
        self.noise, self.ftol, self.unit = 0.0, 1e-9, 1.0


@pytest.mark.parametrize(
    ("f", "noise", "ftol"),
    [(0.01, 4e-9, 1e-8), (-100.0, 4e-5, 1e-6), (0.0, 0.0, 1e-9), (np.nan, 0.0, 1e-9)],
)
def test_what_is_told_follows_the_value(f, noise, ftol):
    told = Told()
    Precision(spacing=1e-7, ftol=1e-9, noise=0.0).tell(told, f)
    assert told.noise == pytest.approx(noise)
    assert told.ftol == pytest.approx(ftol)
    Precision(spacing=1e-7, ftol=1e-9, noise=0.5).tell(told, 1.0)
    assert told.noise == 0.5
