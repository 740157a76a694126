"""Another program holds the database for too long: the call fails, and can be made again."""

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import optdriver
from optdriver.errors import StorageError
from tests.study.test_interrupts import BOX, objective, play, undisturbed


def new(path, **parameters):
    settings = {"jac": True, "seed": 1, "num_initial": 3, "max_iter": 30} | parameters
    return optdriver.create_study(BOX, storage=path, **settings)


class Shell:
    """Another program, which takes the file for itself."""

    def __init__(self, study, path):
        study._desk.journal._connection.execute("PRAGMA busy_timeout = 1")
        self.path = path

    def begin(self):
        self.file = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        self.file.execute("BEGIN IMMEDIATE")

    def end(self):
        self.file.execute("ROLLBACK")
        self.file.close()


def asked(study):
    history = study.history
    return [(x.tobytes(), run) for x, run in zip(history.x, history["run"], strict=True)]


@pytest.mark.parametrize("at", [1, 2, 9])
def test_run_goes_on_in_the_same_process_and_evaluates_nothing_twice(at, tmp_path):
    expected = new(None)
    expected.run(objective)
    study, calls = new(tmp_path / "study.db"), []
    shell = Shell(study, tmp_path / "study.db")

    def locked(**params):
        calls.append(params)
        if len(calls) == at:
            shell.begin()
        return objective(**params)

    with pytest.raises(StorageError, match="locked by another program"):
        study.run(locked)
    with pytest.raises(StorageError, match="locked by another program"):
        study.run(locked)
    shell.end()
    study.run(locked)
    assert asked(study) == asked(expected)
    assert len(calls) == 30
    assert study.verify().points == 30
    study.close()


def test_so_do_results_of_threads(tmp_path):
    study, calls, lock = new(tmp_path / "study.db", num_parallel=3), [], threading.Lock()
    shell = Shell(study, tmp_path / "study.db")

    def locked(**params):
        with lock:
            calls.append(params)
            if len(calls) == 8:
                shell.begin()
        return objective(**params)

    with ThreadPoolExecutor(3) as pool:
        with pytest.raises(StorageError, match="locked by another program"):
            study.run(locked, executor=pool)
        shell.end()
        study.run(locked, executor=pool)
    assert study.num_evaluations == len(calls) == 30
    assert study.open_suggestions == ()
    assert study.verify().points == 30
    study.close()


def test_a_call_by_hand_is_made_again(tmp_path):
    path = tmp_path / "study.db"
    study = new(path, num_parallel=3)
    shell, failed = Shell(study, path), 0

    def twice(call):
        nonlocal failed
        shell.begin()
        try:
            result = call()
        except StorageError:
            failed += 1
        else:
            assert result is None or isinstance(result, tuple)  # nothing had to be recorded
        shell.end()
        return call()

    assert play(study, twice) == play(new(None, num_parallel=3), undisturbed)
    assert failed >= 60
    assert study.verify().points == 30
    study.close()
