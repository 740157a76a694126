"""JAX losses as objectives of studies."""

from __future__ import annotations

import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import jax.numpy as jnp
import numpy as np
import pytest
import saiunit as u

from optdriver import create_study, jax_objective
from optdriver.errors import InputError


def loss(w, b):
    return jnp.sum((w - 0.5) ** 2) + (b["c"] + 0.25) ** 2


BOUNDS = {"w": (np.full(2, -1.0), 1.0), "b": {"c": (-1, 1)}}


def test_gradients_are_those_of_the_structure():
    study = create_study(BOUNDS, jac=True, check_grad=True, max_num_minimizers=1)
    study.run(jax_objective(loss), progress=False)
    assert study.info()["success"]
    np.testing.assert_allclose(study.best.x, [0.5, 0.5, -0.25], atol=1e-6)
    assert study.num_evaluations < 20


@pytest.mark.parametrize(
    ("bounds", "function", "at"),
    [
        ({"x": (0, 1), "r": 2}, lambda x, r: (x - 0.25 * r) ** 2, [0.5]),
        ([(0, 1), (np.zeros(2), 1.0)], lambda a, b: a**2 - a + ((b - 0.5) ** 2).sum(), [0.5] * 3),
        ({"a": (0, 1), "b": "a^2"}, lambda a, b: b - a, [0.5]),
        ({"v": (0 * u.mV, 1000 * u.mV)}, lambda v: (v - 50 * u.mV) ** 2, [50.0]),
    ],
)  # fmt: skip
def test_bounds_of_every_kind(bounds, function, at):
    study = create_study(bounds, jac=True, max_num_minimizers=1, gtol=1e-10)
    study.run(jax_objective(function), progress=False)
    np.testing.assert_allclose(study.best.x, at, rtol=1e-6)


def test_what_jax_cannot_differentiate_is_said():
    with pytest.raises(InputError, match="JAX cannot differentiate the loss"):
        create_study({"x": (0, 1)}, jac=True).run(jax_objective(lambda x: float(np.exp(x))))
    with pytest.raises(InputError, match="does not take the parameters"):
        create_study({"x": (0, 1)}, jac=True).run(jax_objective(lambda y: y))


def test_another_process_compiles_for_itself():
    study = create_study(BOUNDS, jac=True)
    bound = jax_objective(loss).for_space(study.space)
    numbers = {"w_0": 0.5, "w_1": 1.0, "b_c": 0.75}
    value, gradient = bound.evaluate_suggestion(0, numbers)
    assert value == 0.25 + 1.0
    np.testing.assert_array_equal(gradient, [0.0, 1.0, 2.0])
    from optdriver.objectives import study_objective

    there = pickle.loads(pickle.dumps(bound))
    study_objective._COMPILED.clear()
    assert there.evaluate_suggestion(0, numbers)[0] == value


@pytest.mark.slow
def test_it_runs_in_other_processes():
    study = create_study(BOUNDS, jac=True, max_num_minimizers=2, num_initial=2, num_parallel=2)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        study.run(jax_objective(loss), executor=pool, progress=False)
    np.testing.assert_allclose(study.best.x, [0.5, 0.5, -0.25], atol=1e-6)
