"""A study without a feasible point says which constraints resist."""

from __future__ import annotations

import pytest

import optdriver
from optdriver.errors import ConstraintWarning

BOX = {"x": (0.0, 1.0), "y": (0.0, 1.0)}


def test_a_limit_that_no_point_satisfies_is_named():
    limits = {"stress": "<= 250", "mass": "<= 10"}
    study = optdriver.create_study(BOX, outputs=limits, jac=True, max_num_minimizers=2)

    def heavy(x, y):
        return x + y, [1.0, 1.0], {"stress": (300.0 + x, [1.0, 0.0]), "mass": (y, [0.0, 1.0])}

    with pytest.warns(ConstraintWarning, match=r"^no evaluated point.*'stress <= 250'"):
        study.run(heavy)
    said = study.unsatisfied()
    assert "mass" not in said
    x = study.history["x"].min()
    assert f"violated by {50.0 + x:.3g} at least" in said
    assert study.info()["notes"] == [said]
    assert study.best is None


def test_limits_that_hold_only_apart_are_said_to():
    study = optdriver.create_study(BOX, outputs={"a": "<= 1", "b": "<= 1"}, num_parallel=2)
    study.tell(study.ask().id, 1.0, outputs={"a": 0.0, "b": 2.0})
    study.tell(study.ask().id, 1.0, outputs={"a": 2.0, "b": 0.0})
    assert "each is satisfied somewhere, and never all of them" in study.unsatisfied()
