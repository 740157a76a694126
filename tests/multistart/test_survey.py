"""Surveys: what noisy values say of a minimum, and that runs go on from them as from anything."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from optdriver import MultiStart
from optdriver.errors import InputError
from optdriver.multistart import survey
from optdriver.multistart.differences import to_dict
from optdriver.multistart.survey import Survey


def rosenbrock(x):
    return 1.0 + float(np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2))


def tilted(x):
    """A valley of 1 to 1e4 that no coordinate runs along; its minimum is in a corner of the box."""
    along, across = 0.8 * x[0] + 0.6 * x[1], -0.6 * x[0] + 0.8 * x[1]
    return 1.0 + 0.5 * (along - 0.5) ** 2 + 0.5e4 * (across - 0.1) ** 2


def begun(start, bounds, **more):
    return MultiStart(
        bounds, jac=False, max_num_minimizers=1, initial_samples=[start], maxfun=500, **more
    )


def noisy(function, sigma, x, count):
    """Return a value whose noise is that of its number."""
    return function(x) + sigma * np.random.default_rng([7, count]).standard_normal()


def run(driver, function, sigma, *, most=3000, fails=lambda _x: False):
    asked = []
    while len(asked) < most and (points := driver.ask(1)):
        (point,) = points
        asked.append(point.x)
        if fails(point.x):
            driver.tell_failure(point.id, "a hole")
            continue
        driver.expect_noise(point.id, sigma)
        driver.tell(point.id, noisy(function, sigma, point.x, len(asked)))
    return np.array(asked)


def pending(driver):
    runs = driver._state.runs  # what is suspended
    return runs[0].stencil if runs else None


@pytest.mark.parametrize("sigma", [1e-4, 1e-2])
@pytest.mark.parametrize(
    ("function", "start", "side"),
    [
        (rosenbrock, [-1.2, 1.0], 2.0),
        (rosenbrock, [1.5, -1.5], 2.0),
        (tilted, [1.9, -1.0], 2.0),
        (tilted, [-1.7, -1.1], 2.0),
    ],
)
def test_an_end_in_a_narrow_valley_holds_to_the_noise(function, start, side, sigma):
    driver = begun(start, [(-side, side)] * 2)
    asked = run(driver, function, sigma)
    (found,) = driver.runs
    assert found.state == "converged"
    assert "a parabola through values round the end promises" in found.reason
    assert function(found.x) - 1.0 < 10.0 * sigma
    assert np.abs(asked).max() <= side
    old = begun(start, [(-side, side)] * 2, difference_rule=3)
    run(old, function, sigma)
    assert "a parabola" not in old.runs[0].reason


def test_the_minimum_of_a_parabola_is_found_by_one_step():
    box = np.full(3, -9.0), np.full(3, 9.0)
    turn = np.linalg.qr(np.random.default_rng(3).standard_normal((3, 3)))[0]
    bent = turn @ np.diag([1.0, 3.0, 9.0]) @ turn.T
    least = np.array([0.3, -0.2, 0.1])

    def f(x):
        return 5.0 + 0.5 * float((x - least) @ bent @ (x - least))

    x = np.array([0.5, 0.1, 0.2])
    made = survey.begin(x, f(x), np.zeros(3), 1e-2, np.diag(bent).copy(), *box)
    while made.trial == 0:
        made.values, made.missing = [f(end) for end in made.ends], 0
        assert survey.go_on(made, *box) == "ask"
    np.testing.assert_allclose(made.slope, bent @ (x - least), atol=1e-9)
    np.testing.assert_allclose(made.ends[0], least, atol=1e-9)


def test_what_holds_a_variable_at_its_bound_is_looked_at():
    lower, upper = np.array([0.0, -2.0]), np.array([2.0, 2.0])

    def f(x):
        return 1.0 + (x[0] - 0.7) ** 2 + x[1] ** 2

    x = np.array([0.0, 0.1])  # the gradient is wrong: f falls off the bound
    made = survey.begin(x, f(x), np.array([1.0, 0.2]), 1e-3, None, lower, upper)
    assert made.basis.shape == (1, 2)
    outcome = "ask"
    while outcome == "ask":
        assert all(((lower <= end) & (end <= upper)).all() for end in made.ends)
        made.values = [f(end) for end in made.ends]
        outcome = survey.go_on(made, lower, upper)
    assert outcome == "ended"
    assert f(made.x) - 1.0 < 1e-3
    assert made.released == 1


def test_a_minimum_in_a_corner_is_one():
    def f(x):
        return 1.0 + float(np.sum((x + 0.5) ** 2) + (x[0] - x[1]) ** 2)

    driver = begun([0.9, 0.6], [(0, 1)] * 2)
    asked = run(driver, f, 1e-3)
    (found,) = driver.runs
    assert found.state == "converged"
    assert f(found.x) - 1.5 < 1e-2
    assert (asked >= 0.0).all()


def test_a_run_goes_on_from_every_point_of_a_survey():
    whole = begun([-1.2, 1.0], [(-2, 2)] * 2)
    asked = run(whole, rosenbrock, 1e-2)
    driver, surveyed = begun([-1.2, 1.0], [(-2, 2)] * 2), 0
    for count, x in enumerate(asked, start=1):
        if isinstance(pending(driver), Survey):
            surveyed += 1
            driver = MultiStart.from_dict(driver.to_dict())
        (point,) = driver.ask(1)
        np.testing.assert_array_equal(point.x, x)
        driver.expect_noise(point.id, 1e-2)
        driver.tell(point.id, noisy(rosenbrock, 1e-2, x, count))
    assert not driver.ask(1)
    assert surveyed > 10
    assert driver.runs[0].reason == whole.runs[0].reason


def test_a_run_goes_on_from_the_comparison_of_an_end_that_noise_has_made():
    def two_wells(x):
        return 1.0 + float((x[0] ** 2 - 1.0) ** 2 + x[1] ** 2)

    compared = 0
    driver = MultiStart([(-2, 2)] * 2, jac=False, max_num_minimizers=5)
    whole = MultiStart([(-2, 2)] * 2, jac=False, max_num_minimizers=5)
    for count in range(1, 1000):
        points = whole.ask(1)
        if not points:
            break
        compared += any(run.between is not None for run in driver._state.runs)
        driver = MultiStart.from_dict(driver.to_dict())
        (point,), (again,) = points, driver.ask(1)
        np.testing.assert_array_equal(again.x, point.x)
        for each in (whole, driver):
            each.expect_noise(point.id, 1e-3)
            each.tell(point.id, noisy(two_wells, 1e-3, point.x, count))
    assert compared
    assert len(whole.minima) == len(driver.minima) == 2


def test_holes_shorten_a_survey_and_end_no_study():
    def fails(x):
        return bool(np.hypot(x[0] - 0.75, x[1] - 0.5) < 0.08)

    driver = begun([-1.2, 1.0], [(-2, 2)] * 2)
    run(driver, rosenbrock, 1e-2, fails=fails)
    (found,) = driver.runs
    assert found.state in ("converged", "stopped")
    assert rosenbrock(found.x) - 1.0 < 0.5
    assert found.nfail > 0


def test_a_run_that_is_cut_in_a_survey_has_its_best_point():
    driver = begun([-1.2, 1.0], [(-2, 2)] * 2)
    run(driver, rosenbrock, 1e-2, most=130)
    assert isinstance(pending(driver), Survey)
    (cut,) = driver.runs
    assert abs(cut.f - rosenbrock(cut.x)) < 0.05
    assert cut.f < 5.0  # at the start it is 25


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("basis", [[0.1, 0.0], [0.0, 0.1], [0.1, 0.1]]),
        ("basis", [[math.nan, 0.0], [0.0, 0.1]]),
        ("ends", [[0.0, 0.0]]),
        ("ends", [[9.0, 9.0]] * 5),
        ("trial", 9),
        ("missing", 1),
        ("noise", -1.0),
        ("rounds", -1),
        ("way", [1.0]),
    ],
)
def test_forged_surveys_are_refused(name, value):
    driver = begun([-1.2, 1.0], [(-2, 2)] * 2)
    while not (isinstance(pending(driver), Survey) and pending(driver).missing == 5):
        assert len(run(driver, rosenbrock, 1e-2, most=1))
    data = driver.to_dict()
    assert data["runs"][0]["stencil"]["kind"] == "survey"
    MultiStart.from_dict(json.loads(json.dumps(data, default=lambda array: array.tolist())))
    data["runs"][0]["stencil"][name] = value
    with pytest.raises(InputError):
        MultiStart.from_dict(data)


def test_a_survey_is_data():
    zeros = np.zeros(2)
    made = survey.begin(zeros, 1.0, zeros, 0.1, None, zeros - 1.0, zeros + 1.0)
    again = survey.from_dict(to_dict(made))
    assert repr(to_dict(again)) == repr(to_dict(made))
    assert survey.begin(zeros, 1.0, zeros, 0.1, None, zeros, zeros) is None
