"""The pieces of the method against naive oracles."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from optdriver.constraints import ConstraintSet
from optdriver.feasible import models, trust
from optdriver.feasible.criticality import criticality
from optdriver.feasible.leastdistance import nearest
from optdriver.feasible.nearest import nearest_feasible
from optdriver.feasible.region import region
from optdriver.feasible.restoration import restore

NONE = np.zeros((0, 3)), np.zeros(0)


def compiled(rows, bounds, reference):
    made = ConstraintSet(rows, [f"x{i + 1}" for i in range(len(bounds))], bounds)
    return region(made, made.lower, made.upper, np.array(reference, dtype=float))


@given(st.integers(0, 2**31))
def test_the_nearest_point_satisfies_the_conditions_of_optimality(seed):
    rng = np.random.default_rng(seed)
    a, inside = rng.standard_normal((7, 3)), rng.standard_normal(3)
    b = a @ inside + rng.random(7) * (rng.random(7) < 0.6)
    p = 3.0 * rng.standard_normal(3)
    answer = nearest(p, a, b, *NONE)
    assert answer.solved
    assert np.all(a @ answer.point <= b + 1e-9)
    assert np.all(answer.inequality >= -1e-9)
    np.testing.assert_allclose(answer.point - p + a.T @ answer.inequality, 0.0, atol=1e-8)
    np.testing.assert_allclose(answer.inequality * (a @ answer.point - b), 0.0, atol=1e-8)


@given(st.integers(0, 2**31))
def test_the_nearest_point_on_a_plane_agrees_with_its_formula(seed):
    rng = np.random.default_rng(seed)
    e_rows, p = rng.standard_normal((2, 5)), rng.standard_normal(5)
    e = rng.standard_normal(2)
    answer = nearest(p, np.zeros((0, 5)), np.zeros(0), e_rows, e)
    wanted = p + np.linalg.pinv(e_rows) @ (e - e_rows @ p)
    np.testing.assert_allclose(answer.point, wanted, atol=1e-9)


def test_rows_that_contradict_each_other_have_no_nearest_point():
    a, b = np.array([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]]), np.array([-1.0, -1.0])
    assert not nearest(np.zeros(3), a, b, *NONE).solved


def test_a_repeated_equality_is_said_once():
    rows = np.array([[1.0, 1.0, 0.0], [2.0, 2.0, 0.0]])
    answer = nearest(np.zeros(3), *NONE, rows, np.array([2.0, 4.0]))
    assert answer.solved
    np.testing.assert_allclose(answer.point, [1.0, 1.0, 0.0])


def quadratic_pairs(seed, n, count):
    rng = np.random.default_rng(seed)
    half = rng.standard_normal((n, n))
    hessian = half + half.T
    steps = rng.standard_normal((count, n))
    return hessian, steps, steps @ hessian


@given(st.integers(0, 2**31))
def test_sr1_learns_a_quadratic_from_n_steps(seed):
    hessian, steps, changes = quadratic_pairs(seed, 4, 4)
    model = models.sr1(steps, changes, 1.0)
    if model.vectors.shape[1] == 4:
        np.testing.assert_allclose(model.dense(), hessian, atol=1e-4 * np.abs(hessian).max())


@given(st.integers(0, 2**31))
def test_damped_bfgs_stays_positive_definite(seed):
    _, steps, changes = quadratic_pairs(seed, 4, 6)
    model = models.damped_bfgs(steps, changes, 1.0)
    dense = model.dense()
    assert np.linalg.eigvalsh(dense)[0] > -1e-9 * np.abs(dense).max()
    s = np.ones(4)
    np.testing.assert_allclose(model @ s, dense @ s, rtol=1e-9, atol=1e-9)


def test_a_linear_function_has_no_curvature():
    steps = np.eye(3)
    model = models.sr1(steps, np.zeros((3, 3)), 5.0)
    np.testing.assert_array_equal(model.dense(), np.zeros((3, 3)))
    assert models.misfit(model, np.ones(3), np.zeros(3)) == pytest.approx(np.log(1e-3))


def test_the_better_model_is_chosen_and_a_rejection_counts():
    scores = models.rescore(np.zeros(2), np.array([0.5, 0.4]), used=1, rejected=True)
    np.testing.assert_allclose(scores, [0.5, 2.4])
    assert models.choose(scores) == 0
    assert models.choose(np.zeros(2)) == 0
    assert models.choose(np.array([1.0, 0.5])) == 1


@pytest.mark.parametrize(
    ("rho", "sigma", "wanted"),
    [(0.99, 1.0, 5.0), (0.8, 1.0, 2.5), (0.5, 1.0, 1.0), (0.2, 1.0, 0.5), (0.99, 0.01, 0.05)],
)
def test_the_rules_of_the_trust_region(rho, sigma, wanted):
    assert trust.radius(1.0, sigma, rho, slope=-1.0, change=-0.5) == pytest.approx(wanted)


def test_a_bad_step_shrinks_to_the_minimum_of_the_parabola():
    assert trust.radius(1.0, 1.0, -1.0, slope=-1.0, change=1.0) == pytest.approx(0.25)
    assert trust.radius(1.0, 1.0, -1e6, slope=-1.0, change=1e6) == pytest.approx(0.03)


def test_near_rounding_the_gradients_judge():
    assert trust.ratio(1e10, 1e10, -1e-3, -1e-3) == pytest.approx(1.0)


@given(st.integers(0, 2**31))
def test_restoration_ends_strictly_inside(seed):
    rng = np.random.default_rng(seed)
    made = compiled(
        ["x1^2 + x2^2 + x3^2 <= 1", "exp(x1) <= 1.5 + x2", "x3 >= x1*x2"], [(-2, 2)] * 3, [0, 0, 0]
    )
    point = restore(made, 2.0 * rng.random(3) - 1.0)
    assert point is None or made.is_feasible(point)
    assert point is not None


def test_the_nearest_feasible_point_agrees_with_slsqp():
    made = compiled(["x1*x2 >= 1", "x1 + x2^2 >= 0"], [(-3, 0.5), (-5, 5)], [-1.0, 1.0])
    found = nearest_feasible(made, np.array([-1.0, 1.0]))
    rows = [{"type": "ineq", "fun": lambda x: [x[0] * x[1] - 1.0, x[0] + x[1] ** 2]}]
    peer = minimize(
        lambda x: float((x - [-1.0, 1.0]) @ (x - [-1.0, 1.0])),
        found.point + 0.01,
        constraints=rows,
        bounds=[(-3, 0.5), (-5, 5)],
    )
    assert found.distance**2 <= peer.fun + 1e-6


def test_the_residual_and_multipliers_at_a_known_solution():
    made = compiled(["x1^2 + x2^2 <= 2"], [(-2, 2)] * 2, [1.0, 1.0])
    measured = criticality(made, np.array([1.0, 1.0]), np.array([-1.0, -1.0]))
    assert measured.residual <= 1e-12
    np.testing.assert_allclose(measured.multipliers, [0.5])
    away = criticality(made, np.array([0.0, 0.0]), np.array([-1.0, 0.0]))
    assert away.residual == pytest.approx(1.0)


def test_opposite_rows_are_one_equality():
    made = compiled(["x1^2 + x2 <= 1", "x1^2 + x2 >= 1"], [(-2, 2)] * 2, [0.5, 0.5])
    assert len(made.inequalities) == 0
    assert len(made.equalities) == 1
