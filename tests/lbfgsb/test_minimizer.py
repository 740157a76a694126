"""The public class: what is taken, what is given, what is left alone."""

from __future__ import annotations

import copy
import math
import warnings

import numpy as np
import pytest
from scipy.optimize import Bounds

from optdriver.errors import InputError, InputTypeError, ProtocolError
from optdriver.lbfgsb import LBFGSB, Stop, advance, advance_failure, minimizer, pending, start
from tests.lbfgsb.kernels import interpreted
from tests.lbfgsb.problems import (
    ROSENBROCK_START,
    drive,
    points,
    quadratic,
    quartic,
    rosenbrock,
    run,
    same,
)

INF = math.inf


def test_the_points_of_several_are_those_that_each_asks():
    made = [LBFGSB(ROSENBROCK_START), LBFGSB(ROSENBROCK_START[::-1])]
    made[0].tell(*rosenbrock(made[0].ask()))
    made.append(LBFGSB.from_dict(made[0].to_dict()))  # has not been asked since
    points_of_all = minimizer.pending_points(made)
    assert points_of_all.tobytes() == np.array([opt.ask() for opt in made]).tobytes()
    points_of_all[:] = 0.0  # they are copies
    assert np.any(made[2].ask())


# -- the problem


def test_nothing_to_minimise():
    opt, seen = run(lambda x: (3.0, np.zeros(0)), np.zeros(0))
    assert len(seen) == 1
    assert opt.converged
    assert opt.result.fun == 3.0
    assert opt.result.x.shape == (0,)
    assert opt.pairs[0].shape == (0, 0)
    assert opt.result.hess_inv.shape == (0, 0)


def test_everything_fixed():
    opt, seen = run(rosenbrock, ROSENBROCK_START, [(0.5, 0.5), (2, 2), (-1, -1)])
    assert len(seen) == 1
    assert opt.stop is Stop.PROJECTED_GRADIENT
    np.testing.assert_array_equal(opt.result.x, [0.5, 2.0, -1.0])


def test_some_fixed():
    opt, seen = run(rosenbrock, ROSENBROCK_START, [(None, None), (0.25, 0.25), (None, 5)])
    assert opt.converged
    assert np.all(points(seen)[:, 1] == 0.25)
    _fun, gradient = rosenbrock(opt.result.x)
    assert np.abs(gradient[[0, 2]]).max() < 1e-3


@pytest.mark.parametrize(
    "bounds", [[(0, 1), (0, 1), (None, 0.5)], Bounds([0, 0, -INF], [1, 1, 0.5])]
)
def test_a_start_outside_is_moved_into_the_bounds(bounds):
    opt = LBFGSB([-5.0, 7.0, 9.0], bounds)
    np.testing.assert_array_equal(opt.ask(), [0.0, 1.0, 0.5])


def test_the_default_bounds_are_none():
    free, _ = run(rosenbrock, ROSENBROCK_START)
    open_, _ = run(rosenbrock, ROSENBROCK_START, [(None, INF)] * 3)
    assert same(free.to_dict(), open_.to_dict())


def test_a_start_on_a_bound_leaves_it():
    opt, _ = run(quartic, [0.0, 2.0], [(0, 2), (0, 2)])
    assert opt.converged
    np.testing.assert_allclose(opt.result.x, 1.0, atol=1e-4)


def test_negative_zero():
    opt, seen = run(quartic, [-0.0, -0.0], [(-0.0, 3), (0.0, 3)])
    _twin, again = run(quartic, [0.0, 0.0], [(0.0, 3), (0.0, 3)])
    np.testing.assert_array_equal(points(seen), points(again))
    assert opt.done
    opt = LBFGSB([1.0])
    opt.tell(-0.0, [-0.0])
    assert opt.converged


# -- what is told


def trace(value, gradient, *, n=3):
    opt = LBFGSB(ROSENBROCK_START[:n], [(-2, 2)] * n)
    xs = []
    while not opt.done:
        xs.append(opt.ask())
        f, g = rosenbrock(xs[-1])
        opt.tell(value(f), gradient(g))
    return np.array(xs)


