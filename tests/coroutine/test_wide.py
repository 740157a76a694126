"""Boxes that are far wider than their variables are large, as a study measures them: by 1."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from optdriver import CallbackMinimizer, create_study
from optdriver.coroutine.scipy_methods import named
from tests.contracts.minimizer import equal

WIDTH = 2.0**24
METHODS = ("SLSQP", "TNC", "trust-constr", "COBYQA", "COBYLA", "Powell", "Nelder-Mead")
END = np.array([3.0, 2.0])


def bowl(u):
    d = u * WIDTH - END
    return float(d[0] ** 2 + 4.0 * d[1] ** 2), np.array([2.0, 8.0]) * d * WIDTH


def bowl_of(a, b):
    return (a - 3.0) ** 2 + (b - 2.0) ** 2, [2.0 * (a - 3.0), 2.0 * (b - 2.0)]


def bent(u):
    """That, times its Hessian with a direction."""
    return np.diag([2.0, 8.0]) * WIDTH**2


def driven(method, start, *, box=((-1.0, 1.0),) * 2, fun=bowl, most=400, **given):
    opt = CallbackMinimizer(method, start, box, cautious=True, maxfun=most, **given)
    told, asked = named(method).gradient, []
    while not opt.done:
        asked.append(opt.ask())
        if opt.wanted != "value":
            h = bent(asked[-1])
            opt.tell_hessian(h if opt.direction is None else h @ opt.direction)
            continue
        f, g = fun(asked[-1])
        opt.tell(f, g if told else None)
    return opt, np.array(asked)


@pytest.mark.parametrize("method", METHODS)
def test_it_is_as_if_the_box_were_not_there(method):
    opt, asked = driven(method, [8.0 / WIDTH, 7.0 / WIDTH])
    assert opt.converged
    assert opt.result.x * WIDTH == pytest.approx(END, abs=1e-3)
    assert np.all(np.abs(asked) <= 1.0)


@pytest.mark.parametrize("method", ["SLSQP", "TNC", "trust-constr"])
@pytest.mark.parametrize("start", [[0.0, 0.0], [0.0, 9.0 / WIDTH]])
def test_slopes_tell_how_large_a_variable_at_zero_is(method, start):
    opt, asked = driven(method, start)
    assert opt.converged
    assert opt.result.x * WIDTH == pytest.approx(END, abs=1e-3)
    assert asked[0].tolist() == start


def test_it_got_nowhere_before():
    opt, asked = driven("SLSQP", [8.0 / WIDTH, 7.0 / WIDTH], doubt_rule=3)
    assert not opt.converged
    assert len(asked) == 1
    opt, _ = driven("COBYQA", [8.0 / WIDTH, 7.0 / WIDTH], doubt_rule=3, initial_tr_radius=0.99)
    assert opt.result.fun > 100.0


@pytest.mark.parametrize("hessian", ["matrix", "product"])
def test_second_derivatives_are_in_the_same_unit(hessian):
    opt, _ = driven("trust-constr", [8.0 / WIDTH, 7.0 / WIDTH], hessian=hessian, most=40)
    assert opt.converged
    assert opt.result.fun <= 1e-9


@pytest.mark.parametrize(
    ("method", "given"),
    [("TNC", {"stepmx": 0.5}), ("COBYQA", {"initial_tr_radius": 0.5}), ("COBYLA", {"rhobeg": 0.1})],
)
def test_lengths_that_are_given_are_kept(method, given):
    start = [8.0 / WIDTH, 7.0 / WIDTH]
    before = driven(method, start, doubt_rule=3, most=30, **given)[1]
    assert equal(driven(method, start, most=30, **given)[1], before)


@pytest.mark.parametrize("method", METHODS)
def test_ordinary_boxes_are_measured_as_before(method):
    def valley(u):
        x, y = 10.0 * u
        a, b = y - x * x, 1.0 - x
        g = np.array([-40.0 * x * a - 2.0 * b, 20.0 * a]) * 10.0
        return float(10.0 * a * a + b * b), g

    for start in ([-0.12, 0.1], [0.0, 0.3], [1e-9, 0.3]):
        if start[0] == 1e-9 and named(method).gradient:
            continue  # a length of 1e-9 there is one that slopes do not confirm
        asked = driven(method, start, fun=valley, most=60)[1]
        assert equal(asked, driven(method, start, fun=valley, most=60, doubt_rule=3)[1])


def test_rows_are_in_the_same_unit():
    row = f"x1 + x2 <= {4.0 / WIDTH!r}"
    opt, _ = driven("SLSQP", [1.0 / WIDTH, 1.0 / WIDTH], constraints=row)
    assert opt.converged
    assert opt.result.x * WIDTH == pytest.approx([2.2, 1.8], abs=1e-4)


@pytest.mark.parametrize("method", ["SLSQP", "TNC", "Powell"])
def test_a_run_that_was_stored_goes_on(method):
    start = [8.0 / WIDTH, 7.0 / WIDTH]
    whole, asked = driven(method, start)
    opt = CallbackMinimizer(method, start, [(-1.0, 1.0)] * 2, cautious=True, maxfun=400)
    again = []
    while not opt.done:
        opt = pickle.loads(pickle.dumps(opt))
        again.append(opt.ask())
        f, g = bowl(again[-1])
        opt.tell(f, g if named(method).gradient else None)
    assert equal(np.array(again), asked)
    assert opt.result.message == whole.result.message


def test_a_start_that_fails_is_one():
    opt = CallbackMinimizer("SLSQP", [0.0, 1e-9], [(-1.0, 1.0)] * 2, cautious=True)
    opt.tell_failure()
    assert opt.ask().tolist() == [0.0, 1e-9]
    opt.tell(*bowl(opt.ask()))
    while not opt.done:
        opt.tell(*bowl(opt.ask()))
    assert opt.converged


@pytest.mark.parametrize("half", [1e6, 1e20])
@pytest.mark.parametrize("method", ["SLSQP", "COBYQA"])
def test_a_study_in_a_huge_box(method, half):
    study = create_study({"a": (-half, half), "b": (0.0, half)}, driver=method)
    told = method == "SLSQP"
    study.set_parameters(jac=told, initial_samples=[[8.0, 7.0]], max_iter=200, max_num_minimizers=1)
    study.run(bowl_of if told else lambda a, b: bowl_of(a, b)[0])
    assert study.info()["success"]
    assert study.best.value <= 1e-8
