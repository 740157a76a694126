"""Pairs, Gram blocks, compact representation, two-loop recursion, against dense updates."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.lbfgsb.dense import (
    bfgs,
    dense_b,
    inverse_bfgs,
    make_state,
    random_pairs,
    stored_pairs,
)
from tests.lbfgsb.kernels import interpreted

memory, machine, subspace = interpreted.memory, interpreted.machine, interpreted.subspace


def random_state(seed, n, m, count, *, lower=None, upper=None):
    rng = np.random.default_rng(seed)
    pairs = random_pairs(rng, count, n)
    s, q = make_state(
        rng.standard_normal(n), rng.standard_normal(n), lower, upper, m=m, pairs=pairs
    )
    return s, q, pairs


sizes = {"seed": st.integers(0, 2**32 - 1), "n": st.integers(1, 9), "m": st.integers(1, 6)}


@given(**sizes, count=st.integers(0, 15))
def test_the_newest_pairs_are_kept_in_order(seed, n, m, count):
    s, _, (steps, changes) = random_state(seed, n, m, count)
    kept = min(count, m)
    stored = stored_pairs(s)
    np.testing.assert_array_equal(stored[0], steps[count - kept :])
    np.testing.assert_array_equal(stored[1], changes[count - kept :])
    assert s.k == kept
    assert [memory.slot(s, age) for age in range(s.k)] == [(s.head + age) % m for age in range(s.k)]


@given(**sizes, count=st.integers(1, 15))
def test_theta_is_that_of_the_newest_pair(seed, n, m, count):
    s, _, (steps, changes) = random_state(seed, n, m, count)
    y = changes[-1]
    assert s.theta == pytest.approx(y @ y / (y @ steps[-1]), rel=1e-12)


def test_a_pair_without_a_theta_empties_the_memory():
    """y'y can fall below the smallest number where s'y does not: then B = theta I says nothing."""
    tiny = np.array([[1e160, 0.0]]), np.array([[1e-170, 0.0]])
    s, _ = make_state(np.zeros(2), np.zeros(2), None, None, m=3, pairs=tiny)
    assert s.k == 0
    assert s.theta == 1.0


def check_blocks(s):
    """Compare every stored block with its definition."""
    arrays, k = s.arrays, s.k
    slots = [memory.slot(s, age) for age in range(k)]
    steps, changes = stored_pairs(s)
    free = arrays["free"].astype(bool)
    z, a = np.where(free, 1.0, 0.0), np.where(free, 0.0, 1.0)
    sy = steps @ changes.T  # s_i'y_j
    later = np.tril(np.ones((k, k)), -1).astype(bool)  # i newer than j
    want = {
        "ss": steps @ steps.T,
        "lt": np.where(later, sy, 0.0).T,
        "zyy": (changes * z) @ changes.T,
        "ass": (steps * a) @ steps.T,
        "zc": np.where(~later, (steps * z) @ changes.T, -((steps * a) @ changes.T)).T,
    }
    for name, matrix in want.items():
        scale = np.max(np.abs(matrix), initial=1.0)
        got = arrays[name][np.ix_(slots, slots)]
        np.testing.assert_allclose(got, matrix, rtol=0, atol=1e-11 * scale, err_msg=name)
    np.testing.assert_allclose(arrays["dd"][slots], np.diag(sy), rtol=1e-11)


@settings(max_examples=60)
@given(**sizes, script=st.lists(st.sampled_from(["pair", "pair", "set", "forget"]), max_size=20))
def test_blocks_keep_their_definition_whatever_is_done(seed, n, m, script):
    s, q, _ = random_state(seed, n, m, 0)
    rng = np.random.default_rng(seed)
    for what in script:
        if what == "pair":
            steps, changes = random_pairs(rng, 1, n)
            assert machine.seed(s, changes[0], steps[0])
        elif what == "set":
            s.arrays["where"][:] = rng.integers(0, 4, n)
            subspace.update_free_set(s, q)
            free = np.flatnonzero(s.arrays["where"] == 0)
            assert list(q.index[: q.nfree]) == free.tolist()
            np.testing.assert_array_equal(s.arrays["free"], s.arrays["where"] == 0)
        else:
            memory.forget(s)
            assert (s.k, s.head, s.theta) == (0, 0, 1.0)
        check_blocks(s)


def compact_b(s, q):
    """theta I - W M W', by the kernel's own product with M."""
    assert memory.form_middle(s, q)
    n, k = s.n, s.k
    w = s.arrays["w"][:, : 2 * k].copy()
    w[:, 1::2] *= s.theta
    b = s.theta * np.eye(n)
    for i in range(n):
        out = memoryview(np.zeros(2 * s.m))
        v = memoryview(np.concatenate([w[i], np.zeros(2 * (s.m - k))]))
        memory.middle(s, q, v, out)
        b[:, i] -= w @ np.array(out)[: 2 * k]
    return b


@settings(max_examples=60)
@given(**sizes, count=st.integers(1, 15))
def test_the_compact_representation_is_the_dense_bfgs_matrix(seed, n, m, count):
    s, q, (steps, changes) = random_state(seed, n, m, count)
    kept = min(count, m)
    want = bfgs(steps[-kept:], changes[-kept:], s.theta)
    scale = max(np.linalg.norm(want), np.linalg.norm(want) ** 2 * 1e-6, 1.0)
    np.testing.assert_allclose(compact_b(s, q), want, rtol=0, atol=1e-7 * scale)


@settings(max_examples=60)
@given(**sizes, count=st.integers(1, 15))
def test_the_recursion_is_the_dense_inverse(seed, n, m, count):
    s, q, _ = random_state(seed, n, m, count)
    memory.two_loop(s, q)
    h = inverse_bfgs(*stored_pairs(s), s.theta)
    want = -h @ s.arrays["g"]
    scale = max(np.linalg.norm(h) * np.linalg.norm(s.arrays["g"]), 1.0)
    np.testing.assert_allclose(s.arrays["d"], want, rtol=0, atol=1e-7 * scale)


def test_the_recursion_skips_zero_gradients():
    s, q, _ = random_state(3, 6, 4, 6)
    s.arrays["g"][[1, 4]] = 0.0
    memory.two_loop(s, q)
    want = -np.linalg.solve(dense_b(s), s.arrays["g"])
    np.testing.assert_allclose(s.arrays["d"], want, rtol=1e-6, atol=1e-8)


def test_a_singular_middle_matrix_is_noticed():
    s, q, _ = random_state(1, 4, 3, 3)
    s.arrays["ss"][:] = 0.0
    s.arrays["lt"][:] = 0.0
    assert not memory.form_middle(s, q)


@pytest.mark.parametrize("change", [[0.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [np.nan, 1.0]])
def test_a_pair_without_positive_curvature_is_not_stored(change):
    s, _ = make_state([0.0, 0.0], [1.0, 1.0])
    before = s.to_dict()
    assert not machine.seed(s, change, [1.0, 0.0])
    assert all(np.array_equal(before[name], value) for name, value in s.to_dict().items())
