"""A study at one moment, as data: what waits, what is handed out, what has been told.

Only the fold changes it (`optdriver.study.fold`), and before it `draw`.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import repeat
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from optdriver.coroutine.constraints import has_rows
from optdriver.drivers import Driver
from optdriver.errors import ProtocolError
from optdriver.leastsquares.options import rounded_of, secant_of
from optdriver.leastsquares.profile import WithinBounds
from optdriver.multistart.records import PointArrays
from optdriver.outstanding import Outstanding
from optdriver.study import soundness
from optdriver.study.events import RoundAsked
from optdriver.study.gradient_check import GradientCheck
from optdriver.study.ledger import KINDS, Ledger
from optdriver.study.profiling import Profiling, UnderConstraints
from optdriver.study.spec import Spec

FloatArray = NDArray[np.float64]

FOREIGN: Final = soundness.FOREIGN
"""The driver's id of a recorded point that the driver of this version did not ask for."""


@dataclass(slots=True, eq=False)
class Entry:
    """A point that is wanted: waiting to be handed out, or handed out and not told.

    `id` is -1 until it is handed out; `point` is the driver's id (`FOREIGN` for a point that it did
    not ask for; None for the gradient check, whose base and number of the parameter are `base` and
    `index`); `failures` counts its failed
    evaluations; `spent` says that its last evaluation has been counted; `due` is the run time at
    which its lease ends.  `here` (no part of the state) says that this very object handed it out,
    and not the one it was restored from.
    """

    id: int
    point: int | None
    run: int
    kind: str
    x: FloatArray
    base: int = 0
    index: int = 0
    failures: int = 0
    spent: bool = False
    due: float = math.inf
    here: bool = False


@dataclass(slots=True)
class Round:
    """Points that were handed out by one event; `due` and `here` as in `Entry`."""

    event: RoundAsked
    due: float
    rows: list[int]
    here: bool = False

    def one(self, row: int) -> Entry:
        """Return a point."""
        event = self.event
        point, run, kind = int(event.points[row]), int(event.runs[row]), KINDS[event.kinds[row]]
        return Entry(
            self.rows[row], point, run, kind, event.matrix[row], due=self.due, here=self.here
        )

    def without(self, row: int) -> Round:
        """Return all points but one."""
        event = self.event
        names = ("ids", "points", "runs", "kinds", "matrix")
        left = {name: np.delete(getattr(event, name), row, axis=0) for name in names}
        return replace(self, event=replace(event, **left), rows=left["ids"].tolist())


Line = tuple[deque[Entry], PointArrays | None]


@dataclass(slots=True)
class State:
    """A study at one moment: what it knows beside its driver and its ledger.

    `parameters` are the present ones; `out` what is handed out; `line` what is handed out
    before the driver is asked again, one by one, and behind it as columns; `aside` what waits for
    the result of the suggestion, by its id, that is at the same point; `pardoned` the rows that
    have failed, and may be tried once more all the same; `spent` the evaluations of the objective
    that have ended; `failed_in_row` the iterates that failed since one succeeded
    or the study was resumed; `stop` kind and reason; `expired` the ids whose lease has ever run
    out; `adopted` (no part of the state) the recorded points that replaced those of a replay;
    `parted` that a replay has led to other points than the recorded ones, and no `Parted` has been
    recorded since; `sigma` the standard deviations of residuals, if they were told; `profile` the
    last profile that was wanted;
    `next_due` (no part of the state) a time before which no lease ends; `leaves` whether the driver
    may ask points that violate constraints.
    """

    spec: Spec
    parameters: dict[str, Any]
    driver: Driver
    ledger: Ledger
    check: GradientCheck
    out: Outstanding[Entry, Round] = field(default_factory=Outstanding)
    line: Line = field(default_factory=lambda: (deque(), None))
    aside: dict[int, list[Entry]] = field(default_factory=dict)
    pardoned: set[int] = field(default_factory=set)
    spent: int = 0
    failures: int = 0
    failed_in_row: int = 0
    stop: tuple[str, str] | None = None
    elapsed: float = 0.0
    expired: set[int] = field(default_factory=set)
    adopted: int = 0
    parted: bool = False
    sigma: FloatArray | None = None
    profile: Profiling | None = None
    next_due: float = math.inf
    leaves: bool = field(init=False)

    def __post_init__(self) -> None:
        stays = self.parameters["must_stay_feasible"]
        self.leaves = not stays and bool(getattr(self.driver, "leaves", False))

    @property
    def open(self) -> dict[int, Entry]:
        """What is handed out and not told, by id."""
        return self.out.by_id

    @property
    def queue(self) -> deque[Entry]:
        """What waits to be handed out."""
        waiting, drawn = self.line
        if drawn is not None:
            waiting = deque(waiting)
            waiting.extend(map(Entry, repeat(-1), *drawn))
            self.line = waiting, None
        return waiting

    @property
    def queued(self) -> int:
        """How many points wait to be handed out."""
        waiting, drawn = self.line
        return len(waiting) + (0 if drawn is None else len(drawn.ids))


def find(state: State, id: int) -> Entry | None:
    """Return the entry of a suggestion that still wants a result, None if it does not."""
    entry = state.open.get(id)
    if entry is None:
        entry = next((waiting for waiting in state.line[0] if waiting.id == id), None)
    return entry


def take(state: State, id: int) -> Entry:
    """Return the entry of a suggestion, which is open, or waits, no more."""
    entry = state.out.by_id.pop(id, None)
    if entry is None:
        entry = find(state, id)
        if entry is None:
            raise ProtocolError(f"the events give a result for suggestion {id}, which is not open")
        state.queue.remove(entry)
    return entry


def put_back(state: State, id: int) -> None:
    """Let what waits for the result of a suggestion come next."""
    state.line[0].extendleft(reversed(state.aside.pop(id, ())))


def put_back_point(state: State, point: int | None) -> None:
    """Let this point of the driver come next, if it is set aside."""
    for source, entries in state.aside.items():
        for entry in entries:
            if entry.point == point:
                entries.remove(entry)
                if not entries:
                    del state.aside[source]
                state.line[0].appendleft(entry)
                return


def is_profiling(state: State) -> bool:
    """Return whether a profile is under way, whose points come before all others."""
    return state.profile is not None and not state.profile.done


def user_box(state: State) -> tuple[FloatArray, FloatArray]:
    """Return the bounds of the user's parameters, with those that constraints are."""
    space, compiled = state.spec.space, state.spec.compiled
    if compiled is None:
        return space.lower, space.upper
    return np.maximum(space.lower, compiled.lower), np.minimum(space.upper, compiled.upper)


def fits_of(spec: Spec) -> UnderConstraints | WithinBounds:
    """Return what the fits of a profile are made of."""
    compiled = spec.compiled
    if compiled is not None and has_rows(compiled):
        return UnderConstraints(compiled)
    rule = spec.parameters["convergence_rule"]
    return WithinBounds(secant=secant_of(rule), rounded=rounded_of(rule))


def first_drawn(state: State, count: int) -> PointArrays | None:
    """Return the first points that wait, if all that waits is new; None otherwise."""
    waiting, drawn = state.line
    return None if waiting or drawn is None else drawn.part(slice(count))


def put_into_queue(state: State, points: PointArrays) -> None:
    """Let points wait to be handed out."""
    waiting, drawn = state.line
    state.line = waiting, points if drawn is None else drawn.followed_by(points)


def earliest_due(entries: Iterable[Entry]) -> float:
    """Return when the first of some leases ends."""
    return min((entry.due for entry in entries), default=math.inf)
