"""L-BFGS-B hands over to the feasible minimizer: nothing infeasible, nothing evaluated twice."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import rosen, rosen_der

from optdriver import LBFGSB
from optdriver.constraints import ConstraintSet
from optdriver.errors import InputError, UnknownOptionError
from optdriver.multistart.handover import Handover
from tests.contracts.minimizer import MinimizerContract, objective
from tests.leastsquares.test_contract import Contract as FitContract

SQUARE = [(-2.0, 2.0)] * 2


def made(text, bounds=SQUARE):
    return ConstraintSet(text, [f"x{i + 1}" for i in range(len(bounds))], bounds)


class HandoverContract(MinimizerContract):
    text = ""
    undoes = False  # a multi-start does it

    def make(self, x0, bounds, **options):
        return Handover(x0, made(self.text, bounds), **options)

    def restore(self, data):
        return self.restore_as(Handover, data)

    def restore_as(self, kind, data):
        bounds = np.column_stack([self.lower, self.upper])
        return kind.from_dict(data, made(self.text, bounds))


class TestInactive(HandoverContract):
    """A constraint that is never met: L-BFGS-B to the end."""

    text = "x1^2 + x2^2 + x3^2 <= 1e6"


class TestActive(HandoverContract):
    """A constraint that is active at the minimum."""

    x0 = np.array([0.5, 0.4, 0.2])
    text = "x1^2 + x2^2 + x3^2 <= 1"


class TestOnASurface(HandoverContract):
    """An equality: the feasible minimizer from the beginning."""

    x0 = np.array([0.5, 0.5, 1.0])
    text = "x1 + x2*x3 == 1"


class TestFit(HandoverContract, FitContract):
    """Residuals: least squares, and then a Gauss-Newton model within the constraint."""

    x0 = np.array([0.5, 0.4, 0.2])
    text = "x1^2 + x2^2 + x3^2 <= 1"
    lower, upper = HandoverContract.lower, HandoverContract.upper

    def make(self, x0, bounds, **options):
        return Handover(x0, made(self.text, bounds), fit={}, **options)


def run(opt, function, most=500):
    points = []
    while not opt.done:
        points.append(opt.ask())
        opt.tell(*function(points[-1]))
        assert len(points) <= most
    return np.array(points)


def test_a_constraint_that_is_not_met_changes_no_point():
    opt, plain = Handover([0.3, -0.2], made("x1*x2 <= 3.9")), LBFGSB([0.3, -0.2], SQUARE)
    points = run(opt, lambda x: (rosen(x), rosen_der(x)))
    alone = run(plain, lambda x: (rosen(x), rosen_der(x)))
    assert points[: len(alone)].tobytes() == alone.tobytes()
    assert opt.converged
    assert opt.result.active == ()
    assert opt.result.kkt <= 1e-5


def test_the_end_of_l_bfgs_b_is_judged_by_the_first_order_conditions():
    def slow(x):  # the reduction test passes long before the gradient is small
        return 1e3 + 1e-6 * float(x[0] ** 4 + x[1] ** 2), 1e-6 * np.array([4 * x[0] ** 3, 2 * x[1]])

    plain = LBFGSB([1.0, 1.0], SQUARE, gtol=1e-9)
    run(plain, slow)
    assert np.max(np.abs(plain.result.jac)) > 1e-9
    opt = Handover([1.0, 1.0], made("x1*x2 <= 3.9"), gtol=1e-9, ftol=0.0)
    run(opt, slow)
    assert opt.converged
    assert opt.result.kkt <= 1e-9 * 2**5  # a sixteenth of f, as a power of two
    same = Handover([1.0, 1.0], made("x1*x2 <= 3.9"), gtol=1e-9)  # ftol means what it means without
    run(same, slow)
    assert same.converged
    assert same.nfev < opt.nfev


def test_no_point_is_asked_twice_and_none_is_infeasible():
    constraints = made("x1^2 + x2^2 <= 1.5")
    for x0 in ([-1.2, 0.0], [0.0, 0.0], [0.9, 0.8], [-0.1, -1.2]):
        opt = Handover(x0, constraints)
        points = run(opt, lambda x: (rosen(x), rosen_der(x)))
        assert all(constraints.is_feasible(x) for x in points)
        assert len({x.tobytes() for x in points}) == len(points) == opt.nfev
        assert opt.converged
        np.testing.assert_allclose(opt.result.x, [0.907234, 0.822755], atol=1e-5)
        assert opt.result.active == ("x1^2 + x2^2 <= 1.5",)
        assert opt.result.multipliers["x1^2 + x2^2 <= 1.5"] > 0.0


def test_an_infeasible_start_is_moved():
    opt = Handover([2.0, 0.0], made("x1^2 + x2^2 <= 1"))
    np.testing.assert_allclose(opt.ask(), [1.0, 0.0], atol=1e-8)


def test_failures_are_counted_across_the_handover():
    opt = Handover([0.3, 0.3], made("x1^2 + x2^2 <= 1.5"))
    opt.tell(*objective(opt.ask()))
    for row in range(1, 6):
        opt.tell_failure("crashed")
        assert (opt.failures, opt.nfail, opt.nfev) == (row, row, row + 1)
    opt.tell(*objective(opt.ask()))
    assert (opt.failures, opt.nfail, opt.nfev) == (0, 5, 7)


@pytest.mark.parametrize("iterations", [0, 1, 3])
def test_the_limit_of_iterations_counts_both(iterations):
    opt = Handover([-1.2, 0.0], made("x1^2 + x2^2 <= 1.5"), maxiter=iterations)
    run(opt, lambda x: (rosen(x), rosen_der(x)))
    assert opt.nit == iterations
    assert not opt.converged


def test_options_and_states_are_checked():
    with pytest.raises(UnknownOptionError, match="maxcor"):
        Handover([0.0, 0.0], made("x1 + x2^2 <= 1"), maxkor=3)
    with pytest.raises(InputError, match="not complete"):
        Handover.from_dict({"version": 1}, made("x1 + x2^2 <= 1"))


@pytest.mark.parametrize("rule", [8, 9, 10])
def test_the_feasible_minimizer_keeps_to_the_rule(rule):
    bowl = Handover([0.5, 1.0], made("x1 + x2 == 1"), rule=rule)
    assert bowl.to_dict()["feasible"]["state"]["rule"] == rule
