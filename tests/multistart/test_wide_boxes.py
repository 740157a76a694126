"""Differences in boxes that are far wider than the objective's own length."""

from __future__ import annotations

import numpy as np
import pytest

from optdriver import MultiStart, create_study
from optdriver.multistart import noise
from optdriver.multistart.noise import Line

C = np.array([3.7, 1.9, 6.4])
START = [7.7, 0.9, 2.3]


def bowl(x):
    return float(((x - C) ** 2).sum())


def raised(x):
    return bowl(x) + 100.0


def bent(x):
    u = x / C
    return float((100.0 * (u[1:] - u[:-1] ** 2) ** 2 + (1.0 - u[:-1]) ** 2).sum())


def logarithms(x):
    return float((np.log((x + 1e-3) / C) ** 2).sum())


def run(function, width, most=500, **options):
    opt = MultiStart(
        [(0.0, 1.0)] * 3, initial_samples=[np.array(START) / width], max_num_minimizers=1,
        jac=False, **options,
    )  # fmt: skip
    while not opt.done and opt.nfev < most:
        for point in opt.ask(1):
            opt.tell(point.id, function(point.x * width))
    return opt


@pytest.mark.parametrize("width", [1e4, 1e6, 1e8, 1e10])
@pytest.mark.parametrize("function", [bowl, raised, bent, logarithms])
def test_the_minimum_is_found_however_wide_the_box(function, width):
    opt = run(function, width)
    assert opt.runs[0].state == "converged"
    assert opt.nfev < 500
    assert function(opt.best.x * width) - function(C) < 1e-5


@pytest.mark.parametrize("function", [bowl, bent])
def test_what_the_second_rule_recorded_ends_as_it_did(function):
    """In these boxes it takes the bend for noise, and claims success beside its start."""
    old = run(function, 1e11, difference_rule=2)
    assert old.runs[0].state == "converged"
    assert function(old.best.x * 1e11) - function(C) > 1e-2
    new = run(function, 1e11, most=1000)
    assert function(new.best.x * 1e11) - function(C) < 1e-4


def test_a_study_claims_no_success_at_its_start():
    study = create_study(
        {"a": (0.0, 1e11), "b": (0.0, 1e11)}, initial_samples=[[7.7, 2.3]], max_num_minimizers=1,
        max_iter=400,
    )  # fmt: skip
    study.run(lambda a, b: (a - 3.0) ** 2 + (b - 5.0) ** 2)
    assert study.info()["success"]
    assert study.best.value < 1e-6


def line(values, spacing=0.1):
    """Return a line along the first of two coordinates, with these values."""
    ends = [np.array([k * spacing, 1.0]) for k in range(1, 7)]
    before: noise.Stencil | None = None
    return Line(np.array([0.0, 1.0]), values[0], ends, list(values[1:]), 0, 0, before)  # type: ignore[arg-type]


def test_a_line_tells_a_bend_from_noise():
    t = 0.1 * np.arange(7.0)
    smooth = line(100.0 + 3.0 * t**2)
    assert noise.at_most(smooth) < 1e-12
    assert noise.bends(smooth, 0.1)
    assert not noise.bends(smooth, 100.0)  # so much is not left by it
    assert noise.curvature(smooth, 0.0) == pytest.approx([6.0, 0.0])
    noisy = line(100.0 + 1e-3 * np.random.default_rng(2).standard_normal(7))
    assert 1e-4 < noise.at_most(noisy) < 1e-2
    assert not noise.bends(noisy, 1e-3)
    assert noise.curvature(noisy, noise.at_most(noisy)) is None
    assert noise.is_too_long(line(np.exp(9.0 * t)))
    assert not noise.is_too_long(line([1.0, *[np.inf] * 6]))


def test_a_plateau_with_a_hole_beside_it_is_not_measured_again_and_again():
    """Equal values ask for a longer line, values that bend for a shorter one: no more than once."""

    def hole(x, y):
        return -(max(0.0, 1.0 - abs(x - 0.3) - abs(y + 0.2)) ** 2)

    for seed in range(6):
        study = create_study(
            {"x": (-2.0, 2.0), "y": (-2.0, 2.0)}, seed=seed, max_num_minimizers=3, max_iter=400
        )
        study.run(hole)
        places = {tuple(x) for x in study.history.x.tolist()}
        assert len(places) > 0.8 * study.num_evaluations


@pytest.mark.parametrize("low", [0.0, -5e-324])
def test_a_box_of_the_least_width_has_its_places_too(low):
    starts = MultiStart([(low, 5e-324), (-1.0, 1.3)], start_rule="auto")
    while starts.nfev < 60:
        (point,) = starts.ask(1)
        assert low <= point.x[0] <= 5e-324
        starts.tell(point.id, float(point.x @ point.x), 2.0 * point.x)
    assert not any(run.state == "failed" for run in starts.runs)
    assert len(starts.minima) == 1
