"""The convergence tests, by their definitions, and in boxes of any width."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optdriver.lbfgsb import LBFGSB, Stop
from tests.lbfgsb.dense import make_state
from tests.lbfgsb.kernels import interpreted
from tests.lbfgsb.problems import drive, projected_gradient, random_bounds

stopping = interpreted.stopping


@given(
    seed=st.integers(0, 2**32 - 1), n=st.integers(0, 8), style=st.sampled_from(["free", "mixed"])
)
def test_the_projected_gradient(seed, n, style):
    rng = np.random.default_rng(seed)
    lower, upper = random_bounds(rng, n, style)
    x = np.clip(rng.uniform(-3, 3, n), lower, upper)
    g = rng.standard_normal(n) * 10.0 ** rng.uniform(-3, 3, n)
    g[rng.random(n) < 0.2] = 0.0
    s, _ = make_state(x, g, lower, upper)
    got = stopping.projected_gradient_norm(s, s.x, s.g)
    assert got == pytest.approx(projected_gradient(x, g, lower, upper), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize(
    ("before", "after", "small"),
    [
        (1.0, 1.0 - 0.9e-3, True),
        (1.0, 1.0 - 1.1e-3, False),
        (0.0, -0.9e-3, True),
        (1e6, 1e6 - 900.0, True),
        (1e6, 1e6 - 1100.0, False),
        (-1e6, -1e6 - 900.0, True),
        (1.0, 2.0, True),
        (math.inf, 1.0, True),  # never asked: an infinite value is a failed evaluation
    ],
)
def test_the_reduction(before, after, small):
    s, _ = make_state([0.0], [0.0])
    s.ftol = 1e-3
    assert bool(stopping.reduction_is_small(s, before, after)) == small


def by_definition(x, g, f, f_start, lower, upper, ftol, gtol):
    """The test of the projected gradient, written out."""
    if projected_gradient(x, g, lower, upper) > gtol:
        return False
    near = far = 0.0
    for xi, gi, low, high in zip(x, g, lower, upper, strict=True):
        room = high - xi if gi < 0 else xi - low
        if gi == 0 or room == 0:
            continue
        if abs(gi) > gtol:
            near += abs(gi) * room
        else:
            far += abs(gi) * (room if math.isfinite(room) else abs(xi))
    scale = max(abs(f), abs(f_start - f))
    return near <= max(ftol, 2.0**-50) * scale and far <= 100 * gtol * scale


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(0, 5))
def test_a_stationary_point(seed, n):
    rng = np.random.default_rng(seed)
    lower, upper = random_bounds(rng, n, "mixed")
    x = np.clip(rng.uniform(-3, 3, n), lower, upper)
    for side in (lower, upper):
        near = np.isfinite(side) & (rng.random(n) < 0.3)
        x[near] = np.clip(
            side + rng.choice([-1, 0, 1], n) * 10.0 ** rng.uniform(-9, -4, n), lower, upper
        )[near]
    g = rng.standard_normal(n) * 10.0 ** rng.uniform(-8, 1, n)
    g[rng.random(n) < 0.2] = 0.0
    f, f_start = rng.standard_normal(2) * 10.0 ** rng.uniform(-3, 3, 2)
    s, _ = make_state(x, g, lower, upper)
    s.f_start, s.ftol, s.gtol = f_start, 1e-6, 1e-3
    wanted = by_definition(x, g, f, f_start, lower, upper, 1e-6, 1e-3)
    norm = stopping.projected_gradient_norm(s, s.x, s.g)
    assert bool(stopping.is_stationary(s, s.x, s.g, f, norm)) == wanted


def bowl(width, centre, weights=1.0):
    """A sum of squares in x / width."""

    def fun(x):
        t = x / width - np.asarray(centre)
        return float(np.multiply(weights, t) @ t), 2.0 * np.multiply(weights, t) / width

    return fun


@pytest.mark.parametrize("width", [1e-15, 1e-9, 1e-6])
def test_in_a_narrow_box_every_point_is_near_a_bound(width):
    fun = bowl(width, (2.5, 0.3, 4.0), np.array([1.0, 3.0, 0.5]))
    opt = LBFGSB(np.full(3, 1.5 * width), [(0.5 * width, 5.0 * width)] * 3)
    drive(opt, fun)
    assert opt.converged
    np.testing.assert_allclose(opt.result.x / width, [2.5, 0.5, 4.0], atol=1e-4)


@pytest.mark.parametrize("width", [1e5, 1e9, 1e12])
def test_in_a_wide_unit_every_gradient_is_small(width):
    fun = bowl(width, (0.4, -2.0, 0.1))
    opt = LBFGSB(np.array([0.9, 0.5, 0.6]) * width, [(0.0, width)] * 3, maxiter=1)
    opt.tell(*fun(opt.ask()))
    assert opt.state.pgnorm <= 1e-4
    assert not opt.converged


@pytest.mark.parametrize("upper", [1e3, 1e9, math.inf])
def test_close_to_a_bound_of_a_wide_box(upper):
    """As behind the scaling of a study: the distances are tiny, the gradients are not."""
    scale = min(upper, 1e12)
    fun = bowl(1.0 / scale, (3.0, 2.0, 0.0))
    opt = LBFGSB(np.array([8.0, 7.0, 6.0]) / scale, [(0.0, upper / scale)] * 3)
    drive(opt, fun)
    assert opt.converged
    np.testing.assert_allclose(opt.result.x * scale, [3.0, 2.0, 0.0], atol=1e-4)


def test_a_run_whose_bound_cannot_be_evaluated_ends_beside_it():
    opt = LBFGSB([0.7], [(0.0, 1.0)])
    seen = drive(opt, lambda x: None if x[0] == 0.0 else (1e3 * x[0], np.array([1e3])))
    assert opt.stop is Stop.PROJECTED_GRADIENT
    assert opt.result.fun <= 1e-5
    assert len(seen) < 80
