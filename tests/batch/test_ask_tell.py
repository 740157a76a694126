"""A batch: every lane is the minimizer that it would be alone, and the state is data."""

from __future__ import annotations

import contextlib
import copy
import functools
import json
import operator
import pickle
import random
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optdriver.batch import Batch
from optdriver.errors import InputError, ProtocolError, UnknownOptionError
from optdriver.lbfgsb import Phase, Stop
from tests.batch.tools import alone, batches_on, by_rows, check_lane, go, many_ripples
from tests.contracts.interrupts import insist
from tests.contracts.minimizer import equal, is_data, plain, settle
from tests.lbfgsb.kernels import imported, interpreted
from tests.lbfgsb.problems import KINDS, options, random_bounds, ripples, rosenbrock

BOX = np.array([[-3.0, 3.0]] * 3)


def starts(count, n=3, seed=0):
    return np.random.default_rng(seed).uniform(-3, 3, (count, n))


def bounds_of(rng, shared, count, n, style):
    """Bounds, and those of each lane."""
    if shared:
        one = np.column_stack(random_bounds(rng, n, style))
        return one, [one] * count
    own = np.array([np.column_stack(random_bounds(rng, n, style)) for _ in range(count)])
    return own.reshape(count, n, 2), list(own)


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 5),
    count=st.integers(0, 9),
    lanes=st.sampled_from([None, 1, 2, 3, 20]),
    kind=st.sampled_from(sorted(KINDS)),
    style=st.sampled_from(["free", "mixed", "boxed"]),
    shared=st.booleans(),
    failing=st.sets(st.tuples(st.integers(0, 8), st.integers(0, 20)), max_size=6),
    options=options,
)
def test_every_lane_is_the_minimizer_that_it_is_alone(
    seed, n, count, lanes, kind, style, shared, failing, options
):
    rng = np.random.default_rng(seed)
    fun = KINDS[kind](rng, n)
    bounds, of_lane = bounds_of(rng, shared, count, n, style)
    x0s = rng.uniform(-3, 3, (count, n))
    runs = []
    for lane in range(count):
        own = {k for i, k in failing if i == lane}
        runs.append(alone(fun, x0s[lane], of_lane[lane], own, **options))
    for kernel in (imported, interpreted):
        with batches_on(kernel) as package:
            batch = package.Batch(x0s, bounds, lanes=lanes, **options)
            traces = go(batch, by_rows(fun), failing)
            result = batch.result
        assert traces == {lane: points for lane, (_, points) in enumerate(runs)}
        for lane, (opt, _) in enumerate(runs):
            check_lane(result, lane, opt)


@pytest.mark.parametrize("lanes", [1, 3, 7])
def test_the_number_of_lanes_is_kept_and_places_are_taken_at_once(lanes):
    x0s, batch = starts(20), Batch(starts(20), BOX, lanes=lanes)
    seen = []
    while not batch.done:
        x = batch.ask()
        assert len(x) == len(batch.lanes) == min(lanes, len(x) + batch.waiting)
        seen += batch.lanes.tolist()
        batch.tell(*many_ripples(x))
    assert sorted(set(seen)) == list(range(20))
    assert batch.waiting == 0
    for lane in range(20):
        check_lane(batch.result, lane, alone(ripples, x0s[lane], BOX)[0])


def test_a_failure_at_any_position_disturbs_its_own_lane_only():
    x0s = starts(4)
    clean = [alone(ripples, x0, BOX) for x0 in x0s]
    for position in range(len(clean[1][1])):
        batch = Batch(x0s, BOX, lanes=3)
        traces = go(batch, many_ripples, {(1, position)})
        failed = alone(ripples, x0s[1], BOX, {position})
        assert traces[1] == failed[1]
        check_lane(batch.result, 1, failed[0])
        for lane in (0, 2, 3):
            assert traces[lane] == clean[lane][1]
            check_lane(batch.result, lane, clean[lane][0])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["f", "one component", "gradient"])
def test_a_lane_that_always_fails_ends_and_the_others_go_on(value, where):
    def fun(x):
        f, g = many_ripples(x)
        bad = x[:, 0] < -2.5  # where the third run starts
        f[bad], g[bad] = (value, g[bad]) if where == "f" else (f[bad], g[bad])
        if where != "f":
            g[bad, 0 if where == "one component" else slice(None)] = value
        return f, g

    x0s = np.array([[1.0, 1, 1], [0, 0, 0], [-2.9, 0, 0]])
    result = go_to_the_end(Batch(x0s, [(-3, 3)] * 3), fun)
    assert result.stop.tolist() == [Stop.PROJECTED_GRADIENT] * 2 + [Stop.FAILED] or (
        result.success.tolist() == [True, True, False]
    )
    assert np.isnan(result.fun[2])
    assert np.isnan(result.jac[2]).all()
    np.testing.assert_array_equal(result.x[2], x0s[2])
    assert result.nfail.tolist() == [0, 0, 2]
    assert result.best in (0, 1)


