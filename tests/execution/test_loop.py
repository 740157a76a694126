from __future__ import annotations

import math
import os
import threading
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest

from optdriver.errors import InputError, InputTypeError, ProtocolError, UnknownOptionError
from optdriver.execution import run, simple
from optdriver.studies import create_study
from tests.study.tools import BOX, rastrigin, rastrigin_value


def in_process(x1, x2, radius):
    return rastrigin(x1, x2)


def dies(x1, x2, radius):
    os._exit(1)


@pytest.fixture(scope="module")
def processes():
    with ProcessPoolExecutor(2) as pool:
        yield pool


def study_of(**parameters):
    return create_study(BOX, **({"jac": True, "max_iter": 40} | parameters))


def points(study):
    """The evaluations of each run, in their order."""
    history = study.history
    return {run: history.x[history["run"] == run].tolist() for run in set(history["run"])}


@pytest.mark.parametrize("jac", [True, False])
@pytest.mark.parametrize("parallel", [1, 3])
def test_the_dumb_loop_and_the_clever_one_agree(jac, parallel):
    objective = in_process if jac else rastrigin_value
    dumb, clever = (study_of(jac=jac, num_parallel=parallel, num_initial=2) for _ in range(2))
    simple(dumb, objective)
    clever.run(objective)
    one, other = points(dumb), points(clever)
    for number in range(2):  # the later ones depend on the order of results
        shared = min(len(one[number]), len(other[number]))
        assert shared > 0
        assert one[number][:shared] == other[number][:shared]
    assert dumb.num_evaluations == clever.num_evaluations == 40
    if parallel == 1:
        assert dumb.history.x.tobytes() == clever.history.x.tobytes()


@pytest.mark.parametrize("jac", [True, False])
def test_processes(processes, jac):
    study = study_of(jac=jac, num_parallel=3, num_initial=3, max_iter=60)
    study.run(in_process if jac else rastrigin_value, executor=processes)
    assert study.num_evaluations == 60
    seen = study.history
    assert seen["value"].tolist() == [rastrigin(*x)[0] for x in seen.x.tolist()]
    assert study.best.value == min(seen["value"])


def test_any_executor_will_do():
    class Sometime:
        """Finishes what it was given only when the third call comes."""

        def __init__(self):
            self.waiting, self.most = [], 0

        def submit(self, fn, *args):
            self.waiting.append((future := Future(), fn, args))
            self.most = max(self.most, len(self.waiting))
            if len(self.waiting) == 3:
                for one, call, given in reversed(self.waiting):
                    one.set_result(call(*given))
                self.waiting.clear()
            return future

    executor = Sometime()
    study = study_of(num_parallel=3, num_initial=3, max_iter=30)
    study.run(in_process, executor=executor)
    assert executor.most == 3
    assert study.num_evaluations == 30
    with pytest.raises(InputTypeError, match=r"concurrent.futures.Executor, not 4"):
        study.run(in_process, executor=4)


def test_a_slow_evaluation_holds_back_its_own_minimizer_only():
    others_done, first = threading.Event(), threading.Lock()
    calls = []

    def objective(x1, x2, radius):
        calls.append(x1)
        if first.acquire(blocking=False):  # never released: the first call only
            slow.append(x1)
            assert others_done.wait(60)
        if len(calls) == 30:
            others_done.set()
        return rastrigin(x1, x2)

    slow = []
    study = study_of(num_parallel=3, num_initial=3, max_iter=40)
    study.run(objective)
    history = study.history
    row = history.x[:, 0].tolist().index(slow[0])
    others = np.delete(history["ended"], row)
    assert np.count_nonzero(others <= history["ended"][row]) >= 27  # 30 less those in the slots
    assert study.num_evaluations == 40


def test_the_objective_may_run_in_parallel():
    meeting = threading.Barrier(3, timeout=60)

    def objective(x1, x2, radius):
        meeting.wait()
        return rastrigin(x1, x2)

    study = study_of(num_parallel=3, num_initial=3, max_iter=3)
    study.run(objective)
    assert study.num_evaluations == 3


def test_one_worker_is_this_thread():
    here = []

    def objective(x1, x2, radius):
        here.append(threading.current_thread() is threading.main_thread())
        return rastrigin(x1, x2)

    study_of(max_iter=3).run(objective)
    assert here == [True] * 3


