"""Pools whose workers die: the study goes on, and only what killed a worker has failed."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
from concurrent.futures import (
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
)
from concurrent.futures.process import BrokenProcessPool

import cloudpickle
import loky
import pytest

from optdriver.errors import InputError, InputTypeError, ProtocolError
from optdriver.execution.pools import maker
from optdriver.studies import create_study
from tests.study.tools import BOX, rastrigin


def once(path):
    """Whether this has not been called with this path before, in any process."""
    try:
        path.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


class Dies:
    """Kills its process at the first point on the right, and in the corner always."""

    def __init__(self, directory, how):
        self.directory, self.how = directory, how

    def __call__(self, x1, x2, radius):
        if x1 > 0.4 and once(self.directory / "once"):
            self.die()
        if x1 > 0.9 and x2 > 0.9:
            self.die()
        return (x1 - 0.3) ** 2 + (x2 + 0.2) ** 2, [2 * (x1 - 0.3), 2 * (x2 + 0.2)]

    def die(self):
        if self.how == "exit":
            os._exit(3)
        os.kill(os.getpid(), signal.SIGKILL)


def pool(kind):
    if kind == "processes":
        return ProcessPoolExecutor(2)
    if kind == "loky":
        return loky.ProcessPoolExecutor(1)
    return loky.get_reusable_executor(1)


@pytest.mark.parametrize(
    ("kind", "how"),
    [("processes", "exit"), ("processes", "kill"), ("loky", "kill"), ("reusable", "exit")],
)
def test_a_worker_dies_and_the_study_ends_at_the_minimum(tmp_path, kind, how):
    starts = [[0.5, 0.5], [-0.5, -0.5], [0.95, 0.95]]
    study = create_study(
        BOX, jac=True, num_parallel=2, num_initial=3, initial_samples=starts, max_num_minimizers=3
    )
    with pool(kind) as executor:
        study.run(Dies(tmp_path, how), executor=executor)
    assert study.best.value == pytest.approx(0.0, abs=1e-12)
    assert len([run for run in study.runs if run.state == "converged"]) >= 3  # more were under way
    history = study.history
    assert (history.x[history["state"] == "failed"] > 0.9).all()
    assert tmp_path.joinpath("once").exists()
    assert study.stop_kind == "driver"


def test_a_function_may_make_the_pool(tmp_path):
    made = []

    def make():
        made.append(ProcessPoolExecutor(1))
        return made[-1]

    study = create_study(BOX, jac=True, initial_samples=[[0.5, 0.5]], max_num_minimizers=1)
    study.run(Dies(tmp_path, "exit"), executor=make)
    assert study.best.value == pytest.approx(0.0, abs=1e-12)
    assert len(made) == 2
    for executor in made:
        with pytest.raises(RuntimeError):
            executor.submit(int)


def test_the_arguments_of_a_pool_are_kept():
    def beginning():
        """Do nothing."""

    with ProcessPoolExecutor(3, initializer=beginning, initargs=()) as executor:
        again = maker(executor)()
    assert (again._max_workers, again._initializer) == (3, beginning)
    again.shutdown()
    with ThreadPoolExecutor(1) as executor:
        assert maker(executor) is None


def test_dask_says_by_an_error_of_its_own_that_workers_died():
    KilledWorker = type("KilledWorker", (Exception,), {})

    class Cluster:
        def __init__(self):
            self.submitted = 0

        def submit(self, fn, *args):
            future = Future()
            self.submitted += 1
            if self.submitted == 2:
                future.set_exception(KilledWorker("4 workers died"))
            else:
                future.set_result(fn(*args))
            return future

    study = create_study(BOX, jac=True, max_iter=10)
    study.run(lambda x1, x2, radius: rastrigin(x1, x2), executor=Cluster())
    assert study.history["attempts"][:3].tolist() == [1, 2, 1]
    assert study.history["state"].tolist() == ["told"] * 9  # and one attempt that was lost


class Breaking:
    """Loses all calls that are out at the second submission; cannot be made anew."""

    def __init__(self):
        self.out = []

    def submit(self, fn, *args):
        future = Future()
        self.out.append((future, fn, args))
        if len(self.out) == 2:
            for lost, _, _ in self.out:
                lost.set_exception(BrokenProcessPool("lost"))
        elif len(self.out) > 2:
            future.set_result(fn(*args))
        return future


def test_what_was_lost_together_is_repeated_alone():
    study = create_study(BOX, jac=True, num_parallel=2, num_initial=2, max_iter=10)
    study.run(lambda x1, x2, radius: rastrigin(x1, x2), executor=Breaking())
    assert study.info()["num_failed"] == 0
    assert study.history["attempts"][:2].tolist() == [2, 2]
    assert study.num_evaluations == 10  # the two that were lost count


def test_a_pool_that_cannot_be_made_anew_ends_the_run():
    class Gone:
        def submit(self, fn, *args):
            raise BrokenExecutor("gone")

    study = create_study(BOX, jac=True, max_iter=9)
    with pytest.raises(ProtocolError, match="takes no more work .*gone"):
        study.run(lambda x1, x2, radius: rastrigin(x1, x2), executor=Gone())
    assert study.num_evaluations == 0
    assert study.open_suggestions == ()


def test_closures_travel_with_loky():
    centre = 0.25
    study = create_study(BOX, jac=True, num_parallel=2, max_num_minimizers=1)
    with loky.ProcessPoolExecutor(1) as executor:
        study.run(
            lambda x1, x2, radius: (
                (x1 - centre) ** 2 + x2**2,
                {"x1": 2 * (x1 - centre), "x2": 2 * x2},
            ),
            executor=executor,
        )
    assert study.best.params["x1"] == pytest.approx(centre, abs=1e-5)


def test_what_does_not_travel_is_said_before_anything_is_run():
    lock = threading.Lock()
    study = create_study(BOX, jac=True, max_iter=9)
    with (
        loky.ProcessPoolExecutor(1) as executor,
        pytest.raises(InputError, match=r"cannot be sent .*leave out what it refers to"),
    ):
        study.run(lambda x1, x2, radius: lock, executor=executor)
    with (
        ProcessPoolExecutor(1) as executor,
        pytest.raises(InputError, match=r"cannot be sent .*define it with 'def'"),
    ):
        study.run(lambda x1, x2, radius: 0.0, executor=executor)
    assert study.history["id"].size == 0
    with pytest.raises(InputTypeError, match="executor is a concurrent.futures.Executor"):
        study.run(lambda x1, x2, radius: 0.0, executor=3)


JOB = "import pickle, sys; call, a, k = pickle.load(sys.stdin.buffer); "
JOB += "pickle.dump(call(*a, **k), sys.stdout.buffer)"


class Scheduler(Executor):
    """As executorlib's: real futures, each call pickled by value for an interpreter of its own."""

    def __init__(self):
        self.jobs, self.threads = [], ThreadPoolExecutor(2)

    def submit(self, fn, /, *args, resource_dict=None, **kwargs):
        self.jobs.append(cloudpickle.dumps((fn, args, kwargs)))
        return self.threads.submit(self.job, self.jobs[-1])

    @staticmethod
    def job(data):
        command = [sys.executable, "-c", JOB]
        return pickle.loads(
            subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True).stdout
        )

    def shutdown(self, wait=True, *, cancel_futures=False):
        self.threads.shutdown(wait)


