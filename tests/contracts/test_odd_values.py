"""Whatever is handed over in the place of an argument, the library's own errors answer it."""

from __future__ import annotations

import inspect
import warnings
from contextlib import suppress

import pytest

import optdriver
from optdriver.batch import Batch
from optdriver.constraints import ConstraintSet
from optdriver.errors import OptDriverError
from optdriver.study.parameters import TABLE
from tests.contracts.odd_values import ODD

BOX = {"a": (-1.0, 1.0), "b": (0.0, 2.0)}
PAIRS = [(-1.0, 1.0), (0.0, 2.0)]
MADE = {
    "LBFGSB": (optdriver.LBFGSB, {"x0": [0.0, 0.5]}),
    "MultiStart": (optdriver.MultiStart, {"bounds": PAIRS}),
    "FeasibleMinimizer": (
        optdriver.FeasibleMinimizer,
        {"x0": [0.0, 0.5], "bounds": PAIRS, "constraints": ["x1 + x2^2 <= 1"]},
    ),
    "LeastSquares": (optdriver.LeastSquares, {"x0": [0.0, 0.5]}),
    "SQP": (optdriver.SQP, {"x0": [0.0, 0.5]}),
    "CallbackMinimizer": (
        optdriver.CallbackMinimizer,
        {"method": "Nelder-Mead", "x0": [0.0, 0.5], "constraints": ["x1 + x2^2 <= 1"]},
    ),
    "Batch": (Batch, {"x0": [[0.0, 0.5]], "bounds": PAIRS}),
    "ConstraintSet": (
        ConstraintSet,
        {"constraints": ["x^2 + y <= 1"], "names": ["x", "y"], "bounds": PAIRS},
    ),
    "create_study": (optdriver.create_study, {"domain": BOX}),
}
ARGUMENTS = [
    pytest.param(name, argument, id=f"{name}-{argument}")
    for name, (made, _) in MADE.items()
    for argument, parameter in inspect.signature(made).parameters.items()
    if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
]


@pytest.fixture(autouse=True)
def _anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a storage may be the name of a file
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.parametrize(("name", "argument"), ARGUMENTS)
def test_what_can_be_made_answers_odd_arguments(name, argument):
    make, good = MADE[name]
    for odd in ODD.values():
        with suppress(OptDriverError):
            made = make(**{**good, argument: odd})
            if hasattr(made, "close"):
                made.close()


@pytest.mark.parametrize("name", TABLE)
def test_a_study_answers_odd_parameters(name):
    for odd in ODD.values():
        with suppress(OptDriverError):
            optdriver.create_study(BOX, **{name: odd}).ask()
        study = optdriver.create_study(BOX)
        with suppress(OptDriverError):
            study.set_parameters(**{name: odd})


CALLS = {
    "tell id": lambda study, id, odd: study.tell(odd, 1.0, [1.0, 1.0]),
    "tell value": lambda study, id, odd: study.tell(id, odd, [1.0, 1.0]),
    "tell gradient": lambda study, id, odd: study.tell(id, 1.0, odd),
    "tell outputs": lambda study, id, odd: study.tell(id, 1.0, [1.0, 1.0], outputs=odd),
    "tell_failure": lambda study, id, odd: study.tell_failure(odd),
    "tell_arrays ids": lambda study, id, odd: study.tell_arrays(odd, [1.0], [[1.0, 1.0]]),
    "tell_arrays values": lambda study, id, odd: study.tell_arrays([id], odd, [[1.0, 1.0]]),
    "tell_arrays gradients": lambda study, id, odd: study.tell_arrays([id], [1.0], odd),
    "ask": lambda study, id, odd: study.ask(odd),
    "ask_arrays": lambda study, id, odd: study.ask_arrays(odd),
    "add_point": lambda study, id, odd: study.add_point(odd, 1.0, [1.0, 1.0]),
    "add_point value": lambda study, id, odd: study.add_point([0.0, 0.5], odd, [1.0, 1.0]),
    "run": lambda study, id, odd: study.run(odd, max_evaluations=0),
    "run max_evaluations": lambda study, id, odd: study.run(
        lambda a, b: (1.0, [0.0, 0.0]), max_evaluations=odd
    ),
    "load_study": lambda study, id, odd: optdriver.load_study(odd),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_study_answers_odd_calls(call):
    for odd in ODD.values():
        study = optdriver.create_study(BOX, jac=True, max_iter=5)
        suggestion = study.ask()
        with suppress(OptDriverError):
            CALLS[call](study, suggestion.id, odd)
