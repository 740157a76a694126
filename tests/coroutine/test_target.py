"""The value at which COBYQA and COBYLA are to stop is in the unit of the objective."""

from __future__ import annotations

import pickle

import pytest

import optdriver
from optdriver.coroutine import CallbackMinimizer
from tests.contracts.minimizer import equal


def bent(x):
    return 40.0 * (x[1] - x[0] ** 2) ** 2 + (1.0 - x[0]) ** 2


def made(method, size, **options):
    box = [(-2.0, 2.0), (-2.0, 2.0)]
    options = {"cautious": True, "f_target": 0.5 * size, **options}
    return CallbackMinimizer(method, [-1.2, 1.5], box, **options)


def drive(opt, size):
    values = []
    while not opt.done:
        values.append(size * bent(opt.ask()))
        opt.tell(values[-1])
    return values


@pytest.mark.parametrize("method", ["COBYQA", "COBYLA"])
@pytest.mark.parametrize("size", [1.0, 2.0**-30, 2.0**-80])
def test_it_stops_at_the_first_value_below(method, size):
    opt = made(method, size)
    values = drive(opt, size)
    assert opt.result.success
    assert "target" in opt.result.message
    assert values[-1] <= 0.5 * size < min(values[:-1])


@pytest.mark.parametrize("method", ["COBYQA", "COBYLA"])
def test_it_goes_on_the_same_from_any_point(method):
    size = 2.0**-40
    straight = made(method, size)
    values = drive(straight, size)
    opt, again = made(method, size), []
    while not opt.done:
        again.append(size * bent(opt.ask()))
        opt.tell(again[-1])
        if len(again) in {1, 2, 5, 20, 60}:
            opt = pickle.loads(pickle.dumps(opt))
    assert again == values
    assert equal(opt.best[0], straight.best[0])
    assert opt.nit == straight.nit


def test_as_in_0_10_it_is_in_the_amplified_unit():
    size = 2.0**-40
    opt = made("COBYQA", size, doubt_rule=1)
    assert min(drive(opt, size)[:-1]) < 0.5 * size


def test_a_study_stops_there():
    study = optdriver.create_study(
        {"x": (-2.0, 2.0), "y": (-2.0, 2.0)},
        driver="COBYLA",
        method_options={"f_target": 5e-10},
        max_num_minimizers=1,
        max_iter=400,
        seed=4,
    )
    study.run(lambda x, y: 1e-9 * bent((x, y)))
    values = study.history["value"]
    assert values[-1] <= 5e-10 < min(values[:-1])
