"""Fits that symmetry has led to a saddle: a point beside the end tells."""

from __future__ import annotations

import numpy as np
import pytest

from optdriver import LeastSquares
from optdriver.errors import InputError
from optdriver.feasible import FeasibleMinimizer

T = np.linspace(0.0, 4.0, 40)
TWO = np.exp(-((T - 1.0) ** 2)) + np.exp(-((T - 3.0) ** 2))
CURVED = 1.0 + 2.0 * T + 1.5 * T**2


def peaks(x):
    """Two peaks of which the data have one at 1 and one at 3."""
    a, m, b, k = x
    e, h = np.exp(-((T - m) ** 2)), np.exp(-((T - k) ** 2))
    slopes = [e, 2.0 * a * (T - m) * e, h, 2.0 * b * (T - k) * h]
    return a * e + b * h - TWO, np.column_stack(slopes)


def even(x):
    """A parabola whose curvature is a square, of data with one of 1.5."""
    a, b, c = x
    return a + b * T + c * c * T**2 - CURVED, np.column_stack([np.ones(40), T, 2.0 * c * T**2])


def line(x):
    """A line through data of a line: a parameter has no effect."""
    return x[0] + x[1] * T - 2.0 - np.sin(9.0 * T), np.column_stack([np.ones(40), T, np.zeros(40)])


SADDLES = [(peaks, [1.0, 2.0, 1.0, 2.0]), (even, [0.0, 0.0, 0.0]), (even, [1.0, 0.5, 0.0])]


def drive(opt, fun):
    asked = []
    while not opt.done:
        opt = type(opt).from_dict(opt.to_dict())
        asked.append(opt.ask())
        opt.tell(*fun(asked[-1]))
    return opt, np.array(asked)


@pytest.mark.parametrize("box", [None, 5.0])
@pytest.mark.parametrize(("fun", "x0"), SADDLES)
def test_a_saddle_to_which_symmetry_led_a_fit_is_left(fun, x0, box):
    bounds = None if box is None else [(-box, box)] * len(x0)
    opt, asked = drive(LeastSquares(x0, bounds), fun)
    assert opt.converged
    assert opt.result.fun < 1e-20  # the data are exact
    assert box is None or (np.abs(asked) <= box).all()
    before, _ = drive(LeastSquares(x0, bounds, beside=False), fun)
    assert before.converged  # falsely
    assert before.result.fun > 1.0


@pytest.mark.parametrize("loss", ["soft_l1", "huber", "cauchy"])
def test_with_a_robust_loss_too(loss):
    opt, _ = drive(LeastSquares([0.0, 0.0, 0.0], loss=loss), even)
    assert opt.converged
    assert opt.result.fun < 1e-18


@pytest.mark.parametrize("x0", [[0.0, 0.0, 0.0], [1.0, 0.5, 0.0]])
def test_and_under_constraints_by_feasible_points(x0):
    held = "x1 + 3*x2 <= 20"
    opt, asked = drive(FeasibleMinimizer(x0, held, residuals=True), even)
    assert opt.converged
    assert opt.result.fun < 1e-20
    assert (asked[:, 0] + 3.0 * asked[:, 1] <= 20.0).all()
    before, _ = drive(FeasibleMinimizer(x0, held, residuals=True, rule=6), even)
    assert before.converged
    assert before.result.fun > 1.0


def test_what_is_no_saddle_costs_one_evaluation():
    (opt, _), (before, _) = (
        drive(LeastSquares([0.0, 0.0, 0.5], beside=b), line) for b in (True, False)
    )
    assert opt.nfev == before.nfev + 1
    assert np.array_equal(opt.result.x, before.result.x)
    assert opt.stop == before.stop


def test_an_exact_fit_costs_nothing():
    def exact(x):
        return np.append(x[:2] - 3.0, 0.0), np.vstack([np.eye(3)[:2], np.zeros(3)])

    (opt, _), (before, _) = (
        drive(LeastSquares([0.0, 0.0, 0.0], beside=b), exact) for b in (True, False)
    )
    assert opt.nfev == before.nfev


def beside(**options):
    opt = LeastSquares([0.0, 0.0, 0.0], **options)
    while not opt.beside:
        opt.tell(*even(opt.ask()))
    return opt


def test_where_nothing_can_be_evaluated_beside_it_the_end_stands():
    opt = beside()
    assert opt.beside == 1
    opt.tell_failure("a crash")
    assert opt.converged
    assert opt.beside == 0
    assert opt.result.x[2] == 0.0


@pytest.mark.parametrize("limit", ["maxfun", "maxiter"])
def test_limits_hold_beside_an_end(limit):
    known = beside()
    count = known.nfev if limit == "maxfun" else known.nit
    opt, _ = drive(LeastSquares([0.0, 0.0, 0.0], **{limit: count}), even)
    assert opt.nfev <= known.nfev
    one_more, _ = drive(LeastSquares([0.0, 0.0, 0.0], maxfun=known.nfev + 1), even)
    assert one_more.nfev == known.nfev + 1
    assert not one_more.converged  # it was found to fall on


def test_ends_are_left_ten_times_at_most():
    opt = LeastSquares([0.0, 0.0, 0.0])
    opt.tell(*even(opt.ask()))
    data = opt.to_dict()
    data["aside"]["left"] = 10
    opt, _ = drive(LeastSquares.from_dict(data), even)
    assert opt.converged
    assert opt.result.x[2] == 0.0


@pytest.mark.parametrize(
    "fields", [{"looked": 0}, {"ending": "stalled"}, {"ending": ""}, {"began": None}, {"left": 11}]
)
def test_a_state_beside_an_end_that_contradicts_itself_is_refused(fields):
    data = beside().to_dict()
    data["aside"] |= fields
    with pytest.raises(InputError):
        LeastSquares.from_dict(data)


def test_states_of_before_ask_nothing_beside_an_end():
    data = LeastSquares([0.0, 0.0, 0.0]).to_dict()
    del data["aside"], data["options"]["beside"]
    opt, _ = drive(LeastSquares.from_dict(data), even)
    assert opt.result.x[2] == 0.0


def test_a_product_of_two_that_both_begin_at_0_is_left():
    """The value falls along (1, 1), and rises along (1, -1): 0.08595 at a^2 = b^2 = 0.91."""

    def fun(x):
        a, b = x
        slopes = [[b, a], [0.3, 0.0], [0.0, 0.3]]
        return np.array([a * b - 1.0, 0.3 * a, 0.3 * b]), np.array(slopes)

    opt, _ = drive(LeastSquares([0.0, 0.0]), fun)
    assert opt.converged
    assert np.abs(opt.result.x) == pytest.approx([np.sqrt(0.91)] * 2)
    before, _ = drive(LeastSquares([0.0, 0.0], beside=1), fun)
    assert before.converged
    assert np.array_equal(before.result.x, [0.0, 0.0])


def test_options_of_0_9_0_are_read_as_they_were_meant():
    data = LeastSquares([0.0, 0.0]).to_dict()
    for written, meant in ((True, 1), (False, 0)):
        data["options"]["beside"] = written
        assert LeastSquares.from_dict(data).to_dict()["options"]["beside"] == meant
    for wrong in (3, "yes", -1):
        data["options"]["beside"] = wrong
        with pytest.raises(InputError):
            LeastSquares.from_dict(data)
