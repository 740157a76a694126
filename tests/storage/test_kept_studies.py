"""A study in a file: made, opened, gone on with, looked at, verified, moved."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import optdriver
from optdriver.errors import (
    InputError,
    ProtocolError,
    StorageError,
    StudyInUseError,
    UnknownOptionError,
)
from optdriver.storage import sqlite
from tests.storage.test_journals import change
from tests.study.test_suspension import SETTINGS, Session
from tests.study.tools import BOX, Clock, answer, rastrigin, same

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "study.db"


def go_on(study, steps):
    """Play a little; return what was asked."""
    seen = []
    for _ in range(steps):
        seen += [(s.id, s.x.tobytes()) for s in study.ask(3)]
        if study.open_suggestions:
            answer(study, study.open_suggestions[-1])
    return seen


class Kept:
    """Plays a `Session` on a study in a file, which is reopened now and then."""

    def __init__(self, path, parameters, seed):
        self.session = Session(parameters, seed, self.reopen)
        if parameters["jac"]:
            parameters = parameters | {"check_grad": True}
        self.path, self.clock = path, self.session.clock
        self.session.study = optdriver.create_study(
            BOX, storage=path, clock=self.clock, **parameters
        )

    def reopen(self, study, _journal, clock):
        if random.Random(study.num_evaluations).random() < 0.5:
            study.close()
            return optdriver.load_study(self.path, clock=clock)
        return study


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(SETTINGS, st.integers(0, 10**6), st.sampled_from([1, 20, 2048]))
def test_a_study_in_a_file_goes_on_identically(tmp_path, parameters, seed, pays):
    path = tmp_path / f"{os.urandom(8).hex()}.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite, "PAYS", pays)
        kept = Kept(path, parameters, seed)
        kept.session.play(70)
    whole = Session(parameters, seed).play(70)
    with kept.session.study as study:
        assert kept.session.asked == whole.asked
        assert same(study.to_dict(), whole.study.to_dict())
        study.verify()


def test_everything_is_as_it_was(path):
    clock = Clock()
    with optdriver.create_study(
        BOX, storage=path, clock=clock, jac=True, num_parallel=3, num_initial=2, name="disc"
    ) as study:
        study.start_clock()
        clock.time += 7
        go_on(study, 20)
        before, opened = study.to_dict(), study.open_suggestions
    clock.time += 1000
    with optdriver.load_study(path, clock=clock) as again:
        assert same(again.to_dict(), before)
        assert again.name == "disc"
        assert again.info()["elapsed"] == 7
        assert [s.id for s in again.open_suggestions] == [s.id for s in opened]
        again.release()
        assert [s.id for s in again.ask(2)] == [s.id for s in opened]


def test_a_study_is_opened_where_it_is_created_again(path):
    with optdriver.create_study(BOX, storage=path, jac=True, max_iter=10) as study:
        first = go_on(study, 8)
    with optdriver.create_study(BOX, storage=path, jac=True, max_iter=20) as study:
        assert study.num_evaluations == 8
        assert study.parameters["max_iter"] == 20
        second = go_on(study, 8)
    assert [id for id, _ in first + second] == list(range(len(first + second)))
    with optdriver.load_study(path) as study:
        assert study.parameters["max_iter"] == 20
        with pytest.raises(ProtocolError, match="'seed' cannot be changed"):
            study.set_parameters(seed=3)
    with pytest.raises(ProtocolError, match="'seed' cannot be changed"):
        optdriver.create_study(BOX, storage=path, seed=3)
    optdriver.load_study(path).close()


def test_the_other_dialect(tmp_path):
    domain = [{"name": "x", "type": "continuous", "domain": (-1, 1)}]
    client = optdriver.client()
    for evaluations in (0, 1):
        with client.create_study(domain=domain, save_dir=tmp_path, study_id="a b") as study:
            study.set_parameters(jac=True)
            assert study.num_evaluations == evaluations
            suggestion = study.get_suggestion()
            observation = study.new_observation()
            observation.add(suggestion.kwargs["x"] ** 2)
            observation.add(derivative="x", value=2 * suggestion.kwargs["x"])
            study.add_observation(observation, suggestion.id)
            assert study.info()["study_id"] == "a b"
    assert tmp_path.joinpath("a b.db").exists()


@pytest.mark.parametrize("bad", ["a/b", "..", "a\\b", ".hidden", "a:b", "", None, "x\0"])
def test_an_id_that_is_no_name_of_a_file(tmp_path, bad):
    with pytest.raises(InputError, match="study_id"):
        optdriver.create_study(BOX, save_dir=tmp_path, study_id=bad)
    assert not list(tmp_path.iterdir())


def test_another_domain_is_refused_with_the_difference(path):
    optdriver.create_study(BOX, storage=path).close()
    before = path.read_bytes()
    for domain, said in [
        (BOX | {"x1": (-1, 1.5)}, r"'x1' is continuous \[-1.5, 1.5\] there, continuous \[-1.0,"),
        (BOX | {"y": (0, 1)}, "parameter 'y' is continuous .* here, and missing there"),
        ({"x1": (-1.5, 1.5), "radius": 2}, "parameter 'x2' is .* there, and missing here"),
        (BOX | {"radius": 3}, "'radius' is fixed 2 there, fixed 3 here"),
        (dict(reversed(BOX.items())), "in the order x1, x2, radius"),
    ]:
        with pytest.raises(InputError, match=said):
            optdriver.create_study(domain, storage=path)
    with pytest.raises(InputError, match="scale is True there, False here"):
        optdriver.create_study(BOX, storage=path, scale=False)
    assert path.read_bytes() == before


def test_parameters_may_change_until_the_study_begins(path):
    with optdriver.create_study(BOX, storage=path) as study:
        study.set_parameters(jac=True, seed=5, initial_samples=[[0.1, 0.2]])
    with optdriver.load_study(path) as study:
        assert study.parameters["seed"] == 5
        study.set_parameters(seed=6)
        with pytest.raises(InputError):
            study.set_parameters(initial_samples=[[0.1, 9.0]])
        study.stop()
        study.resume()
        study.set_parameters(num_parallel=2)
        assert study.ask().x.tolist() == [0.1, 0.2]
        go_on(study, 3)
    with optdriver.load_study(path) as study:
        assert study.parameters["num_parallel"] == 2
        study.verify()


def test_what_the_driver_refuses_leaves_no_file(path):
    with pytest.raises(InputError, match="finite"):
        optdriver.create_study({"x": (0, None)}, storage=path)
    assert not path.exists()


def test_one_study_has_one_place(path):
    with pytest.raises(InputError, match="storage= or save_dir="):
        optdriver.create_study(BOX, storage=path, save_dir=path.parent, study_id="x")
    with pytest.raises(InputError, match="storage= or journal="):
        optdriver.create_study(BOX, storage=path, journal=[])
    with pytest.raises(UnknownOptionError, match="unknown durability 'energy'"):
        optdriver.create_study(BOX, storage=path, durability="energy")
    assert not path.exists()


def test_a_second_writer_is_told_who_the_first_is(path):
    with optdriver.create_study(BOX, storage=path, jac=True) as study:
        with pytest.raises(StudyInUseError, match=f"pid {os.getpid()} on"):
            optdriver.load_study(path)
        said = in_another_process(path, "optdriver.load_study(path)")
        assert f"is being written by process {os.getpid()} on" in said
        assert "StudyInUseError" in said
        answer(study, study.ask())
        said = in_another_process(path, "print(optdriver.load_study(path, read_only=True).best.id)")
        assert said == "0"
    assert in_another_process(path, "print(optdriver.load_study(path).best.id)") == "0"
    optdriver.load_study(path).close()


def in_another_process(path, code):
    program = f"import optdriver\npath = {str(path)!r}\n{code}"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    return (done.stdout + done.stderr).strip()


def test_looking_does_not_write(path):
    with optdriver.create_study(BOX, storage=path, jac=True) as study:
        go_on(study, 5)
        with optdriver.load_study(path, read_only=True) as looking:
            assert same(looking.to_dict()["driver"], study.to_dict()["driver"])
            for call in (
                lambda: answer(looking, looking.ask()),
                lambda: looking.stop(),
                lambda: looking.set_parameters(max_iter=99),
            ):
                with pytest.raises(StorageError, match="opened with read_only=True"):
                    call()
            assert looking.num_evaluations == 5
            looking.verify()
        go_on(study, 5)
    before = path.read_bytes()
    with optdriver.load_study(path, read_only=True) as looking:
        assert looking.num_evaluations == 10
    assert path.read_bytes() == before


def test_a_closed_study_can_be_read_and_not_changed(path):
    study = optdriver.create_study(BOX, storage=path, jac=True)
    answer(study, study.ask())
    study.close()
    study.close()
    assert study.best.id == 0
    with pytest.raises(StorageError, match="go on with optdriver.load_study"):
        study.ask()
    with pytest.raises(StorageError, match="closed"):
        study.verify()


def test_a_forgotten_study_frees_its_file(path):
    study = optdriver.create_study(BOX, storage=path, jac=True)
    answer(study, study.ask())
    del study
    with optdriver.load_study(path) as again:
        assert again.num_evaluations == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_a_forked_child_leaves_the_study_alone(path):
    program = """
