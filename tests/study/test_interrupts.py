"""A call of a study that is broken off anywhere: the next one finds nothing amiss."""

import copy
import pickle
import random

import numpy as np
import pytest

import optdriver
from optdriver.errors import ProtocolError
from tests.contracts.interrupts import Interrupt, Interrupter, insist

BOX = {"x1": (-1.5, 1.5), "x2": (-2.0, 1.0), "radius": 2}
SETTINGS = {
    "gradients": {"jac": True, "num_initial": 3, "max_iter": 24},
    "differences": {"jac": False, "num_initial": 2, "max_iter": 24, "eps": 1e-12},
    "linkage": {"jac": True, "num_initial": 2, "start_rule": "mlsl", "retries": 1, "max_iter": 24},
    "one place": {
        "jac": True,
        "num_initial": 3,
        "max_iter": 24,
        "initial_samples": [[0.5, 0.5]] * 3,
    },
}


def objective(x1, x2, radius):
    x, k = np.array([x1, x2]), np.arange(1.0, 3.0)
    f = np.sum(0.1 * (x - 0.3) ** 2 + np.cos(3 * x + k)) * radius
    return float(f), radius * (0.2 * (x - 0.3) - 3 * np.sin(3 * x + k))


def new(setting, path=None, **more):
    settings = {"num_parallel": 3, "seed": 1} | SETTINGS[setting] | more
    return optdriver.create_study(BOX, storage=path, **settings)


def answer(study, suggestion):
    if suggestion.id % 11 == 7:
        study.tell_failure(suggestion.id, "on purpose")
    else:
        value, gradient = objective(**suggestion.params)
        study.tell(suggestion.id, value, gradient if study.parameters["jac"] else None)


def answer_all(study):
    opened = study.open_suggestions
    results = [objective(**suggestion.params) for suggestion in opened]
    values, gradients = zip(*results, strict=True)
    study.tell_arrays([suggestion.id for suggestion in opened], values, np.array(gradients))


def play(study, make):
    """Run a study to its end; return what was asked, in its order.  `make` makes every call."""
    asked = []
    while True:
        while (suggestion := make(study.ask)) is not None:
            asked.append((suggestion.id, suggestion.kind, suggestion.run, suggestion.x.tobytes()))
        opened = make(lambda: study.open_suggestions)
        if not opened:
            return asked
        chosen = max(opened, key=lambda one: one.id * 7919 % 5)
        make(lambda chosen=chosen: answer(study, chosen))


def undisturbed(function):
    return function()


@pytest.mark.parametrize("kept", [False, True], ids=["in memory", "kept"])
@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("seeds", [range(1), pytest.param(range(1, 4), marks=pytest.mark.slow)])
def test_what_is_asked_does_not_depend_on_interrupts(setting, kept, seeds, tmp_path):
    expected = play(new(setting), undisturbed)
    assert len(expected) == 24
    for seed in seeds:
        rng = random.Random(seed)
        moments = [rng.randint(1, rng.choice([30, 300, 1500])) for _ in range(80)]
        path = tmp_path / f"{seed}.db" if kept else None
        study = new(setting, path)
        assert play(study, insist(iter(moments))) == expected
        if kept:
            assert study.verify().points == 24
            study.close()
            with optdriver.load_study(path) as study:
                assert study.verify().points == 24


def broken_off(study, call, at):
    """Interrupt a call; return whether it got so far."""
    try:
        Interrupter(at).call(lambda: call(study))
    except Interrupt:
        return True
    return False


def observed(value):
    observation = optdriver.Observation()
    observation.add(value)
    return observation


MANY = [observed(value) for value in (1.0, 3.0, 2.0)]
CALLS = {
    "ask": lambda study: study.ask(2),
    "get_suggestion": lambda study: study.get_suggestion(block=False),
    "tell": lambda study: answer(study, study.open_suggestions[0]),
    "ask_arrays": lambda study: study.ask_arrays(2),
    "tell_arrays": lambda study: answer_all(study),
    "tell_failure": lambda study: study.tell_failure(study.open_suggestions[0].id),
    "clear": lambda study: study.clear_suggestion(study.open_suggestions[0].id),
    "release": lambda study: study.release(study.open_suggestions[0].id),
    "add_point": lambda study: study.add_point([0.5, 0.5], 1.0, [0.0, 0.0]),
    "add_many": lambda study: study.add_many(MANY, [[0.5, 0.5], [0.25, -1.0], [-1.0, 0.5]]),
    "clear_all": lambda study: study.clear_all_suggestions(),
    "release_all": lambda study: study.release_all(),
    "stop": lambda study: study.stop(),
    "set_parameters": lambda study: study.set_parameters(max_iter=12),
    "suspend": lambda study: study.suspend(),
    "is_done": lambda study: study.is_done(),
    "info": lambda study: study.info(),
    "to_dict": lambda study: study.to_dict(),
}


def prepared(path):
    study = new("gradients", path, max_iter=14)
    for _ in range(5):
        study.ask(2)
        answer(study, study.open_suggestions[0])
    return study


def rest(study):
    study.resume()
    asked = play(study, undisturbed)
    return asked, study.num_evaluations, study.best.x.tobytes(), study.stop_kind


