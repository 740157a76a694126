"""Many states advanced by one call: every lane is the run that it would be alone, to the bit."""

from __future__ import annotations

import random
import sys
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.lbfgsb.kernels import both, imported
from tests.lbfgsb.problems import options, quartic, random_problem, same

FAILURES = {"f": (np.nan, 1.0), "g": (1.0, np.inf), "both": (-np.inf, np.nan)}
each = pytest.mark.parametrize("kernel", both, ids=repr)


def answers(problems, lanes, x, counts, failing):
    """Values and gradients at the rows of x; `failing` has the (lane, evaluation) that fail."""
    f, g = np.empty(len(lanes)), np.empty(x.shape)
    for row, lane in enumerate(lanes):
        f[row], g[row] = problems[lane].fun(x[row])
        kind = failing.get((lane, counts[lane]))
        if kind:
            with np.errstate(invalid="ignore"):  # nothing times infinity
                f[row] *= FAILURES[kind][0]
                g[row, -1:] *= FAILURES[kind][1]
        counts[lane] += 1
    return f, g


def together(kernel, problems, failing, options, order):
    """Advance all in rounds, the live ones in the order that `order` shuffles each round."""
    checked = kernel.Options.read(options)
    states = {i: kernel.start(p.x0, p.bounds, checked) for i, p in enumerate(problems)}
    traces, counts = {i: [] for i in states}, dict.fromkeys(states, 0)
    live = list(states)
    while live:
        order.shuffle(live)
        x = np.array([kernel.pending(states[i]) for i in live])
        for i, point in zip(live, x, strict=True):
            traces[i].append(point.tobytes())
        f, g = answers(problems, live, x, counts, failing)
        f.setflags(write=False)
        g.setflags(write=False)
        ended = kernel.lanes.advance_lanes(tuple(states[i] for i in live), f, g, x)
        assert [states[i].phase == kernel.Phase.DONE for i in live] == [
            place in ended for place in range(len(live))
        ]
        for i, point in zip(live, x, strict=True):
            assert point.tobytes() == states[i].vector("xt").tobytes()
        live = [i for place, i in enumerate(live) if place not in ended]
    return traces, {i: s.to_dict() for i, s in states.items()}


def alone(kernel, problems, failing, options):
    """The same runs, one after the other."""
    traces, states = {}, {}
    for i, problem in enumerate(problems):
        opt, counts, trace = kernel.LBFGSB(problem.x0, problem.bounds, **options), {i: 0}, []
        while not opt.done:
            x = opt.ask()
            trace.append(x.tobytes())
            f, g = answers(problems, [i], x[None], counts, failing)
            opt.tell(f[0], g[0])
        traces[i], states[i] = trace, opt.to_dict()["state"]
    return traces, states


many = st.builds(
    lambda n, kinds: [random_problem(seed, n, kind, style) for seed, kind, style in kinds],
    n=st.integers(1, 6),
    kinds=st.lists(
        st.tuples(
            st.integers(0, 2**32 - 1),
            st.sampled_from(["convex", "rosenbrock", "quartic", "ripples"]),
            st.sampled_from(["free", "mixed", "boxed"]),
        ),
        max_size=6,
    ),
)
failures = st.dictionaries(
    st.tuples(st.integers(0, 5), st.integers(0, 25)), st.sampled_from(sorted(FAILURES)), max_size=5
)


@settings(max_examples=60)
@given(problems=many, failing=failures, options=options, order=st.randoms(use_true_random=False))
def test_every_lane_is_the_run_that_it_is_alone(problems, failing, options, order):
    expected = alone(imported, problems, failing, options)
    for kernel in both:
        traces, states = together(kernel, problems, failing, options, order)
        assert traces == expected[0]
        assert same(states, expected[1])


@each
@pytest.mark.parametrize("kind", sorted(FAILURES))
def test_a_failure_at_any_position_disturbs_its_own_lane_only(kernel, kind):
    problems = [random_problem(seed, 3, "rosenbrock", "mixed") for seed in range(3)]
    order = random.Random(5)
    clean = alone(kernel, problems, {}, {})
    for position in range(len(clean[0][1])):
        failing = {(1, position): kind}
        expected = alone(kernel, problems, failing, {})
        traces, states = together(kernel, problems, failing, {}, order)
        assert traces == expected[0]
        assert same(states, expected[1])
        assert same(states[0], clean[1][0])
        assert same(states[2], clean[1][2])
        assert states[1]["nfail"] == 1


@each
@pytest.mark.parametrize("n", [0, 64, 130])
def test_any_number_of_variables(kernel, n):
    problems = [random_problem(seed, n, "rosenbrock", "mixed") for seed in range(2)] if n else []
    if not n:
        empty = kernel.start([], None, kernel.Options())
        assert kernel.lanes.advance_lanes((empty,), np.ones(1), np.ones((1, 0)), np.ones((1, 0)))
        assert empty.stop == kernel.Stop.PROJECTED_GRADIENT
    few = {"maxfun": 12}
    traces, states = together(kernel, problems, {}, few, random.Random(1))
    expected = alone(imported, problems, {}, few)
    assert traces == expected[0]
    assert same(states, expected[1])


@each
def test_no_lanes(kernel):
    nothing = np.empty((0, 3))
    assert kernel.lanes.advance_lanes((), np.empty(0), nothing, nothing) == []


@each
def test_what_is_no_state_is_refused_before_anything_moves(kernel):
    state = kernel.start([1.0, 2.0], None, kernel.Options())
    before = state.to_dict()
    x = np.ones((2, 2))
    with pytest.raises((TypeError, AttributeError)):
        kernel.lanes.advance_lanes((object(), state), np.ones(2), x.copy(), x)
    assert same(state.to_dict(), before)
    assert (x == 1).all()


@each
def test_the_set_up_takes_what_is_right_already(kernel):
    lower, upper = np.array([0.0, -np.inf, 1.0]), np.array([1.0, 2.0, 1.0])
    checked = kernel.Options(maxcor=4, maxfun=7, initial_step=0.5)
    x = np.array([0.5, 0.5, 1.0])
    one = kernel.minimizer.set_up(x, lower, upper, 5, checked)
    other = kernel.start(x, np.column_stack([lower, upper]), checked)
    assert same(one.to_dict(), other.to_dict())
    assert (one.constrained, one.boxed) == (1, 0)


def test_objects_are_not_lost_or_kept():
    states = tuple(imported.start(np.ones(2), None, imported.Options()) for _ in range(3))
    before = [sys.getrefcount(state) for state in states]
    x = np.array([imported.pending(state) for state in states])
    for _ in range(5):
        f, g = zip(*(quartic(row + 1.0) for row in x), strict=True)
        imported.lanes.advance_lanes(states, np.array(f), np.array(g), x)
    assert [sys.getrefcount(state) for state in states] == before


def test_a_thread_can_work_beside():
    """The lock is let go: two threads advance lanes of their own, each with its own scratch."""
    problems = [random_problem(seed, 40, "rosenbrock", "boxed") for seed in range(4)]
    found = {}

    def work(part):
        order = random.Random(part)
        found[part] = together(imported, problems[part : part + 2], {}, {"maxfun": 40}, order)

    threads = [threading.Thread(target=work, args=(part,)) for part in (0, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for part in (0, 2):
        traces, states = alone(imported, problems[part : part + 2], {}, {"maxfun": 40})
        assert found[part][0] == traces
        assert same(found[part][1], states)
