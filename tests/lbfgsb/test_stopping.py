"""The two convergence tests, by their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.lbfgsb.dense import make_state
from tests.lbfgsb.kernels import interpreted
from tests.lbfgsb.problems import projected_gradient, random_bounds

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
