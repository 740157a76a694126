"""Ends on planes of symmetry under constraints: feasible points beside them tell what they are."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from optdriver.errors import InputError
from optdriver.feasible import FeasibleMinimizer
from optdriver.feasible.state import Phase
from tests.lbfgsb.test_saddles import (
    bowl,
    coupled,
    exchange,
    flat_ridge,
    forward,
    ridge,
    short_way,
    steep,
    wells,
)


def drive(x0, constraints, fun, bounds=None, **options):
    """Run to the end, restored before every evaluation; return it and what was asked."""
    opt, asked = FeasibleMinimizer(x0, constraints, bounds, **options), []
    while not opt.done:
        opt = FeasibleMinimizer.from_dict(opt.to_dict())
        asked.append(opt.ask())
        opt.tell(*fun(asked[-1]))
    return opt, np.array(asked)


def in_ball(square, n=2):
    return lambda points: np.sum(points[:, :n] ** 2, axis=1) <= square


def on_circle(points):
    return np.abs(np.sum(points**2, axis=1) - 1.0) <= 1e-9


def below_hyperbola(points):
    return points[:, 0] * points[:, 1] <= 20.0


def on_line(points):
    return np.abs(points.sum(axis=1) - 6.0) <= 1e-9


def one_variable(x):
    return x[0] ** 2, np.array([2 * x[0], 0.0])


@pytest.mark.parametrize(
    ("fun", "x0", "constraint", "kept", "least"),
    [
        (ridge, [1.0, 0.0], "x1^2 + x2^2 <= 9", in_ball(9.0), -1.0),
        (ridge, [1.0, 0.0], "x1^2 + x2^2 <= 1", in_ball(1.0), -0.75),  # at (0, +-1)
        (ridge, [1.0, 0.0], "x1^2 + x2^2 == 1", on_circle, -0.75),
        (flat_ridge, [1.0, 0.0], "x1^2 + x2^2 <= 9", in_ball(9.0), -64 / 27),
        (exchange, [3.0, 3.0], "x1*x2 <= 20", below_hyperbola, -1.0),
        (exchange, [3.0, 3.0], "x1 + x2 == 6", on_line, 15.0),  # 4^2 - 1
        (wells, np.zeros(5), "x1^2 + x2^2 + x3^2 <= 1", in_ball(1.0, 3), -1.0),
    ],
)
def test_a_saddle_under_constraints_is_left_within_them(fun, x0, constraint, kept, least):
    opt, asked = drive(x0, constraint, fun)
    assert opt.converged
    assert opt.result.fun == pytest.approx(least, abs=1e-7)
    assert kept(asked).all()
    before, _ = drive(x0, constraint, fun, beside=False)
    assert before.converged  # falsely
    assert before.result.fun > least + 0.2


@pytest.mark.parametrize(("fun", "x0"), [(bowl, [1.0, 0.0]), (one_variable, [1.0, 0.5])])
def test_what_is_no_saddle_costs_one_evaluation(fun, x0):
    opt, _ = drive(x0, "x1^2 + x2^2 <= 9", fun)
    before, _ = drive(x0, "x1^2 + x2^2 <= 9", fun, beside=False)
    assert opt.nfev == before.nfev + 1
    assert opt.stop == before.stop
    assert np.array_equal(opt.result.x, before.result.x)


def test_nothing_is_asked_where_constraints_leave_no_point_beside():
    opt, asked = drive([1.0, 0.0], ["x1^2 + x2^2 <= 9", "x2^2 <= 0"], ridge)
    assert opt.converged
    assert not asked[:, 1].any()


def pending_beside():
    opt = FeasibleMinimizer([1.0, 0.0], "x1^2 + x2^2 <= 9")
    while opt._state.phase is not Phase.BESIDE:
        opt.tell(*ridge(opt.ask()))
    return opt


def test_where_nothing_can_be_evaluated_beside_it_the_end_stands():
    opt = pending_beside()
    assert opt.beside == 1
    opt.tell_failure("a crash")
    assert opt.converged
    assert opt.result.fun == 0.0


@pytest.mark.parametrize(
    "fields",
    [{"ending": ""}, {"ending": "stalled"}, {"end": []}, {"looked": -1}, {"left": 11}],
)
def test_a_state_beside_an_end_that_contradicts_itself_is_refused(fields):
    data = pending_beside().to_dict()
    data["state"] |= fields
    with pytest.raises(InputError):
        FeasibleMinimizer.from_dict(data)


def test_states_of_before_ask_nothing_beside_an_end():
    data = FeasibleMinimizer([1.0, 0.0], "x1^2 + x2^2 <= 9").to_dict()
    for name in ("began", "end", "ending", "looked", "left"):
        del data["state"][name]
    opt = FeasibleMinimizer.from_dict(data)
    while not opt.done:
        opt.tell(*ridge(opt.ask()))
    assert opt.result.fun == 0.0


@pytest.mark.parametrize("size", [40.0, 3e5])
@pytest.mark.parametrize("start", [-0.9, 1.7])
def test_errors_of_differences_hide_no_saddle_of_the_value_0(size, start):
    fun = forward(steep(size, 0.4))
    box = [(-3.0, 3.0)] * 2
    opt, asked = drive([start, 0.0], "x1^2 + x2^2 <= 9", fun, box)
    assert opt.converged
    assert opt.result.fun == pytest.approx(-1.125 * size, rel=1e-6)
    assert in_ball(9.0)(asked).all()


def test_they_did_before():
    fun = forward(steep(40.0, 0.4))
    opt, _ = drive([1.7, 0.0], "x1^2 + x2^2 <= 9", fun, [(-3.0, 3.0)] * 2, rule=5)
    assert opt.converged
    assert opt.result.fun > -1e-6


def followed(**options):
    """Return a run that has found a point beside an end to be lower, and asks one farther out."""
    opt = FeasibleMinimizer([0.31, 0.0], "x1^2 + x2^2 <= 9", **options)
    while opt._state.looked <= 2:
        opt.tell(*short_way(opt.ask()))
    assert opt.beside
    return FeasibleMinimizer.from_dict(opt.to_dict())


@pytest.mark.parametrize("farther", ["evaluated", "crashed", "higher"])
def test_what_falls_by_next_to_nothing_is_followed_farther(farther):
    opt = followed()
    if farther == "crashed":
        opt.tell_failure("a crash")
    elif farther == "higher":
        opt.tell(70.0, np.array([0.0, 1e3]))
    while not opt.done:
        opt.tell(*short_way(opt.ask()))
    assert opt.converged
    assert opt.result.fun == pytest.approx(48.0, abs=1e-6)


def test_a_limit_while_f_falls_beside_an_end_is_no_success():
    count = followed().nfev
    opt, _ = drive([0.31, 0.0], "x1^2 + x2^2 <= 9", short_way, maxfun=count)
    assert not opt.converged
    assert opt.nfev == count


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("k", [2, 4])
def test_variables_that_are_coupled_hide_no_saddle(k, seed):
    fun, x0 = coupled(seed, k), np.append(2.0, np.zeros(k))
    opt, turned = FeasibleMinimizer(x0, "x1^2 + x2^2 + x3^2 <= 11", [(-3.0, 3.0)] * (k + 1)), 0
    while not opt.done:
        opt = pickle.loads(pickle.dumps(FeasibleMinimizer.from_dict(opt.to_dict())))
        turned += opt.beside == k
        opt.tell(*fun(opt.ask()))
    assert turned
    assert opt.converged
    assert opt.result.fun == pytest.approx(-0.25, abs=1e-7)


def test_and_did_before():
    fun = coupled(3, 5)
    ends = [
        drive([2.0] + [0.0] * 5, "x1^2 + x2^2 <= 11", fun, [(-3.0, 3.0)] * 6, rule=rule)[0]
        for rule in (7, 8)
    ]
    assert all(opt.converged for opt in ends)
    assert ends[0].result.fun > -1e-3
    assert ends[1].result.fun == pytest.approx(-0.25, abs=1e-7)