@pytest.mark.parametrize(
    "value",
    [
        float,
        np.float64,
        np.array,
        lambda f: np.array([f]),
        lambda f: [f],
        lambda f: np.array(f, dtype=">f8"),
        lambda f: np.longdouble(f),
    ],
)
@pytest.mark.parametrize(
    "gradient",
    [
        np.array,
        list,
        tuple,
        lambda g: np.repeat(g, 2)[::2],
        lambda g: g.astype(">f8"),
        lambda g: g.astype(object),
        lambda g: np.asfortranarray(g),
        lambda g: [np.float64(each) for each in g],
    ],
)
def test_values_and_gradients_in_many_forms(value, gradient):
    np.testing.assert_array_equal(trace(value, gradient), trace(float, np.array))


def test_a_read_only_gradient():
    def frozen(g):
        g.flags.writeable = False
        return g

    np.testing.assert_array_equal(trace(float, frozen), trace(float, np.array))


def test_the_gradient_may_be_changed_afterwards():
    opt, buffer = LBFGSB(ROSENBROCK_START), np.empty(3)
    while not opt.done:
        f, buffer[:] = rosenbrock(opt.ask())
        opt.tell(f, buffer)
        buffer[:] = math.nan
    np.testing.assert_array_equal(opt.result.x, run(rosenbrock, ROSENBROCK_START)[0].result.x)


def test_float32_and_integers():
    opt = LBFGSB([3.0, -2.0])
    while not opt.done:
        x = opt.ask()
        opt.tell(np.float32(x @ x), (2 * x).astype(np.float32))
    assert opt.converged
    opt = LBFGSB([3.0])
    opt.tell(5, [2])
    opt.tell(np.int64(4), np.array([0], dtype=np.int8))
    assert opt.converged
    assert opt.result.fun == 4.0


def test_huge_integers_are_numbers_or_refused():
    opt = LBFGSB([3.0])
    opt.tell(10**300, [1])
    with pytest.raises(InputError, match="too large for a float"):
        opt.tell(10**400, [1])
    assert opt.nfev == 1


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize(
    ("f", "error", "message"),
    [
        ("1.0", InputTypeError, "the value must be one real number, not '1.0'"),
        (b"1", InputTypeError, "the value"),
        (None, InputTypeError, "the value must be one real number, not None"),
        (1j, InputTypeError, "the value"),
        (np.complex128(1), InputTypeError, "the value"),
        ([1.0, 2.0], InputTypeError, "the value must be one real number"),
        ([], InputTypeError, "the value"),
        ({}, InputTypeError, "the value .* not {}"),
    ],
)
def test_bad_values(n, f, error, message):
    opt = LBFGSB(np.zeros(n))
    before = opt.to_dict()
    with pytest.raises(error, match=message):
        opt.tell(f, np.ones(n))
    assert same(opt.to_dict(), before)


def test_a_failure_overcome_is_no_part_of_the_message():
    opt = LBFGSB(ROSENBROCK_START)
    opt.tell(*rosenbrock(opt.ask()))
    opt.tell_failure("a full disk")
    drive(opt, rosenbrock)
    assert opt.result.message == Stop.REDUCTION.message
    assert opt.nfail == opt.result.nfail == 1


# -- the result


def test_fields_of_the_result():
    opt, seen = run(rosenbrock, ROSENBROCK_START)
    r = opt.result
    assert set(r) == {
        "x", "fun", "jac", "nfev", "njev", "nit", "status", "success", "message", "hess_inv",
        "stop", "nfail",
    }  # fmt: skip
    assert type(r.fun) is float
    assert type(r.success) is bool
    assert (r.nfev, r.njev, r.nfail) == (len(seen), len(seen), 0)
    assert (r.status, r.success, r.stop) == (0, True, Stop.REDUCTION)
    r.x[:] = r.jac[:] = math.nan  # copies
    assert np.isfinite(opt.result.x).all()
    assert np.isfinite(opt.result.jac).all()


