"""A value told, and a point asked, take few calls: what grows here is paid at every evaluation."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest

import optdriver
from optdriver.lbfgsb import compiled

PACKAGE = Path(optdriver.__file__).parent
BOX = {"x": (-2.0, 2.0), "y": (-2.0, 2.0), "z": (-2.0, 2.0)}
IN_A_COMPREHENSION = {"<listcomp>", "<dictcomp>", "<setcomp>", "<genexpr>"}
"""Frames of their own before Python 3.12, or as often as there are parameters."""
COMPILED = {str(page.with_suffix(".py")) for page in PACKAGE.rglob("*.pxd")}
"""Pages whose calls nobody sees where there is a compiler, and which do not count without one."""
MORE = 0 if compiled() else 5
"""Calls of the pages round an interpreted kernel, whose vectors are looked up anew."""


def passed(call: Callable[..., Any], *given: Any) -> tuple[int, int]:
    """Return how many functions of the package are called, and in how many files."""
    found: list[str] = []

    def look(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        own = code.co_name not in IN_A_COMPREHENSION and code.co_filename not in COMPILED
        if event == "call" and own and Path(code.co_filename).is_relative_to(PACKAGE):
            found.append(code.co_filename)

    before = sys.getprofile()
    sys.setprofile(look)
    try:
        call(*given)
    finally:
        sys.setprofile(before)
    return len(found), len(set(found))


def rosenbrock(x: Any) -> tuple[float, Any]:
    d = x[1:] - x[:-1] ** 2
    gradient = np.zeros(x.size)
    gradient[:-1] -= 400.0 * x[:-1] * d + 2.0 * (1.0 - x[:-1])
    gradient[1:] += 200.0 * d
    return float(np.sum(100.0 * d**2 + (1.0 - x[:-1]) ** 2)), gradient


@pytest.mark.parametrize(
    ("constraints", "asked", "told"),
    [
        (None, (56, 23), (60, 28)),
        (["x + y + z <= 2"], (60, 24), (197, 44)),
    ],
)
def test_an_evaluation_takes_few_calls(constraints, asked, told):
    given = {} if constraints is None else {"constraints": constraints}
    study = optdriver.create_study(BOX, jac=True, **given)
    asks, tells = [], []
    for _ in range(12):
        found: list[Any] = []
        asks.append(passed(lambda into=found: into.append(study.ask())))
        id, (value, gradient) = found[0].id, rosenbrock(found[0].x)
        tells.append(passed(study.tell, id, value, gradient))
    assert len(study.runs) == 1  # none has begun or ended but the first
    for counts, most in [(asks, asked), (tells, told)]:
        calls, files = zip(*counts[2:], strict=True)  # the first ones begin the run
        assert max(calls) <= most[0] + MORE
        assert max(files) <= most[1]
