"""A loss that captures data, in one width of numbers after the other."""

from __future__ import annotations

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import optdriver
from optdriver.errors import ObjectiveWarning

BOX = {"a": (-5.0, 5.0), "b": (-5.0, 5.0)}


def made_of(data):
    """Return a loss that captures data, and the least value that it has."""
    line = np.polynomial.Polynomial.fit(data, data**2, 1)
    return lambda a, b: jnp.sum((data * a - b - data**2) ** 2), float(
        np.sum((line(data) - data**2) ** 2)
    )


@pytest.fixture(autouse=True)
def silent():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "the loss computes", ObjectiveWarning)
        yield


@pytest.mark.parametrize("engine", ["serial", "device"])
def test_both_widths_in_turn_on_an_engine(engine):
    loss, least = made_of(np.linspace(0.0, 1.3, 9))
    for wide in (False, True, False):
        found = optdriver.minimize(loss, BOX, n_iter=2, engine=engine, x64=wide)
        assert found.success
        assert found.fun == pytest.approx(least, rel=1e-9 if wide else 1e-4)


def test_functions_of_the_same_data_that_live_do_not_matter():
    loss, least = made_of(np.linspace(-0.4, 1.1, 7))
    mine = jax.jit(jax.grad(loss))
    before = mine(1.0, 2.0)
    wide = optdriver.Minimizer(loss, BOX, x64=True)
    assert wide.minimize(2).fun == pytest.approx(least, rel=1e-9)
    assert mine(1.0, 2.0) == before
    assert jax.jit(jax.grad(loss))(1.0, 2.0) == before  # compiled anew, while `wide` lives
    assert wide.minimize(3).fun == pytest.approx(least, rel=1e-9)


def test_a_loss_and_a_constraint_are_called_once_to_be_traced():
    calls = {"loss": 0, "row": 0}

    def loss(a, b):
        calls["loss"] += 1
        return (a - 2.0) ** 2 + (b - 1.0) ** 2

    def row(a, b):
        calls["row"] += 1
        return a + b - 1.0

    assert optdriver.minimize(loss, BOX, n_iter=5, x64=True).engine == "batch"
    assert calls["loss"] == 1
    found = optdriver.minimize(loss, BOX, "L-BFGS-B", row, n_iter=3, x64=True)
    assert found.success
    assert calls == {"loss": 2, "row": 1}


def test_bounds_of_32_bits_do_not_narrow_what_is_wanted_in_64():
    bounds = {"w": (np.zeros(3, np.float32), np.ones(3, np.float32))}

    def loss(w):
        return jnp.sum((w - 0.3) ** 2)

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        wide = optdriver.minimize(loss, bounds, n_iter=1, x64=True)
        assert not said
        optdriver.minimize(loss, bounds, n_iter=1, x64=True, max_iter=20)
        optdriver.minimize(loss, bounds, n_iter=1)
    words = [str(each.message) for each in said]
    assert len(words) == 2
    assert "arrays of 64 bits" in words[0]  # a study keeps its points in the types of the bounds
    assert "give x64=True" in words[1]
    assert wide.x["w"].dtype == np.float64
    np.testing.assert_allclose(wide.x["w"], 0.3, atol=1e-12)
