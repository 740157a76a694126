"""Sobol sequences: SciPy's, to the bit."""

from __future__ import annotations

import importlib.util
from types import SimpleNamespace
from zipfile import ZipFile

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import qmc

from optdriver.space import sobol


def forget():
    for cached in (sobol._columns, sobol._scrambled, sobol._from_scipy):
        cached.cache_clear()


@pytest.fixture(autouse=True)
def nothing_kept():
    forget()
    yield
    forget()


def scipy_points(seed, n, first, number):
    engine = qmc.Sobol(n, scramble=True, rng=seed)
    if first:
        engine.fast_forward(first)
        return engine.random(number)
    return engine.random(1 << (number - 1).bit_length())[:number]


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**70),
    n=st.integers(1, 60) | st.integers(1, 700),
    first=st.integers(0, 70) | st.integers(0, 5000),
    number=st.integers(1, 40),
)
@example(seed=0, n=1, first=0, number=1)
@example(seed=0, n=3, first=1023, number=2)
@example(seed=5, n=2, first=2**20 - 1, number=3)
@example(seed=1, n=1025, first=0, number=2)  # more than are scrambled at a time
def test_points_are_those_of_scipy(seed, n, first, number):
    expected = scipy_points(seed, n, first, number)
    assert sobol.points(seed, n, first, number).tobytes() == expected.tobytes()


@pytest.mark.parametrize("n", [*range(1, 36), 63, 64, 65, 130])
def test_each_of_the_first_dimensions(n):
    assert np.array_equal(sobol.points(1, n, 0, 64), scipy_points(1, n, 0, 64))


def test_all_dimensions_that_there_are():
    expected = scipy_points(7, sobol.MAX_DIMENSION, 0, 4)
    assert np.array_equal(sobol.points(7, sobol.MAX_DIMENSION, 0, 4), expected)


def test_the_last_point_that_there_is():
    last = sobol.points(3, 2, 2**sobol.BITS - 1, 1)
    rows = sobol.net(3, 2)
    # the Gray code of the last index is its highest bit alone
    assert np.array_equal(last, (rows[:1] ^ rows[sobol.BITS]) * 2.0**-sobol.BITS)


def test_a_long_stretch_takes_every_value_once():
    words = np.sort(sobol.points(11, 3, 0, 4096) * 4096 // 1, axis=0)
    assert np.array_equal(words, np.repeat(np.arange(4096.0)[:, None], 3, axis=1))


@pytest.mark.parametrize("levels", [1, 5, 12])
def test_a_net_read_off_scipys_points_is_the_same(levels):
    assert np.array_equal(sobol._from_scipy(2, 9, levels), sobol.net(2, 9, levels))


def no_scipy(tmp_path):
    return None


def no_file(tmp_path):
    return SimpleNamespace(submodule_search_locations=[str(tmp_path)])


def another_file(tmp_path):
    (tmp_path / "stats").mkdir()
    (tmp_path / "stats" / "_sobol_direction_numbers.npz").write_bytes(b"moved")
    return no_file(tmp_path)


def other_arrays(tmp_path):
    (tmp_path / "stats").mkdir()
    path = tmp_path / "stats" / "_sobol_direction_numbers.npz"
    poly, vinit = np.ones(sobol.MAX_DIMENSION), np.ones((sobol.MAX_DIMENSION, 18))
    np.savez_compressed(path, poly=poly, vinit=vinit)
    return no_file(tmp_path)


def half_a_file(tmp_path):
    (tmp_path / "stats").mkdir()
    with ZipFile(tmp_path / "stats" / "_sobol_direction_numbers.npz", "w") as file:
        file.writestr("poly.npy", b"\x93NUMPY")
    return no_file(tmp_path)


@pytest.mark.parametrize("found", [no_scipy, no_file, another_file, other_arrays, half_a_file])
def test_without_scipys_file_the_points_are_the_same(monkeypatch, tmp_path, found):
    expected = sobol.points(4, 33, 70, 9)
    forget()
    spec = found(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(importlib.util, "find_spec", lambda name: spec)
        assert sobol._columns(33) is None
        assert np.array_equal(sobol.points(4, 33, 70, 9), expected)
        assert sobol.points(4, 32, 0, 1).shape == (1, 32)  # those are known


def test_what_is_kept_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        sobol.net(0, 3)[0] = 1
