"""Cautious runs: the unit of the objective is learnt, and a passed test is doubted."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.problems import by_name
from optdriver.errors import InputError
from optdriver.lbfgsb import LBFGSB, Stop
from optdriver.lbfgsb.codes import LOOKING, SEARCH
from optdriver.lbfgsb.unit import unit_of
from tests.lbfgsb.dense import make_state
from tests.lbfgsb.kernels import both, interpreted
from tests.lbfgsb.problems import ROSENBROCK_START, drive, random_bounds, rosenbrock, run, same

BOX = [(-2.0, 2.0)] * 3


def times(factor, fun=rosenbrock):
    def scaled(x):
        f, g = fun(x)
        return factor * f, factor * g

    return scaled


def of(name):
    problem = by_name(name)
    return problem, lambda x: tuple(np.float64(v) if np.ndim(v) == 0 else v for v in problem.fun(x))


@pytest.mark.parametrize("bounds", [None, BOX], ids=["free", "box"])
@pytest.mark.parametrize("exponent", [-13, -33, -50])
def test_a_small_objective_is_solved_as_well(bounds, exponent):
    opt, seen = run(times(2.0**exponent), ROSENBROCK_START, bounds, cautious=True)
    assert opt.converged
    np.testing.assert_allclose(opt.result.x, 1.0, atol=1e-4)
    assert opt.result.fun == min(f for _, f, _ in seen)  # as it was told, to the bit
    plain, _ = run(times(2.0**-50), ROSENBROCK_START, bounds)
    assert plain.nfev <= 2  # where SciPy's unit is 1, there is nothing to do


@pytest.mark.parametrize("exponent", [-21, -41])
def test_where_the_unit_is_learnt_powers_of_two_change_no_point(exponent):
    """Below a thousandth the unit is proportional, and so is all (by even powers, to the bit)."""
    paths = [run(times(2.0**k), ROSENBROCK_START, BOX, cautious=True)[1] for k in (exponent, -25)]
    assert len(paths[0]) == len(paths[1])
    assert all(np.array_equal(a[0], b[0]) for a, b in zip(*paths, strict=True))


@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(0, 5),
    exponent=st.integers(-80, 40),
    below=st.integers(0, 20),
    rule=st.integers(1, 5),
)
def test_both_rings_learn_the_same_unit(seed, n, exponent, below, rule):
    rng = np.random.default_rng(seed)
    lower, upper = random_bounds(rng, n, "mixed")
    x = np.clip(rng.uniform(-3, 3, n), lower, upper)
    g = rng.standard_normal(n) * 2.0**exponent
    f = float(rng.standard_normal() * 2.0 ** (exponent - below))
    s, _ = make_state(x, g, lower, upper)
    s.f, s.k, s.cautious = f, 0, rule
    interpreted.stopping.learn_unit(s)
    assert s.unit == unit_of(f, g, x, lower, upper, rule) == s.theta
    assert 2.0**-100 <= s.unit <= 1.0
    assert math.frexp(s.unit)[0] == 0.5


def test_large_objectives_are_not_damped():
    assert unit_of(1e9, np.array([1e5]), np.zeros(1), -np.ones(1), np.ones(1)) == 1.0
    assert unit_of(-1e-3, np.array([1e3]), np.zeros(1), -np.ones(1), np.ones(1)) == 1.0
    assert unit_of(1e-3, None, np.zeros(1), -np.ones(1), np.ones(1)) == 2.0**-19


@pytest.mark.parametrize(
    ("f", "g", "unit", "before"),
    [
        (0.03, 0.9, 2.0**-5, 1.0),  # the value, not what the gradient promises over the box
        (-0.03, 0.6, 2.0**-5, 0.5),
        (0.03, 7.0, 2.0**-5, 1.0),  # however much that is
        (1e-9, 0.6, 2.0**-10, 0.5),  # down to a thousandth of the promise
        (0.03, 0.1, 2.0**-6, 2.0**-6),  # its square is less
    ],
)
def test_the_unit_is_no_more_than_the_value_unless_the_gradient_promises_a_thousandfold(
    f, g, unit, before
):
    at = np.array([g]), np.zeros(1), -np.ones(1), np.ones(1)
    assert unit_of(f, *at) == unit
    assert unit_of(f, *at, rule=3) == before


@pytest.mark.parametrize("power", [-13, -14])
def test_a_small_value_under_a_large_promise_is_of_a_small_objective(power):
    """Watson's function: its values are small, but its gradient promises 1 over the box."""
    problem, fun = of("MGH20 Watson 6, bounded")
    before = LBFGSB(problem.start, problem.bounds, cautious=True)
    before.state.cautious = 3
    for opt in (before, LBFGSB(problem.start, problem.bounds, cautious=True)):
        drive(opt, times(2.0**power, fun))
        assert opt.converged
    whole, _ = run(fun, problem.start, problem.bounds, cautious=True)
    assert opt.result.fun < 2.0**power * 1.05 * whole.result.fun
    assert before.result.fun > 2.0**power * 4.0 * whole.result.fun  # as in 0.4.0


