"""The messages by which a study is driven from outside Python, apart from what carries them.

A request is a name and parameters by name, an answer is a dictionary.  Both are JSON: floats as
the shortest decimals that give the same bits again, numbers that are not finite as the texts
``"nan"``, ``"inf"`` and ``"-inf"``.
"""

from __future__ import annotations

import inspect
import json
import math
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from functools import cache
from typing import Any, Final

from optdriver.drivers import driver_factory
from optdriver.errors import InputError, InputTypeError, unknown_option
from optdriver.messages import VERSION, encoded, number, numbers, plain
from optdriver.reading import real_number
from optdriver.server import overview
from optdriver.server.leases import Leases, seconds
from optdriver.space.description import rebuilt_unit
from optdriver.storage import codec
from optdriver.study import Study
from optdriver.study.waiting import check_number_wanted

_TICKETS: Final = 4096
"""Of the last so many requests with a ticket it is known how they were answered."""

_LETTERS: Final = 80
"""Most of a ticket; a longer one is none."""

_UNIT_EXAMPLE: Final = '{"library": "saiunit", "unit": "mV"}'


class Wire:
    """Answers requests with what a study says.

    Parameters
    ----------
    study : Study
        Every request is one of its public methods.
    leases : Leases, optional
        Of the suggestions that are out; without it they last for ever.
    """

    def __init__(self, study: Study, leases: Leases | None = None) -> None:
        self.study = study
        self.leases = Leases(study, patience=math.inf) if leases is None else leases
        self.tickets: OrderedDict[tuple[Any, ...], Any] = OrderedDict()
        self.requests: dict[str, Callable[..., dict[str, Any]]] = {
            name: getattr(self, f"_{name}") for name in REQUESTS
        }

    def answer(self, name: Any, params: Any) -> dict[str, Any]:
        """Answer one request, by what JSON knows.

        Raises
        ------
        OptDriverError
            If there is no such request, its parameters do not fit, or the study refuses it.
        """
        return dict(plain(self.found(name, params)))

    def found(self, name: Any, params: Any, carried: Iterable[str] = ()) -> dict[str, Any]:
        """Return the same with values as the study has them; `encoded` makes JSON of them.

        `carried` are parameters that the carrier takes for itself, named where one is unknown.
        """
        if not isinstance(name, str) or name not in self.requests:
            raise unknown_option("request", str(name)[:60], self.requests)
        if not isinstance(params, Mapping):
            raise InputTypeError("parameters of a request are given by name, as an object")
        wanted, needed = parameters(name)
        for key in params:
            if key not in wanted:
                raise unknown_option(f"parameter of {name!r}", str(key)[:60], (*wanted, *carried))
        for key in needed:
            if key not in params:
                raise InputError(f"request {name!r} needs {key!r}")
        return self.requests[name](**params)

    # -- asking and telling ---------------------------------------------------------------

    def _hello(self) -> dict[str, Any]:
        """Return what the study is, and of which version the messages are."""
        space = self.study.space
        structured, limits = space.structure is not None, self.study.spec.limits
        return {
            "version": VERSION,
            "name": self.study.name,
            "parameters": list(space.free),
            "fixed": dict(space.fixed),
            "lower": space.lower,
            "upper": space.upper,
            "jac": self.study.parameters["jac"],
            "fits": driver_factory(self.study.spec.driver).fits,
            "outputs": [] if limits is None else list(limits.names),
            "tickets": [name for name in REQUESTS if "ticket" in parameters(name)[0]],
            "space": json.loads(codec.to_json(space.to_dict())) if structured else None,
            "value_unit": self.study.parameters.get("value_unit"),
        }

    def _ask(
        self,
        n: int = 1,
        again: bool = False,
        lease: float | None = None,
        worker: str = "",
        ticket: str | None = None,
    ) -> dict[str, Any]:
        """Return up to `n` suggestions; where there are none, why, and whether the study is done.

        A `lease` is the seconds after which a suggestion is given to somebody else if there is no
        heartbeat; `again` gives back what was asked before this process, a repeated `ticket`
        returns what it returned before.
        """
        if n is None:
            raise InputTypeError("'n' is the number of suggestions wanted, not null")
        lasts = _lasts(lease)
        self.leases.expire()
        if again:
            self.study.release()
        found = self._same(ticket)
        if not found:
            found = self.study.ask(n)
            if found:
                self._note(("ask", ticket), [each.id for each in found])
        granted = [self.leases.grant(each.id, lasts, str(worker)[:80]) for each in found]
        answer: dict[str, Any] = {
            "suggestions": [
                self._suggestion(each) | {"lease": lease}
                for each, lease in zip(found, granted, strict=True)
            ]
        }
        if not found:
            done = self.study.is_done()
            answer |= {"done": done, "reason": self._why_nothing(done, n)}
        return answer

    def _same(self, ticket: Any) -> list[Any]:
        """Return what is still open of that which a ticket got before."""
        ids = self.tickets.get(("ask", ticket), ()) if isinstance(ticket, str) else ()
        return [each for each in self.study.open_suggestions if each.id in ids] if ids else []

    def _once(self, ticket: Any, what: tuple[Any, ...], act: Callable[[], Any]) -> Any:
        """Do what comes with a ticket, unless it was done; return what came of it then."""
        key = (*what, ticket)
        if isinstance(ticket, str) and key in self.tickets:
            return self.tickets[key]
        found = act()
        self._note(key, found)
        return found

    def _note(self, key: tuple[Any, ...], found: Any) -> None:
        """Note how a request with a ticket, the last of its key, was answered."""
        if isinstance(key[-1], str) and len(key[-1]) <= _LETTERS:
            self.tickets[key] = found
            while len(self.tickets) > _TICKETS:
                self.tickets.popitem(last=False)

    @staticmethod
    def _suggestion(each: Any) -> dict[str, Any]:
        return {
            "id": each.id,
            "params": each.params,
            "vector": each.x,
            "kind": each.kind,
            "run": each.run,
        }

    def _why_nothing(self, done: bool, wanted: int) -> str:
        if done:
            return self.study.stop_reason or "max_iter evaluations have ended or are open"
        if not wanted:
            return "no suggestion was asked for: 'n' is 0"
        ids = [each.id for each in self.study.open_suggestions]
        held = self.leases.holders(ids)
        return f"nothing now: tell what is open first (ids {ids[:9]}{held and '; held by '}{held})"

    def _tell(
        self,
        id: int,
        value: Any,
        gradient: Any = None,
        unit: Any = None,
        outputs: Any = None,
        uncertainty: Any = None,
        ask: int = 0,
        lease: float | None = None,
        worker: str = "",
        ticket: str | None = None,
    ) -> dict[str, Any]:
        """Report a value, and the gradient by name or in the order of `hello`.

        The `unit` is that of the value, as `hello` describes the study's; without it the value is a
        number in that one.  Where `hello` says that it `fits`, the value is the list of residuals,
        and the gradient their Jacobian: a list for each residual, or one for each name.  The
        `outputs` that `hello` names are told by these: each a number, or an object of ``value`` and
        ``gradient``.  The `uncertainty` is the standard deviation of the value, in its unit; in a
        fit one number, or a list of one for each residual.

        With `ask` the answer has what an ``ask`` of so many gets, too.
        """
        _check_asking(ask, lease)
        value, gradient, spread = _value(value), _numbers(gradient), numbers(uncertainty)
        if unit is not None:
            spread = None if spread is None else self._quantity(spread, gradient, unit)
            value = self._quantity(value, gradient, unit)
        self.study.tell(id, value, gradient, outputs=numbers(outputs), uncertainty=spread)
        self.leases.drop(id)
        return self._state() | self._more(ask, lease, worker, ticket)

    def _more(self, ask: int, lease: Any, worker: str, ticket: Any) -> dict[str, Any]:
        """Return what is asked for by the request that told something."""
        return self._ask(ask, lease=lease, worker=worker, ticket=ticket) if ask else {}

    def _quantity(self, value: Any, gradient: Any, given: Any) -> Any:
        """Return a value with its unit; derivatives are in the unit of the study's values."""
        if self.study.space.structure is None:
            raise InputError("the parameters of this study have no units, and so its values")
        known: Any = self.study.parameters["value_unit"]
        if gradient is not None and known not in (None, given):
            raise InputError(f"values are in {known['unit']} by now, and their derivatives too")
        library, text = (
            (given.get("library"), given.get("unit"))
            if isinstance(given, Mapping)
            else (None, None)
        )
        if not isinstance(library, str) or not isinstance(text, str):
            raise InputTypeError(f"'unit' is as {_UNIT_EXAMPLE}, not {str(given)[:60]!r}")
        unit = rebuilt_unit(library, text[:200])
        if unit is None:
            raise InputError(f"the server knows no unit {text[:60]!r} of {library[:20]!r}")
        return unit.attach(real_number("the value", value))

    def _fail(
        self,
        id: int,
        reason: str = "",
        worker_died: bool = False,
        ask: int = 0,
        lease: float | None = None,
        worker: str = "",
        ticket: str | None = None,
    ) -> dict[str, Any]:
        """Report that an evaluation failed; a `worker_died` says that the point is not to blame.

        With `ask` as for ``tell``.  A repeated `ticket` counts once.
        """
        _check_asking(ask, lease)
        self._once(ticket, ("fail", repr(id)[:60]), lambda: self._failed(id, reason, worker_died))
        return self._state() | self._more(ask, lease, worker, ticket)

    def _failed(self, id: int, reason: str, worker_died: bool) -> None:
        self.study.tell_failure(id, str(reason), worker_died=bool(worker_died))
        self.leases.drop(id)

    def _heartbeat(self, ids: Any) -> dict[str, Any]:
        """Prolong leases; answers which of the suggestions still want a result."""
        if not isinstance(ids, list):
            raise InputTypeError(f"'ids' is a list of ids, not {str(ids)[:60]!r}")
        self.leases.expire()
        return {"wanted": [id for id in ids if isinstance(id, int) and self.leases.prolong(id)]}

    def _release(self, id: int, spent: bool = False, ticket: str | None = None) -> dict[str, Any]:
        """Give a suggestion back, for others to evaluate; `spent` if the evaluation had begun.

        A repeated `ticket` counts once.
        """
        self._once(ticket, ("release", repr(id)[:60]), lambda: self._released(id, spent))
        return self._state()

    def _released(self, id: int, spent: bool) -> None:
        self.study.release(id, spent=bool(spent))
        self.leases.drop(id)

    def _add(
        self,
        point: Any,
        value: Any,
        gradient: Any = None,
        outputs: Any = None,
        uncertainty: Any = None,
        ticket: str | None = None,
    ) -> dict[str, Any]:
        """Add an evaluation that was not asked for; answers its id.

        A repeated `ticket` counts once.
        """

        def added() -> int:
            put, spread = numbers(outputs), numbers(uncertainty)
            return self.study.add_point(
                point, _value(value), _numbers(gradient), outputs=put, uncertainty=spread
            )

        id = self._once(ticket, ("add", encoded([point, value])), added)
        return {"id": id} | self._state()

    def _state(self) -> dict[str, Any]:
        return {
            "evaluations": self.study.num_evaluations,
            "best": self.study.best_value,
            "done": self.study.is_done(),
        }

    # -- looking --------------------------------------------------------------------------

    def _info(self) -> dict[str, Any]:
        """Return the summary: state, counts, best point, why it stopped."""
        info = self.study.info()
        return info | self._places(params=info["min_params"])

    def _describe(self) -> dict[str, Any]:
        """Return the domain, the constraints, and all driver parameters with their meaning."""
        return self.study.describe()

    def _best(self) -> dict[str, Any]:
        """Return the best observed point."""
        best = self.study.best
        return {"best": None if best is None else self._record(best)}

    def _minima(self) -> dict[str, Any]:
        """Return the distinct local minima, lowest first."""
        return {"minima": [self._record(row) for row in self.study.minima]}

    def _runs(self) -> dict[str, Any]:
        """Return the minimizers, and what became of each."""
        return {"runs": [self._record(row) for row in self.study.runs]}

    def _record(self, row: Any) -> dict[str, Any]:
        """Return the fields of a record; the point is called `vector`, as everywhere."""
        found = {field.name: getattr(row, field.name) for field in fields(row)}
        if "x" in found:
            found["vector"] = found.pop("x")
        given = {name: found[name] for name in ("params", "start", "starts") if name in found}
        return found | self._places(**given)

    def _places(self, **given: Any) -> dict[str, Any]:
        """Return the vectors of parameters that have a structure, from which it can be made."""
        space = self.study.space
        if space.structure is None:
            return {}
        vectors: dict[str, Any] = {}
        for name, params in given.items():
            if isinstance(params, tuple) and name == "starts":
                vectors[name] = [space.vector(each) for each in params]
            elif params is not None:
                vectors[name] = space.vector(params)
        return {"vectors": vectors}

    def _history(self, start: int = 0, gradient: bool = False) -> dict[str, Any]:
        """Every evaluation that has ended, as columns, from row `start` on."""
        if isinstance(start, bool) or not isinstance(start, int) or start < 0:
            raise InputTypeError(f"'start' is the number of a row, 0 or more, not {start!r}")
        table = self.study.history
        answer: dict[str, Any] = {
            "history": {name: column[start:] for name, column in table.items()}
        }
        if gradient:
            answer["gradient"] = None if table.gradient is None else table.gradient[start:]
            answer["counted"] = table.counted[start:]
        return answer

    def _open(self) -> dict[str, Any]:
        """Return the suggestions that are out: who has them, how long, and how much longer."""
        return {"open": overview.opened(self.study, self.leases)}

    def _overview(self) -> dict[str, Any]:
        """Return what the page shows, the history thinned out."""
        return overview.overview(self.study, self.leases)

    # -- steering -------------------------------------------------------------------------

    def _stop(self, reason: str = "stopped from outside") -> dict[str, Any]:
        """Stop asking; what is open can still be told."""
        self.study.stop(str(reason))
        return self._state()

    def _resume(self) -> dict[str, Any]:
        """Go on after a stop."""
        self.study.resume()
        return self._state()

    def _reevaluate(self) -> dict[str, Any]:
        """Begin anew, for an objective that was changed; what was observed is kept as history."""
        self.study.reevaluate()
        self.leases.keep(())
        self.tickets.clear()
        return self._state()

    def _extend(self, limits: Any) -> dict[str, Any]:
        """Change limits, as {"max_iter": 500}."""
        if not isinstance(limits, Mapping):
            raise InputTypeError("'limits' is an object, as {\"max_iter\": 500}")
        self.study.set_parameters(**{str(key): numbers(item) for key, item in limits.items()})
        return self._state()


