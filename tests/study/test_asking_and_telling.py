from __future__ import annotations

import math
import pickle
import random
import threading

import numpy as np
import pytest

from optdriver.errors import (
    InputError,
    InputTypeError,
    ObjectiveWarning,
    ProtocolError,
    StudyDoneError,
    UnknownIdError,
)
from optdriver.studies import create_study
from optdriver.study import Observation
from tests.contracts.numbers import values, vectors
from tests.study.tools import BOX, answer, rastrigin


def study_of(**parameters):
    return create_study(BOX, **({"jac": True} | parameters))


def test_suggestions_have_an_id_and_all_parameters_by_name():
    study = study_of(initial_samples=[[0.5, -0.5]])
    suggestion = study.ask()
    assert suggestion.id == 0
    assert suggestion.params == suggestion.kwargs == {"x1": 0.5, "x2": -0.5, "radius": 2}
    assert all(type(value) in (int, float) for value in suggestion.params.values())
    assert suggestion.x.tolist() == [0.5, -0.5]
    assert suggestion.kind == "iterate"
    assert suggestion.run == 0


def test_suggestions_can_be_sent_elsewhere():
    suggestion = study_of().ask()
    again = pickle.loads(pickle.dumps(suggestion))
    assert (again.id, again.params, again.kind) == (0, suggestion.params, "iterate")


def test_ask_never_waits():
    study = study_of(num_parallel=2)
    assert study.ask(0) == []
    assert [s.id for s in study.ask(5)] == [0, 1]
    assert study.ask() is None
    assert study.ask(3) == []
    assert [s.id for s in study.open_suggestions] == [0, 1]
    for wrong in (-1, 1.5, "2", True):
        with pytest.raises(InputTypeError, match="takes a number of suggestions"):
            study.ask(wrong)


def test_every_point_lies_in_the_domain():
    for jac in (True, False):
        study = study_of(jac=jac, num_parallel=4, max_iter=300, seed=5)
        while not study.is_done():
            for suggestion in study.ask(4):
                assert np.all(np.abs(suggestion.x) <= 1.5)
                answer(study, suggestion)


def test_tells_come_in_any_order():
    def minima(order):
        study = study_of(num_parallel=4, num_initial=4, max_num_minimizers=6, seed=2)
        while not study.is_done():
            opened = study.ask(4) or list(study.open_suggestions)
            for suggestion in order(opened):
                answer(study, suggestion)
        return {tuple(run.start.values()): run.value for run in study.runs if run.value is not None}

    straight = minima(lambda opened: opened)
    shuffled = minima(lambda opened: random.Random(1).sample(opened, len(opened)))
    common = straight.keys() & shuffled.keys()
    assert len(common) >= 4
    converged = [start for start in common if straight[start] == shuffled[start]]
    assert len(converged) >= 4


def test_a_second_tell_must_be_identical():
    study = study_of()
    suggestion = study.ask()
    value, gradient = rastrigin(**suggestion.params)
    study.tell(suggestion.id, value, gradient)
    before = study.info()
    study.tell(suggestion.id, value, gradient)
    study.tell(np.int64(suggestion.id), value, {"x1": gradient[0], "x2": gradient[1]})
    for other in (value + 1, gradient), (value, gradient + 1):
        with pytest.raises(ProtocolError, match="told already, with another result"):
            study.tell(suggestion.id, *other)
    with pytest.raises(ProtocolError, match="told already.*cannot fail any more"):
        study.tell_failure(suggestion.id, "late")
    with pytest.raises(ProtocolError, match="told already"):
        study.tell(suggestion.id, math.nan, gradient)
    after = study.info()
    assert after == before | {"elapsed": after["elapsed"]}


def test_failed_is_failed():
    study = study_of()
    suggestion = study.ask()
    study.tell_failure(suggestion.id, "licence server down")
    study.tell_failure(suggestion.id, "licence server down")
    study.tell(suggestion.id, math.nan, [1, 1])
    with pytest.raises(ProtocolError, match=r"reported as failed \(licence server down\)"):
        study.tell(suggestion.id, 1.0, [1, 1])
    assert study.info()["num_failed"] == 1


