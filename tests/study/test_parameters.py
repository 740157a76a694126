from __future__ import annotations

import math

import numpy as np
import pytest

from optdriver.errors import InputError, InputTypeError, UnknownOptionError
from optdriver.studies import create_study
from optdriver.study.parameters import ALIASES, TABLE, check_all, defaults
from tests.study.tools import BOX

EXPECTED = {
    "max_iter": math.inf,
    "max_time": math.inf,
    "num_parallel": 1,
    "eps": 0.0,
    "min_val": -math.inf,
    "num_initial": 1,
    "max_num_minimizers": math.inf,
    "sobol_sequence": True,
    "initial_samples": (),
    "jac": False,
    "step_size": None,
    "ftol": 2.220446049250313e-09,
    "gtol": 1e-5,
    "maxcor": 10,
    "maxls": 20,
}


def test_defaults_are_those_of_the_table():
    assert EXPECTED.items() <= defaults().items()
    assert create_study(BOX).parameters == defaults()


def test_every_default_is_accepted():
    given = {name: value for name, value in defaults().items() if name != "initial_samples"}
    assert check_all(given) == given
    assert check_all({"initial_samples": ()}) == {"initial_samples": ()}


def test_aliases():
    assert check_all({"f_tol": 1e-3}) == {"ftol": 1e-3}
    assert set(ALIASES.values()) <= set(TABLE)
    with pytest.raises(InputError, match="'ftol' is given twice"):
        check_all({"f_tol": 1e-3, "ftol": 1e-3})


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("max_iters", "max_iter"), ("num_paralel", "num_parallel"), ("F_tol", "ftol")],
)
def test_unknown_parameters_name_the_nearest(name, nearest):
    with pytest.raises(UnknownOptionError, match=f"unknown driver parameter '{name}'.*{nearest}"):
        create_study(BOX).set_parameters(**{name: 1})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("max_iter", 2.5, "must be a whole number, 1 or more, or infinite, not 2.5"),
        ("max_iter", 0, "1 or more"),
        ("max_iter", True, "whole number"),
        ("max_iter", "25", "not '25'"),
        ("max_iter", math.nan, "NaN"),
        ("num_parallel", math.inf, "whole number"),
        ("num_parallel", None, "not None"),
        ("max_time", 0, "above 0"),
        ("max_time", [1], "number"),
        ("eps", -1e-3, "at least 0"),
        ("eps", math.inf, "at least 0"),
        ("min_val", "low", "a number"),
        ("jac", 1, "True or False, not 1"),
        ("sobol_sequence", "no", "True or False"),
        ("step_size", 0.0, "above 0"),
        ("initial_samples", 0.5, "a list of points"),
        ("initial_samples", [0.5, 0.5], "a list of points"),
        ("initial_samples", {"x1": 1}, "a list of points"),
        ("initial_samples", "ab", "a list of points"),
        ("initial_samples", ["ab"], "a list of points"),
        ("start_rule", "mlls", "did you mean 'mlsl'"),
        ("start_rule", 3, "one of"),
        ("initial_step", -1, "above 0"),
        ("seed", -1, "0 or more"),
    ],
)
def test_values_of_the_wrong_kind_are_refused(name, value, message):
    with pytest.raises(InputError, match=message):
        create_study(BOX).set_parameters(**{name: value})


def test_wrong_kinds_are_type_errors():
    with pytest.raises(InputTypeError):
        check_all({"max_iter": "25"})
    with pytest.raises(InputTypeError):
        check_all({"jac": 1})


def test_whole_numbers_are_taken_in_any_type():
    assert check_all({"max_iter": np.int64(3)}) == {"max_iter": 3}
    value = check_all({"max_iter": 3.0})["max_iter"]
    assert value == 3
    assert type(value) is int
    assert check_all({"jac": np.True_}) == {"jac": True}


