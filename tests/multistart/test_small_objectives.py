"""An objective far smaller than 1 is minimised as any other, through every interface."""

from __future__ import annotations

import numpy as np
import pytest

from optdriver import MultiStart, create_study, minimize

CENTRE = np.array([3.0, 2.0, 1.0])
START = [8.0, 7.0, 6.0]
BOX = [(0.0, 10.0)] * 3
NAMES = ("a", "b", "c")

amplitudes = pytest.mark.parametrize("amplitude", [1e-6, 1e-9, 1e-12, 1e-15])


def bowl(x, amplitude):
    """A sum of squares, 75 times the amplitude at the start."""
    t = np.asarray(x) - CENTRE
    return amplitude * float(t @ t), 2.0 * amplitude * t


@amplitudes
@pytest.mark.parametrize("jac", [True, False])
def test_a_study_ends_at_the_minimum(jac, amplitude):
    study = create_study(dict.fromkeys(NAMES, BOX[0]), jac=jac, max_num_minimizers=1)
    study.set_parameters(initial_samples=[START], max_iter=300)

    def objective(a, b, c):
        f, g = bowl([a, b, c], amplitude)
        return (f, g) if jac else f

    study.run(objective, progress=False)
    assert study.info()["success"]
    assert study.num_evaluations > 1
    assert study.best.value / amplitude < 1e-6


@amplitudes
@pytest.mark.parametrize("jac", [True, False])
def test_multi_start_ends_at_the_minimum(jac, amplitude):
    made = MultiStart(BOX, initial_samples=[START], max_num_minimizers=1, jac=jac)
    for _ in range(300):
        if made.done or (made.runs and made.runs[0].state == "converged"):
            break
        for point in made.ask(1):
            made.tell(point.id, *bowl(point.x, amplitude)[: 2 if jac else 1])
    assert made.runs[0].state == "converged"
    assert made.best.f / amplitude < 1e-6


@amplitudes
def test_minimize_ends_at_the_minimum(amplitude):
    found = minimize(
        lambda *x: amplitude * sum((a - c) ** 2 for a, c in zip(x, CENTRE, strict=True)),
        BOX,
        x0=[START],
        n_iter=1,
        x64=True,
    )
    assert found.success
    assert found.fun / amplitude < 1e-6
