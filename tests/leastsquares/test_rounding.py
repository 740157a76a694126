"""Residuals that are printed with few digits: what shows it, and where runs end."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
from scipy.stats import qmc

from benchmarks.nist import SETS
from benchmarks.nist import digits as digits_of
from optdriver import LeastSquares
from optdriver.leastsquares.rounding import level

T = np.linspace(0.1, 4.0, 30)
TRUE = np.array([2.0, 0.8, 0.5])
ERRORS = 0.02 * np.random.default_rng(5).standard_normal(T.size)


def printed(values, digits):
    return np.array([float(f"{each:.{digits}g}") for each in values.ravel()]).reshape(values.shape)


def model(x):
    return x[0] * np.exp(-x[1] * T) + x[2]


def jacobian(x):
    decay = np.exp(-x[1] * T)
    return np.stack([decay, -x[0] * T * decay, np.ones_like(T)], axis=1)


def run(digits, errors, **options):
    """Return a fit of what a program prints with so many digits."""
    data = model(TRUE) + errors
    opt = LeastSquares([1.0, 3.0, 2.0], [(0.0, 20.0)] * 3, maxfun=300, **options)
    while not opt.done:
        x = opt.ask()
        opt.tell(printed(model(x), digits) - data, printed(jacobian(x), digits))
    return opt, data


def least(data):
    """Return the least exact value, by iterations of Gauss and Newton from where data are made."""
    x = TRUE
    for _ in range(30):
        r, j = model(x) - data, jacobian(x)
        x = x - np.linalg.solve(j.T @ j, j.T @ r)
    return float(np.sum((model(x) - data) ** 2) / 2)


def allowed(digits, data):
    """Return four standard deviations of a value by roundings that are independent."""
    spread = 10.0 ** (np.floor(np.log10(np.abs(data))) - digits + 1) / np.sqrt(12.0)
    r = model(TRUE) - data
    return 4.0 * np.sqrt(np.sum((r * spread) ** 2) + np.sum(spread**2) ** 2 / r.size)


@pytest.mark.parametrize("errors", [0.0 * ERRORS, ERRORS], ids=["exact", "errors"])
@pytest.mark.parametrize("digits", [3, 4, 6, 8])
def test_a_fit_of_printed_values_ends_with_success_where_their_digits_allow(digits, errors):
    opt, data = run(digits, errors)
    assert opt.result.success
    assert opt.nfev <= 20
    above = float(np.sum((model(opt.result.x) - data) ** 2) / 2) - least(data)
    assert above <= allowed(digits, data)
    before, _ = run(digits, errors, rounded=False)  # as 0.12.0 has it
    assert before.nfev > opt.nfev


def test_exact_residuals_are_asked_at_the_same_points_as_before():
    asked = []
    for rounded in (True, False):
        opt = LeastSquares([1.0, 3.0, 2.0], [(0.0, 20.0)] * 3, rounded=rounded)
        points = []
        while not opt.done:
            points.append(opt.ask())
            opt.tell(model(points[-1]) - model(TRUE) - ERRORS, jacobian(points[-1]))
        assert opt.noise == 0.0
        assert opt.result.success
        asked.append(np.array(points))
    np.testing.assert_array_equal(*asked)


def test_a_run_goes_on_the_same_after_every_tell():
    data = model(TRUE) + ERRORS
    opt = LeastSquares([1.0, 3.0, 2.0], [(0.0, 20.0)] * 3)
    while not opt.done:
        by_json = LeastSquares.from_dict(
            json.loads(json.dumps(opt.to_dict(), default=np.ndarray.tolist))
        )
        for other in (by_json, pickle.loads(pickle.dumps(opt)), opt.copy()):
            x = opt.ask()
            other.tell(printed(model(x), 4) - data, jacobian(x))
        told = printed(model(x), 4) - data
        opt.tell(told, jacobian(x))
        assert by_json.noise == opt.noise
        assert by_json.stop == opt.stop
        if not opt.done:
            np.testing.assert_array_equal(by_json.ask(), opt.ask())
    assert opt.noise > 0.0


def test_what_an_earlier_version_has_written_learns_nothing():
    data = LeastSquares([1.0, 3.0, 2.0]).to_dict()
    del data["options"]["rounded"], data["noise"], data["rounds"]
    opt = LeastSquares.from_dict(data)
    opt.allow_for_rounding(1.0)
    assert opt.noise == 0.0


@pytest.mark.parametrize("times", [0.05, 0.5, 5.0])
def test_the_level_of_rounding_is_that_of_the_last_digit(times):
    rng = np.random.default_rng(3)
    digit, m = 1e-3, 400
    before = rng.uniform(-1.0, 1.0, m)
    foreseen = times * digit * rng.uniform(-1.0, 1.0, m)
    change = digit * (np.round((before + foreseen) / digit) - np.round(before / digit))
    found = level(change, foreseen, np.ones(m))
    if times > 1.0:  # too few have stayed
        assert found == 0.0
    else:
        assert 0.5 < found * np.sqrt(12.0) / digit < 2.0


def test_residuals_that_change_as_foreseen_have_no_level():
    foreseen = np.array([1e-3, -2e-3, 0.0, 0.0])
    assert level(foreseen, foreseen, np.ones(4)) == 0.0
    assert level(np.zeros(4), np.full(4, 1e-14), np.ones(4)) == 0.0  # nothing was to be seen


def test_the_tail_of_a_peak_that_lies_far_off_is_not_rounded():
    data = SETS["Eckerle4"]
    low, high = data.box.T
    start = low + (high - low) * qmc.Sobol(low.size, seed=0).random(16)[9]
    opt = LeastSquares(start, data.box)
    while not opt.done:
        x = opt.ask()
        opt.tell(data.residuals(x), data.jacobian(x))
    assert opt.noise == 0.0
    assert digits_of(opt.result.x, data.b) > 9.0
