"""Intervals by profile likelihood, beside a profile made with SciPy."""

from __future__ import annotations

import math
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import brentq, least_squares

import optdriver
from optdriver.errors import InputError, ProtocolError, UnknownOptionError
from optdriver.storage import codec
from optdriver.study import Study
from optdriver.study.events import pack, unpack

T = np.linspace(0.0, 4.0, 25)
Y = 2.0 * np.exp(-0.7 * T) + 0.3 + 0.15 * np.sin(37.0 * np.arange(25.0))
SPACE = {"a": (0.1, 10), "k": (0.01, 10), "c": (-1, 1)}


def decay(a, k, c):
    e = np.exp(-k * T)
    return a * e + c - Y, np.column_stack([e, -a * T * e, np.ones_like(T)])


def fitted(space=SPACE, objective=decay, **given):
    study = optdriver.create_study(
        space, driver="least-squares", max_num_minimizers=1, **{"jac": True, **given}
    )
    study.run(objective)
    return study


@pytest.mark.parametrize("jac", [True, False])
def test_the_ends_are_where_the_profile_has_risen(jac):
    objective = decay if jac else lambda a, k, c: decay(a, k, c)[0]
    study = fitted(objective=objective, jac=jac)
    before = study.num_evaluations
    with ThreadPoolExecutor(3) as executor:
        (row,) = study.profile(objective, names=["k"], level=0.9, executor=executor)
    spread = study.uncertainty()
    rise = 0.5 * (spread.sigma * stats.t.ppf(0.95, 22)) ** 2

    def risen(k):
        made = least_squares(
            lambda z: z[0] * np.exp(-k * T) + z[1] - Y, [2.0, 0.3], xtol=1e-15, ftol=1e-15
        )
        return made.cost - spread.value - rise

    expected = brentq(risen, 0.2, row.value), brentq(risen, row.value, 2.0)
    np.testing.assert_allclose((row.low, row.high), expected, rtol=1e-5)
    assert row.note == ""
    assert row.values[np.searchsorted(row.theta, row.value)] == row.values.min()
    assert study.num_evaluations == before


def test_of_a_linear_model_they_are_those_of_the_covariance():
    x = np.column_stack([np.ones_like(T), T])

    def line(a, b):
        return x @ [a, b] - Y, x

    study = fitted({"a": (-50, 50), "b": (-50, 50)}, line)
    linear = study.uncertainty().intervals(0.95)
    for row in study.profile(line):
        np.testing.assert_allclose((row.low, row.high), linear[row.name], rtol=1e-6)


def test_a_bound_that_comes_first_is_said():
    study = fitted(SPACE | {"k": (0.6, 10)})
    (row,) = study.profile(decay, names=["k"])
    assert row.low == 0.6
    assert row.note == "low: at its bound"
    assert "at its bound" in repr(study.profile(decay, names=["k"]))


def test_an_end_that_fails_has_no_number():
    study = fitted()

    def fails(a, k, c):
        if k > 0.7:
            raise ArithmeticError("no convergence")
        return decay(a, k, c)

    (row,) = study.profile(fails, names=["k"])
    assert math.isfinite(row.low)
    assert math.isnan(row.high)
    assert "no convergence" in row.note


def test_what_has_no_profile_is_refused():
    with pytest.raises(UnknownOptionError, match="'kk'"):
        fitted().profile(decay, names=["kk"])
    with pytest.raises(InputError, match="between 0 and 1"):
        fitted().profile(decay, level=95)
    with pytest.raises(InputError, match="linear"):
        fitted(loss="huber").profile(decay)
    with pytest.raises(InputError, match="driver='least-squares'"):
        optdriver.create_study(SPACE).profile(decay)


# -- asked, kept and gone on with like a study ---------------------------------------------------


def value_of(suggestion):
    return decay(**suggestion.params)


def finish(study):
    """Evaluate what is asked, and return how many calls that took."""
    calls = 0
    while (suggestion := study.ask()) is not None:
        study.tell(suggestion.id, *value_of(suggestion))
        calls += 1
    return calls


def equal(one, other):
    return repr(one) == repr(other) and all(
        np.array_equal(a.theta, b.theta) and np.array_equal(a.values, b.values)
        for a, b in zip(one, other, strict=True)
    )


@pytest.mark.parametrize("jac", [True, False])
def test_a_profile_goes_on_the_same_from_everywhere(jac):
    journal = []
    objective = decay if jac else lambda a, k, c: decay(a, k, c)[0]
    study = fitted(objective=objective, jac=jac, journal=journal, num_parallel=3)
    begun = len(journal)
    rows = study.profile(objective, names=["k"])
    for cut in range(begun, len(journal), 111 if jac else 601):
        events = [unpack(pack(event)) for event in journal[:cut]]
        again = Study.from_events(study.spec, events)
        for start in (again, Study.from_dict(json_round(again.to_dict()))):
            start.release()
            assert equal(start.profile(objective, names=["k"]), rows)
            assert len(start.history["id"]) == len(study.history["id"])
            assert start.stop_kind == study.stop_kind
    assert study.info()["success"]


def json_round(data):
    return codec.from_json(codec.to_json(data))