def test_initial_samples_are_checked_against_the_domain():
    study = create_study(BOX, initial_samples=[[0.5, -0.5], {"x2": 1, "x1": 0}])
    assert study.parameters["initial_samples"] == ((0.5, -0.5), (0.0, 1.0))
    with pytest.raises(InputError, match="'x1' is 2.0, outside its domain"):
        study.set_parameters(initial_samples=[[2, 0]])
    with pytest.raises(InputError, match="3 values for 2 continuous parameters"):
        study.set_parameters(initial_samples=[[1, 1, 2]])
    assert study.parameters["initial_samples"] == ((0.5, -0.5), (0.0, 1.0))


def test_check_grad_needs_gradients():
    with pytest.raises(InputError, match="needs jac=True"):
        create_study(BOX, check_grad=True)
    assert create_study(BOX, check_grad=True, jac=True).parameters["check_grad"]


def test_describe_tells_every_parameter():
    study = create_study(BOX, max_iter=7, name="r")
    described = study.describe()
    assert described["name"] == "r"
    assert described["parameters"].keys() == TABLE.keys()
    assert described["parameters"]["max_iter"]["value"] == 7
    assert described["parameters"]["max_iter"]["default"] == math.inf
    assert "hard cap" in described["parameters"]["max_iter"]["meaning"]
    assert described["domain"][2] == {"name": "radius", "type": "fixed", "domain": 2}


def test_no_initial_samples_may_be_said_in_words():
    assert create_study(BOX, initial_samples=None).parameters["initial_samples"] == ()


@pytest.mark.parametrize("name", ["max_iter", "max_time", "ftol", "seed"])
def test_numbers_beyond_floats(name):
    with pytest.raises(InputError, match=f"'{name}' is too large for a float"):
        create_study(BOX, **{name: 10**400})


@pytest.mark.parametrize(
    ("name", "value", "most"),
    [("maxcor", 10**9, 1000), ("maxcor", 1001, 1000), ("num_initial", 10**12, 100000)],
)
def test_a_number_that_no_memory_holds_is_refused_at_once(name, value, most):
    study = create_study(BOX, jac=True)
    with pytest.raises(InputError, match=f"'{name}' must be .* from 1 to {most}, not {value}"):
        study.set_parameters(**{name: value})
    assert study.ask() is not None
    with pytest.raises(InputError, match=f"from 1 to {most}"):
        create_study(BOX, **{name: value})


def test_numbers_that_together_no_memory_holds_are_refused_at_once():
    study = create_study(BOX, jac=True, maxcor=1000, num_initial=20)
    with pytest.raises(InputError, match="would take .* GiB at once; a study may take 64 GiB"):
        study.set_parameters(num_initial=90_000)
    assert study.parameters["num_initial"] == 20


def test_steps_are_in_the_unit_of_their_parameter():
    space = {"x": (100.0, 1000.0), "y": (0.0, 1e-3), "fixed": 2.0}
    for given, steps in ((0.1, {"x": 0.1, "y": None}), ({"y": 1e-6}, {"x": None, "y": 1e-6})):
        study = create_study(space, num_parallel=4, max_iter=40)
        if given == 0.1:
            with pytest.raises(UnknownOptionError, match="step_size 'z'"):
                study.set_parameters(step_size={"z": 1.0})
        study.set_parameters(step_size=given)
        asked = study.ask(4)
        base = asked[0].params
        for suggestion in asked[1:]:
            moved = {k: abs(v - base[k]) for k, v in suggestion.params.items() if v != base[k]}
            if len(moved) == 1:
                ((name, step),) = moved.items()
                if steps[name] is not None and step <= 1e-3 * (space[name][1] - space[name][0]):
                    assert step == pytest.approx(steps[name], rel=1e-6)


def test_a_specification_of_before_keeps_its_steps():
    study = create_study(BOX, step_size=1e-3)
    data = study.spec.to_dict()
    assert type(study.spec).from_dict(data).parameters == study.parameters
    for name in ("difference_rule", "constraint_rule", "convergence_rule", "noise"):
        del data["parameters"][name]
    old = type(study.spec).from_dict(data)
    assert old.parameters["difference_rule"] == old.parameters["convergence_rule"] == 1
    assert old.parameters["step_size"] == 1e-3