def go_to_the_end(batch, fun):
    go(batch, fun)
    return batch.result


def test_every_point_is_in_the_bounds_of_its_lane():
    bounds = np.array([[[-3, 0.5 * lane], [lane, lane], [-np.inf, np.inf]] for lane in range(6)])
    batch = Batch(starts(6), bounds, lanes=4)
    while not batch.done:
        x, own = batch.ask(), bounds[batch.lanes]
        assert ((own[..., 0] <= x) & (x <= own[..., 1])).all()
        batch.tell(*many_ripples(x))


def test_asking_twice_gives_equal_points_and_changes_nothing():
    batch = Batch(starts(3), BOX)
    while not batch.done:
        before = batch.to_dict()
        first, second = batch.ask(), batch.ask()
        assert first.tobytes() == second.tobytes()
        first[:] = np.nan
        batch.lanes[:] = -1
        assert batch.ask().tobytes() == second.tobytes()
        assert equal(batch.to_dict(), before)
        batch.tell(*many_ripples(second))


def test_what_is_told_is_not_kept():
    batch, other = Batch(starts(2), BOX), Batch(starts(2), BOX)
    while not batch.done:
        f, g = many_ripples(batch.ask())
        batch.tell(f, g)
        f[:], g[:] = np.nan, np.nan
        other.tell(*many_ripples(other.ask()))
        assert equal(batch.to_dict(), other.to_dict())


# -- the state


def twins(batch):
    return {
        "dict": Batch.from_dict(batch.to_dict()),
        "json": Batch.from_dict(plain(batch.to_dict())),
        "pickle": pickle.loads(pickle.dumps(batch)),
        "copy": copy.copy(batch),
        "deepcopy": copy.deepcopy(batch),
    }


@pytest.mark.parametrize("failing", [(), {(0, 3), (2, 0), (2, 1), (3, 7)}])
def test_restored_at_every_round_it_goes_on_to_the_bit(failing):
    bounds = np.array([[[-2, 1.5], [-np.inf, 2], [-3, np.inf]]] * 5)
    reference = Batch(starts(5), bounds, lanes=3, maxcor=4)
    whole = go(reference, many_ripples, failing)
    batch = Batch(starts(5), bounds, lanes=3, maxcor=4)
    traces = {}
    while not batch.done:
        for way, twin in twins(batch).items():
            assert equal(twin.to_dict(), batch.to_dict()), way
            assert twin.ask().tobytes() == batch.ask().tobytes(), way
            assert twin.lanes.tolist() == batch.lanes.tolist(), way
        batch = twins(batch)["json" if len(traces.get(0, ())) % 2 else "pickle"]
        go(batch, many_ripples, failing, traces, rounds=1)
    assert traces == whole
    assert equal(batch.to_dict(), reference.to_dict())
    assert equal(twins(batch)["json"].to_dict(), reference.to_dict())


def test_restored_once_it_ends_in_the_same_way():
    reference = go_to_the_end(Batch(starts(4), BOX, lanes=2), many_ripples)
    batch = Batch(starts(4), BOX, lanes=2)
    while not batch.done:
        twin = Batch.from_dict(batch.to_dict())
        assert equal(dict(go_to_the_end(twin, many_ripples)), dict(reference))
        go(batch, many_ripples, rounds=1)


def test_the_state_is_data_and_shares_nothing():
    batch = Batch(starts(4), BOX, lanes=3)
    while not batch.done:
        kept = batch.to_dict()
        assert is_data(kept)
        frozen = pickle.dumps(kept)
        go(batch, many_ripples, rounds=1)
        assert pickle.dumps(kept) == frozen
    assert is_data(batch.to_dict())


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (2, 0), (1, 1)])
def test_any_size_survives(shape):
    batch = Batch(np.zeros(shape), None, lanes=1)
    for twin in twins(batch).values():
        assert equal(twin.to_dict(), batch.to_dict())
    assert go_to_the_end(batch, many_ripples).x.shape == shape


