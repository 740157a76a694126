"""`minimize(direction="maximize")`: the ends of minus the loss, in the sign of the loss."""

from __future__ import annotations

import numpy as np
import pytest

import optdriver
from optdriver import Minimizer, minimize
from optdriver.errors import InputError, InputTypeError, UnknownOptionError

BOUNDS = {"w": optdriver.Interval(-2.0, 2.0, shape=(2,)), "b": (-3.0, 3.0)}


def loss(w, b):
    return (w[0] - 1.0) ** 2 + 3.0 * (w[1] + 0.5) ** 2 + (b - 0.25) ** 4 - 2.0


def height(w, b):
    return -loss(w, b)


def coarse(w, b):
    return float(height(np.asarray(w), float(b)))


def same(up, down):
    assert up.fun == -down.fun
    assert up.nfev == down.nfev
    for name in ("w", "b"):
        assert np.array_equal(up.x[name], down.x[name])
        if down.jac is not None:
            assert np.array_equal(up.jac[name], -np.asarray(down.jac[name]))


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"engine": "serial"},
        pytest.param({"method": "SLSQP"}, marks=pytest.mark.slow),
        pytest.param({"method": "trust-constr"}, marks=pytest.mark.slow),
        {"constraints": ["b + w[0] <= 1"]},
        {"max_iter": 60},
    ],
    ids=str,
)
def test_it_is_minus_the_minimisation_of_minus_the_loss(given):
    options = {"n_iter": 3, "x64": True, **given}
    up = minimize(height, BOUNDS, direction="maximize", **options)
    down = minimize(loss, BOUNDS, **options)
    same(up, down)
    assert up.success == down.success
    if "max_iter" not in given:
        assert [row.fun for row in up.starts] == [-row.fun for row in down.starts]


@pytest.mark.slow
def test_a_loss_that_jax_cannot_trace_and_one_in_a_file(tmp_path):
    with pytest.warns(optdriver.errors.ObjectiveWarning):
        plain = minimize(coarse, BOUNDS, direction="maximize", n_iter=2)
    assert plain.fun == pytest.approx(2.0, abs=1e-6)
    kept = minimize(
        height, BOUNDS, direction="maximize", n_iter=2, x64=True, storage=tmp_path / "up.db"
    )
    assert kept.fun == pytest.approx(2.0, abs=1e-6)
    assert kept.history["value"].max() == kept.fun
    with optdriver.load_study(tmp_path / "up.db") as study:
        assert study.parameters["direction"] == "maximize"
        assert study.best.value == kept.fun


def test_the_callback_sees_values_of_the_loss():
    seen = []

    def look(intermediate_result):
        seen.append((intermediate_result.fun, intermediate_result.jac["b"]))

    found = minimize(height, BOUNDS, direction="maximize", n_iter=1, x64=True, callback=look)
    values = [value for value, _ in seen]
    assert values == sorted(values)
    assert values[-1] == pytest.approx(found.fun)
    assert max(values) <= 2.0


def test_a_minimizer_keeps_its_direction():
    import pickle

    made = Minimizer(height, BOUNDS, x64=True, direction="maximize")
    assert pickle.loads(pickle.dumps(made)).minimize(2).fun == made.minimize(2).fun > 1.99


def test_what_is_no_number_is_refused_as_ever():
    with pytest.raises(InputTypeError, match="None"):
        minimize(lambda w, b: None, BOUNDS, direction="maximize", jac="2-point", n_iter=1)


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"direction": "up"}, UnknownOptionError),
        ({"direction": 1}, InputTypeError),
        ({"direction": "maximize", "residuals": True}, InputError),
    ],
)
def test_a_direction_that_cannot_be(given, error):
    with pytest.raises(error):
        minimize(lambda w, b: w * b, BOUNDS, **given)