def test_while_running():
    opt = LBFGSB(ROSENBROCK_START)
    assert opt.at_start
    r = opt.result
    assert not r.success
    assert math.isnan(r.fun)
    assert r.stop is opt.stop is Stop.RUNNING
    opt.tell(*rosenbrock(opt.ask()))
    assert not opt.at_start
    assert not opt.result.success
    assert opt.result.message == "RUNNING"
    assert opt.result.fun == 24.0 + 0.2 or opt.result.fun == rosenbrock(ROSENBROCK_START)[0]
    x, f, g = opt.iterate
    assert f == opt.best[1]
    x[:] = g[:] = math.nan
    np.testing.assert_array_equal(opt.iterate[0], ROSENBROCK_START)
    assert opt.n == 3


def test_repr():
    opt, _ = run(rosenbrock, ROSENBROCK_START)
    assert repr(opt).startswith("<LBFGSB n=3 DONE nit=")
    assert "START" in repr(LBFGSB([1.0]))


def test_copies_are_independent():
    opt = LBFGSB(ROSENBROCK_START)
    for twin in (opt.copy(), copy.copy(opt), copy.deepcopy(opt)):
        twin.tell(*rosenbrock(twin.ask()))
        assert opt.nfev == 0


# -- options at work


def test_the_limit_of_evaluations_is_hard_at_every_value():
    whole = len(run(rosenbrock, ROSENBROCK_START)[1])
    for most in range(1, whole + 2):
        opt, seen = run(rosenbrock, ROSENBROCK_START, maxfun=most)
        assert len(seen) == opt.nfev == min(most, whole)
        assert opt.result.fun == min(f for _, f, _ in seen)
        if most < whole:
            assert opt.stop is Stop.MAX_EVALUATIONS


def test_the_limit_counts_failures():
    opt, seen = run(lambda x: None, ROSENBROCK_START, maxfun=1)
    assert len(seen) == 1
    assert opt.stop is Stop.MAX_EVALUATIONS


@pytest.mark.parametrize("most", range(8))
def test_the_limit_of_iterations(most):
    opt, _ = run(rosenbrock, ROSENBROCK_START, maxiter=most)
    assert opt.nit == most
    assert opt.stop is Stop.MAX_ITERATIONS


def test_no_limits():
    opt, _ = run(rosenbrock, ROSENBROCK_START, maxfun=INF, maxiter=INF)
    assert opt.converged


@pytest.mark.parametrize("length", [1e-6, 0.5, 20.0])
@pytest.mark.parametrize("bounds", [None, [(None, 1e9)] * 3, [(-1e6, 1e6)] * 3])
def test_the_first_step_has_the_length_wanted(length, bounds):
    _, seen = run(rosenbrock, ROSENBROCK_START, bounds, initial_step=length)
    assert np.linalg.norm(seen[1][0] - seen[0][0]) == pytest.approx(length)


def test_the_first_step_has_the_length_wanted_with_pairs_too():
    first, _ = run(rosenbrock, ROSENBROCK_START)
    _, seen = run(rosenbrock, [-1.0, 1.2, 0.8], pairs=first.pairs, initial_step=0.01)
    assert np.linalg.norm(seen[1][0] - seen[0][0]) == pytest.approx(0.01)


def test_fewer_pairs_are_kept_where_fewer_are_wanted():
    for m in (1, 2, 5):
        opt, _ = run(rosenbrock, ROSENBROCK_START, maxcor=m)
        assert len(opt.pairs[0]) == m
        assert opt.converged


def test_told_noise_ends_a_noisy_run_well():
    def noisy(x):
        f, g = quartic(x)
        return f + 1e-4 * math.sin(1e7 * float(x.sum())), g

    for bounds in (None, [(-5, 5)] * 4):
        opt, seen = run(noisy, [3.0, -2.0, 0.5, 2.0], bounds, noise=2e-4)
        assert opt.converged
        assert len(seen) < 30


# -- curvature of another run


