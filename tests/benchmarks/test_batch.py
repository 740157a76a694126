"""The batches that are timed are the same problems, and end at the same points."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import batch
from benchmarks.peers import scipy_minimize


def test_the_lock_step_loop_makes_the_same_runs_as_scipy() -> None:
    fun = batch.Rosenbrock(5, 10)
    together = batch.run_lockstep(fun, 200)
    evaluations, fun.points = fun.points, 0
    for x0, x in zip(fun.x0s, together, strict=True):
        np.testing.assert_array_equal(x, scipy_minimize(fun, x0, fun.bounds).x)
    assert fun.points == evaluations


def test_ours_and_single_minimizers_make_the_same_runs_and_end_where_scipy_does() -> None:
    fun = batch.Rosenbrock(5, 10)
    objects = batch.run_objects(fun, 200)
    evaluations, fun.points = fun.points, 0
    result = batch.run_batch(fun, 200)
    assert fun.points == evaluations
    np.testing.assert_array_equal(result.x, np.array([one.x for one in objects]))
    np.testing.assert_allclose(result.x, np.array(batch.run_lockstep(fun, 200)), atol=1e-4)
    assert (result.x[:, ::2] == 0.5).all()


@pytest.mark.parametrize("fun", [batch.Rosenbrock(3, 4), batch.multimodal])
def test_gradients_of_the_timed_problems_are_right(fun: object) -> None:
    x = np.random.default_rng(0).uniform(-1, 1, (3, 4))
    for i in range(4):
        step = 1e-6 * np.eye(4)[i]
        slope = (fun(x + step)[0] - fun(x - step)[0]) / 2e-6
        np.testing.assert_allclose(slope, fun(x)[1][:, i], rtol=1e-5, atol=1e-5)


def test_refilled_lanes_end_where_single_minimizers_do() -> None:
    table, targets = batch.refilling(80, lanes=8, n=2)
    assert all(target.met for target in targets)
    assert table.rows[0][:2] == ("80", "8")


def test_memory_is_measured_in_another_process() -> None:
    assert 0.01 < batch.megabytes(16, 4, 3) < 1.0
