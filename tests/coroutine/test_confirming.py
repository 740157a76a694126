"""A success of Powell's method and of COBYLA is confirmed by a leg of COBYQA."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import optdriver
from benchmarks.curved import Valley
from optdriver.coroutine import CallbackMinimizer
from optdriver.errors import InputError
from tests.contracts.minimizer import equal

# -- narrow valleys, by the derivatives of which SciPy's SLSQP says how high an end lies ----------


def drive(opt, fun):
    asked = []
    while not opt.done:
        asked.append(opt.ask())
        opt.tell(fun(asked[-1]))
    return opt, np.array(asked)


def made(method, place, seed, **options):
    task = Valley(seed, place)
    options |= {"ftol": 2.2e-9} if method == "Powell" else {}
    opt = CallbackMinimizer(
        method, task.start, task.box, constraints=task.text, cautious=True, **options
    )
    return task, opt


@pytest.mark.parametrize(
    ("method", "place", "seed"),
    [("Powell", "disc", 0), ("COBYLA", "disc", 0), ("COBYLA", "box", 1)],
)
def test_an_end_on_the_floor_of_a_valley_is_no_success(method, place, seed):
    task, opt = made(method, place, seed)
    opt, asked = drive(opt, task.value)
    assert opt.converged
    assert "COBYQA" in opt.result.message
    assert task.above(opt.best[0]) < 1e-4
    assert (np.abs(asked) <= 2.0).all()
    if method == "Powell":
        assert all(opt.constraints.is_feasible(x) for x in asked)
    before, of_before = drive(made(method, place, seed, doubt_rule=1)[1], task.value)
    assert before.converged  # falsely, as in 0.10.0
    assert task.above(before.best[0]) > 5e-3
    assert equal(of_before[:30], asked[:30])


@pytest.mark.parametrize("method", ["Powell", "COBYLA"])
def test_it_goes_on_the_same_from_a_confirming_leg(method):
    task, opt = made(method, "disc", 0)
    again = None
    while not opt.done:
        x = opt.ask()
        assert again is None or equal(again.ask(), x)
        opt.tell(task.value(x))
        if again is not None:
            again.tell(task.value(x))
        elif opt.legs == 2 and opt.nfev % 7 == 0:  # of both methods the last one before success
            again = pickle.loads(pickle.dumps(opt))
    assert again.converged
    assert again.best[1] == opt.best[1]


def test_a_state_of_0_10_0_keeps_its_rule():
    task, opt = made("COBYLA", "box", 1)
    data = opt.to_dict() | {"version": 5}
    del data["doubt_rule"]
    kept, asked = drive(CallbackMinimizer.from_dict(data), task.value)
    before, of_before = drive(made("COBYLA", "box", 1, doubt_rule=1)[1], task.value)
    assert equal(asked, of_before)
    assert kept.result.message == before.result.message
    with pytest.raises(InputError, match="doubt_rule is 5"):
        made("COBYLA", "box", 1, doubt_rule=5)
    with pytest.raises(InputError, match="doubt_rule"):
        CallbackMinimizer.from_dict(opt.to_dict() | {"doubt_rule": 7})


@pytest.mark.parametrize(("rule", "right"), [(10, False), (11, True)])
def test_a_multi_start_claims_it_by_its_rule(rule, right):
    task = Valley(0, "disc")
    driver = optdriver.MultiStart(
        task.box,
        method="Powell",
        jac=False,
        constraints=task.text,
        initial_samples=[task.start],
        max_num_minimizers=1,
        convergence_rule=rule,
    )
    while not driver.done:
        for point in driver.ask(1):
            driver.tell(point.id, task.value(point.x))
    run = driver.runs[0]
    assert run.state == "converged"
    assert (task.above(np.array(run.x)) < 1e-6) is right


# -- odd boxes, rows and values -------------------------------------------------------------------


@pytest.mark.parametrize("method", ["Powell", "COBYLA"])
@pytest.mark.parametrize("size", [1e-15, 1e-6, 1e6, 1e100])
def test_no_box_is_too_narrow_or_wide(method, size):
    box = [(-size, 2.0 * size), (0.0, size), (0.5 * size, 0.5 * size)]
    start = np.array([0.3, 0.4, 0.5]) * size
    opt = CallbackMinimizer(method, start, box, cautious=True, maxfun=2000)
    low, high = np.array(box).T

    def fun(x):
        return float(1.0 + (x[0] / size - 0.1) ** 2 + x[1] / size)

    opt, asked = drive(opt, fun)
    assert ((asked >= low) & (asked <= high)).all()
    assert not opt.converged or opt.best[1] < 1.001


def test_cobyqa_that_calls_variables_fixed_has_not_converged():
    box = [(0.0, 1e-15), (0.0, 1e-15)]

    def run(rule):
        opt = CallbackMinimizer("COBYQA", [3e-16, 3e-16], box, cautious=True, doubt_rule=rule)
        return drive(opt, lambda x: float(1.0 + np.sum(x) * 1e15))[0]

    assert not run(2).converged
    assert run(1).converged  # as in 0.10.0


@pytest.mark.parametrize("method", ["Powell", "COBYLA"])
def test_equalities_without_bounds(method):
    """The nearest point of a line to the origin, by hand."""
    opt = CallbackMinimizer(method, [3.0, 3.0], constraints="x1 + 2*x2 == 9", cautious=True)
    opt, asked = drive(opt, lambda x: float(x @ x))
    assert opt.converged
    assert opt.best[0] == pytest.approx([1.8, 3.6], abs=1e-3)
    if method == "Powell":
        assert all(opt.constraints.is_feasible(x) for x in asked)


@pytest.mark.parametrize("method", ["Powell", "COBYLA"])
def test_failures_in_a_confirming_leg_are_overcome(method):
    task, opt = made(method, "disc", 0)
    failed = 0
    while not opt.done:
        x = opt.ask()
        if opt.legs == 2 and failed < 3:
            failed += 1
            opt.tell_failure("crashed")
        else:
            opt.tell(task.value(x))
    assert failed == 3
    assert not opt.converged or task.above(opt.best[0]) < 1e-3


@pytest.mark.parametrize("limits", [{"maxfun": 150}, {"maxfev": 150}, {"maxiter": 6}])
def test_limits_count_all_legs(limits):
    task, opt = made("Powell", "disc", 0, **limits)
    opt, asked = drive(opt, task.value)
    if "maxiter" not in limits:
        assert len(asked) <= 150
    assert not opt.converged or task.above(opt.best[0]) < 1e-3
