"""The generalized Cauchy point against a dense walk along the projected gradient path."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.lbfgsb.dense import dense_b, make_state, random_pairs
from tests.lbfgsb.kernels import interpreted

cauchy, memory = interpreted.cauchy, interpreted.memory


def walk(b, x, g, lower, upper):
    """The first local minimiser of the model on P(x - t g), segment by segment, densely."""
    with np.errstate(divide="ignore", invalid="ignore"):
        times = np.where(g < 0, (x - upper) / g, np.where(g > 0, (x - lower) / g, np.inf))
    t, ends = 0.0, np.unique(times[(times > 0) & np.isfinite(times)])
    z = np.where(times <= 0, np.clip(x, lower, upper), x)
    for end in [*ends, np.inf]:
        d = np.where(times > t, -g, 0.0)
        if not d.any():
            break
        slope, curvature = g @ d + d @ b @ (z - x), d @ b @ d
        if slope >= 0:
            break
        step = -slope / curvature
        if t + step < end:
            return z + step * d
        z = np.where(times <= end, np.where(g > 0, lower, upper), z + (end - t) * d)
        t = end
    return z


def random_case(seed, n, count, style):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(n)
    lower = x - 10.0 ** rng.uniform(-2, 1, n)
    upper = x + 10.0 ** rng.uniform(-2, 1, n)
    g = rng.standard_normal(n)
    kind = rng.integers(0, 8, n)
    if style == "mixed":
        lower[kind == 0] = x[kind == 0]
        upper[kind == 1] = x[kind == 1]
        both = kind == 2
        lower[both] = upper[both] = x[both]
        lower[kind == 3], upper[kind == 4] = -np.inf, np.inf
        lower[kind == 5], upper[kind == 5] = -np.inf, np.inf
        g[kind == 6] = 0.0
    elif style == "ties":
        lower, upper = x - 0.5, x + 0.5
        g = np.sign(g) * 0.5 ** rng.integers(0, 3, n)
    s, q = make_state(x, g, lower, upper, m=4, pairs=random_pairs(rng, count, n))
    if s.k:
        assert memory.form_middle(s, q)
    return s, q


def check(s, q):
    a = s.arrays
    b = dense_b(s)
    want = walk(b, a["x"], a["g"], a["l"], a["u"])
    assert cauchy.cauchy_point(s, q)
    z = a["z"].copy()
    scale = max(1.0, float(np.max(np.abs(want))))
    np.testing.assert_allclose(z, want, rtol=0, atol=1e-8 * scale)
    assert np.all((a["l"] <= z) & (z <= a["u"]))
    where = a["where"]
    np.testing.assert_array_equal(z[where == 1], a["l"][where == 1])
    np.testing.assert_array_equal(z[where == 2], a["u"][where == 2])
    np.testing.assert_array_equal(where == 3, a["l"] == a["u"])
    if s.k:
        w = a["w"][:, : 2 * s.k].copy()
        w[:, 1::2] *= s.theta
        size = max(1.0, float(np.abs(w).max()) * scale)
        np.testing.assert_allclose(q.c[: 2 * s.k], w.T @ (z - a["x"]), rtol=0, atol=1e-8 * size)
    model = a["g"] @ (z - a["x"]) + 0.5 * (z - a["x"]) @ b @ (z - a["x"])
    assert model <= 1e-12 * scale


@settings(max_examples=150)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 9),
    count=st.integers(0, 7),
    style=st.sampled_from(["boxed", "mixed", "ties"]),
)
def test_it_is_the_first_minimiser_along_the_path(seed, n, count, style):
    s, q = random_case(seed, n, count, style)
    a = s.arrays
    if np.array_equal(np.clip(a["x"] - a["g"], a["l"], a["u"]), a["x"]):
        return  # nothing can move: a run would have ended here
    check(s, q)


@pytest.mark.parametrize("count", [0, 3])
def test_the_whole_path_may_end_in_a_corner(count):
    rng = np.random.default_rng(5)
    x, g = np.zeros(4), np.array([100.0, -100.0, 200.0, -50.0])
    s, q = make_state(x, g, x - 0.01, x + 0.01, m=4, pairs=random_pairs(rng, count, 4))
    if count:
        memory.form_middle(s, q)
    check(s, q)
    np.testing.assert_array_equal(s.arrays["z"], -0.01 * np.sign(g))
    np.testing.assert_array_equal(s.arrays["where"], [1, 2, 1, 2])


@pytest.mark.parametrize("count", [0, 3])
def test_held_by_every_bound_nothing_moves(count):
    rng = np.random.default_rng(6)
    x, g = np.zeros(3), np.array([1.0, -1.0, 5.0])
    lower, upper = np.array([0.0, -1.0, 0.0]), np.array([1.0, 0.0, 0.0])
    s, q = make_state(x, g, lower, upper, m=4, pairs=random_pairs(rng, count, 3))
    if count:
        memory.form_middle(s, q)
    moved = cauchy.cauchy_point(s, q)
    assert moved == (count == 0)  # with pairs there is no curvature along an empty path
    np.testing.assert_array_equal(s.arrays["z"], x)
    np.testing.assert_array_equal(s.arrays["where"], [1, 2, 3])


@pytest.mark.parametrize("broken", [-1e9, np.nan, np.inf])
def test_a_model_without_curvature_along_the_path_is_refused(broken):
    rng = np.random.default_rng(7)
    s, q = make_state(np.zeros(2), [1.0, 1.0], [-1, -1], [1, 1], m=3, pairs=random_pairs(rng, 2, 2))
    memory.form_middle(s, q)
    for i in range(s.k):
        q.jt[i * s.m + i] = 0.0
        q.di[i] = broken
    assert not cauchy.cauchy_point(s, q)


@given(times=st.lists(st.sampled_from([0.0, 0.5, 1.0, 1.5, 2.0, 3.0, np.inf]), max_size=20))
def test_breakpoints_come_in_order(times):
    n = len(times)
    t = memoryview(np.array([*times, 0.0]))
    order = memoryview(np.arange(n + 1))
    cauchy.heapify(t, order, n)
    seen, left = [], n
    while left:
        assert times[order[0]] == t[0]
        seen.append((t[0], order[0]))
        left -= 1
        cauchy.pop(t, order, left)
    assert [time for time, _ in seen] == sorted(times)
    assert sorted(i for _, i in seen) == list(range(n))
