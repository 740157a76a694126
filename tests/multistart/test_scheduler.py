"""What holds for all problems, boxes, options, failures and orders of tells."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optdriver.multistart import MultiStart
from tests.multistart.problems import quadratic, rastrigin, rosenbrock, waves

OBJECTIVES = [quadratic, rastrigin, rosenbrock, waves]


@st.composite
def boxes(draw):
    """Bounds with fixed, tiny, wide and open sides, and starts inside of them."""
    low, high, start = [], [], []
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.floats(-3, 3))
        width = draw(st.sampled_from([0.0, 1e-12, 1e-3, 1.0, 4.0]))
        share = draw(st.sampled_from([0.0, 0.25, 1.0]))
        low.append(at)
        high.append(at + width)
        start.append(min(at + share * width, at + width))
        if width and draw(st.integers(0, 3)) == 0:
            low[-1] = -math.inf
        if width and draw(st.integers(0, 3)) == 0:
            high[-1] = math.inf
    return np.array(low), np.array(high), [start] * draw(st.integers(1, 2))


options = st.fixed_dictionaries(
    {
        "jac": st.booleans(),
        "two_sided": st.booleans(),
        "start_rule": st.sampled_from(["sobol", "mlsl", "auto"]),
        "sobol_sequence": st.booleans(),
        "seed": st.integers(0, 9),
        "num_initial": st.integers(1, 2),
        "max_num_minimizers": st.sampled_from([1, 3, math.inf]),
        "max_failures": st.sampled_from([1, 2, math.inf]),
        "maxfun": st.sampled_from([1, 5, math.inf]),
        "maxcor": st.sampled_from([1, 5]),
        "step_size": st.sampled_from([None, 1e-6, 0.5]),
        "ftol": st.sampled_from([0.0, 2.2e-9]),
        "initial_step": st.sampled_from([None, 1e-3, 10.0]),
    }
)

MOMENTS = 90


@st.composite
def sessions(draw):
    """A problem and all that chance decides in a session with it."""
    lower, upper, starts = draw(boxes())
    chosen = draw(options)
    if np.all(np.isfinite(lower) & np.isfinite(upper)) and draw(st.booleans()):
        starts = None
    elif starts is not None:
        chosen["num_initial"] = min(chosen["num_initial"], len(starts))
    return {
        "objective": draw(st.sampled_from(OBJECTIVES)),
        "lower": lower,
        "upper": upper,
        "options": {**chosen, "initial_samples": starts},
        "chance": draw(st.integers(0, 2**32)),
        "failing": draw(st.sampled_from([0.0, 0.1, 0.5])),
        "slots": draw(st.integers(1, 6)),
    }


def evaluate(how, point):
    """The value and gradient, or one of the ways to fail; it depends on the place only."""
    f, g = how["objective"](point.x)
    dice = np.random.default_rng(np.frombuffer(point.x.tobytes(), dtype=np.uint32)).random(2)
    if dice[0] < how["failing"]:
        bad = np.where(np.arange(g.size) == 0, math.nan, g)
        return [(math.nan, g), (math.inf, bad), (-math.inf, None), (f, bad)][int(4 * dice[1])]
    return f, g


def play(how, moments, swap):
    """Run a session; `swap` is called between all calls and may return another driver."""
    ms = MultiStart(np.column_stack([how["lower"], how["upper"]]), **how["options"])
    chance = np.random.default_rng(how["chance"])
    asked = []
    for _ in range(moments):
        ms = swap(ms)
        room = how["slots"] - len(ms.pending)
        if room and not ms.done and chance.random() < 0.6:
            asked += ms.ask(int(chance.integers(1, room + 1)))
        elif ms.pending:
            point = ms.pending[int(chance.integers(len(ms.pending)))]
            ms.tell(point.id, *evaluate(how, point))
        elif ms.done:
            break
    return ms, asked


def through_json(ms):
    return MultiStart.from_dict(json.loads(json.dumps(ms.to_dict(), default=np.ndarray.tolist)))


@settings(max_examples=150)
@given(sessions())
def test_points_are_inside_values_are_observed_and_books_add_up(how):
    ms, asked = play(how, MOMENTS, lambda ms: ms)
    observed, lame = {}, 0
    for point in asked:
        assert np.all((how["lower"] <= point.x) & (point.x <= how["upper"]))
        assert np.all(np.isfinite(point.x))
        if point.id not in {p.id for p in ms.pending}:
            f, g = evaluate(how, point)
            if math.isfinite(f):
                observed[point.id] = f
                lame += how["options"]["jac"] and not np.all(np.isfinite(g))
    if observed:
        assert ms.best.f == min(observed.values())
        assert ms.best.f == observed[ms.best.id]
    else:
        assert ms.best is None
    assert ms.nfev == len(asked) - len(ms.pending)
    assert ms.nfail == ms.nfev - len(observed) + lame
    for run in ms.runs:
        if run.f is not None:
            assert run.f == how["objective"](run.x)[0]
            assert ms.best.f <= run.f
    for minimum in ms.minima:
        assert minimum.f == how["objective"](minimum.x)[0]


@settings(max_examples=80)
@given(sessions())
def test_restored_between_all_calls_nothing_changes(how):
    straight, asked = play(how, MOMENTS, lambda ms: ms)
    broken, again = play(how, MOMENTS, through_json)
    assert [(p.id, p.run, p.kind, p.x.tobytes()) for p in again] == [
        (p.id, p.run, p.kind, p.x.tobytes()) for p in asked
    ]
    np.testing.assert_equal(broken.to_dict(), straight.to_dict())


@settings(max_examples=80)
@given(sessions(), st.integers(0, 2**32), st.integers(1, 6))
def test_another_order_and_number_of_places_leads_each_start_to_the_same(how, chance, slots):
    def paths(how):
        ms, asked = play(how, MOMENTS, lambda ms: ms)
        found = {}
        for point in asked:
            if point.kind == "iterate":
                found.setdefault(ms.runs[point.run].start, []).append(point.x.tobytes())
        return found

    one, other = paths(how), paths({**how, "chance": chance, "slots": slots})
    for start in one.keys() & other.keys():
        assert all(x == y for x, y in zip(one[start], other[start], strict=False))


@pytest.mark.parametrize("jac", [True, False])
@pytest.mark.parametrize("position", range(40))
def test_one_failure_never_ends_in_success_elsewhere(jac, position):
    """Rosenbrock in three dimensions has one minimum in this box."""
    ms = MultiStart([(-2, 2)] * 3, jac=jac, max_num_minimizers=1, seed=2)
    while not ms.done:
        for point in ms.ask():
            f, g = rosenbrock(point.x)
            ms.tell(point.id, math.inf if point.id == position else f, g)
    (minimum,) = ms.minima
    np.testing.assert_allclose(minimum.x, np.ones(3), atol=2e-3)
