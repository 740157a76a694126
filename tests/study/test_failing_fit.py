"""The fit of a kinetic model that fails in most of the box, with the study's defaults."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import expm

from optdriver import create_study

# Isomerization of alpha-pinene: Box, Hunter, MacGregor, Erjavec, Technometrics 15 (1973) 33; as in
# Dolan, More, Munson, "Benchmarking optimization software with COPS 3.0" (2004), where the optimum
# is 19.872. Times in minutes, per cent of the five substances.
TIMES = np.array([0.0, 1230.0, 3060.0, 4920.0, 7800.0, 10680.0, 15030.0, 22620.0, 36420.0])
MEASURED = np.array(
    [
        [88.35, 76.4, 65.1, 50.4, 37.5, 25.9, 14.0, 4.5],
        [7.3, 15.6, 23.1, 32.9, 42.7, 49.1, 57.4, 63.1],
        [2.3, 4.5, 5.3, 6.0, 6.0, 5.9, 5.1, 3.8],
        [0.4, 0.7, 1.1, 1.5, 1.9, 2.2, 2.6, 2.9],
        [1.75, 2.8, 5.8, 9.3, 12.0, 17.0, 21.0, 25.7],
    ]
).T
PUBLISHED = [5.926e-5, 2.963e-5, 2.047e-5, 27.45e-5, 3.998e-5]
BOX = {f"p{i}": (0.0, 4e-4) for i in range(1, 6)}


def fit(p1, p2, p3, p4, p5):
    """Return the sum of squares; a simulation fails where the first substance is used up."""
    rates = np.zeros((5, 5))
    rates[:, 0] = [-(p1 + p2), p1, p2, 0.0, 0.0]
    rates[2:, 2] = [-(p3 + p4), p3, p4]
    rates[2, 4], rates[4, 4] = p5, -p5
    y, total = np.array([100.0, 0.0, 0.0, 0.0, 0.0]), 0.0
    for step, measured in zip(np.diff(TIMES), MEASURED, strict=True):
        y = expm(step * rates) @ y
        if y[0] < 0.02:
            raise ArithmeticError("the step has become too small")
        total += float(((y - measured) ** 2).sum())
    return total


def test_most_of_the_box_fails():
    rng, failed = np.random.default_rng(0), 0
    for point in rng.uniform(0.0, 4e-4, (200, 5)):
        try:
            fit(*point)
        except ArithmeticError:
            failed += 1
    assert 0.78 < failed / 200 < 0.9


@pytest.mark.parametrize("seed", [None, 1, 2])
def test_the_published_optimum_is_found(seed):
    given = {} if seed is None else {"seed": seed}
    study = create_study(BOX, max_iter=333, **given)
    study.run(fit)
    assert study.best.value == pytest.approx(19.872, abs=1e-3)
    assert list(study.best.params.values()) == pytest.approx(PUBLISHED, rel=1e-3)
    assert study.info()["success"]
    assert study.stop_kind == "max_iter"
    assert len(study.minima) == 1
