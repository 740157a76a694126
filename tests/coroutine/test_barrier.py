"""What a barrier hides is no success: trust-constr claims that a gradient vanishes."""

from __future__ import annotations

import numpy as np
import pytest

from optdriver import CallbackMinimizer, create_study
from tests.contracts.minimizer import equal


def beale(x, y):
    """The least value is 0, at (3, 1/2)."""
    a, b, c = 1.5 - x * (1 - y), 2.25 - x * (1 - y**2), 2.625 - x * (1 - y**3)
    along_x = -2 * (a * (1 - y) + b * (1 - y**2) + c * (1 - y**3))
    return a * a + b * b + c * c, np.array([along_x, 2 * x * (a + 2 * b * y + 3 * c * y**2)])


def edge(x):
    """Hock and Schittkowski 3: the least value is 0, at (0, 0), for y >= 0."""
    d = x[1] - x[0]
    return x[1] + 1e-5 * d * d, np.array([-2e-5 * d, 1.0 + 2e-5 * d])


def bowl(x):
    return float((x - 0.5) @ (x - 0.5)), 2.0 * (x - 0.5)


def driven(fun, x0, box, **given):
    opt = CallbackMinimizer("trust-constr", x0, box, cautious=True, **given)
    asked = []
    while not opt.done:
        asked.append(opt.ask())
        opt.tell(*fun(asked[-1]))
    return opt, np.array(asked)


EDGE = ([10.0, 1.0], [(-np.inf, np.inf), (0.0, np.inf)])


@pytest.mark.parametrize(("rule", "evaluations"), [(11, 19), (12, None)])
def test_a_steep_slope_is_not_excused_by_a_bad_start(rule, evaluations):
    study = create_study(
        {"x": (0, 12), "y": (-3, 9)},
        driver="trust-constr",
        jac=True,
        max_num_minimizers=1,
        seed=3,
        convergence_rule=rule,
    )
    study.run(beale)
    assert study.info()["success"]
    if evaluations is None:
        assert study.best.run == 0
        assert study.best.value < 1e-6
    else:  # falsely, as in 0.11.0
        assert study.best.id == evaluations - 1
        assert np.max(np.abs(beale(*study.best.x)[1])) > 100.0


def test_a_barrier_keeps_no_end_off_its_bound():
    opt, asked = driven(edge, *EDGE)
    assert opt.converged
    assert opt.result.fun < 1e-6
    assert np.all(asked[:, 1] >= 0.0)
    before, of_before = driven(edge, *EDGE, doubt_rule=2)
    assert before.result.fun > 1e-4
    assert equal(asked[: len(of_before)], of_before)


def test_it_goes_on_the_same_wherever_it_was_kept():
    whole, _ = driven(edge, *EDGE)
    opt = CallbackMinimizer("trust-constr", *EDGE, cautious=True)
    while not opt.done:
        opt = CallbackMinimizer.from_dict(opt.to_dict())
        opt.tell(*edge(opt.ask()))
    assert opt.legs == whole.legs == 2
    assert equal(opt.to_dict()["points"], whole.to_dict()["points"])


@pytest.mark.parametrize("constraints", [None, "x1 + x2 <= 1.5"])
def test_a_corner_that_it_cannot_leave_is_no_success(constraints):
    box = [(0.0, 1.0)] * 2
    opt, _ = driven(bowl, [0.0, 0.0], box, constraints=constraints)
    assert not opt.converged or opt.result.fun < 1e-6
    assert driven(bowl, [0.0, 0.0], box, doubt_rule=2)[0].converged  # at 0.5, as in 0.11.0


def test_a_minimum_in_a_corner_is_one():
    opt, _ = driven(lambda x: (float(x.sum()), np.ones(2)), [0.6, 0.3], [(0.0, 1.0)] * 2)
    assert opt.converged
    assert opt.result.fun < 1e-5


def test_other_methods_are_judged_as_before():
    for method in ("SLSQP", "TNC"):
        ends = []
        for rule in (2, 3):
            opt = CallbackMinimizer(
                method, [1.4, 8.2], [(0, 12), (-3, 9)], cautious=True, doubt_rule=rule
            )
            while not opt.done:
                opt.tell(*beale(*opt.ask()))
            ends.append(opt)
        assert ends[0].result.message == ends[1].result.message
        assert equal(ends[0].to_dict()["points"], ends[1].to_dict()["points"])
