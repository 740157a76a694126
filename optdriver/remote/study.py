"""A study that a server holds, with the methods of `Study`."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import fields
from typing import Any, Final, TypeVar, overload

import numpy as np

from optdriver.errors import InputError, InputTypeError, StorageWarning, StudyDoneError, say
from optdriver.execution.calling import prepare
from optdriver.messages import VERSION, numbers
from optdriver.reading import real_number
from optdriver.remote.connection import WAIT, Connection, Messages, whole
from optdriver.remote.terms import Terms
from optdriver.remote.worker import Heart, Patience, Worker
from optdriver.space.space import Space
from optdriver.study import Observation, Suggestion
from optdriver.study.inputs import one_of, place_of
from optdriver.study.reports import Best, History, LocalMinimum, RunRow
from optdriver.study.tables import Rows

LEASE: Final = 60.0
"""Seconds after which the server gives what a worker had to another one, if it is not heard of."""

_TEXTS: Final = (
    "name", "study_id", "driver", "direction", "status", "stop_kind", "stop_reason", "notes",
)  # fmt: skip
_NUMBERS: Final = ("value", "asked", "ended", "uncertainty")
Row = TypeVar("Row", Best, LocalMinimum, RunRow)


class RemoteStudy:
    """A study of a server.  Its methods are those of `Study`, from any thread.

    What a call finds may have changed by the next one: others ask and tell too.  `run` is a worker:
    as many as there are slots (`num_parallel`) can run at a time, on any machines.

    >>> import optdriver  # doctest: +SKIP
    >>> study = optdriver.client('http://host:8787', token='...').study('film')  # doctest: +SKIP
    >>> study.run(objective)  # doctest: +SKIP
    """

    def __init__(self, connection: Connection, name: str, space: Space | None = None) -> None:
        self._messages = Messages(connection, name)
        self._objective: Callable[..., Any] | None = None
        self.name = name
        hello = self._messages.get("hello")
        if hello["version"] != VERSION:
            raise InputError(
                f"the server at {connection.url} speaks version {hello['version']} of the "
                f"messages, this optdriver version {VERSION}: install the same optdriver on both"
            )
        self._messages.tickets = frozenset(hello.get("tickets", ())) & {"fail", "release", "add"}
        self._terms = Terms(self._messages, hello, space)
        self.space = self._terms.space
        if space is None and isinstance(self.space, Space) and self.space.plain:
            say(
                f"the parameters of {name} do not all come as they were given: "
                f"{'; '.join(self.space.plain)} (create_study with the same bounds gives them so)",
                StorageWarning,
            )

    # -- asking ---------------------------------------------------------------------------

    @overload
    def ask(
        self, n: None = None, *, wait: float = 0.0, lease: float | None = None
    ) -> Suggestion | None: ...
    @overload
    def ask(self, n: int, *, wait: float = 0.0, lease: float | None = None) -> list[Suggestion]: ...
    def ask(
        self, n: int | None = None, *, wait: float = 0.0, lease: float | None = None
    ) -> Suggestion | list[Suggestion] | None:
        """Return the next suggestion, or a list of up to `n` of them.

        Parameters
        ----------
        n : int, optional
            How many are wanted.
        wait : float
            Seconds, up to 60, that the server may wait for one.
        lease : float, optional
            Seconds after which another worker gets it, unless `heartbeat` is called before.
        """
        found = self._terms.suggestions(
            self._messages.post("ask", **self._messages.asking(1 if n is None else n, wait, lease))
        )
        return found if n is not None else found[0] if found else None

    def get_suggestion(self, block: bool = True, timeout: float | None = None) -> Suggestion | None:
        """Return the next suggestion; wait for it, since another worker can bring it about.

        Raises
        ------
        StudyDoneError
            If the study is done.
        """
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        patient = Patience()
        while True:
            left = min(WAIT, deadline - time.monotonic()) if block else 0.0
            answer = self._messages.post("ask", **self._messages.asking(1, max(left, 0.0), None))
            found = self._terms.suggestions(answer)
            if found:
                return found[0]
            if answer["done"]:
                raise StudyDoneError(f"no more suggestions: {answer['reason']}")
            if not block or time.monotonic() >= deadline:
                return None
            patient.say(answer["reason"])

    @property
    def open_suggestions(self) -> tuple[Suggestion, ...]:
        """The suggestions that are out, whoever has them."""
        return self._terms.opened(self._messages.get("open")["open"])

    def heartbeat(self, *ids: int) -> list[int]:
        """Prolong the leases of suggestions; return those that still want a result."""
        return list(self._messages.post("heartbeat", ids=list(ids))["wanted"])

    def release(self, id: int, *, spent: bool = False) -> None:
        """Give a suggestion back, for others to evaluate."""
        self._messages.post("release", id=id, spent=spent)

    # -- telling --------------------------------------------------------------------------

    def new_observation(self) -> Observation:
        """Return an empty observation, to be filled by ``observation.add(...)``."""
        return Observation()

    def tell(
        self,
        id: int,
        value: Any = None,
        gradient: Any = None,
        *,
        outputs: Any = None,
        residuals: Any = None,
        jacobian: Any = None,
        uncertainty: Any = None,
    ) -> None:
        """Report the result of a suggestion, as `Study.tell` does."""
        id = whole(id)
        given = (value, gradient, residuals, jacobian)
        value, gradient = one_of(*given, fits=self._terms.fits)
        number, more = self._terms.result(
            id, value, gradient, outputs=outputs, uncertainty=uncertainty
        )
        self._messages.told(id, number, **more)
        self._terms.told(id)

    def tell_failure(self, id: int, reason: str = "", *, worker_died: bool = False) -> None:
        """Report that the evaluation of a suggestion failed."""
        self._messages.post("fail", id=whole(id), reason=reason, worker_died=worker_died)

    def clear_suggestion(self, id: int, message: str = "") -> None:
        """Give a suggestion up: its evaluation counts as failed, for the reason `message`."""
        self.tell_failure(id, message or "cleared")

    def add_point(
        self,
        point: Any,
        value: Any,
        gradient: Any = None,
        *,
        outputs: Any = None,
        uncertainty: Any = None,
    ) -> int:
        """Add an evaluation that the study did not ask for; return its id."""
        number, more = self._terms.result(None, value, gradient, point, outputs, uncertainty)
        place = self._terms.place(point)
        return int(self._messages.post("add", point=place, value=number, **more)["id"])

    def add_observation(
        self,
        observation: Observation,
        suggestion_id: int | None = None,
        sample: Mapping[str, Any] | None = None,
        design_value: Sequence[Any] | None = None,
    ) -> None:
        """Report an observation, for a suggestion or for a point of one's own."""
        point = place_of(observation, suggestion_id, sample, design_value)
        if suggestion_id is None:
            self.add_point(point, observation)
        else:
            self.tell(suggestion_id, observation)

    # -- running --------------------------------------------------------------------------

    def set_objective(self, objective: Callable[..., Any]) -> None:
        """Set the objective that `run` evaluates; also there as `set_evaluator`."""
        if not callable(objective):
            raise InputTypeError(f"the objective must be callable, not {objective!r}")
        self._objective = objective

    set_evaluator = set_objective

    @property
    def objective(self) -> Callable[..., Any] | None:
        """The objective that was set, None if there is none."""
        return self._objective

    def run(
        self,
        objective: Callable[..., Any] | None = None,
        *,
        executor: Executor | None = None,
        slots: int = 1,
        max_evaluations: int | None = None,
        lease: float = LEASE,
    ) -> None:
        """Be a worker: evaluate what the server hands out, until the study is done.

        A Ctrl-C gives back what is being evaluated.  When this process dies, the server hands out
        what it had after `lease` seconds.

        Parameters
        ----------
        objective : callable, optional
            As for `Study.run`; otherwise the one of `set_objective`.
        executor : concurrent.futures.Executor, optional
            Where to evaluate; otherwise in threads, or in this one if there is one slot.
        slots : int
            How many evaluations at a time.
        max_evaluations : int, optional
            Return after so many.
        lease : float
            Seconds; while an evaluation goes on, the server hears of it three times in each lease.

        Raises
        ------
        InputError
            If the objective cannot be used, or returns what cannot be used.
        ServerError
            If the server does not answer any more.
        """
        lease = real_number("lease", lease)
        if isinstance(slots, bool) or not isinstance(slots, int) or slots < 1:
            raise InputTypeError(f"slots is a whole number, 1 or more, not {slots!r}")
        call = prepare(self, objective, executor)  # type: ignore[arg-type]  # what it needs is here
        worker = Worker(self._messages, self._terms, call, executor, lease, max_evaluations)
        with Heart(self._messages, lease, worker.out):
            worker.run(slots)

    # -- looking --------------------------------------------------------------------------

    def info(self) -> dict[str, Any]:
        """Return the summary, as `Study.info` does."""
        found = self._messages.get("info")
        vectors = found.pop("vectors", {})
        info = {key: value if key in _TEXTS else numbers(value) for key, value in found.items()}
        return info | {f"min_{key}": item for key, item in self._terms.rebuilt(vectors).items()}

    @property
    def best(self) -> Best | None:
        """The best observed point, None before there is one."""
        found = self._messages.get("best")["best"]
        return None if found is None else self._row(Best, found)

    @property
    def best_value(self) -> float | None:
        """The value of `best`, None before there is one."""
        best = self.best
        return None if best is None else best.value

    @property
    def minima(self) -> Rows[LocalMinimum]:
        """The distinct local minima, lowest first (a table)."""
        return Rows(self._row(LocalMinimum, row) for row in self._messages.get("minima")["minima"])

    @property
    def runs(self) -> Rows[RunRow]:
        """A row for each minimizer (a table)."""
        return Rows(self._row(RunRow, row) for row in self._messages.get("runs")["runs"])

    def _row(self, kind: type[Row], found: Mapping[str, Any]) -> Row:
        """Return a record of what came as JSON."""
        values = {"x" if key == "vector" else key: numbers(value) for key, value in found.items()}
        for name in ("x", "extent", "gradient"):
            if values.get(name) is not None:
                values[name] = np.array(values[name], dtype=float)
        for name in ("starts", "runs", "active_constraints"):
            if name in values:
                values[name] = tuple(values[name])
        values |= self._terms.rebuilt(found.get("vectors", {}))
        known = (each.name for each in fields(kind))
        return kind(**{name: values[name] for name in known if name in values})

    @property
    def history(self) -> History:
        """Every evaluation that has ended, as columns for pandas and polars."""
        found = self._messages.get("history", "?gradient=true")
        table = History()
        for name, column in found["history"].items():
            own = name in self.space.free or name.rstrip("_") in self._terms.outputs
            numeric = own or name.rstrip("_") in _NUMBERS
            table[name] = np.array(numbers(column), dtype=float) if numeric else np.array(column)
        table.x = np.array([table[name] for name in self.space.free], dtype=float).T
        gradient = found["gradient"]
        table.gradient = None if gradient is None else np.array(numbers(gradient), dtype=float)
        table.counted = np.array(found.get("counted", ()), dtype=bool)
        return table

    @property
    def parameters(self) -> dict[str, Any]:
        """The present driver parameters by name."""
        rows = self.describe()["parameters"]
        found = {name: numbers(row["value"]) for name, row in rows.items()}
        return found | {"initial_samples": tuple(map(tuple, found["initial_samples"]))}

    def describe(self) -> dict[str, Any]:
        """Return the domain, and every driver parameter with its meaning, default and value."""
        return self._messages.get("describe")

    def get_state(self) -> dict[str, Any]:
        """Return `info` with the open suggestions by id (``open``: parameters by name)."""
        return self.info() | {"open": {s.id: s.params for s in self.open_suggestions}}

    @property
    def num_evaluations(self) -> int:
        """Evaluations of the objective that have ended, failed ones too."""
        return int(self.info()["num_evaluations"])

    @property
    def stop_reason(self) -> str | None:
        """Why the study stopped asking, None while it has not."""
        reason = self.info()["stop_reason"]
        return None if reason is None else str(reason)

    def is_done(self) -> bool:
        """Return whether no more suggestions will come."""
        return bool(self.info()["is_done"])

    # -- steering -------------------------------------------------------------------------

    def set_parameters(self, **given: Any) -> None:
        """Set driver parameters, as `Study.set_parameters` does; also there as `configure`."""
        self._messages.post("extend", limits=given)

    configure = set_parameters

    def stop(self, reason: str = "stopped by the user") -> None:
        """Stop asking; open suggestions can still be told."""
        self._messages.post("stop", reason=reason)

    def reevaluate(self, objective: Callable[..., Any] | None = None) -> None:
        """Begin anew with another objective, as `Study.reevaluate` does.

        Every worker has to have the new objective: results of evaluations that are open now have
        no effect.
        """
        before = self._objective
        if objective is not None:
            self.set_objective(objective)
        try:
            self._messages.post("reevaluate")
        except BaseException:
            self._objective = before  # values of two objectives would be taken for those of one
            raise

    def resume(self) -> None:
        """Go on after `stop`."""
        self._messages.post("resume")

    def __repr__(self) -> str:
        return f"<RemoteStudy {self.name!r} at {self._messages.connection.url}>"
