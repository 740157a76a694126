"""Sizes of variables, and which have stayed, against the same on whole arrays."""

from __future__ import annotations

import numpy as np
import pytest

from optdriver.geometry import stayed
from optdriver.geometry.aside import Level
from optdriver.geometry.products import row_units


def sizes(x, began, lower, upper, by_width):
    gone, width = np.abs(x - began), upper - lower
    way = np.full(x.size, gone.max())
    known = np.isfinite(width) & (width > 0.0)
    if by_width:
        part = (gone[known] / width[known]).max(initial=0.0)
        way[known] = part * width[known]
    size = np.maximum(np.abs(x), np.abs(began))
    size = np.where(began == 0.0, np.maximum(size, way), size)
    size = np.where(size == 0.0, np.where(np.isfinite(width), width, 1.0), size)
    return np.minimum(size, width)


def case(seed):
    source = np.random.default_rng(seed)
    n = 9
    lower, upper = np.full(n, -np.inf), np.full(n, np.inf)
    lower[::2], upper[:6] = -source.uniform(0.0, 3.0, n)[::2], source.uniform(0.0, 3.0, n)[:6]
    lower[1] = upper[1] = 0.5  # it cannot move
    began = np.clip(source.choice([0.0, 1.0, -2.0], n), lower, upper)
    moved = source.choice([0.0, 1e-7, 1e-3, 1.0], n) * source.normal(size=n)
    x = np.clip(began + moved, lower, upper)
    g = source.choice([0.0, 1e-9, 1.0], n) * source.normal(size=n)
    steps = source.choice([0.0, 1e-7, 1.0], (seed % 3, n), p=[0.8, 0.1, 0.1])
    return x, g, began, steps, lower, upper


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("by_width", [True, False])
def test_sizes_and_what_has_stayed(seed, by_width):
    x, g, began, steps, lower, upper = case(seed)
    size = stayed.sizes(x, began, lower, upper, by_width)
    assert size.tolist() == sizes(x, began, lower, upper, by_width).tolist()
    level = Level(slope=1e-8, change=1e-6, same=2.0**-13)
    near = level.same * size
    wanted = (lower < upper) & level.holds(g, size) & (np.abs(x - began) <= near)
    wanted &= (np.abs(steps) <= near).all(axis=0)
    found = stayed.stay(x, g, began, steps, size, lower, upper, level)
    assert found.tolist() == wanted.tolist()


def test_a_slope_that_is_no_number_is_one():
    one, none = np.ones(1), np.zeros((0, 1))
    level = Level(slope=1.0, change=1.0, same=0.5)
    assert not stayed.stay(one, np.array([np.nan]), one, none, one, -one, one * 9, level).any()
    assert stayed.stay(one, np.zeros(1), one, none, one, -one, one * 9, level).all()


def test_what_rows_are_multiplied_by():
    rows = np.array([[3.0, 4.0], [0.0, 0.0], [np.inf, 1.0], [1e-20, 0.0], [30.0, 40.0]])
    scale, own = np.array([1.0, 1.0]), np.array([8.0, 8.0, 0.5, 8.0, 16.0])
    found = row_units(rows, scale, own, np.array([0.0, 0.0, 0.0, 0.0, 32.0]), 1e-8)
    assert found.tolist() == [1 / 5.0, 1.0, 2.0, 1.0 / (1e-8 * 50.0), 1 / 32.0]
    assert row_units(rows[:0], scale, own[:0], own[:0], 1e-8).tolist() == []
    assert row_units(rows[:1], scale * 2.0, own[:1], own[:1] * 0.0, 1e-8).tolist() == [1 / 8.0]
