from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from optdriver.errors import ProtocolError, StudyDoneError
from optdriver.studies import create_study
from tests.study.tools import BOX, answer


def test_get_suggestion_waits_for_other_threads():
    study = create_study(BOX, jac=True, num_parallel=3, num_initial=3, max_iter=60)
    ids = []

    def evaluate(suggestion):
        answer(study, suggestion)

    with ThreadPoolExecutor(3) as pool:
        while not study.is_done():
            suggestion = study.get_suggestion()
            ids.append(suggestion.id)
            pool.submit(evaluate, suggestion)
    assert ids == list(range(60))
    assert study.num_evaluations == 60


@pytest.mark.parametrize("daemon", [False, True])
def test_a_thread_each(daemon):
    study = create_study(BOX, jac=True, num_parallel=2, num_initial=2, max_iter=20)
    threads = []
    while not study.is_done():
        suggestion = study.get_suggestion()
        threads.append(threading.Thread(target=answer, args=(study, suggestion), daemon=daemon))
        threads[-1].start()
    for thread in threads:
        thread.join()
    assert study.num_evaluations == 20


def test_workers_that_ask_for_themselves():
    study = create_study(BOX, num_parallel=3, num_initial=2, max_num_minimizers=4, max_iter=500)
    errors = []

    def work():
        try:
            while True:
                answer(study, study.get_suggestion())
        except StudyDoneError:
            return
        except Exception as error:  # noqa: BLE001 - shown by the test
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]  # more than slots
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert study.stop_kind == "driver"
    history = study.history
    assert len(set(history["id"])) == len(history["id"])


def test_many_threads_lose_nothing():
    study = create_study(
        BOX, jac=True, num_parallel=8, num_initial=8, max_iter=400, stop_after_failures=1e9
    )

    def work(number):
        told = 0
        while not study.is_done():
            suggestion = study.ask()
            if suggestion is None:
                continue
            if suggestion.id % 17 == number:
                study.tell_failure(suggestion.id, "crash")
            else:
                answer(study, suggestion)
                answer(study, suggestion)
            told += 1
        return told

    with ThreadPoolExecutor(8) as pool:
        told = sum(pool.map(work, range(8)))
    assert told == 400 == study.num_evaluations
    assert study.history["id"].tolist() == list(range(400))
    states = study.history["state"].tolist()
    assert states.count("failed") == study.info()["num_failed"]


def only(*threads):
    """Make these all the threads there are, beside the one that asks."""
    return lambda: [t for t in (threading.current_thread(), *threads) if t.is_alive()]


def test_it_does_not_wait_for_daemons_that_have_nothing_to_do_with_it(monkeypatch):
    stop = threading.Event()
    heartbeat = threading.Thread(target=stop.wait, args=(60,), daemon=True)
    heartbeat.start()
    monkeypatch.setattr(threading, "enumerate", only(heartbeat))
    study = create_study(BOX, jac=True)
    study.get_suggestion()
    with pytest.raises(ProtocolError, match="would wait for ever"):
        study.get_suggestion()
    stop.set()


def test_it_gives_up_when_the_last_thread_ends_without_a_result(monkeypatch):
    study = create_study(BOX, jac=True)
    study.get_suggestion()
    go_on = threading.Event()
    other = threading.Thread(target=go_on.wait, args=(60,))
    other.start()
    monkeypatch.setattr(threading, "enumerate", only(other))
    assert study.get_suggestion(timeout=0.01) is None
    go_on.set()
    with pytest.raises(ProtocolError, match="would wait for ever"):
        study.get_suggestion()
    other.join()


def test_those_who_wait_hear_of_the_end():
    study = create_study(BOX, jac=True)
    suggestion = study.get_suggestion()
    ended = []

    def wait():
        try:
            study.get_suggestion()
        except StudyDoneError as error:
            ended.append(str(error))

    waiting = threading.Thread(target=wait)
    waiting.start()
    study.stop("enough")
    waiting.join()
    assert ended == ["no more suggestions: enough; run() or resume() goes on"]
    answer(study, suggestion)