import os
study = optdriver.create_study({"x": (0, 1)}, storage=path, jac=True)
suggestion = study.ask()
child = os.fork()
if child == 0:
    try:
        study.tell(suggestion.id, 1.0, [1.0])
    except optdriver.errors.StorageError as error:
        print("child:", error, flush=True)
    raise SystemExit(0)
os.waitpid(child, 0)
study.tell(suggestion.id, 2.0, [1.0])
study.close()
print(optdriver.load_study(path).best.value)
"""
    program = "import optdriver.errors\n" + program
    said = in_another_process(path, program).splitlines()
    assert "not to this child" in said[0]
    assert said[1:] == ["2.0"]


def test_a_decision_that_was_not_recorded_is_made_up_for(path):
    with optdriver.create_study(BOX, storage=path, jac=True, min_val=1e9) as study:
        answer(study, study.ask())
        assert study.stop_kind == "min_val"
    change(path, "DELETE FROM event WHERE kind IN ('Stopped', 'Suspended')")
    change(path, "DELETE FROM mark")
    with optdriver.load_study(path) as study:
        assert study.stop_kind == "min_val"
        assert study.ask() is None


def test_export_and_import(path, tmp_path):
    lines = tmp_path / "study.jsonl"
    with optdriver.create_study(BOX, storage=path, num_parallel=3, eps=1e-9) as study:
        go_on(study, 30)
        study.tell_failure(study.open_suggestions[0].id, "bad\nluck")
        assert study.export(lines) == lines
        with pytest.raises(StorageError, match="already"):
            study.export(lines)
        with pytest.raises(StorageError, match="cannot be written"):
            study.export(tmp_path / "no" / "such.jsonl")
        whole = study.to_dict()
    for line in lines.read_text(encoding="utf-8").splitlines():
        json.loads(line, parse_constant=pytest.fail)
    with optdriver.import_study(lines, tmp_path / "again.db") as again:
        data = again.to_dict()
        assert same(data | {"elapsed": 0}, whole | {"elapsed": 0})
        again.verify()
    with pytest.raises(StorageError, match="a file at .* already"):
        optdriver.import_study(lines, path)


def test_a_torn_last_line_is_dropped_and_another_is_not(path, tmp_path):
    lines = tmp_path / "study.jsonl"
    with optdriver.create_study(BOX, storage=path, jac=True) as study:
        go_on(study, 4)
        study.export(lines)
    text = lines.read_bytes()
    rows = text.split(b"\n")
    for number, cut in enumerate(range(len(text) - len(rows[-2]) - 1, len(text))):
        lines.write_bytes(text[:cut])
        target = tmp_path / f"{number}.db"
        if cut in (len(text) - len(rows[-2]) - 1, len(text) - 1):
            optdriver.import_study(lines, target).close()
            continue
        with pytest.warns(RuntimeWarning, match="torn, and was dropped"):
            optdriver.import_study(lines, target).close()
    for broken, said in [
        ([*rows[:3], rows[3][:-5], *rows[4:]], "line 4, is no event"),
        (rows[:2] + rows[3:], "no exported study: the events"),
        (rows[1:], "first line does not say"),
        ([rows[0].replace(b'"version":1', b'"version":9', 1), *rows[1:]], "version 9"),
        ([b""], "no exported study"),
        ([b"\xff\xfe"], "no exported study"),
    ]:
        lines.write_bytes(b"\n".join(broken))
        with pytest.raises(StorageError, match=said):
            optdriver.import_study(lines, tmp_path / "broken.db")
        assert not tmp_path.joinpath("broken.db").exists()
    with pytest.raises(StorageError, match="cannot be read"):
        optdriver.import_study(tmp_path / "none.jsonl", tmp_path / "broken.db")


def test_verify_finds_what_was_changed(path):
    with optdriver.create_study(BOX, storage=path, jac=True) as study:
        go_on(study, 10)
        found = study.verify()
        assert found.points == 10
        assert found.events >= 20
        change(path, "UPDATE event SET value = 3 WHERE seq = 4")  # for people only
        study.verify()
        change(path, "UPDATE event SET payload = zeroblob(24) WHERE seq = 4")
        with pytest.raises(StorageError, match="event 4 is missing or has been changed"):
            study.verify()


def test_many_parameters_are_kept_compactly(path):
    n, evaluations = 10_000, 12
    space = {f"x{i}": (-1.0, 2.0) for i in range(n)}
    rng = np.random.default_rng(3)
    weights = rng.random(n) + 0.5

    def tell(study):
        suggestion = study.ask()
        away = suggestion.x - 0.3
        study.tell(suggestion.id, float(weights @ away**2), 2 * weights * away)
        return suggestion.x.tobytes()

    parameters = {"jac": True, "initial_samples": [rng.random(n)], "sobol_sequence": False}
    whole = optdriver.create_study(space, **parameters)
    expected = [tell(whole) for _ in range(evaluations)]
    study, seen = optdriver.create_study(space, storage=path, **parameters), []
    for k in range(evaluations):
        seen.append(tell(study))
        if k % 4 == 0:
            study.close()
            study = optdriver.load_study(path)
    study.close()
    assert seen == expected
    spec = 60 * n
    assert path.stat().st_size < 2 * evaluations * 8 * n * 1.1 + 2 * spec


@pytest.mark.parametrize("parallel", [1, 3])
@pytest.mark.parametrize("most", [2, 5])
def test_runs_that_end_by_being_asked_for_are_facts(tmp_path, parallel, most):
    """On a plain, a run may begin and converge without any point of its own."""
    for seed in range(4):
        with optdriver.create_study(
            BOX,
            storage=tmp_path / f"{seed}.db",
            jac=True,
            start_rule="mlsl",
            num_initial=2,
            num_parallel=parallel,
            max_num_minimizers=most,
            max_iter=60,
            seed=seed,
        ) as study:
            while study.ask(parallel) or study.open_suggestions:
                suggestion = study.open_suggestions[-1]
                x = min(suggestion.x[0], 0.0)
                study.tell(suggestion.id, 1.0 + x * x, [2 * x, 0.0])
            study.verify()


def test_run_goes_on_in_the_file(path):
    def objective(x1, x2, radius):
        return rastrigin(x1, x2)

    kwargs = {"jac": True, "num_initial": 2, "num_parallel": 2, "max_iter": 40}
    with optdriver.create_study(BOX, storage=path, **kwargs) as study:
        study.run(objective, max_evaluations=11)
    with optdriver.load_study(path) as study:
        study.run(objective)
        assert study.num_evaluations == 40
        assert study.verify().points == 40


WRITER = """
import sys, optdriver
study = optdriver.load_study(sys.argv[1])
study.ask()
print("open", flush=True)
sys.stdin.read()
study.close()
"""


@pytest.mark.skipif(sys.platform not in ("linux", "darwin"), reason="the system does not tell")
@pytest.mark.parametrize("killed", [False, True])
def test_who_looks_sees_whether_the_study_is_being_written(path, killed):
    def status():
        with optdriver.load_study(path, read_only=True) as study:
            return study.info()["status"]

    optdriver.create_study(BOX, storage=path).close()
    assert status() == "created"
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, path],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with writer:
        assert writer.stdout.readline() == "open\n"
        assert status() == status() == "running"
        if killed:
            writer.kill()
    assert status() == "idle"
    with optdriver.load_study(path) as study:  # nothing was locked by looking
        assert study.info()["status"] == "running"
        assert status() == "running"
        study.stop()
    assert status() == "stopped"
