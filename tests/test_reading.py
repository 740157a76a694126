"""The one reader of numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from optdriver.errors import InputError, InputTypeError
from optdriver.reading import real_array, real_number, real_vector, short
from tests.contracts.numbers import no_values, no_vectors, values, vectors


@pytest.mark.parametrize("kind", values(0))
def test_numbers(kind):
    number = real_number("it", values(-3)[kind])
    assert type(number) is float
    assert number == -3.0


@pytest.mark.parametrize("kind", vectors([0]))
@pytest.mark.parametrize("numbers", [[5.0, -7.0, 2.0], [4.0]])
def test_vectors(kind, numbers):
    vector = real_vector("it", vectors(numbers)[kind], len(numbers))
    assert vector.dtype == np.float64
    assert vector.tolist() == numbers


@pytest.mark.parametrize("kind", no_values())
def test_what_is_no_number(kind):
    with pytest.raises(InputError, match="^the value ") as caught:
        real_number("the value", no_values()[kind])
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("kind", no_vectors(2))
def test_what_is_no_vector(kind):
    with pytest.raises(InputError, match="^the gradient "):
        real_vector("the gradient", no_vectors(3)[kind], 3)


def test_nan_and_infinity_are_numbers():
    assert math.isnan(real_number("it", np.float32("nan")))
    assert real_number("it", -math.inf) == -math.inf
    assert real_number("it", np.longdouble("1e4000")) == math.inf


def test_one_number_is_a_vector_of_one():
    assert real_vector("it", np.float32(2), 1).tolist() == [2.0]
    with pytest.raises(InputError, match=r"shape \(\); expected \(2,\): one number a variable"):
        real_vector("it", 2.0, 2)


def test_an_array_of_floats_is_not_copied():
    array = np.ones((2, 3))
    assert real_array("it", array) is array


def test_numbers_of_jax():
    jax = pytest.importorskip("jax")
    jnp = jax.numpy
    for number in (jnp.float32(2), jnp.bfloat16(2), jnp.array([2]), jnp.ones(4).sum() - 2):
        assert real_number("it", number) == 2.0
    gradient = jax.grad(lambda x: (x**2).sum())(jnp.array([1.0, 3.0]))
    assert real_vector("it", gradient, 2).tolist() == [2.0, 6.0]
    assert real_vector("it", list(gradient), 2).tolist() == [2.0, 6.0]

    def told(x):
        real_number("the value", x)
        return x

    with pytest.raises(InputTypeError, match="the value must be one real number, not .*Tracer"):
        jax.jit(told)(1.0)


def test_long_values_are_shortened_in_messages():
    assert short(3) == "3"
    assert len(short(list(range(1000)))) < 110
