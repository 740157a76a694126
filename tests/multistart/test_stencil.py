"""Finite-difference stencils."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optdriver.multistart import stencil as stencils
from optdriver.multistart.stencil import BASE

number = st.floats(-1e6, 1e6)
STEP = 1e-6


@st.composite
def places(draw):
    """A box with a point in it: fixed, one-sided, tiny and wide coordinates, on and off bounds."""
    rows = []
    for _ in range(draw(st.integers(1, 5))):
        low = draw(number)
        width = draw(st.sampled_from([0.0, 5e-324, 1e-300, 1e-9, 3e-7, 1.0, 1e5, math.inf]))
        high = max(low + width, np.nextafter(low, math.inf)) if width else low
        share = draw(st.sampled_from([0.0, 1e-9, 0.3, 0.5, 1 - 1e-9, 1.0]))
        x = low + share * min(high - low, 10.0)
        rows.append((low if draw(st.booleans()) or not width else -math.inf, min(x, high), high))
    lower, x, upper = np.array(rows).T
    return x, lower, upper


def fill(stencil, value):
    """Tell the value of every point."""
    for slot in range(BASE, len(stencil.values)):
        complete = stencils.record(stencil, slot, value(stencils.point(stencil, slot)))
    assert complete


@given(places(), st.sampled_from([1e-8, STEP, 0.25, 1e4]), st.booleans())
def test_all_points_are_inside_and_differ_in_their_coordinate_only(place, step, two_sided):
    x, lower, upper = place
    stencil = stencils.plan(x, lower, upper, step, two_sided)
    assert sorted(set(stencil.coordinate)) == np.flatnonzero(lower < upper).tolist()
    for slot, i in enumerate(stencil.coordinate):
        point = stencils.point(stencil, slot)
        assert np.all((lower <= point) & (point <= upper))
        assert np.flatnonzero(point != x).tolist() == [i]
    assert stencils.point(stencil, BASE).tobytes() == x.tobytes()


@given(places(), st.booleans())
def test_a_linear_function_is_differenced_exactly(place, two_sided):
    x, lower, upper = place
    stencil = stencils.plan(x, lower, upper, STEP, two_sided)
    # Each coordinate's own difference, in which nothing but the step is left.
    stencils.record(stencil, BASE, 0.0)
    for slot, i in enumerate(stencil.coordinate):
        stencils.record(stencil, slot, 8.0 * (stencil.moved[slot] - x[i]))
    expected = np.where(lower < upper, 8.0, 0.0)
    assert stencil.missing == 0
    np.testing.assert_allclose(stencils.gradient(stencil), expected, rtol=1e-12)


def test_forward_unless_a_bound_is_near():
    lower, upper = np.zeros(4), np.array([1.0, 1.0, 1e-7, 1.0])
    x = np.array([0.0, 1.0, 6e-8, 0.5])
    stencil = stencils.plan(x, lower, upper, STEP, two_sided=False)
    assert stencil.coordinate == [0, 1, 2, 3]
    assert stencil.moved == [STEP, 1.0 - STEP, 0.0, 0.5 + STEP]


def test_two_sided_where_both_sides_fit():
    lower, upper = np.zeros(2), np.ones(2)
    stencil = stencils.plan(np.array([0.0, 0.5]), lower, upper, 0.125, two_sided=True)
    assert stencil.coordinate == [0, 1, 1]
    assert stencil.moved == [0.125, 0.625, 0.375]
    fill(stencil, lambda x: float(np.sum(x**2)))
    assert stencils.gradient(stencil).tolist() == [0.125, 1.0]


@pytest.mark.parametrize(("two_sided", "error"), [(False, 1e-5), (True, 1e-9)])
def test_the_error_is_that_of_the_order(two_sided, error):
    x = np.array([0.3, -0.7, 2.0])
    stencil = stencils.plan(x, x - 1, x + 1, STEP, two_sided)
    fill(stencil, lambda x: float(np.sum(np.sin(x) * np.arange(1.0, 4.0))))
    np.testing.assert_allclose(stencils.gradient(stencil), np.cos(x) * [1, 2, 3], atol=error)


def test_the_step_is_never_lost_in_rounding():
    x = np.array([1e12, -1e300])
    free = np.full(2, np.inf)
    stencil = stencils.plan(x, -free, free, STEP, two_sided=False)
    assert all(moved != here for moved, here in zip(stencil.moved, x, strict=True))
    edge = np.array([np.finfo(float).max])
    assert np.all(np.isfinite(stencils.plan(edge, -free[:1], free[:1], STEP, False).moved))


class TestFailures:
    lower, upper = np.zeros(2), np.ones(2)

    def plan(self, x, two_sided=False):
        return stencils.plan(np.array(x), self.lower, self.upper, 0.125, two_sided)

    def fail(self, stencil, slot):
        return stencils.replace_failed(stencil, slot, self.lower, self.upper)

    def test_the_other_side_stands_in_once(self):
        stencil = self.plan([0.5, 0.5])
        assert self.fail(stencil, 0) == (2,)
        assert stencils.point(stencil, 2).tolist() == [0.375, 0.5]
        assert stencil.missing == 3
        for slot in (BASE, 1, 2):
            complete = stencils.record(
                stencil, slot, float(np.sum(stencils.point(stencil, slot) ** 2))
            )
        assert complete
        assert stencils.gradient(stencil).tolist() == [0.875, 1.125]

    def test_a_shorter_step_where_the_other_side_is_out_of_bounds(self):
        stencil = self.plan([0.0, 1.0])
        assert self.fail(stencil, 0) == (2,)
        assert self.fail(stencil, 1) == (3,)
        assert stencils.point(stencil, 2).tolist() == [0.015625, 1.0]
        assert stencils.point(stencil, 3).tolist() == [0.0, 0.984375]
        assert self.fail(stencil, 2) is None

    def test_shorter_steps_where_both_sides_fail(self):
        stencil = self.plan([0.5, 0.5])
        slot, tried = 0, []
        for _ in range(3):
            (slot,) = self.fail(stencil, slot)
            tried.append(stencils.point(stencil, slot)[0])
        assert tried == [0.375, 0.515625, 0.484375]
        assert self.fail(stencil, slot) is None

    def test_once_is_what_was_recorded(self):
        stencil = self.plan([0.0, 0.5])
        assert stencils.replace_once(stencil, 0, self.lower, self.upper) == (2,)
        assert stencils.point(stencil, 2).tolist() == [0.0625, 0.5]
        assert stencils.replace_once(stencil, 2, self.lower, self.upper) is None

    def test_another_step_is_taken_in_a_complete_stencil(self):
        stencil = self.plan([0.5, 1.0])
        fill(stencil, lambda x: float(np.sum(x**2)))
        assert stencils.again(stencil, 1, 0.0078125, self.lower, self.upper) == (2,)
        assert stencils.point(stencil, 2).tolist() == [0.5, 0.9921875]
        assert stencils.record(stencil, 2, 0.25 + 0.9921875**2)
        assert stencils.gradient(stencil).tolist() == [1.125, 1.9921875]

    def test_there_may_be_no_other_point(self):
        x = np.array([1.0])
        beside = np.nextafter(x, 2.0)
        stencil = stencils.plan(x, x, beside, 0.125, two_sided=False)
        assert stencil.moved == beside.tolist()
        assert stencils.replace_failed(stencil, 0, x, beside) is None

    @pytest.mark.parametrize("slot", [0, 2])
    def test_of_two_sides_one_is_enough(self, slot):
        stencil = self.plan([0.5, 0.5], two_sided=True)
        assert stencil.coordinate == [0, 1, 0, 1]
        assert self.fail(stencil, slot) == ()
        for told in {BASE, 0, 1, 2, 3} - {slot}:
            complete = stencils.record(
                stencil, told, float(np.sum(stencils.point(stencil, told) ** 2))
            )
        assert complete
        one_sided = 1.0 - 0.125 if slot == 0 else 1.0 + 0.125
        assert stencils.gradient(stencil).tolist() == [one_sided, 1.0]
        (shorter,) = self.fail(stencil, 2 - slot)
        assert abs(stencils.point(stencil, shorter)[0] - 0.5) == 0.015625


def test_it_is_data():
    stencil = stencils.plan(np.array([0.5, 0.5]), np.zeros(2), np.ones(2), 0.125, True)
    stencils.record(stencil, BASE, 3.0)
    stencils.record(stencil, 1, 4.0)
    data = stencils.to_dict(stencil)
    again = stencils.from_dict(json.loads(json.dumps(data, default=lambda a: a.tolist())))
    np.testing.assert_equal(stencils.to_dict(again), data)