SCRIPT = """
import os, sys
sys.path.insert(0, {root!r})
from tests.study.test_profile import *
calls = 0
def objective(a, k, c):
    global calls
    calls += 1
    if calls > 30:
        os._exit(9)
    return decay(a, k, c)
study = fitted(objective=objective, storage={path!r})
study.profile(objective, names=["k"])
"""


def test_a_killed_profile_evaluates_nothing_twice(tmp_path):
    path, root = str(tmp_path / "killed.db"), str(Path(__file__).resolve().parents[2])
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(root=root, path=path)], check=False, cwd=root
    )
    assert ended.returncode == 9
    alone = fitted()
    rows = alone.profile(decay, names=["k"])
    seen = []

    def objective(a, k, c):
        seen.append((a, k, c))
        return decay(a, k, c)

    with optdriver.load_study(path) as study:
        told = len(study.history["id"])
        assert told == 30
        assert study.is_profiling
        assert equal(study.profile(objective, names=["k"]), rows)
        assert len(seen) == len(alone.history["id"]) - told
        assert np.array_equal(study.history.x, alone.history.x)
        assert study.verify().points
    with optdriver.load_study(path, read_only=True) as study:
        assert not study.is_profiling
        assert equal(study.profile(names=["k"]), rows)


def test_it_counts_for_no_limit_and_stands_where_it_stood():
    study = optdriver.create_study(
        SPACE, driver="least-squares", jac=True, max_num_minimizers=1, max_iter=13
    )
    study.run(decay)
    before = study.stop_kind, study.num_evaluations
    study.profile(decay, names=["k"])
    assert (study.stop_kind, study.num_evaluations) == before
    assert study.is_done()
    going = fitted()
    going.set_parameters(max_num_minimizers=4)
    going.profile(decay, names=["k"])
    assert going.stop_kind == "profile"
    going.run(decay)
    assert len(going.runs) == 4


def test_what_is_open_can_be_told_meanwhile():
    study = fitted()
    study.set_parameters(max_num_minimizers=4)
    other = study.ask()
    study.begin_profile(["k"])
    profiled = study.ask(2, fill=True)
    assert [each.kind for each in profiled] == ["profile", "profile"]
    study.tell(other.id, *value_of(other))
    study.begin_profile(["k"])
    assert len(study.open_suggestions) == 2
    study.begin_profile(["c"])  # another one: what was open of the first is given up
    assert not study.open_suggestions
    study.tell(profiled[0].id, *value_of(profiled[0]))  # and has no effect
    finish(study)
    assert [row.name for row in study.profile(names=["c"])] == ["c"]
    assert study.stop_kind == "profile"


def test_a_stop_breaks_it_off_and_it_goes_on():
    study, rows = fitted(), fitted().profile(decay, names=["k"])
    calls = []

    def stops(a, k, c):
        calls.append(k)
        if len(calls) == 20:
            study.stop()
        return decay(a, k, c)

    with pytest.raises(ProtocolError, match="to go on"):
        study.profile(stops, names=["k"])
    assert study.stop_kind == "stop"
    assert equal(study.profile(decay, names=["k"]), rows)
    assert study.stop_kind == "driver"


def test_weights_and_bounds_that_are_texts_hold_in_it():
    sigma = 0.05 * np.sqrt(1.0 + T)

    def weighted(a, k, c):
        r, j = decay(a, k, c)
        return {"residuals": r, "jacobian": j, "uncertainty": sigma}

    study = fitted(objective=weighted)
    divided = fitted(
        objective=lambda a, k, c: tuple(
            part / column
            for part, column in zip(decay(a, k, c), (sigma, sigma[:, None]), strict=True)
        )
    )
    (row,) = study.profile(weighted, names=["k"])
    (other,) = divided.profile(divided.objective or (lambda a, k, c: (
        decay(a, k, c)[0] / sigma, decay(a, k, c)[1] / sigma[:, None]
    )), names=["k"], absolute_sigma=True)  # fmt: skip
    assert (row.low, row.high) == pytest.approx((other.low, other.high), rel=1e-9)
    bounded = fitted(constraints=["k <= 0.7"])
    (row,) = bounded.profile(decay, names=["k"])
    assert (row.high, row.note) == (0.7, "high: at its bound")
    assert bounded.history.x[:, 1].max() <= 0.7


def test_a_state_with_another_profile_is_refused():
    study = fitted()
    study.begin_profile(["k"])
    study.ask()
    data = study.to_dict()
    for change in (
        {"indices": [7]},
        {"ends": data["profile"]["ends"][:1]},
        {"steps": [math.nan]},
        {"stop": [1]},
    ):
        with pytest.raises(InputError):
            Study.from_dict(data | {"profile": data["profile"] | change})
    with pytest.raises(InputError):
        Study.from_dict({key: item for key, item in data.items() if key != "profile"})
    end = data["profile"]["ends"][0]
    machine = end["machine"] | {"minimizer": None}
    ends = [end | {"machine": machine}, *data["profile"]["ends"][1:]]
    with pytest.raises(InputError):
        Study.from_dict(data | {"profile": data["profile"] | {"ends": ends}})
