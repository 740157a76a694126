"""The least-squares machine keeps the contract of minimizers."""

from __future__ import annotations

import numpy as np
import pytest

from optdriver import LeastSquares
from optdriver.errors import InputError
from optdriver.leastsquares import losses
from tests.contracts.minimizer import MinimizerContract, equal
from tests.contracts.numbers import no_values, vectors


def valley(x):
    """Rosenbrock's valley as residuals, with their Jacobian."""
    n = x.size
    r = np.concatenate([10.0 * (x[1:] - x[:-1] ** 2), 1.0 - x[:-1]])
    j = np.zeros((r.size, n))
    k = np.arange(n - 1)
    j[k, k + 1], j[k, k], j[n - 1 + k, k] = 10.0, -20.0 * x[:-1], -1.0
    return r, j


class Contract(MinimizerContract):
    settings = {}
    last_digits = 1e-13
    named = "(the (residuals|Jacobian)|there are) "

    def make(self, x0, bounds, **options):
        return LeastSquares(x0, bounds, **{**self.settings, **options})

    def restore(self, data):
        return LeastSquares.from_dict(data)

    def told(self, x):
        return valley(x)

    def value_and_gradient(self, told):
        r, j = told
        loss = self.settings.get("loss", losses.LINEAR), self.settings.get("f_scale", 1.0)
        return losses.value(r, *loss), losses.gradient(r, j, *loss)  # sums in their order

    @pytest.mark.parametrize("kind", [*(k for k in no_values() if k != "two numbers"), "None"])
    def test_what_is_no_value_is_refused_and_changes_nothing(self, kind):
        self.check_refused(
            {**no_values(), "None": None}[kind], np.ones((2 * (self.x0.size - 1), self.x0.size))
        )

    @pytest.mark.parametrize("shape", [(3, 4), (9,), (4, 3, 1), (), (5, 3), (4, 1)])
    def test_what_is_no_gradient_is_refused_and_changes_nothing(self, shape):
        self.check_refused(np.ones(4), np.ones(shape))

    def test_a_missing_gradient_is_refused(self):
        self.check_refused(np.ones(4), None)

    def test_numbers_of_every_kind_are_the_same(self):
        r, j = valley(np.array([1.0, -2.0, 5.0])[: self.x0.size])
        told = self.fresh()
        told.tell(r, j)
        for name, given in vectors(r.tolist()).items():
            opt = self.fresh()
            opt.tell(given, j.tolist())
            assert equal(opt.to_dict(), told.to_dict()), name


class TestLinear(Contract):
    x0 = np.array([0.3, 0.3])
    lower = np.array([-1.5, -2.0])
    upper = np.array([0.8, 2.0])


@pytest.mark.slow
class TestCauchy(Contract):
    settings = {"loss": "cauchy", "f_scale": 100.0}


@pytest.mark.slow
class TestWithoutBounds(Contract):
    lower = np.full(3, -np.inf)
    upper = np.full(3, np.inf)


def test_the_number_of_residuals_must_not_change():
    opt = LeastSquares([0.0, 0.0])
    opt.tell([1.0, 2.0, 3.0], np.ones((3, 2)))
    with pytest.raises(InputError, match="2 residuals, and there were 3 before"):
        opt.tell([1.0, 2.0], np.ones((2, 2)))
    with pytest.raises(InputError, match=r"shape \(2, 3\); expected \(3, 2\).*transposed"):
        opt.tell([1.0, 2.0, 3.0], np.ones((2, 3)))
    with pytest.raises(InputError, match="empty"):
        LeastSquares([0.0]).tell([], np.zeros((0, 1)))
