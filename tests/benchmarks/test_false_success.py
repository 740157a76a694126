"""Successes are judged by what is left to gain; interfaces claim none falsely (a few runs each)."""

from __future__ import annotations

import json
from itertools import islice

import numpy as np
import pytest

from benchmarks import false_success, scaled
from benchmarks.problems import by_name
from benchmarks.scaled import UNITS, Task, tasks

OURS = ["`MultiStart`", "a study", "a study, SLSQP"]


def task_of(name, **more):
    problem = by_name(name)
    sides = {"lower": problem.lower, "upper": problem.upper}
    if problem.lower is None:
        sides = {"lower": np.full(problem.n, -100.0), "upper": np.full(problem.n, 100.0)}
    usual = {"units": np.ones(problem.n), "unit": 1.0, "start": problem.start.astype(float)}
    return Task(fun=problem.fun, **{**sides, **usual, **more})


def test_a_task_is_the_same_problem_in_other_units():
    for task in islice(tasks("both"), 20):
        f, g = task(task.x0)
        f0, g0 = task.fun(task.start)
        assert np.all(np.frexp(task.units)[0] == 0.5)
        assert f / task.unit == f0
        assert np.array_equal(g / task.unit * task.units, g0)
        assert np.all((task.box[:, 0] <= task.x0) & (task.x0 <= task.box[:, 1]))
    again = next(tasks("both"))
    assert np.array_equal(again.x0, next(tasks("both")).x0)


def test_points_are_judged_by_what_is_left_to_gain(monkeypatch):
    wood = task_of("MGH14 Wood", units=np.array([8.0, 0.5, 2.0**-30, 1.0]))
    assert wood.judged(np.ones(4) * wood.units) == "right"
    assert wood.judged((1.0 + 1e-4) * wood.units) == "right"
    assert wood.judged(wood.x0) == "false"
    plateau = task_of("HS25")
    assert plateau.judged(np.array([50.0, 25.0, 1.5])) == "right"
    monkeypatch.setattr(scaled, "tight", lambda _task, _x: 0.0)
    assert plateau.judged(plateau.x0) == "flat"  # f is 33, its gradient 1e-6
    assert wood.judged(wood.x0) == "false"


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("kind", list(UNITS))
def test_no_success_is_false(name, kind):
    ends = [
        false_success.ended(false_success.BOUNDED[name], task) for task in islice(tasks(kind), 4)
    ]
    assert "false" not in ends


def test_what_was_kept_is_not_run_again(tmp_path, monkeypatch):
    calls = []

    def counting(way, task):
        calls.append(task)
        return "right"

    monkeypatch.setattr(false_success, "ended", counting)
    keep = tmp_path / "ends.json"
    arguments = ["--only", "bounds | a study, SLSQP", "--keep", str(keep), "--runs"]
    false_success.run([*arguments, "2"])
    section = false_success.run([*arguments, "3"])
    assert len(calls) == 3 * len(UNITS)
    assert section.tables[0].rows == [("a study, SLSQP", *["0 + 0 / 3"] * 4, "12")]
    assert [target.value for target in section.targets] == [0]
    assert set(json.loads(keep.read_text())) == {
        f"bounds | a study, SLSQP | {kind}" for kind in UNITS
    }
