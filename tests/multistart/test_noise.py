"""Noise from a few values."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from optdriver.multistart import differences, noise, stencil
from optdriver.multistart.stencil import BASE


@pytest.mark.parametrize("size", [1e-12, 1e-8, 1e-3])
@pytest.mark.parametrize("shape", [lambda t: 5.0 + 0 * t, lambda t: 5 + t, lambda t: np.exp(t) + 4])
def test_the_noise_of_a_smooth_function_is_found(size, shape):
    chance, found = np.random.default_rng(3), []
    t = np.linspace(0.0, 1e-2 * size**0.25, 7)
    for _ in range(200):
        level = noise.level((shape(t) + size * chance.standard_normal(7)).tolist())
        if level is not None:
            found.append(level)
    assert len(found) > 100
    assert size / 2 < np.median(found) < 2 * size


def test_without_noise_it_is_that_of_rounding_or_none():
    t = np.linspace(0.0, 1e-6, 7)
    found = noise.level((3 + np.sin(t)).tolist())
    assert found is None or found < 1e-15
    assert noise.level((1 + np.linspace(0, 1, 7) ** 2).tolist()) is None  # too far apart
    assert noise.level([1.0, math.nan, 1.0, 1.0, 1.0, 1.0, 1.0]) is None


def complete(f, x, step=1e-7):
    made = stencil.plan(x, -np.ones(x.size), np.ones(x.size), step, False, True)
    for slot in range(BASE, len(made.values)):
        stencil.record(made, slot, f(stencil.point(made, slot)))
    return made, stencil.gradient(made)


@pytest.mark.parametrize("x", [[0.2], [0.2, -0.7, 1.0], [-1.0, 1.0]])
def test_only_noisy_values_are_suspicious(x):
    x, chance = np.array(x), np.random.default_rng(1)

    def smooth(x):
        return float(np.sum(np.sin(3 * x)) + 2)

    assert not noise.is_suspicious(*complete(smooth, x), 2.0**-46)
    assert noise.is_suspicious(*complete(lambda x: smooth(x) + 1e-9 * chance.random(), x), 2.0**-46)
    assert noise.is_suspicious(*complete(lambda x: round(smooth(x), 3), x), 2.0**-46)


@pytest.mark.parametrize("tried", [0, 1, 2, 3])
def test_a_line_is_inside_and_longer_each_time(tried):
    x = np.array([0.3, 1.0, -1.0])
    made, _ = complete(lambda x: 1.0, x)
    line = noise.plan(made, -np.ones(3), np.ones(3), lambda x: True, tried)
    assert len(line.ends) == 6
    assert all(np.all(np.abs(end) <= 1.0) for end in line.ends)
    apart = np.abs(np.diff([x, *line.ends], axis=0))
    assert np.allclose(apart, apart[0], rtol=1e-3, atol=1e-15)
    assert np.all(apart[0] > 1e-9 * 100**tried)
    assert noise.plan(made, -np.ones(3), np.ones(3), lambda x: False, tried) is None


def test_rounding_shows_on_a_longer_line():
    x = np.array([0.3, 0.5])

    def rounded(x):
        return round(float(np.sum(x**2)), 4)

    made, _ = complete(rounded, x)
    line = noise.plan(made, -np.ones(2), np.ones(2), lambda x: True, 3)
    for slot, end in enumerate(line.ends):
        stencil.record(line, slot, rounded(end))
    assert noise.of(line) >= 0.9e-4 / math.sqrt(12)


def test_a_failed_point_ends_the_measurement_only():
    made, _ = complete(lambda x: 1.0, np.array([0.3, 0.5]))
    line = noise.plan(made, -np.ones(2), np.ones(2), lambda x: True)
    for slot in range(5):
        assert not stencil.record(line, slot, 1.0 + slot)
    box = -np.ones(2), np.ones(2)
    assert differences.replace_failed(line, 5, *box, None, once=False) == ()
    assert line.missing == 0
    assert noise.of(line) is None


def test_a_line_is_data():
    made, _ = complete(lambda x: 1.0, np.array([0.3, 0.5]))
    line = noise.plan(made, -np.ones(2), np.ones(2), lambda x: True, 1)
    stencil.record(line, 2, 1.0)
    data = differences.to_dict(line)
    plain = json.loads(json.dumps(data, default=np.ndarray.tolist))
    np.testing.assert_equal(differences.to_dict(differences.from_dict(plain)), data)