@pytest.mark.parametrize("kept", [False, True], ids=["in memory", "kept"])
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("step", [157, pytest.param(31, marks=pytest.mark.slow)])
def test_a_call_has_happened_or_has_not(call, kept, step, tmp_path):
    path = tmp_path / "study.db" if kept else None
    without, whole = prepared(None), prepared(None)
    CALLS[call](whole)
    known = [again for study in (without, whole) for again in [study.to_dict(), rest(study)]]
    before, after = known[1], known[3]
    at = 1
    while True:
        study = prepared(path)
        if not broken_off(study, CALLS[call], at):
            break
        opened = [suggestion.id for suggestion in study.open_suggestions]
        assert len(set(opened)) == len(opened)
        result = rest(study)
        if call in ("ask", "ask_arrays", "get_suggestion"):  # what was not received comes again
            assert result == before
        else:
            assert result in (before, after)
        if kept:
            assert study.verify().points
            study.close()
            path.unlink()
        at += step
    assert at > 1


@pytest.mark.parametrize("kept", [False, True], ids=["in memory", "kept"])
def test_many_points_are_added_all_or_none(kept, tmp_path):
    path, at, seen = tmp_path / "study.db" if kept else None, 1, set()
    while True:
        study = prepared(path)
        before = len(study.history["id"])
        if not broken_off(study, CALLS["add_many"], at):
            break
        seen.add(len(study.history["id"]) - before)
        if kept:
            study.close()
            with optdriver.load_study(path) as study:
                assert len(study.history["id"]) - before in (0, 3)
                assert study.verify().points
            path.unlink()
        at += 47
    assert seen == {0, 3}


def test_suggestions_that_were_not_received_come_first():
    study, expected = new("gradients"), new("gradients").ask(3)
    lost = 0
    for at in range(1, 4000, 19):
        study = new("gradients")
        if not broken_off(study, lambda study: study.ask(3), at):
            break
        opened = study.open_suggestions
        assert not study.is_done()
        again = study.ask(3)
        assert [suggestion.id for suggestion in again] == [0, 1, 2]
        assert all((a.x == b.x).all() for a, b in zip(again, expected, strict=True))
        assert study.ask() is None
        lost += len(opened) > 0
    assert lost > 5


def test_a_list_as_journal_has_every_event_once():
    expected = []
    play(optdriver.Study.from_events(new("gradients").spec, [], journal=expected), undisturbed)
    for seed in range(3):
        rng = random.Random(seed)
        events = []
        study = optdriver.Study.from_events(new("gradients").spec, [], journal=events)
        play(study, insist(rng.randint(1, 900) for _ in range(40)))
        assert [type(event) for event in events] == [type(event) for event in expected]
        again = optdriver.Study.from_events(study.spec, events)
        assert again.best.x.tobytes() == study.best.x.tobytes()


def test_an_event_that_was_recorded_whole_is_not_taken_twice():
    """An interrupt may come between the end of the recording and the note that it has ended."""
    events = []
    study = optdriver.Study.from_events(new("gradients").spec, [], journal=events)
    answer(study, study.ask())
    record = study._desk._record
    record._given = (events[-1],)
    _, state, last = record.restored(study.spec)
    assert last is events[-1]
    assert state.spent == study.num_evaluations == 1


def test_an_unforeseen_error_leaves_the_study_as_the_record_says(monkeypatch):
    expected = play(new("gradients"), undisturbed)
    study = new("gradients")
    asked = [(s.id, s.kind, s.run, s.x.tobytes()) for s in study.ask(3)]

    def broken(*_arguments):
        raise ArithmeticError("unforeseen")

    with monkeypatch.context() as patch:
        patch.setattr("optdriver.multistart.scheduler._settle", broken)
        with pytest.raises(ArithmeticError):
            answer(study, study.open_suggestions[1])
    assert study.num_evaluations == 1
    rest_of_it = play(study, undisturbed)
    assert len(asked + rest_of_it) == len(expected)


def test_a_copy_of_the_state_is_taken_now_and_then(monkeypatch):
    monkeypatch.setattr("optdriver.study.recall.PAYS", 4)
    expected = play(new("gradients"), undisturbed)
    rng = random.Random(5)
    study = new("gradients")
    assert play(study, insist(rng.randint(1, 400) for _ in range(60))) == expected


def test_a_kept_study_is_not_copied_or_pickled(tmp_path):
    with new("gradients", tmp_path / "study.db") as study:
        for make in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(ProtocolError, match=r"load_study.*export"):
                make(study)
    study = new("gradients")
    study.ask()
    for again in (copy.copy(study), copy.deepcopy(study), pickle.loads(pickle.dumps(study))):
        assert play(again, undisturbed) == play(copy.copy(study), undisturbed)


def test_lost_suggestions_are_given_back(monkeypatch):
    monkeypatch.setattr("optdriver.study.waiting.SPINS", 50)
    study = new("gradients")
    lost = [suggestion.id for suggestion in study.ask(3)]
    with pytest.warns(RuntimeWarning, match=r"3 suggestions are open .*release_all") as caught:
        for _ in range(200):
            assert not study.is_done()
            assert study.ask(3) == []
    assert len(caught) == 1
    study.release()  # only those of an earlier process
    assert study.ask() is None
    study.release_all()
    assert [suggestion.id for suggestion in study.ask(3)] == lost
