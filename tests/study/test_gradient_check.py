from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optdriver.errors import GradientError
from optdriver.studies import create_study
from optdriver.study.gradient_check import STEP, GradientCheck, begin, failed, suspicious, told


def smooth(x):
    k = np.arange(1, x.size + 1)
    return float(np.sum(np.cos(k * x) + x**2 / k)), -k * np.sin(k * x) + 2 * x / k


def check(function, z, bounds):
    """Run a check to its end; return it and the points that it wanted."""
    record, seen = GradientCheck(), []
    wanted = begin(record, z, *function(z), bounds)
    while wanted:
        index, point = wanted.pop(0)
        seen.append(point)
        wanted += told(record, index, *function(point))
    assert record.done
    return record, seen


@given(st.integers(1, 12), st.integers(0, 2**32 - 1), st.sampled_from([0.0, 1e-9, 0.3, 1.0]))
def test_a_right_gradient_costs_one_evaluation_inside_the_bounds(n, seed, edge):
    rng = np.random.default_rng(seed)
    z = np.where(rng.random(n) < 0.5, edge, rng.random(n))
    bounds = np.array([[0.0, 1.0]] * n)
    record, seen = check(smooth, z, bounds)
    assert suspicious(record) is None
    assert len(seen) == 1
    assert np.all((seen[0] >= 0) & (seen[0] <= 1))
    assert np.max(np.abs(seen[0] - z)) <= STEP * (1 + 1e-9)


@given(
    st.integers(1, 12), st.integers(0, 2**32 - 1), st.data(),
    st.sampled_from([-1.0, 0.0, 2.0, 1.2, math.inf]),
)  # fmt: skip
def test_one_wrong_derivative_is_named(n, seed, data, factor):
    wrong = data.draw(st.integers(0, n - 1))
    z = np.random.default_rng(seed).uniform(0.3, 0.9, n)
    if abs(smooth(z)[1][wrong]) < 0.1:
        return

    def function(x):
        f, g = smooth(x)
        g[wrong] = g[wrong] * factor if factor < math.inf else g[wrong] + 10
        return f, g

    record, seen = check(function, z, np.array([[0.0, 1.0]] * n))
    assert suspicious(record) == wrong
    assert len(seen) == n + 1


def test_noise_and_float32_do_not_alarm():
    rng = np.random.default_rng(1)

    def function(x):
        f, g = smooth(x)
        return float(np.float32(f)), g * (1 + 1e-4 * rng.standard_normal(x.size))

    for z in rng.uniform(0.2, 0.8, (50, 3)):
        assert suspicious(check(function, z, np.array([[0.0, 1.0]] * 3))[0]) is None


def test_a_box_without_inside_has_nothing_to_check():
    record = GradientCheck()
    assert begin(record, np.ones(2), *smooth(np.ones(2)), np.ones((2, 2))) == []
    assert record.done
    assert suspicious(record) is None


def test_failed_points_end_it_after_three_bases():
    record, z = GradientCheck(), np.full(2, 0.5)
    for _ in range(3):
        assert not record.done
        begin(record, z, *smooth(z), np.array([[0.0, 1.0]] * 2))
        failed(record)
    assert record.done
    assert suspicious(record) is None


def objective(a, b, c):
    f, g = smooth(np.array([a, b, c]))
    return f, g


def test_a_study_counts_its_check_and_goes_on():
    study = create_study(dict.fromkeys("abc", (0, 1)), jac=True, check_grad=True, max_iter=20)
    study.run(objective)
    assert study.num_evaluations == 20
    assert np.sum(study.history["kind"] == "check") == 1
    plain = create_study(dict.fromkeys("abc", (0, 1)), jac=True, max_iter=19)
    plain.run(objective)
    kept = study.history.x[study.history["kind"] != "check"]
    assert kept.tobytes() == plain.history.x.tobytes()


def test_a_study_stops_and_names_the_parameter():
    def wrong(a, b, c):
        f, g = objective(a, b, c)
        g[1] = -g[1]
        return f, g

    box = dict.fromkeys("abc", (0, 1000))
    study = create_study(box, jac=True, check_grad=True, seed=4, max_iter=99)
    with pytest.raises(GradientError, match="derivative by 'b' looks wrong: the objective suppl"):
        study.run(wrong)
    assert study.stop_kind == "check_grad"
    assert study.num_evaluations == 5
    assert study.is_done()
    study.resume()
    assert study.ask() is None


def test_a_failed_check_is_repeated_elsewhere():
    calls = []

    def fragile(a, b, c):
        calls.append(a)
        if len(calls) == 2:
            raise ArithmeticError("no")
        return objective(a, b, c)

    study = create_study(dict.fromkeys("abc", (0, 1)), jac=True, check_grad=True, max_iter=9)
    study.run(fragile)
    assert study.history["kind"].tolist()[:4] == ["iterate", "check", "iterate", "check"]
    assert study.history["state"].tolist()[:4] == ["told", "failed", "told", "told"]


def test_the_cap_holds_during_a_check():
    study = create_study(dict.fromkeys("abc", (0, 1)), jac=True, check_grad=True, max_iter=3)
    study.run(lambda a, b, c: (a + b + c, [1, 1, -1]))
    assert study.num_evaluations == 3
    assert study.stop_kind == "max_iter"


def test_points_of_a_base_that_was_given_up_are_not_mixed_with_the_next():
    def wrong(a, b, c):
        f, g = objective(a, b, c)
        g[1] = -g[1]
        return f, g

    study = create_study(
        dict.fromkeys("abc", (0, 1)), jac=True, check_grad=True, num_parallel=6, num_initial=1,
        max_num_minimizers=1, max_iter=60,
    )  # fmt: skip
    for _ in range(2):  # the base, and the point along the direction
        for suggestion in study.ask(6):
            study.tell(suggestion.id, *wrong(**suggestion.params))
    opened = study.ask(6)
    first, second, third = [s for s in opened if s.kind == "check"]
    study.tell_failure(first.id, "crash")
    for suggestion in opened:
        if suggestion.kind == "iterate":
            study.tell(suggestion.id, *wrong(**suggestion.params))  # the next base
    study.tell(second.id, *wrong(**second.params))
    study.tell_failure(third.id, "crash")
    while not study.is_done():
        for suggestion in study.ask(6):
            study.tell(suggestion.id, *wrong(**suggestion.params))
    assert study.stop_kind == "check_grad"
    assert "derivative by 'b'" in study.stop_reason


@pytest.mark.parametrize("bad", [0, 1])
def test_a_gradient_too_large_for_the_drivers_coordinates_is_no_part_of_a_check(bad):
    """It is finite in the user's units, and infinite after the chain rule."""
    study = create_study({"x": (1e9, 3e12)}, jac=True, check_grad=True, max_iter=12, seed=2)
    ids = []
    while (suggestion := study.ask()) is not None:
        x = suggestion.x
        assert np.isfinite(x).all() and 1e9 <= x[0] <= 3e12
        away = (x - 1e12) / 1e12
        gradient = [1.7e308] if suggestion.id == bad else 2e-12 * away
        study.tell(suggestion.id, float(away @ away), gradient)
        ids.append(suggestion.kind)
    assert "check" in ids
    assert study.stop_kind != "check_grad"
    assert study.best.value < 1e-6