def test_the_study_goes_to_objectives_that_take_it():
    def objective(study, x1, x2, radius):
        assert radius == 2
        observation = study.new_observation()
        value, gradient = rastrigin(x1, x2)
        observation.add(value)
        observation.add(derivative="x1", value=gradient[0])
        observation.add(derivative="x2", value=gradient[1])
        return observation

    def by_keywords(**params):
        assert params.keys() == {"x1", "x2", "radius"}
        return rastrigin(params["x1"], params["x2"])

    for parallel in (1, 2):
        study = study_of(max_iter=5, num_parallel=parallel)
        study.set_evaluator(objective)
        study.run()
        assert study.num_evaluations == 5
    with ThreadPoolExecutor(1) as threads:
        study = study_of(max_iter=5)
        study.run(objective, executor=threads)
        assert study.num_evaluations == 5
    study = study_of(max_iter=5)
    study.run(by_keywords)
    assert study.num_evaluations == 5


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        (None, "no objective"),
        (7, "must be callable"),
        (lambda x1, x2: 0.0, "does not fit the parameters.*radius"),
        (lambda x1, x2, radius, more: 0.0, "does not fit.*more"),
    ],
)
def test_objectives_that_cannot_be_called_are_refused_before_anything_is_run(objective, message):
    study = study_of()
    with pytest.raises(InputError, match=message):
        study.run(objective)
    assert study.info()["status"] == "created"
    if objective is not None and not callable(objective):
        with pytest.raises(InputTypeError, match="must be callable"):
            study.set_objective(objective)


def test_objectives_that_cannot_be_sent_are_refused(processes):
    study = study_of()
    with pytest.raises(InputError, match="cannot be sent to other processes"):
        study.run(lambda x1, x2, radius: 0.0, executor=processes)
    with pytest.raises(InputError, match="argument 'study', which exists in this process only"):
        study.run(lambda study, x1, x2, radius: 0.0, executor=processes)
    assert study.info()["status"] == "created"


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (None, "is a 'return' missing"),
        ((1.0, {"x1": 1.0}), "derivative by 'x2' is missing"),
        (1.0, "derivative by 'x1' is missing"),
        ((1.0, [1, 2, 3]), r"shape \(3,\)"),
        (("1", [1, 2]), "one real number"),
        ([1, 2, 3], "list of length 3"),
    ],
)
@pytest.mark.parametrize("parallel", [1, 3])
def test_wrong_results_are_errors_and_the_point_is_not_lost(result, message, parallel):
    study = study_of(num_parallel=parallel, num_initial=parallel, max_iter=10)
    wrong = iter([False, False, True])

    def objective(x1, x2, radius):
        return result if next(wrong, False) else rastrigin(x1, x2)

    with pytest.raises(InputError, match=message):
        study.run(objective)
    assert study.open_suggestions == ()
    ended = study.num_evaluations
    assert 3 <= ended <= 5
    study.run(lambda x1, x2, radius: rastrigin(x1, x2))
    assert study.num_evaluations == 10
    assert study.info()["num_failed"] == 0
    assert study.history["attempts"].max() == 2


def test_mistakes_with_an_observation_come_through():
    def objective(study, x1, x2, radius):
        observation = study.new_observation()
        observation.add(1.0)
        observation.add(2.0)
        return observation

    with pytest.raises(InputError, match="has the value 1.0 already"):
        study_of().run(objective)


def test_exceptions_are_failures_with_their_place():
    def objective(x1, x2, radius):
        if x1 > 0.5:
            raise ArithmeticError("no convergence")
        return rastrigin(x1, x2)

    study = study_of(stop_after_failures=math.inf, num_parallel=2, initial_samples=[[-0.4, 0.3]])
    study.run(objective)
    reasons = {reason for reason in study.history["reason"] if reason}
    assert len(reasons) == 1
    assert "ArithmeticError: no convergence (" in reasons.pop()
    assert study.best.value < 1e-6
    assert study.num_evaluations == 40
    assert study.info()["num_failed"] > 0


@pytest.mark.parametrize("parallel", [1, 3])
def test_a_mistake_in_the_objective_is_raised_with_its_traceback(parallel):
    """Once it has been seen everywhere; corrected, the same study goes on."""
    study = create_study({"x": (-1, 2)}, num_parallel=parallel, max_num_minimizers=1, seed=2)

    def misspelled(x):
        return offset - x  # noqa: F821

    with pytest.raises(NameError, match="offset") as caught:
        study.run(misspelled)
    assert caught.traceback[-1].name == "misspelled"
    assert 3 <= study.info()["num_failed"] <= 3 + parallel
    study.run(lambda x: (x - 0.5) ** 2)
    assert study.best.params["x"] == pytest.approx(0.5, abs=1e-5)


