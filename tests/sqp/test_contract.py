"""The SQP machine keeps the contract of minimizers, with told rows, formulas and neither."""

from __future__ import annotations

import numpy as np
import pytest

from optdriver import SQP
from optdriver.constraints import ConstraintSet
from tests.contracts.minimizer import MinimizerContract, equal, objective
from tests.contracts.numbers import no_values, vectors


class Contract(MinimizerContract):
    settings = {}
    named = "the (values|Jacobian) "

    def make(self, x0, bounds, **options):
        return SQP(x0, bounds, **{**self.settings, **options})

    def restore(self, data):
        return SQP.from_dict(data)

    def rows(self, _x):
        """The told rows and their gradients."""
        return np.zeros(0), np.zeros((0, self.x0.size))

    def told(self, x):
        f, g = objective(x)
        rows, slopes = self.rows(x)
        return np.concatenate([[f], rows]), np.vstack([g[None], slopes])

    def value_and_gradient(self, told):
        return float(told[0][0]), told[1][0]

    @pytest.mark.parametrize("kind", [*(k for k in no_values() if k != "two numbers"), "None"])
    def test_what_is_no_value_is_refused_and_changes_nothing(self, kind):
        given = {**no_values(), "None": None}[kind]
        self.check_refused(given, self.told(self.x0)[1])

    @pytest.mark.parametrize("shape", [(3, 4), (9,), (4, 3, 1), (), (7, 3), (4, 1)])
    def test_what_is_no_gradient_is_refused_and_changes_nothing(self, shape):
        self.check_refused(self.told(self.x0)[0], np.ones(shape))

    def test_a_missing_gradient_is_refused(self):
        self.check_refused(self.told(self.x0)[0], None)

    def test_numbers_of_every_kind_are_the_same(self):
        values, slopes = self.told(np.array([0.5, -1.0, 1.0])[: self.x0.size])
        told = self.fresh()
        told.tell(values, slopes)
        for name, given in vectors(values.tolist()).items():
            opt = self.fresh()
            opt.tell(given, slopes.tolist())
            exact = np.array_equal(np.asarray(given, dtype=float).ravel(), values)
            assert equal(opt.to_dict(), told.to_dict()) or not exact, name


class Small(Contract):
    x0 = np.array([0.3, 0.3])
    lower = np.array([-1.5, -2.0])
    upper = np.array([0.8, 2.0])


class TestWithoutRows(Small):
    pass


@pytest.mark.slow
class TestWithoutRowsInThree(Contract):
    pass


class Rows(Contract):
    """The best evaluation is the lowest feasible one, or the one that violates least."""

    def test_the_result_is_the_best_evaluation_at_all_times(self):
        opt, seen = self.fresh(), []
        while not opt.done:
            x = opt.ask()
            values, slopes = self.told(x)
            opt.tell(values, slopes)
            moved = [np.hypot.reduce(row) for row in slopes[1:] * opt.to_dict()["scale"]]
            worst = self.violation(values[1:] / moved)
            seen.append((worst, float(values[0])))
            feasible = [value for violation, value in seen if violation <= 1e-8]
            result = opt.result
            if not opt.converged:
                expected = min(feasible) if feasible else min(seen)[1]
                assert result.fun == expected
                least = opt.violation if feasible else min(seen)[0]
                assert result.maxcv == pytest.approx(least, rel=1e-12)
            assert self.value_and_gradient(self.told(result.x))[0] == result.fun
            assert opt.done or not result.success
        assert opt.violation <= 1e-8


class TestInequality(Rows, Small):
    settings = {"inequalities": 1}

    def rows(self, x):
        """A ball of radius 0.7 about the origin."""
        return np.array([x @ x - 0.49]), 2.0 * x[None]

    def violation(self, rows):
        return float(max(rows[0], 0.0))


@pytest.mark.slow
class TestEqualityAndFormula(Rows):
    x0 = np.array([-1.2, 1.0, 0.5])
    settings = {"equalities": 1}

    def make(self, x0, bounds, **options):
        self.formulas = ConstraintSet("x2 + x3 <= 1.5", ["x1", "x2", "x3"], bounds)
        return SQP(x0, bounds, constraints=self.formulas, **{**self.settings, **options})

    def rows(self, x):
        return np.array([x[0] + x[2] - 0.4]), np.array([[1.0, 0.0, 1.0]])

    def told(self, x):
        """A bowl: the valley has several minima there."""
        away, weights = x - np.array([2.0, 1.0, 0.9]), np.array([1.0, 3.0, 2.0])
        f = 0.5 * float(weights @ away**2) + float(np.exp(0.5 * x[1]))
        g = weights * away + np.array([0.0, 0.5 * np.exp(0.5 * x[1]), 0.0])
        rows, slopes = self.rows(x)
        return np.concatenate([[f], rows]), np.vstack([g[None], slopes])

    def violation(self, rows):
        return float(abs(rows[0]))

    def test_no_point_violates_the_formula(self):
        for failing in ((), (1,), range(3, 60, 3)):
            opt = self.fresh()
            for x in self.go(opt, failing):
                assert self.formulas.is_feasible(x)
