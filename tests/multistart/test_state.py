"""The state of a multi-start as data: what is refused, and what is in it."""

from __future__ import annotations

import copy
import json
import math
import pickle

import numpy as np
import pytest

from optdriver.errors import InputError
from optdriver.multistart import MultiStart
from tests.multistart.problems import drive, rosenbrock, waves


def used(**options):
    ms = MultiStart([(-2, 2)] * 2, num_initial=2, **options)
    drive(ms, waves, 3, most=40)
    ms.ask(2)
    return ms


def kinds(data):
    """All types in a nested state."""
    if isinstance(data, dict):
        return {str} | set().union(*map(kinds, data.values()))
    if isinstance(data, list):
        return set().union(set(), *map(kinds, data))
    return {type(data)}


@pytest.mark.parametrize(
    "options", [{}, {"jac": False}, {"start_rule": "mlsl"}, {"start_rule": "auto"}]
)
def test_it_consists_of_numbers_strings_and_arrays(options):
    allowed = {str, int, float, bool, type(None), np.ndarray}
    assert kinds(used(**options).to_dict()) <= allowed


def test_it_is_a_dict_of_a_version():
    assert used().to_dict()["version"] == 1


def broken(how):
    data = used().to_dict()
    how(data)
    return data


@pytest.mark.parametrize(
    "how",
    [
        lambda data: data.pop("runs"),
        lambda data: data.update(best=3),
        lambda data: data.update(pending=[{}]),
        lambda data: data["options"].update(num_initial=0),
        lambda data: data["options"].update(colour="red"),
        lambda data: data["runs"][0].update(x0="somewhere"),
        lambda data: data.update(version=2),
    ],
)
def test_what_was_tampered_with_is_refused(how):
    with pytest.raises(InputError):
        MultiStart.from_dict(broken(how))


def test_unlimited_counts_survive_strict_json():
    ms = MultiStart([(-2, 2)])
    text = json.dumps(ms.to_dict()["options"] | {"minimizer": {}}, allow_nan=False)
    assert json.loads(text)["max_num_minimizers"] is None
    again = MultiStart.from_dict(json.loads(json.dumps(ms.to_dict(), default=np.ndarray.tolist)))
    assert len(again.ask(9)) == 9


def test_copies_go_their_own_ways():
    ms = used()
    twins = [ms.copy(), copy.copy(ms), copy.deepcopy(ms), pickle.loads(pickle.dumps(ms))]
    ms.tell_failure(ms.pending[0].id)
    for twin in twins:
        assert len(twin.pending) == len(ms.pending) + 1


def test_points_of_a_restored_state_are_protected():
    again = MultiStart.from_dict(used().to_dict())
    for x in (again.pending[0].x, again.best.x, again.best.g):
        with pytest.raises(ValueError, match="read-only"):
            x[0] = 0.0


def test_what_a_run_reports_survives():
    ms = MultiStart([(-2, 2)] * 2, max_num_minimizers=2, maxfun=15)
    drive(ms, rosenbrock, 3)
    again = MultiStart.from_dict(ms.to_dict())
    for one, other in zip(ms.runs, again.runs, strict=True):
        assert (one.state, one.reason, one.f) == (other.state, other.reason, other.f)
        assert one.x.tobytes() == other.x.tobytes()
        assert math.isfinite(one.f)


@pytest.mark.parametrize("place", [[5.0, 0.0], [0.0, -2.5], [np.nan, 0.0], [0.0]])
def test_offered_starts_outside_the_box_are_refused(place):
    data = used(start_rule="auto").to_dict()
    assert data["linkage"]["offered"]
    data["linkage"]["offered"][0][1] = np.array(place)
    with pytest.raises(InputError, match="no stored multi-start"):
        MultiStart.from_dict(data)


@pytest.mark.parametrize(("side", "to"), [("lower", -0.25), ("upper", 0.5)])
def test_constraints_of_a_larger_box_are_refused(side, to):
    data = MultiStart([(-2, 2)] * 2, constraints=["x1^2 + x2^2 <= 1"]).to_dict()
    assert MultiStart.from_dict(data).ask(1)
    data[side] = np.array([to, data[side][1]])
    with pytest.raises(InputError, match="larger box"):
        MultiStart.from_dict(data)


@pytest.mark.parametrize("change", [{"options": None}, {"lower": None}])
def test_what_is_no_stored_multi_start(change):
    with pytest.raises(InputError, match="no stored multi-start"):
        MultiStart.from_dict(MultiStart([(0, 1)]).to_dict() | change)


@pytest.mark.parametrize("method", ["L-BFGS-B", "SLSQP", "Nelder-Mead"])
@pytest.mark.parametrize("side", ["lower", "upper"])
def test_a_minimizer_of_a_larger_box_is_refused(method, side):
    """As is the state of a multi-start whose own box was made smaller, which would be left."""
    ms = MultiStart([(-2, 2)] * 2, num_initial=2, method=method)
    points = ms.ask(2)
    data = ms.to_dict()
    assert MultiStart.from_dict(data).pending
    outer = {"lower": np.min, "upper": np.max}[side]([p.x[0] for p in points])
    data[side] = data[side].copy()
    data[side][0] = (data[side][0] + outer) / 2.0
    assert data["lower"][0] <= outer <= data["upper"][0]
    with pytest.raises(InputError, match="larger box"):
        MultiStart.from_dict(data)
