"""Success is claimed only at a point that passes its test, whatever the objective does."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optdriver.lbfgsb import Stop
from tests.lbfgsb.problems import projected_gradient, quartic, rosenbrock, run

FTOL, GTOL = 2.220446049250313e-09, 1e-5


def kink(x):
    return float(np.sum(np.abs(x))), np.where(x >= 0, 1.0, -1.0)


def steep_kink(x):
    a = 10.0 ** np.arange(x.size)
    return float(a @ np.abs(x - 0.1)), a * np.sign(x - 0.1)


def wrong_sign(x):
    f, g = quartic(x)
    return f, -g


def wrong_size(x):
    f, g = rosenbrock(x)
    return f, 1e-3 * g


def wrong_component(x):
    f, g = rosenbrock(x)
    g[-1] = -g[-1]
    return f, g


def plateau(x):
    f, g = quartic(x)
    return float(np.floor(f)), g


def stairs(x):
    f, g = rosenbrock(x)
    return float(np.round(f, 2)), g


def jump(x):
    f, g = quartic(x)
    return f + (5.0 if x[0] > 0.3 else 0.0), g


def constant(x):
    return 3.0, np.ones_like(x)


def unbounded(x):
    with np.errstate(over="ignore"):
        return float(-np.sum(x**3)), -3.0 * x**2


def downhill(x):
    return float(np.sum(x)), np.ones_like(x)


def logarithm(x):
    with np.errstate(all="ignore"):
        return float(np.sum(x - np.log(x))), 1.0 - 1.0 / x


def noisy(level):
    def fun(x):
        f, g = rosenbrock(x)
        bits = np.frombuffer(x.tobytes(), dtype=np.uint32)
        return f + level * math.sin(float(np.sum(bits % 10007))), g

    return fun


def flat(x):
    return float(np.sum(x**8)), 8.0 * x**7


ADVERSARIES = {
    "kink": kink,
    "steep kink": steep_kink,
    "gradient of the wrong sign": wrong_sign,
    "gradient of the wrong size": wrong_size,
    "one wrong component": wrong_component,
    "plateau": plateau,
    "stairs": stairs,
    "jump": jump,
    "constant": constant,
    "unbounded": unbounded,
    "downhill": downhill,
    "logarithm": logarithm,
    "noise 1e-10": noisy(1e-10),
    "noise 1e-3": noisy(1e-3),
    "noise 1": noisy(1.0),
    "flat": flat,
    "smooth": rosenbrock,
}
BOXES = {
    "free": (-np.inf, np.inf),
    "box": (-1.5, 2.5),
    "half": (-np.inf, 0.7),
    "tight": (0.2, 0.25),
}


def check(fun, x0, lower, upper, **options):
    n = len(x0)
    bounds = np.column_stack([np.full(n, lower), np.full(n, upper)])
    opt, seen = run(fun, x0, bounds, maxfun=300, **options)
    r = opt.result
    good = [
        (x, f, g) for x, f, g in seen if g is not None and np.isfinite(f) and np.isfinite(g).all()
    ]
    for x, _, _ in seen:
        assert np.isfinite(x).all()
        assert np.all((lower <= x) & (x <= upper))
    if not good:
        assert not r.success
        return opt
    # value, point and gradient are those of the best evaluation
    assert r.fun == min(f for _, f, _ in good)
    assert any(
        f == r.fun and np.array_equal(x, r.x) and np.array_equal(g, r.jac) for x, f, g in good
    )
    if opt.stop is Stop.PROJECTED_GRADIENT:
        assert projected_gradient(r.x, r.jac, lower, upper) <= GTOL
    elif opt.stop is Stop.REDUCTION:
        values = np.array([f for _, f, _ in good])
        size = np.maximum(np.maximum(abs(values), abs(r.fun)), 1.0)
        small = values - r.fun <= FTOL * size + options.get("noise", 0.0)
        assert np.count_nonzero(small) >= 2  # the best, and an iterate before it
    else:
        assert not r.success
    return opt


@pytest.mark.parametrize("box", BOXES)
@pytest.mark.parametrize("name", ADVERSARIES)
def test_adversaries(name, box):
    rng = np.random.default_rng(len(name))
    for n in (1, 2, 4):
        for _ in range(4):
            check(ADVERSARIES[name], rng.uniform(-2, 2, n), *BOXES[box])


@settings(max_examples=80)
@given(
    name=st.sampled_from(sorted(ADVERSARIES)),
    box=st.sampled_from(sorted(BOXES)),
    x0=st.lists(st.floats(-5, 5), min_size=1, max_size=5),
    noise=st.sampled_from([0.0, 1e-6, 1.0]),
    maxls=st.sampled_from([1, 2, 20]),
)
def test_adversaries_at_random(name, box, x0, noise, maxls):
    check(ADVERSARIES[name], x0, *BOXES[box], noise=noise, maxls=maxls)


@pytest.mark.parametrize("name", ["constant", "gradient of the wrong sign", "downhill"])
def test_where_nothing_can_be_gained_a_free_run_is_no_success(name):
    opt = check(ADVERSARIES[name], [0.3, 0.5], -np.inf, np.inf)
    assert not opt.converged


def test_unbounded_below_is_no_success():
    opt = check(unbounded, [1.0, 2.0], -np.inf, np.inf)
    assert not opt.converged


@pytest.mark.parametrize("seed", range(40))
def test_a_model_gone_wrong_does_not_end_the_run(seed):
    """The cases where version 3.0 stops far from the minimum after a step of 1e-5 are among these.

    Its projected subspace point gives a direction that hardly descends, the line search accepts a
    tiny part of it, and the f test holds: 16 of 300 such starts, one at f = 105.
    """
    x0 = np.random.default_rng(seed).uniform(-1.5, 2.0, 3)
    opt, _ = run(rosenbrock, x0, [(-1.5, 0.8), (None, None), (-2.0, 2.0)])
    assert opt.converged
    assert opt.result.fun == pytest.approx(17 / 101, abs=1e-6)
