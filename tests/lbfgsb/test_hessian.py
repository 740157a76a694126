"""The inverse Hessian of a result, against the dense one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import LbfgsInvHessProduct

from optdriver.lbfgsb import LBFGSB, InverseHessian
from tests.lbfgsb.dense import inverse_bfgs, random_pairs
from tests.lbfgsb.problems import ROSENBROCK_START, rosenbrock, run


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 6), count=st.integers(0, 5))
def test_it_is_the_dense_inverse(seed, n, count):
    rng = np.random.default_rng(seed)
    s, y = random_pairs(rng, count, n)
    theta = float(rng.uniform(0.1, 10))
    h = InverseHessian(s, y, theta)
    want = inverse_bfgs(s, y, theta)
    scale = max(1.0, np.abs(want).max())
    np.testing.assert_allclose(h.todense(), want, rtol=0, atol=1e-7 * scale)
    v = rng.standard_normal(n)
    for product in (h @ v, h.matvec(v), h.rmatvec(v), (h @ v[:, None])[:, 0]):
        np.testing.assert_allclose(product, want @ v, rtol=0, atol=1e-6 * scale)
    assert h.shape == (n, n)
    assert h.n_corrs == len(h.sk) == len(h.yk) == len(h.rho) == n + count
    peer = LbfgsInvHessProduct(h.sk, h.yk)
    np.testing.assert_allclose(peer.todense(), want, rtol=0, atol=1e-6 * scale)


@pytest.mark.parametrize("bounds", [None, [(-5, 5)] * 3])
def test_the_secant_equation_holds_at_the_newest_pair(bounds):
    opt, _ = run(rosenbrock, ROSENBROCK_START, bounds, maxcor=4, gtol=0.0, maxiter=13)
    h = opt.result.hess_inv
    steps, changes = opt.pairs
    assert steps.shape == (4, 3)
    np.testing.assert_allclose(h @ changes[-1], steps[-1], rtol=1e-8)
    assert h.theta == pytest.approx(changes[-1] @ changes[-1] / (changes[-1] @ steps[-1]))
    h.pairs[0][:] = 7.0  # copies
    np.testing.assert_array_equal(opt.pairs[0], steps)


def test_before_any_pair_it_is_the_identity():
    opt = LBFGSB(ROSENBROCK_START)
    np.testing.assert_array_equal(opt.result.hess_inv.todense(), np.eye(3))
