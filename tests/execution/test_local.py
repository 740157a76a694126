from __future__ import annotations

import threading

import pytest

from optdriver.execution import LocalExecutor


def test_one_worker_is_the_calling_thread():
    with LocalExecutor(1) as pool:
        future = pool.submit(lambda: (threading.get_ident(), pool.calling))
        assert future.result(timeout=0) == (threading.get_ident(), True)
        assert not pool.calling


def test_threads():
    with LocalExecutor(3) as pool:
        meeting = threading.Barrier(3, timeout=60)
        futures = [pool.submit(meeting.wait) for _ in range(3)]
        assert sorted(future.result() for future in futures) == [0, 1, 2]


def test_errors_reach_the_future():
    def fail(error):
        raise error

    with LocalExecutor(2) as pool:
        with pytest.raises(ArithmeticError):
            pool.submit(fail, ArithmeticError()).result()
        with pytest.raises(KeyboardInterrupt):
            pool.submit(fail, KeyboardInterrupt()).result()
        assert pool.submit(int, "7").result() == 7


def test_shutdown_can_cancel_what_has_not_begun():
    pool, begun, go_on = LocalExecutor(2), threading.Barrier(3, timeout=60), threading.Event()

    def work():
        begun.wait()
        go_on.wait(60)

    running = [pool.submit(work) for _ in range(2)]
    begun.wait()
    waiting = pool.submit(int)
    pool.shutdown(wait=False, cancel_futures=True)
    assert waiting.cancelled()
    go_on.set()
    for future in running:
        future.result()


def test_threads_begin_when_they_are_wanted():
    executor = LocalExecutor(64)
    assert executor.has_threads
    for done in range(3):
        assert executor.submit(abs, -1).result() == 1
        assert len(executor._threads) == done + 1
    executor.shutdown()
    assert not any(thread.is_alive() for thread in executor._threads)


def test_threads_are_no_more_than_places():
    executor = LocalExecutor(2)
    assert [executor.submit(abs, -k).result() for k in range(9)] == list(range(9))
    assert len(executor._threads) == 2
    executor.shutdown()
