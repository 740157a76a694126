"""What must hold for all problems, bounds, options and failures; agreement with SciPy."""

from __future__ import annotations

import copy
import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from optdriver.lbfgsb import LBFGSB
from tests.lbfgsb.problems import (
    options,
    points,
    problems,
    random_problem,
    run,
    same,
    through_json,
)

failures = st.sets(st.integers(0, 40), max_size=5)


def step(opt, problem, failing):
    if opt.nfev in failing:
        opt.tell_failure()
    else:
        opt.tell(*problem.fun(opt.ask()))


@settings(max_examples=80)
@given(problem=problems, options=options, failing=failures)
def test_bounds_best_and_ask(problem, options, failing):
    opt, best = LBFGSB(problem.x0, problem.bounds, **options), math.inf
    while not opt.done:
        x = opt.ask()
        assert opt.ask().tobytes() == x.tobytes()
        assert np.isfinite(x).all()
        assert np.all((problem.lower <= x) & (x <= problem.upper))
        if opt.nfev not in failing:
            best = min(best, problem.fun(x)[0])
        step(opt, problem, failing)
        assert opt.at_start == math.isinf(best)
        if not opt.at_start:
            assert opt.best[1] == best
            assert problem.fun(opt.best[0])[0] == best
    assert opt.nfev <= options["maxfun"]


@settings(max_examples=30)
@given(problem=problems, options=options, failing=failures)
def test_restored_at_every_suspension_point_it_goes_on_to_the_bit(problem, options, failing):
    opt = LBFGSB(problem.x0, problem.bounds, **options)
    ways = [
        lambda twin: pickle.loads(pickle.dumps(twin)),
        lambda twin: LBFGSB.from_dict(through_json(twin.to_dict())),
        copy.deepcopy,
    ]
    twins = [opt.copy() for _ in ways]
    while not opt.done:
        twins = [way(twin) for way, twin in zip(ways, twins, strict=True)]
        for each in (opt, *twins):
            step(each, problem, failing)
        assert all(same(twin.to_dict()["state"], opt.to_dict()["state"]) for twin in twins)


@pytest.mark.parametrize("style", ["free", "boxed", "mixed"])
@pytest.mark.parametrize("kind", ["convex", "quartic", "rosenbrock"])
def test_the_points_are_scipys(kind, style):
    agreed = 0
    for seed in range(12):
        problem, theirs = random_problem(seed, 2 + seed % 5, kind, style), []

        def recorded(x, problem=problem, theirs=theirs):
            theirs.append(x.copy())
            return problem.fun(x)

        peer = minimize(recorded, problem.x0, jac=True, bounds=problem.bounds, method="L-BFGS-B")
        opt, seen = run(problem.fun, problem.x0, problem.bounds)
        ours, k = points(seen), min(len(seen), len(theirs), 12)
        scale = np.maximum(np.abs(np.array(theirs[:k])).max(axis=1, keepdims=True), 1e-3)
        agreed += bool(np.all(np.abs(ours[:k] - theirs[:k]) <= 1e-7 * scale))
        if opt.nfev == 1:
            continue
        assert opt.result.fun <= peer.fun + 1e-5 * max(1.0, abs(peer.fun))
    assert agreed >= 11
