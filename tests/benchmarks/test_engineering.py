"""The designs: gradients that are those of the values, and ends that SLSQP agrees with."""

import numpy as np
import pytest

from benchmarks.engineering import driven, reference
from benchmarks.problems.engineering import designs

DESIGNS = {design.name: design for design in designs()}


@pytest.mark.parametrize("name", DESIGNS)
def test_the_gradients_are_those_of_the_values(name):
    design = DESIGNS[name]
    low, high = np.clip(np.array(design.box), -10.0, 10.0 + 20.0 * (name == "gas compressor")).T
    x = low + (0.3 + 0.4 * np.random.default_rng(0).random(len(low))) * (high - low)
    step = 1e-5 * (high - low)
    for i, g in enumerate(design.slope(x)):
        e = step[i] * np.eye(len(x))[i]
        change = (design.value(x + e) - design.value(x - e)) / (2.0 * step[i])
        assert change == pytest.approx(g, rel=1e-6, abs=1e-7 * np.abs(design.slope(x)).max())


@pytest.mark.parametrize("name", ["power flow", "two rows of a valley", "disc in its box"])
@pytest.mark.parametrize("jac", [True, False])
def test_studies_end_where_slsqp_does(name, jac):
    design = DESIGNS[name]
    found = driven(design, jac)
    assert found.success
    least = reference(design, found.starts)
    assert abs(found.value - least) <= 1e-6 * max(1.0, abs(least))


def test_cusps_are_reached():
    for design in DESIGNS.values():
        if design.best == -1.0:
            found = driven(design, jac=True)
            assert found.success
            assert found.value == pytest.approx(-1.0, abs=1e-7)
            assert found.evaluations <= 120
