"""`minimize(..., residuals=True)`: fits with JAX and without, kept, with errors of parameters."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

import optdriver
from benchmarks.nist import SETS, digits
from optdriver.errors import InputError

MISRA = SETS["Misra1a"]
BOX = dict(zip(MISRA.names, map(tuple, MISRA.box), strict=True))


def model(b1, b2):
    return b1 * (1 - jnp.exp(-b2 * MISRA.x)) - MISRA.y


def plain(b1, b2):
    return b1 * (1 - np.exp(-float(b2) * MISRA.x)) - MISRA.y


@pytest.mark.parametrize("function", [model, plain])
def test_a_fit_reaches_certified_parameters_and_errors(function):
    res = optdriver.minimize(function, BOX, residuals=True, n_iter=2)
    assert res.success
    assert digits(list(res.x.values()), MISRA.b) > 6.0
    spread = res.uncertainty()
    assert digits(spread.x, MISRA.b) > 8.0
    assert digits(spread.standard_errors, MISRA.sd) > 5.0
    assert (res.njev > 0) == (function is model)


@pytest.mark.parametrize("function", [model, plain])
def test_under_constraints_a_fit_has_its_model_and_its_errors(function):
    res = optdriver.minimize(
        function, BOX, residuals=True, n_iter=2, constraints=["b1*b2 <= 0.125"]
    )
    assert res.success
    assert res.active == ("b1*b2 <= 0.125",)
    b1, b2 = res.x.values()
    assert 0.125 * (1 - 1e-9) <= b1 * b2 <= 0.125
    spread = res.uncertainty()
    relative = spread.standard_errors / spread.x  # along b1 b2 = 1/8 both are the same
    assert relative[0] == pytest.approx(relative[1], rel=1e-4)
    assert spread.correlation[0, 1] == pytest.approx(-1.0)
    with_outliers = optdriver.minimize(
        function, BOX, residuals=True, n_iter=2, constraints=["b1*b2 <= 0.125"],
        options={"loss": "soft_l1", "f_scale": 0.1},
    )  # fmt: skip
    assert with_outliers.success
    assert with_outliers.active == ("b1*b2 <= 0.125",)


@pytest.mark.parametrize("jac", [None, "3-point"])
def test_structures_of_residuals_and_of_parameters(jac):
    t = np.linspace(0.0, 1.0, 8).reshape(2, 4)

    def residuals(w, b):
        return {"line": w[0] + w[1] * t - 3.0 * t, "rest": (b - 1.0, w[0] - 0.5)}

    box = {"w": (np.full(2, -5.0), 5.0), "b": (-5, 5)}
    res = optdriver.minimize(residuals, box, residuals=True, jac=jac, n_iter=2)
    x = np.column_stack([np.ones(8), t.ravel()])
    rows = np.concatenate([x, [[1.0, 0.0]]])
    expected = np.linalg.lstsq(rows, np.append(3.0 * t.ravel(), 0.5), rcond=None)[0]
    np.testing.assert_allclose(res.x["w"], expected, rtol=1e-7)
    assert res.x["b"] == pytest.approx(1.0)


def test_a_kept_fit_is_not_evaluated_again(tmp_path):
    given = {"residuals": True, "n_iter": 2, "storage": tmp_path / "fit.db"}
    first = optdriver.minimize(model, BOX, **given)
    again = optdriver.minimize(model, BOX, **given)
    assert again.nfev == first.nfev
    assert again.fun == first.fun


def test_the_options_are_those_of_a_fit():
    y = np.append(np.zeros(9), 100.0)
    box = {"a": (-500.0, 500.0)}
    mean = optdriver.minimize(lambda a: a - y, box, residuals=True, n_iter=1)
    assert mean.x["a"] == pytest.approx(10.0)
    robust = optdriver.minimize(
        lambda a: a - y, box, residuals=True, n_iter=1, options={"loss": "cauchy", "f_scale": 0.1}
    )
    assert abs(robust.x["a"]) < 0.01


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"method": "SLSQP"}, "'least-squares', not 'SLSQP'"),
        ({"options": {"maxcor": 5}}, "not 'maxcor'"),
        ({"options": {"loss": "hubert"}}, "huber"),
        ({"x64": False}, "64 bits"),
        ({"callback": print}, "callback="),
        ({"residuals": 1}, "residuals is True or False"),
        ({"uncertainty": -1.0}, "the uncertainty is -1.0; expected standard deviations"),
        ({"uncertainty": [0.1, 0.0]}, "the uncertainty of residual 1 is 0.0"),
        ({"uncertainty": []}, "the uncertainty is empty"),
    ],
)
def test_what_has_no_meaning_is_refused(given, message):
    with pytest.raises(InputError, match=message):
        optdriver.minimize(model, BOX, **{"residuals": True, **given})


def test_the_method_alone_says_what_is_missing():
    with pytest.raises(InputError, match="residuals=True"):
        optdriver.minimize(lambda b1, b2: b1 + b2, BOX, "least-squares")
