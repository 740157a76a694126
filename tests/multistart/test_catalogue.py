"""The catalogue of distinct minima."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optdriver.multistart.catalogue import Catalogue


def catalogue(lower=(0.0, 0.0), upper=(10.0, 1.0)):
    return Catalogue(np.array(lower), np.array(upper), 1e-3, 1e-4)


def rows(book):
    return [(m.x.tolist(), m.f, m.times_found, m.starts, m.runs) for m in book.minima()]


def test_close_points_are_one_minimum_and_the_best_stands_for_it():
    book = catalogue()
    book.add(np.array([5.0, 0.5]), 1.00002, 4, 0)
    book.add(np.array([5.009, 0.5]), 1.0, 7, 1)
    book.add(np.array([5.0, 0.5]), 1.00001, 9, 2)
    assert rows(book) == [([5.009, 0.5], 1.0, 3, (4, 7, 9), (0, 1, 2))]


def test_distance_is_measured_by_the_width_of_the_box():
    book = catalogue()
    book.add(np.array([5.0, 0.5]), 1.0, 0, 0)
    book.add(np.array([5.0, 0.509]), 1.0, 1, 1)
    book.add(np.array([5.011, 0.5]), 1.0, 2, 2)
    assert len(book.minima()) == 3


def test_different_values_are_different_minima():
    book = catalogue()
    book.add(np.array([5.0, 0.5]), 1.0, 0, 0)
    book.add(np.array([5.0, 0.5]), 1.001, 1, 1)
    book.add(np.array([5.0, 0.5]), 0.999, 2, 2)
    assert [m.f for m in book.minima()] == [0.999, 1.0, 1.001]


def test_the_nearest_of_several_is_taken():
    book = catalogue()
    book.add(np.array([5.0, 0.5]), 1.0, 0, 0)
    book.add(np.array([5.015, 0.5]), 1.0, 1, 1)
    book.add(np.array([5.009, 0.5]), 1.0, 2, 2)
    assert [m.runs for m in book.minima()] == [(0,), (1, 2)]


def test_infinite_and_fixed_sides_have_a_scale_too():
    book = catalogue([-np.inf, 0.3, -1e308], [np.inf, 0.3, 1e308])
    book.add(np.array([1e6, 0.3, 0.0]), 1.0, 0, 0)
    book.add(np.array([1e6 + 900, 0.3, 0.0]), 1.0, 1, 1)
    book.add(np.array([1e6 + 2000, 0.3, 0.0]), 1.0, 2, 2)
    assert [m.times_found for m in book.minima()] == [2, 1]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=20))
def test_well_separated_minima_are_counted_in_any_order(found):
    book = catalogue()
    for run, (i, j) in enumerate(found):
        book.add(np.array([3.0 * i, 0.3 * j]), float(i), run, run)
    counted = {(m.x[0] / 3.0, m.x[1] / 0.3): m.times_found for m in book.minima()}
    assert sum(counted.values()) == len(found)
    assert len(counted) == len(set(found))
    values = [m.f for m in book.minima()]
    assert values == sorted(values)


def test_it_is_data():
    book = catalogue()
    book.add(np.array([5.0, 0.5]), 1.0, 3, 0)
    book.add(np.array([1.0, 0.5]), 2.0, 5, 1)
    again = catalogue()
    again.load(json.loads(json.dumps(book.to_dict(), default=lambda a: a.tolist())))
    assert rows(again) == rows(book)
    again.add(np.array([1.0, 0.5]), 1.5, 6, 2)
    assert len(rows(book)) == 2


def test_what_is_handed_out_stands_still():
    book = catalogue()
    book.add(np.array([5.0, 0.5]), 1.0, 3, 0)
    handed = book.minima()[0]
    with pytest.raises(ValueError, match="read-only"):
        handed.x[0] = 99.0
    book.add(np.array([5.0, 0.5]), 1.0 - 1e-12, 4, 1)
    assert (handed.f, handed.times_found) == (1.0, 1)
    assert (book.minima()[0].f, book.minima()[0].times_found) == (1.0 - 1e-12, 2)


def test_it_has_room_for_many():
    book = catalogue()
    for k in range(30):
        book.add(np.array([k / 3, 0.5]), float(-k), k, k)
    assert [m.x[0] for m in book.minima()] == [k / 3 for k in reversed(range(30))]
    again = catalogue()
    again.load(book.to_dict())
    again.add(np.array([5.0, 0.1]), 7.0, 30, 30)
    assert [m.f for m in again.minima()] == [*range(-29, 1), 7.0]