def test_a_dict_of_something_else_is_refused():
    batch = Batch(starts(4), BOX, lanes=2)
    go(batch, many_ripples, rounds=3)
    data = batch.to_dict()
    single = imported.LBFGSB(np.zeros(3)).to_dict()
    ended = {**data["states"][0], "phase": int(Phase.DONE)}
    other = imported.LBFGSB(np.zeros(2)).to_dict()["state"]
    for wrong in (
        {},
        None,
        [],
        single,
        {**data, "version": 2},
        {**data, "options": {"maxcorr": 3}},
        {**data, "options": {**data["options"], "maxcor": 3}},
        {**data, "lanes": [0]},
        {**data, "lanes": [0, 0]},
        {**data, "lanes": [0, 3]},
        {**data, "lanes": [-1, 0]},
        {**data, "begun": 9},
        {**data, "begun": -1},
        {**data, "limit": 1},
        {**data, "lanes": [], "states": []},
        {**data, "lanes": [], "states": [], "begun": 0, "limit": 0},
        {**data, "states": [ended, data["states"][1]]},
        {**data, "states": [other, other]},
        {**data, "lower": data["lower"][:, :2]},
        {**data, "lower": np.zeros((3, 3))},
        {**data, "upper": data["lower"] - 1},
        {**data, "reasons": [[7, "?"]]},
        {**data, "records": {**data["records"], "fun": np.zeros(3)}},
        {**data, "records": {**data["records"], "stop": np.full(4, 8)}},
        {**data, "records": {**data["records"], "stop": np.full(4, 7)}},
        {**data, "records": {**data["records"], "x": np.zeros((4, 2))}},
    ):
        with pytest.raises(InputError):
            Batch.from_dict(wrong)


# -- halting, results


def test_halted_runs_keep_their_best_and_the_next_start_takes_the_place():
    batch = Batch(starts(6), BOX, lanes=2)
    go(batch, many_ripples, rounds=2)
    best = batch.result.fun[1]
    batch.halt("dominated", lanes=[1, 3])
    assert batch.lanes.tolist() == [0, 2]
    assert [lane for lane, _ in batch.ended] == [1]
    result = go_to_the_end(batch, many_ripples)
    assert result.message[1] == "STOP: HALTED BY THE CALLER: dominated" == result.message[3]
    assert result.stop[[1, 3]].tolist() == [Stop.HALTED] * 2
    assert result.nfev[[1, 3]].tolist() == [2, 0]
    assert result.fun[1] == best
    assert np.isnan(result.fun[3])
    assert result.success.tolist() == [True, False, True, False, True, True]
    for lane in (0, 2, 4, 5):
        check_lane(result, lane, alone(ripples, starts(6)[lane], BOX)[0])


def test_all_can_be_halted_at_any_round():
    rounds = 0
    while True:
        batch = Batch(starts(5), BOX, lanes=2)
        go(batch, many_ripples, rounds=rounds)
        if batch.done:
            break
        running = batch.lanes.tolist()
        batch.halt("enough")
        assert batch.done
        assert batch.waiting == 0
        assert not batch.result.success[running].any()
        assert equal(Batch.from_dict(plain(batch.to_dict())).to_dict(), batch.to_dict())
        rounds += 1
    assert rounds > 10


def test_what_has_ended_cannot_be_halted():
    batch = Batch(starts(3), BOX)
    while not batch.ended:
        go(batch, many_ripples, rounds=1)
    before = batch.to_dict()
    for wrong in ([batch.ended[0][0]], [99], [-1]):
        with pytest.raises(ProtocolError, match=f"start {wrong[0]} has ended"):
            batch.halt(lanes=wrong)
    assert equal(batch.to_dict(), before)


def test_after_the_end_nothing_can_be_asked_or_told():
    batch = Batch(starts(2), BOX)
    go(batch, many_ripples)
    for call in (batch.ask, batch.halt, lambda: batch.tell([1.0], [[1.0] * 3])):
        with pytest.raises(ProtocolError, match="all 2 runs have ended"):
            call()


def test_the_result_is_the_best_evaluation_of_each_lane_at_all_times():
    batch = Batch(starts(5), BOX, lanes=2)
    best = np.full(5, np.inf)
    while not batch.done:
        x = batch.ask()
        f, g = many_ripples(x)
        lanes = batch.lanes
        batch.tell(f, g)
        best[lanes] = np.minimum(best[lanes], f)
        result = batch.result
        known = np.isfinite(best)
        np.testing.assert_array_equal(result.fun[known], best[known])
        assert np.isnan(result.fun[~known]).all()
        assert result.best == np.argmin(best)
        assert result.nfev.sum() == batch.nfev
        values, gradients = many_ripples(result.x[known])
        np.testing.assert_array_equal(values, result.fun[known])
        np.testing.assert_array_equal(gradients, result.jac[known])
        assert not result.success[batch.lanes].any()
    assert result.success.all()


