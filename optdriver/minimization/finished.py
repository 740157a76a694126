"""Runs that were not driven here, in the words of those that were.

`Population` is one run of CMA-ES or of an optimizer of Nevergrad's.  `Found` is the end of a run
on the device.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult

from optdriver.constraints import ConstraintSet
from optdriver.population import PopulationDriver

Vector = NDArray[np.float64]
Best = tuple[Vector, float, Vector | None]

HALTED = 99


class Population:
    """A run of a population driver, as a minimizer that needs no gradients."""

    def __init__(
        self,
        engine: str,
        start: Vector,
        bounds: Vector,
        seed: int,
        options: Mapping[str, Any],
        constraints: ConstraintSet | None = None,
    ) -> None:
        self._driver = PopulationDriver(
            bounds,
            engine=engine,
            seed=seed,
            initial_samples=[start],
            max_num_minimizers=1,
            method_options=dict(options),
            constraints=constraints,
        )
        self._start = start
        self._halted = False

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return self._driver.done

    @property
    def nit(self) -> int:
        """How many points were told; populations have no iterations that could be seen."""
        return self._driver.nfev

    @property
    def best(self) -> Best | None:
        """Its best evaluated point."""
        best = self._driver.best
        return None if best is None else (best.x.copy(), best.f, None)

    @property
    def result(self) -> OptimizeResult:
        """Its result so far."""
        converged = any(run.state == "converged" for run in self._driver.runs)
        reasons = [run.reason for run in self._driver.runs if run.reason]
        message = self._driver.stop_reason if self._halted else (reasons or ["running"])[-1]
        status = HALTED if self._halted else 0 if converged else 1
        return _result(self.best, self._start, converged, status, str(message), self.nit)

    def ask(self) -> Vector:
        """Return the point to evaluate, the same until it is told."""
        pending = self._driver.pending or self._driver.ask(1)
        return pending[0].x.copy()

    def tell(self, f: float, g: Any = None) -> None:  # noqa: ARG002 (gradients are not needed)
        """Take the value."""
        self._driver.tell(self._driver.pending[0].id, f)

    def tell_failure(self, reason: str = "") -> None:
        """Take the news that the evaluation failed."""
        self._driver.tell_failure(self._driver.pending[0].id, reason)

    def halt(self, reason: str = "") -> None:
        """Stop from outside."""
        self._halted = True
        self._driver.finish(reason)


class Found:
    """The end of a run that is over."""

    done = True

    def __init__(
        self, best: Best | None, start: Vector, success: bool, status: int, message: str, nit: int
    ) -> None:
        self.best, self.nit = best, nit
        self.result = _result(best, start, success, status, message, nit)

    def ask(self) -> Vector:
        """Return where it ended."""
        return np.asarray(self.result["x"])

    def tell(self, f: float, g: Any) -> None:
        """Take nothing: the run is over."""

    def tell_failure(self, reason: str = "") -> None:
        """Take nothing: the run is over."""

    def halt(self, reason: str = "") -> None:
        """Do nothing: the run is over."""


def _result(
    best: Best | None, start: Vector, success: bool, status: int, message: str, nit: int
) -> OptimizeResult:
    x, f, _ = best or (start, math.nan, None)
    made: OptimizeResult = OptimizeResult()
    made.update(x=x, fun=f, success=success, status=status, message=message, nit=nit)
    return made
