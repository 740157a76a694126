from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optdriver.errors import ProtocolError
from optdriver.studies import create_study
from tests.study.tools import BOX, Clock, answer, rastrigin, rastrigin_value


@given(
    st.integers(1, 40), st.booleans(), st.integers(1, 5), st.integers(1, 3), st.integers(0, 2),
    st.integers(0, 100),
)  # fmt: skip
def test_max_iter_is_a_hard_cap(cap, jac, parallel, initial, retries, seed):
    calls = 0

    def objective(x1, x2, radius):
        nonlocal calls
        calls += 1
        if calls % 7 == seed % 7:
            raise ArithmeticError
        value, gradient = rastrigin(x1, x2)
        return (value, gradient) if jac else value

    study = create_study(
        BOX, max_iter=cap, jac=jac, num_parallel=parallel, num_initial=initial, retries=retries,
        seed=seed, stop_after_failures=math.inf, check_grad=jac,
    )  # fmt: skip
    by_hand(study, objective)
    assert calls == cap == study.num_evaluations
    assert study.stop_kind == "max_iter"
    assert study.is_done()
    assert study.ask() is None


def by_hand(study, objective):
    """Keep `num_parallel` suggestions open all the time, and tell the newest first."""
    opened = []
    while True:
        while (suggestion := study.ask()) is not None:
            opened.append(suggestion)
            assert study.num_evaluations + len(opened) <= study.parameters["max_iter"]
        if not opened:
            return
        suggestion = opened.pop()
        try:
            result = objective(**suggestion.params)
        except ArithmeticError:
            study.tell_failure(suggestion.id, "no")
        else:
            study.tell(suggestion.id, *(result if isinstance(result, tuple) else (result,)))


def test_limits_can_be_raised_later():
    study = create_study(BOX, jac=True, max_iter=3)
    study.run(rastrigin)
    assert study.is_done()
    study.set_parameters(max_iter=8)
    assert not study.is_done()
    assert study.stop_reason is None
    study.run(rastrigin)
    assert study.num_evaluations == 8
    whole = create_study(BOX, jac=True, max_iter=8)
    whole.run(rastrigin)
    assert study.history.x.tobytes() == whole.history.x.tobytes()


def test_what_the_driver_was_made_of_cannot_be_changed_later():
    study = create_study(BOX, jac=True)
    answer(study, study.ask())
    for name, value in {"jac": False, "seed": 1, "project_starts": False}.items():
        with pytest.raises(ProtocolError, match=f"'{name}' cannot be changed once"):
            study.set_parameters(**{name: value})
    with pytest.raises(ProtocolError, match="'ftol' cannot be changed"):
        study.configure(f_tol=1e-3, max_iter=3)
    study.set_parameters(jac=True, num_parallel=2)  # the same as before is no change
    assert study.parameters["max_iter"] == math.inf
    assert len(study.ask(5)) == 2


def test_max_time_is_run_time():
    clock = Clock()
    study = create_study(BOX, jac=True, max_time=10, num_parallel=2, clock=clock)
    clock.time += 50  # not started
    study.start_clock()
    clock.time += 9
    first, second = study.ask(2)
    clock.time += 2
    assert study.is_done()
    assert "max_time = 10 s" in study.stop_reason
    assert study.ask() is None
    answer(study, first)
    answer(study, second)
    assert study.num_evaluations == 2
    assert study.history["asked"].tolist() == [9.0, 9.0]
    assert study.history["ended"].tolist() == [11.0, 11.0]


def test_the_first_suggestion_starts_the_clock():
    clock = Clock()
    study = create_study(BOX, jac=True, max_time=10, clock=clock)
    clock.time += 50
    answer(study, study.ask())
    clock.time += 9.5
    assert not study.is_done()
    clock.time += 0.5
    assert study.is_done()


def test_min_val():
    study = create_study(BOX, jac=True, min_val=0.5, max_iter=500)
    study.run(rastrigin)
    assert study.stop_kind == "min_val"
    assert study.best.value <= 0.5
    assert np.sum(study.history["value"] <= 0.5) == 1
    assert study.best.id == study.num_evaluations - 1


def test_a_point_added_can_reach_min_val():
    study = create_study(BOX, jac=True, min_val=0.5)
    study.add_point([0, 0], 0.0)
    assert study.is_done()


def test_eps_stops_near_the_best_point():
    study = create_study(BOX, jac=True, eps=1e-3, initial_samples=[[0.3, 0.3]], max_iter=100)
    study.run(rastrigin)
    assert study.stop_kind == "eps"
    history = study.history
    best = np.minimum.accumulate(history["value"])
    for row in range(1, len(best)):
        nearest = history.x[np.argmin(history["value"][:row])]
        assert np.linalg.norm(history.x[row] - nearest) >= 1e-3
    assert study.best.value < 0.1


def test_eps_does_not_look_at_finite_differences():
    study = create_study(BOX, eps=1e-3, initial_samples=[[0.3, 0.3]], max_iter=200)
    study.run(rastrigin_value)
    assert study.stop_kind == "eps"
    assert study.num_evaluations > 9
    assert study.best.value < 0.1


def test_eps_is_measured_in_the_users_parameters():
    def far(x):
        return (x - 1) ** 2, [2 * (x - 1)]

    study = create_study({"x": (0, 1e6)}, jac=True, eps=10.0, initial_samples=[[9]])
    study.run(far)
    assert study.stop_kind == "eps"
    assert "lie 9 from the best point known, closer than eps = 10" in study.stop_reason


def test_is_done_looks_ahead_for_eps():
    study = create_study(BOX, jac=True, eps=1e-3, initial_samples=[[0.3, 0.3]])
    while not study.is_done():
        answer(study, study.get_suggestion())
    assert study.stop_kind == "eps"


def test_the_driver_ends_when_enough_minimizers_have_converged():
    study = create_study(BOX, jac=True, max_num_minimizers=3)
    study.run(rastrigin)
    assert study.stop_kind == "driver"
    assert study.stop_reason == "3 minimizers have converged"
    assert sum(run.state == "converged" for run in study.runs) == 3


def test_stop_and_resume():
    study = create_study(BOX, jac=True, num_parallel=2)
    first, second = study.ask(2)
    study.stop("lunch")
    study.stop("again")
    assert study.stop_reason == "lunch"
    assert study.ask() is None
    assert study.is_done()
    answer(study, second)
    answer(study, first)
    study.resume()
    assert study.stop_reason is None
    assert len(study.ask(2)) == 2


def test_a_limit_is_not_resumed():
    study = create_study(BOX, jac=True, max_iter=1)
    answer(study, study.ask())
    study.resume()
    assert study.ask() is None


def test_all_bounds_equal_is_one_evaluation():
    study = create_study({"x": (1, 1), "y": (2, 2)}, jac=True, max_iter=9)
    study.run(lambda x, y: (x + y, [1, 1]))
    assert study.best.params == {"x": 1.0, "y": 2.0}
    assert study.num_evaluations == 1
    assert study.is_done()
