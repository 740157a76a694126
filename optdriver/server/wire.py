"""The messages by which a study is driven from outside Python, apart from what carries them.

A request is a name and parameters by name, an answer is a dictionary.  Both are JSON: floats as
the shortest decimals that give the same bits again, numbers that are not finite as the texts
``"nan"``, ``"inf"`` and ``"-inf"``.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from optdriver.errors import InputError, InputTypeError, unknown_option
from optdriver.study import Study

VERSION: Final = 1
"""Of the messages; `hello` tells it."""

_NOT_FINITE: Final = {"nan": math.nan, "inf": math.inf, "+inf": math.inf, "-inf": -math.inf}


def plain(value: Any) -> Any:
    """Return a value as JSON knows it."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def number(value: Any) -> Any:
    """Return a number that came as JSON; texts stand for those that are not finite."""
    if isinstance(value, str):
        found = _NOT_FINITE.get(value.strip().lower())
        if found is None:
            raise InputTypeError(f"{value[:60]!r} is no number; texts are 'nan', 'inf' and '-inf'")
        return found
    return value


class Wire:
    """Answers requests with what a study says.

    Parameters
    ----------
    study : Study
        Every request is one of its public methods.
    """

    def __init__(self, study: Study) -> None:
        self.study = study
        self.requests: dict[str, Callable[..., dict[str, Any]]] = {
            name: getattr(self, f"_{name}") for name in REQUESTS
        }

    def answer(self, name: Any, params: Any) -> dict[str, Any]:
        """Answer one request.

        Raises
        ------
        OptDriverError
            If there is no such request, its parameters do not fit, or the study refuses it.
        """
        if not isinstance(name, str) or name not in self.requests:
            raise unknown_option("request", str(name)[:60], self.requests)
        if not isinstance(params, Mapping):
            raise InputTypeError("parameters of a request are given by name, as an object")
        request = self.requests[name]
        wanted = inspect.signature(request).parameters
        for key in params:
            if key not in wanted:
                raise unknown_option(f"parameter of {name!r}", str(key)[:60], wanted)
        for key, parameter in wanted.items():
            if parameter.default is parameter.empty and key not in params:
                raise InputError(f"request {name!r} needs {key!r}")
        return dict(plain(request(**params)))

    # -- asking and telling ---------------------------------------------------------------

    def _hello(self) -> dict[str, Any]:
        space = self.study.space
        return {
            "version": VERSION,
            "name": self.study.name,
            "parameters": list(space.free),
            "fixed": dict(space.fixed),
            "lower": space.lower,
            "upper": space.upper,
            "jac": self.study.parameters["jac"],
        }

    def _ask(self, n: int = 1, again: bool = False) -> dict[str, Any]:
        if again:
            self.study.release()
        if n is None:
            raise InputTypeError("'n' is the number of suggestions wanted, not null")
        found = self.study.ask(n)
        answer: dict[str, Any] = {"suggestions": [self._suggestion(each) for each in found]}
        if not found:
            done = self.study.is_done()
            answer |= {"done": done, "reason": self._why_nothing(done)}
        return answer

    @staticmethod
    def _suggestion(each: Any) -> dict[str, Any]:
        return {"id": each.id, "params": each.params, "vector": each.x, "kind": each.kind}

    def _why_nothing(self, done: bool) -> str:
        if done:
            return self.study.stop_reason or "max_iter evaluations have ended or are open"
        ids = [each.id for each in self.study.open_suggestions]
        return f"nothing now: tell what is open first (ids {ids[:9]})"

    def _tell(self, id: int, value: Any, gradient: Any = None) -> dict[str, Any]:
        if isinstance(gradient, Mapping):
            gradient = {key: number(item) for key, item in gradient.items()}
        elif isinstance(gradient, list):
            gradient = [number(item) for item in gradient]
        self.study.tell(id, number(value), gradient)
        return self._state()

    def _fail(self, id: int, reason: str = "") -> dict[str, Any]:
        self.study.tell_failure(id, str(reason))
        return self._state()

    def _state(self) -> dict[str, Any]:
        best = self.study.best
        return {
            "evaluations": self.study.num_evaluations,
            "best": None if best is None else best.value,
            "done": self.study.is_done(),
        }

    # -- looking --------------------------------------------------------------------------

    def _info(self) -> dict[str, Any]:
        return self.study.info()

    def _best(self) -> dict[str, Any]:
        best = self.study.best
        if best is None:
            return {"best": None}
        shown = {"value": best.value, "params": best.params, "vector": best.x, "id": best.id}
        return {"best": shown | {"gradient": best.gradient}}

    def _minima(self) -> dict[str, Any]:
        rows = [
            {"value": row.value, "params": row.params, "times_found": row.times_found}
            for row in self.study.minima
        ]
        return {"minima": rows}

    def _runs(self) -> dict[str, Any]:
        names = ("index", "state", "reason", "evaluations", "failures", "value", "params", "start")
        return {"runs": [{name: getattr(row, name) for name in names} for row in self.study.runs]}

    def _history(self, start: int = 0) -> dict[str, Any]:
        if isinstance(start, bool) or not isinstance(start, int) or start < 0:
            raise InputTypeError(f"'start' is the number of a row, 0 or more, not {start!r}")
        return {"history": {name: column[start:] for name, column in self.study.history.items()}}

    # -- steering -------------------------------------------------------------------------

    def _stop(self, reason: str = "stopped from outside") -> dict[str, Any]:
        self.study.stop(str(reason))
        return self._state()

    def _resume(self) -> dict[str, Any]:
        self.study.resume()
        return self._state()

    def _extend(self, limits: Any) -> dict[str, Any]:
        if not isinstance(limits, Mapping):
            raise InputTypeError("'limits' is an object, as {\"max_iter\": 500}")
        self.study.set_parameters(**{str(key): _limit(item) for key, item in limits.items()})
        return self._state()


def _limit(value: Any) -> Any:
    return _NOT_FINITE.get(value, value) if isinstance(value, str) else value


REQUESTS: Final = (
    "hello", "ask", "tell", "fail", "info", "best", "minima", "runs", "history", "stop", "resume",
    "extend",
)  # fmt: skip
"""What can be requested."""
