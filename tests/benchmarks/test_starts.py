"""The table of starts measures what it says."""

import numpy as np

from benchmarks.starts import discrepancy, gaps, measure, shapes


def test_distances_and_discrepancy_of_known_points():
    corners = np.array([[0.0, 0.0], [0.0, 1.0], [3.0, 0.0]])
    np.testing.assert_array_equal(gaps(corners), [1.0, 1.0, 3.0])
    known = np.random.default_rng(0).random((1000, 2))
    assert discrepancy(known, known) == 0.0
    assert discrepancy(np.full((8, 2), 0.999), known) > 0.9


def test_a_small_set_in_two_parts():
    (shape,) = [each for each in shapes() if each.name.startswith("two discs")]
    made = measure(shape, count=16)
    assert made.infeasible == 0
    assert made.parts == 2
    assert made.gaps.min() > made.gaps_projected.min()
