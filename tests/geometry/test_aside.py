"""Points beside an end: which variables are moved, where to, and what is asked after one."""

from __future__ import annotations

import json

import numpy as np
import pytest

from optdriver.errors import InputError
from optdriver.geometry import aside
from optdriver.geometry.aside import Aside, Box, Level

WIDE = Box(np.full(4, -np.inf), np.full(4, np.inf))
LEVEL = Level(slope=1e-6, change=0.0, same=aside.SAME)
NONE = np.zeros((0, 4))


def step(x, began, g=(0.0, 0.0, 0.0, 0.0), steps=NONE, box=WIDE, **options):
    p, turns = aside.step(
        np.array(x), np.array(g), np.array(began), np.array(steps), box, LEVEL, **options
    )
    assert options.get("turning") or turns is None
    return (p, turns) if "turning" in options else p


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
    p, _ = aside.step(x, np.zeros(4), began, NONE, box, before)
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
    found, _ = aside.following(looked, p, lower=lower, change=np.array(change), hidden=0.1)
    assert np.array_equal(found, wanted)


def turned(hessian):
    """Return how many steps of the quadratic form meet a fall; None if they end without."""
    n = len(hessian)
    p = np.array([-1.0 if k.bit_count() % 2 else 1.0 for k in range(n)])
    turns = aside.Turns(p)
    for looked in range(1, n + 2):
        change = hessian @ p
        if p @ change < 0.0:
            return looked
        p, turns = aside.following(2, p, lower=False, change=change, hidden=0.0, turns=turns)
        if not p.any():
            assert turns is None
            return None
    return n + 2


@pytest.mark.parametrize("n", range(2, 6))
def test_turns_meet_a_fall_as_soon_as_their_directions_span_one(n):
    """All of a form after n steps, and one or two more, for the first one is given."""
    chance, met = np.random.default_rng(n), 0
    for _ in range(40):
        turn = np.linalg.qr(chance.normal(size=(n, n)))[0]
        sizes = chance.uniform(0.5, 3.0, n)
        positive, with_fall = (
            turn @ np.diag(sizes * s) @ turn.T for s in (1.0, [-1.0] + [1.0] * (n - 1))
        )
        assert (turned(positive) or n) >= n
        met += (turned(with_fall) or n + 3) <= n + 1
    assert met >= 38  # the parts with which they begin may hardly have any of it
    signs = chance.choice([-1.0, 1.0], n)
    assert turned(np.eye(n) - 1.5 / n * np.outer(signs, signs)) <= 3


def test_turns_are_of_what_has_stayed():
    p, turns = step([3.0, 3.0, 7.0, 2.0], [1.0, 1.0, 7.0, 2.0], turning=True)
    assert (p != 0.0).all()
    assert np.array_equal(turns.first, np.append([0.0, 0.0], p[2:]))
    assert step([3.0, 3.0, 7.0, 2.0], [1.0, 1.0, 7.0, 1.0], turning=True)[1] is None
    n = np.array([0.0, 0.0, 1.0, 1.0])
    way, turns = turns.turned(p, n * p, 0.0)
    assert np.array_equal(way[:2], [0.0, 0.0])
    assert way @ (n * p) == pytest.approx(0.0, abs=1e-12)  # conjugate


def test_turns_are_spent_where_nothing_bends_or_nothing_is_finite():
    p = np.array([1.0, 0.5])
    turns = aside.Turns(p)
    assert turns.turned(p, np.array([0.0, 0.0]), 0.0) is None
    assert turns.turned(p, np.array([1.0, 0.5]), 1.0) is None  # by less than is hidden
    with np.errstate(all="ignore"):
        assert turns.turned(p, np.array([1e-310, 2e-310]), 0.0) is None


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


def test_turns_are_data():
    low, high = np.zeros(2), np.ones(2)
    made = Aside(began=np.array([0.5, 0.5]), first=3.0, turning=True)
    asked = made.at(np.array([0.5, 0.5]), "done", aside.Turns(np.array([0.25, -0.125])))
    for left in (None, np.array([0.5, 0.5])):
        known = asked.after(lower=False, turns=aside.Turns(asked.turns.first, left))
        data = known.to_dict()
        again = Aside.from_dict(
            json.loads(json.dumps(data, default=np.ndarray.tolist)), low, high, ("done",)
        )
        assert np.array_equal(aside.turns_as_rows(again.turns), aside.turns_as_rows(known.turns))
        assert again.looked == 2
        assert again.moved(np.array([0.75, 0.5])) == 2  # derivatives tell of both
    assert asked.after(lower=True, turns=None).looked == aside.FOLLOWED
    assert asked.gone().turning
    assert asked.gone().turns is None
    assert asked.kept().turning


@pytest.mark.parametrize("turns", [[], [[1.0, 2.0]] * 3, [[1.0]], [[1.0, np.inf]], "none", 3.0])
def test_what_are_no_turns_is_refused(turns):
    data = Aside(began=np.zeros(2), turning=True).to_dict() | {"turns": turns}
    with pytest.raises((ValueError, TypeError)):
        Aside.from_dict(data, np.zeros(2), np.ones(2), ())


@pytest.mark.parametrize(("beside", "wanted"), [(True, 2), (False, 0), (1, 1), (np.int64(2), 2)])
def test_how_points_are_asked(beside, wanted):
    assert aside.read_looks(beside) == wanted


@pytest.mark.parametrize("beside", [3, -1, 1.0, "yes", None])
def test_how_they_are_not(beside):
    with pytest.raises(InputError, match="beside"):
        aside.read_looks(beside)
