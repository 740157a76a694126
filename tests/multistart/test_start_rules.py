"""Multi-level single linkage: against its definition, written naively."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import optdriver
from optdriver.multistart import start_rules as rules

coordinate = st.sampled_from([k / 16 for k in range(17)])
values = st.sampled_from([float(k) for k in range(6)])


def table(points):
    samples = rules.empty(len(points[0][0]))
    for x, f in points:
        rules.add(samples, np.array(x), f)
    return samples


@given(st.lists(st.tuples(st.tuples(coordinate, coordinate), values), min_size=1, max_size=40))
def test_a_gap_is_the_distance_to_the_nearest_lower_sample(points):
    samples = table(points)
    assert samples.count == len(points)
    for row, (x, f) in enumerate(points):
        # Of equal ones, those that came before count as lower.
        lower = [y for k, (y, h) in enumerate(points) if h < f or (h == f and k < row)]
        naive = min((math.dist(x, y) for y in lower), default=math.inf)
        assert samples.gap[row] == pytest.approx(naive, abs=1e-15)


@pytest.mark.parametrize("n", [1, 2, 5, 40])
def test_the_critical_distance_shrinks_to_nothing(n):
    distance = [rules.critical_distance(k, n) for k in (3, 10, 100, 10**6, 10**300)]
    assert distance == sorted(distance, reverse=True)
    assert distance[-1] < 1e-3 or n > 5


def test_the_critical_distance_in_one_dimension():
    # pi^(-1/2) Gamma(3/2) = 1/2.
    expected = rules.SIGMA * math.log(50) / 50 / 2
    assert rules.critical_distance(50, 1) == pytest.approx(expected)


def test_the_lowest_sample_leads():
    samples = table([((0.5,), 1.0), ((0.4,), 0.5), ((0.6,), 2.0)])
    assert [rules.leads(samples, row) for row in range(3)] == [False, True, False]


def waiting(gaps_and_values):
    """Samples far apart from nobody, with gaps and values as given, all of them waiting."""
    samples = table([((0.0,), 0.0)] * len(gaps_and_values))
    for row, (gap, f) in enumerate(gaps_and_values):
        samples.gap[row], samples.f[row] = gap, f
        rules.put_aside(samples, 10 + row, row)
    return samples


def test_the_lowest_leader_goes_first():
    samples = waiting([(0.0, 1.0), (9.0, 3.0), (9.0, 2.0)])
    assert rules.next_waiting(samples, last_resort=False) == 12
    assert rules.next_waiting(samples, last_resort=False) == 11
    assert rules.next_waiting(samples, last_resort=False) is None
    assert list(samples.row_of) == [10]


def test_without_a_leader_the_one_with_the_largest_gap_goes_as_a_last_resort():
    samples = waiting([(0.0, 1.0), (1e-6, 3.0), (1e-7, 2.0)])
    assert rules.next_waiting(samples, last_resort=False) is None
    assert rules.next_waiting(samples, last_resort=True) == 11


def test_patience_has_an_end():
    samples = waiting([(1e-6 * k, 1.0) for k in range(rules.PATIENCE)])
    assert rules.next_waiting(samples, last_resort=False) == 10 + rules.PATIENCE - 1
    assert rules.next_waiting(samples, last_resort=False) is None


def test_nobody_waits():
    assert rules.next_waiting(rules.empty(3), last_resort=True) is None


@pytest.mark.parametrize("count", [0, 1, 8, 9])
def test_it_is_data(count):
    samples = rules.empty(2)
    for k in range(count):
        row = rules.add(samples, np.array([k / 9, 0.5]), float(k))
        rules.put_aside(samples, 3 * k, row)
    data = rules.to_dict(samples)
    again = rules.from_dict(json.loads(json.dumps(data, default=lambda a: a.tolist())), 2)
    np.testing.assert_equal(rules.to_dict(again), data)
    for table_ in (samples, again):
        rules.add(table_, np.array([0.1, 0.1]), -1.0)
    np.testing.assert_equal(rules.to_dict(again), rules.to_dict(samples))


@pytest.mark.parametrize("rule", ["sobol", "mlsl", "auto"])
@pytest.mark.parametrize("jac", [True, False])
def test_a_box_in_which_nothing_can_vary_is_a_point(rule, jac):
    study = optdriver.create_study(
        {"x": (-1.0, 2.0), "y": (0.0, 1.0)},
        constraints=["x == 0.25", "y == 0.5"],
        start_rule=rule,
        jac=jac,
        num_parallel=2,
        max_num_minimizers=3,
    )
    while not study.is_done():
        suggestion = study.ask() or study.open_suggestions[0]
        assert suggestion.x.tolist() == [0.25, 0.5]
        study.tell(suggestion.id, 7.0, [1.0, -1.0] if jac else None)
    assert study.best.value == 7.0
    assert 1 <= study.num_evaluations <= 6
