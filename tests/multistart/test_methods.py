"""Many starts of every method of SciPy's keep the contract of drivers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from optdriver.drivers import create_driver, restore_driver
from optdriver.errors import InputError
from optdriver.multistart import MultiStart
from tests.contracts.driver import LONG, DriverContract, objective


class MethodContract(DriverContract):
    method = ""
    options = {}
    steps = 80

    def make(self):
        options = {"num_initial": 2, "max_num_minimizers": 3, **self.options}
        return create_driver(self.method, self.bounds, **options)

    def restore(self, data):
        return restore_driver(self.method, data)


class TestSLSQP(MethodContract):
    method = "SLSQP"


class TestTNC(MethodContract):
    method = "TNC"


class TestTNCWithDifferences(MethodContract):
    method = "TNC"
    options = {"jac": False, "max_num_minimizers": 2}


class TestNelderMead(MethodContract):
    method = "Nelder-Mead"
    options = {"method_options": {"xatol": 1e-6, "fatol": 1e-9}, "max_num_minimizers": 2}


class TestBFGS(MethodContract):
    """Without bounds, but for a variable that is fixed."""

    method = "BFGS"
    lower = np.array([-np.inf, -np.inf, 0.5])
    upper = np.array([np.inf, np.inf, 0.5])
    options = {"initial_samples": [[1.0, 1.0, 0.5], [-2.0, 3.0, 0.5], [0.0, 0.0, 0.5]]}

    def test_added_points_count_for_the_best(self):
        driver = self.make()
        driver.add_point([1.0, 2.0, 0.5], -1000.0, np.zeros(3))
        assert driver.best.f == -1000.0

    @pytest.mark.parametrize("x", [[0.0], ["a", 0, 0.5], [math.nan, 0, 0.5], None, [[1, 2], [3]]])
    def test_a_point_that_cannot_be_added_is_refused(self, x):
        with pytest.raises(InputError, match="point"):
            self.make().add_point(x, 1.0)


BOUNDED = ("Powell", "COBYQA", "trust-constr")
UNBOUNDED = ("CG", "Newton-CG", "dogleg", "trust-ncg", "trust-krylov", "trust-exact", "COBYLA")


def played(driver, steps, name=None):
    """Ask and tell, restored now and then where a name is given; return the points."""
    asked = []
    for step in range(steps):
        asked += [(p.id, p.run, p.x.tobytes()) for p in driver.ask(2 - len(driver.pending) or 1)]
        if not driver.pending:
            break
        point = driver.pending[step % len(driver.pending)]
        f, g = objective(point.x)
        if point.id % 17 == 8:
            driver.tell_failure(point.id, "injected")
        else:
            driver.tell(point.id, f, g)
        if name is not None and step % 7 == 0:
            driver = restore_driver(name, driver.to_dict())
    return driver, asked


OTHERS = list(enumerate((*BOUNDED, *UNBOUNDED)))


@pytest.mark.parametrize(
    ("method", "jac"),
    [
        *((method, index % 2 == 0) for index, method in OTHERS),
        *(pytest.param(method, index % 2 == 1, marks=LONG) for index, method in OTHERS),
    ],
)
@pytest.mark.parametrize("maxfun", [18, pytest.param(40, marks=pytest.mark.slow)])
def test_the_other_methods_go_on_identically_too(method, jac, maxfun):
    bounds = [(-2, 2), (-1, 3)] if method in BOUNDED else [(None, None)] * 2
    options = {"num_initial": 2, "jac": jac, "max_num_minimizers": 3, "maxfun": maxfun}
    if method in UNBOUNDED:
        options["initial_samples"] = [[0.6, 0.3], [0.1, -0.2], [0.4, 0.4]]
    straight, expected = played(create_driver(method, bounds, **options), 2 * maxfun)
    broken, asked = played(create_driver(method, bounds, **options), 2 * maxfun, method)
    assert asked == expected
    assert broken.nfev == straight.nfev
    assert broken.best.f == straight.best.f


def test_infinite_limits_are_none():
    ms = MultiStart([(-2, 2)] * 2, method="Nelder-Mead", max_num_minimizers=1)
    twin = MultiStart.from_dict(ms.to_dict())
    for driver in (ms, twin):
        while not driver.done:
            for point in driver.ask():
                driver.tell(point.id, *objective(point.x))
    assert ms.runs[0].state == "converged"
    assert ms.best.f == twin.best.f


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "SLSPQ"}, "did you mean 'SLSQP'"),
        ({"method": None}, "not known"),
        ({"method": "BFGS"}, "does not keep to bounds"),
        ({"method": "SLSQP", "method_options": {"ftoll": 1}}, "did you mean 'ftol'"),
        ({"method": "SLSQP", "method_options": 7}, "a dict of options"),
        ({"method": "SLSQP", "constraints": "x1 + x2 <= 1 + x1^2"}, "must_stay_feasible=False"),
        ({"method": "TNC", "constraints": "x1 + x2 <= 1 + x1^2"}, "takes no constraints"),
        ({"method_options": {"xatol": 1}}, "another method"),
    ],
)
def test_what_a_method_cannot_do_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        MultiStart([(-2, 2), (-1, 3)], **options)


def test_bounds_in_disguise_are_bounds():
    ms = MultiStart([(-2, 2)], method="SLSQP", constraints="x1 <= 0.25", num_initial=1)
    (point,) = ms.ask()
    assert point.x[0] <= 0.25
    assert math.isinf(ms.to_dict()["lower"][0]) is False
