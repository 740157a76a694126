"""The caller's ``np.seterr`` decides nothing: every door computes in the library's own state."""

from __future__ import annotations

import random
import warnings

import numpy as np
import pytest

import optdriver
from optdriver import (
    LBFGSB,
    CallbackMinimizer,
    FeasibleMinimizer,
    MultiStart,
    create_study,
    numerics,
)
from optdriver.batch import Batch, minimize_batch
from optdriver.numerics import quiet
from optdriver.population import PopulationDriver

BOX = [(-1.5, 2.0), (-1e3, 2.5)]
SIZES = [1e300, 1e160, 1.0, 1e-160, 1e-300, 5e-324, -1e300, 0.0]


def values(seed):
    """Return a function of x: values and gradients of all sizes, the same every time."""

    @quiet
    def fun(x):
        chance = random.Random(f"{seed} {x.tobytes()!r}")
        size = chance.choice(SIZES)
        return float((x @ x) * size), 2.0 * x * chance.choice([size, size, 1e300])

    return fun


def ask_and_tell(made, fun, steps=12):
    seen = []
    for _ in range(steps):
        if made.done:
            break
        seen.append(made.ask())
        made.tell(*fun(seen[-1])[: 2 if "g" in getattr(made, "needs", "g") else 1])
    made.tell_failure("at last") if not made.done else None
    result = made.result
    seen.append(result.x)
    type(made).from_dict(made.to_dict())
    made.copy()
    return seen


def ask_and_tell_points(made, fun):
    seen = []
    for point in made.ask(12):
        seen.append(point.x)
        made.tell(point.id, *fun(point.x))
    _ = made.runs, made.minima, made.best, repr(made)
    type(made).from_dict(made.to_dict())
    return seen


def study(fun, **options):
    made = create_study({"x": BOX[0], "y": BOX[1]}, jac=True, max_iter=15, **options)
    made.run(lambda x, y: fun(np.array([x, y])))
    _ = made.info(), made.runs, made.minima, made.history
    return [np.array([made.best.value])] if made.best else []


def lbfgsb(fun, **options):
    made = LBFGSB([1.0, -0.5], BOX, **options)
    seen = ask_and_tell(made, fun)
    inverse = made.result.hess_inv
    return [*seen, inverse @ np.ones(2), inverse.todense()]


def batch(fun):
    def rows(x):
        values, gradients = zip(*map(fun, x), strict=True)
        return np.array(values), np.array(gradients)

    made = Batch([[1.0, -0.5], [0.3, 1.0]], BOX)
    seen = []
    for _ in range(12):
        if made.done:
            break
        seen.append(made.ask())
        made.tell(*rows(seen[-1]))
    seen.append(Batch.from_dict(made.to_dict()).result.x)
    return [*seen, minimize_batch(rows, bounds=BOX, total=5, maxfun=12).x]


def front(fun, **options):
    box = {"x": BOX[0], "y": BOX[1]}
    result = optdriver.minimize(
        lambda p: fun(np.array([p["x"], p["y"]]))[0], box, jac="2-point", n_iter=2, **options
    )
    return [result.x["x"], result.x["y"]]


DOORS = {
    "LBFGSB": lbfgsb,
    "LBFGSB, cautious": lambda fun: lbfgsb(fun, cautious=True, maxcor=2),
    "FeasibleMinimizer": lambda fun: ask_and_tell(
        FeasibleMinimizer([1.0, -0.5], ["x1^2 + x2^2 <= 3"], BOX), fun
    ),
    "CallbackMinimizer": lambda fun: ask_and_tell(
        CallbackMinimizer("SLSQP", [1.0, -0.5], BOX), fun
    ),
    "MultiStart": lambda fun: ask_and_tell_points(MultiStart(BOX, num_initial=4), fun),
    "PopulationDriver": lambda fun: ask_and_tell_points(
        PopulationDriver(BOX, engine="CMA-ES"), lambda x: fun(x)[:1]
    ),
    "Batch": batch,
    "minimize": front,
    "minimize, a SciPy method": lambda fun: front(fun, method="SLSQP"),
    "minimize, constraints": lambda fun: front(
        fun, constraints={"type": "ineq", "fun": lambda p: 3.0 - p["x"] ** 2 - p["y"] ** 2}
    ),
    "study": study,
    "study, constraints": lambda fun: study(fun, constraints=["x^2 + y^2 <= 3"]),
}


def played(door, seed):
    """Return what a door gives, or the kind of the library's error that ends it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return [np.asarray(x).tobytes() for x in door(values(seed))]
        except optdriver.OptDriverError as error:
            return type(error)


@pytest.mark.parametrize("name", DOORS)
def test_a_door_gives_the_same_whatever_the_callers_error_state(name):
    for seed in range(6):
        plain = played(DOORS[name], seed)
        with np.errstate(all="raise"):
            assert played(DOORS[name], seed) == plain
            assert set(np.geterr().values()) == {"raise"}


@pytest.mark.parametrize("known", [True, False])
def test_a_quiet_call_puts_back_what_the_caller_had(known, monkeypatch):
    """Whether or not it is known where NumPy has its state, and whatever is set on the way."""
    if not known:
        monkeypatch.setattr(numerics, "_STATE", None)

    @quiet
    def inner():
        return np.geterr()

    @quiet
    def outer():
        np.seterr(over="raise")  # as an objective may
        return inner(), np.geterr()["over"]

    with np.errstate(divide="call", over="warn"):
        assert set(inner().values()) == {"ignore"}
        found, over = outer()
        assert (set(found.values()), over) == ({"ignore"}, "raise")
        assert (np.geterr()["divide"], np.geterr()["over"]) == ("call", "warn")
        with pytest.raises(ZeroDivisionError):
            quiet(lambda: 1 / 0)()
        assert np.geterr()["divide"] == "call"


def plain(kind):
    """Return the public methods and properties of a class that compute in the caller's state."""
    found = {
        name: each.fget if isinstance(each, property) else getattr(each, "__func__", each)
        for name, each in vars(kind).items()
        if not name.startswith("_") and (callable(each) or isinstance(each, property | classmethod))
    }
    return {name for name, function in found.items() if not hasattr(function, "__wrapped__")}


def test_every_door_of_a_study_is_quiet():
    """What is left out hands out what is there, or does its work by those that are quiet."""
    handing_out = {"spec", "space", "name", "parameters", "objective", "new_observation"}
    handing_out |= {"configuration", "driver", "best_value", "keeps_events"}
    state = {"num_evaluations", "stop_reason", "stop_kind", "objective_number"}
    by_others = {"ask", "get_suggestion", "run", "close", "export"}
    by_others |= {"historic_parameter_values", "unsatisfied", "profile"}
    assert plain(optdriver.study.Study) <= handing_out | state | by_others


def test_a_multiplier_that_overflows_is_no_error():
    with np.errstate(all="raise"):
        study = create_study({"x": (1e-300, 2.0), "y": {"domain": (1e-9, 1.0), "scale": "log"}},
                             jac=True, max_num_minimizers=1)  # fmt: skip
        study.run(lambda x, y: (1e300 * x + 1e290 * y, [1e300, 1e290]))
        assert study.info()["num_evaluations"] > 0
        repr((study.runs, study.minima, study.best, study.get_observation_data()))