@pytest.mark.parametrize("name", ["MGH03 Powell badly scaled", "MGH14 Wood"])
def test_a_small_reduction_far_from_a_minimum_is_doubted(name):
    problem, fun = of(name)
    believing, _ = run(fun, problem.start, problem.bounds)
    assert believing.stop is Stop.REDUCTION
    assert believing.result.fun > 0.1
    doubting, _ = run(fun, problem.start, problem.bounds, cautious=True)
    assert doubting.converged
    assert doubting.result.fun < 1e-6


def test_variables_of_very_different_sizes_are_moved_by_their_sizes():
    """Meyer's start is 250 times as large in one variable as in another; SciPy stops at 112,123."""
    problem, fun = of("MGH10 Meyer")
    believing, _ = run(fun, problem.start, problem.bounds)
    assert believing.stop is Stop.REDUCTION
    assert believing.result.fun > 1e5
    doubting, _ = run(fun, problem.start, problem.bounds, cautious=True)
    assert doubting.converged
    assert doubting.result.fun == pytest.approx(87.94585517042988, rel=1e-6)


@pytest.mark.parametrize("name", ["HATFLDC", "MGH28 discrete boundary value"])
def test_a_look_along_the_sizes_that_finds_nothing_ends_with_success(name):
    problem, fun = of(name)
    opt, _ = run(fun, problem.start, problem.bounds, cautious=True)
    assert opt.converged


SADDLES = [  # starts from which Wood's function leads to its saddle, by steps along much curvature
    [-1.4934981466467676, -1.7332952407548294, 0.3232730414305638, -0.990632756122744],
    [-3.3815468139951443, -0.04025540986618403, 0.24686198262822012, -0.005267690498131028],
    [-2.4706228333529077, -0.5013195128829989, -1.1965529545839615, -2.3629436842400766],
]


@pytest.mark.parametrize("start", SADDLES)
def test_a_saddle_is_left_with_the_memory_that_knows_it(start):
    unit = np.array([64.0, 16.0, 64.0, 16.0])
    fun = of("MGH14 Wood")[1]

    def scaled(z):
        f, g = fun(z * unit)
        return f, g * unit

    box = [(-0.5, 0.5), (-0.7, 0.7), (-0.5, 0.5), (-0.7, 0.7)]
    opt, _ = run(scaled, np.array(start) / unit, box, cautious=True)
    assert opt.converged
    assert opt.result.fun < 1e-8


def test_a_variable_near_0_is_measured_by_the_way_it_has_come():
    s, _ = make_state([0.0, 3.0], [2.0, -1.0], [-5.0, -9.0], [5.0, 3.5])
    assert interpreted.stopping.promise(s) == 0.5  # of the second alone, up to its bound
    s.arrays["xs"][:] = [4.0, 3.0]
    assert interpreted.stopping.promise(s) == 8.5


