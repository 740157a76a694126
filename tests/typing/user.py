"""A user's script, never run: `mypy --strict` of the project must have nothing to say about it."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize, rosen, rosen_der

import optdriver
from optdriver import LBFGSB, MultiStart, Observation, Study, Suggestion


def loop() -> float:
    """Drive the minimizer."""
    opt = LBFGSB([1.0, 2.0], bounds=[(0, 1), (None, 2)], maxcor=5)
    while not opt.done:
        x = opt.ask()
        opt.tell(float(x @ x), 2 * x)
    return float(LBFGSB.from_dict(opt.to_dict()).result.fun)


def drop_in() -> float:
    """Call SciPy."""
    bounds = [(-2.0, 2.0)] * 2
    method = optdriver.scipy_method
    return minimize(rosen, [-1.2, 1.0], jac=rosen_der, bounds=bounds, method=method).fun


def many() -> int:
    """Drive many minimizers."""
    ms = MultiStart([(0, 1)], num_initial=2, max_num_minimizers=3, seed=1)
    for point in ms.ask(2):
        ms.tell(point.id, 1.0, np.ones(1))
    return len(ms.minima)


def study() -> float | None:
    """Ask and tell by name, in both dialects."""
    study: Study = optdriver.create_study({"x": (0, 1)}, jac=True, max_iter=3)
    suggestion: Suggestion | None = study.ask()
    if suggestion is not None:
        study.tell(suggestion.id, 1.0, [suggestion.params["x"]])
    several: list[Suggestion] = study.ask(3)
    observation: Observation = study.new_observation()
    observation.add(1.0)
    observation.add(derivative="x", value=2.0)
    study.add_observation(observation, several[0].id, sample={}, design_value=[])
    study.run(lambda x: (x**2, [2 * x]))
    return None if study.best is None else study.best.value
