"""What a multi-start does, seen from outside."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optdriver.errors import InputError
from optdriver.lbfgsb import LBFGSB
from optdriver.multistart import MultiStart, stencil
from optdriver.space.sampling import starts
from tests.multistart.problems import (
    drive,
    iterates,
    quadratic,
    rastrigin,
    rastrigin_minima,
    rosenbrock,
    waves,
)

BOX = [(-1.5, 1.5), (-2.0, 1.0)]


def alone(objective, x0, bounds, **options):
    """The iterates of one minimizer by itself."""
    opt = LBFGSB(x0, bounds, **options)
    path = []
    while not opt.done:
        x = opt.ask()
        path.append(x)
        opt.tell(*objective(x))
    return path, opt.result


# -- runs, against single minimizers


@given(
    seed=st.integers(0, 100),
    objective=st.sampled_from([quadratic, rastrigin, rosenbrock, waves]),
    num_initial=st.integers(1, 4),
    slots=st.integers(1, 6),
    n=st.integers(2, 5),
)
def test_each_run_is_what_one_minimizer_does_alone(seed, objective, num_initial, slots, n):
    bounds = [(-1.5, 1.7)] * (n - 1) + [(0.25, 0.25)]
    ms = MultiStart(bounds, seed=seed, num_initial=num_initial, max_num_minimizers=4)
    log = drive(ms, objective, slots)
    lower, upper = np.array(bounds).T
    for run in ms.runs:
        assert np.array_equal(run.x0, starts("sobol", seed, run.start, 1, lower, upper)[0])
        path, result = alone(objective, run.x0, bounds, cautious=True)
        told = iterates(log, run.index)
        assert all(x.tobytes() == y.tobytes() for x, y in zip(path, told, strict=False))
        if run.state == "converged":
            assert len(told) == len(path)
            assert run.x.tobytes() == result.x.tobytes()
            compared = sum(p.run == run.index and p.kind == "difference" for p, _ in log)
            assert (run.f, run.reason) == (result.fun, result.message)
            assert run.nfev == result.nfev + compared


def test_differences_lead_where_a_naive_gradient_leads():
    bounds, h = [(-1.5, 1.5)] * 3, 1e-6

    def differenced(x):
        f = waves(x)[0]
        g = np.zeros_like(x)
        for i in range(x.size):
            y = x.copy()
            y[i] = x[i] + h if x[i] + h <= 1.5 else x[i] - h
            g[i] = (waves(y)[0] - f) / (y[i] - x[i])
        return f, g

    ms = MultiStart(bounds, jac=False, step_size=1e-6, num_initial=2, max_num_minimizers=3)
    log = drive(ms, waves, 5)
    for run in ms.runs:
        path, result = alone(differenced, run.x0, bounds, cautious=True)
        told = iterates(log, run.index)
        assert all(x.tobytes() == y.tobytes() for x, y in zip(path, told, strict=False))
        if run.state == "converged":
            assert run.x.tobytes() == result.x.tobytes()


def test_all_minima_are_found_and_their_runs_add_up():
    ms = MultiStart([(-1.5, 1.5)] * 2, num_initial=3, max_num_minimizers=60)
    drive(ms, rastrigin, 3)
    known = rastrigin_minima(2, 1)
    assert len(ms.minima) == len(known)
    for x in known:
        found = min(ms.minima, key=lambda m, x=x: float(np.linalg.norm(m.x - x)))
        np.testing.assert_allclose(found.x, x, atol=1e-5)
        assert rastrigin(found.x)[0] == found.f
    assert sum(m.times_found for m in ms.minima) == 60
    assert ms.best.f == ms.minima[0].f


# -- how many run


def live(ms):
    return sum(run.state == "running" for run in ms.runs)


def test_one_after_the_other_one_minimizer_stays_one():
    ms = MultiStart(BOX, max_num_minimizers=3)
    while not ms.done:
        (point,) = ms.ask()
        assert live(ms) == 1
        ms.tell(point.id, *quadratic(point.x))
    assert [run.state for run in ms.runs] == ["converged"] * 3
    assert [run.start for run in ms.runs] == [0, 1, 2]
    assert ms.stop_reason == "3 minimizers have converged"


def test_num_initial_minimizers_share_one_slot():
    ms = MultiStart(BOX, num_initial=3)
    seen = []
    for _ in range(9):
        (point,) = ms.ask()
        seen.append(point.run)
        ms.tell(point.id, *rosenbrock(point.x))
    assert seen == [0, 1, 2] * 3
    assert len(ms.runs) == 3


def test_free_places_open_new_minimizers_up_to_the_maximum():
    ms = MultiStart(BOX, num_initial=2, max_num_minimizers=4)
    assert [p.run for p in ms.ask(3)] == [0, 1, 2]
    assert [p.run for p in ms.ask(3)] == [3]
    assert ms.ask(3) == []
    assert not ms.done
    assert len(MultiStart(BOX).ask(7)) == 7


def test_a_slow_evaluation_holds_nobody_back():
    ms = MultiStart(BOX, num_initial=2, max_num_minimizers=5)
    slow, _ = ms.ask(2)
    ms.tell(1, *quadratic(ms.pending[1].x))
    while points := ms.ask():
        for point in points:
            ms.tell(point.id, *quadratic(point.x))
    assert [run.state for run in ms.runs] == ["running"] + ["converged"] * 4
    assert ms.pending == (slow,)
    ms.tell(slow.id, *quadratic(slow.x))
    drive(ms, quadratic)
    assert ms.done


def test_the_first_minimizer_comes_before_those_opened_for_free_places():
    ms = MultiStart([(-1, 1)] * 4, jac=False, step_size=1e-6)
    asked = ms.ask(6)
    assert [p.run for p in asked] == [0] * 5 + [1]
    for p in asked[:5]:
        ms.tell(p.id, quadratic(p.x)[0])
    assert [p.run for p in ms.ask(6)] == [0] * 5 + [1]


def test_an_extra_minimizer_moves_up_when_one_of_the_first_ends():
    ms = MultiStart(BOX, num_initial=1)
    first, second = ms.ask(2)
    ms.tell_failure(first.id)
    ms.tell(second.id, *rosenbrock(second.x))
    (point,) = ms.ask()
    assert point.run == 1
    assert len(ms.runs) == 2
    assert [p.run for p in ms.ask(2)] == [2, 3]


@given(st.integers(1, 5), st.integers(1, 5), st.integers(1, 6))
def test_no_more_run_or_have_converged_than_wanted(num_initial, most, slots):
    ms = MultiStart(BOX, num_initial=num_initial, max_num_minimizers=most)
    while not ms.done:
        for point in ms.ask(slots):
            ms.tell(point.id, *waves(point.x))
            assert len(ms.runs) <= max(most, num_initial)
    states = [run.state for run in ms.runs]
    assert states.count("converged") == most
    assert states.count("stopped") == max(0, num_initial - most)
    assert ms.pending == ()


def test_when_enough_have_converged_the_others_are_stopped_and_may_still_be_told():
    ms = MultiStart(BOX, num_initial=3, max_num_minimizers=1)
    points = ms.ask(3)
    late = points[0]
    while not ms.done:
        point = ms.pending[1] if len(ms.pending) > 1 else ms.ask()[0]
        ms.tell(point.id, *quadratic(point.x))
    assert late in ms.pending
    before = [run.state for run in ms.runs]
    ms.tell(late.id, -5.0, np.zeros(2))
    assert ms.best.f == -5.0
    assert [run.state for run in ms.runs] == before
    assert ms.runs[0].reason == "1 minimizer has converged"


def test_runs_that_do_not_converge_are_bounded_too():
    ms = MultiStart(BOX, max_num_minimizers=2, maxfun=2)
    drive(ms, rosenbrock)
    assert ms.done
    assert "stopped without converging" in ms.stop_reason
    assert len(ms.runs) == 20
    assert ms.minima == []
    assert ms.best is not None


# -- starts


def test_samples_of_the_user_come_first():
    samples = [[0.5, 0.5], [-0.5, -0.5]]
    ms = MultiStart(BOX, num_initial=3, initial_samples=samples)
    points = ms.ask(4)
    assert [p.x.tolist() for p in points[:2]] == samples
    lower, upper = np.array(BOX).T
    expected = starts("sobol", 0, 0, 2, lower, upper)
    assert np.array_equal([p.x for p in points[2:]], expected)


def test_uniform_starts():
    ms = MultiStart(BOX, sobol_sequence=False, seed=4)
    lower, upper = np.array(BOX).T
    expected = starts("uniform", 4, 0, 5, lower, upper)
    assert np.array_equal([p.x for p in ms.ask(5)], expected)


def test_open_bounds_end_with_the_last_given_start():
    ms = MultiStart([(None, None), (0, None)], initial_samples=[[3.0, 3.0], [-2.0, 1.0]])
    drive(ms, quadratic, 4)
    assert ms.stop_reason == "all starts are used"
    assert len(ms.runs) == 2
    (minimum,) = ms.minima
    np.testing.assert_allclose(minimum.x, [1, 0.5], atol=1e-5)
    assert sorted(minimum.starts) == sorted(minimum.runs) == [0, 1]


@pytest.mark.parametrize("jac", [True, False])
@pytest.mark.parametrize("rule", ["sobol", "mlsl", "auto"])
def test_with_all_variables_fixed_there_is_one_point(jac, rule):
    ms = MultiStart([(0.3, 0.3), (2, 2)], jac=jac, start_rule=rule, num_initial=3)
    (point,) = ms.ask(8)
    assert point.x.tolist() == [0.3, 2.0]
    ms.tell(point.id, *quadratic(point.x))
    assert ms.done
    assert [m.x.tolist() for m in ms.minima] == [[0.3, 2.0]]


@pytest.mark.parametrize("jac", [True, False])
@pytest.mark.parametrize("rule", ["sobol", "mlsl", "auto"])
def test_one_variable(jac, rule):
    ms = MultiStart([(-3, 3)], jac=jac, start_rule=rule, max_num_minimizers=12)
    drive(ms, waves, 3)
    grid = np.linspace(-3, 3, 3001)
    lowest = min(waves(np.array([x]))[0] for x in grid)
    assert ms.minima[0].f <= lowest


def test_a_fixed_variable_is_never_moved():
    ms = MultiStart([(-3, 3), (0.1, 0.1), (-2, 2)], jac=False, step_size=1e-6, max_num_minimizers=3)
    log = drive(ms, waves, 3)
    assert all(p.x[1] == 0.1 for p, _ in log)
    assert sum(p.kind == "difference" for p, _ in log) == 2 * sum(
        p.kind == "iterate" for p, _ in log
    )


def test_no_warning_however_many_starts_are_drawn():
    ms = MultiStart(BOX)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(ms.ask(1500)) == 1500


def test_single_linkage_finds_the_minima_with_fewer_evaluations():
    spent = {}
    for rule in ("sobol", "mlsl"):
        ms = MultiStart([(-1.5, 1.5)] * 3, start_rule=rule)
        while len(ms.minima) < 24 and ms.nfev < 3000:
            (point,) = ms.ask()
            ms.tell(point.id, *rastrigin(point.x))
        spent[rule] = ms.nfev
    assert spent["mlsl"] < 0.9 * spent["sobol"]


def test_single_linkage_uses_added_points():
    ms = MultiStart([(-1, 1)], start_rule="mlsl")
    (first,) = ms.ask()
    for near in np.clip([first.x - 1e-3, first.x + 1e-3], -1, 1):
        ms.add_point(near, -1.0)
    ms.tell(first.id, 0.0, np.ones(1))
    assert ms.runs[0].state == "waiting"


# -- differences


def test_the_points_of_a_gradient_are_asked_together():
    ms = MultiStart([(-1, 1)] * 4, jac=False, step_size=1e-6, max_num_minimizers=1)
    points = ms.ask(10)
    assert [p.kind for p in points] == ["iterate"] + ["difference"] * 4
    assert ms.ask(10) == []
    for p in reversed(points[1:]):
        ms.tell(p.id, quadratic(p.x)[0])
        assert ms.ask() == []
    ms.tell(points[0].id, quadratic(points[0].x)[0])
    assert len(ms.ask(10)) == 5


def test_gradients_that_nobody_asked_for_are_not_used():
    ms = MultiStart([(-1, 1)] * 2, jac=False, max_num_minimizers=1)
    for p in ms.ask(3):
        ms.tell(p.id, quadratic(p.x)[0], "not even a gradient")
    assert ms.ask(3)


def test_a_difference_point_can_be_the_best():
    ms = MultiStart([(-1, 1)] * 2, jac=False, max_num_minimizers=1)
    base, first, _ = ms.ask(3)
    ms.tell(base.id, 1.0)
    ms.tell(first.id, 0.0)
    assert ms.best.id == first.id
    assert ms.best.x.tobytes() == first.x.tobytes()


@pytest.mark.parametrize("two_sided", [False, True])
def test_at_a_bound_differences_stay_inside_and_the_run_converges(two_sided):
    bounds = [(0.0, 0.4), (0.5, 3.0), (0.2, 0.2 + 1e-9)]
    ms = MultiStart(bounds, jac=False, two_sided=two_sided, max_num_minimizers=3)
    log = drive(ms, quadratic, 4)
    lower, upper = np.array(bounds).T
    assert all(np.all((lower <= p.x) & (p.x <= upper)) for p, _ in log)
    np.testing.assert_allclose(ms.best.x[:2], [0.4, 0.5], atol=1e-6)


def steep(x):
    f, g = rosenbrock(x)
    return 1e6 * f, 1e6 * g


def test_where_forward_differences_are_too_coarse_two_sided_ones_take_over():
    ms = MultiStart([(-2, 2)] * 3, jac=False, max_num_minimizers=3)
    log = drive(ms, steep)
    assert [run.state for run in ms.runs] == ["converged"] * 3
    for minimum in ms.minima:
        np.testing.assert_allclose(minimum.x, 1.0, atol=1e-4)
    # The value at the point where the second minimizer begins is not asked again.
    asked = [x.tobytes() for x in iterates(log, 0)]
    assert len(set(asked)) == len(asked)


@pytest.mark.parametrize("limit", ["maxfun", "maxiter"])
def test_the_second_minimizer_has_what_is_left_of_the_limits(limit):
    free = MultiStart([(-2, 2)] * 3, jac=False, step_size=1e-6, max_num_minimizers=1)
    log = drive(free, steep)
    points = [
        sum(p.run == 0 and p.kind == kind for p, _ in log) for kind in ("iterate", "difference")
    ]
    assert points[1] > 3 * points[0]
    for most in range(1, points[0] + 3):
        ms = MultiStart(
            [(-2, 2)] * 3, jac=False, step_size=1e-6, max_num_minimizers=1, **{limit: most}
        )
        told = [p for p, _ in drive(ms, steep, most=500) if p.run == 0 and p.kind == "iterate"]
        assert len(told) <= most or limit == "maxiter"
        assert ms.runs[0].state in ("stopped", "converged")


def test_a_failed_difference_point_is_replaced_on_the_other_side():
    ms = MultiStart([(-1, 1)] * 2, jac=False, step_size=1e-6, max_num_minimizers=1)
    base, first, second = ms.ask(3)
    ms.tell_failure(first.id, "no luck")
    (other,) = ms.ask(3)
    np.testing.assert_allclose(other.x - base.x, [-1e-6, 0], atol=1e-15)
    for p in (base, second, other):
        ms.tell(p.id, quadratic(p.x)[0])
    assert len(ms.ask(5)) == 3
    assert ms.runs[0].nfail == 1


def test_a_difference_point_that_fails_everywhere_fails_the_iterate():
    ms = MultiStart([(-1, 1)] * 2, jac=False, step_size=1e-6, max_num_minimizers=1)
    for p in ms.ask(3):
        ms.tell(p.id, quadratic(p.x)[0])
    base, first, second = ms.ask(3)
    ms.tell_failure(first.id)
    h = first.x[0] - base.x[0]
    for step in (-h, h / 8, -h / 8):
        if abs(base.x[0] + step) <= 1.0:
            (other,) = ms.ask()
            np.testing.assert_allclose(other.x - base.x, [step, 0], atol=1e-15)
            ms.tell_failure(other.id)
    again = ms.ask(3)
    assert [p.kind for p in again] == ["iterate"]
    start = ms.runs[0].x0
    assert np.linalg.norm(again[0].x - start) < np.linalg.norm(base.x - start)
    # The points of the failed iterate are told without effect, but count as observed.
    ms.tell(second.id, -7.0)
    ms.tell(base.id, 1.0)
    assert ms.best.id == second.id
    assert ms.pending == tuple(again)


def test_points_of_a_failed_iterate_that_were_not_asked_are_dropped():
    ms = MultiStart([(-1, 1)] * 5, jac=False, step_size=1e-6, max_num_minimizers=1)
    for p in ms.ask(6):
        ms.tell(p.id, quadratic(p.x)[0])
    (base,) = ms.ask()
    ms.tell(base.id, math.nan)
    (alone,) = ms.ask(9)
    assert alone.kind == "iterate"
    ms.tell(alone.id, quadratic(alone.x)[0])
    assert [p.kind for p in ms.ask(9)] == ["difference"] * 5


def test_a_gradient_that_overflows_is_a_failure():
    ms = MultiStart([(-1, 1)], jac=False, step_size=1e-6, max_num_minimizers=1)
    base, first = ms.ask(2)
    ms.tell(base.id, -1e308)
    ms.tell(first.id, 1e308)
    assert ms.runs[0].state == "failed"
    assert "not finite" in ms.runs[0].reason


# -- failures


def test_a_start_that_fails_is_replaced_by_the_next():
    ms = MultiStart(BOX, max_num_minimizers=1)
    (point,) = ms.ask()
    ms.tell_failure(point.id, "no licence")
    (point,) = ms.ask()
    assert ms.runs[0].state == "failed"
    assert ms.runs[0].reason == "the start could not be evaluated: no licence"
    assert (ms.runs[1].start, point.run) == (1, 1)
    assert np.array_equal(point.x, ms.runs[1].x0)


def test_a_sampled_start_that_fails_is_replaced_too():
    ms = MultiStart(BOX, max_num_minimizers=1, start_rule="mlsl")
    (point,) = ms.ask()
    ms.tell(point.id, math.nan, np.zeros(2))
    (point,) = ms.ask()
    assert point.run == 1
    assert ms.runs[0].state == "failed"


def test_a_given_start_that_fails_where_there_is_no_other_ends_it():
    ms = MultiStart([(None, None)], initial_samples=[[0.0]])
    (point,) = ms.ask()
    ms.tell_failure(point.id)
    assert ms.stop_reason == "all starts are used"
    assert ms.best is None


def test_a_failed_trial_steps_back_and_keeps_the_run():
    ms = MultiStart(BOX, max_num_minimizers=1)
    (start,) = ms.ask()
    ms.tell(start.id, *rosenbrock(start.x))
    (trial,) = ms.ask()
    ms.tell(trial.id, math.inf, np.zeros(2))
    (nearer,) = ms.ask()
    assert nearer.run == 0
    assert np.linalg.norm(nearer.x - start.x) < np.linalg.norm(trial.x - start.x)


@pytest.mark.parametrize("most", [1, 3])
def test_after_too_many_failures_in_a_row_a_run_is_given_up(most):
    ms = MultiStart(BOX, max_failures=most)
    (start,) = ms.ask()
    ms.tell(start.id, *rosenbrock(start.x))
    for _ in range(most):
        (point,) = ms.ask()
        assert point.run == 0
        ms.tell_failure(point.id, "diverged")
    (point,) = ms.ask()
    assert point.run == 1
    row = ms.runs[0]
    assert row.state == "failed"
    assert row.reason == f"given up after {most} failures in a row: diverged"
    assert row.f == rosenbrock(start.x)[0]


def hole(x):
    """Fails in half of the box, whoever asks and when."""
    f, g = waves(x)
    return (math.nan, g) if math.sin(40 * x[0]) > 0.6 else (f, g)


def paths_with_holes(jac, choose, slots):
    """For each start, the iterates that came of it."""
    ms = MultiStart([(-1, 1)] * 2, jac=jac, max_num_minimizers=3, step_size=1e-2)
    points = []
    while not ms.done and len(points) < 250:
        points += ms.ask(slots)
        point = choose(ms.pending)
        ms.tell(point.id, *hole(point.x))
    found = {}
    for p in points:
        if p.kind == "iterate":
            found.setdefault(ms.runs[p.run].start, []).append(p.x.tobytes())
    return found


@pytest.mark.parametrize("jac", [True, False])
def test_where_evaluations_fail_the_order_of_tells_does_not_matter_either(jac):
    one = paths_with_holes(jac, lambda pending: pending[0], 1)

    @settings(max_examples=40)
    @given(st.randoms(use_true_random=False), st.integers(2, 7))
    def holds(chance, slots):
        other = paths_with_holes(jac, chance.choice, slots)
        assert one.keys() & other.keys()
        for start in one.keys() & other.keys():
            assert all(x == y for x, y in zip(one[start], other[start], strict=False))

    holds()


# -- what is told


@pytest.mark.parametrize(
    ("g", "said"),
    [
        (None, "gradient is missing"),
        ([1.0], r"shape \(1,\); expected \(2,\)"),
        ([[1.0, 2.0]], "shape"),
        (["a", "b"], "real numbers"),
        ([1j, 0], "real numbers"),
        ([[1, 2], [3]], "numbers"),
        (np.array([None, 1.0]), "real numbers"),
    ],
)
def test_gradients_that_are_refused(g, said):
    ms = MultiStart(BOX)
    (point,) = ms.ask()
    with pytest.raises(InputError, match=said):
        ms.tell(point.id, 1.0, g)
    assert ms.pending == (point,)
    assert ms.nfev == 0


def test_numbers_of_all_kinds_are_taken():
    ms = MultiStart(BOX, num_initial=6)
    points = ms.ask(6)
    values = [1, np.float32(0.5), np.array(0.25), np.array([0.125]), [2], np.int8(3)]
    for point, f in zip(points, values, strict=True):
        ms.tell(point.id, f, [1, 2])
    assert ms.best.f == 0.125
    assert ms.best.g.tolist() == [1.0, 2.0]


def test_the_gradient_of_the_best_is_a_copy():
    ms = MultiStart(BOX)
    (point,) = ms.ask()
    g = np.array([1.0, 2.0])
    ms.tell(point.id, 1.0, g)
    g[:] = 0.0
    assert ms.best.g.tolist() == [1.0, 2.0]


def test_a_failure_without_gradient_needs_none():
    ms = MultiStart(BOX)
    (point,) = ms.ask()
    ms.tell(point.id, math.nan)
    assert ms.nfail == 1


def test_an_added_point_needs_finite_numbers():
    with pytest.raises(InputError, match="finite"):
        MultiStart(BOX).add_point([0.0, 0.0], 1.0, [math.nan, 0.0])


def test_the_slot_of_the_iterate_is_none_of_the_stencil():
    assert stencil.BASE < 0


def test_it_tells_what_it_is():
    ms = MultiStart(BOX)
    assert "n=2" in repr(ms)
    ms.finish("enough")
    assert "enough" in repr(ms)


@pytest.mark.parametrize("start_rule", ["sobol", "mlsl", "auto"])
def test_the_array_of_a_gradient_may_be_used_again(start_rule):
    def points(buffer):
        ms = MultiStart(BOX, num_initial=3, max_num_minimizers=6, start_rule=start_rule)
        asked = []
        while not ms.done:
            for point in ms.ask(3):
                value, gradient = rastrigin(point.x)
                told = gradient.copy() if buffer is None else buffer
                told[:] = gradient
                ms.tell(point.id, value, told)
                asked.append(point.x)
                if buffer is not None:
                    buffer[:] = 1e3
        return np.array(asked)

    assert np.array_equal(points(np.zeros(2)), points(None))