def test_a_run_begins_with_the_curvature_of_another():
    hessian = np.diag([1.0, 30.0, 900.0])
    fun, centre = quadratic(hessian, np.array([1.0, 2.0, 3.0])), np.array([1.1, 2.5, 3.2])
    first, _cold = run(fun, np.zeros(3), gtol=1e-8)
    _, warm = run(fun, centre, pairs=first.pairs, gtol=1e-8)
    _, fresh = run(fun, centre, gtol=1e-8)
    assert len(warm) < len(fresh)
    bounded, _ = run(fun, centre, [(0, 9)] * 3, pairs=first.pairs, gtol=1e-8)
    assert bounded.converged
    seeded = LBFGSB(centre, pairs=first.pairs)
    for ours, theirs in zip(seeded.pairs, first.pairs, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_curvature_in_other_forms():
    assert len(LBFGSB([0.0, 0.0], pairs=([1.0, 0.0], [2.0, 0.0])).pairs[0]) == 1
    assert len(LBFGSB([0.0, 0.0], pairs=LBFGSB([0.0, 0.0]).pairs).pairs[0]) == 0
    many = np.eye(2)[[0, 1, 0]] * [[1.0], [2.0], [3.0]]
    kept = LBFGSB([0.0, 0.0], maxcor=2, pairs=(many, many)).pairs[0]
    np.testing.assert_array_equal(kept, many[1:])
    assert len(LBFGSB([0.0], pairs=([[1.0]], [[-1.0]])).pairs[0]) == 0  # no curvature


@pytest.mark.parametrize(
    "pairs",
    [
        5,
        (np.eye(2),),
        (np.eye(2), np.eye(2), np.eye(2)),
        (np.eye(3), np.eye(3)),
        (np.eye(2), np.ones((1, 2))),
        (np.ones((1, 2, 2)), np.ones((1, 2, 2))),
        ([[math.nan, 1.0]], [[1.0, 1.0]]),
        ([[1.0, 1.0]], [[math.inf, 1.0]]),
        ("ab", "cd"),
        ([[1j, 1.0]], [[1.0, 1.0]]),
    ],
)
def test_bad_pairs(pairs):
    with pytest.raises(InputError, match="pairs"):
        LBFGSB([0.0, 0.0], pairs=pairs)


# -- the functions below the class


def test_the_functions_do_what_the_class_does():
    state, opt = start(ROSENBROCK_START, [(-2, 2)] * 3), LBFGSB(ROSENBROCK_START, [(-2, 2)] * 3)
    while not opt.done:
        np.testing.assert_array_equal(pending(state), opt.ask())
        if opt.nfev == 5:
            advance_failure(state)
            opt.tell_failure()
        else:
            advance(state, *rosenbrock(pending(state)))
            opt.tell(*rosenbrock(opt.ask()))
    assert same(state.to_dict(), opt.state.to_dict())
    for call in (
        lambda: pending(state),
        lambda: advance(state, 1.0, np.ones(3)),
        lambda: advance_failure(state),
    ):
        with pytest.raises(ProtocolError, match="the run has ended"):
            call()


def test_a_large_problem_on_the_interpreted_kernel_is_mentioned_once():
    large = np.zeros(interpreted.minimizer.LARGE)
    interpreted.minimizer.say_interpreted.cache_clear()
    with pytest.warns(RuntimeWarning, match="C compiler"):
        interpreted.LBFGSB(large)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        interpreted.LBFGSB(large)
        interpreted.LBFGSB(large[1:])
    assert large.size == minimizer.LARGE


@pytest.mark.parametrize("bounds", [None, [(-2, 0.5), (None, 3), (None, None)]])
def test_the_short_way_of_the_compiled_kernel_leads_to_the_same_points(bounds, monkeypatch):
    paths = []
    for short in (False, True):
        monkeypatch.setattr(interpreted.minimizer, "COMPILED", short)
        opt, path = interpreted.LBFGSB(ROSENBROCK_START, bounds), []
        while not opt.done:
            path.append(opt.ask())
            state = opt.state
            opt.tell(*rosenbrock(path[-1]))
            assert (opt.state is state) == short
        with pytest.raises(ProtocolError, match="has ended"):
            opt.ask()
        paths.append((np.array(path), opt.to_dict()))
    assert np.array_equal(paths[0][0], paths[1][0])
    assert same(paths[0][1], paths[1][1])