def test_in_units_far_apart_fewer_ends_are_claimed_where_much_is_left():
    unit = np.array([2.0**30, 2.0**-20, 2.0**10, 2.0**-30])
    problem, fun = of("MGH14 Wood")

    def scaled(z):
        f, g = fun(z / unit)
        return f, g / unit

    claimed = []
    for rule in (1, 3):  # as in version 3, and now
        rng = np.random.default_rng(3)
        ends = []
        for _ in range(15):
            opt = LBFGSB((problem.start + 0.3 * rng.standard_normal(4)) * unit, cautious=True)
            opt.state.cautious = rule
            drive(opt, scaled)
            ends.append(opt.converged and opt.result.fun > 1.0)
        claimed.append(sum(ends))
    assert 2 * claimed[1] <= claimed[0]


def apart(problem_name, exponents, start=None):
    """Return a start, and a standard problem whose variables are in units 2**exponents."""
    problem, fun = of(problem_name)
    unit = 2.0 ** np.array(exponents, dtype=float)

    def scaled(z):
        with np.errstate(over="ignore", invalid="ignore"):
            f, g = fun(z / unit)
            return f, g / unit

    return np.array(problem.start if start is None else start, dtype=float) * unit, scaled


def driven(x0, fun, rule, maxfun=3000):
    opt = LBFGSB(x0, cautious=True, maxfun=maxfun)
    opt.state.cautious = rule
    drive(opt, fun)
    return opt


def left_to_gain(fun, x, f):
    tight = LBFGSB(x, ftol=0.0, gtol=1e-12)
    drive(tight, fun)
    return f - tight.result.fun


def test_the_unit_of_f_outweighs_no_objection_where_units_are_far_apart():
    problem, fun = of("MGH09 Gaussian")
    rng = np.random.default_rng(11)
    false, right = [0, 0], [0, 0]
    for _ in range(12):
        exponents = np.round(rng.uniform(-40, 40, 3))
        start = problem.start + 0.05 * rng.standard_normal(3)
        for k, rule in enumerate((2, 3)):  # as in 0.3.0, and now
            opt = driven(*apart("MGH09 Gaussian", exponents, start), rule, maxfun=1000)
            left = left_to_gain(fun, opt.result.x / 2.0**exponents, opt.result.fun)
            near = left <= max(1e-2 * opt.result.fun, 1e-4 * fun(start)[0])
            right[k] += near
            false[k] += opt.converged and not near
    assert false[0] >= 3
    assert false[1] == 0
    assert right[1] >= right[0]


def test_a_steepest_descent_that_fails_is_followed_by_a_step_by_sizes():
    start = [0.42, 1.05, -0.02]
    x0, fun = apart("MGH09 Gaussian", [-30, -31, 18], start)
    ends = [driven(x0, fun, rule).result.fun for rule in (2, 3)]
    assert ends[1] < 1.2e-8 < ends[0]


@pytest.mark.parametrize(
    ("f", "start", "g", "plainly"),
    [
        (0.5, 1.0, 0.004, False),  # below a hundredth of f
        (0.5, 1.0, 0.006, False),  # and of its unit
        (0.5, 1.0, 0.02, True),
        (1e-8, 1e-2, 2e-5, False),  # a part of the unit
        (1e-8, 1e-2, 2e-4, True),  # all of f and a hundredth of the gain
        (1e-3, 2e3, 0.015, False),  # below 1e-5 of the gain
        (1e-3, 2e3, 0.025, True),
    ],
)
def test_an_objection_is_plain_by_f_its_unit_and_the_gain(f, start, g, plainly):
    s, _ = make_state([1.0], [-g], [-np.inf], [np.inf])
    s.cautious, s.f, s.f_start = 3, f, start
    s.arrays["g"][:] = -g
    assert bool(interpreted.stopping.falls_plainly(s)) is plainly


@pytest.mark.parametrize("rule", [1, 2, 3])
def test_what_has_no_uneven_sizes_ends_as_before(rule):
    problem, fun = of("MGH35 Chebyquad 8")
    opt = driven(problem.start, fun, rule)
    assert opt.converged


