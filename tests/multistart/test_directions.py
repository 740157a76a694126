"""Finite differences under constraints: feasible points, the right gradient."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optdriver.constraints import ConstraintSet
from optdriver.multistart import directions
from optdriver.multistart.stencil import BASE, PROBE, record


def linear(x):
    return 3.0 * x[0] - 2.0 * x[1]


def told(constraints, x, f, step=1e-6, two_sided=False, **rule):
    made = directions.plan(np.array(x, dtype=float), constraints, step, two_sided, **rule)
    for slot in range(BASE, len(made.values)):
        end = directions.point(made, slot)
        assert constraints.is_feasible(end)
        last = record(made, slot, f(end))
    assert last
    return directions.gradient(made)


def disc():
    return ConstraintSet("x1^2 + x2^2 <= 1", ["x1", "x2"], [(-2, 2)] * 2)


@settings(max_examples=60, deadline=None)
@given(angle=st.floats(0, 2 * math.pi), radius=st.floats(0, 1), two_sided=st.booleans())
def test_on_and_in_a_disc_the_gradient_is_whole(angle, radius, two_sided):
    constraints = disc()
    x = constraints.project([radius * math.cos(angle), radius * math.sin(angle)]).x
    np.testing.assert_allclose(told(constraints, x, linear, 1e-6, two_sided), [3, -2], atol=1e-4)


def test_two_sided_where_both_sides_are_feasible():
    made = directions.plan(np.zeros(2), disc(), 1e-3, True)
    assert made.coordinate == [0, 0, 1, 1]
    cubic = told(disc(), [0.5, 0.0], lambda x: x[0] ** 2 + x[1], 1e-3, True)
    np.testing.assert_allclose(cubic, [1.0, 1.0], rtol=1e-10)


@pytest.mark.parametrize("slope", [1.0, 0.1, 0.03])
def test_in_a_corner(slope):
    texts = [f"x2 <= {slope}*x1", f"x2 >= -{slope}*x1"]
    constraints = ConstraintSet(texts, ["x1", "x2"], [(-1, 1)] * 2)
    gradient = told(constraints, [0.0, 0.0], linear)
    np.testing.assert_allclose(gradient, [3.0, -2.0], atol=1e-3)


def test_on_a_plane_the_gradient_is_the_one_along_it():
    names = ["a", "b", "c"]
    constraints = ConstraintSet("a + b + c == 1", names, [(0, 1)] * 3)
    g = told(constraints, [0.2, 0.3, 0.5], lambda x: x[0] + 2 * x[1] + 6 * x[2])
    np.testing.assert_allclose(g, [-2, -1, 3], atol=1e-6)


def test_on_a_circle_the_gradient_is_the_one_along_it():
    constraints = ConstraintSet("x1^2 + x2^2 == 1", ["x1", "x2"], [(-2, 2)] * 2)
    np.testing.assert_allclose(told(constraints, [0.6, 0.8], linear), [2.88, -2.16], atol=1e-4)


def test_fixed_coordinates_have_no_derivative():
    constraints = ConstraintSet("x1^2 + x2^2 <= 1", ["x1", "x2"], [(-2, 2), (0.5, 0.5)])
    assert told(constraints, [0.1, 0.5], linear)[1] == 0.0


def test_nothing_feasible_beside_a_single_point():
    constraints = ConstraintSet(["x1 + x2 == 0", "x1 == x2"], ["x1", "x2"], [(-2, 2)] * 2)
    assert directions.plan(np.zeros(2), constraints, 1e-6, False) is None


@pytest.mark.parametrize("x", [[0.1, 0.2], [1.0, 0.0], [0.6, 0.8]])
def test_a_failed_point_is_replaced_by_feasible_ones(x):
    constraints = disc()
    x = constraints.project(x).x
    for slot in range(2):
        made = directions.plan(x, constraints, 1e-6, False)
        instead = directions.replace_failed(made, slot, constraints)
        assert instead is not None
        end = directions.point(made, instead[0])
        assert constraints.is_feasible(end)
        assert not np.array_equal(end, directions.point(made, slot))
        for k in (BASE, 1 - slot, instead[0]):
            record(made, k, linear(directions.point(made, k)))
        assert made.missing == 0
        np.testing.assert_allclose(directions.gradient(made), [3, -2], atol=1e-3)
        for _ in range(3):
            if instead is not None:
                instead = directions.replace_failed(made, instead[0], constraints)
            if instead is not None:
                assert constraints.is_feasible(directions.point(made, instead[0]))
        assert instead is None  # not for ever


def test_another_step_is_taken_in_complete_differences():
    made = directions.plan(np.array([0.6, 0.8]), disc(), 1e-3, False)
    for k in (BASE, 0, 1):
        record(made, k, linear(directions.point(made, k)) ** 2)
    (slot,) = directions.again(made, 0, 1e-9, disc())
    assert directions.point(made, slot).tolist() == [0.6 - 1e-9, 0.8]
    assert record(made, slot, linear(directions.point(made, slot)) ** 2)
    exact = 2 * linear(made.x) * np.array([3.0, -2.0])
    np.testing.assert_allclose(directions.gradient(made)[0], exact[0], atol=1e-5)


def test_the_probe_is_feasible_and_no_difference():
    for x in ([0.0, 0.0], [0.6, 0.8], [1.0, 0.0]):
        x = disc().project(np.array(x)).x
        with_probe = directions.plan(x, disc(), 1e-4, True, True)
        without = directions.plan(x, disc(), 1e-4, True)
        assert with_probe.coordinate == [*without.coordinate, PROBE]
        assert disc().is_feasible(directions.point(with_probe, len(without.values)))
        for made in (with_probe, without):
            for k in range(BASE, len(made.values)):
                record(made, k, linear(directions.point(made, k)))
        assert directions.gradient(with_probe).tobytes() == directions.gradient(without).tobytes()


def test_one_of_two_sides_is_enough():
    made = directions.plan(np.zeros(2), disc(), 1e-6, True)
    assert directions.replace_failed(made, 1, disc()) == ()
    (shorter,) = directions.replace_failed(made, 0, disc())
    assert abs(directions.point(made, shorter)[0]) == 2.5e-7


def test_the_state_is_data():
    made = directions.plan(np.array([1.0, 0.0]), disc(), 1e-6, False)
    record(made, 0, 2.0)
    data = directions.to_dict(made)
    again = directions.from_dict(
        {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in data.items()}
    )
    assert directions.to_dict(again).keys() == data.keys()
    for key, value in directions.to_dict(again).items():
        np.testing.assert_array_equal(value, data[key])


def chain(links):
    """Return a chain of points, each at most 1 from the next, and it stretched from 0."""
    names = [f"x{k + 1}" for k in range(2 * links)]
    pairs = [("0", "0"), *zip(names[::2], names[1::2], strict=True)]
    texts = [f"({u} - {x})^2 + ({v} - {y})^2 <= 1" for (x, y), (u, v) in itertools.pairwise(pairs)]
    bends = [f"{y} <= 0.05*{x}" for x, y in pairs[1:]]
    box = [(-links, links)] * (2 * links)
    made = ConstraintSet(texts + bends, names, box)
    angles = np.full(links, math.atan(0.05))
    x = np.column_stack([np.cumsum(np.cos(angles)), np.cumsum(np.sin(angles))]).ravel()
    return made, made.project((1.0 - 1e-12) * x).x


@pytest.mark.parametrize("links", [1, 3, 6])
def test_where_many_rows_meet_steps_begin_inside(links):
    constraints, x = chain(links)
    weights = np.cos(np.arange(1.0, 2 * links + 1))

    def bent(z):
        return float(weights @ z + 0.5 * z @ z)

    gradient = told(constraints, x, bent, 1e-7)
    np.testing.assert_allclose(gradient, weights + x, atol=1e-5)
    if links == 3:  # as in 0.6.0
        before = told(constraints, x, bent, 1e-7, inside=False)
        assert np.max(np.abs(before - weights - x)) > 0.1


def test_steps_from_the_point_itself_are_enough_where_they_tell_all():
    constraints, x = disc(), np.array([math.sqrt(0.5), math.sqrt(0.5)])
    x = constraints.project(x).x
    plans = [directions.plan(x, constraints, 1e-6, False, inside=i) for i in (True, False)]
    assert np.array_equal(plans[0].ends, plans[1].ends)


def test_no_point_inside_is_sought_on_a_surface_or_in_a_slit():
    ball = ConstraintSet("a^2 + b^2 == 1", ["a", "b"], [(-2, 2)] * 2)
    assert directions._inside(ball, np.array([1.0, 0.0]), np.full(2, 1e-6)) is None
    slit = ConstraintSet(["b <= 1e-7", "b >= a^2 - 1e-7"], ["a", "b"], [(-2, 2)] * 2)
    assert directions._inside(slit, np.zeros(2), np.full(2, 1e-6)) is None
