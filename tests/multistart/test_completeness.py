"""The probability that no minimum is missing."""

from __future__ import annotations

from fractions import Fraction
from math import comb, factorial

import numpy as np
import pytest

from optdriver.multistart.completeness import probability


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
