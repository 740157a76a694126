"""Threads in which an evaluation has ended tell it, and ask for the next one, themselves."""

from __future__ import annotations

import itertools
import math
import signal
import threading
from concurrent.futures import Future
from queue import Empty

import numpy as np
import pytest

from optdriver import create_study
from optdriver.errors import InputError, StorageError
from optdriver.execution.turns import Turns
from optdriver.storage import SQLiteJournal
from optdriver.study import Study

BOX = {"x": (-3.0, 3.0), "y": (-2.0, 4.0)}


def waves(x, y):
    value = x**2 + 2 * (y - 1) ** 2 + math.sin(3 * x)
    return value, [2 * x + 3 * math.cos(3 * x), 4 * (y - 1)]


def study_of(**given):
    return create_study(BOX, **({"jac": True, "num_parallel": 6, "max_iter": 300} | given))


class Noted:
    """Which threads tell results of any study, in the order of the calls."""

    def __init__(self, monkeypatch):
        self.names = []
        for name in ("tell", "tell_arrays"):
            monkeypatch.setattr(Study, name, self._noting(getattr(Study, name)))

    def _noting(self, method):
        def told(study, *given, **named):
            self.names.append(threading.current_thread().name)
            return method(study, *given, **named)

        return told


@pytest.fixture
def noted(monkeypatch):
    return Noted(monkeypatch)


def test_each_result_is_told_once_by_the_thread_that_has_it_or_another_one(noted):
    study, called = study_of(), []

    def objective(x, y):
        called.append((x, y))
        return waves(x, y)

    study.run(objective, progress=False)
    history = study.history
    assert study.num_evaluations == len(called) == 300
    assert sorted(map(tuple, history.x.tolist())) == sorted(called)
    expected = [waves(*point)[0] for point in history.x.tolist()]
    assert np.array_equal(np.asarray(history["value"]), expected)
    assert not study.open_suggestions
    assert any(name.startswith("optdriver-") for name in noted.names)


class Journal:
    """A journal of a user's, which may belong to its thread."""

    def __init__(self):
        self.events = []

    def append(self, event):
        assert threading.current_thread() is threading.main_thread()
        self.events.append(event)


@pytest.mark.parametrize(
    "given",
    [
        {"journal": Journal()},
        {"jac": False},
        {"constraints": ["x + y <= 4"]},
        {"driver": "SLSQP", "max_num_minimizers": 2},
    ],
    ids=["journal", "unused gradient", "constraints", "method of SciPy's"],
)
@pytest.mark.filterwarnings("ignore:a gradient was told")
def test_where_code_of_others_is_called_the_thread_that_runs_tells(noted, given):
    study = study_of(**given, max_iter=40)
    study.run(waves, progress=False)
    assert study.num_evaluations > 3
    assert set(noted.names) == {"MainThread"}


def test_an_error_in_the_turn_of_another_thread_is_raised_by_run_and_no_point_is_lost():
    study, called = study_of(), []

    def objective(x, y):
        called.append((x, y))
        return (1.0, [1.0, 2.0, 3.0]) if len(called) == 100 else waves(x, y)

    with pytest.raises(InputError, match="gradient"):
        study.run(objective, progress=False)
    assert 100 <= study.num_evaluations <= len(called) < 110
    assert not study.open_suggestions
    study.run(waves, progress=False)
    assert study.num_evaluations == 300
    assert set(called) <= set(map(tuple, study.history.x.tolist()))


def test_the_first_ctrl_c_finishes_what_is_open(capfd):
    main, sent = threading.main_thread(), threading.Lock()
    study = study_of()

    def objective(study, x, y):
        if study.num_evaluations >= 50 and sent.acquire(blocking=False):
            signal.pthread_kill(main.ident, signal.SIGINT)
        return waves(x, y)

    study.run(objective, progress=False)
    assert "stopping" in capfd.readouterr().err
    assert study.stop_kind == "interrupt"
    assert 50 <= study.num_evaluations < 300
    assert not study.open_suggestions
    study.run(waves, progress=False)
    assert study.num_evaluations == 300


