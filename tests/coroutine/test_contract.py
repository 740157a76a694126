"""Every suspended method keeps the contract of minimizers."""

from __future__ import annotations

import numpy as np
import pytest

from optdriver.coroutine import CallbackMinimizer
from tests.contracts.minimizer import MinimizerContract, equal, objective, plain


class Contract(MinimizerContract):
    """In a box, with gradients; one variable ends at a bound."""

    method = ""
    settings = {}
    x0 = np.array([0.3, 0.3])
    lower = np.array([-1.5, -2.0])
    upper = np.array([0.8, 2.0])

    def make(self, x0, bounds, **options):
        return CallbackMinimizer(self.method, x0, bounds, **{**self.settings, **options})

    def restore(self, data):
        return CallbackMinimizer.from_dict(data)


class Unbounded(Contract):
    x0 = np.array([0.9, 0.8])  # where dogleg, too, finds a positive definite Hessian
    lower = np.full(2, -np.inf)
    upper = np.full(2, np.inf)


class WithoutGradient(Contract):
    def test_a_missing_gradient_is_refused(self):
        opt = self.fresh()
        opt.tell(1.0)  # it is wanted by none of these
        assert opt.nfev == 1


class TestSLSQP(Contract):
    method = "SLSQP"
    settings = {"ftol": 1e-9}


class TestTNC(Contract):
    method = "TNC"


class TestNelderMead(WithoutGradient):
    method = "Nelder-Mead"
    settings = {"fatol": 1e-8, "xatol": 1e-3}
    x0 = np.array([0.7, 0.6])


class TestBFGS(Unbounded):
    method = "BFGS"


class TestCG(Unbounded):
    method = "CG"


class TestNewtonCG(Unbounded):
    method = "Newton-CG"


class TestDogleg(Unbounded):
    method = "dogleg"


class TestTrustNCG(Unbounded):
    method = "trust-ncg"


class TestTrustKrylov(Unbounded):
    method = "trust-krylov"


class TestTrustExact(Unbounded):
    method = "trust-exact"


class TestTrustConstr(Unbounded):
    method = "trust-constr"
    settings = {"gtol": 1e-5}


SLOW = {  # a millisecond and more of their own time for each evaluation
    "Powell": {"bounds": [(-1.5, 1.5), (-2.0, 2.0)], "ftol": 1e-8},
    "COBYQA": {"bounds": [(-1.5, 0.8), (-2.0, 2.0)], "initial_tr_radius": 0.3},
    "COBYLA": {"bounds": None, "rhobeg": 0.1, "maxfun": 40},
    "trust-constr": {"bounds": [(-1.5, 0.8), (-2.0, 2.0)], "gtol": 1e-4, "barrier_tol": 1e-3},
}


def whole(opt, failing=(), restored=lambda _: False):
    """Run to the end, restored where `restored` says so; return the end and the points."""
    points = []
    while not opt.done:
        if restored(opt.nfev):
            opt = CallbackMinimizer.from_dict(plain(opt.to_dict()))
        points.append(opt.ask())
        if opt.nfev in failing:
            opt.tell_failure("injected")
        else:
            opt.tell(*objective(points[-1]))
    return opt, points


@pytest.mark.parametrize("method", SLOW)
def test_a_slow_method_keeps_the_contract_too(method):
    settings = dict(SLOW[method])
    bounds = settings.pop("bounds")
    box = np.array([(-np.inf, np.inf)] * 2 if bounds is None else bounds)

    def fresh():
        return CallbackMinimizer(method, [0.3, 0.3], bounds, **settings)

    clean, points = whole(fresh())
    assert clean.result.success or method == "COBYLA"
    for failing in ((), (7,), (0, 12)):
        one, points = whole(fresh(), failing)
        other, again = whole(fresh(), failing, lambda nfev: nfev % 4 == 0)
        assert [x.tobytes() for x in points] == [x.tobytes() for x in again]
        assert equal(one.to_dict(), other.to_dict())
        assert all(np.all((box[:, 0] <= x) & (x <= box[:, 1])) for x in points)
        assert one.result.fun == min(
            objective(x)[0] for k, x in enumerate(points) if k not in failing
        )
        assert one.result.success == clean.result.success
        if clean.result.success:
            assert one.result.fun <= clean.result.fun + 1e-5