def test_a_mistake_that_is_met_at_some_points_only_is_a_failure_of_theirs():
    study = create_study({"x": (-1, 2)}, max_num_minimizers=2, seed=2)
    table = {False: 1.0}

    def objective(x):
        return (x - 0.5) ** 2 * table[x > 1.2]

    study.run(objective)
    assert study.best.params["x"] == pytest.approx(0.5, abs=1e-5)


def test_a_mistake_in_other_processes_is_told_with_its_place(processes):
    study = create_study({"x": (-1, 2)}, num_parallel=2, max_num_minimizers=1)
    with pytest.raises(InputError, match=r"raised everywhere: KeyError: 'missing' \(.*test_loop"):
        study.run(looks_up, executor=processes)


def looks_up(x):
    return {}["missing"] * x


def test_sys_exit_is_a_failure_too():
    def objective(x1, x2, radius):
        raise SystemExit(3)

    study = study_of(stop_after_failures=2)
    with pytest.warns(RuntimeWarning, match="2 starts failed; the last: SystemExit"):
        study.run(objective)
    assert study.num_evaluations == 2


def test_running_again_after_failures_goes_on():
    study = study_of(max_iter=20, stop_after_failures=3)
    with pytest.warns(RuntimeWarning, match="no evaluation has succeeded, and 3 starts failed"):
        study.run(lambda x1, x2, radius: math.nan)
    study.run(in_process)
    assert study.num_evaluations == 20
    assert study.info()["num_failed"] == 3


@pytest.mark.parametrize("parallel", [1, 3])
def test_stop_from_inside_finishes_what_is_open(parallel):
    def objective(study, x1, x2, radius):
        if study.num_evaluations >= 5:
            study.stop("enough")
        return rastrigin(x1, x2)

    study = study_of(num_parallel=parallel)
    study.run(objective)
    assert study.stop_reason == "enough"
    assert study.open_suggestions == ()
    assert 6 <= study.num_evaluations < 6 + 2 * parallel
    study.run(in_process)
    assert study.num_evaluations == 40


def test_stop_from_another_thread():
    study = study_of(max_iter=math.inf, max_time=1e9)
    started = threading.Event()

    def objective(x1, x2, radius):
        started.set()
        return rastrigin(x1, x2)

    def stop():
        started.wait(60)
        study.stop()

    other = threading.Thread(target=stop)
    other.start()
    study.run(objective)
    other.join()
    assert study.stop_kind == "stop"
    assert study.open_suggestions == ()


def test_in_pieces_it_is_the_same_study():
    whole, pieces = study_of(), study_of()
    whole.run(in_process)
    for _ in range(8):
        pieces.run(in_process, max_evaluations=5)
    assert pieces.num_evaluations == 40
    assert pieces.history.x.tobytes() == whole.history.x.tobytes()
    pieces.run(in_process, max_evaluations=0)
    for wrong in (1.5, True, "3"):
        with pytest.raises(InputTypeError, match="whole number"):
            pieces.run(in_process, max_evaluations=wrong)
    with pytest.raises(InputError, match="0 or more"):
        pieces.run(in_process, max_evaluations=-1)


def test_suggestions_of_a_restored_study_are_evaluated_again():
    study = study_of(num_parallel=3, num_initial=3)
    study.ask(3)
    again = type(study).from_dict(study.to_dict())
    again.run(in_process)
    assert again.num_evaluations == 40
    assert again.history["attempts"].tolist()[:4] == [2, 2, 2, 1]


def test_slots_taken_by_hand_are_named():
    study = study_of(num_parallel=1)
    study.ask()
    with pytest.raises(
        ProtocolError, match=r"taken by suggestions that this run did not hand out \(ids \[0\]"
    ):
        study.run(in_process)


def test_results_that_nobody_wants_any_more_have_no_effect():
    def objective(study, x1, x2, radius):
        if study.num_evaluations == 2:
            for suggestion in study.open_suggestions:
                study.clear_suggestion(suggestion.id, "too slow")
        return rastrigin(x1, x2)

    study = study_of(max_iter=10)
    study.run(objective)
    assert study.num_evaluations == 10
    assert study.info()["num_failed"] == 1
    assert study.history["reason"].tolist()[2] == "too slow"


