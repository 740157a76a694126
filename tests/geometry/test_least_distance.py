"""The nearest point of a polyhedron satisfies the conditions that characterise it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sparse
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from optdriver.constraints import LeastDistance, least_distance
from optdriver.constraints import least_distance as package_function
from optdriver.geometry.least_distance import _Problem

Array = NDArray[np.float64]
Data = tuple[Array, Array, Array, Array, Array, Array]


def random_problem(seed: int, n: int, p: int, q: int, boxed: bool) -> Data:
    """Return a problem that has a feasible point, which is not 0."""
    source = np.random.default_rng(seed)
    point = source.normal(size=n)
    a, e = source.normal(size=(p, n)), source.normal(size=(q, n))
    b = a @ point + source.exponential(0.1, size=p) * source.integers(0, 2, size=p)
    lower = np.where(source.random(n) < 0.5, point - source.exponential(0.3, n), -np.inf)
    upper = np.where(source.random(n) < 0.5, point + source.exponential(0.3, n), np.inf)
    if not boxed:
        lower, upper = np.full(n, -np.inf), np.full(n, np.inf)
    return a, b, e, e @ point, lower, upper


def assert_nearest(made: LeastDistance, data: Data, tolerance: float = 1e-8) -> None:
    a, b, e, f, lower, upper = data
    assert made.feasible
    d = made.d
    assert (a @ d <= b + tolerance).all()
    assert np.abs(e @ d - f).max(initial=0.0) <= tolerance
    assert (lower <= d).all()
    assert (d <= upper).all()
    stationarity = d + a.T @ made.inequalities + e.T @ made.equalities + made.box
    assert np.abs(stationarity).max() <= tolerance
    assert (made.inequalities >= -tolerance).all()
    assert np.abs(made.inequalities * (a @ d - b)).max(initial=0.0) <= tolerance
    assert (made.box[d < upper] <= tolerance).all()
    assert (made.box[d > lower] >= -tolerance).all()


problems = st.builds(
    random_problem,
    st.integers(0, 10_000),
    st.integers(1, 8),
    st.integers(0, 8),
    st.integers(0, 2),
    st.booleans(),
).filter(lambda data: data[2].shape[0] <= data[2].shape[1])


@given(problems)
def test_the_point_satisfies_the_optimality_conditions(data: Data) -> None:
    assert_nearest(least_distance(*data), data)


@given(problems)
def test_each_way_leads_to_the_same_point(data: Data) -> None:
    expected = least_distance(*data).d
    made = _Problem(*data).through_the_middle()
    assert_nearest(made, data, 1e-7)
    assert np.allclose(made.d, expected, atol=1e-7)
    problem = _Problem(*data)
    guessed = problem.guess_all(problem.b < 0.0, problem.sides())
    if guessed is not None:  # it may cycle
        assert_nearest(guessed, data, 1e-7)
        assert np.allclose(guessed.d, expected, atol=1e-7)


@given(problems, st.floats(1e-9, 1e9))
def test_the_point_scales_with_the_problem(data: Data, factor: float) -> None:
    a, b, e, f, lower, upper = data
    made = least_distance(a, factor * b, e, factor * f, factor * lower, factor * upper)
    assert made.feasible
    assert np.allclose(made.d / factor, least_distance(*data).d, atol=1e-7)


@pytest.mark.parametrize("n", [10, 700])
def test_sparse_problems_are_solved_like_dense_ones(n: int) -> None:
    _a, b, e, f, lower, upper = random_problem(n, n, 0, 0, boxed=True)
    rows = sparse.diags_array([np.ones(n), -0.5 * np.ones(n - 1)], offsets=[0, 1], format="csr")
    point = np.clip(np.cos(np.arange(n)), lower, upper)
    b = rows @ point - np.linspace(0.0, 0.5, n) * 0.0
    e = sparse.csr_array(np.ones((1, n)) / n)
    f = e @ point
    made = least_distance(rows, b, e, f, lower, upper)
    assert_nearest(made, (rows.toarray(), b, e.toarray(), f, lower, upper), 1e-7)


def test_many_equal_and_dependent_rows_are_no_trouble() -> None:
    n = 700
    rows = sparse.diags_array([np.ones(n), np.ones(n - 1)], offsets=[0, 1], format="csr")
    doubled = sparse.csr_array(sparse.vstack([rows, 2.0 * rows]))
    b = np.concatenate([np.full(n, -1.0), np.full(n, -2.0)])
    nothing = sparse.csr_array((0, n))
    sides = np.full(n, np.inf)
    made = least_distance(doubled, b, nothing, np.zeros(0), -sides, sides)
    data = (doubled.toarray(), b, nothing.toarray(), np.zeros(0), -sides, sides)
    assert_nearest(made, data, 1e-6)


def empty(n: int, kind: str) -> Data:
    """Return a problem without a feasible point."""
    eye, sides = np.eye(n), np.full(n, np.inf)
    none: Any = np.zeros((0, n))
    if kind == "rows":
        return np.vstack([eye, -eye]), np.full(2 * n, -1.0), none, np.zeros(0), -sides, sides
    if kind == "equalities":
        return none, np.zeros(0), np.vstack([eye[:1], eye[:1]]), np.array([1.0, 2.0]), -sides, sides
    if kind == "box":
        return eye, np.full(n, -2.0), none, np.zeros(0), -np.ones(n), np.ones(n)
    return none, np.zeros(0), none, np.zeros(0), np.ones(n), np.zeros(n)


@pytest.mark.parametrize("kind", ["rows", "equalities", "box", "sides"])
@pytest.mark.parametrize("n", [2, 80])
def test_an_empty_polyhedron_is_recognised(kind: str, n: int) -> None:
    made = package_function(*empty(n, kind))
    assert not made.feasible
    assert np.isfinite(made.d).all()


def test_nothing_to_do_is_zero() -> None:
    sides = np.full(3, np.inf)
    made = least_distance(np.eye(3), np.ones(3), np.eye(3)[:1], np.zeros(1), -sides, sides)
    assert made.feasible
    assert not made.d.any()
    none = np.zeros((0, 3))
    assert least_distance(none, np.zeros(0), none, np.zeros(0), -sides, sides).feasible


@given(problems, st.integers(0, 10_000))
def test_a_wanted_point_is_the_same_as_a_shift(data: Data, seed: int) -> None:
    a, b, e, f, lower, upper = data
    wanted = np.random.default_rng(seed).normal(size=lower.size)
    made = least_distance(*data, toward=wanted)
    shifted = (a, b - a @ wanted, e, f - e @ wanted, lower - wanted, upper - wanted)
    assert made.feasible
    assert np.allclose(made.d - wanted, least_distance(*shifted).d, atol=1e-8)


def test_the_nearest_point_on_a_plane_agrees_with_its_formula() -> None:
    source = np.random.default_rng(5)
    rows, wanted, f = source.normal(size=(2, 5)), source.normal(size=5), source.normal(size=2)
    none, sides = np.zeros((0, 5)), np.full(5, np.inf)
    made = least_distance(none, np.zeros(0), rows, f, -sides, sides, toward=wanted)
    assert np.allclose(made.d, wanted + np.linalg.pinv(rows) @ (f - rows @ wanted), atol=1e-9)


def test_a_repeated_equality_is_said_once() -> None:
    rows, none, sides = np.array([[1.0, 1.0, 0.0], [2.0, 2.0, 0.0]]), np.zeros((0, 3)), np.inf
    box = np.full(3, sides)
    made = least_distance(none, np.zeros(0), rows, np.array([2.0, 4.0]), -box, box)
    assert made.feasible
    assert np.allclose(made.d, [1.0, 1.0, 0.0])