def test_the_second_ctrl_c_leaves_the_threads_behind_and_their_results_have_no_effect():
    main, release, first = threading.main_thread(), threading.Event(), threading.Lock()
    ended = []

    def objective(study, x, y):
        if study.num_evaluations >= 20 and not release.is_set():
            if first.acquire(blocking=False):
                signal.pthread_kill(main.ident, signal.SIGINT)
                while study.stop_kind is None:
                    release.wait(0.001)
                signal.pthread_kill(main.ident, signal.SIGINT)
            release.wait(60)
            ended.append(threading.current_thread())
        return waves(x, y)

    study = study_of()
    with pytest.raises(KeyboardInterrupt):
        study.run(objective, progress=False)
    before = study.num_evaluations
    release.set()
    for thread in list(ended):
        thread.join()
    assert study.num_evaluations == before
    assert study.open_suggestions == ()
    study.run(waves, progress=False)
    assert study.num_evaluations + study.info()["num_failed"] <= 300


def done(result=None):
    future = Future()
    future.set_result(result)
    return future


def test_a_result_that_comes_in_a_turn_waits_for_its_end():
    taken = []

    def turn(future):
        taken.append(future.result())
        if future.result() == 1:
            turns.came(done(2))
            assert taken == [1]
        return True

    turns = Turns(turn, own=True)
    turns.came(done(1))
    assert taken == [1, 2]


def test_one_that_comes_while_another_thread_has_the_turn_is_taken_by_that_one():
    taken, begun, go_on = [], threading.Event(), threading.Event()

    def turn(future):
        taken.append((future.result(), threading.current_thread().name))
        begun.set()
        go_on.wait(60)
        return True

    turns = Turns(turn, own=True)
    other = threading.Thread(target=turns.came, args=(done(1),), name="other")
    other.start()
    begun.wait(60)
    turns.came(done(2))
    assert taken == [(1, "other")]
    go_on.set()
    other.join()
    assert taken == [(1, "other"), (2, "other")]


def test_the_last_result_wakes_the_thread_that_runs():
    turns = Turns(lambda future: future.result(), own=True)
    turns.came(done(True))
    with pytest.raises(Empty):
        turns.wait(0.0)
    turns.came(done(False))
    assert turns.wait(0.0) is None


def test_an_error_ends_all_turns_and_is_raised_where_the_study_runs():
    taken = []

    def turn(future):
        taken.append(future.result())
        raise SystemExit(3)

    turns = Turns(turn, own=True)
    turns.came(done(1))
    turns.came(done(2))
    assert turns.wait(0.0) is None
    with pytest.raises(SystemExit):
        turns.take(list)
    turns.end(list)
    turns.came(done(3))
    assert taken == [1]


def test_places_that_are_added_while_the_study_runs_have_threads_too():
    study, numbers = study_of(num_parallel=2, max_iter=40), itertools.count()
    meeting = threading.Barrier(5, timeout=60)

    def objective(x, y):
        number = next(numbers)
        if number == 0:
            study.set_parameters(num_parallel=5)
        elif number <= 5:
            meeting.wait()
        return waves(x, y)

    study.run(objective, progress=False)
    assert study.num_evaluations == 40
    assert not any(study.history["reason"])


def test_results_that_could_not_be_written_are_told_by_the_next_run_though_they_are_there_already(
    monkeypatch, tmp_path
):
    full, once, calls = threading.Event(), threading.Lock(), []
    append = SQLiteJournal.append

    def appended(journal, *event):
        if full.is_set():
            raise StorageError("no space left")
        return append(journal, *event)

    def objective(x, y):
        calls.append((x, y))
        if len(calls) >= 20 and once.acquire(blocking=False):
            full.set()
        return waves(x, y)

    monkeypatch.setattr(SQLiteJournal, "append", appended)
    with study_of(storage=tmp_path / "study.db", num_parallel=4, max_iter=60) as study:
        with pytest.raises(StorageError, match="no space left"):
            study.run(objective, progress=False)
        assert study.open_suggestions
        full.clear()
        study.run(objective, progress=False)
        assert study.num_evaluations == len(calls) == 60
        assert sorted(map(tuple, study.history.x.tolist())) == sorted(calls)
        assert study.verify().points == 60
