"""Ends that are no minima are called what they are, by what was evaluated beside them."""

from __future__ import annotations

import json

import numpy as np
import pytest

import optdriver
from optdriver import plots
from optdriver.cli import summary
from optdriver.server.leases import Leases
from optdriver.server.overview import overview


def saddle(x, y):
    """A saddle of value 0 at the origin, and two minima of value -1."""
    return x * x - y * y + y**4 / 4


def slope(x, y):
    return [2 * x, -2 * y + y**3]


def ended(sign=1.0, **options):
    """Return a study whose run has ended on the ridge."""
    study = optdriver.create_study(
        {"x": (-2.0, 2.0), "y": (-2.0, 2.0)}, jac=True, num_initial=1, max_num_minimizers=1,
        initial_samples=[[1.0, 0.0]], convergence_rule=6,
        direction="minimize" if sign > 0.0 else "maximize", **options,
    )  # fmt: skip
    study.run(lambda x, y: (sign * saddle(x, y), [sign * each for each in slope(x, y)]))
    assert len(study.minima) == 1
    return study


def add(study, x, y, *, sign=1.0, gradient=True):
    told = [sign * each for each in slope(x, y)] if gradient else None
    study.add_point({"x": x, "y": y}, sign * saddle(x, y), told)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_lower_point_along_a_parabola_from_its_top_makes_a_saddle(sign):
    study = ended(sign)
    assert study.minima[0].kind == ("minimum" if sign > 0.0 else "maximum")
    add(study, 0.0, 3e-3, sign=sign)
    assert study.minima[0].kind == "saddle"


def test_a_lower_value_beside_it_makes_it_doubtful():
    study = ended()
    add(study, 0.0, 3e-3, gradient=False)  # as far as another minimum may be
    assert study.minima[0].kind == "minimum"
    add(study, 0.0, 3.9e-4, gradient=False)
    assert study.minima[0].kind == "doubtful"


def test_what_is_lower_by_rounding_or_farther_off_says_nothing():
    study = ended()
    for y in (1e-4, 5e-3):
        add(study, 0.0, y)
    assert study.minima[0].kind == "minimum"


def test_beside_a_minimum_there_is_nothing_lower():
    study = optdriver.create_study(
        {"x": (-2.0, 2.0), "y": (-2.0, 2.0)}, jac=True, num_initial=3, max_num_minimizers=6
    )
    study.run(lambda x, y: (saddle(x, y), slope(x, y)))
    assert [row.kind for row in study.minima] == ["minimum"] * 2


def test_the_higher_of_two_minima_that_are_near_is_one():
    """4e-4 of the width apart, with a barrier of 2.6e-6 between them."""

    def wells(x):
        t = (x - 0.5) / 2e-4
        return 1e-6 * ((t * t - 1) ** 2 + 0.3 * t + 2.0), 1e-6 * (4 * t * (t * t - 1) + 0.3) / 2e-4

    study = optdriver.create_study({"x": (0.0, 1.0)}, jac=True, num_initial=1,
        initial_samples=[[0.50019], [0.49981], [0.50021]], max_num_minimizers=3)  # fmt: skip
    study.run(wells)
    assert {row.kind for row in study.minima} == {"minimum"}


def test_every_view_says_it(tmp_path):
    study = ended()
    add(study, 0.0, 3e-3)
    assert "saddle" in repr(study.minima)
    assert "saddle" in study.minima._repr_html_()
    assert summary.of(study)["minima"][0]["kind"] == "saddle"
    assert overview(study, Leases(study))["minima"][0]["kind"] == "saddle"
    pytest.importorskip("matplotlib").use("Agg")
    assert "saddle" in plots.minima(study).texts[0].get_text()
    assert "saddle" in plots.basins(study).texts[0].get_text()


def test_it_is_the_same_in_a_study_that_was_opened_again(tmp_path):
    path = tmp_path / "ridge.jsonl"
    study = ended(storage=path)
    add(study, 0.0, 3e-3)
    study.close()
    with optdriver.load_study(path) as again:
        assert again.minima[0].kind == "saddle"


def test_without_parameters_that_vary_nothing_is_beside_an_end():
    study = optdriver.create_study({"x": (1.0, 1.0), "y": (0.0, 1.0)}, max_num_minimizers=1)
    study.run(lambda x, y: (y - 0.5) ** 2)
    assert [row.kind for row in study.minima] == ["minimum"]
    assert json.dumps([row.kind for row in study.minima]) == json.dumps(["minimum"])
    assert np.isfinite(study.minima[0].value)
