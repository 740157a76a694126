"""A worker: it evaluates what a server hands out, and lets it know that it lives."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError, Executor
from typing import Any, Final

from optdriver.errors import OptDriverError, ProtocolError
from optdriver.execution.calling import Outcome, evaluate, handed_over
from optdriver.remote.connection import WAIT, Messages
from optdriver.remote.terms import Terms
from optdriver.space.space import Space
from optdriver.study import Suggestion
from optdriver.study.observation import parts

LOG: Final = logging.getLogger("optdriver")


class Worker:
    """One call of `run`: each slot asks, evaluates, and asks again with what it tells."""

    def __init__(
        self,
        messages: Messages,
        terms: Terms,
        call: Callable[..., Any],
        executor: Executor | None,
        lease: float,
        limit: int | None,
    ) -> None:
        self.messages, self.terms = messages, terms
        self.call, self.executor, self.lease = call, executor, lease
        self.remaining = math.inf if limit is None else limit
        self.lock = threading.Lock()
        self.out: set[int] = set()
        self.error: BaseException | None = None
        self.patient = Patience()

    def run(self, slots: int) -> None:
        """Evaluate until there is nothing more to do."""
        if slots == 1:
            self._slot()
            return
        threads = [threading.Thread(target=self._guarded, daemon=True) for _ in range(slots)]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                while thread.is_alive():
                    thread.join(0.2)  # so that a Ctrl-C is seen
        except BaseException as error:
            self.error = error
            self._give_back(list(self.out))
            raise
        if self.error is not None:
            raise self.error

    def _guarded(self) -> None:
        try:
            self._slot()
        except BaseException as error:  # noqa: BLE001 - raised in the thread that called
            self.error = self.error or error

    def _slot(self) -> None:
        suggestion = self._first()
        while suggestion is not None:
            self.out.add(suggestion.id)
            try:
                outcome = self._evaluate(suggestion)
                asks = self._more()
                answer = self._settle(suggestion.id, outcome, self._asking() if asks else {})
            except BaseException:
                self._give_back([suggestion.id])
                raise
            finally:
                self.out.discard(suggestion.id)
            found = self.terms.suggestions(answer)
            if asks and not found:
                self._unused()
            suggestion = found[0] if found else self._first()

    def _more(self) -> bool:
        """Take one of the evaluations that may be made."""
        with self.lock:
            if self.error is not None or self.remaining < 1:
                return False
            self.remaining -= 1
            return True

    def _unused(self) -> None:
        with self.lock:
            self.remaining += 1

    def _first(self) -> Suggestion | None:
        """Wait for a suggestion; None when there will be none."""
        if not self._more():
            return None
        while self.error is None:
            answer = self.messages.post("ask", **self.messages.asking(1, WAIT, self.lease))
            found = self.terms.suggestions(answer)
            if found:
                return found[0]
            if answer["done"]:
                return None
            self.patient.say(answer["reason"])
        return None

    def _evaluate(self, suggestion: Suggestion) -> Outcome:
        space = self.terms.space
        params = suggestion.params
        if isinstance(space, Space):
            params = handed_over(space, self.call, suggestion)
        given = (self.call, params, suggestion.id, space.handed)
        if self.executor is None:
            return evaluate(*given)
        try:
            found: Outcome = self.executor.submit(evaluate, *given).result()
        except (RuntimeError, CancelledError) as error:  # a worker died, or it was shut down
            raise ProtocolError(
                f"the executor takes no more work ({type(error).__name__}: {error}); what it had "
                "was given back to the server: call run again with a new executor"
            ) from error
        return found

    def _settle(self, id: int, outcome: Outcome, more: Mapping[str, Any]) -> Mapping[str, Any]:
        """Tell what became of an evaluation; return the answer, with the next suggestion if any."""
        if outcome.mistake is not None:
            raise outcome.mistake
        try:
            if outcome.failure is not None:
                LOG.info("evaluation %d failed: %s", id, outcome.failure)
                return self.messages.post("fail", id=id, reason=outcome.failure, **more)
            units = self.terms.space.structure is not None
            names, fits = self.terms.outputs, self.terms.fits
            told = parts(outcome.result, units=units, fits=fits, outputs=names)
            number, result = self.terms.result(
                id,
                told["value"],
                told.get("gradient"),
                outputs=told.get("outputs"),
                uncertainty=told.get("uncertainty"),
            )
            shown = f"{len(number)} residuals" if isinstance(number, list) else number
            LOG.info("evaluation %d: %s", id, shown)
            return self.messages.told(id, number, **result, **more)
        except ProtocolError as error:
            LOG.info("evaluation %d came too late: %s", id, error)
            return {}
        finally:
            self.terms.told(id)

    def _asking(self) -> dict[str, Any]:
        more = self.messages.asking(1, 0.0, self.lease)
        return more | {"ask": more.pop("n")}

    def _give_back(self, ids: list[int]) -> None:
        for id in ids:
            try:
                self.messages.post("release", id=id, spent=True)
            except OptDriverError as error:  # the lease ends by itself
                LOG.info("evaluation %d was not given back: %s", id, error)


class Patience:
    """Says once why one waits, since it may be for ever."""

    def __init__(self) -> None:
        self.said = False

    def say(self, reason: Any) -> None:
        """Say it, the first time."""
        if not self.said:
            self.said = True
            LOG.warning("still waiting for a suggestion: %s", reason)


class Heart:
    """Prolongs the leases of what a worker has, while a block runs."""

    def __init__(self, messages: Messages, lease: float, ids: set[int]) -> None:
        self.messages, self.ids, self.pause = messages, ids, lease / 3.0
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(self, *_error: object) -> None:
        self.ended.set()

    def _beat(self) -> None:
        while not self.ended.wait(self.pause):
            try:
                if ids := list(self.ids):
                    self.messages.post("heartbeat", ids=ids)
            except OptDriverError as error:  # the next one may come through
                LOG.info("no heartbeat: %s", error)
