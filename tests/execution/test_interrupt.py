from __future__ import annotations

import signal
import threading

import pytest

from optdriver.studies import create_study
from tests.study.tools import BOX, rastrigin


def study_of(**parameters):
    return create_study(BOX, **({"jac": True, "max_iter": 40} | parameters))


def test_the_first_ctrl_c_finishes_what_is_open(capfd):
    def objective(study, x1, x2, radius):
        if study.num_evaluations == 5:
            signal.raise_signal(signal.SIGINT)
        return rastrigin(x1, x2)

    study = study_of()
    study.run(objective)
    assert study.num_evaluations == 6
    assert study.stop_kind == "interrupt"
    assert "Ctrl-C" in study.stop_reason
    assert study.open_suggestions == ()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert "Ctrl-C again leaves at once" in capfd.readouterr().err
    study.run(lambda x1, x2, radius: rastrigin(x1, x2))
    assert study.num_evaluations == 40


def test_the_second_ctrl_c_leaves_at_once_in_this_thread():
    calls = []

    def objective(study, x1, x2, radius):
        calls.append(1)
        if len(calls) == 6:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
        return rastrigin(x1, x2)

    study = study_of()
    with pytest.raises(KeyboardInterrupt):
        study.run(objective)
    assert study.num_evaluations == len(calls) == 6  # the one that was broken off counts
    assert study.open_suggestions == ()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    study.run(objective)
    assert study.num_evaluations == len(calls) == 40
    assert study.history["attempts"].tolist()[4:7] == [1, 2, 1]


def test_the_second_ctrl_c_leaves_the_threads_behind():
    main, release, first = threading.main_thread(), threading.Event(), threading.Lock()

    calls = []

    def objective(study, x1, x2, radius):
        calls.append(1)
        if study.num_evaluations >= 5 and not release.is_set():
            if first.acquire(blocking=False):
                signal.pthread_kill(main.ident, signal.SIGINT)
                while study.stop_kind is None:
                    release.wait(0.001)
                signal.pthread_kill(main.ident, signal.SIGINT)
            release.wait(60)
        return rastrigin(x1, x2)

    study = study_of(num_parallel=3, num_initial=3)
    with pytest.raises(KeyboardInterrupt):
        study.run(objective)
    release.set()
    assert 5 < study.num_evaluations < 40
    assert study.open_suggestions == ()
    study.run(objective)
    assert study.num_evaluations == 40
    assert len(calls) <= 40


def test_a_handler_of_ones_own_is_left_alone():
    caught = []

    def objective(study, x1, x2, radius):
        if study.num_evaluations == 5:
            signal.raise_signal(signal.SIGINT)
        return rastrigin(x1, x2)

    before = signal.signal(signal.SIGINT, lambda *_: caught.append(1))
    try:
        study = study_of()
        study.run(objective)
    finally:
        signal.signal(signal.SIGINT, before)
    assert caught == [1]
    assert study.num_evaluations == 40


def test_it_runs_in_any_thread():
    study = study_of()
    thread = threading.Thread(target=study.run, args=(lambda x1, x2, radius: rastrigin(x1, x2),))
    thread.start()
    thread.join()
    assert study.num_evaluations == 40
