"""The registry of drivers, and the contract of each."""

from __future__ import annotations

import math

import pytest

from optdriver.drivers import (
    DEFAULT_DRIVER,
    create_driver,
    driver_factory,
    driver_names,
    recorded_name,
    restore_driver,
)
from optdriver.errors import InputError, UnknownOptionError
from optdriver.multistart import MultiStart
from tests.contracts.driver import DriverContract


class MultiStartContract(DriverContract):
    options = {}

    def make(self):
        return create_driver(
            "L-BFGS-B", self.bounds, **{"num_initial": 2, "max_num_minimizers": 6, **self.options}
        )

    def restore(self, data):
        return restore_driver("L-BFGS-B", data)


class TestWithGradients(MultiStartContract):
    pass


class TestDifferences(MultiStartContract):
    options = {"jac": False, "max_num_minimizers": 4}


class TestTwoSidedDifferences(MultiStartContract):
    options = {"jac": False, "two_sided": True, "max_num_minimizers": 4, "max_failures": 2}


class TestSingleLinkage(MultiStartContract):
    options = {"start_rule": "mlsl"}


class TestSingleLinkageWithDifferences(MultiStartContract):
    options = {"start_rule": "mlsl", "jac": False, "max_num_minimizers": 4}


class TestGivenStarts(MultiStartContract):
    options = {
        "initial_samples": [[1.0, 1.0, 0.5], [-2.0, 3.0, 0.5], [0.0, 0.0, 0.5]],
        "sobol_sequence": False,
        "maxfun": 12,
        "num_initial": 4,
    }


@pytest.mark.parametrize(
    "name",
    ["L-BFGS-B", "l-bfgs-b", "L_BFGS_B", "LBFGSB", "L_BFGS_B_Optimization", "lbfgsb "],
)
def test_a_driver_has_several_names(name):
    assert driver_factory(name).name == DEFAULT_DRIVER
    assert isinstance(create_driver(name, [(0, 1)]), MultiStart)


def test_the_names_are_listed():
    assert DEFAULT_DRIVER in driver_names()


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("NelderMead", "Nelder-Mead"),
        ("SimplexOptimization", "Nelder-Mead"),
        ("trust_constr", "trust-constr"),
        ("DifferentialEvolution", "DE"),
        ("nevergrad:PSO", "PSO"),
    ],
)
def test_a_name_means_ours_first_and_others_by_prefix(written, name):
    assert driver_factory(written).name == name


def test_nevergrads_optimizers_of_the_same_names_have_a_prefix():
    pytest.importorskip("nevergrad")
    for written in ("nevergrad:NelderMead", "Nevergrad:nelder-mead"):
        driver = driver_factory(written)
        assert driver.name == "nevergrad:NelderMead"
        assert not driver.gradient
    with pytest.raises(InputError, match="no optimizer 'PSOO'.*did you mean"):
        driver_factory("nevergrad:PSOO")
    with pytest.raises(InputError, match="only 'nevergrad' is known"):
        driver_factory("optuna:TPE")


def test_names_that_were_recorded_without_a_prefix_are_nevergrads():
    assert recorded_name("LBFGSB") == "nevergrad:LBFGSB"
    assert recorded_name("NelderMead") == "nevergrad:NelderMead"
    for name in (*driver_names(), "NGOpt39", "nevergrad:LBFGSB"):
        assert recorded_name(name) == name


@pytest.mark.parametrize("name", ["L-BFGS", "lbfgs", "LBFGS", "l_bfgs"])
def test_an_unknown_driver_is_an_error_that_names_the_nearest(name):
    with pytest.raises(UnknownOptionError, match="did you mean 'L-BFGS-B'") as caught:
        create_driver(name, [(0, 1)])
    assert len(str(caught.value)) < 400
    with pytest.raises(UnknownOptionError, match="name its method instead"):
        create_driver("ScipyMinimizer", [(0, 1)])
    with pytest.raises(InputError, match="a string"):
        driver_factory(3)


def test_an_unknown_option_is_an_error_that_names_the_nearest():
    with pytest.raises(UnknownOptionError, match="did you mean 'num_initial'"):
        create_driver("L-BFGS-B", [(0, 1)], num_inital=3)
    assert "max_num_minimizers" in driver_factory("L-BFGS-B").options


def test_a_driver_is_restored_by_its_name():
    driver = create_driver("L-BFGS-B", [(0, 1)] * 2, max_num_minimizers=math.inf, seed=3)
    (point,) = driver.ask()
    twin = restore_driver("l_bfgs_b", driver.to_dict())
    assert twin.pending[0].x.tobytes() == point.x.tobytes()


class ConstrainedContract(MultiStartContract):
    """The minima lie on the boundary or inside, so the projected gradient says nothing."""

    steps = 60
    options = {"constraints": "x1^2 + (x2 - 1)^2 <= 1.5", "max_num_minimizers": 3}

    def check_points(self, points):
        super().check_points(points)
        for point in points:
            assert point.x[0] ** 2 + (point.x[1] - 1) ** 2 <= 1.5 + 1e-15

    def check_minima(self, driver):
        assert driver.minima
        for run in driver.runs:
            if run.state == "converged":  # by the change of f where not by the residual
                assert run.residual <= (1e-3 if run.reason.startswith("REDUCTION") else 1e-5)


class TestConstrained(ConstrainedContract):
    pass


class TestConstrainedDifferences(ConstrainedContract):
    options = {**ConstrainedContract.options, "jac": False, "max_num_minimizers": 2}


def test_sqp_is_ours_and_what_was_recorded_with_nevergrads_stays_so():
    assert driver_factory("SQP").name == "trust-region-SQP"
    assert driver_factory("nevergrad:SQP").name == "nevergrad:SQP"
    assert recorded_name("SQP") == "nevergrad:SQP"
    assert recorded_name("trust-region-SQP") == "trust-region-SQP"
