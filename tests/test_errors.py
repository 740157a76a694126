"""Whatever is said points at the user's line, and what is said of many is said once."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize as scipy_minimize

import optdriver

BOX = {"x": (-1.0, 2.0), "y": (-1.0, 2.0)}


def of_a_constraint_of_a_study(_):
    optdriver.create_study(BOX, constraints=["x + y <= 9"])


def of_a_constraint_of_a_call(_):
    optdriver.minimize(lambda x, y: x * x + y * y, BOX, constraints=["x + y <= 9"], n_iter=1)


def of_a_set(_):
    optdriver.ConstraintSet(["x + y <= 9"], ["x", "y"], list(BOX.values()))


def of_a_gradient(_):
    study = optdriver.create_study(BOX)
    study.tell(study.ask().id, 1.0, [1.0, 2.0])


def of_a_run(_):
    study = optdriver.create_study(BOX, max_iter=2)
    study.run(lambda x, y: x * x + y * y)
    study.run(lambda x, y: x * x + y * y)


def of_a_method_of_scipy(_):
    scipy_minimize(np.sum, [1.0], method=optdriver.scipy_method, options={"maxitre": 3})


def of_a_torn_line(folder):
    study = optdriver.create_study(BOX, storage=folder / "study.db")
    study.ask()
    study.export(folder / "study.jsonl")
    whole = (folder / "study.jsonl").read_text()
    (folder / "study.jsonl").write_text(whole[:-20])
    optdriver.import_study(folder / "study.jsonl", folder / "again.db")


@pytest.mark.parametrize(
    "call",
    [
        of_a_constraint_of_a_study, of_a_constraint_of_a_call, of_a_set, of_a_gradient, of_a_run,
        of_a_method_of_scipy, of_a_torn_line,
    ],
)  # fmt: skip
def test_a_warning_points_at_the_line_that_led_to_it(call, tmp_path):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call(tmp_path)
    assert caught
    assert {Path(each.filename).name for each in caught} == {Path(__file__).name}


def test_many_constraints_with_one_fault_are_named_once():
    texts = [f"x + y <= {k}" for k in range(9, 40)]
    with pytest.warns(optdriver.constraints.ConstraintWarning) as caught:
        optdriver.create_study(BOX, constraints=texts)
    assert len(caught) == 1
    said = str(caught[0].message)
    assert said.startswith("31 constraints ('x + y <= 9', 'x + y <= 10', 'x + y <= 11', ...)")
    with pytest.warns(optdriver.constraints.ConstraintWarning) as caught:
        optdriver.create_study(BOX, constraints=texts[:3])
    assert len(caught) == 3
