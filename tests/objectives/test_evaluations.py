"""The user's functions: called with copies, counted, and misunderstood aloud."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from optdriver.errors import InputError
from optdriver.objectives.differences import Differences
from optdriver.objectives.evaluations import Evaluator, Objective, scalar


def square(x: np.ndarray, scale: float = 1.0) -> Any:
    return scale * np.dot(x, x)


def test_a_callable_gradient_gets_its_own_copy_and_the_arguments() -> None:
    def spoil(x: np.ndarray, scale: float) -> Any:
        value = scale * x
        x[:] = np.nan
        return value

    x = np.array([1.0, 2.0])
    evaluate = Evaluator(fun=lambda x, s: spoil(x, s).sum(), args=(2.0,), jac=spoil)
    f, g = evaluate(x)
    assert f == 6.0
    assert g.tolist() == [2.0, 4.0]
    assert x.tolist() == [1.0, 2.0]
    assert (evaluate.nfev, evaluate.njev, evaluate.cost) == (1, 1, 1)


def test_a_pair_is_called_once_a_point() -> None:
    evaluate = Evaluator(fun=lambda x: (square(x), 2 * x), args=(), jac=True)
    f, g = evaluate(np.array([3.0]))
    assert (f, g.tolist(), evaluate.nfev, evaluate.njev) == (9.0, [6.0], 1, 1)


@pytest.mark.parametrize(("scheme", "calls"), [("2-point", 3), ("3-point", 5), ("cs", 3)])
def test_differences_are_counted(scheme: str, calls: int) -> None:
    seen = []

    def fun(x: np.ndarray) -> Any:
        seen.append(x)
        return square(x)

    d = Differences(scheme=scheme, lower=np.full(2, -9.0), upper=np.full(2, 9.0))
    evaluate = Evaluator(fun=fun, args=(), jac=d)
    _, g = evaluate(np.array([1.0, 2.0]))
    assert np.allclose(g, [2.0, 4.0], rtol=1e-7)
    assert len(seen) == evaluate.nfev == evaluate.cost == calls
    assert evaluate.njev == 1


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_no_gradient_is_asked_where_the_value_is_not_finite(bad: float) -> None:
    def jac(x: np.ndarray) -> Any:
        raise RuntimeError("not to be called")

    evaluate = Evaluator(fun=lambda x: bad, args=(), jac=jac)
    f, g = evaluate(np.zeros(1))
    assert g is None
    assert np.array_equal(f, bad, equal_nan=True)
    assert (evaluate.nfev, evaluate.njev) == (1, 0)


@pytest.mark.parametrize(
    "value", [2, 2.0, np.float32(2), np.array(2.0), np.array([2.0]), np.array([[2]]), [2.0]]
)
def test_one_number_in_any_wrapping_is_a_scalar(value: Any) -> None:
    assert scalar(value) == 2.0


def test_precision_is_kept() -> None:
    assert scalar(np.array([2.0], dtype=np.float32)).dtype == np.float32


@pytest.mark.parametrize("value", [None, "two", [1.0, 2.0], np.zeros(0), {}, (1.0, np.zeros(2))])
def test_anything_else_is_refused(value: Any) -> None:
    with pytest.raises(InputError, match="must return a scalar value, got"):
        scalar(value)


def test_a_pair_without_jac_gets_a_hint() -> None:
    with pytest.raises(InputError, match="is jac=True missing"):
        scalar((1.0, np.zeros(2)))


@pytest.mark.parametrize("value", [1j, np.complex128(1j), np.array([1j])])
def test_a_complex_value_at_a_real_point_is_refused(value: Any) -> None:
    with pytest.raises(InputError, match="real number"):
        Evaluator(fun=lambda x: value, args=(), jac=square)(np.zeros(1))


@pytest.mark.parametrize("told", [1.0, (1.0,), (1.0, 2.0, 3.0), np.zeros(2), None])
def test_what_is_no_pair_is_refused(told: Any) -> None:
    with pytest.raises(InputError, match=r"jac=True.*pair \(value, gradient\)"):
        Evaluator(fun=lambda x: told, args=(), jac=True)(np.zeros(2))


def test_a_gradient_from_nowhere_is_refused() -> None:
    with pytest.raises(InputError, match="jac must be callable"):
        Evaluator(fun=square, args=(), jac=False)(np.zeros(1))


@pytest.mark.parametrize("shape", [(2,), (2, 1), (1, 2)])
def test_rows_and_columns_pass_as_gradients(shape: tuple[int, ...]) -> None:
    evaluate = Evaluator(fun=square, args=(), jac=lambda x: (2 * x).reshape(shape))
    assert evaluate(np.array([1.0, 2.0]))[1].tolist() == [2.0, 4.0]


def test_the_objective_can_be_pickled_for_workers() -> None:
    objective = pickle.loads(pickle.dumps(Objective(square, (3.0,))))
    assert objective(np.array([1.0, 1.0])) == 6.0
