"""A start that fails far out is not given up before its steps are of the size of its variables."""

import math

import numpy as np
import pytest

from optdriver import MultiStart, create_study

WIDTH = 1e8
START = (3.0, -4.0)
MINIMUM = (1.0, 2.0)


def within(x):
    """A bowl that has no value beyond a radius of 10."""
    x = np.asarray(x)
    if np.linalg.norm(x) > 10:
        return None
    away = x - MINIMUM
    bent = np.array((1.0, 3.0)) * away
    return float(bent @ away), 2 * bent


def overflowing(x):
    """exp(a) - a + exp(b) - b of the distances, infinite from 710 on."""
    away = np.asarray(x) - MINIMUM
    with np.errstate(over="ignore"):
        grown = np.exp(away)
    value = float(np.sum(grown - away)) - 2.0
    return (value, grown - 1.0) if math.isfinite(value) else None


def in_widths(objective):
    """The same as a study's minimizers see it: the box is from -1 to 1."""

    def scaled(x):
        told = objective(WIDTH * x)
        return None if told is None else (told[0], WIDTH * told[1])

    return scaled


def driven(objective, box, start, most=300, **options):
    ms = MultiStart(box, initial_samples=[start], max_num_minimizers=1, **options)
    asked = 0
    while not ms.done and asked < most:
        for point in ms.ask():
            asked += 1
            told = objective(point.x)
            if told is None:
                ms.tell_failure(point.id, "too far")
            else:
                ms.tell(point.id, *told)
    return ms, asked


@pytest.mark.parametrize("objective", [within, overflowing])
@pytest.mark.parametrize("options", [{}, {"constraints": "x1 <= 0.1"}])
@pytest.mark.parametrize("start", [START, (0.0, 0.0)])
def test_a_start_in_a_wide_box_comes_to_its_minimum(objective, options, start):
    start = np.array(start) / WIDTH
    ms, asked = driven(in_widths(objective), [(-1.0, 1.0)] * 2, start, **options)
    assert ms.runs[0].state == "converged"
    assert WIDTH * ms.runs[0].x == pytest.approx(MINIMUM, abs=1e-3)
    assert asked <= 100


@pytest.mark.parametrize("objective", [within, overflowing])
def test_so_does_a_study(objective):
    study = create_study(
        {"x1": (-WIDTH, WIDTH), "x2": (-WIDTH, WIDTH)},
        initial_samples=[START],
        jac=True,
        max_num_minimizers=1,
    )
    for _ in range(100):
        if (suggestion := study.ask()) is None:
            break
        told = objective(suggestion.x)
        if told is None:
            study.tell_failure(suggestion.id, "too far")
        else:
            study.tell(suggestion.id, *told)
    assert study.info()["success"]
    assert study.best.value == pytest.approx(0.0, abs=1e-5)


def failures_of_a_start(start, box, **options):
    """How many trials of a start fail before it is given up, where nothing else has a value."""
    told = []

    def once(x):
        if told:
            return None
        told.append(x)
        return 1.0, np.ones(2)

    ms, _ = driven(once, box, start, most=60, **options)
    assert ms.runs[0].state == "failed"
    return int(ms.runs[0].reason.split(" failures")[0].rsplit(" ", 1)[1])


@pytest.mark.parametrize("most", [1, 4, 5, 12])
def test_where_trials_are_near_the_limit_is_as_given(most):
    box = [(-2.0, 2.0)] * 2
    assert failures_of_a_start((1.0, 1.0), box, max_failures=most) == most


def test_where_they_are_far_there_are_up_to_twenty():
    box, start = [(-1.0, 1.0)] * 2, np.array(START) / WIDTH
    assert 5 < failures_of_a_start(start, box) < 20  # until they are near
    assert failures_of_a_start((0.0, 0.0), box, maxls=40) == 20  # nothing is near
    assert failures_of_a_start(start, box, max_failures=3) == 3
    assert failures_of_a_start(start, box, convergence_rule=11) == 5
