"""Many results at once: told, and asked for, as one event each, with the same study as outcome."""

from __future__ import annotations

import logging
import math
import threading
from concurrent.futures import Executor, Future, ThreadPoolExecutor

import numpy as np
import pytest

from optdriver import create_study
from optdriver.errors import InputError, StorageError
from optdriver.study import Observation
from optdriver.study.events import Asked, RoundAsked, RoundTold, Told

BOX = {"x": (-3.0, 3.0), "y": (-2.0, 4.0)}
PLACES = 16


def waves(x, y):
    value = x**2 + 2 * (y - 1) ** 2 + math.sin(3 * x)
    return value, [2 * x + 3 * math.cos(3 * x), 4 * (y - 1)]


def many_waves(points):
    found = [waves(*point) for point in points.tolist()]
    return np.array([value for value, _ in found]), np.array([slope for _, slope in found])


class AtOnce(Executor):
    """Has done what is submitted: all results of a round are there when one is wanted."""

    def submit(self, fn, /, *args):
        future = Future()
        try:
            future.set_result(fn(*args))
        except Exception as error:  # noqa: BLE001
            future.set_exception(error)
        return future


def study_of(**given):
    return create_study(BOX, **({"jac": True, "num_parallel": PLACES, "max_iter": 200} | given))


def kinds(events, *wanted):
    """The kinds of events, of the wanted ones, in their order."""
    return [type(event) for event in events if isinstance(event, wanted)]


def test_a_round_in_a_pool_is_that_of_a_vectorized_objective():
    events = []
    ours, expected = study_of(journal=events), study_of()
    ours.run(waves, executor=AtOnce(), progress=False)
    expected.run(many_waves, vectorized=True, progress=False)
    assert ours.history.x.tobytes() == expected.history.x.tobytes()
    assert ours.info()["min_objective"] == expected.info()["min_objective"]
    told = kinds(events, Asked, RoundAsked, Told, RoundTold)
    assert told.count(RoundTold) == math.ceil(200 / PLACES)
    assert RoundAsked in told
    assert not {Asked, Told} & set(told)


@pytest.mark.parametrize("jac", [True, False])
def test_threads_tell_every_result_once(jac):
    study = study_of(jac=jac, max_iter=700)
    called = []

    def objective(x, y):
        called.append((x, y))
        return waves(x, y) if jac else waves(x, y)[0]

    with ThreadPoolExecutor(PLACES) as pool:
        study.run(objective, executor=pool, progress=False)
    history = study.history
    assert study.num_evaluations == len(called) == 700
    assert sorted(map(tuple, history.x.tolist())) == sorted(called)
    values = np.asarray(history["value"])
    assert np.array_equal(values, [waves(*point)[0] for point in history.x.tolist()])
    assert not study.open_suggestions


def odd(x, y):
    """Return what is not told with others, in several ways, and plain results beside it."""
    which = int(abs(x) * 1e6) % 15
    value, slope = waves(x, y)
    if which == 0:
        raise ValueError("off")
    if which == 1:
        return math.nan, slope
    if which == 2:
        return np.float32(value), slope
    if which == 3:
        observation = Observation()
        observation.add(value)
        observation.add(derivative="x", value=slope[0])
        observation.add(derivative="y", value=slope[1])
        return observation
    return value, (np.array(slope), slope, {"x": slope[0], "y": slope[1]})[which % 3]


def test_what_is_not_plain_is_told_by_itself():
    events = []
    mixed = study_of(journal=events, max_iter=160, max_num_minimizers=math.inf)
    mixed.run(odd, executor=AtOnce(), progress=False)
    assert {Told, RoundTold} <= set(kinds(events, Told, RoundTold))
    history = mixed.history
    for point, value, state in zip(
        history.x.tolist(), history["value"], history["state"], strict=True
    ):
        which = int(abs(point[0]) * 1e6) % 15
        assert state == ("failed" if which in (0, 1) else "told")
        expected = waves(*point)[0]
        if state == "told":
            assert value == (np.float32(expected) if which == 2 else expected)
    assert mixed.num_evaluations == 160


def test_a_wrong_result_is_an_error_and_the_others_are_told():
    study = study_of(max_iter=64)
    count = []

    def objective(x, y):
        count.append(x)
        return (waves(x, y)[0], [1.0]) if len(count) == 12 else waves(x, y)

    with pytest.raises(InputError, match="gradient"):
        study.run(objective, executor=AtOnce(), progress=False)
    assert len(study.history.x[study.history["state"] == "told"]) == PLACES - 1
    study.run(waves, progress=False)
    assert len(study.history.x[study.history["state"] == "told"]) == 64 - 1  # one call is spent


def test_results_that_nobody_wants_any_more_have_no_effect():
    study = study_of(max_iter=48)
    cleared = []

    def objective(x, y, study):
        if not cleared and len(study.open_suggestions) == PLACES:
            cleared.append(study.open_suggestions[3].id)
            study.clear_suggestion(cleared[0], "by hand")
        return waves(x, y)

    study.run(objective, executor=ThreadPoolExecutor(PLACES), progress=False)
    assert study.history["state"][cleared[0]] == "failed"
    assert study.num_evaluations == 48


class Full(list):
    """A journal whose disk is full once, when results of a round are written."""

    full = True

    def append(self, event):
        if self.full and isinstance(event, RoundTold):
            type(self).full = False
            raise StorageError("no space left")
        super().append(event)


def test_what_could_not_be_written_is_told_by_the_next_run():
    study, calls = study_of(journal=Full(), max_iter=32), []

    def objective(x, y):
        calls.append((x, y))
        return waves(x, y)

    with pytest.raises(StorageError, match="no space left"):
        study.run(objective, executor=AtOnce(), progress=False)
    assert study.num_evaluations == 0
    study.run(objective, executor=AtOnce(), progress=False)
    assert study.num_evaluations == len(calls) == 32
    assert [tuple(point) for point in study.history.x.tolist()] == calls


def test_an_executor_that_takes_no_more_in_the_middle_of_a_round():
    class Closes(AtOnce):
        left = 10

        def submit(self, fn, /, *args):
            self.left -= 1
            if self.left < 0:
                raise RuntimeError("cannot schedule new futures after shutdown")
            return super().submit(fn, *args)

    study = study_of(max_iter=40)
    with pytest.raises(Exception, match="takes no more work"):
        study.run(waves, executor=Closes(), progress=False)
    assert study.num_evaluations == 10
    assert not [each for each in study.history["state"] if each == "open"]
    study.run(waves, executor=AtOnce(), progress=False)
    assert study.num_evaluations == 40


def test_each_result_is_a_line_of_the_log_where_lines_are_wanted(caplog):
    events = []
    with caplog.at_level(logging.INFO, "optdriver"):
        study_of(journal=events, max_iter=32).run(waves, executor=AtOnce(), progress=False)
    assert not kinds(events, RoundTold)
    assert sum("evaluation" in line and "best" in line for line in caplog.messages) == 32


def test_max_evaluations_and_a_stop_are_kept_to():
    study = study_of(max_iter=1000)
    study.run(waves, executor=AtOnce(), max_evaluations=45, progress=False)
    assert study.num_evaluations == 45
    lock, seen = threading.Lock(), []

    def objective(x, y):
        with lock:
            seen.append(x)
            if len(seen) == 20:
                study.stop("enough")
        return waves(x, y)

    study.run(objective, executor=ThreadPoolExecutor(PLACES), progress=False)
    assert study.stop_reason == "enough"
    assert study.num_evaluations == 45 + len(seen) < 45 + 20 + 2 * PLACES