@pytest.mark.parametrize("id", [3, -1, "0", 0.0, None, True])
def test_unknown_ids(id):
    study = study_of()
    study.ask()
    for call in (
        lambda: study.tell(id, 1.0, [1, 1]),
        lambda: study.tell_failure(id),
        lambda: study.clear_suggestion(id),
        lambda: study.get_observation_data("x" if id is None else id),
        lambda: study.wants(id),
    ):
        with pytest.raises(UnknownIdError, match="unknown suggestion id"):
            call()


def test_missing_derivatives_are_named_and_the_suggestion_stays_open():
    study = study_of()
    suggestion = study.ask()
    with pytest.raises(InputError, match="derivative by 'x1' is missing"):
        study.tell(suggestion.id, 1.0)
    with pytest.raises(InputError, match="derivative by 'x2' is missing"):
        study.tell(suggestion.id, 1.0, {"x1": 1})
    observation = study.new_observation()
    observation.add(1.0)
    observation.add(derivative="x1", value=1.0)
    with pytest.raises(InputError, match="derivative by 'x2' is missing"):
        study.add_observation(observation, suggestion.id)
    with pytest.raises(InputTypeError, match="one real number"):
        study.tell(suggestion.id, "1.0", [1, 1])
    assert study.wants(suggestion.id)
    study.tell(suggestion.id, 1.0, [1, 1])
    assert not study.wants(suggestion.id)


def test_gradients_whose_square_overflows_are_finite():
    study = study_of()
    suggestion = study.ask()
    study.tell(suggestion.id, 1.0, [1e200, -1e200])
    assert study.best.gradient.tolist() == [1e200, -1e200]
    study.tell(study.ask().id, 1.0, [math.inf, -math.inf])
    assert study.info()["num_failed"] == 1


def test_a_gradient_that_is_not_asked_for_is_not_used():
    study = study_of(jac=False, max_iter=30, num_parallel=3)
    plain = study_of(jac=False, max_iter=30, num_parallel=3)
    for one, gradient in ((study, [1e9, 1e9]), (plain, None)):
        while not one.is_done():
            for suggestion in one.ask(3):
                one.tell(suggestion.id, rastrigin(**suggestion.params)[0], gradient)
    assert study.history.x.tobytes() == plain.history.x.tobytes()


def test_a_gradient_that_is_not_used_is_said_once():
    study = study_of(jac=False, max_iter=6)
    with pytest.warns(ObjectiveWarning, match="set jac=True") as caught:
        study.run(rastrigin)
    assert len(caught) == 1
    study = study_of(jac=False, driver="Nelder-Mead", max_iter=6)
    study.run(rastrigin)  # which needs none


def test_finite_differences_are_asked_together():
    study = create_study(dict.fromkeys("abcd", (0, 1)), num_parallel=5)
    kinds = [s.kind for s in study.ask(5)]
    assert kinds == ["iterate", *["difference"] * 4]


@pytest.fixture
def alone(monkeypatch):
    """No thread but this one, whatever other tests have left behind."""
    monkeypatch.setattr(threading, "enumerate", lambda: [threading.current_thread()])


def test_get_suggestion_raises_where_nothing_could_come(alone):
    study = study_of(num_parallel=2, max_iter=3)
    first, second = study.get_suggestion(), study.get_suggestion()
    with pytest.raises(ProtocolError, match=r"would wait for ever: 2 suggestions.*\[0, 1\]"):
        study.get_suggestion()
    assert study.get_suggestion(block=False) is None
    assert study.get_suggestion(timeout=0) is None
    answer(study, first)
    third = study.get_suggestion()
    assert study.is_done()  # of three evaluations, one has ended and two are open
    with pytest.raises(StudyDoneError, match="max_iter = 3"):
        study.get_suggestion()
    answer(study, second)
    answer(study, third)
    with pytest.raises(StudyDoneError, match="max_iter = 3 evaluations are used up"):
        study.get_suggestion()
    assert study.ask() is None


def test_points_of_ones_own_count_for_the_best_and_the_history():
    study = study_of(max_iter=2)
    assert study.add_point({"x1": 0, "x2": 0, "radius": 2}, *rastrigin(0, 0)) == 0
    assert study.add_point([0.5, 0.5], 17.0) == 1
    assert study.best.value == 0.0
    assert study.best.params == {"x1": 0.0, "x2": 0.0, "radius": 2}
    assert study.best.run == -1
    assert study.num_evaluations == 0
    assert study.ask().id == 2
    assert study.history["kind"].tolist() == ["added", "added"]


