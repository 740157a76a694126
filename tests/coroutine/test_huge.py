"""Huge boxes and steep slopes: no success is claimed where f plainly falls."""

from __future__ import annotations

import numpy as np
import pytest

from optdriver import CallbackMinimizer
from optdriver.coroutine.optimality import goes_on, unit_within
from tests.contracts.minimizer import equal

END = np.array([-2.0, 1.0])
STEEP = 5e6


def bowl(x):
    """The least value is `STEEP`, at `END`, where the row x1 + 2 x2 <= 0 is active."""
    d = x - END
    f = 1.0 + d[0] ** 2 + 4.0 * d[1] ** 2 - d[0] - 2.0 * d[1]
    return float(STEEP * f), STEEP * (np.array([2.0, 8.0]) * d - np.array([1.0, 2.0]))


def driven(method, start, box, constraints=None, fun=bowl, **given):
    opt = CallbackMinimizer(method, start, box, cautious=True, constraints=constraints, **given)
    asked = []
    while not opt.done and len(asked) < 500:
        asked.append(opt.ask())
        opt.tell(*fun(asked[-1]))
    return opt, np.array(asked)


@pytest.mark.parametrize("width", [1e4, 1e10, 1e60])
def test_a_row_far_away_does_not_hold_a_steep_slope(width):
    box, row = [(-width, width), (0.0, width)], "x1 + 2*x2 <= 0"
    opt, asked = driven("SLSQP", [-6.0, 1.0], box, row)
    assert not opt.converged  # it does not move from there
    before, of_before = driven("SLSQP", [-6.0, 1.0], box, row, doubt_rule=2)
    assert before.converged  # as in 0.11.0, at 21 times the least value
    assert before.result.fun > 20.0 * STEEP
    assert equal(asked[: len(of_before)], of_before)


@pytest.mark.parametrize("start", [[-6.0, 1.0], [3.0, -4.0]])
def test_a_minimum_on_a_row_is_one_in_a_huge_box(start):
    box = [(-1e10, 1e10)] * 2
    opt, _ = driven("trust-constr", start, box, "x1 + 2*x2 <= 0")
    assert opt.converged
    assert opt.result.fun == pytest.approx(STEEP, rel=1e-6)


def test_a_variable_that_stays_at_zero_is_seen():
    def held(x):
        d = x - np.array([0.0, 0.74, -1.13])
        return float(1.0 + d @ d + 3.0 * d[0]), 2.0 * d + np.array([3.0, 0.0, 0.0])

    size = np.array([0.0, 0.0, 6.9])
    box = (np.array([0.0, 0.0, -1e20]), np.full(3, 1e20))
    x = np.array([0.0, 0.0, -1.13])
    _, g = held(x)
    assert not goes_on(x, g, *box, size, 1.0)
    size[size == 0.0] = 1.0
    assert goes_on(x, g, *box, size, 1.0)
    opt, _ = driven("TNC", [0.0, 0.0, -8.0], list(zip(*box, strict=True)), fun=held)
    assert not opt.converged or opt.result.fun < 1.001


def test_the_unit_in_which_a_step_is_within_the_sizes():
    g, size = np.array([6e6, -1e3]), np.array([2.0, 1e-3])
    unit = unit_within(g, size)
    assert np.all(np.abs(g) / unit <= size)
    assert np.any(np.abs(g) / unit > size / 2.0)
    assert unit_within(0.0 * g, size) == 1.0
    assert unit_within(np.array([1e308, 0.0]), 1e-3 * size) == 1.0
