"""Ends of SciPy's methods on planes of symmetry: a point beside them, and a further leg."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from optdriver.coroutine import CallbackMinimizer
from optdriver.errors import InputError
from tests.lbfgsb.test_saddles import SADDLES, bowl, coupled, ridge

BOUNDED = ("SLSQP", "TNC", "trust-constr")
METHODS = (*BOUNDED, "BFGS", "CG", "Newton-CG")


def drive(method, x0, fun, *, restored=False, **options):
    bounds = [(-3.5, 3.5)] * len(x0) if method in BOUNDED else None
    opt = CallbackMinimizer(method, x0, bounds, **{"cautious": True, **options})
    asked = []
    while not opt.done:
        opt = pickle.loads(pickle.dumps(opt)) if restored else opt
        asked.append(opt.ask())
        f, g = fun(asked[-1])
        opt.tell(f, g if "g" in opt.needs else None)
    return opt, np.array(asked)


@pytest.mark.parametrize("name", SADDLES)
@pytest.mark.parametrize("method", METHODS)
def test_a_saddle_to_which_symmetry_led_a_method_is_left(method, name):
    fun, x0, least = SADDLES[name]
    opt, asked = drive(method, x0, fun)
    assert opt.converged or method == "CG"  # SciPy's may lose its precision on the way down
    assert opt.result.fun == pytest.approx(least, abs=1e-5)
    assert method not in BOUNDED or (np.abs(asked) <= 3.5).all()
    before, _ = drive(method, x0, fun, beside=False)
    assert before.converged  # falsely
    assert before.result.fun > least + 0.4


@pytest.mark.parametrize(
    ("method", "constraint", "least"),
    [
        ("SLSQP", "x1^2 + x2^2 <= 9", -1.0),
        ("SLSQP", "x1^2 + x2^2 <= 1", -0.75),
        ("SLSQP", "x1^2 + x2^2 == 1", -0.75),
        ("trust-constr", "x1^2 + x2^2 <= 9", -1.0),
    ],
)
def test_under_constraints_the_point_beside_it_is_feasible(method, constraint, least):
    opt, _ = drive(method, [1.0, 0.0], ridge, constraints=constraint)
    assert opt.converged
    assert opt.result.fun == pytest.approx(least, abs=1e-5)
    assert opt.feasible
    before, _ = drive(method, [1.0, 0.0], ridge, constraints=constraint, beside=False)
    assert before.converged
    assert before.result.fun > least + 0.4


@pytest.mark.parametrize("method", ["SLSQP", "BFGS"])
def test_restored_at_each_point_it_goes_the_same_way(method):
    plain, asked = drive(method, [1.0, 0.0], ridge)
    twin, again = drive(method, [1.0, 0.0], ridge, restored=True)
    assert np.array_equal(asked, again)
    assert twin.result.fun == plain.result.fun


@pytest.mark.parametrize("method", METHODS)
def test_what_is_no_saddle_costs_one_evaluation(method):
    opt, _ = drive(method, [1.0, 0.0], bowl)
    before, _ = drive(method, [1.0, 0.0], bowl, beside=False)
    assert opt.nfev == before.nfev + 1
    assert np.array_equal(opt.result.x, before.result.x)
    assert opt.result.message == before.result.message
    assert opt.result.status == before.result.status


@pytest.mark.parametrize("method", ["Nelder-Mead", "Powell"])
def test_methods_that_move_every_variable_see_for_themselves(method):
    opt = CallbackMinimizer(method, [1.0, 0.0], cautious=True)
    while not opt.done:
        assert opt.beside == 0
        opt.tell(ridge(opt.ask())[0])
    assert opt.converged
    assert opt.result.fun == pytest.approx(-1.0, abs=1e-6)


def beside(**options):
    opt = CallbackMinimizer("SLSQP", [1.0, 0.0], [(-3.5, 3.5)] * 2, cautious=True, **options)
    while not opt.beside:
        opt.tell(*ridge(opt.ask()))
    return opt


def test_where_nothing_can_be_evaluated_beside_it_the_end_stands():
    opt = beside()
    assert opt.beside == 1
    opt.tell_failure("a crash")
    assert opt.converged
    assert opt.beside == 0
    assert np.array_equal(opt.result.x, [0.0, 0.0])


def test_a_value_that_is_no_lower_leaves_the_end():
    opt = beside()
    opt.tell(1.0, np.zeros(2))
    assert opt.converged
    assert np.array_equal(opt.result.x, [0.0, 0.0])


@pytest.mark.parametrize("more", [0, 1, 2])
def test_a_limit_holds_beside_an_end(more):
    count = beside().nfev + more
    opt, _ = drive("SLSQP", [1.0, 0.0], ridge, maxfun=count)
    assert opt.nfev <= count
    assert opt.converged == (more == 0)  # then nothing was seen of what is beside it


@pytest.mark.parametrize("fields", [{"looked": 0}, {"ending": "abnormal"}, {"began": None}])
def test_a_state_beside_an_end_that_contradicts_itself_is_refused(fields):
    data = beside().to_dict()
    data["aside"] |= fields
    with pytest.raises(InputError):
        CallbackMinimizer.from_dict(data)


@pytest.mark.parametrize("method", ["SLSQP", "TNC", "COBYQA", "Powell", "Nelder-Mead"])
@pytest.mark.parametrize("count", [0, 3])
def test_a_leg_from_beside_an_end_begins_at_a_point_that_is_known(method, count):
    opt = CallbackMinimizer(method, [1.0, 0.0], [(-3.5, 3.5)] * 2, cautious=True)
    for _ in range(count):
        opt.tell(*ridge(opt.ask()))
    data = opt.to_dict()
    data["aside"]["left"] = 1
    with pytest.raises(InputError, match="not from a point that was evaluated"):
        CallbackMinimizer.from_dict(data)


def test_states_of_before_ask_nothing_beside_an_end():
    data = CallbackMinimizer("SLSQP", [1.0, 0.0], [(-3.5, 3.5)] * 2, cautious=True).to_dict()
    for name in ("aside", "said", "said_status"):
        del data[name]
    opt = CallbackMinimizer.from_dict({**data, "version": 4})
    while not opt.done:
        opt.tell(*ridge(opt.ask()))
    assert opt.result.fun == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("method", ["SLSQP", "TNC", "BFGS"])
def test_variables_that_are_coupled_hide_no_saddle(method):
    fun, x0 = coupled(3, 5), [2.0] + [0.0] * 5
    opt, _ = drive(method, x0, fun, restored=True)
    assert opt.converged
    assert opt.result.fun == pytest.approx(-0.25, abs=1e-6)
    before, _ = drive(method, x0, fun, beside=1)
    assert before.converged
    assert before.result.fun > -1e-3
