"""The probability that no minimum is missing."""

from __future__ import annotations

import json
from fractions import Fraction
from math import comb, factorial

import numpy as np
import pytest

from benchmarks.completeness import CLAIMED, crossings, share
from benchmarks.problems.multimodal import camel, wells
from optdriver import MultiStart
from optdriver.multistart.completeness import ALL_LIKELY, LEAST, LIKELY, estimate, probability
from optdriver.multistart.linked import UNSEEN


def by_its_definition(starts: int, minima: int) -> float:
    """Sum over numbers of basins, each as likely, their shares uniform on the simplex (1987).

    With K basins the probability of a sequence of starts that visits w given ones n_1 ... n_w times
    is (K-1)! n_1! ... n_w! / (N+K-1)!; which of the K they are can be chosen in comb(K, w) ways.
    """
    terms = [
        Fraction(comb(k, minima) * factorial(k - 1), factorial(starts + k - 1))
        for k in range(minima, minima + 400)
    ]
    return float(terms[0] / sum(terms))


@pytest.mark.parametrize("starts, minima", [(20, 1), (12, 3), (60, 6), (300, 10)])
def test_it_is_what_bayes_theorem_gives(starts, minima):
    assert probability(starts, minima) == pytest.approx(by_its_definition(starts, minima), rel=1e-6)


def test_it_is_zero_before_it_can_be_told_and_grows_with_the_starts():
    assert probability(0, 0) == probability(3, 2) == probability(1, 1) == 0.0
    values = [probability(n, 5) for n in range(7, 200)]
    assert np.all(np.diff(values) > 0)
    assert values[-1] < 1


def test_nothing_is_said_before_a_few_descents_have_ended():
    for minima, least in ((1, LEAST), (2, LEAST), (4, 8)):
        assert estimate(least - 1, 1000, minima) == 0.0
        assert 0.9 < estimate(least, 1000, minima) < 1.0


def test_the_estimate_wants_twice_as_many_starts_as_the_formula():
    for minima in (1, 3, 10):
        needed = next(n for n in range(minima, 9999) if probability(n, minima) >= 0.9)
        wanted = next(n for n in range(minima, 9999) if estimate(n, 0, minima) >= 0.9)
        assert wanted == pytest.approx(2.0 * needed, rel=0.12)


@pytest.mark.parametrize("variables, times", [(1, 2), (2, 4), (3, 8)])
def test_where_one_is_on_a_side_it_wants_as_many_times_the_starts_as_there_are_corners(
    variables, times
):
    for minima in (1, 3, 10):
        needed = next(n for n in range(minima, 9999) if probability(n, minima) >= 0.9)
        wanted = next(n for n in range(99999) if estimate(n, 0, minima, sides=variables) >= 0.9)
        assert wanted == pytest.approx(times * needed, rel=0.25)


def test_of_many_variables_it_says_nothing_and_no_number_overflows():
    assert estimate(9999, 0, 1, sides=40) == estimate(9999, 0, 1, sides=5000) == 0.0


@pytest.mark.parametrize(
    "rule, said",
    [
        (7, probability),
        (8, lambda n, w: estimate(n, 0, w)),
        (9, lambda n, w: estimate(n, 0, w)),
        (10, lambda n, w: estimate(n, 0, w)),
        (11, lambda n, w: estimate(n, 0, w)),
    ],
)
def test_what_is_said_is_that_of_the_starts_that_have_converged(rule, said):
    ms = MultiStart([(-3, 3), (-2, 2)], convergence_rule=rule)
    for _ in range(200):
        (point,) = ms.ask(1)
        ms.tell(point.id, *camel(point.x))
        assert ms.probability == said(sum(m.times_found for m in ms.minima), ms.num_minima)
    assert ms.num_minima > 2


def slope(x):
    """Fall towards one side of the box, with a minimum there."""
    return x[0] + (x[1] - 0.3) ** 2, np.array([1.0, 2.0 * (x[1] - 0.3)])