def test_variables_that_f_does_not_depend_on_are_of_no_size():
    s, _ = make_state(np.full(3, -np.inf), np.full(3, np.inf), np.zeros(3), np.zeros(3))
    s.arrays["x"][:] = [1.0, 1e-9, 1e-5]
    s.arrays["g"][:] = [1.0, 0.0, 0.0]
    assert not interpreted.stopping.uneven(s)
    s.arrays["g"][1] = 1e-30
    assert interpreted.stopping.uneven(s)
    s.arrays["g"][1:] = 0.0, 1.0
    assert interpreted.stopping.uneven(s)
    s.arrays["x"][2] = 1e-3
    assert not interpreted.stopping.uneven(s)


def test_a_second_look_that_is_not_certain_is_followed_by_another():
    _, fun = of("MGH14 Wood")
    for kernel in both:
        opt = kernel.LBFGSB(np.random.default_rng(92).uniform(-3, 3, 4), cautious=True)
        looks = []
        while not opt.done:
            opt.tell(*fun(opt.ask()))
            looks += [opt.state.doubts] if opt.state.doubts >= LOOKING else []
        assert looks == [LOOKING, LOOKING + 1, LOOKING]
        assert opt.result.fun < 1e-9


@pytest.mark.parametrize(
    ("doubts", "taken", "certain", "again", "after"),
    [
        (LOOKING, 1.0, True, False, LOOKING),  # seen twice, and the model agrees
        (LOOKING, 1.0, False, True, LOOKING + 1),
        (LOOKING + 1, 1.0, False, True, LOOKING + 2),
        (LOOKING + 2, 1.0, False, False, LOOKING + 2),  # three such looks are enough
        (LOOKING, 4.0, True, True, LOOKING),  # a step longer than the model foresaw counts for none
        (LOOKING + 2, 4.0, False, False, LOOKING + 2),
    ],
)
def test_how_often_a_small_reduction_is_looked_at(doubts, taken, certain, again, after):
    s, _ = make_state(np.zeros(2), np.ones(2), -np.ones(2), np.ones(2))
    s.cautious, s.doubts, s.phase = 2, doubts, SEARCH
    assert bool(interpreted.machine.looks_again(s, taken, certain)) is again
    assert s.doubts == after


@pytest.mark.parametrize("limit", [{"maxfun": 40}, {"maxiter": 36}])
def test_a_limit_within_a_second_look_leaves_the_success_of_the_first(limit):
    problem, fun = of("MGH01 Rosenbrock")
    opt = LBFGSB(problem.start, cautious=True)
    while not opt.done and opt.state.doubts < LOOKING:
        opt.tell(*fun(opt.ask()))
    assert not opt.done
    name = next(iter(limit))
    short = LBFGSB(
        problem.start, cautious=True, **{name: opt.nfev + 1 if name == "maxfun" else opt.nit + 1}
    )
    while not short.done:
        short.tell(*fun(short.ask()))
    assert short.stop in (Stop.REDUCTION, Stop.PROJECTED_GRADIENT)


def test_a_failure_where_an_end_is_doubted_takes_nothing_from_it():
    problem, fun = of("MGH14 Wood")
    opt = LBFGSB(problem.start, problem.bounds, cautious=True)
    while not opt.done:
        if opt.state.doubts:
            opt.tell_failure("only here")
        else:
            opt.tell(*fun(opt.ask()))
    assert opt.nfail > 0
    assert opt.converged


def test_doubt_costs_nothing_where_the_model_agrees():
    for name in ("HS38", "MGH05 Beale", "MGH07 helical valley", "MGH13 Powell singular"):
        problem, fun = of(name)
        runs = [run(fun, problem.start, problem.bounds, cautious=c)[0] for c in (False, True)]
        assert runs[1].converged
        assert runs[1].nfev <= runs[0].nfev + 2


