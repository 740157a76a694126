"""Every transition of the machine: START, SEARCH, DONE."""

from __future__ import annotations

import math

import numpy as np
import pytest

from optdriver.lbfgsb import LBFGSB, Phase, Stop
from tests.lbfgsb.kernels import both, interpreted
from tests.lbfgsb.problems import (
    ROSENBROCK_START,
    drive,
    quadratic,
    quartic,
    rosenbrock,
    run,
)

kernels = pytest.mark.parametrize("kernel", both, ids=repr)


def phase(opt):
    return Phase(opt.state.phase)


@kernels
def test_start_to_done_at_a_minimum(kernel):
    opt = kernel.LBFGSB([1.0, 1.0])
    assert phase(opt) == Phase.START
    opt.tell(*rosenbrock(opt.ask()))
    assert phase(opt) == Phase.DONE
    assert opt.stop == Stop.PROJECTED_GRADIENT
    assert (opt.nfev, opt.nit) == (1, 0)


@kernels
def test_start_to_done_without_iterations(kernel):
    opt = kernel.LBFGSB([0.0, 0.0], maxiter=0)
    opt.tell(*rosenbrock(opt.ask()))
    assert opt.stop == Stop.MAX_ITERATIONS
    assert opt.result.fun == 1.0


@kernels
def test_start_to_search(kernel):
    opt = kernel.LBFGSB([0.0, 0.0])
    opt.tell(*rosenbrock(opt.ask()))
    assert phase(opt) == Phase.SEARCH
    assert opt.stop == Stop.RUNNING


@kernels
def test_start_to_done_where_the_slope_cannot_be_seen(kernel):
    """The square of the gradient underflows: there is no direction to search along."""
    opt = kernel.LBFGSB([0.0, 0.0], gtol=0.0)
    opt.tell(1.0, [1e-200, 0.0])
    assert opt.stop == Stop.ABNORMAL
    assert not opt.converged


@kernels
def test_start_to_start_to_done_by_failures(kernel):
    opt = kernel.LBFGSB([0.0])
    opt.tell_failure()
    assert phase(opt) == Phase.START
    opt.tell_failure()
    assert opt.stop == Stop.FAILED
    assert opt.nfail == opt.nfev == 2


@kernels
@pytest.mark.parametrize(
    ("options", "stop"),
    [
        ({}, Stop.REDUCTION),
        ({"ftol": 0.0, "gtol": 1e-3}, Stop.PROJECTED_GRADIENT),
        ({"maxiter": 4}, Stop.MAX_ITERATIONS),
        ({"maxfun": 7}, Stop.MAX_EVALUATIONS),
    ],
)
def test_search_to_done(kernel, options, stop):
    opt, seen = run(rosenbrock, ROSENBROCK_START, make=kernel.LBFGSB, **options)
    assert opt.stop == stop
    assert opt.nfev == len(seen)
    assert opt.converged == opt.result.success == stop.success
    assert opt.result.status == stop.status
    assert opt.result.message == stop.message
    if "maxiter" in options:
        assert opt.nit == 4
    if "maxfun" in options:
        assert opt.nfev == 7


@kernels
@pytest.mark.parametrize("phase_told", [0, 1, 5])
def test_halted_from_any_phase(kernel, phase_told):
    opt = kernel.LBFGSB(ROSENBROCK_START)
    for _ in range(phase_told):
        opt.tell(*rosenbrock(opt.ask()))
    opt.halt("time is up")
    assert opt.stop == Stop.HALTED
    assert opt.result.status == 99
    assert opt.result.message == "STOP: HALTED BY THE CALLER: time is up"


def uphill(x):
    """A gradient of the wrong sign: every direction ascends."""
    f, g = quartic(x)
    return f, -g


@kernels
def test_a_failed_search_without_memory_is_abnormal(kernel):
    opt, seen = run(uphill, [3.0, -3.0], make=kernel.LBFGSB)
    assert opt.stop == Stop.ABNORMAL
    assert opt.nit == 0
    assert len(seen) <= 21
    assert opt.state.nreset == 0


