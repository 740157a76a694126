"""A time limit for each evaluation: what hangs has failed, and its place is free."""

from __future__ import annotations

import contextlib
import itertools
import threading
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor

import loky
import pytest

from optdriver.errors import InputError, InputTypeError, ProtocolError
from optdriver.execution import LocalExecutor, deadlines
from optdriver.execution.pools import Pool
from optdriver.study import create_study

BOX = {"x": (-2.0, 2.0), "y": (-1.0, 3.0)}


class Hanging:
    """A bowl that hangs at some of its calls until `release` is called.

    Time passes in it only: a second in each call that comes back.
    """

    def __init__(self, *hang):
        self.hang = hang
        self.calls, self.now = 0, 0.0
        self.lock, self.go_on = threading.Lock(), threading.Event()
        self.left = []

    def __call__(self, x, y):
        with self.lock:
            self.calls += 1
            number = self.calls
            self.now += number not in self.hang
        if number in self.hang:
            self.go_on.wait(60)
            self.left.append(number)
        return (x - 0.3) ** 2 + (y - 1.0) ** 2, [2 * (x - 0.3), 2 * (y - 1.0)]


@pytest.fixture
def hanging(monkeypatch):
    made = []

    def make(*hang):
        made.append(Hanging(*hang))
        monkeypatch.setattr(deadlines, "monotonic", lambda: made[-1].now)
        return made[-1]

    yield make
    for one in made:
        one.go_on.set()


def failed(study):
    return [reason for reason in study.history["reason"] if reason]


def test_one_that_hangs_has_failed_and_the_study_ends_at_the_minimum(hanging):
    fun = hanging(3)

    def now():  # time passes where one hangs
        fun.now += 10.0 if fun.calls == 3 else 0.0
        return fun.now

    deadlines.monotonic = now  # put back by the fixture
    study = create_study(BOX, jac=True, max_num_minimizers=1)
    study.run(fun, timeout=30)
    assert failed(study) == ["timeout: it did not end within 30 s"]
    assert study.best.value < 1e-10
    assert fun.left == []


def test_the_other_places_go_on_meanwhile(hanging):
    fun = hanging(1)
    study = create_study(BOX, jac=True, num_parallel=2, num_initial=2, max_iter=12)
    study.run(fun, timeout=5)
    assert fun.calls == 12
    assert failed(study) == ["timeout: it did not end within 5 s"]
    assert study.num_evaluations == 12


def test_the_time_of_the_study_holds_while_one_hangs(hanging):
    fun = hanging(1)
    study = create_study(
        BOX, jac=True, num_parallel=2, num_initial=2, max_time=20, clock=lambda: fun.now
    )

    def now():
        fun.now += study.stop_kind is not None
        return fun.now

    deadlines.monotonic = now  # put back by the fixture
    study.run(fun, timeout=50)
    assert study.stop_kind == "max_time"
    assert fun.calls <= 22
    assert failed(study) == ["timeout: it did not end within 50 s"]
    assert not study.open_suggestions


def test_what_hung_may_come_back_late_and_changes_nothing(hanging):
    fun, others = hanging(2), set(threading.enumerate())
    study = create_study(BOX, jac=True, num_parallel=2, num_initial=2, max_iter=9)
    study.run(fun, timeout=4)
    before = study.to_dict()["ledger"]
    fun.go_on.set()
    for thread in set(threading.enumerate()) - others:
        thread.join(60)
    assert fun.left == [2]
    assert repr(study.to_dict()["ledger"]) == repr(before)


def test_a_point_that_hung_is_tried_again_where_the_study_says_so(hanging):
    fun = hanging(1)
    study = create_study(BOX, jac=True, num_parallel=2, num_initial=2, max_iter=10, retries=1)
    study.run(fun, timeout=4)
    assert study.history["attempts"][0] == 2
    assert study.history["state"][0] == "told"


def test_where_all_threads_of_a_pool_hang_an_error_says_so(hanging):
    fun = hanging(2)
    study = create_study(BOX, jac=True, max_iter=20)
    pool = ThreadPoolExecutor(1)

    def now():  # time passes where one hangs
        fun.now += 10.0 if fun.calls == 2 else 0.0
        return fun.now

    deadlines.monotonic = now  # put back by the fixture
    with pytest.raises(ProtocolError, match="hold all threads"):
        study.run(fun, executor=pool, timeout=50)
    fun.go_on.set()
    pool.shutdown()
    study.run(fun)
    assert study.num_evaluations == 20
    assert failed(study) == ["timeout: it did not end within 50 s"]


