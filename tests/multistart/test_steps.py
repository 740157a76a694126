"""Steps of finite differences by the rule, and what a run learns for it."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from optdriver.multistart import MultiStart, steps
from optdriver.multistart.steps import Learnt

LOW, HIGH = np.zeros(3), np.array([1.0, 1e8, math.inf])


def test_the_first_steps_go_by_size_and_box():
    x = np.array([0.5, 8.0, 300.0])
    lengths = steps.typical(x, LOW, HIGH)
    assert lengths.tolist() == [0.5, 1e8 / 64, 300.0]
    h = steps.wanted(Learnt(), x, LOW, HIGH, two_sided=False)
    np.testing.assert_allclose(h, 8**0.25 * 2.0**-23 * lengths, rtol=1e-12)
    both = steps.wanted(Learnt(), x, LOW, HIGH, two_sided=True)
    assert np.all((100 * h < both) & (both < 300 * h))


@pytest.mark.parametrize("unit", [2.0**-40, 1.0, 2.0**30])
def test_a_box_in_another_unit_has_the_same_steps(unit):
    x, low, high = np.array([0.3, -2.0]), np.array([0.0, -4.0]), np.array([1.0, 4.0])
    h = steps.wanted(Learnt(), x, low, high, two_sided=False)
    assert (steps.wanted(Learnt(), unit * x, unit * low, unit * high, False) / unit == h).all()


@pytest.mark.parametrize("c", [1e-2, 1.0, 1e4])
@pytest.mark.parametrize("noise", [0.0, 1e-8, 1e-4])
def test_with_noise_and_curvature_the_step_is_nearly_the_best(noise, c):
    """The expected error c h / 2 + 2 e / h is near to its least value."""
    x, low, high = np.zeros(1), -np.ones(1), np.ones(1)
    learnt = Learnt(noise=noise, f=3.0, largest=3.0, curvature=np.array([c]))
    (h,) = steps.wanted(learnt, x, low, high, two_sided=False)
    e = max(noise, 3.0 * steps.ROUNDING)
    best = 2 * math.sqrt(c * e)
    first = steps.wanted(Learnt(noise=noise, largest=3.0), x, low, high, False)[0]
    bounded = h in (first * 4, first * 32, 2.0**-4 / 32)
    assert bounded or c * h / 2 + 2 * e / h < 1.1 * best


def test_curvature_is_learnt_and_forgotten():
    low, high = np.full(2, -1.0), np.ones(2)
    learnt = Learnt()
    scale = np.array([2.0, 200.0])
    for x in ([0.5, 0.5], [0.1, 0.1]):
        steps.learn(learnt, np.array(x), 1.0, scale * x, low, high)
    assert np.all((learnt.curvature > 0.3 * scale) & (learnt.curvature < 3 * scale))
    steps.learn(learnt, np.array([0.5, 0.5]), 1.0, learnt.g, low, high)  # straight here
    assert np.all(learnt.curvature < scale)
    before = learnt.curvature.copy()
    steps.learn(learnt, learnt.x, 1.0, learnt.g, low, high)  # has not moved
    assert learnt.curvature.tolist() == before.tolist()


def test_what_is_learnt_is_data():
    learnt = Learnt(noise=1e-3, checked=True)
    for x in (0.1, 0.4):
        steps.learn(learnt, np.full(2, x), x, np.full(2, 3 * x), np.zeros(2), np.ones(2))
    plain = json.loads(json.dumps(learnt.to_dict(), default=np.ndarray.tolist))
    np.testing.assert_equal(Learnt.from_dict(plain).to_dict(), learnt.to_dict())


def play(objective, bounds, **options):
    ms = MultiStart(bounds, jac=False, max_num_minimizers=1, **options)
    asked = []
    while not ms.done and ms.nfev < 3000:
        for point in ms.ask(5):
            asked.append(point)
            assert all(low <= x <= high for x, (low, high) in zip(point.x, bounds, strict=True))
            ms.tell(point.id, objective(point.x))
    return ms, asked


def bowl(x):
    return float(np.sum((x - np.array([3.0, 2.0, 1.0])) ** 2))


@pytest.mark.parametrize("low", [0.0, -1.0])
@pytest.mark.parametrize("width", [10.0, 1e4, 1e6, 1e8])
def test_a_box_that_is_far_too_wide_is_no_obstacle(width, low):
    bounds = [(low * width, width)] * 3
    ms, _ = play(bowl, bounds, initial_samples=[[8.0, 7.0, 6.0]])
    assert [run.state for run in ms.runs] == ["converged"]
    np.testing.assert_allclose(ms.runs[0].x, [3, 2, 1], atol=1e-3)


@pytest.mark.parametrize("step", [0.1, [0.1, 0.2, 0.3], [None, 0.2, None]])
def test_a_given_step_is_one_in_the_unit_of_the_variable(step):
    _, asked = play(bowl, [(0.0, 50.0)] * 3, step_size=step)
    given = np.full(3, math.nan)
    given[:] = [
        math.nan if s is None else s for s in (step if isinstance(step, list) else [step] * 3)
    ]
    iterates = [point.x for point in asked if point.kind == "iterate"]
    for point in asked:
        if point.kind == "difference":
            moved = min((point.x - x for x in iterates), key=np.count_nonzero)
            if np.count_nonzero(moved) == 1:
                (i,) = np.flatnonzero(moved)
                if not math.isnan(given[i]):
                    assert abs(moved[i]) == pytest.approx(given[i], abs=1e-12)
                else:
                    assert abs(moved[i]) < 1e-3


def test_one_point_more_for_each_minimizer_and_none_where_steps_are_given():
    bounds = [(-2.0, 5.0)] * 3
    for step, more in ((None, 1), (1e-5, 0)):
        ms, asked = play(bowl, bounds, step_size=step)
        kinds = [point.kind for point in asked]
        assert kinds.count("difference") == 3 * kinds.count("iterate") + more
        assert ms.runs[0].state == "converged"


def valley(x):
    return float(10 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2 + 2.0)


@pytest.mark.parametrize("size", [1e-9, 1e-7, 1e-5])
@pytest.mark.parametrize("seed", range(3))
def test_noise_is_measured_and_the_steps_are_for_it(size, seed):
    """With steps for smooth values the gradients of noisy ones would be noise."""
    chance = np.random.default_rng(seed)

    def noisy(x):
        return valley(x) + size * chance.standard_normal()

    ms, _ = play(noisy, [(-2.0, 2.0)] * 2, seed=seed)
    (run,) = ms.runs[:1]
    assert size / 3 < run.noise < 3 * size
    assert valley(run.x) - 2.0 < 300 * size


@pytest.mark.parametrize("digits", [9, 7, 5])
def test_values_printed_with_a_few_digits_do_not_look_flat(digits):
    ms, _ = play(lambda x: float(f"{valley(x):.{digits}g}"), [(-2.0, 2.0)] * 2)
    assert ms.runs[0].noise > 0.0
    assert valley(ms.best.x) - 2.0 < 0.02
