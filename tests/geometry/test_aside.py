"""Points beside an end: which variables are moved, where to, and what is asked after one."""

from __future__ import annotations

import numpy as np
import pytest

from optdriver.geometry import aside
from optdriver.geometry.aside import Aside, Box, Level

WIDE = Box(np.full(4, -np.inf), np.full(4, np.inf))
LEVEL = Level(slope=1e-6, change=0.0, same=aside.SAME)
NONE = np.zeros((0, 4))


def step(x, began, g=(0.0, 0.0, 0.0, 0.0), steps=NONE, box=WIDE, **options):
    return aside.step(
        np.array(x), np.array(g), np.array(began), np.array(steps), box, LEVEL, **options
    )


def test_what_has_stayed_without_a_slope_is_moved_by_a_part_of_its_size():
    p = step([2.0, 8.0, 0.0, 5.0], [1.0, 8.0, 0.0, 5.0], g=[0.0, 0.0, 0.0, 1e-3])
    assert np.array_equal(p, [0.0, 8.0 / 1024, -1.0 / 1024, 0.0])  # the third by the longest way


def test_ways_are_measured_by_the_widths_of_the_box():
    """The third began at 0, and the first has gone a tenth of the box: so may the third."""
    width = np.array([1e3, 1e3, 1e-3, 1.0])
    box = Box(-width / 2.0, width / 2.0)
    p = step([200.0, 8.0, 0.0, 0.5], [100.0, 7.0, 0.0, 0.45], box=box)
    assert p[2] == pytest.approx(0.1 * 1e-3 / 1024)
    before = LEVEL._replace(by_width=False)
    x, began = np.array([200.0, 8.0, 0.0, 0.5]), np.array([100.0, 7.0, 0.0, 0.45])
    p = aside.step(x, np.zeros(4), began, NONE, box, before)
    assert p[2] == pytest.approx(1e-3 / 1024)  # all of its width


def test_what_has_come_back_has_not_stayed():
    p = step([2.0, 8.0, 0.0, 5.0], [1.0, 8.0, 0.0, 5.0], steps=[[1.0, 0.5, 0.0, 0.0]])
    assert np.array_equal(p != 0.0, [False, False, True, True])


def test_of_equal_variables_one_goes_up_and_one_down():
    p = step([3.0, 3.0, 7.0, 1.0], [1.0, 1.0, 1.0, 0.5])
    assert np.array_equal(p, [3.0 / 1024, -3.0 / 1024, 0.0, 0.0])


def test_alone_in_a_box_it_turns_to_where_there_is_room():
    box = Box(np.array([0.0, 0.0, 0.0, -1.0]), np.array([4.0, 8.0, 1e-9, 1.0]))
    x = [2.0, 8.0, 0.0, 0.5]
    p = step(x, [1.0, 8.0, 0.0, 0.5], box=box, alone=True)
    inside = np.minimum(np.maximum(x + p, box.lower), box.upper)
    assert inside[1] < 8.0
    assert 0.0 < inside[2] <= 1e-9
    assert inside[0] == 2.0


@pytest.mark.parametrize(
    ("looked", "lower", "change", "wanted"),
    [
        (1, True, [0.0, 0.0], [8.0, 8.0]),  # farther out
        (1, False, [-3.0, 1.0], [1.0, 0.0]),  # one bends down, and the other has hidden it
        (1, False, [-3.0, -1.0], [0.0, 0.0]),  # all of it, and it is not lower
        (1, False, [3.0, 1.0], [0.0, 0.0]),
        (2, False, [-3.0, 1.0], [0.0, 0.0]),
    ],
)
def test_what_is_asked_after_a_point(looked, lower, change, wanted):
    p = np.ones(2)
    found = aside.following(looked, p, lower=lower, change=np.array(change), hidden=0.1)
    assert np.array_equal(found, wanted)


def test_it_is_data():
    low, high = np.zeros(2), np.ones(2)
    made = Aside(
        began=np.array([0.5, 0.5]), first=3.0, end=np.array([0.1, 0.5]), ending="done", looked=1
    )
    again = Aside.from_dict(made.to_dict(), low, high, ("done",))
    assert np.array_equal(again.end, made.end)
    assert again.moved(np.array([0.1, 0.6])) == 1
    assert again.gone().left == 1
    assert again.gone().moved(np.array([0.1, 0.6])) == 0
    assert not again.kept().looked
    assert Aside.from_dict(None, low, high, ()).began is None
