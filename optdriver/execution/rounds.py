"""The loop for an objective that evaluates many points at once: a round of them, then the next."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from optdriver.errors import EvaluationError, InputError, InputTypeError, unknown_option
from optdriver.execution import log
from optdriver.execution.calling import Mistakes, Outcome, all_taken, chosen, describe, output_names
from optdriver.execution.interrupt import Interrupts
from optdriver.execution.progress import Show

if TYPE_CHECKING:
    from optdriver.study import Study

Matrix = NDArray[np.float64]
Vectorized = Callable[[Matrix], Any]
Result = tuple[Any, Any, Any, Any]
"""Values, gradients, uncertainties and outputs of a round, or None."""


def prepare(study: Study, objective: Vectorized | None) -> Vectorized:
    """Return the objective, checked before anything is run.

    Raises
    ------
    InputError
        If there is none, or if it does not take one argument.
    """
    objective = chosen(study, objective)
    try:
        inspect.signature(objective).bind(None)
    except ValueError:
        return objective  # a builtin that does not tell: the first call will show
    except TypeError as error:
        raise InputError(
            f"with vectorized=True the objective is called with one argument, the points as an "
            f"array of shape (k, {study.space.size}): {error}"
        ) from None
    return objective


def _named(found: Mapping[Any, Any], outputs: tuple[str, ...]) -> Result:
    """Return values, gradients, uncertainties and outputs of what an objective returned by name.

    With `outputs`, their names, these stand beside them or all under ``outputs``.
    """
    known = ("value", "gradient", "uncertainty", *(("outputs", *outputs) if outputs else ()))
    for name in found:
        if name not in known:
            raise unknown_option("part of what the objective returned:", str(name), known)
    if "value" not in found:
        raise InputTypeError("the vectorized objective returned a dict without 'value'")
    put = None
    if outputs:
        put = {name: found[name] for name in outputs if name in found}
        for name, given in dict(found.get("outputs", {})).items():
            if name in put:
                raise InputError(f"the objective returned the output {name!r} twice")
            put[name] = given
    return found["value"], found.get("gradient"), found.get("uncertainty"), put


class Rounds:
    """One call of `run` with ``vectorized=True``."""

    def __init__(self, study: Study, call: Vectorized, limit: float, show: Show) -> None:
        self.study, self.call, self.show = study, call, show
        self.outputs = output_names(study)
        self.remaining = limit
        self.error: Exception | None = None
        self.mistakes = Mistakes()
        self.calling = False
        self.interrupts = Interrupts(wake=lambda: None, may_raise=lambda: self.calling)

    def run(self) -> None:
        """Ask, evaluate and tell until there is nothing more."""
        with self.interrupts.caught():
            while self.error is None and self.remaining >= 1:
                if self.interrupts.count:
                    self.study.stop("interrupted by Ctrl-C; run() goes on", kind="interrupt")
                wanted = None if self.remaining == math.inf else int(self.remaining)
                ids, x = self.study.ask_arrays(wanted)
                if not len(ids):
                    self.error = None if self.study.is_done() else all_taken(self.study)
                    return
                self.remaining -= len(ids)
                self._round(ids.tolist(), x)
                self.show()

    def _round(self, ids: list[int], x: Matrix) -> None:
        """Evaluate points, and tell what was observed."""
        try:
            self._evaluate(ids, x)
        except InputError as mistake:  # of whoever wrote the objective: tell them, keep the points
            self._give_back(ids)
            self.error = mistake
        except BaseException:
            self._give_back(ids)
            raise

    def _evaluate(self, ids: list[int], x: Matrix) -> None:
        try:
            values, gradients, spreads, put = self._called(x)
        except InputError:
            raise
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it is, it is recorded
            self._failed(ids, x, error)
            return
        self.study.tell_arrays(ids, values, gradients, outputs=put, uncertainty=spreads)
        for id, value in zip(ids, np.ravel(values).tolist(), strict=True):
            log.value(self.study, id, value)

    def _called(self, x: Matrix) -> Result:
        """Return what the objective says of the points."""
        self.calling = True
        try:
            found = self.call(x)
        finally:
            self.calling = False
        if isinstance(found, tuple):
            if len(found) != 2:
                raise InputTypeError(
                    "a vectorized objective returns the values, an array of shape (k,), or a pair "
                    f"(values, gradients); it returned {len(found)} things"
                )
            return *found, None, None
        if isinstance(found, Mapping):
            return _named(found, self.outputs)
        return found, None, None, None

    def _failed(self, ids: list[int], x: Matrix, error: BaseException) -> None:
        """Book an exception; of several points each is evaluated by itself, to see which it is."""
        if len(ids) == 1:
            reason = str(error) if isinstance(error, EvaluationError) else describe(error)
            self.study.tell_failure(ids[0], reason)
            log.failure(ids[0], reason)
            outcome = Outcome(failure=reason, error=error)
            self.error = self.error or self.mistakes.found(self.study, outcome)
            return
        for k, id in enumerate(ids):
            self._evaluate([id], x[k : k + 1])

    def _give_back(self, ids: list[int]) -> None:
        opened = {suggestion.id for suggestion in self.study.open_suggestions}
        for id in ids:
            if id in opened:
                self.study.release(id, spent=True)
