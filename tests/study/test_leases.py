"""Suggestions whose holder is never heard of again."""

from __future__ import annotations

import itertools
import threading

import pytest

from optdriver.errors import InputError, ProtocolError
from optdriver.studies import create_study
from optdriver.study import Study
from optdriver.study.events import Late
from tests.study.tools import BOX, Clock, answer, rastrigin, same


@pytest.fixture
def clock():
    return Clock()


def leased(clock, **parameters):
    given = {"jac": True, "lease_seconds": 10, "seed": 1} | parameters
    return create_study(BOX, clock=clock, journal=[], **given)


def test_there_are_no_leases_unless_asked_for(clock):
    study = create_study(BOX, jac=True, clock=clock)
    study.ask()
    clock.time += 1e9
    assert study.ask() is None
    with pytest.raises(InputError, match="'lease_seconds' must be a number above 0"):
        study.set_parameters(lease_seconds=0)


def test_a_lost_point_is_handed_out_again_and_then_has_failed(clock):
    study = leased(clock)
    first = study.ask()
    clock.time += 9.5
    assert study.ask() is None
    clock.time += 0.5
    again = study.ask()
    assert (again.id, again.params) == (first.id, first.params)
    clock.time += 10
    other = study.ask()
    assert other.id != first.id
    assert study.history["state"].tolist() == ["failed"]
    assert "its lease ended" in study.history["reason"][0]
    assert study.info()["num_failed"] == 2


def test_a_late_tell_is_accepted_while_the_point_is_wanted(clock):
    study = leased(clock, num_parallel=2, num_initial=2)
    first = study.ask()
    clock.time += 11
    second = study.ask(2)
    assert first.id in [one.id for one in second]
    answer(study, first)
    answer(study, first)
    assert study.num_evaluations == 2  # the lost one counts too
    assert study.best.id == first.id


def test_a_late_tell_has_no_effect_when_the_point_is_settled(clock):
    study = leased(clock, worker_retries=0)
    first = study.ask()
    clock.time += 11
    answer(study, study.ask())
    before = study.to_dict()
    study.tell(first.id, -1e9, [0.0, 0.0])
    study.tell_failure(first.id, "too late")
    assert same(study.to_dict(), before)
    events = study._desk.journal
    assert type(events[-1]) is Late
    assert events[-1].value == -1e9
    again = Study.from_events(study.spec, list(events))
    assert same(again.to_dict()["driver"], study.to_dict()["driver"])
    assert again.best.value == study.best.value > -1e9


def test_the_slower_of_two_holders_is_not_blamed(clock):
    study = leased(clock)
    first = study.ask()
    clock.time += 11
    assert study.ask().id == first.id
    value, gradient = rastrigin(first.params["x1"], first.params["x2"])
    study.tell(first.id, value, gradient)
    study.tell(first.id, value + 1e-12, gradient)
    assert study.best.value == value
    other = study.ask()
    answer(study, other)
    with pytest.raises(ProtocolError, match="told already, with another result"):
        study.tell(other.id, -1.0, gradient)


def test_three_lost_points_stop_the_study(clock):
    study = leased(clock, worker_retries=0, stop_after_failures=3)
    for _ in range(3):
        study.ask()
        clock.time += 11
    assert study.ask() is None
    assert study.stop_kind == "failures"


def test_leases_count_run_time_only(clock):
    study = leased(clock, num_parallel=2, num_initial=2)
    first = study.ask()
    clock.time += 6
    study.suspend()
    data = study.to_dict()
    clock.time += 1000
    again = Study.from_dict(data, clock=clock)
    assert again.ask().id == 1
    clock.time += 3
    assert again.ask() is None
    clock.time += 2
    assert again.ask().id == first.id


def test_the_lease_is_that_of_the_moment_of_asking(clock):
    study = leased(clock)
    study.ask()
    study.set_parameters(lease_seconds=float("inf"))
    clock.time += 11
    assert study.ask().id == 0
    clock.time += 1e9
    assert study.ask() is None


def test_waiting_for_a_suggestion_ends_with_a_lease():
    study = create_study(BOX, jac=True, lease_seconds=5, clock=itertools.count(1.0).__next__)
    first = study.get_suggestion()
    assert study.get_suggestion().id == first.id


def test_a_straggler_in_run_is_evaluated_again(clock):
    release, calls = threading.Event(), []

    def objective(x1, x2, radius):
        calls.append(x1)
        if len(calls) == 1:
            clock.time += 11
            release.wait()
        elif calls.count(calls[0]) == 2:
            release.set()
        return rastrigin(x1, x2)

    study = create_study(
        BOX,
        jac=True,
        clock=clock,
        lease_seconds=10,
        num_parallel=2,
        num_initial=1,
        max_num_minimizers=1,
    )
    study.run(objective)
    assert calls.count(calls[0]) == 2
    assert study.history["state"].tolist()[0] == "told"
    assert study.stop_kind == "driver"