def test_the_result_is_a_copy():
    batch = Batch(starts(2), BOX)
    before = batch.to_dict()
    result = batch.result
    for name in ("x", "fun", "jac", "nfev", "stop"):
        result[name][...] = 3
    assert equal(batch.to_dict(), before)


def test_those_that_ended_can_be_looked_at():
    batch = Batch(starts(3), BOX)
    seen = {}
    while not batch.done:
        go(batch, many_ripples, rounds=1)
        for lane, state in batch.ended:
            seen[lane] = state
    for lane, state in seen.items():
        expected = alone(ripples, starts(3)[lane], BOX)[0].state
        assert equal(state.to_dict(), expected.to_dict())
    assert sorted(seen) == [0, 1, 2]


def test_another_thread_is_kept_out_while_one_is_telling(monkeypatch):
    batch = Batch(starts(2), BOX)
    f, g = many_ripples(batch.ask())
    errors = []

    def meddle(*_):
        thread = threading.Thread(target=attempt)
        thread.start()
        thread.join()
        return []

    def attempt():
        for call in (batch.ask, batch.halt, lambda: batch.tell(f, g)):
            try:
                call()
            except ProtocolError as error:
                errors.append(str(error))

    monkeypatch.setattr("optdriver.batch.ask_tell.advance_lanes", meddle)
    batch.tell(f, g)
    assert [text.partition(":")[0] for text in errors] == ["ask", "halt", "tell"]
    assert batch.ask().shape == (2, 3)


def test_a_call_from_another_thread_is_kept_out_while_evaluations_are_read():
    """Reading lets other threads run: the first instruction of a call has to close the door."""
    batch, errors = Batch(starts(2), BOX), []
    f, g = many_ripples(batch.ask())

    class Meddling:
        def __array__(self, dtype=None, copy=None):
            thread = threading.Thread(target=attempt)
            thread.start()
            thread.join()
            return g

    def attempt():
        with pytest.raises(ProtocolError) as caught:
            batch.tell(f, g)
        errors.append(str(caught.value))

    batch.tell(f, Meddling())
    assert len(errors) == 1
    assert "another thread" in errors[0]
    assert batch.nfev == 2
    reference = Batch(starts(2), BOX)
    reference.tell(f, g)
    assert equal(batch.to_dict(), reference.to_dict())


@pytest.mark.parametrize("lanes", [1, [1.5], ["1"], [[0]]])
def test_halting_wants_indices_of_starts(lanes):
    batch = Batch(starts(3), BOX)
    with pytest.raises(InputError, match="expected whole numbers"):
        batch.halt(lanes=lanes)
    assert len(batch.lanes) == 3


@pytest.mark.parametrize("look", ["ask", "done", "lanes", "result", "dict"])
def test_ctrl_c_while_the_kernel_works_loses_nothing(monkeypatch, look):
    """Python delivers it when the compiled call returns: evaluations are taken, all else is not."""
    module = "optdriver.batch.ask_tell"
    reference = Batch(starts(7), BOX, lanes=3)
    whole = go(reference, many_ripples)
    batch, traces = Batch(starts(7), BOX, lanes=3), {}

    def interrupted(*arguments):
        imported.advance_lanes(*arguments)
        raise KeyboardInterrupt

    while not batch.done:
        with monkeypatch.context() as patch:
            patch.setattr(f"{module}.advance_lanes", interrupted)
            with pytest.raises(KeyboardInterrupt):
                go(batch, many_ripples, (), traces, rounds=1)
        if look == "dict":
            batch = Batch.from_dict(plain(batch.to_dict()))
        elif look == "result":
            assert batch.result.nfev.sum() == batch.nfev
        elif look == "lanes":
            assert len(batch.lanes) == len(batch.states)
        elif look == "ask" and sum(map(len, traces.values())) < reference.nfev:
            assert batch.ask().shape == (len(batch.lanes), 3)
    assert traces == whole
    assert equal(batch.to_dict(), reference.to_dict())


@pytest.mark.parametrize("where", ["_retire", "_refill", "_settle"])
def test_nor_does_one_a_little_later(monkeypatch, where):
    reference = Batch(starts(7), BOX, lanes=3)
    whole = go(reference, many_ripples)
    batch, traces = Batch(starts(7), BOX, lanes=3), {}

    def interrupted(*_):
        raise KeyboardInterrupt

    while not batch.done:
        with monkeypatch.context() as patch:
            patch.setattr(Batch, where, interrupted)
            with contextlib.suppress(KeyboardInterrupt):
                go(batch, many_ripples, (), traces, rounds=1)
    assert traces == whole
    assert equal(batch.to_dict(), reference.to_dict())


