"""A study that is stopped at any point goes on as if it had never been."""

from __future__ import annotations

import copy
import json
import pickle
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optdriver.errors import InputError, ProtocolError
from optdriver.studies import create_study
from optdriver.study import Spec, Study
from optdriver.study.events import Added, Asked, Held, Stopped, Told, pack, unpack
from tests.study.tools import BOX, Clock, answer, rastrigin, same


def listed(data):
    """What JSON makes of a record: lists for arrays."""
    return json.loads(json.dumps(data, default=lambda array: array.tolist()))


def by_dict(study, journal, clock):
    return Study.from_dict(study.to_dict(), journal=journal, clock=clock)


def by_json(study, journal, clock):
    return Study.from_dict(listed(study.to_dict()), journal=journal, clock=clock)


def by_events(study, journal, clock):
    return Study.from_events(study.spec, list(journal), journal=journal, clock=clock)


def by_packed_events(study, journal, clock):
    spec = Spec.from_dict(listed(study.spec.to_dict()))
    events = [unpack(listed(pack(event))) for event in journal]
    return Study.from_events(spec, events, journal=journal, clock=clock)


WAYS = [by_dict, by_json, by_events, by_packed_events]
SETTINGS = st.fixed_dictionaries(
    {
        "jac": st.booleans(),
        "num_parallel": st.integers(1, 4),
        "num_initial": st.integers(1, 3),
        "max_num_minimizers": st.sampled_from([3, float("inf")]),
        "max_iter": st.sampled_from([15, 60, float("inf")]),
        "eps": st.sampled_from([0.0, 1e-3]),
        "retries": st.integers(0, 1),
        "start_rule": st.sampled_from(["sobol", "mlsl", "auto"]),
        "seed": st.integers(0, 3),
    }
)


class Session:
    """Plays a study by a script of random choices; `change` may put another in its place."""

    def __init__(self, parameters, seed, change=None):
        self.random = random.Random(seed)
        self.clock, self.journal, self.change = Clock(), [], change
        if parameters["jac"]:
            parameters = parameters | {"check_grad": True}
        self.study = create_study(BOX, journal=self.journal, clock=self.clock, **parameters)
        self.asked = []

    def play(self, steps):
        for step in range(steps):
            self.clock.time += 1.0
            self.step()
            if step % 4 == 0:
                self.study.suspend()
                if self.change is not None:
                    self.study = self.change(self.study, self.journal, self.clock)
                self.study.start_clock()
        return self

    def step(self):
        study = self.study
        opened = study.open_suggestions
        move = self.random.random()
        if move < 0.5 or not opened:
            suggestion = study.ask()
            if suggestion is not None:
                self.asked.append((suggestion.id, suggestion.x.tobytes()))
            elif study.stop_kind in ("stop", "failures"):
                study.resume()
            return
        suggestion = self.random.choice(opened)
        if move < 0.9:
            answer(study, suggestion)
        elif move < 0.94:
            study.tell_failure(suggestion.id, "bad luck", worker_died=move < 0.92)
        elif move < 0.96:
            study.release(suggestion.id, spent=move < 0.95)
        elif move < 0.97:
            value, gradient = rastrigin(0.1, move)
            study.add_point([0.1, move], value, gradient)
        elif move < 0.98:
            study.clear_all_suggestions()
        elif move < 0.99:
            study.stop()
        else:
            study.is_done()


@settings(max_examples=40)
@given(SETTINGS, st.integers(0, 10**6), st.sampled_from(WAYS))
def test_a_restored_study_goes_on_identically(parameters, seed, way):
    whole = Session(parameters, seed).play(70)
    parts = Session(parameters, seed, way).play(70)
    assert parts.asked == whole.asked
    assert same(parts.study.to_dict(), whole.study.to_dict())
    assert same([pack(event) for event in parts.journal], [pack(e) for e in whole.journal])


@pytest.mark.parametrize("jac", [True, False])
def test_every_suspension_point(jac):
    parameters = {"jac": jac, "num_parallel": 3, "num_initial": 2, "max_iter": 40, "eps": 1e-9}

    def ask(study):
        return [(s.id, s.x.tobytes()) for s in study.ask(3)]

    def tell(study):
        for suggestion in reversed(study.open_suggestions):
            if suggestion.id == 7:
                study.tell_failure(7, "no")
            else:
                answer(study, suggestion)

    study, seen, snapshots = create_study(BOX, **parameters), [], []
    while not study.is_done():
        snapshots.append((pickle.dumps(study), len(seen)))
        seen += ask(study)
        snapshots.append((pickle.dumps(study), len(seen)))
        tell(study)
    for data, number in snapshots:
        again, tail = pickle.loads(data), []
        tell(again)
        while not again.is_done():
            tail += ask(again)
            tell(again)
        assert tail == seen[number:]
        assert same(again.to_dict()["driver"], study.to_dict()["driver"])


def test_open_suggestions_can_be_told_under_their_old_ids():
    study = create_study(BOX, jac=True, num_parallel=3)
    first = study.ask(3)
    again = pickle.loads(pickle.dumps(study))
    assert [s.id for s in again.open_suggestions] == [s.id for s in first]
    assert again.ask() is None
    for suggestion in first:
        answer(again, suggestion)
    assert again.num_evaluations == 3


def test_open_suggestions_can_be_handed_out_again():
    study = create_study(BOX, jac=True, num_parallel=2, max_iter=2)
    first = study.ask(2)
    again = copy.deepcopy(study)
    again.release()
    assert [(s.id, s.params) for s in again.ask(5)] == [(s.id, s.params) for s in first]
    again.release()  # these it handed out itself
    assert again.ask() is None
    study.release(first[0].id)
    assert study.ask().id == first[0].id


