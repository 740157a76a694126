"""A restored state whose numbers contradict each other is refused."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from optdriver.errors import InputError
from optdriver.lbfgsb import LBFGSB


def searching():
    """Return the data of a minimizer in the middle of a search."""
    opt = LBFGSB([-1.2, 1.0], bounds=[(-2.0, 2.0), (-1.0, 2.0)])
    for _ in range(5):
        x = opt.ask()
        t = x[1] - x[0] ** 2
        opt.tell(100 * t * t + (1 - x[0]) ** 2, [-400 * x[0] * t - 2 * (1 - x[0]), 200 * t])
    return opt.to_dict()


def ended():
    """Return the data of a minimizer that has converged."""
    opt = LBFGSB([0.5], bounds=[(0.0, 1.0)])
    while not opt.done:
        x = opt.ask()
        opt.tell((x[0] - 0.25) ** 2, 2.0 * (x - 0.25))
    return opt.to_dict()


def test_what_is_sound_is_taken():
    assert LBFGSB.from_dict(searching()).nfev == 5
    assert LBFGSB.from_dict(ended()).converged


def test_the_best_point_of_an_ended_run_is_inside():
    data = ended()
    data["state"]["xb"] = np.array([1.5])
    with pytest.raises(InputError, match="'xb' is not inside the bounds"):
        LBFGSB.from_dict(data)


def test_without_a_pair_the_model_has_the_unit_of_f():
    data = LBFGSB([0.5]).to_dict()
    data["state"]["theta"] = 0.5
    with pytest.raises(InputError, match="without a pair, expected 1"):
        LBFGSB.from_dict(data)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("l", [3.0, 3.0]),
        ("boxed", 0),
        ("theta", -1.0),
        ("theta", np.inf),
        ("theta", np.nan),
        ("unit", 2.0),
        ("dd", np.full(10, -1.0)),
        ("where", np.full(2, 7)),
        ("head", 99),
        ("nfail", 50),
        ("stop", 1),
        ("z", [9.0, 9.0]),
        ("stp", np.inf),
        ("slope0", 1.0),
        ("xt", [9.0, 9.0]),
    ],
)
def test_what_contradicts_itself_is_refused(name, value):
    data = copy.deepcopy(searching())
    fields = data["state"]
    assert name in fields
    fields[name] = np.asarray(value) if isinstance(value, (list, np.ndarray)) else value
    with pytest.raises(InputError, match="no stored"):
        LBFGSB.from_dict(data)