def test_workers_that_always_die_stop_the_study():
    study = study_of(max_iter=20, num_parallel=2, stop_after_failures=3)
    with (
        ProcessPoolExecutor(1) as pool,
        pytest.warns(RuntimeWarning, match="3 starts failed; the last: BrokenProc"),
    ):
        study.run(dies, executor=pool)
    assert study.open_suggestions == ()
    failed = study.info()["num_failed"]
    assert failed >= 3
    study.run(in_process)
    assert study.num_evaluations == 20
    assert study.info()["num_failed"] == failed


def test_an_executor_that_was_shut_down():
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    study = study_of()
    with pytest.raises(ProtocolError, match="takes no more work"):
        study.run(in_process, executor=pool)
    assert study.num_evaluations == 0
    assert study.open_suggestions == ()


def test_evaluations_that_were_cancelled_are_given_back():
    class Cancelling:
        def submit(self, fn, *args):
            future = Future()
            future.cancel()
            future.set_running_or_notify_cancel()
            return future

    study = study_of()
    with pytest.raises(ProtocolError, match="CancelledError"):
        study.run(in_process, executor=Cancelling())
    assert study.num_evaluations == 0
    assert study.open_suggestions == ()


def test_ctrl_c_that_reached_the_workers_only():
    class Interrupted:
        def submit(self, fn, *args):
            future = Future()
            future.set_exception(KeyboardInterrupt())
            return future

    study = study_of(num_parallel=2)
    study.run(in_process, executor=Interrupted())
    assert study.stop_kind == "interrupt"
    assert study.num_evaluations == 2  # calls that were begun count
    assert study.open_suggestions == ()
    study.run(in_process)
    assert study.num_evaluations == 40


def test_objectives_that_do_not_tell_their_arguments():
    with pytest.raises(UnknownOptionError, match="what the objective returned: 'x1'; known: grad"):
        study_of().run(dict)


def test_trouble_of_the_executor_is_a_failure_of_the_evaluation():
    class Troubled:
        def __init__(self, error):
            self.error = error

        def submit(self, fn, *args):
            future = Future()
            if self.error is None:
                future.set_result(fn(*args))
            else:
                future.set_exception(self.error)
                self.error = None
            return future

    study = study_of()
    study.run(in_process, executor=Troubled(ValueError("cannot pickle the result")))
    assert study.history["reason"][0] == "ValueError: cannot pickle the result"
    study = study_of()
    study.run(in_process, executor=Troubled(BrokenExecutor("lost")))
    assert study.history["attempts"][0] == 2
    assert study.history["state"][0] == "told"


def test_run_is_a_function_too():
    study = study_of(max_iter=3)
    run(study, in_process)
    assert study.num_evaluations == 3


def test_run_time_counts_while_it_runs():
    study = study_of(max_iter=3)
    study.run(in_process)
    elapsed = study.info()["elapsed"]
    assert elapsed == study.info()["elapsed"] > 0


def test_a_study_without_a_limit_says_so():
    study = study_of(max_iter=math.inf)
    with pytest.warns(UserWarning, match="nothing limits this study"):
        study.run(lambda study, x1, x2, radius: study.stop() or rastrigin(x1, x2))
    assert study.num_evaluations == 1
    study.run(in_process, max_evaluations=3)
    for limit in ({"min_val": -1e9}, {"eps": 1e-300}, {"max_num_minimizers": 1}):
        study_of(max_iter=math.inf, **limit).run(in_process, max_evaluations=1)


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("n_trials", "max_evaluations is the number of evaluations of a run"),
        ("max_iter", r"max_iter is given to create_study\(...\) or study.set_parameters\(...\)"),
        ("max_workers", "num_parallel is the number of evaluations at a time"),
        ("vectorised", "did you mean 'vectorized'"),
    ],
)
def test_an_argument_of_another_package_gets_a_hint_and_nothing_is_evaluated(argument, said):
    study = create_study({"x": (-1.0, 2.0)})
    with pytest.raises(UnknownOptionError, match=said):
        study.run(lambda x: x * x, **{argument: 3})
    assert study.num_evaluations == 0
    assert not study.open_suggestions
