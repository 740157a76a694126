"""Surveys on the surface of constraints, by gradients that are told, and what is then believed."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from optdriver import MultiStart
from optdriver.constraints import ConstraintSet
from optdriver.errors import InputError
from optdriver.multistart import parabola, survey
from optdriver.multistart.ground import Ground, depends, without
from optdriver.multistart.survey import Survey

SIGMA = 1e-2


def slope(function, x):
    steps = 1e-6 * np.eye(x.size)
    return np.array([(function(x + d) - function(x - d)) / 2e-6 for d in steps])


def run(driver, function, *, sigma=SIGMA, jac=False, told=True, seed=0, most=3000):
    """Drive a minimizer with noise in values and gradients; return the points."""
    rng, asked = np.random.default_rng([seed, 5]), []
    while len(asked) < most and (points := driver.ask(1)):
        (point,) = points
        asked.append(point.x)
        if told:
            driver.expect_noise(point.id, sigma)
        g = slope(function, point.x) + sigma * rng.standard_normal(point.x.size) if jac else None
        driver.tell(point.id, function(point.x) + sigma * rng.standard_normal(), g)
    return np.array(asked)


def begun(start, bounds, **more):
    return MultiStart(bounds, max_num_minimizers=1, initial_samples=[start], maxfun=1500, **more)


def pending(driver):
    runs = driver._state.runs  # what is suspended
    return runs[0].stencil if runs else None


def valley(x):
    return 5.0 + 100.0 * (x[1] - x[0] ** 2) ** 2 + (1.0 - x[0]) ** 2


def ellipse(x):
    return 5.0 + (x[0] - 0.1) ** 2 + 3.0 * x[1] ** 2


def plane(x):
    return 5.0 + x[0] + 2.0 * x[1] - x[2]


def tilted(x):
    return 5.0 + (x[0] - 2.0) ** 2 + 3.0 * (x[1] - 1.0) ** 2


CASES = {
    # name: f, start, side, constraints, their largest violation, the least value by hand
    "a disc": (valley, [-0.5, 0.5], 2.0, ["x1^2 + x2^2 <= 1"], lambda x: x @ x - 1.0, 5.045675),
    "outside of it": (ellipse, [0.9, 1.5], 2.0, ["x1^2 + x2^2 >= 1"], lambda x: 1.0 - x @ x, 5.81),
    "a sphere": (
        plane, [0.5, 0.5, 0.7], 2.0, ["x1^2 + x2^2 + x3^2 == 1"],
        lambda x: abs(x @ x - 1.0) - 1e-9, 5.0 - math.sqrt(6.0),
    ),
    "a half plane": (tilted, [-1.0, -1.0], 3.0, ["x1 + x2 <= 2"], lambda x: x.sum() - 2.0, 5.75),
    "a corner": (
        tilted, [-1.0, 0.0], 3.0, ["x1 + x2 <= 2", "x1 - 2*x2 <= -1.5"],
        lambda x: max(x.sum() - 2.0, x[0] - 2.0 * x[1] + 1.5), 5.0 + 1.75**2 / 2.25 + 1.0 / 12.0,
    ),
    "far away": (tilted, [-1.0, -1.0], 3.0, ["x1 + x2 <= 5"], lambda x: x.sum() - 5.0, 5.0),
}  # fmt: skip


@pytest.mark.parametrize("jac", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_under_constraints_a_success_holds_to_the_noise(name, jac):
    function, start, side, constraints, violation, least = CASES[name]
    if name == "a corner":  # where both lines meet
        least = tilted(np.array([2.5, 3.5]) / 3.0)
    driver = begun(start, [(-side, side)] * len(start), constraints=constraints, jac=jac)
    asked = run(driver, function, jac=jac)
    (found,) = driver.runs
    assert found.state == "converged", found.reason
    assert jac or "a parabola through values round the end promises" in found.reason
    assert function(found.x) - least < 2.0 * SIGMA
    assert max(violation(x) for x in asked) <= 0.0
    assert len(asked) < 300


def test_before_it_such_an_end_was_believed_without_a_look():
    driver = begun(
        [-0.5, 0.5], [(-2, 2)] * 2, constraints=["x1^2 + x2^2 <= 1"], jac=False, difference_rule=4
    )
    run(driver, valley)
    assert driver.runs[0].state == "converged"
    assert "this end was not surveyed" in driver.runs[0].reason


@pytest.mark.parametrize("seed", range(3))
def test_with_gradients_a_narrow_valley_is_followed_in_few_evaluations(seed):
    driver = begun([-1.2, 1.0], [(-2, 2)] * 2, jac=True)
    asked = run(driver, valley, jac=True, seed=seed)
    (found,) = driver.runs
    assert found.state == "converged", found.reason
    assert valley(found.x) - 5.0 < 3.0 * SIGMA
    assert len(asked) < 150


def test_exact_gradients_of_noisy_values_need_no_survey():
    def bowl(x):
        return 5.0 + float(x @ x)

    driver = begun([1.0, 0.5], [(-2, 2)] * 2, jac=True)
    rng = np.random.default_rng(3)
    while points := driver.ask(1):
        (point,) = points
        driver.expect_noise(point.id, 1e-6)
        driver.tell(point.id, bowl(point.x) + 1e-6 * rng.standard_normal(), 2.0 * point.x)
    assert driver.runs[0].state == "converged"
    assert driver.nfev < 10


@pytest.mark.parametrize("jac", [False, True])
def test_the_noise_of_all_values_is_heard_as_that_of_each(jac):
    asked = []
    for noise in (0.0, SIGMA):
        driver = begun([-1.2, 1.0], [(-2, 2)] * 2, jac=jac, noise=noise)
        points = run(driver, valley, jac=jac, told=not noise)
        (found,) = driver.runs
        assert found.state == "converged"
        assert found.noise == SIGMA
        assert valley(found.x) - 5.0 < 10.0 * SIGMA
        asked.append(points)
    assert jac or len(asked[1]) < len(asked[0]) + 20  # it is known from the beginning


def test_what_cannot_be_surveyed_is_no_success(monkeypatch):
    monkeypatch.setattr(survey, "MOST", 3)
    n = 4

    def bowl(x):
        return 5.0 + float(x @ x)

    driver = begun(np.full(n, 0.5), [(-1, 1)] * n, jac=False)
    run(driver, bowl)
    found = driver.runs[0]
    assert found.state == "stopped"
    assert "nothing shows whether this is a minimum" in found.reason
    monkeypatch.setattr(survey, "LARGEST", 3)
    old = begun(np.full(n, 0.5), [(-1, 1)] * n, jac=False, difference_rule=4)
    run(old, bowl)
    assert old.runs[0].state == "converged"


@pytest.mark.parametrize("method", ["COBYQA", "SLSQP"])
def test_a_method_that_knows_nothing_of_noise_is_not_believed_with_it(method):
    driver = begun([0.7, -0.4], [(-2, 2)] * 2, jac=True, method=method)
    run(driver, ellipse, jac=True, most=150)
    assert driver.runs[0].state == "stopped"
    assert "converged" not in [found.state for found in driver.runs]


def test_a_flat_direction_is_not_taken_for_a_minimum():
    """f rises on no direction that a straight line shows: what is promised is far above noise."""
    driver = begun([1.0, 1.0], [(-3, 3)] * 2, constraints=["x1 + 2*x2 >= 0"], jac=False)
    run(driver, lambda x: 5.0 + x[0] + x[1] + 1e-3 * x[0] ** 2)
    (found,) = driver.runs
    least = 5.0 + -3.0 + 1.5 + 9e-3
    assert found.state != "converged" or found.f - least < 5.0 * SIGMA


def suspended(jac):
    return begun([-0.5, 0.5], [(-2, 2)] * 2, constraints=["x1^2 + x2^2 <= 1"], jac=jac)


@pytest.mark.parametrize("jac", [False, True])
def test_a_run_goes_on_from_every_point_of_such_a_survey(jac):
    whole, driver, rng, surveyed = suspended(jac), suspended(jac), np.random.default_rng(1), 0
    while points := whole.ask(1):
        if isinstance(pending(whole), Survey):
            surveyed += 1
            data = json.dumps(driver.to_dict(), default=lambda array: array.tolist())
            driver = MultiStart.from_dict(json.loads(data))
        (point,), (again,) = points, driver.ask(1)
        np.testing.assert_array_equal(again.x, point.x)
        f = valley(point.x) + SIGMA * rng.standard_normal()
        g = slope(valley, point.x) + SIGMA * rng.standard_normal(2) if jac else None
        for each in (whole, driver):
            each.expect_noise(point.id, SIGMA)
            each.tell(point.id, f, g)
    assert not driver.ask(1)
    assert surveyed > 3
    assert driver.runs[0].reason == whole.runs[0].reason


def test_arrays_are_asked_and_told_as_points_are():
    one, many = (
        MultiStart([(-2, 2)] * 2, max_num_minimizers=3, num_initial=3, noise=SIGMA, maxfun=300)
        for _ in range(2)
    )
    rng, surveyed = np.random.default_rng(4), False
    for _ in range(400):
        points, arrays = one.ask(4), many.ask_arrays(4)
        if not points:
            break
        surveyed |= any(isinstance(run.stencil, Survey) for run in many._state.runs)
        np.testing.assert_array_equal([point.x for point in points], arrays.x)
        assert [point.kind for point in points] == list(arrays.kinds)
        f = np.array([valley(x) for x in arrays.x]) + SIGMA * rng.standard_normal(len(points))
        g = np.array([slope(valley, x) for x in arrays.x]) + SIGMA * rng.standard_normal(
            arrays.x.shape
        )
        for point, value, gradient in zip(points, f, g, strict=True):
            one.tell(point.id, value, gradient)
        many.tell_arrays(arrays.ids, f, g)
    assert surveyed
    assert [run.reason for run in one.runs] == [run.reason for run in many.runs]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rows", [1]),
        ("rows", [-1]),
        ("told", True),
        ("slopes", [[0.0, 0.0]]),
        ("g", [1.0]),
        ("share", 2.0),
        ("unexplained", -1.0),
    ],
)
def test_forged_surveys_are_refused(name, value):
    driver = suspended(jac=False)
    while not (isinstance(pending(driver), Survey) and pending(driver).rows):
        assert len(run(driver, valley, most=1))
    data = driver.to_dict()
    MultiStart.from_dict(data)
    data["runs"][0]["stencil"][name] = value
    with pytest.raises(InputError):
        MultiStart.from_dict(data)


# -- the parts of it ---------------------------------------------------------------------------


def on_circle():
    rows = ConstraintSet(["x1^2 + x2^2 <= 1"], ["x1", "x2"], [(-2, 2)] * 2)
    return Ground(rows.lower, rows.upper, rows)


def test_a_step_along_a_row_that_is_held_ends_on_it():
    ground, x = on_circle(), np.array([1.0, 0.0])
    for length in (-0.3, 0.5):
        end = ground.place(x, np.array([0.0, length]), [0])
        assert end is not None
        assert 0.0 <= 1.0 - float(end @ end) < 1e-12
    assert ground.place(x, np.array([0.1, 0.0]), []) is None
    near = ground.nearest(x, np.array([0.1, 0.1]), [])
    assert near is not None
    assert float(near @ near) <= 1.0
    inward = ground.inward(x, [0], 0)
    np.testing.assert_allclose(inward, [-2.0, 0.0])
    np.testing.assert_allclose(ground.multipliers(x, [0], np.array([-3.0, 0.5])), [1.5])
    assert ground.touching(x, np.array([[0.1, 0.0]])) == [0]
    assert ground.touching(0.5 * x, np.array([[0.1, 0.0]])) == []
    assert ground.touching(x, np.array([[-0.1, 0.0]]), outward=True) == []


def test_a_vanishing_row_holds_nothing():
    rows = ConstraintSet(["(x1^2 + x2^2)^2 <= 0"], ["x1", "x2"], [(-1, 1)] * 2)
    ground, zero = Ground(rows.lower, rows.upper, rows), np.zeros(2)
    assert ground.place(zero, np.array([0.1, 0.0]), [0]) is None
    assert ground.inward(zero, [0], 0) is None
    assert ground.multipliers(zero, [0], np.ones(2)) is None


def test_one_direction_goes_with_a_row():
    basis, row = np.array([[1.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 1.0]]), np.array([1, 2, 0])
    kept = without(basis, basis @ row)
    assert kept.shape == (2, 3)
    np.testing.assert_allclose(kept @ row, 0.0, atol=1e-15)
    assert depends(kept, row.astype(float))
    assert not depends(basis, row.astype(float))


def test_the_parabola_of_gradients_on_a_circle_is_that_along_it():
    """f = x along the unit circle is cos t: its slope is 0 at t = 0, its curvature -1."""
    ground, x, length = on_circle(), np.array([1.0, 0.0]), 1e-3
    basis = np.array([[0.0, length]])
    ends = [ground.place(x, t * basis[0], [0]) for t in (1.0, -1.0)]
    bases = [ground.tangent(point, [0], basis) for point in (x, *ends)]
    g = np.array([1.0, 0.0])
    made = parabola.through_slopes(basis, [(1.0, -1.0)], g, np.array([g, g]), np.ones(2), bases)
    assert made.slope[0] == pytest.approx(0.0, abs=1e-12)
    assert made.bent[0][0] / length**2 == pytest.approx(-1.0, rel=1e-4)
    np.testing.assert_allclose(made.gradient, g, atol=1e-9)


def test_the_noise_of_gradients_is_what_no_parabola_explains():
    rng, n, sigma = np.random.default_rng(0), 6, 0.1
    bent, found = np.diag(np.arange(1.0, n + 1.0)), []
    for _ in range(200):
        ends = np.vstack([np.zeros(n), *[[row, -row] for row in np.eye(n)]])
        slopes = ends @ bent + sigma * rng.standard_normal(ends.shape)
        made = parabola.through_slopes(
            np.eye(n), [(1.0, -1.0)] * n, slopes[0], slopes[1:], np.ones(n)
        )
        found.append((made.slope[0], made.error([1.0, *[0.0] * (n - 1)])))
    spread, told = np.std([slope for slope, _ in found]), np.median([error for _, error in found])
    assert spread < told < 2.5 * spread
