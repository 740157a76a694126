"""CMA-ES and Nevergrad's optimizers keep the contract of drivers."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from optdriver.coroutine import ReplayWarning
from optdriver.drivers import create_driver, driver_factory, driver_names, restore_driver
from optdriver.errors import InputError, MissingExtraError
from tests.contracts.driver import DriverContract, objective


class PopulationContract(DriverContract):
    name = ""
    options = {}
    steps = 100

    def make(self):
        return create_driver(self.name, self.bounds, **self.options)

    def restore(self, data):
        return restore_driver(self.name, data)


class TestCMA(PopulationContract):
    name = "CMA-ES"
    options = {"max_num_minimizers": 1, "seed": 3}

    @pytest.mark.parametrize("position", [0, 1, 6, 7, 20, 55])
    def test_one_failure_at_any_position_spoils_nothing(self, position):
        session = self.session(5, failing={position}, slots=1).run(10 * self.steps)
        assert session.driver.done
        assert session.driver.nfail == 1
        self.check_points(session.asked)
        self.check_minima(session.driver)


class TestDE(PopulationContract):
    """It never says that it has converged, and the order of the tells is its own affair."""

    name = "DE"
    options = {"method_options": {"budget": 70, "num_workers": 3}, "seed": 3}

    def check_minima(self, driver):
        assert driver.minima == []
        assert driver.stop_reason == "the budget of 70 evaluations is used"

    def test_the_order_of_tells_never_changes_where_a_start_leads(self):
        seen = [self.session(0, slots=3).run(200).trace() for _ in range(2)]
        assert seen[0] == seen[1]


def sphere(driver, evaluations):
    """Evaluate so many points; return them."""
    points = []
    while len(points) < evaluations and not driver.done:
        for point in driver.ask(4):
            points.append(point.x.copy())
            if driver.nfev == 0:
                driver.tell_failure(point.id)
            else:
                driver.tell(point.id, float(np.sum((point.x - 0.4) ** 2)))
    return points


@pytest.mark.parametrize(
    "name", ["PSO", "OnePlusOne", "NGOpt", "TBPSA", "nevergrad:NelderMead", "nevergrad:SQP"]
)
def test_nevergrads_optimizers_go_on_identically(name):
    options = {"seed": 2, "method_options": {"budget": 40}}
    straight = sphere(create_driver(name, [(-1, 1), (0, 3)], **options), 40)
    driver, points = create_driver(name, [(-1, 1), (0, 3)], **options), []
    while not driver.done:
        points += sphere(driver, 7)
        driver = restore_driver(name, driver.to_dict())
    assert [x.tolist() for x in points] == [x.tolist() for x in straight]
    assert np.all((np.array(points) >= [-1, 0]) & (np.array(points) <= [1, 3]))


def test_a_generation_is_asked_in_parallel_and_waited_for():
    driver = create_driver("CMA-ES", [(-1, 1)] * 2, method_options={"population_size": 5})
    points = driver.ask(9)
    assert len(points) == 5
    assert driver.ask() == []
    for point in points[:4]:
        driver.tell(point.id, point.x @ point.x)
    assert driver.ask() == []
    driver.tell_failure(points[4].id)
    assert len(driver.ask(9)) == 5


def test_generations_of_failures_end_it():
    driver = create_driver("CMA-ES", [(-1, 1)] * 2)
    while not driver.done:
        for point in driver.ask(50):
            driver.tell_failure(point.id)
    assert "3 generations in a row" in driver.stop_reason
    assert driver.best is None
    assert driver.runs[0].state == "failed"


@pytest.mark.parametrize("name", ["CMA-ES", "OnePlusOne"])
def test_runs_begin_at_the_initial_samples(name):
    options = {"method_options": {"sigma": 1e-9}} if name == "CMA-ES" else {}
    driver = create_driver(name, [(-1, 1)] * 2, initial_samples=[[0.5, -0.25]], **options)
    np.testing.assert_allclose(driver.ask()[0].x, [0.5, -0.25], atol=1e-6)


def test_a_run_of_cma_es_is_followed_by_another():
    driver = create_driver("CMA-ES", [(-1, 1)], max_num_minimizers=2)
    sphere(driver, 5000)
    assert [run.state for run in driver.runs] == ["converged"] * 2
    assert driver.minima[0].times_found == 2
    assert driver.runs[0].x0.tolist() != driver.runs[1].x0.tolist()


def test_fixed_variables_are_no_variables():
    driver = create_driver("CMA-ES", [(2, 2), (3, 3)])
    (point,) = driver.ask(3)
    driver.tell(point.id, 1.0)
    assert driver.stop_reason == "all variables are fixed"


def test_a_replay_that_asks_other_points_says_so():
    driver = create_driver("CMA-ES", [(-1, 1)] * 2)
    sphere(driver, 10)
    data = driver.to_dict()
    data["points"][3] += 0.1
    twin = restore_driver("CMA-ES", data)
    with pytest.warns(ReplayWarning, match="the recorded ones count"):
        twin.ask(2)


@pytest.mark.parametrize(
    ("name", "bounds", "options", "message"),
    [
        ("CMA-ES", [(0, np.inf)], {}, "finite box"),
        ("CMA-ES", [(0, 1)] * 2, {"constraints": ["x1 + x2 >= 3"]}, "x1 \\+ x2 >= 3"),
        ("CMA-ES", [(0, 1)], {"method_options": {"sigma": "x"}}, "a number"),
        ("CMA-ES", [(0, 1)], {"method_options": {"population_size": 2}}, "at least 3"),
        ("CMA-ES", [(0, 1)], {"method_options": []}, "a dict"),
        ("CMA-ES", [(0, 1)], {"seed": -1}, "seed"),
        ("DE", [(0, 1)], {"method_options": {"budget": 0}}, "at least 1"),
    ],
)
def test_what_cannot_be_used_is_refused(name, bounds, options, message):
    with pytest.raises(InputError, match=message):
        create_driver(name, bounds, **options)


def test_names():
    assert {"CMA-ES", "DE", "SLSQP"} <= set(driver_names())
    assert driver_factory("cmaes").name == "CMA-ES"
    assert driver_factory("twopointsde").name == "TwoPointsDE"
    assert driver_factory("NGOpt39").name == "NGOpt39"


@pytest.mark.parametrize(("name", "extra"), [("CMA-ES", "cma"), ("DE", "nevergrad")])
def test_a_missing_package_is_named_with_its_extra(monkeypatch, name, extra):
    monkeypatch.setitem(sys.modules, "cmaes", None)
    monkeypatch.setitem(sys.modules, "nevergrad", None)
    with pytest.raises(MissingExtraError, match=rf"optdriver\[{extra}\]"):
        create_driver(name, [(0, 1)])


def test_a_gradient_is_kept_with_the_best():
    driver = create_driver("CMA-ES", [(-2, 2)] * 2)
    for point in driver.ask(4):
        driver.tell(point.id, *objective(point.x))
    assert driver.best.g.tolist() == objective(driver.best.x)[1].tolist()
