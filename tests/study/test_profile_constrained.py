"""Intervals by profile likelihood under constraints, beside a profile made with SLSQP."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import brentq, minimize

import optdriver
from optdriver.constraints import ConstraintSet
from optdriver.errors import InputError
from optdriver.study import Study
from optdriver.study.events import pack, unpack
from tests.study.test_profile import SPACE, T, Y, decay, equal, fitted, json_round

DISC = "a^2 + k^2 <= 4.2"  # active at the minimum
START = [[1.5, 0.5, 0.1]]


def outside(x):
    return x[0] ** 2 + x[1] ** 2 > 4.2


def least(k, limit):
    """Return half of the least sum of squares with k held, under a^2 <= limit - k^2."""
    made = minimize(
        lambda z: 0.5 * np.sum((z[0] * np.exp(-k * T) + z[1] - Y) ** 2),
        [1.5, 0.3],
        method="SLSQP",
        constraints=[{"type": "ineq", "fun": lambda z: limit - k * k - z[0] ** 2}],
        options={"ftol": 1e-15, "maxiter": 500},
    )
    return float(made.fun)


@pytest.mark.parametrize("jac", [True, False])
def test_the_ends_are_where_the_profile_under_the_constraint_has_risen(jac):
    objective = decay if jac else lambda a, k, c: decay(a, k, c)[0]
    study = fitted(objective=objective, jac=jac, constraints=[DISC], initial_samples=START)
    before = study.num_evaluations
    (row,) = study.profile(objective, names=["k"], level=0.9)
    spread = study.uncertainty()
    quantile = stats.t.ppf(0.95, spread.degrees)
    risen = spread.value + 0.5 * (spread.sigma * quantile) ** 2
    ends = [
        brentq(lambda k: least(k, 4.2) - risen, *side)
        for side in ((0.3, row.value), (row.value, 1.5))
    ]
    np.testing.assert_allclose((row.low, row.high), ends, rtol=2e-4)
    assert row.note == ""
    assert not any(outside(x) for x in study.history.x)
    assert study.num_evaluations == before


def test_an_interval_that_ends_where_the_constraints_do_says_so():
    study = fitted(constraints=["a^2 <= 4.2"], initial_samples=START)
    (row,) = study.profile(decay, names=["a"], level=0.99999)
    assert row.note == "high: where the constraints end"
    assert row.high == pytest.approx(np.sqrt(4.2), rel=1e-9)
    assert row.low < row.value < row.high
    assert (study.history.x[:, 0] ** 2 <= 4.2).all()
    assert len(study.history.x) < 100


def test_along_an_equality_it_has_one_parameter_less():
    study = fitted(constraints=["a + c == 2.2"], initial_samples=[[1.9, 0.5, 0.3]])
    (row,) = study.profile(decay, names=["k"])
    x = study.history.x
    assert np.abs(x[:, 0] + x[:, 2] - 2.2).max() < 1e-9
    free = fitted(
        {"a": (0.1, 10), "k": (0.01, 10)},
        lambda a, k: (decay(a, k, 2.2 - a)[0], decay(a, k, 2.2 - a)[1] @ [[1, 0], [0, 1], [-1, 0]]),
    )
    (other,) = free.profile(lambda a, k: (
        decay(a, k, 2.2 - a)[0], decay(a, k, 2.2 - a)[1] @ [[1, 0], [0, 1], [-1, 0]]
    ), names=["k"])  # fmt: skip
    assert (row.low, row.high) == pytest.approx((other.low, other.high), rel=1e-3)
    with pytest.raises(InputError, match="under equalities needs Jacobians"):
        fitted(
            objective=lambda a, k, c: decay(a, k, c)[0],
            jac=False,
            constraints=["a + c == 2.2"],
            initial_samples=[[1.9, 0.5, 0.3]],
        ).begin_profile()


def test_it_goes_on_the_same_from_everywhere():
    journal = []
    study = fitted(constraints=[DISC], initial_samples=START, journal=journal, num_parallel=3)
    begun = len(journal)
    rows = study.profile(decay, names=["k"])
    for cut in range(begun, len(journal), 37):
        events = [unpack(pack(event)) for event in journal[:cut]]
        again = Study.from_events(study.spec, events)
        for start in (again, Study.from_dict(json_round(again.to_dict()))):
            start.release()
            assert equal(start.profile(decay, names=["k"]), rows)
            assert len(start.history["id"]) == len(study.history["id"])


SCRIPT = """
import os, sys
sys.path.insert(0, {root!r})
from tests.study.test_profile_constrained import *
calls = 0
def objective(a, k, c):
    global calls
    calls += 1
    if calls > 20:
        os.kill(os.getpid(), 9)
    return decay(a, k, c)
study = fitted(objective=objective, storage={path!r}, constraints=[DISC], initial_samples=START)
study.profile(objective, names=["k"])
"""


def test_a_killed_profile_goes_on_under_its_constraint(tmp_path):
    path, root = str(tmp_path / "killed.db"), str(Path(__file__).resolve().parents[2])
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(root=root, path=path)], check=False, cwd=root
    )
    assert ended.returncode == (-9 if os.name == "posix" else 9)
    alone = fitted(constraints=[DISC], initial_samples=START)
    rows = alone.profile(decay, names=["k"])
    with optdriver.load_study(path) as study:
        assert study.is_profiling
        assert equal(study.profile(decay, names=["k"]), rows)
        assert np.array_equal(study.history.x, alone.history.x)


def test_a_set_in_a_smaller_box_has_the_same_rows():
    known = ConstraintSet(["a^2 + k^2 <= 4.2", "a*c <= 1"], list(SPACE), list(SPACE.values()))
    held = known.within([0.1, 0.7, -1.0], [10.0, 0.7, 0.5])
    x = np.array([1.0, 0.7, 0.2])
    np.testing.assert_array_equal(held.values(x), known.values(x))
    assert held.is_feasible(x)
    assert not held.is_feasible([1.0, 0.6, 0.2])
    assert known.is_feasible([1.0, 0.6, 0.2])
    assert known.rescaled([2.0, 4.0, 1.0]).within(0.1, 0.5).upper.tolist() == [0.5, 0.5, 0.5]
    with pytest.raises(InputError, match="no point in common"):
        known.within(11.0, 12.0)
