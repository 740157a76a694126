"""Subproblems as they are posed and their solutions as they are asked, against the formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest

from optdriver.feasible.models import build
from optdriver.geometry import posing


@pytest.mark.parametrize("pairs", [0, 1, 5])
@pytest.mark.parametrize("size", [1.0, 1e-12])
def test_the_model_in_t_has_numbers_of_about_one(pairs, size):
    source = np.random.default_rng(pairs)
    gradient, delta, flatness = size * source.normal(size=4), 0.3, 1e-8
    for model in build(source.normal(size=(pairs, 4)), source.normal(size=(pairs, 4)), 2.0):
        g, b = posing.model(gradient, model, delta, delta**2, flatness)
        matrix = delta**2 * model.dense()
        phi = 1.0 / max(np.abs(delta * gradient).max(), flatness * np.abs(matrix).max())
        np.testing.assert_allclose(g, phi * delta * gradient, rtol=1e-14)
        np.testing.assert_allclose(b, phi * matrix, rtol=1e-14)


def test_a_model_of_nothing_is_nothing():
    none = 0.0, np.zeros((0, 2)), np.zeros(0)
    g, b = posing.model(np.zeros(2), none, 1.0, 1.0, 1e-8)
    assert g.tolist() == [0.0, 0.0] and b.tolist() == [[0.0, 0.0]] * 2
    g, b = posing.model(np.array([np.nan, 1.0]), none, 1.0, 1.0, 1e-8)
    assert g[1] == 0.0  # a gradient that is no number is infinite


@pytest.mark.parametrize("widths", [None, np.array([2.0, 1.0, 4.0])])
def test_a_point_at_a_side_of_the_box_is_exactly_there(widths):
    x, step = np.array([0.1, 7.0, 0.3, 0.7]), np.array([0.3, 0.5, 0.9])
    box, moving = (
        (np.array([0.0, 7.0, -9.0, 0.2]), np.array([1.0, 7.0, 9.0, 1.0])),
        np.array([0, 2, 3]),
    )
    most = 1.0 if widths is None else widths
    sides = (
        np.maximum(-most, (box[0] - x)[moving] / step),
        np.minimum(most, (box[1] - x)[moving] / step),
    )
    low = posing.point(x, sides[0], step, sides, widths, box, moving)
    high = posing.point(x, sides[1], step, sides, widths, box, moving)
    wide = np.ones(3) if widths is None else widths
    assert low[0] == 0.0 and low[1] == 7.0 and low[3] == 0.2
    assert low[2] == pytest.approx(0.3 - 0.5 * wide[1])
    assert high[3] == 1.0 and high[2] == pytest.approx(0.3 + 0.5 * wide[1])
    beyond = posing.point(x, np.full(3, 99.0), step, sides, widths, box, moving)
    assert np.all(beyond >= box[0]) and np.all(beyond <= box[1])


def test_what_a_model_foresees():
    source = np.random.default_rng(7)
    x, z, gradient = source.normal(size=(3, 5))
    scale = np.exp(source.normal(size=5))
    for model in build(source.normal(size=(4, 5)), source.normal(size=(4, 5)), 2.0):
        u = (z - x) / scale
        wanted = gradient @ u + 0.5 * u @ model.dense() @ u
        made, size = posing.change(gradient, model, x, z, scale)
        assert made == pytest.approx(wanted, rel=1e-12)
        assert size == pytest.approx(np.abs(gradient / scale) @ np.abs(x), rel=1e-14)


def test_rows_are_measured_by_their_length_and_by_what_rounding_moves_them():
    source = np.random.default_rng(2)
    jac, eq = source.normal(size=(3, 4)), 1e-9 * source.normal(size=(2, 4))
    x, scale = source.uniform(size=4), np.array([1.0, 2.0, 3.0, 4.0])
    upper = np.array([1.0, 1.0, 0.0, 1.0])  # the third cannot move
    moving = np.flatnonzero(upper > 0.0)
    weights, rounding = posing.weighed((jac, eq), x, scale, moving, 1e-6)
    rows = (np.concatenate([jac, eq]) * scale)[:, moving]
    np.testing.assert_allclose(weights, 1.0 / np.maximum(np.linalg.norm(rows, axis=1), 1e-6))
    moved = weights * (np.abs(rows) @ (x / scale)[moving])
    assert rounding == pytest.approx(posing.ROUNDING * moved.sum(), rel=1e-14)


@pytest.mark.parametrize("m", [0, 1, 7, 8, 30, 129, 300, 1000])
def test_roundings_of_many_rows_add_up(m):
    source = np.random.default_rng(m)
    jac, x = source.normal(size=(m, 2)), source.normal(size=2)
    weights, rounding = posing.weighed((jac, jac[:0]), x, np.ones(2), np.arange(2), 1e-3)
    moved = weights * (np.abs(jac) @ np.abs(x))
    assert rounding == pytest.approx(posing.ROUNDING * math.fsum(moved), rel=1e-14)


@pytest.mark.parametrize("widths", [None, np.array([0.5, 3.0])])
def test_the_box_in_t_ends_where_that_in_x_or_the_trust_region_does(widths):
    x, scale, moving = np.array([1.0, 5.0, -2.0]), np.array([1.0, 9.0, 2.0]), np.array([0, 2])
    box = np.array([0.9, 5.0, -np.inf]), np.array([9.0, 5.0, -1.8])
    reach, step, left, right = posing.sides(x, 0.5, scale, box, moving, widths)
    wide = np.ones(2) if widths is None else widths
    assert reach.tolist() == [0.5, 4.5, 1.0] and step.tolist() == [0.5, 1.0]
    np.testing.assert_allclose(left, np.maximum(-wide, [-0.2, -np.inf]), rtol=1e-14)
    np.testing.assert_allclose(right, np.minimum(wide, [16.0, 0.2]), rtol=1e-14)
