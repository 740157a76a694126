"""Ends on planes of symmetry with limits on outputs: points beside them tell what they are."""

from __future__ import annotations

import numpy as np
import pytest

from optdriver import SQP
from optdriver.constraints import ConstraintSet
from optdriver.errors import InputError
from tests.lbfgsb.test_saddles import SADDLES, bowl, coupled, exchange, flat_ridge, ridge, wells


def ball(square):
    """The row ``|x|^2 - square`` and its gradient."""
    return lambda x: (float(x @ x) - square, 2.0 * x)


def drive(x0, fun, row, *, equal=False, **options):
    """Run to the end, restored before every evaluation; return it and what was asked."""
    count = {"equalities": 1} if equal else {"inequalities": 1}
    opt, asked = SQP(x0, [(-3.5, 3.5)] * len(x0), **count, **options), []
    while not opt.done:
        opt = SQP.from_dict(opt.to_dict())
        asked.append(opt.ask())
        (f, g), (c, slope) = fun(asked[-1]), row(asked[-1])
        opt.tell([f, c], [g, slope])
    return opt, np.array(asked)


@pytest.mark.parametrize("name", SADDLES)
def test_a_saddle_is_left_where_no_limit_is_near(name):
    fun, x0, least = SADDLES[name]
    opt, asked = drive(x0, fun, ball(40.0))
    assert opt.converged
    assert opt.result.fun == pytest.approx(least, abs=1e-7)
    assert (np.abs(asked) <= 3.5).all()
    before, _ = drive(x0, fun, ball(40.0), rule=2)
    assert before.converged  # falsely
    assert before.result.fun > least + 0.4


@pytest.mark.parametrize(
    ("fun", "x0", "equal", "least"),
    [
        (ridge, [1.0, 0.0], False, -0.75),  # at (0, 1) and (0, -1)
        (wells, np.zeros(5), False, -0.75),
        (ridge, [1.0, 0.0], True, -0.75),  # the Lagrangian is lower beside it
        (flat_ridge, [1.0, 0.0], True, -0.75),
        (ridge, [0.7, 0.0], True, -0.75),
    ],
)
def test_a_saddle_on_a_limit_is_left_along_it(fun, x0, equal, least):
    opt, _ = drive(x0, fun, ball(1.0), equal=equal)
    assert opt.converged
    assert opt.result.fun == pytest.approx(least, abs=1e-7)
    assert opt.violation <= 1e-8
    before, _ = drive(x0, fun, ball(1.0), equal=equal, rule=2)
    assert before.converged
    assert before.result.fun > least + 0.4


def test_formulas_hold_beside_an_end():
    known = ConstraintSet(["x1 + x2 >= -0.25"], ["x1", "x2"], [(-3.5, 3.5)] * 2)
    opt, asked = drive([1.0, 0.0], ridge, ball(40.0), constraints=known)
    assert opt.result.fun == pytest.approx(-1.0, abs=1e-7)
    assert (asked.sum(axis=1) >= -0.25).all()


@pytest.mark.parametrize(("x0", "cost"), [([1.0, 0.0], 1), ([0.0, 0.0], 2)])
def test_what_is_no_saddle_costs_an_evaluation_for_each_that_has_stayed(x0, cost):
    fun = bowl
    opt, _ = drive(x0, fun, ball(40.0))
    before, _ = drive(x0, fun, ball(40.0), rule=2)
    assert opt.nfev == before.nfev + cost
    assert opt.stop == before.stop
    assert np.array_equal(opt.result.x, before.result.x)


def test_a_point_that_violates_a_limit_says_nothing():
    """f falls across the limit alone: beside the end every lower point is outside."""

    def fun(x):
        return x[0] ** 2 - 1e-3 * x[1] ** 2, np.array([2.0 * x[0], -2e-3 * x[1]])

    def narrow(x):
        return x[1] ** 2 - 1e-18, np.array([0.0, 2.0 * x[1]])

    opt, _ = drive([1.0, 0.0], fun, narrow)
    assert opt.converged
    assert opt.result.x[1] == 0.0


def beside():
    opt = SQP([1.0, 0.0], [(-3.5, 3.5)] * 2, inequalities=1)
    while not opt.beside:
        x = opt.ask()
        (f, g), (c, slope) = exchange(x) if x[1] else ridge(x), ball(40.0)(x)
        opt.tell([f, c], [g, slope])
    return opt


def test_where_nothing_can_be_evaluated_beside_it_the_end_stands():
    opt = beside()
    assert opt.beside == 1
    opt.tell_failure("a crash")
    assert opt.converged
    assert np.array_equal(opt.result.x, [0.0, 0.0])


@pytest.mark.parametrize("fields", [{"looked": 0}, {"ending": "stalled"}, {"began": None}])
def test_a_state_beside_an_end_that_contradicts_itself_is_refused(fields):
    data = beside().to_dict()
    data["aside"] |= fields
    with pytest.raises(InputError):
        SQP.from_dict(data)


def test_states_of_before_ask_nothing_beside_an_end():
    data = SQP([1.0, 0.0], inequalities=1).to_dict()
    del data["aside"]
    data["options"]["rule"] = 2
    opt = SQP.from_dict(data)
    while not opt.done:
        (f, g), (c, slope) = ridge(opt.ask()), ball(40.0)(opt.ask())
        opt.tell([f, c], [g, slope])
    assert np.array_equal(opt.result.x, [0.0, 0.0])


def test_variables_that_are_coupled_hide_no_saddle():
    fun, x0 = coupled(3, 5), [2.0] + [0.0] * 5
    opt, _ = drive(x0, fun, ball(40.0))
    assert opt.converged
    assert opt.result.fun == pytest.approx(-0.25, abs=1e-7)
    before, _ = drive(x0, fun, ball(40.0), rule=3)
    assert before.converged
    assert before.result.fun > -1e-3
