from __future__ import annotations

import math

import numpy as np
import pytest

from optdriver.errors import InputError, InputTypeError
from optdriver.space.space import Space
from optdriver.study import Observation
from optdriver.study.observation import as_gradient, split
from tests.contracts.numbers import no_values, no_vectors, values, vectors

SPACE = Space({"x1": (0, 1), "radius": 2, "x2": (0, 1)})


def test_value_and_derivatives():
    observation = Observation()
    observation.add(3)
    observation.add(derivative="x1", value=1.0)
    observation.add(2.0, derivative="x2")
    assert observation.result() == (3.0, {"x1": 1.0, "x2": 2.0})
    assert repr(observation) == "Observation(value=3.0, derivatives={'x1': 1.0, 'x2': 2.0})"


def test_none_is_a_failed_evaluation():
    observation = Observation()
    observation.add(None)
    assert observation.result() == (None, None)
    observation.add(derivative="x1", value=None)
    assert math.isnan(observation.derivatives["x1"])


def test_one_value_and_one_derivative_a_parameter():
    observation = Observation()
    observation.add(1.0)
    with pytest.raises(InputError, match="has the value 1.0 already"):
        observation.add(2.0)
    observation.add(derivative="x1", value=1.0)
    with pytest.raises(InputError, match="has a derivative by 'x1' already"):
        observation.add(derivative="x1", value=1.0)
    assert observation.result() == (1.0, {"x1": 1.0})


@pytest.mark.parametrize("value", [[1.0, 2.0], "1", 1j, True, np.ones(2), {}])
def test_a_value_is_one_real_number(value):
    with pytest.raises(InputTypeError, match="one real number"):
        Observation().add(value)
    with pytest.raises(InputTypeError, match="one real number"):
        Observation().add(derivative="x1", value=value)


def test_incomplete_observations():
    with pytest.raises(InputError, match="needs a value"):
        Observation().add(derivative="x1")
    with pytest.raises(InputError, match="has no value"):
        Observation().result()
    with pytest.raises(InputTypeError, match="name of a parameter"):
        Observation().add(1.0, derivative=1)


@pytest.mark.parametrize("kind", values(2))
def test_numbers_of_any_kind(kind):
    observation = Observation()
    observation.add(values(2)[kind])
    observation.add(values(3)[kind], derivative="x1")
    assert observation.result() == (2.0, {"x1": 3.0})


@pytest.mark.parametrize("kind", no_values())
def test_what_is_no_number(kind):
    with pytest.raises(InputError, match="the observed value"):
        Observation().add(no_values()[kind])
    with pytest.raises(InputError, match="the derivative by 'x1'"):
        Observation().add(no_values()[kind], derivative="x1")


@pytest.mark.parametrize("kind", vectors([0]))
def test_gradients_of_any_kind(kind):
    assert as_gradient(vectors([3, 5])[kind], SPACE).tolist() == [3.0, 5.0]


@pytest.mark.parametrize("kind", no_vectors(2))
def test_what_is_no_gradient(kind):
    with pytest.raises(InputError, match="the gradient "):
        as_gradient(no_vectors(2)[kind], SPACE)


@pytest.mark.parametrize("gradient", [[1, 2], (1.0, 2), np.array([1.0, 2.0]), {"x2": 2, "x1": 1}])
def test_gradients_in_order_and_by_name(gradient):
    array = as_gradient(gradient, SPACE)
    assert array.tolist() == [1.0, 2.0]
    assert array.dtype == np.float64
    assert array is not gradient


def test_gradients_by_name_may_tell_fixed_parameters():
    assert as_gradient({"x2": 2, "radius": 9, "x1": 1}, SPACE).tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("gradient", "message"),
    [
        ({"x1": 1}, "derivative by 'x2' is missing"),
        ({"x1": 1, "x2": 2, "x3": 3}, "derivative by 'x3' was given, but"),
        ({"x1": 1, "x2": "a"}, "derivative by 'x2' must be one real number"),
        ([1, 2, 3], r"shape \(3,\); expected \(2,\).*in the order x1, x2"),
        ([[1, 2]], r"shape \(1, 2\)"),
        (1.0, r"shape \(\)"),
        ([1, 1j], "must be real numbers"),
        (["a", "b"], "must be real numbers"),
        ([True, False], "must be real numbers"),
    ],
)
def test_gradients_that_are_none(gradient, message):
    with pytest.raises(InputError, match=message):
        as_gradient(gradient, SPACE)


def test_what_an_objective_may_return():
    observation = Observation()
    observation.add(1.0)
    assert split(1.0) == split(np.float64(1)) == split(observation) == (1.0, None)
    assert split((1, [2, 3])) == split([1, [2, 3]]) == (1.0, [2, 3])
    with pytest.raises(InputTypeError, match="is a 'return' missing"):
        split(None)
    with pytest.raises(InputTypeError, match="tuple of length 3"):
        split((1, 2, 3))
    with pytest.raises(InputTypeError, match="value of the objective must be one real number"):
        split("1")


def test_numbers_beyond_floats():
    with pytest.raises(InputError, match="value of the objective is too large"):
        split(-(10**400))
