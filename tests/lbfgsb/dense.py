"""Dense matrices that do naively what the kernel does with pairs, and states to compare on."""

from __future__ import annotations

import numpy as np

from tests.lbfgsb.kernels import interpreted as kernel


def bfgs(s, y, theta):
    """B, from theta I by one BFGS update a pair, oldest first."""
    b = theta * np.eye(s.shape[1])
    for step, change in zip(s, y, strict=True):
        bs = b @ step
        b = b - np.outer(bs, bs) / (step @ bs) + np.outer(change, change) / (change @ step)
    return b


def inverse_bfgs(s, y, theta):
    """H, from I / theta by one inverse update a pair, oldest first."""
    h, one = np.eye(s.shape[1]) / theta, np.eye(s.shape[1])
    for step, change in zip(s, y, strict=True):
        rho = 1.0 / (step @ change)
        v = one - rho * np.outer(change, step)
        h = v.T @ h @ v + rho * np.outer(step, step)
    return h


def random_pairs(rng, count, n, condition=10.0):
    """Steps, and their gradient differences under a random positive definite Hessian."""
    a = rng.standard_normal((n, n))
    hessian = a @ a.T / n + np.diag(condition ** rng.uniform(-1, 1, n))
    s = rng.standard_normal((count, n))
    return s, s @ hessian


def make_state(x, g, lower=None, upper=None, *, m=5, pairs=()):
    """A state (of the interpreted kernel) at x, and the kernel's work space."""
    x = np.asarray(x, dtype=float)
    n = x.size
    s = kernel.state.State(n, m)
    arrays = s.arrays
    arrays["l"][:] = -np.inf if lower is None else lower
    arrays["u"][:] = np.inf if upper is None else upper
    arrays["x"][:] = arrays["xt"][:] = arrays["z"][:] = x
    arrays["g"][:] = g
    s.constrained = int(np.isfinite(arrays["l"]).any() or np.isfinite(arrays["u"]).any())
    s.boxed = int(np.isfinite(arrays["l"]).all() and np.isfinite(arrays["u"]).all())
    s.maxls, s.maxfun, s.maxiter = 20, 1000, 1000
    for step, change in zip(*pairs, strict=True) if pairs else ():
        assert kernel.machine.seed(s, change, step)
    return s, kernel.machine.scratch(n, m)


def stored_pairs(s):
    """The pairs (S, Y) of a state, oldest first."""
    slots = [(s.head + age) % s.m for age in range(s.k)]
    w = s.arrays["w"].reshape(s.n, s.m, 2)[:, slots]
    return w[:, :, 1].T.copy(), w[:, :, 0].T.copy()


def dense_b(s):
    """The matrix B that a state stands for."""
    return bfgs(*stored_pairs(s), s.theta)


def block(view):
    """A copy of an array of the kernel."""
    return np.array(view)