def test_jobs_of_a_scheduler_are_futures_and_take_lambdas():
    study = create_study({"x": (-1, 1)}, jac=True, num_parallel=2, num_initial=2, max_iter=3)
    with Scheduler() as scheduler:
        study.run(lambda x: (x * x, [2 * x]), executor=scheduler)
    assert study.num_evaluations == 3
    assert len(scheduler.jobs) == 3
    assert study.history["value"].tolist() == (study.history["x"] * study.history["x"]).tolist()


class Job:
    """What submitit's executors return: it has a result, and is no future."""

    def __init__(self):
        self.cancelled = False

    def result(self):
        return 1.0

    def done(self):
        return True

    def cancel(self):
        self.cancelled = True


def test_an_executor_without_futures_is_refused_by_name_and_nothing_stays_open():
    job = Job()

    class Submits:
        def submit(self, *call):
            return job

    study = create_study({"x": (-1, 1)}, max_iter=9)
    with pytest.raises(InputTypeError, match=r"Submits returned a Job.*running.*executorlib"):
        study.run(lambda x: x**2, executor=Submits())
    assert job.cancelled
    assert study.num_evaluations == 0
    study.run(lambda x: x**2, max_evaluations=3)  # the point is handed out again
    assert study.history["id"].tolist() == [0, 1, 2]
