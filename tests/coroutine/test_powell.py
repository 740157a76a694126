"""Powell's method in curved valleys: an end at which it stands still is no success."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from scipy.optimize import minimize

import optdriver
from optdriver.coroutine import CallbackMinimizer
from tests.contracts.minimizer import equal

BOX = [(-2.0, 2.0)] * 2
START = np.array([0.51, -1.03])
TURN = np.array([[-0.055, -0.999], [-0.999, 0.055]])


def valley(x):
    """Return the value of a narrow valley, curved and turned."""
    y = TURN @ (np.asarray(x) - [0.08, -0.32])
    return 1.0 + 174.0 * (y[1] - 1.3 * y[0] ** 2) ** 2 + np.sum((y - 0.4) ** 2)


def drive(opt, fun=valley, restored=False):
    asked = []
    while not opt.done:
        opt = pickle.loads(pickle.dumps(opt)) if restored else opt
        asked.append(opt.ask())
        opt.tell(fun(asked[-1]))
    return opt, np.array(asked)


def made(**options):
    return CallbackMinimizer("Powell", START, BOX, cautious=True, ftol=2.2e-9, **options)


def lowest_from(x):
    found = minimize(valley, x, method="L-BFGS-B", bounds=BOX, options={"ftol": 1e-15})
    return found.fun


def test_an_end_where_it_stands_still_is_doubted_along_other_directions():
    opt, asked = drive(made())
    assert opt.converged
    assert opt.best[1] == pytest.approx(lowest_from(opt.best[0]), rel=1e-6)
    assert (np.abs(asked) <= 2.0).all()
    before, of_before = drive(made(beside=1, doubt_rule=1))
    assert before.converged  # falsely, as in 0.9.0
    assert before.best[1] > 1.2 * lowest_from(before.best[0])
    first = len(of_before) - 30
    assert equal(asked[:first], of_before[:first])  # but for the second look


def test_it_goes_on_the_same_from_any_point():
    _, asked = drive(made())
    for at in (1, 240, len(asked) - 2):
        opt = made()
        for x in asked[:at]:
            opt.tell(valley(x))
        again, rest = drive(CallbackMinimizer.from_dict(opt.to_dict()))
        assert equal(rest, asked[at:])
        assert again.converged


@pytest.mark.parametrize(("rule", "right"), [(9, False), (10, True), (11, True)])
def test_a_multi_start_claims_it_by_its_rule(rule, right):
    made = optdriver.MultiStart(
        BOX,
        method="Powell",
        jac=False,
        initial_samples=[START],
        max_num_minimizers=1,
        convergence_rule=rule,
    )
    while not made.done:
        for point in made.ask(1):
            made.tell(point.id, valley(point.x))
    run = made.runs[0]
    assert run.state == "converged"
    assert bool(run.f < 1.0001 * lowest_from(run.x)) is right


@pytest.mark.parametrize("size", [1e-15, 1e-6, 1.0, 1e100, 8e307])
def test_any_box_holds_it(size):
    box = [(-size, size), (0.0, size), (0.5 * size, 0.5 * size)]
    start = np.array([0.3, 0.0, 0.5]) * size
    opt = CallbackMinimizer("Powell", start, box, cautious=True, maxfun=2000)
    low, high = np.array(box).T
    opt, asked = drive(opt, lambda x: float((x[0] / size - 0.1) ** 2 + x[1] / size))
    assert ((asked >= low) & (asked <= high)).all()
    assert not opt.converged or opt.best[1] < 1e-4


def test_without_bounds_it_ends_at_the_minimum():
    opt = CallbackMinimizer("Powell", START, cautious=True, ftol=2.2e-9)
    opt, _ = drive(opt)
    assert opt.converged
    assert opt.best[1] == pytest.approx(lowest_from(opt.best[0]), rel=1e-6)


def test_a_leg_along_the_axes_comes_first():
    """Near its best point alone Beale's valley is followed for thousands of evaluations."""

    def beale(x):
        return sum((c - x[0] + x[0] * x[1] ** k) ** 2 for k, c in ((1, 1.5), (2, 2.25), (3, 2.625)))

    opt = CallbackMinimizer("Powell", [1.0, 1.0], [(-4.5, 4.5)] * 2, cautious=True)
    opt, asked = drive(opt, beale)
    assert opt.converged
    assert opt.best[0] == pytest.approx([3.0, 0.5], abs=1e-4)
    assert len(asked) < 600