def test_run_time_is_kept_and_the_pause_is_not():
    clock = Clock()
    study = create_study(BOX, jac=True, max_time=10, clock=clock)
    study.start_clock()
    clock.time += 6
    answer(study, study.ask())
    data = study.to_dict()
    clock.time += 1000
    again = Study.from_dict(data, clock=clock)
    assert again.info()["elapsed"] == 6
    assert not again.is_done()
    answer(again, again.ask())
    clock.time += 3
    answer(again, again.ask())
    clock.time += 1
    assert again.ask() is None
    assert again.stop_kind == "max_time"


def test_suspend_halts_the_clock():
    clock = Clock()
    study = create_study(BOX, jac=True, clock=clock)
    study.start_clock()
    clock.time += 2
    study.suspend()
    study.suspend()
    clock.time += 100
    assert study.info()["elapsed"] == 2
    study.ask()
    clock.time += 1
    assert study.info()["elapsed"] == 3


def test_clock_that_goes_back_does_not_take_time_away():
    clock = Clock()
    study = create_study(BOX, jac=True, clock=clock)
    clock.time += 2
    suggestion = study.ask()
    clock.time -= 50
    answer(study, suggestion)
    assert study.history["ended"].tolist() == [0.0]


def test_events_that_belong_elsewhere_are_refused():
    journal = []
    study = create_study(BOX, jac=True, journal=journal)
    for _ in range(5):
        answer(study, study.ask())
    other = create_study(BOX, jac=True, seed=1)
    with pytest.raises(ProtocolError, match="events do not fit this study"):
        Study.from_events(other.spec, journal)
    with pytest.raises(ProtocolError, match="suggestion 0, which is not open"):
        Study.from_events(study.spec, journal[1:])
    changed = [Asked(id=3, point=0, run=0, kind="iterate", x=journal[0].x, time=0.0)]
    with pytest.raises(ProtocolError, match="hand out suggestion 3, expected 0"):
        Study.from_events(study.spec, changed)
    added = [Added(id=4, x=journal[0].x, value=1.0, gradient=None, time=0.0)]
    with pytest.raises(ProtocolError, match="add a point as 4, expected 0"):
        Study.from_events(study.spec, added)
    with pytest.raises(ProtocolError, match="replaying them leads to"):
        limited = create_study(BOX, jac=True, max_num_minimizers=1)
        Study.from_events(limited.spec, [journal[0], journal[2]])


def test_records_of_another_version_are_refused():
    study = create_study(BOX)
    data = study.to_dict()
    with pytest.raises(InputError, match="version 99; this library reads 1"):
        Study.from_dict(data | {"version": 99})
    with pytest.raises(InputError, match="version 99"):
        Spec.from_dict(study.spec.to_dict() | {"version": 99})
    with pytest.raises(InputError, match="not list"):
        Study.from_dict([])
    with pytest.raises(InputError, match="not an event"):
        unpack({"event": "Party"})


def test_a_study_can_be_pickled_without_its_objective():
    study = create_study(BOX, jac=True, max_iter=3)
    study.set_objective(lambda x1, x2, radius: rastrigin(x1, x2))
    study.run()
    again = pickle.loads(pickle.dumps(study))
    assert again.objective is None
    assert again.best.params == study.best.params
    assert again.is_done()


def test_the_journal_gets_each_event_before_it_takes_effect():
    class Full(list):
        def append(self, event):
            if isinstance(event, Told) and len(self) == 3:
                raise OSError("disk full")
            super().append(event)

    study = create_study(BOX, jac=True, journal=(journal := Full()))
    answer(study, study.ask())
    suggestion = study.ask()
    with pytest.raises(OSError, match="disk full"):
        answer(study, suggestion)
    assert study.num_evaluations == 1
    assert [s.id for s in study.open_suggestions] == [1]
    assert [type(event) for event in journal] == [Asked, Told, Asked]


def test_a_point_looked_at_and_not_handed_out_is_a_fact():
    journal = []
    given = {"jac": True, "eps": 1e-3, "memory": False, "initial_samples": [[0.1, 0.1]]}
    study = create_study(BOX, journal=journal, **given)
    study.add_point([0.1, 0.1], *rastrigin(0.1, 0.1))
    assert study.is_done()
    assert study.stop_kind == "eps"
    assert [type(event) for event in journal[1:]] == [Held, Stopped]
    again = Study.from_events(study.spec, journal)
    for one in (study, again):
        one.set_parameters(eps=0.0)
        assert not one.is_done()
        assert one.ask().x.tolist() == [0.1, 0.1]
    assert same(again.to_dict()["ledger"]["x"], study.to_dict()["ledger"]["x"])


def test_arrays_that_were_handed_out_cannot_be_changed():
    study = create_study(BOX, jac=True)
    suggestion = study.ask()
    with pytest.raises(ValueError, match="read-only"):
        suggestion.x[0] = 0
    gradient = np.array([1.0, 2.0])
    study.tell(suggestion.id, 1.0, gradient)
    gradient[:] = 7.0
    assert study.best.gradient.tolist() == [1.0, 2.0]
    study.best.x[:] = 7.0
    assert study.best.x.tolist() == suggestion.x.tolist()


@pytest.mark.parametrize(
    "change", [{"spec": None}, {"open": [{}]}, {"stop": []}, {"queue": 3}, {"check": "x"}]
)
def test_what_is_no_stored_study(change):
    with pytest.raises(InputError, match="no stored study"):
        Study.from_dict({"version": 1})
    with pytest.raises(InputError):
        Study.from_dict(create_study(BOX).to_dict() | change)
