"""The ways in which the minimizers of all starts are driven.

``'serial'``: in turn, one evaluation each.  Anything can be driven so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from optdriver.errors import unknown_option
from optdriver.minimization.lanes import Lane
from optdriver.minimization.problem import Problem
from optdriver.minimization.watching import Watch
from optdriver.objectives.plain import attempt


def serial(problem: Problem, lanes: Sequence[Lane], watch: Watch) -> None:
    """Drive every lane to its end, an evaluation of each in turn."""
    live = [lane for lane in lanes if not lane.minimizer.done]
    while live:
        for lane in live:
            step(problem, lane)
            watch.look(lane)
        live = [lane for lane in live if not lane.minimizer.done]


def step(problem: Problem, lane: Lane) -> None:
    """Evaluate what a lane asks for, and tell it."""
    z = lane.minimizer.ask()
    before = problem.objective.calls
    made, reason = attempt(lambda: problem.value_and_grad(z))
    lane.nfev, lane.njev = lane.nfev + problem.objective.calls - before, lane.njev + 1
    if not reason:
        f, g = made
        if np.isfinite(f) and np.all(np.isfinite(g)):
            lane.minimizer.tell(f, g)
            return
        reason = f"the {'gradient' if np.isfinite(f) else 'loss'} is not finite"
    lane.failed(reason)


ENGINES = {"serial": serial}


def known(engine: Any) -> str | None:
    """Check the name of an engine; None leaves the choice open."""
    if engine is not None and engine not in ENGINES:
        raise unknown_option("engine", str(engine), ENGINES)
    return None if engine is None else str(engine)


def choose(engine: str | None, problem: Problem) -> str:
    """Return the engine to use."""
    del problem
    return engine or "serial"


def run(engine: str, problem: Problem, lanes: Sequence[Lane], watch: Watch) -> None:
    """Drive every lane to its end."""
    ENGINES[engine](problem, lanes, watch)
