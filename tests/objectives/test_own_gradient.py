"""A loss with its own gradient in `minimize`: what is told is used, and nothing else is called."""

from __future__ import annotations

import numpy as np
import pytest

import optdriver
from optdriver.errors import InputError, InputTypeError

BOX = {"w": (np.full(2, -3.0), 3.0), "b": (-2.0, 2.0)}


class Model:
    """A loss that keeps count in itself, which JAX could not trace."""

    def __init__(self):
        self.calls = 0

    def value(self, w, b):
        return float(np.sum((w - [1.0, -0.5]) ** 2) * 2 + (b - 0.25) ** 2 + w[0] * b)

    def slope(self, w, b):
        return {"w": 4 * (w - [1.0, -0.5]) + [b, 0.0], "b": 2 * (b - 0.25) + w[0]}

    def both(self, w, b):
        self.calls += 1
        return self.value(w, b), self.slope(w, b)


# 4 (w0 - 1) + b = 0 and 2 (b - 0.25) + w0 = 0, by hand
W0, B = 7.5 / 7.0, -2.0 / 7.0


@pytest.mark.parametrize("kept", [{}, {"max_iter": 100}])
@pytest.mark.parametrize("method", ["L-BFGS-B", "SLSQP"])
@pytest.mark.parametrize("jac", [True, "function"])
def test_the_gradient_is_used(jac, method, kept):
    model = Model()
    loss = model.both if jac is True else model.value
    given = True if jac is True else model.slope
    res = optdriver.minimize(loss, BOX, method, jac=given, n_iter=1, **kept)
    assert res.success
    assert np.allclose(res.x["w"], [W0, -0.5], atol=2e-3)
    assert abs(res.x["b"] - B) <= 2e-3
    assert res.nfev < 20
    assert model.calls in (0, res.nfev)
    assert np.allclose(res.jac["w"], model.slope(**res.x)["w"])


@pytest.mark.parametrize("kept", [{}, {"max_iter": 100}])
def test_the_greatest_value_has_its_own_gradient_too(kept):
    res = optdriver.minimize(
        lambda w, b: (-Model().value(w, b), {k: -v for k, v in Model().slope(w, b).items()}),
        BOX, jac=True, direction="maximize", n_iter=1, **kept,
    )  # fmt: skip
    assert res.success
    assert np.allclose(res.x["w"], [W0, -0.5], atol=1e-4)


def test_a_vector_is_a_gradient_and_what_is_none_is_said():
    res = optdriver.minimize(
        lambda x, y: ((x - 1) ** 2 + y**2, np.array([2 * (x - 1), 2 * y])),
        [(-2, 2), (-2, 2)], jac=True, n_iter=1,
    )  # fmt: skip
    assert res.success
    assert np.allclose(res.x, [1.0, 0.0], atol=1e-5)
    with pytest.raises(InputTypeError, match="returns its value and its gradient"):
        optdriver.minimize(lambda x: x**2, [(-2, 2)], jac=True, n_iter=1)
    with pytest.raises(InputError, match="structure of the bounds"):
        optdriver.minimize(lambda x: (x**2, [1.0, 2.0]), [(-2, 2)], jac=True, n_iter=1)
    with pytest.raises(InputTypeError, match="a function that returns the gradient"):
        optdriver.minimize(lambda x: x**2, [(-2, 2)], jac=3, n_iter=1)


@pytest.mark.parametrize(
    "bounds",
    [
        {"w": (np.zeros((2, 2)), np.ones((2, 2)))},
        [(np.zeros((2, 2)), np.ones((2, 2)))],
        (np.zeros((2, 2)), np.ones((2, 2))),
    ],
    ids=["by name", "by position", "alone"],
)
@pytest.mark.parametrize("kept", [{}, {"max_iter": 30}], ids=["at once", "kept"])
def test_a_gradient_has_the_shape_of_the_only_parameter(bounds, kept):
    def loss(w):
        return np.sum((w - 0.25) ** 2), 2.0 * (w - 0.25)

    found = optdriver.minimize(loss, bounds, n_iter=1, jac=True, x0=np.full((2, 2), 0.75), **kept)
    assert found.success
    x = found.x["w"] if isinstance(found.x, dict) else found.x
    x = x[0] if isinstance(x, list) else x
    np.testing.assert_allclose(x, 0.25, atol=1e-6)
    study = optdriver.create_study(bounds, jac=True)
    study.add_point(np.full((2, 2), 0.5), 0.25, np.full((2, 2), 0.5))
    np.testing.assert_allclose(study.best.gradient, 0.5)