@cache
def parameters(request: str) -> tuple[dict[str, None], tuple[str, ...]]:
    """Return the names of the parameters of a request, and of those that must be given."""
    found = list(inspect.signature(getattr(Wire, f"_{request}")).parameters.values())[1:]
    needed = tuple(each.name for each in found if each.default is each.empty)
    return dict.fromkeys(each.name for each in found), needed


def _lasts(lease: Any) -> float | None:
    return None if lease is None else seconds("lease", number(lease))


def _check_asking(ask: Any, lease: Any) -> None:
    """Refuse what could not be asked for, before anything is told."""
    if ask:
        check_number_wanted(ask)
        _lasts(lease)


def _value(given: Any) -> Any:
    """Return a value, or residuals, as they came."""
    return numbers(given) if isinstance(given, list) else number(given)


def _numbers(gradient: Any) -> Any:
    if isinstance(gradient, Mapping):
        return {key: _value(item) for key, item in gradient.items()}
    return [_value(item) for item in gradient] if isinstance(gradient, list) else gradient


READING: Final = (
    "hello", "info", "describe", "best", "minima", "runs", "history", "open", "overview",
)  # fmt: skip
"""Requests that change nothing."""

REQUESTS: Final = (
    *READING, "ask", "tell", "fail", "heartbeat", "release", "add", "stop", "resume", "extend",
    "reevaluate",
)  # fmt: skip
"""What can be requested."""

ASKING: Final = ("ask", "tell", "fail")
"""Requests that may be answered with suggestions: those that tell may ask as well."""
