"""The feasible minimizer keeps the contract of all minimizers."""

import numpy as np

from optdriver.feasible import FeasibleMinimizer
from tests.contracts.minimizer import MinimizerContract
from tests.leastsquares.test_contract import Contract as FitContract


class TestInsideABall(MinimizerContract):
    """One smooth inequality, active at the minimum."""

    x0 = np.array([0.5, 0.4, 0.2])
    constraints = ("x1^2 + x2^2 + x3^2 <= 1",)

    def make(self, x0, bounds, **options):
        return FeasibleMinimizer(x0, self.constraints, bounds, **options)

    def restore(self, data):
        return FeasibleMinimizer.from_dict(data)


class TestOnASurface(TestInsideABall):
    """An equality: all points are on it."""

    x0 = np.array([0.5, 0.5, 1.0])
    constraints = ("x1 + x2*x3 == 1",)


class TestWithoutRows(TestInsideABall):
    """Bounds only."""

    constraints = ()


class TestFitInsideABall(FitContract):
    """Residuals, with one smooth inequality that is active at the minimum."""

    x0 = np.array([0.5, 0.4, 0.2])
    constraints = ("x1^2 + x2^2 + x3^2 <= 1",)

    def make(self, x0, bounds, **options):
        return FeasibleMinimizer(
            x0, self.constraints, bounds, residuals=True, **self.settings, **options
        )

    def restore(self, data):
        return FeasibleMinimizer.from_dict(data)


class TestFitOnASurface(TestFitInsideABall):
    """The same on an equality."""

    x0 = np.array([0.5, 0.5, 1.0])
    constraints = ("x1 + x2*x3 == 1",)


def test_every_asked_point_is_feasible():
    opt = FeasibleMinimizer([3.0, 3.0], "x1^2 + x2^2 <= 1", [(-2, 4), (-2, 4)])
    while not opt.done:
        x = opt.ask()
        assert x @ x <= 1.0
        opt.tell((x[0] - 2.0) ** 2 + (x[1] - 1.0) ** 2, [2.0 * (x[0] - 2.0), 2.0 * (x[1] - 1.0)])
    assert opt.result.success
    np.testing.assert_allclose(opt.result.x, np.array([2.0, 1.0]) / np.sqrt(5.0), atol=1e-8)


def test_a_result_without_constraints_can_be_shown():
    opt = FeasibleMinimizer([1.0, 2.0], [], [(0, 3), (0, 3)])
    opt.tell(5.0, [2.0, 4.0])
    assert "multipliers: {}" in repr(opt.result)
    assert opt.result.multipliers == {}
