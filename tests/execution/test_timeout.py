"""A time limit for each evaluation: what hangs has failed, and its place is free."""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import threading
import time
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor

import loky
import pytest

from optdriver import minimize
from optdriver.errors import InputError, InputTypeError, ProtocolError
from optdriver.execution import LocalExecutor, deadlines
from optdriver.execution.beginnings import Beginnings
from optdriver.execution.pools import Pool
from optdriver.studies import create_study

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
    monkeypatch.setattr(deadlines, "LOOK", 0.01)

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


@pytest.mark.parametrize("places", [1, 3])
def test_where_all_threads_of_a_pool_hang_an_error_says_so(hanging, places):
    """Also where other points wait for the thread: they are taken back, and come again."""
    fun = hanging(2)
    study = create_study(BOX, jac=True, max_iter=20, num_parallel=places)
    pool = ThreadPoolExecutor(1)

    def now():  # time passes where one hangs
        fun.now += 10.0 if fun.calls == 2 else 0.0
        return fun.now

    deadlines.monotonic = now  # put back by the fixture
    with pytest.raises(ProtocolError, match="hold all threads"):
        study.run(fun, executor=pool, timeout=50)
    assert fun.calls == 2
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
@pytest.mark.parametrize("kind", ["processes", "loky", "time of the study"])
def test_a_process_that_hangs_is_killed(kind, monkeypatch, tmp_path):
    hangs, over, clock = tmp_path / "hangs", [], itertools.count(step=100)

    def now():  # time passes where one hangs, until that is noticed
        return next(clock) if hangs.exists() and not over else 0.0

    pool = loky.ProcessPoolExecutor(1) if kind == "loky" else ProcessPoolExecutor(1)
    whole = kind == "time of the study"
    limits = {"max_time": 500, "clock": lambda: 0.0 if over else now()} if whole else {}
    study = create_study(BOX, jac=True, max_iter=6, **limits)
    monkeypatch.setattr(deadlines, "monotonic", now)
    real = Pool.give_up

    def give_up(self, futures, others):
        over.extend(pool._processes.values())
        return real(self, futures, others)

    monkeypatch.setattr(Pool, "give_up", give_up)
    with pool:
        study.run(HangsOnce(tmp_path), executor=pool, timeout=None if whole else 500)
    reasons = [
        "timeout: it did not end within 500 s",
        "max_time = 500 s is over, and it had not ended by then",
    ]
    assert failed(study) == [reasons[whole]]
    assert study.history["state"].tolist().count("told") == 5
    assert over
    assert not any(process.is_alive() for process in over)


def wait_for_file(path):
    """What a worker does before its first call: it starts when the file is there."""
    while not path.exists():
        threading.Event().wait(0.001)


def bowl(x, y):
    return (x - 0.3) ** 2 + (y - 1.0) ** 2, [2 * (x - 0.3), 2 * (y - 1.0)]


@pytest.mark.slow  # it starts processes
@pytest.mark.parametrize("kind", [None, "spawn", "loky"])
def test_the_start_of_the_workers_does_not_count(kind, monkeypatch, tmp_path):
    """The worker begins after twenty looks, a hundred seconds each; then time stands still."""
    go_on, looks = tmp_path / "go on", itertools.count()
    monkeypatch.setattr(deadlines, "LOOK", 0.01)

    def now():
        look = min(next(looks), 20)
        if look == 20:
            go_on.touch()
        return 100.0 * look

    monkeypatch.setattr(deadlines, "monotonic", now)
    start = {"initializer": wait_for_file, "initargs": (go_on,)}
    pool = (
        loky.ProcessPoolExecutor(1, **start)
        if kind == "loky"
        else ProcessPoolExecutor(1, multiprocessing.get_context(kind), **start)
    )
    study = create_study(BOX, jac=True, num_parallel=2, num_initial=2, max_iter=4)
    with pool:
        study.run(bowl, executor=pool, timeout=500)
    assert failed(study) == []
    assert study.num_evaluations == 4


@pytest.mark.slow  # it starts processes
def test_a_worker_that_hangs_in_its_start_does_not_keep_the_study_beyond_its_time(monkeypatch):
    clock = itertools.count(step=10.0)
    monkeypatch.setattr(deadlines, "LOOK", 0.01)
    monkeypatch.setattr(deadlines, "monotonic", lambda: next(clock))
    study = create_study(
        BOX, jac=True, num_parallel=2, num_initial=2, max_time=400, clock=lambda: next(clock)
    )
    with ProcessPoolExecutor(1, initializer=time.sleep, initargs=(600,)) as pool:
        study.run(bowl, executor=pool, timeout=500)
    assert study.stop_kind == "max_time"
    assert set(failed(study)) == {"max_time = 400 s is over, and no worker began it within 500 s"}
    assert not study.open_suggestions