def test_it_says_what_it_is():
    batch = Batch(starts(5), BOX, lanes=2)
    assert repr(batch) == "<Batch n=3 starts=5 running=2 waiting=3 nfev=0>"
    assert batch.states[0].phase == Phase.START
    assert batch.n == 3


def test_unknown_options_are_refused_with_the_nearest_name():
    with pytest.raises(UnknownOptionError, match="did you mean 'gtol'"):
        Batch(starts(2), gtoll=1e-3)


def test_a_state_of_json_is_text():
    text = json.dumps(plain(Batch(starts(2), BOX).to_dict()))
    assert equal(Batch.from_dict(json.loads(text)).to_dict(), Batch(starts(2), BOX).to_dict())


def test_rosenbrock_in_many_lanes_ends_at_its_minimum():
    result = go_to_the_end(Batch(starts(8, n=4), None, ftol=0.0, gtol=1e-9), by_rows(rosenbrock))
    for x in result.x[result.fun < 1]:
        np.testing.assert_allclose(x, np.ones(4), atol=1e-8)
    assert (result.fun < 1e-15).any()


def test_an_interpreted_kernel_says_so_where_problems_are_large():
    with batches_on(interpreted) as package:
        interpreted.minimizer.say_interpreted.cache_clear()
        with pytest.warns(RuntimeWarning, match="interpreted kernel") as caught:
            package.Batch(np.zeros((2, 1000)))
            package.Batch(np.zeros((2, 1000)))
    assert len(caught) == 1


def test_a_halt_needs_no_reason():
    batch = Batch(starts(2), BOX)
    batch.halt()
    assert batch.result.message == ["STOP: HALTED BY THE CALLER"] * 2


def test_a_call_that_is_broken_off_has_happened_or_has_not():
    def played(moments):
        batch, make, asked = Batch(starts(4), BOX, lanes=2), insist(moments), []
        while not batch.done:
            asked.append(make(batch.ask).tobytes())
            evaluation = many_ripples(batch.ask())
            settle(batch, moments, lambda evaluation=evaluation: batch.tell(*evaluation))
        return asked, make(lambda: batch.result).x.tobytes()

    expected = played(iter(()))
    for seed in range(4):
        choice = random.Random(seed)
        assert played(choice.randint(1, choice.choice([8, 30, 300])) for _ in range(60)) == expected


def under_way():
    batch = Batch([[0.5, -0.5], [1.0, 1.0], [0.0, 0.5]], [(-1, 2), (-2, 1)], lanes=2)
    batch.tell([1.0, 2.0], [[0.5, 0.5], [-0.5, 1.0]])
    return batch.to_dict()


@pytest.mark.parametrize(
    ("where", "value", "said"),
    [
        (("records", "x"), [[0.5, -0.5], [1.0, 1.0], [0.0, 1.5]], "not inside the bounds"),
        (("records", "x"), [[0.5, -0.5], [1.0, 1.0], [0.0, np.nan]], "NaN"),
        (("records", "fun"), [1.0, np.nan, np.nan], "not both finite"),
        (("records", "fun"), [np.inf, np.nan, np.nan], "not both finite"),
        (("records", "nfail"), [0, 0, 1], "more evaluations have failed"),
        (("records", "nfev"), [0, -1, 0], "between 0"),
        (("records", "nfev"), [0.5, 0.0, 0.0], "integers"),
        (("records", "stop"), [99, 0, 0], "no `Stop`"),
        (("upper",), [[2.0, 0.75]], "not inside the bounds"),
        (("upper",), [[2.0, 1.25]], "other bounds"),
        (("options", "ftol"), 0.5, "other bounds or options"),
        (("limit",), 2.5, "float"),
        (("lanes",), [0, 0], "twice"),
        (("begun",), 1, "the lanes are"),
        (("reasons",), [[0, 5]], "text"),
    ],
)
def test_a_stored_batch_that_contradicts_itself_is_refused(where, value, said):
    data = under_way()
    assert Batch.from_dict(data).nfev == 2
    *way, last = where
    holder = functools.reduce(operator.getitem, way, data)
    holder[last] = np.array(value) if isinstance(holder[last], np.ndarray) else value
    with pytest.raises(InputError, match=said):
        Batch.from_dict(data)


class Derived(Batch):
    """A batch of a user's own kind."""


def test_what_is_derived_from_a_batch_stays_so():
    batch = Derived(np.zeros((2, 3)))
    for again in (copy.copy, copy.deepcopy, lambda opt: pickle.loads(pickle.dumps(opt))):
        assert type(again(batch)) is Derived
        assert again(batch).ask().tobytes() == batch.ask().tobytes()
