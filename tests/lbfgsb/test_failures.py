"""Evaluations that fail: every run ends at the minimum, none reports success elsewhere."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optdriver.lbfgsb import LBFGSB, Stop
from tests.lbfgsb.problems import (
    ROSENBROCK_START,
    drive,
    problems,
    projected_gradient,
    quartic,
    rosenbrock,
    run,
)

BAD = {
    "f and g NaN": lambda f, g: (math.nan, np.full_like(g, math.nan)),
    "f infinite": lambda f, g: (math.inf, g),
    "f NaN": lambda f, g: (math.nan, g),
    "g infinite": lambda f, g: (f, np.where(np.arange(g.size) == 1, -np.inf, g)),
    "told": lambda f, g: None,
}
LENGTH = len(run(rosenbrock, ROSENBROCK_START)[1])


def with_bad(fun, spoil, positions):
    count = iter(range(10**6))

    def spoiled(x):
        return spoil(*fun(x)) if next(count) in positions else fun(x)

    return spoiled


def check_rosenbrock(opt, seen):
    good = [f for _, f, g in seen if g is not None and math.isfinite(f) and np.isfinite(g).all()]
    assert opt.converged, opt.stop
    assert opt.result.fun == min(good)
    np.testing.assert_allclose(opt.result.x, 1.0, atol=2e-3)
    assert opt.result.fun < 1e-6
    assert all(np.isfinite(x).all() and np.max(np.abs(x)) < 1e2 for x, _, _ in seen)


@pytest.mark.parametrize("kind", BAD)
def test_one_bad_evaluation_anywhere(kind):
    for position in range(LENGTH):
        opt, seen = run(with_bad(rosenbrock, BAD[kind], {position}), ROSENBROCK_START)
        check_rosenbrock(opt, seen)
        assert opt.nfail == 1
        assert opt.failures == 0


@pytest.mark.parametrize("row", [2, 3])
def test_failures_in_a_row_anywhere_but_at_the_start(row):
    for position in range(1, LENGTH):
        opt, seen = run(
            with_bad(rosenbrock, BAD["told"], range(position, position + row)), ROSENBROCK_START
        )
        check_rosenbrock(opt, seen)
        assert opt.nfail == row


@settings(max_examples=60)
@given(positions=st.sets(st.integers(1, LENGTH), max_size=10), kind=st.sampled_from(sorted(BAD)))
def test_failures_at_random_positions(positions, kind):
    check_rosenbrock(*run(with_bad(rosenbrock, BAD[kind], positions), ROSENBROCK_START))


def test_every_third_evaluation_fails():
    opt, seen = run(with_bad(rosenbrock, BAD["f NaN"], range(2, 10_000, 3)), ROSENBROCK_START)
    check_rosenbrock(opt, seen)


@pytest.mark.parametrize("bounds", [None, [(-2, 2)] * 3, [(None, 2)] * 3])
def test_a_failed_start_is_asked_once_more(bounds):
    opt = LBFGSB(ROSENBROCK_START, bounds)
    opt.tell(math.nan, np.zeros(3))
    assert opt.at_start
    assert opt.best is None
    assert opt.iterate is None
    np.testing.assert_array_equal(opt.ask(), ROSENBROCK_START)
    again = opt.copy()
    drive(again, rosenbrock)
    assert again.converged
    opt.tell_failure("no licence")
    assert opt.done
    assert opt.stop is Stop.FAILED
    assert opt.result.message.endswith("no licence")
    assert math.isnan(opt.result.fun)
    assert np.isnan(opt.result.jac).all()
    np.testing.assert_array_equal(opt.result.x, ROSENBROCK_START)


@pytest.mark.parametrize("good", range(1, 30, 4))
@pytest.mark.parametrize("maxls", [5, 20])
def test_permanent_failure_ends_the_run_soon(good, maxls):
    opt, seen = run(
        with_bad(rosenbrock, BAD["told"], range(good, 10**6)), ROSENBROCK_START, maxls=maxls
    )
    assert opt.stop is Stop.FAILED
    assert not opt.result.success
    assert len(seen) <= good + maxls + 1
    assert opt.result.fun == min(f for _, f, _ in seen[:good])
    assert opt.result.message.endswith("the objective said so")


def walled(fun, allowed):
    return lambda x: fun(x) if allowed(x) else None


@pytest.mark.parametrize("gap", [0.5, 0.1, 1e-2, 1e-4])
def test_a_crash_region_beside_the_minimum(gap):
    """The minimum at 1 is `gap` away from where the simulator crashes."""
    for start in (np.array([-1.2, 1.0, 1.0]), np.array([0.0, 0.0, 0.0])):
        opt, seen = run(walled(rosenbrock, lambda x: x[0] < 1.0 + gap), start)
        assert opt.converged
        assert opt.result.fun < 1e-5
        assert opt.result.fun == min(f for _, f, g in seen if g is not None)


def test_a_minimum_inside_the_crash_region_is_no_success():
    """No point with a small gradient can be evaluated: the run ends at the wall, and says so."""
    for wall in (0.9, 0.5, 0.0):
        opt, seen = run(walled(quartic, lambda x, wall=wall: x[0] < wall), [-1.0, -1.0, 0.0])
        assert not opt.converged
        assert opt.result.fun == min(f for _, f, g in seen if g is not None)
        assert opt.result.x[0] < wall


@pytest.mark.parametrize("bounded", [False, True])
def test_a_step_that_was_cut_short_does_not_count_as_convergence(bounded):
    """Five failures make the step tiny; the reduction of f that is left is below ftol."""
    bounds = [(-5, 5), (None, 5), (-5, None)] if bounded else None
    for position in range(2, LENGTH, 3):
        opt = LBFGSB(ROSENBROCK_START, bounds, ftol=1e-3)
        while not opt.done:
            x = opt.ask()
            fails = position <= opt.nfev < position + 5
            tiny = opt.nfev == position + 5
            if fails:
                opt.tell_failure()
            else:
                opt.tell(*rosenbrock(x))
            if tiny:
                assert opt.stop is not Stop.REDUCTION


@settings(max_examples=60)
@given(problem=problems, failing=st.sets(st.integers(1, 40), max_size=6))
def test_success_after_failures_means_what_it_says(problem, failing):
    opt, seen = run(
        with_bad(problem.fun, BAD["told"], failing), problem.x0, problem.bounds, maxfun=200
    )
    if opt.stop is Stop.PROJECTED_GRADIENT:
        r = opt.result
        assert projected_gradient(r.x, r.jac, problem.lower, problem.upper) <= 1e-5
    for x, _, _ in seen:
        assert np.all((problem.lower <= x) & (x <= problem.upper))


def test_failures_keep_the_memory():
    opt = LBFGSB(ROSENBROCK_START)
    while opt.nit < 8:
        opt.tell(*rosenbrock(opt.ask()))
    before = opt.pairs
    opt.tell_failure()
    opt.tell_failure()
    for kept, now in zip(before, opt.pairs, strict=True):
        np.testing.assert_array_equal(kept, now)
    assert opt.state.nreset == 0
