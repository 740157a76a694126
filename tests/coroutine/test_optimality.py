"""An end that a method calls success is believed only where the gradient does not contradict."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import rosen, rosen_der

from optdriver import CallbackMinimizer, MultiStart, create_study
from optdriver.coroutine.optimality import goes_on, is_stationary
from optdriver.coroutine.state import VERSION
from optdriver.errors import InputError

STEEP = [(9.0, 6.0), (7.5, 3.0), (2.0, 9.5), (8.0, 8.0)]


def steep(x):
    """Rosenbrock's function over (0, 10)^2, as a study scales it."""
    return rosen(8.0 * x), 8.0 * rosen_der(8.0 * x)


def drive(opt, fun):
    while not opt.done:
        f, g = fun(opt.ask())
        opt.tell(f, g if "g" in opt.needs else None)
    return opt


@pytest.mark.parametrize("method", ["SLSQP", "TNC", "trust-constr"])
@pytest.mark.parametrize("start", STEEP)
def test_success_is_claimed_at_the_minimum_only(method, start):
    opt = drive(
        CallbackMinimizer(method, np.array(start) / 8.0, [(0.0, 1.25)] * 2, cautious=True), steep
    )
    assert not opt.converged or opt.result.fun < 1e-4


COLLAPSING = [(9.03171811, 0.67678262), (0.04028243, 8.72176914), (3.0, 9.9), (9.5, 1.2)]


@pytest.mark.parametrize("method", ["Nelder-Mead", "Powell", "COBYQA"])
@pytest.mark.parametrize(
    "start", [*COLLAPSING[:2], *(pytest.param(x, marks=pytest.mark.slow) for x in COLLAPSING[2:])]
)
def test_values_alone_convince_only_where_a_fresh_leg_finds_nothing_better(method, start):
    box, x0 = [(0.0, 1.25)] * 2, np.array(start) / 8.0
    opt = drive(CallbackMinimizer(method, x0, box, cautious=True), steep)
    assert opt.converged
    assert opt.result.fun < 1e-4
    assert opt.legs > 0


def test_a_simplex_collapses_on_a_face_where_nothing_is_confirmed():
    ends = [
        drive(CallbackMinimizer("Nelder-Mead", np.array(x) / 8.0, [(0.0, 1.25)] * 2), steep)
        for x in COLLAPSING
    ]
    assert any(opt.converged and opt.result.fun > 0.5 for opt in ends)


def test_a_confirming_leg_is_the_same_in_a_run_stored_anywhere():
    whole = drive(
        CallbackMinimizer("Nelder-Mead", [1.0, 0.1], [(0.0, 1.25)] * 2, cautious=True), steep
    )
    opt = CallbackMinimizer("Nelder-Mead", [1.0, 0.1], [(0.0, 1.25)] * 2, cautious=True)
    while not opt.done:
        if opt.nfev % 7 == 0:
            opt = CallbackMinimizer.from_dict(opt.to_dict())
        opt.tell(steep(opt.ask())[0])
    assert opt.nfev == whole.nfev
    assert np.array_equal(opt.result.x, whole.result.x)


@pytest.mark.parametrize("unit", [2.0**-40, 2.0**-20])
@pytest.mark.parametrize("method", ["SLSQP", "TNC", "trust-constr", "Nelder-Mead", "Powell"])
def test_small_objectives_are_amplified(method, unit):
    def fun(x):
        return unit * rosen(x), unit * rosen_der(x)

    opt = CallbackMinimizer(method, [-0.7, 1.6], [(-2.0, 3.0)] * 2, cautious=True)
    values = []
    while not opt.done:
        opt = CallbackMinimizer.from_dict(opt.to_dict())
        f, g = fun(opt.ask())
        values.append(f)
        opt.tell(f, g if "g" in opt.needs else None)
    assert opt.converged
    assert opt.result.fun == min(values)
    assert opt.result.fun / unit < 1e-4


def test_a_state_of_the_first_version_is_not_amplified():
    opt = CallbackMinimizer("SLSQP", [-0.7, 1.6], [(-2.0, 3.0)] * 2)
    data = opt.to_dict()
    assert data["version"] == VERSION
    data["version"] = 1
    del data["cautious"]
    assert drive(CallbackMinimizer.from_dict(data), lambda x: (rosen(x), rosen_der(x))).converged


def test_a_study_of_another_method_solves_a_small_objective():
    study = create_study({"a": (-2.0, 3.0), "b": (-2.0, 3.0)}, driver="SLSQP")
    study.set_parameters(jac=True, max_num_minimizers=1, initial_samples=[[-0.7, 1.6]])

    def told(a, b):
        f, g = rosen(np.array([a, b])), rosen_der(np.array([a, b]))
        return 1e-11 * f, {"a": 1e-11 * g[0], "b": 1e-11 * g[1]}

    study.run(told)
    assert study.info()["success"]
    assert study.best.value < 1e-14


def test_the_tests_in_a_wide_a_narrow_and_a_common_box():
    lower, upper = np.zeros(2), np.array([1.0, 1.0])
    middle, size = np.array([0.4, 0.6]), np.array([0.5, 0.6])
    assert is_stationary(middle, np.array([1e-7, -1e-7]), lower, upper, 1e-5, 1.0)
    assert is_stationary(lower, np.array([3.0, 1e-9]), lower, upper, 1e-5, 1.0)
    assert not is_stationary(middle * 1e-7, np.array([3.0, 3.0]), lower, upper, 1e-5, 1.0)
    assert not is_stationary(middle * 1e-9, np.array([1e9, -1e9]), lower, upper * 1e-9, 1e-5, 1.0)
    assert not is_stationary(middle * 1e9, np.full(2, 1e-8), lower, upper * 1e9, 1e-5, 1.0)
    assert goes_on(middle, np.array([0.5, 0.0]), lower, upper, size, 1.0)
    assert not goes_on(middle, np.array([1e-4, 0.0]), lower, upper, size, 1.0)
    assert not goes_on(lower, np.array([5.0, 5.0]), lower, upper, 0.0 * size, 1.0)


def test_a_first_value_far_below_1_is_taken_for_what_it_is():
    """A wide box promises much for it; runs that were kept before go on with that promise."""

    def fun(x):
        return 2.0**-9 * rosen(x), 2.0**-9 * rosen_der(x)

    def ended(**rule):
        opt = CallbackMinimizer("SLSQP", [1.2, 1.4], [(-20.0, 20.0)] * 2, cautious=True, **rule)
        data = opt.to_dict()
        assert data["unit_rule"] == rule.get("unit_rule", 4)
        if rule:  # as it was kept
            data["version"] = 3
            del data["unit_rule"]
        return drive(CallbackMinimizer.from_dict(data), fun)

    now, before = ended(), ended(unit_rule=3)
    assert now.converged
    np.testing.assert_allclose(now.result.x, 1.0, atol=1e-3)
    assert not before.converged
    assert before.nfev < now.nfev
    with pytest.raises(InputError, match="unit_rule is 2"):
        CallbackMinimizer("SLSQP", [1.1, 1.2], unit_rule=2)


def test_a_study_kept_by_an_earlier_version_keeps_its_unit():
    for rule, unit in ((6, 4), (5, 3)):
        made = MultiStart([(-2.0, 2.0)] * 2, method="SLSQP", jac=True, convergence_rule=rule)
        made.ask(1)
        (run,) = made.to_dict()["runs"]
        assert run["minimizer"]["unit_rule"] == unit