@pytest.mark.parametrize(
    "rule, power, start_rule",
    [(7, 1, "auto"), (8, 2, "mlsl"), (9, 2, "auto")]
    + [(10, 4, start_rule) for start_rule in ("auto", "mlsl", "sobol")],
)
def test_a_minimum_on_a_side_is_doubted_further_by_the_present_rule_alone(rule, power, start_rule):
    ms = MultiStart([(0, 1)] * 2, convergence_rule=rule, start_rule=start_rule)
    while ms.nfev < 80:
        (point,) = ms.ask(1)
        ms.tell(point.id, *slope(point.x))
    (minimum,) = ms.minima
    assert minimum.x[0] == 0.0
    starts = 2.0 / (1.0 - ms.probability ** (1.0 / power))  # since the formula is (N - 2) / N
    assert starts == pytest.approx(round(starts), abs=1e-6)
    assert MultiStart.from_dict(ms.to_dict()).probability == ms.probability


def corner(x):
    """A bowl with a narrow well in a corner, where about one in a hundred starts would lead."""
    away, beside = x - np.array([1.02, -0.02]), x - np.array([0.4, 0.6])
    well = 0.6 * np.exp(-0.5 * (away @ away) / 0.05**2)
    return float(beside @ beside - well), 2.0 * beside + well / 0.05**2 * away


def found_in_a_corner(seed, places=1, **options):
    """Return a multi-start that has said that all minima are likely found."""
    ms = MultiStart([(0, 1)] * 2, start_rule="auto", seed=seed, stop_when=ALL_LIKELY, **options)
    while not ms.done:
        for point in ms.ask(places):
            ms.tell(point.id, *corner(point.x))
    return ms


def on_sides(ms):
    """Return the starts that are on sides of the unit box."""
    return [run.x0 for run in ms.runs if np.any((run.x0 == 0.0) | (run.x0 == 1.0))]


def test_sides_and_corners_are_looked_at_before_all_minima_are_likely_found():
    """0.10.0 said so of the minimum inside alone."""
    for places in (1, 4):
        ms = found_in_a_corner(0, places)
        assert ms.num_minima == 2 and ms.probability >= LIKELY
        assert any(np.array_equal(minimum.x, [1.0, 0.0]) for minimum in ms.minima)
        looks = on_sides(ms)
        assert len({x.tobytes() for x in looks}) == len(looks) >= 8
    before = found_in_a_corner(0, convergence_rule=10)
    assert before.num_minima == 1 and not on_sides(before)


def test_until_sides_were_looked_at_less_is_said_and_a_copy_goes_on_with_the_looks():
    ms, asked, said = MultiStart([(0, 1)] * 2, start_rule="auto"), [], []
    while ms.nfev < 200:
        if ms.nfev % 20 == 0:
            ms = MultiStart.from_dict(
                json.loads(json.dumps(ms.to_dict(), default=np.ndarray.tolist))
            )
        (point,) = ms.ask(1)
        ms.tell(point.id, *corner(point.x))
        asked.append(point.x.tobytes())
        said.append(ms.probability)
    looks = [asked.index(x.tobytes()) for x in on_sides(ms)]
    claim = next(k for k, made in enumerate(said) if made >= LIKELY)
    assert found_in_a_corner(0).nfev == claim + 1
    assert said[min(looks) - 1] == UNSEEN  # nothing is claimed before the first look
    assert max(looks) <= claim and min(said[claim:]) >= LIKELY  # nor taken back, nor looked again


def test_of_one_variable_both_ends_are_looked_at_once():
    ms = MultiStart([(0, 1), (2, 2)], start_rule="auto")
    while ms.nfev < 120:
        (point,) = ms.ask(1)
        ms.tell(point.id, float((point.x[0] - 0.3) ** 2), 2.0 * (point.x - [0.3, 0.0]))
    assert sorted(run.x0[0] for run in ms.runs if run.x0[0] in (0.0, 1.0)) == [0.0, 1.0]
    assert ms.probability > LIKELY


def test_what_cannot_vary_is_on_no_side():
    told = []
    for bounds in ([(-1, 1.2)], [(-1, 1.2), (0.5, 0.5)]):
        ms = MultiStart(bounds, start_rule="auto")
        while ms.nfev < 60:
            (point,) = ms.ask(1)
            ms.tell(point.id, float(point.x @ point.x), 2.0 * point.x)
        told.append(ms.probability)
    assert told[0] == told[1] > 0.8


@pytest.mark.slow
def test_what_is_said_with_nine_in_ten_is_true_as_often():
    found = [crossings(wells(2, 300 + k), 800, k, start_rule="auto") for k in range(6)]
    assert sum(each[CLAIMED] is not None for each in found) >= 4
    assert share(found, CLAIMED) >= 0.8
