"""The subspace step against the dense reduced system and the rule of Morales and Nocedal."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.lbfgsb.dense import dense_b
from tests.lbfgsb.kernels import interpreted
from tests.lbfgsb.test_cauchy import random_case

cauchy, subspace = interpreted.cauchy, interpreted.subspace


def reduced_newton(b, x, g, z, free):
    """The minimiser of the model over the free variables, from z, without bounds."""
    r = -(g + b @ (z - x))[free]
    return np.linalg.solve(b[np.ix_(free, free)], r)


def bend(x, g, z, step, free, lower, upper):
    """Project the Newton point; if that is no descent, truncate the step instead."""
    hat = z.copy()
    hat[free] = np.clip(z[free] + step, lower[free], upper[free])
    met = np.any((hat[free] == lower[free]) | (hat[free] == upper[free]))
    if not met or (hat - x) @ g <= 0:
        return hat
    alpha = 1.0
    for i, d in zip(np.flatnonzero(free), step, strict=True):
        if d < 0:
            alpha = min(alpha, (lower[i] - z[i]) / d)
        elif d > 0:
            alpha = min(alpha, (upper[i] - z[i]) / d)
    hat[free] = np.clip(z[free] + alpha * step, lower[free], upper[free])
    return hat


@settings(max_examples=150)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 9),
    count=st.integers(1, 7),
    style=st.sampled_from(["boxed", "mixed", "ties"]),
)
def test_it_is_the_bent_newton_point(seed, n, count, style):
    s, q = random_case(seed, n, count, style)
    if not cauchy.cauchy_point(s, q):
        return  # nothing can move
    a = s.arrays
    subspace.update_free_set(s, q)
    free = a["where"] == 0
    if not free.any():
        return
    b, z = dense_b(s), a["z"].copy()
    step = reduced_newton(b, a["x"], a["g"], z, free)
    want = bend(a["x"], a["g"], z, step, free, a["l"], a["u"])
    assert subspace.subspace_minimum(s, q)
    scale = max(1.0, float(np.abs(step).max()))
    np.testing.assert_allclose(np.array(q.r[: q.nfree]), step, rtol=0, atol=1e-7 * scale)
    np.testing.assert_allclose(a["z"], want, rtol=0, atol=1e-7 * scale)
    assert np.all((a["l"] <= a["z"]) & (a["z"] <= a["u"]))


def bent(z, r, lower, upper, g, x=None):
    """Apply only the bending to a Newton step r from z; all variables free."""
    n = len(z)
    s, q = random_case(0, n, 2, "boxed")
    a = s.arrays
    a["x"][:] = z if x is None else x
    a["z"][:], a["l"][:], a["u"][:], a["g"][:] = z, lower, upper, g
    a["where"][:] = 0
    subspace.update_free_set(s, q)
    for i in range(n):
        q.r[i] = r[i]
    if subspace.project(s, q) and subspace.slope(s) > 0.0:
        subspace.truncate(s, q)
    return a["z"].copy()


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_projection_that_ascends_is_truncated_at_the_blocking_bound(sign):
    z = np.zeros(2)
    r = sign * np.array([4.0, 1.0])
    bound = sign * np.array([1.0, 5.0])
    lower, upper = np.minimum(bound, -9.0), np.maximum(bound, 9.0)
    lower[0], upper[0] = (-9.0, 1.0) if sign > 0 else (-1.0, 9.0)
    ascent = bent(z, r, lower, upper, sign * np.array([-1.0, 2.0]))
    np.testing.assert_array_equal(ascent, sign * np.array([1.0, 0.25]))
    descent = bent(z, r, lower, upper, sign * np.array([-1.0, 0.5]))
    np.testing.assert_array_equal(descent, sign * np.array([1.0, 1.0]))


def test_a_variable_that_stays_does_not_block():
    z = bent(np.zeros(2), np.array([4.0, 0.0]), [-9.0, -9.0], [1.0, 9.0], np.array([1.0, 0.0]))
    np.testing.assert_array_equal(z, [1.0, 0.0])


def test_the_slope_counts_the_variables_at_their_bounds():
    s, q = random_case(1, 3, 2, "boxed")
    a = s.arrays
    a["where"][:] = [1, 0, 2]
    a["z"][:] = a["l"][0], a["x"][1], a["u"][2]
    subspace.update_free_set(s, q)
    q.r[0] = 0.1
    assert subspace.project(s, q) in (True, False)
    assert q.t[0] == a["x"][1]  # where the free one was
    assert subspace.slope(s) == pytest.approx((a["z"] - a["x"]) @ a["g"])


def test_a_step_of_zero_stays():
    z = bent(np.zeros(2), np.zeros(2), -np.ones(2), np.ones(2), np.ones(2))
    np.testing.assert_array_equal(z, 0.0)


@pytest.mark.parametrize("broken", ["zyy", "ass"])
def test_an_indefinite_block_is_noticed(broken):
    s, q = random_case(2, 5, 3, "boxed")
    assert cauchy.cauchy_point(s, q)
    subspace.update_free_set(s, q)
    s.arrays[broken][:] = 0.0
    s.arrays[broken][np.arange(4), np.arange(4)] = -1e9
    assert not subspace.subspace_minimum(s, q)
