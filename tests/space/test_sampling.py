"""Starts: data, and points that depend on nothing but it."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import qmc

from optdriver.errors import InputError, InputTypeError
from optdriver.space.sampling import MAX_SOBOL_COUNT, MAX_SOBOL_DIMENSION, Starts, starts, take

KINDS = ["sobol", "uniform"]
UNIT = np.zeros(3), np.ones(3)


def box(widths):
    width = np.array(widths)
    return -width / 3, 2 * width / 3


@pytest.mark.parametrize("kind", KINDS)
@given(
    seed=st.integers(0, 2**70),
    first=st.integers(0, 3000),
    number=st.integers(1, 40),
    widths=st.lists(st.sampled_from([0.0, 1e-12, 1.0, 3.7, 1e300]), min_size=1, max_size=5),
)
def test_starts_are_in_the_box_and_the_kth_depends_on_k_only(kind, seed, first, number, widths):
    lower, upper = box(widths)
    points = starts(kind, seed, first, number, lower, upper)
    assert points.shape == (number, lower.size)
    assert np.all((lower <= points) & (points <= upper))
    last = starts(kind, seed, first + number - 1, 1, lower, upper)
    assert last[0].tobytes() == points[-1].tobytes()


@pytest.mark.parametrize("seed", [0, 1, 12345])
@pytest.mark.parametrize("n", [1, 2, 7, 500])
def test_sobol_starts_are_those_of_scipy(seed, n):
    expected = qmc.Sobol(n, scramble=True, rng=seed).random(256)
    assert np.array_equal(starts("sobol", seed, 0, 256, np.zeros(n), np.ones(n)), expected)
    assert np.array_equal(starts("sobol", seed, 77, 5, np.zeros(n), np.ones(n)), expected[77:82])


def test_sobol_starts_fill_the_box_better_than_uniform_ones():
    gap = {kind: qmc.discrepancy(starts(kind, 1, 0, 128, *UNIT)) for kind in KINDS}
    assert gap["sobol"] < gap["uniform"] / 5


@pytest.mark.parametrize("kind", KINDS)
def test_seeds_give_different_starts(kind):
    assert not np.any(starts(kind, 0, 0, 10, *UNIT) == starts(kind, 1, 0, 10, *UNIT))


def test_uniform_starts_are_uniform():
    points = starts("uniform", 7, 0, 4000, *UNIT)
    counts = np.histogramdd(points, bins=2)[0].ravel()
    assert np.all(np.abs(counts - 500) < 90)  # four standard deviations


@pytest.mark.parametrize("kind", KINDS)
def test_a_sequence_is_continued_by_counting_on(kind):
    first, rest = take(Starts(kind=kind, seed=5), 3, *UNIT)
    second, rest = take(rest, 4, *UNIT)
    assert rest == Starts(kind=kind, seed=5, count=7)
    assert np.array_equal(np.concatenate([first, second]), starts(kind, 5, 0, 7, *UNIT))


@pytest.mark.parametrize("kind", KINDS)
def test_a_box_as_wide_as_the_numbers(kind):
    huge = np.finfo(float).max
    points = starts(kind, 0, 0, 20, np.array([-huge]), np.array([huge]))
    assert np.all(np.isfinite(points))
    assert points.min() < 0 < points.max()


@pytest.mark.parametrize("kind", KINDS)
def test_a_fixed_coordinate_is_exact(kind):
    lower, upper = np.array([0.1, 0.3]), np.array([0.1, 0.4])
    assert np.all(starts(kind, 0, 0, 50, lower, upper)[:, 0] == 0.1)


@pytest.mark.parametrize("number", [1, 7, 40])
def test_starts_taken_by_few_are_those_taken_at_once(number):
    lower, upper = np.array([-1.0, 0.0, 2.0]), np.array([1.0, 5.0, 3.0])
    whole = starts("sobol", 5, 50, 120, lower, upper)
    parts = [starts("sobol", 5, k, number, lower, upper) for k in range(50, 170, number)]
    assert np.concatenate(parts)[:120].tobytes() == whole.tobytes()


def test_no_starts_are_no_points():
    assert starts("sobol", 0, 8, 0, *UNIT).shape == (0, 3)
    assert starts("sobol", 0, 0, 0, *UNIT).shape == (0, 3)
    assert starts("uniform", 0, 8, 0, *UNIT).shape == (0, 3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("upper", [np.inf, np.nan])
def test_an_infinite_box_has_no_starts(kind, upper):
    with pytest.raises(InputError, match=r"coordinate 1 .*initial_samples"):
        starts(kind, 0, 0, 1, np.zeros(2), np.array([1.0, upper]))


def test_a_sobol_sequence_has_so_many_points():
    with pytest.raises(InputError, match="another seed"):
        starts("sobol", 0, MAX_SOBOL_COUNT, 1, *UNIT)


def test_beyond_the_dimensions_of_a_sobol_sequence_starts_are_uniform():
    """The first ones are SciPy's; the further ones are of no start, nor dimension, before."""
    assert qmc.Sobol.MAXDIM == MAX_SOBOL_DIMENSION
    n = MAX_SOBOL_DIMENSION + 400
    made = starts("sobol", 3, 0, 16, np.zeros(n), np.ones(n))
    known = qmc.Sobol(MAX_SOBOL_DIMENSION, scramble=True, rng=3).random(16)
    assert np.array_equal(made[:, :MAX_SOBOL_DIMENSION], known)
    rest = made[:, MAX_SOBOL_DIMENSION:]
    assert np.all((rest >= 0.0) & (rest < 1.0))
    counts = np.histogram(rest, bins=10, range=(0.0, 1.0))[0]
    assert np.all(np.abs(counts - 640.0) < 4.0 * 24.0)  # standard deviations of a binomial number
    assert len(np.unique(rest)) == rest.size
    few = starts("sobol", 3, 11, 3, np.zeros(n), np.ones(n))
    assert few.tobytes() == made[11:14].tobytes()
    assert not np.any(starts("sobol", 4, 0, 1, np.zeros(n), np.ones(n)) == made[0])


def test_starts_do_not_need_scipy_stats():
    code = (
        "import sys, numpy as np\nfrom optdriver.space.sampling import starts\n"
        "starts('sobol', 0, 0, 9, np.zeros(2), np.ones(2))\nsys.exit('scipy.stats' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_bad_records_are_refused():
    with pytest.raises(InputError, match="'sobol' or 'uniform'"):
        Starts(kind="halton")
    with pytest.raises(InputError, match="seed must not be negative"):
        Starts(seed=-1)
    with pytest.raises(InputTypeError, match="count must be an integer"):
        Starts(count=1.5)
    with pytest.raises(InputTypeError, match="seed must be an integer"):
        Starts(seed=True)
    with pytest.raises(InputError, match="first must not be negative"):
        starts("sobol", 0, -1, 1, *UNIT)
