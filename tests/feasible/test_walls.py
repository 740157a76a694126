"""Cusps between infinitely steep sides, away from those of the box: minima, or passed by."""

import numpy as np
import pytest

from optdriver import create_study
from optdriver.feasible import FeasibleMinimizer, Stop

ROWS = {
    "x2 <= 1 - sqrt(abs(x1 - 0.3))": 0.3,
    "x2 <= 1 - abs(x1 - 0.25)^(2/3)": 0.25,
    "x2 <= 1 - sqrt(x1 - 0.25)": 0.25,
}
BOX = [(0.0, 3.0), (-3.0, 3.0)]


def driven(rows, slope, start=(1.1, -1.0), box=BOX, unit=1.0, **options):
    opt = FeasibleMinimizer(np.array(start), rows, box, **options)
    slope = unit * np.array(slope)
    while not opt.done and opt.nfev < 100:
        opt.tell(float(slope @ opt.ask()), slope)
    return opt


@pytest.mark.filterwarnings("ignore:constraint")
@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("unit", [1.0, 1e-6])
def test_a_steep_tip_is_a_minimum_without_multipliers(row, unit):
    opt = driven([row], (0.1, -1.0), unit=unit)
    assert opt.stop is Stop.OPTIMAL
    assert opt.result.x == pytest.approx([ROWS[row], 1.0], abs=1e-9)
    assert opt.nfev <= 40
    assert "without multipliers" in opt.result.message
    assert opt.result.multipliers == {}
    assert np.isfinite(opt.result.bound_multipliers).all()
    again = FeasibleMinimizer.from_dict(opt.to_dict())
    assert again.result.message == opt.result.message


def test_what_0_10_recorded_stalls():
    assert driven(list(ROWS)[1:2], (0.0, -1.0), rule=9).stop is Stop.STALLED


@pytest.mark.filterwarnings("ignore:constraint")
@pytest.mark.parametrize("jac", [True, False])
@pytest.mark.parametrize("row", ROWS)
def test_a_study_ends(row, jac):
    study = create_study(
        {"x1": BOX[0], "x2": BOX[1]}, constraints=row, jac=jac, max_num_minimizers=2
    )
    study.run(lambda x1, x2: (-x2, [0.0, -1.0]) if jac else -x2)
    assert study.info()["success"]
    assert study.best.value == pytest.approx(-1.0, abs=1e-9)
    assert study.num_evaluations <= 100


# rows at whose tip f still falls, and a slope
FALLING = {
    "one side is free": ("x2 <= 1 - sign(x1 - 0.3)*abs(x1 - 0.3)^(1/3)", (0.0, -1.0)),
    "no cusp": ("x2 <= 1 - abs(x1 - 0.3)^(4/3)", (0.1, -1.0)),
    "a kink": ("x2 <= 1 - abs(x1 - 0.3)", (1.5, -1.0)),
    "a valley": ("x2 <= 1 + sqrt(abs(x1 - 0.3))", (0.0, -1.0)),
    "rotated": ("x2 <= 1 - sqrt(abs(x1 - 0.3 - x2/4))", (-5.0, -0.1)),
    "a tip goes on": ("x2 <= 1 - sqrt(abs(x1 - 0.3 - x3/4))", (0.0, -1.0, 0.1)),
    "a ridge": ("x2 <= 1 - sqrt(abs(x1 - 0.3)) + abs(x3)", (0.0, -1.0, 0.1)),
}


@pytest.mark.filterwarnings("ignore:constraint")
@pytest.mark.parametrize("name", FALLING)
def test_success_is_claimed_only_where_nothing_near_is_lower(name):
    row, slope = FALLING[name]
    n = len(slope)
    opt = driven([row], slope, (1.1, -1.0, 0.4)[:n], [*BOX, (-1.0, 1.0)][:n])
    if not opt.converged:
        return
    x = opt.result.x
    away = np.random.default_rng(3).uniform(-1e-3, 1e-3, (4000, n))
    away[::2, 0] = away[::2, 2] / 4 if n == 3 else away[::2, 0] ** 3
    for z in x + away:
        if opt.constraints.violation(z) <= 0 and np.all(opt._region.clip(z) == z):
            assert np.dot(slope, z) >= opt.result.fun - 1e-6
