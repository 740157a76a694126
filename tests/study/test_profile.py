"""Intervals by profile likelihood, beside a profile made with SciPy."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import brentq, least_squares

import optdriver
from optdriver.errors import InputError, UnknownOptionError

T = np.linspace(0.0, 4.0, 25)
Y = 2.0 * np.exp(-0.7 * T) + 0.3 + 0.15 * np.sin(37.0 * np.arange(25.0))
SPACE = {"a": (0.1, 10), "k": (0.01, 10), "c": (-1, 1)}


def decay(a, k, c):
    e = np.exp(-k * T)
    return a * e + c - Y, np.column_stack([e, -a * T * e, np.ones_like(T)])


def fitted(space=SPACE, objective=decay, **given):
    study = optdriver.create_study(
        space, driver="least-squares", max_num_minimizers=1, **{"jac": True, **given}
    )
    study.run(objective)
    return study


@pytest.mark.parametrize("jac", [True, False])
def test_the_ends_are_where_the_profile_has_risen(jac):
    objective = decay if jac else lambda a, k, c: decay(a, k, c)[0]
    study = fitted(objective=objective, jac=jac)
    before = study.num_evaluations
    with ThreadPoolExecutor(3) as executor:
        (row,) = study.profile(objective, names=["k"], level=0.9, executor=executor)
    spread = study.uncertainty()
    rise = 0.5 * (spread.sigma * stats.t.ppf(0.95, 22)) ** 2

    def risen(k):
        made = least_squares(
            lambda z: z[0] * np.exp(-k * T) + z[1] - Y, [2.0, 0.3], xtol=1e-15, ftol=1e-15
        )
        return made.cost - spread.value - rise

    expected = brentq(risen, 0.2, row.value), brentq(risen, row.value, 2.0)
    np.testing.assert_allclose((row.low, row.high), expected, rtol=1e-5)
    assert row.note == ""
    assert row.values[np.searchsorted(row.theta, row.value)] == row.values.min()
    assert study.num_evaluations == before


def test_of_a_linear_model_they_are_those_of_the_covariance():
    x = np.column_stack([np.ones_like(T), T])

    def line(a, b):
        return x @ [a, b] - Y, x

    study = fitted({"a": (-50, 50), "b": (-50, 50)}, line)
    linear = study.uncertainty().intervals(0.95)
    for row in study.profile(line):
        np.testing.assert_allclose((row.low, row.high), linear[row.name], rtol=1e-6)


def test_a_bound_that_comes_first_is_said():
    study = fitted(SPACE | {"k": (0.6, 10)})
    (row,) = study.profile(decay, names=["k"])
    assert row.low == 0.6
    assert row.note == "low: at its bound"
    assert "at its bound" in repr(study.profile(decay, names=["k"]))


def test_an_end_that_fails_has_no_number():
    study = fitted()

    def fails(a, k, c):
        if k > 0.7:
            raise ArithmeticError("no convergence")
        return decay(a, k, c)

    (row,) = study.profile(fails, names=["k"])
    assert math.isfinite(row.low)
    assert math.isnan(row.high)
    assert "no convergence" in row.note


def test_what_has_no_profile_is_refused():
    with pytest.raises(UnknownOptionError, match="'kk'"):
        fitted().profile(decay, names=["kk"])
    with pytest.raises(InputError, match="between 0 and 1"):
        fitted().profile(decay, level=95)
    with pytest.raises(InputError, match="linear"):
        fitted(loss="huber").profile(decay)
    with pytest.raises(InputError, match="driver='least-squares'"):
        optdriver.create_study(SPACE).profile(decay)