class Never(Executor):
    """An executor whose first call never comes back; it can be cancelled."""

    def __init__(self):
        self.first = None

    def submit(self, fn, /, *args, **kwargs):
        future = Future()
        if self.first is None:
            self.first = future
        else:
            future.set_result(fn(*args, **kwargs))
        return future


def test_the_future_of_another_executor_is_cancelled(hanging):
    fun, pool = hanging(), Never()
    study = create_study(BOX, jac=True, num_parallel=2, num_initial=2, max_iter=10)
    study.run(fun, executor=pool, timeout=3)
    assert pool.first.cancelled()
    assert failed(study) == ["timeout: it did not end within 3 s"]
    assert study.num_evaluations == 10


class HangsOnce:
    """A bowl whose first evaluation hangs, in whatever process."""

    def __init__(self, directory):
        self.directory = directory

    def __call__(self, x, y):
        with contextlib.suppress(FileExistsError):
            (self.directory / "hangs").touch(exist_ok=False)
            threading.Event().wait()
        return (x - 0.3) ** 2 + (y - 1.0) ** 2, [2 * (x - 0.3), 2 * (y - 1.0)]


@pytest.mark.slow  # it starts processes
@pytest.mark.parametrize("kind", ["processes", "loky"])
def test_a_process_that_hangs_is_killed(kind, monkeypatch, tmp_path):
    hangs, over, clock = tmp_path / "hangs", [], itertools.count(step=100)

    def now():  # time passes where one hangs, until that is noticed
        return next(clock) if hangs.exists() and not over else 0.0

    pool = ProcessPoolExecutor(1) if kind == "processes" else loky.ProcessPoolExecutor(1)
    study = create_study(BOX, jac=True, max_iter=6)
    monkeypatch.setattr(deadlines, "monotonic", now)
    real = Pool.give_up

    def give_up(self, futures, others):
        over.extend(pool._processes.values())
        return real(self, futures, others)

    monkeypatch.setattr(Pool, "give_up", give_up)
    with pool:
        study.run(HangsOnce(tmp_path), executor=pool, timeout=500)
    assert failed(study) == ["timeout: it did not end within 500 s"]
    assert study.history["state"].tolist().count("told") == 5
    assert over
    assert not any(process.is_alive() for process in over)


@pytest.mark.parametrize("timeout", [0, -1.0, float("nan"), "3", True])
def test_a_limit_is_a_number_of_seconds(timeout):
    study = create_study(BOX, jac=True, max_iter=3)
    with pytest.raises((InputError, InputTypeError), match="timeout"):
        study.run(Hanging(), timeout=timeout)
    assert study.num_evaluations == 0


def test_no_limit_is_no_thread():
    threads = []

    def objective(x, y):
        threads.append(threading.current_thread())
        return x + y, [1.0, 1.0]

    study = create_study(BOX, jac=True, max_iter=3)
    study.run(objective, timeout=float("inf"))
    assert set(threads) == {threading.current_thread()}


def test_the_calling_thread_cannot_be_given_up():
    study = create_study(BOX, jac=True, max_iter=3)
    with pytest.raises(InputError, match="threads=True"):
        study.run(Hanging(), executor=LocalExecutor(1), timeout=3)
    with LocalExecutor(1, threads=True) as pool:
        study.run(Hanging(), executor=pool, timeout=3600)
    assert study.num_evaluations == 3


def test_a_thread_that_is_given_up_has_a_successor_and_is_not_waited_for():
    go_on, begun = threading.Event(), threading.Event()

    def hang():
        begun.set()
        go_on.wait(60)
        return "late"

    pool = LocalExecutor(1, threads=True)
    first = pool.submit(hang)
    begun.wait(60)
    pool.give_up(first)
    assert pool.submit(int, "7").result(60) == 7
    pool.give_up(first)  # there is nothing left to give up
    pool.shutdown()
    assert not first.done()
    go_on.set()
    assert first.result(60) == "late"
