"""A kept study under constraints goes on like one in memory, and asks feasible points only."""

from __future__ import annotations

import math

import pytest

import optdriver
from optdriver.errors import InputError

BOX = {"x1": (-1.5, 1.5), "x2": (-1.5, 1.5), "radius": 1.2}
DISC = [{"name": "disc", "constraint": "sqrt(x1^2 + x2^2) <= radius"}]


def objective(x1, x2, radius):
    return (x1 - 1) ** 2 + 10 * (x2 - x1**2) ** 2 + math.cos(3 * x1)


def asked(study, most):
    points = []
    while len(points) < most and (suggestion := study.ask()) is not None:
        points.append((suggestion.id, suggestion.x.tobytes()))
        params = suggestion.params
        assert math.sqrt(params["x1"] ** 2 + params["x2"] ** 2) <= params["radius"]
        study.tell(suggestion.id, objective(**params))
    return points


def options():
    return {"constraints": DISC, "num_initial": 2, "max_iter": 60}


@pytest.mark.parametrize("every", [1, 7])
def test_it_goes_on_with_the_same_points(tmp_path, every):
    whole = asked(optdriver.create_study(BOX, **options()), 60)
    assert len(whole) == 60
    path = tmp_path / "disc.db"
    pieces = []
    with optdriver.create_study(BOX, storage=path, **options()) as study:
        pieces += asked(study, every)
    while len(pieces) < 60:
        with optdriver.load_study(path) as study:
            pieces += asked(study, every if len(pieces) < 14 else 60)
    assert pieces == whole


def test_other_constraints_are_refused(tmp_path):
    path = tmp_path / "disc.db"
    optdriver.create_study(BOX, storage=path, **options()).close()
    with pytest.raises(InputError, match="constraint"):
        optdriver.create_study(BOX, storage=path, constraints=["x1 + x2 <= radius"])
    with optdriver.create_study(BOX, storage=path, **options()) as study:
        assert study.verify()
