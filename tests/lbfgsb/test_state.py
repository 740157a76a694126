"""The state: data only, whole, and checked where it comes from outside."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from optdriver.errors import InputError
from tests.contracts.minimizer import is_data
from tests.lbfgsb.kernels import imported, interpreted
from tests.lbfgsb.problems import ROSENBROCK_START, rosenbrock, same, through_json

both = pytest.mark.parametrize("kernel", [imported, interpreted], ids=repr)


def part_of_a_run(kernel, evaluations=9):
    opt = kernel.LBFGSB(ROSENBROCK_START, [(-2, 2), (None, 3), (None, None)], maxcor=4)
    for _ in range(evaluations):
        opt.tell(*rosenbrock(opt.ask()))
    return opt


@both
def test_every_field_survives(kernel):
    opt = part_of_a_run(kernel)
    state = opt.state
    for twin in (
        state.copy(),
        kernel.state.from_dict(state.to_dict()),
        kernel.state.from_dict(through_json(state.to_dict())),
    ):
        assert same(twin.to_dict(), state.to_dict())
        assert is_data(twin.to_dict())
    with kernel.installed():
        assert same(pickle.loads(pickle.dumps(state)).to_dict(), state.to_dict())


@both
def test_all_numbers_are_in_the_dict(kernel):
    state = part_of_a_run(kernel).state
    fields = state.to_dict()
    held = sum(np.size(value) for value in fields.values() if isinstance(value, np.ndarray))
    assert held >= state.reals.size + state.integers.size - 1
    assert set(kernel.state.INTEGERS) | set(kernel.state.REALS) <= fields.keys()


@both
def test_arrays_have_names_and_places(kernel):
    state = part_of_a_run(kernel).state
    for name in kernel.state.VECTORS:
        assert np.shares_memory(state.vector(name), state.arrays[name])
        assert state.vector(name).shape == (3,)
    assert state.arrays["w"].shape == (3, 8)
    assert all(state.arrays[name].shape == (4, 4) for name in kernel.state.MATRICES)
    with pytest.raises(ValueError, match="not in tuple"):
        state.vector("nothing")


@both
@pytest.mark.parametrize("evaluations", [0, 1, 9])
def test_a_state_of_the_first_version_goes_on(kernel, evaluations):
    opt = part_of_a_run(kernel, evaluations)
    data = opt.to_dict()
    data["state"]["version"] = 1
    del data["state"]["f_start"]
    old = kernel.LBFGSB.from_dict(data)
    assert old.state.f_start == opt.state.f
    for run in (old, opt):
        while not run.done:
            run.tell(*rosenbrock(run.ask()))
    assert np.array_equal(old.result.x, opt.result.x)
    assert old.stop == opt.stop


@both
def test_a_cautious_state_of_the_third_version_keeps_its_rule(kernel):
    opt = kernel.LBFGSB(ROSENBROCK_START, cautious=True)
    opt.state.cautious = 1
    for _ in range(5):
        opt.tell(*rosenbrock(opt.ask()))
    data = opt.to_dict()
    data["state"]["version"] = 3
    del data["state"]["xs"]
    old = kernel.LBFGSB.from_dict(data)
    assert old.state.cautious == 1
    for run in (old, opt):
        while not run.done:
            run.tell(*rosenbrock(run.ask()))
    assert np.array_equal(old.result.x, opt.result.x)


@both
@pytest.mark.parametrize("n", [0, 1, 70])
def test_any_size_survives(kernel, n):
    opt = kernel.LBFGSB(np.zeros(n))
    assert same(kernel.LBFGSB.from_dict(opt.to_dict()).to_dict(), opt.to_dict())


def broken(data, **fields):
    return {**data, "state": {**data["state"], **fields}}


@both
@pytest.mark.parametrize(
    "fields",
    [
        {"version": 6},
        {"cautious": 10},
        {"beside": 15},
        {"left": -1},
        {"left": 11},
        {"doubts": -1},
        {"doubts": 66},
        {"xs": [0.0, np.nan, 0.0]},
        {"unit": 0.0},
        {"unit": 2.0},
        {"unit": float("nan")},
        {"version": None},
        {"k": 5},
        {"k": -1},
        {"head": 4},
        {"head": -1},
        {"phase": 3},  # beside no end
        {"phase": 4},
        {"stop": 99},
        {"m": 10**6},
        {"n": 10**9},
        {"phase": 10**30},
        {"n": 4},
        {"n": "many"},
        {"x": [1.0]},
        {"x": [[1.0], [1.0, 2.0]]},
        {"w": "abc"},
        {"w": [0.0]},
        {"gb": [1.0]},
        {"nit": 3.5},
        {"trials": "2"},
        {"f": None},
    ],
)
def test_a_state_that_contradicts_itself_is_refused(kernel, fields):
    data = part_of_a_run(kernel).to_dict()
    with pytest.raises(InputError):
        kernel.LBFGSB.from_dict(broken(data, **fields))


@both
@pytest.mark.parametrize("missing", ["k", "ftol", "x", "w"])
def test_a_state_with_a_hole_is_refused(kernel, missing):
    data = part_of_a_run(kernel).to_dict()
    del data["state"][missing]
    with pytest.raises(InputError, match="this is no stored LBFGSB"):
        kernel.LBFGSB.from_dict(data)


@both
def test_other_things_are_refused(kernel):
    data = part_of_a_run(kernel).to_dict()
    for other in (
        None,
        [],
        "state",
        {},
        {**data, "state": []},
        {**data, "state": None},
        {**data, "reasons": 3},
    ):
        with pytest.raises(InputError):
            kernel.LBFGSB.from_dict(other)
    with pytest.raises(InputError, match="version 99"):
        kernel.LBFGSB.from_dict({**data, "version": 99})


@both
def test_work_space_is_shared_in_a_thread(kernel):
    first = kernel.machine.scratch(5, 3)
    assert kernel.machine.scratch(4, 3) is first
    assert kernel.machine.scratch(6, 3) is not first
    assert kernel.machine.scratch(2, 4).m == 4


@pytest.mark.parametrize("kernel", [imported, interpreted], ids=repr)
def test_finite_bounds_are_counted_where_each_pair_leaves_a_number(kernel):
    count = kernel.state.finite_sides
    inf = np.inf
    lower, upper = np.array([0.0, -inf, -inf, 2.0]), np.array([1.0, 3.0, inf, 2.0])
    assert count(lower, upper) == 5
    assert count(np.zeros(0), np.zeros(0)) == 0
    for low, high in ((1.0, 0.0), (inf, inf), (-inf, -inf), (np.nan, 1.0), (0.0, np.nan)):
        lower[1], upper[1] = low, high
        assert count(lower, upper) == -1