@kernels
@pytest.mark.parametrize("bounds", [None, [(-5, 5)] * 3, [(None, 5)] * 3])
def test_a_failed_search_with_memory_starts_over_scaled(kernel, bounds):
    """After a reset the first trial is 1 / |d| away, as at the start (SciPy's is |g| away)."""
    opt = kernel.LBFGSB(ROSENBROCK_START, bounds)
    while opt.nit < 6:
        opt.tell(*rosenbrock(opt.ask()))
    kept = opt.iterate
    while not opt.state.nreset:
        _f, g = rosenbrock(opt.ask())
        opt.tell(1e6, -g)  # nothing is good enough
    assert opt.pairs[0].shape == (0, 3)
    assert opt.state.theta == 1.0
    for now, before in zip(opt.iterate, kept, strict=True):
        np.testing.assert_array_equal(now, before)
    step = opt.ask() - kept[0]
    if bounds != [(-5, 5)] * 3:
        assert np.linalg.norm(step) == pytest.approx(min(1.0, np.linalg.norm(kept[2])))
        assert step @ kept[2] == pytest.approx(-np.linalg.norm(step) * np.linalg.norm(kept[2]))
    drive(opt, rosenbrock)
    assert opt.converged


def test_a_singular_model_is_dropped_in_the_same_call():
    for name in ("ss", "zyy"):
        opt = interpreted.LBFGSB(ROSENBROCK_START, [(-5, 5)] * 3)
        while opt.nit < 5:
            opt.tell(*rosenbrock(opt.ask()))
        before = opt.nit
        opt.state.arrays[name][:] = -1e9
        while opt.nit == before:
            opt.tell(*rosenbrock(opt.ask()))
        assert opt.state.nreset == 1
        drive(opt, rosenbrock)
        assert opt.converged


def test_a_path_without_curvature_drops_the_memory():
    opt = interpreted.LBFGSB(ROSENBROCK_START, [(-5, 5)] * 3)
    while opt.nit < 5:
        opt.tell(*rosenbrock(opt.ask()))
    opt.state.arrays["w"][:] = math.nan
    before = opt.nit
    while opt.nit == before:
        opt.tell(*rosenbrock(opt.ask()))
    assert opt.state.nreset == 1
    drive(opt, rosenbrock)
    assert opt.converged


@kernels
def test_pairs_without_curvature_are_skipped(kernel):
    """Along a straight slope the gradient does not change: nothing can be learned."""
    opt, _ = run(
        lambda x: (float(x.sum()), np.ones(2)),
        [0.0, 0.0],
        [(-1000, None)] * 2,
        make=kernel.LBFGSB,
        maxfun=50,
    )
    assert opt.converged
    assert opt.state.nskip > 0
    assert opt.pairs[0].shape == (0, 2)
    np.testing.assert_array_equal(opt.result.x, [-1000, -1000])


@kernels
def test_an_iterate_that_is_not_the_best_does_not_end_the_run(kernel):
    """A stationary iterate, but the search had met a lower point, with a steep slope."""
    opt = kernel.LBFGSB([0.0])
    opt.tell(10.0, [-1.0])
    opt.tell(0.0, [-5.0])  # lower, but too steep: the search goes on
    opt.tell(5.0, [0.0])
    assert opt.nit == 1
    assert not opt.done
    assert opt.iterate[1] == opt.best[1] == 0.0
    np.testing.assert_array_equal(opt.iterate[0], opt.best[0])


@kernels
def test_a_better_point_that_is_stationary_too_is_reported(kernel):
    """The first trial does not fall enough for its length; the second does, and is higher."""
    opt = kernel.LBFGSB([0.0], gtol=0.1, ftol=0.0)
    opt.tell(10.0, [-1.0])
    opt.tell(9.9995, [0.05])
    step = opt.ask()[0]
    assert step < 0.499
    opt.tell(10.0 - 1.001e-3 * step, [0.05])
    assert opt.stop == Stop.PROJECTED_GRADIENT
    assert opt.result.fun == 9.9995


@kernels
def test_a_quadratic_in_the_memory_is_solved_by_its_model(kernel):
    hessian = np.diag([1.0, 10.0, 100.0])
    opt, seen = run(
        quadratic(hessian, np.array([1.0, 2.0, 3.0])), np.zeros(3), make=kernel.LBFGSB, gtol=1e-10
    )
    np.testing.assert_allclose(opt.result.x, [1, 2, 3], rtol=1e-6)
    assert len(seen) < 25


@kernels
def test_which_kernel(kernel):
    assert kernel.compiled() == kernel.machine.compiled()


@kernels
@pytest.mark.parametrize("value", [1.0, 2.0**-30, 1e300, 1e308])
def test_values_that_are_float32_numbers_are_noticed(kernel, value):
    opt = kernel.LBFGSB([1.0])
    opt.tell(value, [1.0])
    assert opt.state.single == int(value < 1e300)
    opt = kernel.LBFGSB([1.0])
    opt.tell(value * (1 + 2.0**-30), [1.0])
    assert opt.state.single == 0


def test_numbers_of_the_phases():
    assert LBFGSB([1.0]).state.phase == Phase.START
