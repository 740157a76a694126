"""SciPy's constraints behind the same rows as texts."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sparse
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, NonlinearConstraint

from optdriver.constraints import ConstraintError, ConstraintSet
from optdriver.errors import InputError, InputTypeError

Array = NDArray[np.float64]
NAMES = ("x1", "x2")


def circle(x: Array) -> Any:
    return 1.0 - x[0] ** 2 - x[1] ** 2


def circle_slope(x: Array) -> Any:
    return np.array([-2.0 * x[0], -2.0 * x[1]])


def both(x: Array) -> Array:
    return np.array([x[0] * x[1], x[0] - x[1] ** 3])


def both_slope(x: Array) -> Array:
    return np.array([[x[1], x[0]], [1.0, -3.0 * x[1] ** 2]])


def both_bend(x: Array, v: Array) -> Array:
    return np.array([[0.0, v[0]], [v[0], -6.0 * v[1] * x[1]]])


X = np.array([0.6, 0.5])
TEXT = ConstraintSet("x1^2 + x2^2 <= 1", NAMES)


@pytest.mark.parametrize("jac", [circle_slope, None])
def test_a_dictionary_means_what_scipy_means_by_it(jac: Any) -> None:
    cs = ConstraintSet({"type": "ineq", "fun": circle, "jac": jac}, NAMES)
    assert (cs.n_inequalities, cs.n_equalities) == (1, 0)
    assert cs.values(X) == pytest.approx(TEXT.values(X), abs=1e-15)
    assert cs.jacobian(X) == pytest.approx(TEXT.jacobian(X), abs=1e-9)
    assert cs.hessian(X, [2.0]) == pytest.approx(TEXT.hessian(X, [2.0]), abs=1e-4)
    made = cs.project([3.0, 1.0])
    assert made.strict
    assert made.x == pytest.approx(TEXT.project([3.0, 1.0]).x, abs=1e-8)


def test_further_arguments_are_passed_on() -> None:
    spec = {"type": "eq", "fun": lambda x, r, s: x[0] * s - r, "args": (2.0, 4.0), "name": "line"}
    cs = ConstraintSet(spec, NAMES)
    assert cs.names == ("line",)
    assert cs.values([1.0, 0.0]).tolist() == [2.0]
    single = {"type": "eq", "fun": lambda x, r: x[0] - r, "args": 2.0}
    assert ConstraintSet(single, NAMES).values([1.0, 0.0]).tolist() == [-1.0]


@pytest.mark.parametrize(
    ("jac", "hess"), [(both_slope, both_bend), (both_slope, None), (None, None)]
)
def test_a_nonlinear_constraint_becomes_rows_for_its_sides(jac: Any, hess: Any) -> None:
    options = {"jac": jac} if jac else {}
    options |= {"hess": hess} if hess else {}
    spec = NonlinearConstraint(both, [-0.5, 0.25], [0.4, 0.25], **options)
    cs = ConstraintSet(spec, NAMES)
    assert (cs.n_inequalities, cs.n_equalities) == (2, 1)
    assert cs.names == ("constraint 1[1]", "constraint 1[2]", "constraint 1[3]")
    assert cs.values(X) == pytest.approx([0.3 - 0.4, -0.3 - 0.5, 0.475 - 0.25])
    slope = both_slope(X)
    assert cs.jacobian(X) == pytest.approx(np.array([slope[0], -slope[0], slope[1]]), abs=1e-9)
    expected = both_bend(X, np.array([1.0 - 2.0, 3.0]))
    assert cs.hessian(X, [1.0, 2.0, 3.0]) == pytest.approx(expected, abs=1e-4)
    v = np.array([1.0, -1.0])
    product = cs.hessian_product(X, [1.0, 2.0, 3.0], v)
    assert product == pytest.approx(expected @ v, abs=1e-4)


@pytest.mark.parametrize("kind", [np.array, sparse.csr_array, sparse.coo_array])
def test_a_linear_constraint_becomes_linear_rows(kind: Any) -> None:
    matrix = np.array([[1.0, 2.0], [3.0, -1.0], [1.0, 1.0]])
    spec = LinearConstraint(kind(matrix), [-np.inf, 0.0, 1.0], [1.0, 2.0, 1.0])
    cs = ConstraintSet(spec, NAMES)
    assert (cs.n_inequalities, cs.n_equalities) == (3, 1)
    assert cs.linear.all()
    assert cs.convex.all()
    rows = np.array([matrix[0], matrix[1], -matrix[1], matrix[2]])
    assert cs.jacobian(X).tolist() == rows.tolist()
    assert cs.values(X) == pytest.approx(rows @ X - [1.0, 2.0, 0.0, 1.0])
    assert not cs.hessian(X, np.ones(4)).any()


def test_bounds_go_into_the_box() -> None:
    cs = ConstraintSet([Bounds([0.0, -np.inf], [1.0, 0.5])], NAMES, Bounds(-1.0, 0.75))
    assert len(cs) == 0
    assert cs.lower.tolist() == [0.0, -1.0]
    assert cs.upper.tolist() == [0.75, 0.5]


def test_texts_and_functions_mix_in_the_order_of_rows() -> None:
    specs = [
        {"type": "eq", "fun": lambda x: x[0] - x[1], "name": "diagonal"},
        "x1^2 + x2^2 <= 1",
        "x1*x2 == 0.1",
        NonlinearConstraint(both, -np.inf, 1.0, jac=both_slope, hess=both_bend),
    ]
    cs = ConstraintSet(specs, NAMES)
    assert cs.names == (
        "x1^2 + x2^2 <= 1",
        "constraint 4[1]",
        "constraint 4[2]",
        "x1*x2 == 0.1",
        "diagonal",
    )
    expected = [0.61 - 1.0, 0.3 - 1.0, 0.475 - 1.0, 0.3 - 0.1, 0.1]
    assert cs.values(X) == pytest.approx(expected)
    assert cs.values_many([X, X])[1] == pytest.approx(expected)
    weights = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    bend = 2.0 * np.eye(2) + both_bend(X, np.array([2.0, 3.0])) + np.array([[0, 4.0], [4.0, 0]])
    assert cs.hessian(X, weights) == pytest.approx(bend, abs=1e-4)
    units = np.array([2.0, 4.0])
    assert cs.rescaled(units).jacobian(X / units) == pytest.approx(cs.jacobian(X) * units, abs=1e-8)


def test_a_function_that_divides_by_zero_has_no_value_there() -> None:
    cs = ConstraintSet({"type": "ineq", "fun": lambda x: 1.0 / float(x[0])}, NAMES, [(0, 1)] * 2)
    assert not cs.is_feasible([0.0, 0.0])
    assert cs.is_feasible([0.5, 0.0])


def test_functions_pickle_if_they_can_but_are_no_plain_data() -> None:
    spec = NonlinearConstraint(both, [-1.0, 0.0], [0.4, np.inf], jac=both_slope, hess=both_bend)
    cs = ConstraintSet([spec, {"type": "ineq", "fun": circle, "args": ()}], NAMES)
    assert pickle.loads(pickle.dumps(cs)).values(X).tolist() == cs.values(X).tolist()
    with pytest.raises(InputError, match="give it as a text"):
        cs.to_dict()


@pytest.mark.parametrize(
    ("spec", "error", "message"),
    [
        ({"type": "less", "fun": circle}, ConstraintError, "'ineq'"),
        ({"type": "ineq"}, InputTypeError, "'fun' must be a function"),
        ({"type": "ineq", "fun": 3}, InputTypeError, "'fun' must be a function"),
        ({"type": "ineq", "fun": circle, "jacobian": 1}, InputError, "did you mean 'jac'"),
        (NonlinearConstraint(circle, 2.0, 1.0), ConstraintError, "lb <= ub"),
        (LinearConstraint([[1.0, 1.0]], np.nan, 1.0), ConstraintError, "lb <= ub"),
    ],
)
def test_bad_specifications_are_refused(spec: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ConstraintSet([spec], NAMES)


@pytest.mark.parametrize(
    ("constraint", "message"),
    [
        ({"type": "ineq", "fun": lambda x: 1j}, "must give real numbers"),
        ({"type": "ineq", "fun": lambda x: "a"}, "must give real numbers"),
        ({"type": "eq", "fun": lambda x: x[0], "jac": lambda x: [1, 2, 3]}, r"shape \(1, 2\)"),
        ({"type": "eq", "fun": lambda x: x[0], "jac": lambda x: [1j, 0]}, "Jacobian must give"),
        ({"type": "ineq", "fun": lambda x: np.ones(1 + (x[0] > 0.9))}, "gave 1 values before"),
        (LinearConstraint([[1.0, 2.0, 3.0]], 0.0, 1.0), "A must have 2 columns"),
    ],
)
def test_functions_of_a_wrong_shape_or_kind_are_refused(constraint: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        made = ConstraintSet(constraint, ["x1", "x2"], [(0.0, 1.0)] * 2)
        made.jacobian(np.ones(2))
