"""The line search on the functions of More and Thuente (1994), and its ways out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize._dcsrch import DCSRCH

from tests.lbfgsb.dense import make_state
from tests.lbfgsb.kernels import interpreted

search = interpreted.line_search
GO_ON, ACCEPT, ACCEPT_BEST, GIVE_UP = range(4)


def function_1(a, beta=2.0):  # eq. (5.1)
    return -a / (a * a + beta), (a * a - beta) / (a * a + beta) ** 2


def function_2(a, beta=0.004):  # eq. (5.2)
    t = a + beta
    return t**5 - 2 * t**4, 5 * t**4 - 8 * t**3


def function_3(a, beta=0.01, l=39.0):  # eq. (5.3)
    if a <= 1 - beta:
        phi, slope = 1 - a, -1.0
    elif a >= 1 + beta:
        phi, slope = a - 1, 1.0
    else:
        phi, slope = (a - 1) ** 2 / (2 * beta) + beta / 2, (a - 1) / beta
    c = 2 * (1 - beta) / (l * math.pi)
    return phi + c * math.sin(l * math.pi / 2 * a), slope + (1 - beta) * math.cos(
        l * math.pi / 2 * a
    )


def yanai(beta_1, beta_2):  # eq. (5.4)
    def gamma(beta):
        return math.sqrt(1 + beta * beta) - beta

    def phi(a):
        p, q = math.sqrt((1 - a) ** 2 + beta_2**2), math.sqrt(a * a + beta_1**2)
        value = gamma(beta_1) * p + gamma(beta_2) * q
        return value, -gamma(beta_1) * (1 - a) / p + gamma(beta_2) * a / q

    return phi


FUNCTIONS = {
    "1": function_1,
    "2": function_2,
    "3": function_3,
    "4": yanai(0.001, 0.001),
    "5": yanai(0.01, 0.001),
    "6": yanai(0.001, 0.01),
}


def begun(phi, first, *, upper=None, maxls=30):
    """A search from 0 along 1; `first` is its first step."""
    f, slope = phi(0.0)
    s, _ = make_state([0.0], [slope], -100.0 if upper else None, upper)
    s.f, s.maxls = f, maxls
    s.arrays["d"][:] = s.arrays["z"][:] = 1.0 if not upper else min(1.0, upper)
    s.initial_step = first
    s.nit = 1
    assert search.begin(s)
    return s


def keep(s, f):
    """What the machine does with every evaluation before it asks the search."""
    if f <= s.best_f:
        s.best_f, s.best_stp = f, s.stp


def searched(phi, first, **how):
    """Run a search; return the state, the verdict, the steps tried and their values."""
    s = begun(phi, first, **how)
    steps, verdict = [], GO_ON
    while verdict == GO_ON:
        steps.append(float(s.arrays["xt"][0]))
        f, slope = phi(steps[-1])
        s.arrays["gt"][:] = slope
        keep(s, f)
        verdict = search.judge(s, f)
    return s, verdict, steps


@pytest.mark.parametrize("first", [1e-3, 1e-1, 1e1, 1e3])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_of_the_paper(name, first):
    phi = FUNCTIONS[name]
    s, verdict, steps = searched(phi, first)
    f0, slope0 = phi(0.0)

    def wolfe(step):
        f, slope = phi(step)
        return f <= f0 + 1e-3 * step * slope0, abs(slope) <= 0.9 * abs(slope0)

    assert steps[0] == first
    assert len(steps) <= 12
    assert not any(all(wolfe(step)) for step in steps[:-1])  # the first that serves ends it
    if name in "23":  # little room: the interval is a tenth of its end before a step serves
        assert verdict == ACCEPT_BEST
        assert wolfe(s.best_stp)[0]
        assert not s.hampered
    else:
        assert verdict == ACCEPT
        assert all(wolfe(steps[-1]))


@pytest.mark.parametrize("first", [1e-3, 1e-1, 1e1, 1e3])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_steps_are_those_of_the_peer(name, first):
    phi, theirs = FUNCTIONS[name], []

    def value(a):
        theirs.append(a)
        return phi(a)[0]

    peer = DCSRCH(value, lambda a: phi(a)[1], 1e-3, 0.9, 0.1, 0.0, 1e10)
    peer(first, *phi(0.0), maxiter=30)
    _, _, ours = searched(phi, first)
    assert 0 <= len(theirs) - len(ours) <= 1  # it evaluates the best point again
    np.testing.assert_allclose(ours, theirs[: len(ours)], rtol=1e-9)


def test_without_descent_there_is_no_search():
    for slope in (0.0, 1.0, math.nan, -math.inf):
        s, _ = make_state([0.0], [slope])
        s.arrays["d"][:] = 1.0
        assert not search.begin(s)
    for d in (0.0, math.nan, math.inf, -math.inf):
        s, _ = make_state([0.0], [-1.0])
        s.arrays["d"][:] = d
        assert not search.begin(s)


@pytest.mark.parametrize(
    ("d", "nit", "longest"),
    [
        ([1.0, 0.0], 1, 4.0),
        ([-1.0, 0.0], 1, 2.0),
        ([0.5, -4.0], 1, 1.0),
        ([0.0, -1.0], 1, 3.0),
        ([0.0, 1.0], 1, 1e10),
        ([1.0, 0.0], 0, 1.0),
    ],
)
def test_the_longest_step_reaches_the_nearest_bound(d, nit, longest):
    s, _ = make_state([0.0, 0.0], [1.0, 1.0], [-2.0, -3.0], [4.0, np.inf])
    s.arrays["d"][:] = d
    s.nit = nit
    assert search.longest_step(s) == longest


def test_the_longest_step_without_bounds():
    s, _ = make_state([0.0], [1.0])
    assert search.longest_step(s) == 1e10


def test_first_steps():
    def first(*, lower=None, upper=None, initial=0.0, k=0):
        s, _ = make_state([0.0, 0.0], [3.0, 4.0], lower, upper)
        s.arrays["d"][:], s.nit, s.k, s.initial_step = [-3.0, -4.0], 1, k, initial
        s.arrays["z"][:] = s.arrays["x"] + s.arrays["d"]
        assert search.begin(s)
        return s.stp

    assert first() == 0.2  # 1 / |d|
    assert first(initial=2.0) == 0.4
    assert first(k=1, initial=2.0) == 1.0
    assert first(lower=[-50.0, -50.0], upper=[50.0, 50.0]) == 1.0
    assert first(lower=[-50.0, -50.0]) == 0.2
    assert first(lower=[-3.0, -50.0], initial=100.0) == 1.0


def test_a_step_of_one_is_the_point_of_the_model_to_the_bit():
    s, _ = make_state([0.1], [1.0])
    s.arrays["d"][:], s.arrays["z"][:], s.k = 0.2, 7.0, 1
    s.stp = 1.0
    assert search.place_trial(s)
    assert s.arrays["xt"][0] == 7.0
    s.stp = 0.5
    assert search.place_trial(s)
    assert s.arrays["xt"][0] == 0.1 + 0.5 * 0.2


def test_trials_stay_in_the_box():
    s, _ = make_state([0.1], [1.0], -1.0, 0.3)
    s.arrays["d"][:], s.stp = 1.0, 0.9
    assert search.place_trial(s)
    assert s.arrays["xt"][0] == 0.3


def test_a_point_at_infinity_is_not_tried():
    s, _ = make_state([1e308], [-1.0])
    s.arrays["d"][:], s.stp, s.stpmax = 1e308, 50.0, 1e10
    assert search.place_trial(s)
    assert np.isfinite(s.arrays["xt"][0])
    assert s.stpmax == s.stp < 1.0


def test_where_nothing_moves_there_is_no_trial():
    s, _ = make_state([1.0], [-1.0])
    s.arrays["d"][:] = 1e-30
    for stp in (0.5, 0.0):
        s.stp = stp
        assert not search.place_trial(s)


def test_the_bound_in_the_way_is_accepted():
    s, verdict, steps = searched(lambda a: (-a, -1.0), 1.0, upper=1.0)
    assert verdict == ACCEPT
    assert steps == [1.0]
    assert s.stp == s.stpmax


def test_no_more_than_maxls_trials():
    for maxls in (1, 2, 5):
        s, verdict, steps = searched(lambda a: (abs(a - 1e-9), -1.0), 1.0, maxls=maxls)
        assert len(steps) == maxls
        assert verdict == GIVE_UP
        assert s.trials == maxls


def test_the_best_serves_where_the_search_cannot_go_on():
    phi = {1.0: (-1.0, -2.0)}  # lower, and steeper
    s, verdict, _ = searched(lambda a: phi.get(a, (0.0, -1.0)), 1.0, maxls=1)
    assert verdict == ACCEPT_BEST
    assert not s.hampered  # it has sufficient decrease
    s, verdict, _ = searched(lambda a: (-1e-9 if a else 0.0, -1.0), 1.0, maxls=1)
    assert verdict == ACCEPT_BEST
    assert s.hampered


def test_an_interval_without_room_ends_the_search():
    """A jump with slopes that point at it: the interval shrinks onto it."""
    s, verdict, steps = searched(lambda a: (-a, -1.0) if a < 0.3 else (1.0, 1.0), 1.0)
    assert verdict == ACCEPT_BEST
    assert 0.2 < s.best_stp < 0.3
    assert len(steps) < 20


@pytest.mark.parametrize("single", [0, 1])
@pytest.mark.parametrize("noise", [0.0, 1e-3])
def test_near_rounding_the_slope_decides(single, noise):
    unit = 1.2e-7 if single else 2.3e-16

    def verdict(rise, slope):
        s = begun(lambda a: (1000.0, -1.0), 1.0)
        s.single, s.noise = single, noise
        s.arrays["gt"][:] = slope
        f = 1000.0 + rise
        keep(s, f)
        return search.judge(s, f)

    level = noise + 1000.0 * unit
    for sign in (-1, 1):
        assert verdict(0.9 * level * sign, -0.5) == ACCEPT
    assert verdict(0.9 * level, 0.9) == ACCEPT
    assert verdict(0.9 * level, -0.95) == GO_ON
    assert verdict(0.9 * level, 0.999) == GO_ON
    assert verdict(3.0 * level, -0.5) == GO_ON


def test_failures_send_the_step_back_in_larger_strides():
    s = begun(lambda a: (0.0, -1.0), 1.0)
    steps = [s.stp]
    for failures in range(1, 6):
        s.failures = failures
        assert search.back_off(s) == GO_ON
        steps.append(s.stp)
        assert s.stpmax == s.stp
        assert not s.bracketed
    np.testing.assert_allclose(steps, [1.0, 0.5, 0.125, 0.0125, 0.00125, 0.000125], rtol=1e-12)
    assert s.hampered


def test_after_a_failure_a_good_trial_of_the_search_serves():
    s = begun(lambda a: (0.0, -1.0), 1.0)
    s.arrays["gt"][:] = -1.5
    keep(s, -1.0)
    assert search.judge(s, -1.0) == GO_ON
    assert s.stp > 1.0
    s.failures = 1
    assert search.back_off(s) == ACCEPT_BEST


def test_failures_without_end():
    s = begun(lambda a: (0.0, -1.0), 1.0, maxls=4)
    verdict, s.failures = GO_ON, 0
    while verdict == GO_ON:
        s.failures += 1
        verdict = search.back_off(s)
    assert verdict == GIVE_UP
    assert s.failures == 4
    s = begun(lambda a: (0.0, -1.0), 1e-300)
    s.arrays["x"][:] = 1.0
    s.failures = 1
    assert search.back_off(s) == GIVE_UP  # no other point is left


numbers = st.floats(-1e3, 1e3)


@given(
    stx=st.floats(0, 10),
    stp=st.floats(0, 10),
    sty=st.floats(0, 10),
    f=st.tuples(numbers, numbers, numbers),
    g=st.tuples(numbers, numbers, numbers),
    bracketed=st.integers(0, 1),
)
def test_any_record_gives_a_finite_step(stx, stp, sty, f, g, bracketed):
    s, _ = make_state([0.0], [-1.0])
    s.stx, s.sty, s.stp, s.bracketed = stx, sty, stp, bracketed
    s.fx, s.fy, s.gx, s.gy = f[0], f[1], g[0], g[1]
    s.stmin, s.stmax = min(stx, sty), max(stx, sty)
    search.choose_step(s, f[2], g[2])
    assert math.isfinite(s.stp)


def cubic_through(a, fa, ga, b, fb, gb):
    """Coefficients, highest first, of the cubic with these values and slopes."""
    rows = [[t**3, t**2, t, 1.0] for t in (a, b)] + [[3 * t**2, 2 * t, 1.0, 0.0] for t in (a, b)]
    return np.linalg.solve(rows, [fa, fb, ga, gb])


def step_chosen(stx, fx, gx, stp, fp, gp, *, sty=0.0, fy=0.0, gy=0.0, bracketed=0, high=5.0):
    s, _ = make_state([0.0], [-1.0])
    s.stx, s.fx, s.gx, s.sty, s.fy, s.gy = stx, fx, gx, sty, fy, gy
    s.stp, s.bracketed, s.stmin, s.stmax = stp, bracketed, 0.0, high
    search.choose_step(s, fp, gp)
    return s


def minimiser(coefficients):
    roots = np.roots(np.polyder(coefficients))
    roots = roots[np.isreal(roots)].real
    return float(roots[np.polyval(np.polyder(coefficients, 2), roots) > 0][0])


def test_case_1_a_higher_value():
    s = step_chosen(0.0, 0.0, -1.0, 1.0, 1.0, 3.0)
    cubic = minimiser(cubic_through(0.0, 0.0, -1.0, 1.0, 1.0, 3.0))
    square = 0.5 / 2.0  # minimiser of -a + 2 a^2
    want = cubic if abs(cubic) < abs(square) else cubic + (square - cubic) / 2
    assert s.stp == pytest.approx(want, rel=1e-12)
    assert (s.bracketed, s.stx, s.sty) == (1, 0.0, 1.0)
    s = step_chosen(0.0, 0.0, -1.0, 1.0, 5.0, 0.5)  # now the quadratic is closer
    cubic, square = minimiser(cubic_through(0.0, 0.0, -1.0, 1.0, 5.0, 0.5)), 0.5 / 6.0
    want = cubic if abs(cubic) < abs(square) else cubic + (square - cubic) / 2
    assert s.stp == pytest.approx(want, rel=1e-12)


@pytest.mark.parametrize("gp", [0.3, 4.0])
def test_case_2_a_lower_value_with_the_other_sign(gp):
    s = step_chosen(0.0, 0.0, -1.0, 1.0, -0.2, gp)
    cubic = minimiser(cubic_through(0.0, 0.0, -1.0, 1.0, -0.2, gp))
    secant = 1.0 - gp / (gp + 1.0)
    want = cubic if abs(cubic - 1.0) > abs(secant - 1.0) else secant
    assert s.stp == pytest.approx(want, rel=1e-12)
    assert (s.bracketed, s.stx, s.sty) == (1, 1.0, 0.0)


@pytest.mark.parametrize("fp", [-0.6, -0.7, -0.9])
@pytest.mark.parametrize("high", [5.0, 1.2])
def test_case_3_a_smaller_slope_extrapolates_within_limits(fp, high):
    s = step_chosen(0.0, 0.0, -1.0, 1.0, fp, -0.4, high=high)
    assert not s.bracketed
    assert 1.0 < s.stp <= high
    assert s.stx == 1.0


def test_case_3_bracketed_goes_at_most_two_thirds_to_the_other_end():
    s = step_chosen(0.0, 0.0, -1.0, 1.0, -0.69, -0.4, sty=1.3, fy=0.0, gy=2.0, bracketed=1)
    assert 1.0 < s.stp <= 1.0 + 0.66 * 0.3 + 1e-15
    s = step_chosen(2.0, 0.0, 1.0, 1.0, -0.69, 0.4, sty=0.5, fy=0.0, gy=-2.0, bracketed=1)
    assert 1.0 - 0.66 * 0.5 - 1e-15 <= s.stp < 1.0


def test_case_3_to_the_left_without_a_bracket():
    s = step_chosen(2.0, 0.0, 1.0, 1.0, -2.0, 0.9)
    assert s.stp == 0.0  # the lower end


@pytest.mark.parametrize(("stx", "gx", "end"), [(0.0, -1.0, 5.0), (2.0, 1.0, 0.0)])
def test_case_4_a_slope_not_smaller_goes_to_the_end(stx, gx, end):
    s = step_chosen(stx, 0.0, gx, 1.0, -1.5, 1.2 * gx)
    assert s.stp == end


def test_case_4_bracketed_is_the_cubic_to_the_other_end():
    s = step_chosen(0.0, 0.0, -1.0, 1.0, -1.5, -1.2, sty=2.0, fy=1.0, gy=3.0, bracketed=1)
    assert s.stp == pytest.approx(minimiser(cubic_through(1.0, -1.5, -1.2, 2.0, 1.0, 3.0)))


def test_an_interpolation_that_overflows_is_replaced():
    s = step_chosen(0.0, 0.0, -1.0, 1.0, 1e308, 1e308, sty=2.0, fy=1e308, gy=1e308)
    assert math.isfinite(s.stp)
    s = step_chosen(0.0, 1e308, -1e308, 1.0, -1e308, -math.inf, bracketed=0)
    assert math.isfinite(s.stp)


def test_flat_data_has_a_step_too():
    assert search.cubic(0.0, 0.0, 0.0, 1.0, 0.0, 0.0, True) == 0.5
    s = step_chosen(0.0, 0.0, 0.0, 1.0, 0.0, 0.0)
    assert math.isfinite(s.stp)