@pytest.mark.parametrize(
    ("point", "value", "gradient", "message"),
    [
        ([5, 0], 1.0, None, "'x1' is 5.0, outside"),
        ([0], 1.0, None, "1 values for 2"),
        ([0, 0], math.nan, None, "cannot be added: the value is nan"),
        ([0, 0], 1.0, [math.inf, 0], "cannot be added: the derivative by 'x1' is inf"),
        ([0, 0], None, None, "needs a value"),
        ([0, 0], "1", None, "one real number"),
    ],
)
def test_points_that_cannot_be_added(point, value, gradient, message):
    study = study_of()
    with pytest.raises(InputError, match=message):
        study.add_point(point, value, gradient)
    assert study.best is None
    assert len(study.history["id"]) == 0


def test_release_hands_a_suggestion_out_again():
    study = study_of(max_iter=2)
    first = study.ask()
    study.release(first.id)
    assert study.num_evaluations == 0
    again = study.ask()
    assert (again.id, again.params) == (first.id, first.params)
    study.release(again.id, spent=True)
    assert study.num_evaluations == 1
    study.ask()
    answer(study, first)
    assert study.num_evaluations == 2
    assert study.history["attempts"].tolist() == [3]
    with pytest.raises(ProtocolError, match="not open"):
        study.release(first.id)
    with pytest.raises(UnknownIdError):
        study.release(9)


def test_a_late_result_of_a_released_suggestion_is_taken():
    study = study_of(max_iter=5)
    first = study.ask()
    study.release(first.id)
    answer(study, first)
    assert study.num_evaluations == 1
    assert study.ask().id == 1


def test_a_study_can_be_seen_before_it_begins():
    study = study_of()
    assert study.best is None
    assert study.minima == ()
    assert study.runs == ()
    assert study.stop_reason is None
    assert study.stop_kind is None
    assert study.info()["status"] == "created"
    assert not study.is_done()
    assert "2 parameters, 0 evaluations, best value none" in repr(study)
    study.set_parameters(seed=3)  # looking did not begin it
    assert study.parameters["seed"] == 3


def test_observations_are_told_too():
    study = study_of()
    observation = Observation()
    observation.add(2.0)
    observation.add(derivative="x1", value=1.0)
    observation.add(derivative="x2", value=1.0)
    suggestion = study.ask()
    with pytest.raises(InputError, match="no gradient beside it"):
        study.tell(suggestion.id, observation, [1, 1])
    study.tell(suggestion.id, observation)
    assert study.best.value == 2.0


@pytest.mark.parametrize("timeout", ["1", math.nan, True, [1]])
def test_a_timeout_is_a_number_of_seconds(timeout):
    study = study_of()
    with pytest.raises(InputTypeError, match="timeout is a number of seconds"):
        study.get_suggestion(timeout=timeout)
    assert study.open_suggestions == ()


def test_add_many_adds_all_or_none():
    study, good, bad = study_of(), Observation(), Observation()
    good.add(1.0)
    with pytest.raises(InputError, match="has no value"):
        study.add_many([good, bad], [[0.5, 0.5], [0.0, 0.0]])
    assert study.best is None
    bad.add(2.0)
    assert study.add_many([good, bad], [[0.5, 0.5], [0.0, 0.0]]) == [0, 1]


def test_numbers_of_every_kind_are_told_alike():
    def told(value, gradient):
        study = create_study({"x": (-3, 3), "y": (-3, 3)}, jac=True, seed=4)
        study.tell(study.ask().id, value, gradient)
        return study.to_dict()["ledger"], study.ask().x.tolist()

    ledger, x = told(3.0, [1.0, -2.0])
    forms = [(value, [1.0, -2.0]) for value in values(3).values()]
    forms += [(3.0, gradient) for gradient in vectors([1, -2]).values()]
    forms += [(3.0, {"y": part, "x": 1}) for part in values(-2).values()]
    for value, gradient in forms:
        other, next_x = told(value, gradient)
        assert next_x == x
        assert other["value"].tolist() == ledger["value"].tolist()
        assert other["gradient"].tolist() == ledger["gradient"].tolist()