@pytest.mark.parametrize(
    ("name", "stop", "doubts"),
    [
        ("MGH14 Wood", Stop.REDUCTION, LOOKING),
        ("MGH03 Powell badly scaled", Stop.ABNORMAL, 2),
    ],
)
def test_where_nothing_lower_is_found_after_a_doubt_the_gradient_decides(name, stop, doubts):
    problem, fun = of(name)
    opt = LBFGSB(problem.start, problem.bounds, cautious=True)
    while not opt.done:
        f, g = fun(opt.ask())
        opt.tell(f if opt.state.doubts == 0 else 2.0 * abs(opt.state.f) + 1.0, g)
    assert opt.state.doubts == doubts
    assert opt.stop is stop


@pytest.mark.parametrize(("slope", "stop"), [(-1.0, Stop.REDUCTION), (-1e3, Stop.ABNORMAL)])
def test_where_nothing_can_be_tried_after_a_doubt_the_gradient_decides(slope, stop):
    """The first step, and that after the memory was dropped, is too short to be seen at x = 1."""
    opt = LBFGSB([0.0], cautious=True, ftol=1e-6, initial_step=1e-20)
    f, g = 1.0, slope
    while not opt.done:
        if opt.nfev:
            f -= 0.01 if opt.ask()[0] < 1.0 else 1e-9
            g *= 0.85
        opt.tell(f, [g])
    assert opt.state.doubts == opt.state.nreset == 1
    assert opt.stop is stop


def test_pairs_from_elsewhere_keep_their_own_first_matrix():
    first, _ = run(times(2.0**-30), ROSENBROCK_START, BOX, cautious=True)
    opt = LBFGSB(ROSENBROCK_START, BOX, cautious=True, pairs=first.pairs)
    theta = opt.state.theta
    opt.tell(*times(2.0**-30)(opt.ask()))
    assert opt.state.unit < 1.0
    assert opt.state.theta == theta != opt.state.unit


def test_a_run_that_goes_on_from_another_keeps_its_first_value_and_unit():
    opt = LBFGSB(ROSENBROCK_START, BOX, cautious=True)
    opt.state.f_start = 5.0
    opt.tell(*times(2.0**-30)(opt.ask()))
    assert (opt.state.f_start, opt.state.unit) == (5.0, 1.0)


@pytest.mark.parametrize("g", [[0.0, 0.0], [1e200, -1e200]], ids=["none", "overflowing"])
def test_by_size_stays_where_no_step_can_be_measured(g):
    s, _ = make_state([2.0, -3.0], g)
    s.f = s.f_start = 1.0
    s.arrays["z"][:] = np.nan
    interpreted.machine.by_size(s)
    assert s.arrays["z"].tolist() == [2.0, -3.0]


def test_without_the_test_of_the_reduction_there_is_no_doubt():
    problem, fun = of("MGH14 Wood")
    runs = [
        run(fun, problem.start, None, cautious=c, ftol=0.0, gtol=1e-4)[1] for c in (False, True)
    ]
    assert len(runs[0]) == len(runs[1])
    assert all(np.array_equal(a[0], b[0]) for a, b in zip(*runs, strict=True))


@pytest.mark.parametrize("name", ["MGH03 Powell badly scaled", "MGH17 Osborne 1", "MGH09 Gaussian"])
def test_a_doubting_run_is_the_same_stored_anywhere_in_either_kernel(name):
    problem, fun = of(name)
    paths = []
    for kernel in both:
        opt, points = kernel.LBFGSB(problem.start, problem.bounds, cautious=True), []
        while not opt.done:
            opt = kernel.LBFGSB.from_dict(opt.to_dict())
            points.append(opt.ask())
            opt.tell(*fun(points[-1]))
        paths.append((points, opt.to_dict()))
    whole = LBFGSB(problem.start, problem.bounds, cautious=True)
    drive(whole, fun)
    assert np.array_equal(paths[0][0], paths[1][0])
    assert same(paths[0][1], paths[1][1])
    assert same(whole.to_dict(), paths[0][1])


def test_the_option_is_true_or_false():
    with pytest.raises(InputError, match="cautious"):
        LBFGSB([0.0], cautious=1)
