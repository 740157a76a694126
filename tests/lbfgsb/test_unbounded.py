"""An objective without a minimum ends by its name; one whose minimum is far away does not."""

import numpy as np
import pytest

from optdriver import LBFGSB, minimize_batch
from optdriver.lbfgsb import Stop

FALLING = {
    "line": (lambda x: -0.3 * x[0], lambda x: np.array([-0.3, 0.0])),
    "parabola": (lambda x: x[1] ** 2 - x @ x, lambda x: np.array([-2 * x[0], 0.0])),
    "saddle": (lambda x: x[0] * x[1], lambda x: x[::-1].copy()),
    "exponential": (
        lambda x: -np.exp(x[0]) + x[1] ** 2,
        lambda x: np.array([-np.exp(x[0]), 2 * x[1]]),
    ),
    "cubic": (lambda x: x[0] ** 3 + x[1] ** 2, lambda x: np.array([3 * x[0] ** 2, 2 * x[1]])),
}
BOXES = {
    "none": None,
    "half": [(None, None), (-10.0, None)],
    "other variable": [(None, None), (-5.0, 5.0)],
}


def run(f, g, x0, bounds=None):
    opt = LBFGSB(x0, bounds)
    while not opt.done:
        x = opt.ask()
        with np.errstate(over="ignore"):
            opt.tell(float(f(x)), g(x))
    return opt


@pytest.mark.parametrize("name", FALLING)
@pytest.mark.parametrize("box", BOXES)
def test_an_objective_without_a_minimum_is_said_to_have_none(name, box):
    f, g = FALLING[name]
    opt = run(f, g, [-0.7, 0.4], BOXES[box])
    assert opt.stop == Stop.UNBOUNDED
    assert not opt.result.success
    assert opt.result.status == 4
    assert opt.result.message.startswith("UNBOUNDED")
    assert opt.nfev < 500


@pytest.mark.parametrize("far", [1e3, 1e6, 1e7])
@pytest.mark.parametrize("flat", [1.0, 1e-3, 1e-6])
def test_a_minimum_far_away_is_reached(far, flat):
    """From 0, along a slope as small as can be, in a valley as long as can be."""
    scale = np.array([1.0, 3.0])
    middle = far * np.array([1.0, -0.5])
    opt = run(
        lambda x: flat * np.sum(scale * (x - middle) ** 2),
        lambda x: 2 * flat * scale * (x - middle),
        [0.0, 0.0],
    )
    assert opt.stop.success
    np.testing.assert_allclose(opt.result.x, middle, rtol=1e-4, atol=1e-5 / flat)


def test_large_numbers_are_no_fall_without_end():
    opt = run(lambda x: 1e30 * ((x @ x) - x[0]), lambda x: 1e30 * (2 * x - [1, 0]), [0.0, 2.0])
    assert opt.stop != Stop.UNBOUNDED
    np.testing.assert_allclose(opt.result.x, [0.5, 0.0], atol=1e-6)


def test_a_batch_says_so_for_each_lane():
    def both(x):
        return np.where(x[:, 1] > 0, x[:, 0], (x**2).sum(1)), np.where(
            x[:, 1:] > 0, [[1.0, 0.0]], 2 * x
        )

    result = minimize_batch(both, np.array([[1.0, 2.0], [1.0, -2.0]]), [(None, None), (None, None)])
    assert result.stop[0] == Stop.UNBOUNDED
    assert result.success.tolist() == [False, True]
    assert result.status.tolist() == [4, 0]