@pytest.mark.slow  # it starts processes
def test_what_waits_for_a_worker_has_not_begun(monkeypatch, tmp_path):
    """A call that the pool keeps ready for its one worker is repeated, it has not failed."""
    hangs, over, clock = tmp_path / "hangs", [], itertools.count(step=100)
    monkeypatch.setattr(deadlines, "LOOK", 0.01)
    monkeypatch.setattr(
        deadlines, "monotonic", lambda: next(clock) if hangs.exists() and not over else 0.0
    )
    real = Pool.give_up

    def give_up(self, futures, others):
        over.extend(futures)
        return real(self, futures, others)

    monkeypatch.setattr(Pool, "give_up", give_up)
    study = create_study(BOX, jac=True, num_parallel=2, num_initial=2, max_iter=6)
    with ProcessPoolExecutor(1) as pool:
        study.run(HangsOnce(tmp_path), executor=pool, timeout=500)
    assert len(over) == 1
    assert failed(study) == ["timeout: it did not end within 500 s"]
    assert study.history["state"][1] == "told"


def test_a_call_that_cannot_note_its_beginning_is_made_and_counts_as_its_future_says():
    begun, go_on = Beginnings(), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        first = begun.submit(pool, go_on.wait, 60)
        second = begun.submit(pool, int, "7")
        assert not begun.has_begun(second)
        begun.close()
        assert not begun.has_begun(second)
        go_on.set()
        assert first.result(60)
        assert second.result(60) == 7


# -- the time of the study, without a limit for each evaluation -------------------------------


def passing(monkeypatch, fun, when):
    """Return a clock that goes on by 5 s at each look while ``when()``."""

    def now():
        fun.now += 5.0 if when() else 0.0
        return fun.now

    monkeypatch.setattr(deadlines, "monotonic", now)
    return now


def test_the_time_of_the_study_holds_though_no_evaluation_has_a_limit(hanging):
    fun = hanging(1)
    study = create_study(
        BOX, jac=True, num_parallel=2, num_initial=2, max_time=20, clock=lambda: fun.now
    )
    study.run(fun)
    assert study.stop_kind == "max_time"
    (reason,) = failed(study)
    assert reason.startswith("max_time = 20 s is over, and it did not end within ")
    assert study.history["state"].tolist().count("told") == 20
    assert not study.open_suggestions
    assert fun.left == []
    study.set_parameters(max_time=40)  # it goes on, with as many places
    study.run(fun)
    assert study.num_evaluations > 35


@pytest.mark.parametrize(("hang", "more"), [((1, 2), {}), ((8,), {"max_iter": 8})])
def test_it_holds_where_all_hang_and_where_nothing_more_is_asked(hanging, monkeypatch, hang, more):
    fun = hanging(*hang)
    clock = passing(monkeypatch, fun, lambda: fun.calls >= max(hang))
    study = create_study(
        BOX, jac=True, num_parallel=2, num_initial=2, max_time=50, clock=clock, **more
    )
    study.run(fun)
    assert len(failed(study)) == len(hang)
    assert all("max_time = 50 s is over" in reason for reason in failed(study))
    assert study.is_done()


def test_what_takes_no_longer_than_others_took_may_end(hanging, monkeypatch):
    fun, looks = hanging(4), itertools.count()

    def objective(x, y):
        if fun.calls == 0:
            fun.now += 1000.0  # the first one takes longest
        return fun(x, y)

    def when():  # the fourth is over soon after the time of the study
        if study.stop_kind is not None and next(looks) > 2:
            fun.go_on.set()
        return study.stop_kind is not None and not fun.go_on.is_set()

    clock = passing(monkeypatch, fun, lambda: False)
    study = create_study(
        BOX, jac=True, num_parallel=2, num_initial=2, max_time=1010, clock=lambda: fun.now
    )
    del clock
    passing(monkeypatch, fun, when)
    study.run(objective)
    assert study.stop_kind == "max_time"
    assert failed(study) == []
    assert fun.left == [4]
    assert not study.open_suggestions


def test_the_future_of_another_executor_is_cancelled_when_the_time_is_over(hanging):
    fun, pool = hanging(), Never()
    study = create_study(
        BOX, jac=True, num_parallel=2, num_initial=2, max_time=10, clock=lambda: fun.now
    )
    study.run(fun, executor=pool)
    assert pool.first.cancelled()
    assert len(failed(study)) == 1
    assert study.stop_kind == "max_time"


def test_what_has_not_begun_when_the_time_is_over_comes_again_later(hanging, monkeypatch):
    fun = hanging(2)
    clock = passing(monkeypatch, fun, lambda: fun.calls >= 2)
    study = create_study(
        BOX, jac=True, num_parallel=4, num_initial=4, max_time=50, clock=clock, max_iter=30
    )
    pool = ThreadPoolExecutor(1)
    study.run(fun, executor=pool)
    assert fun.calls == 2
    assert study.num_evaluations == 2
    assert len(failed(study)) == 1
    assert not study.open_suggestions
    fun.go_on.set()
    pool.shutdown()
    study.set_parameters(max_time=float("inf"))
    study.run(fun)
    assert study.num_evaluations == 30
    assert sorted(study.history["id"].tolist()) == list(range(30))


def test_minimize_ends_in_its_time_though_its_loss_hangs():
    fun = Hanging(*range(3, 1000))
    try:
        result = minimize(fun, BOX, jac=True, num_parallel=2, max_time=0.3)
    finally:
        fun.go_on.set()
    assert not result.success
    assert result.study.stop_kind == "max_time"
    assert len(failed(result.study)) == 2
    assert all("max_time = 0.3 s is over" in reason for reason in failed(result.study))


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
