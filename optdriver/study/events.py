"""The facts that a study consists of.

Every event is a frozen record.  A study is the fold of its events (`optdriver.study.fold`): the
same specification and the same events give the same study, bit for bit.  `time` is the run time in
seconds at which the event happened; no clock is read when events are folded.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from optdriver.errors import InputError
from optdriver.study.parameters import check_all

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

NO_POINT: Final = -2
"""Stands in a round for a point that is none of the driver's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """The point `x` (the user's continuous parameters) was handed out as suggestion `id`.

    `point` is the driver's id of it; None when the study wants it for itself (`kind` 'check').
    """

    id: int
    point: int | None
    run: int
    kind: str
    x: FloatArray
    time: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """The driver gave the point `x`, and it was not handed out (yet)."""

    point: int
    run: int
    kind: str
    x: FloatArray
    time: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Recalled:
    """The driver gave the point `x`, which suggestion `source` was at, to the bit.

    It was told what is known from there, a value or a failure, and the point was not handed out.
    """

    source: int
    point: int
    run: int
    kind: str
    x: FloatArray
    time: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Postponed:
    """The driver gave the point `x`, at which suggestion `source` is, to the bit.

    That has no result yet; until it has one the point is set aside.
    """

    source: int
    point: int
    run: int
    kind: str
    x: FloatArray
    time: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Drained:
    """The driver had no point to give, and was changed by being asked (it ended a run, say).

    `fills` is in how many ways it was asked, see `optdriver.study.drawing.FILLS`.
    """

    time: float
    fills: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """Suggestion `id` has this value, and this gradient if one was supplied.

    Where residuals are told, these give the value; with their Jacobian, row after row, if one was
    supplied, which gives the gradient.  `outputs` are those of the objective in their order, and
    `slopes` their derivatives, row after row.  `uncertainty` are standard deviations: of the value,
    shape (1,), and of the outputs behind it, (1 + k,), if one of these was told; or of the
    residuals, shape (1,) or (m,), by which the value and the gradient are weighted.
    """

    id: int
    value: float
    gradient: FloatArray | None
    time: float
    residuals: FloatArray | None = None
    jacobian: FloatArray | None = None
    outputs: FloatArray | None = None
    slopes: FloatArray | None = None
    uncertainty: FloatArray | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Failed:
    """The evaluation of suggestion `id` failed.

    `retry`: the same point will be handed out again.  `counted`: it counts among the failures in
    a row that stop a study.  `expired`: nobody reported it, its lease ran out.  `value`: what was
    observed all the same, where only the derivatives in `gradient` cannot be used, and with it the
    `outputs` and the `uncertainty`.
    """

    id: int
    reason: str
    retry: bool
    counted: bool
    time: float
    expired: bool = False
    value: float | None = None
    gradient: FloatArray | None = None
    outputs: FloatArray | None = None
    uncertainty: FloatArray | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class RoundAsked:
    """Many points were handed out at once: the rows of `matrix`, as suggestions `ids`.

    It stands for an `Asked` of each row.  `points` has `NO_POINT` where one of these has none;
    `kinds` are places in `optdriver.study.ledger.KINDS`.  The driver was asked, in `fills` ways,
    until `wanted` points were there; those that were not handed out wait.
    """

    ids: IntArray
    points: IntArray
    runs: IntArray
    kinds: IntArray
    matrix: FloatArray
    wanted: int
    fills: int
    time: float

    def __post_init__(self) -> None:
        """Refuse columns of different lengths."""
        _check_rows(self.ids, self.points, self.runs, self.kinds, self.matrix)


@dataclass(frozen=True, kw_only=True, slots=True)
class RoundTold:
    """Suggestions `ids` have these values, and the rows of `gradients` if they were supplied.

    Where a value or a gradient is not finite the evaluation has failed, for `reason` if there is
    one, and the point is tried again as long as `retries` says.  The failed ones count first, and
    what the values set off ends nothing before all of them count.  `uncertainties` are standard
    deviations of the values, NaN where none was told.  `output_rows` are outputs, (k, p), and
    `slope_rows` their derivatives, (k, p n).
    """

    ids: IntArray
    values: FloatArray
    gradients: FloatArray | None
    reason: str
    time: float
    uncertainties: FloatArray | None = None
    output_rows: FloatArray | None = None
    slope_rows: FloatArray | None = None

    def __post_init__(self) -> None:
        """Refuse columns of different lengths."""
        more = (self.gradients, self.uncertainties, self.output_rows, self.slope_rows)
        _check_rows(self.ids, self.values, *(each for each in more if each is not None))


@dataclass(frozen=True, kw_only=True, slots=True)
class Late:
    """A result of suggestion `id` came when its lease had run out and it was settled without it.

    It has no effect.
    """

    id: int
    value: float
    gradient: FloatArray | None
    time: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Released:
    """Suggestion `id` was given back without a result, and will be handed out again.

    `spent`: the objective was called, which counts as an evaluation.
    """

    id: int
    spent: bool
    time: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Added:
    """A point that the study did not ask for was added, as `id`."""

    id: int
    x: FloatArray
    value: float
    gradient: FloatArray | None
    time: float
    outputs: FloatArray | None = None
    slopes: FloatArray | None = None
    uncertainty: FloatArray | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Configured:
    """Parameters of the study (`parameters`: new values by name) were changed under way."""

    parameters: Mapping[str, Any]
    time: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Stopped:
    """The study stopped asking; `kind` is the limit or the cause, `reason` says it in words."""

    kind: str
    reason: str
    time: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Resumed:
    """The study goes on after it was stopped."""

    time: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Suspended:
    """The clock of the study was halted."""

    time: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Renewed:
    """The objective was changed on purpose: what was observed before is that of a former one.

    What was open is given up.  `starts`, the user's continuous parameters a row, come first when
    the new objective is minimised: the minima of the former one.
    """

    starts: FloatArray
    time: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Profiled:
    """Intervals by profile likelihood are wanted of a fit, and its points come next.

    Of the parameters `indices`, at the minimum `x` (the user's parameters) of this `value`: the
    ends, at the confidence `level`, are where the least value has risen by `rise`, and are looked
    for with first steps of the length `steps`.
    """

    indices: IntArray
    x: FloatArray
    value: float
    steps: FloatArray
    rise: float
    level: float
    time: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Parted:
    """From here on the driver's own points count again.

    Before it stand points that the version which wrote it would not have asked: their evaluations
    are kept as facts, and the driver goes on from where it had been.
    """

    time: float


Event = (
    Asked
    | Held
    | Recalled
    | Postponed
    | Drained
    | Told
    | Failed
    | RoundAsked
    | RoundTold
    | Late
    | Released
    | Added
    | Configured
    | Stopped
    | Resumed
    | Suspended
    | Renewed
    | Profiled
    | Parted
)

DRIVEN: Final = (Asked, RoundAsked, Held, Recalled, Postponed, Drained)
"""Events that the driver has brought about."""

RESULTS: Final = (Told, Failed, RoundTold, Recalled, Released, Added)
"""Events that can be a reason to stop."""

_KINDS: Final[dict[str, type[Any]]] = {
    kind.__name__: kind
    for kind in (
        Asked, Held, Recalled, Postponed, Drained, Told, Failed, RoundAsked, RoundTold, Late,
        Released, Added, Configured, Stopped, Resumed, Suspended, Renewed, Profiled, Parted,
    )
}  # fmt: skip


class Journal(Protocol):
    """Where events go, each before it takes effect; a list is one."""

    def append(self, event: Event, /) -> None:
        """Keep `event`; when this returns, the event will be there after a crash as well.

        If it raises, the event has not been kept.
        """


@runtime_checkable
class Keeper(Journal, Protocol):
    """A journal that keeps the specification too, and gives the events back."""

    def append(self, event: Event, /, *more: Event) -> None:
        """Keep `event`; with `more` of them all are kept, or none."""

    @property
    def closed(self) -> bool:
        """Whether `close` has been called."""

    @property
    def read_only(self) -> bool:
        """Whether nothing can be appended."""

    @property
    def idle(self) -> bool:
        """Whether it is only read, and no process writes it."""

    @property
    def spec(self) -> Mapping[str, Any]:
        """The specification."""

    @property
    def last(self) -> int:
        """The number of the last event; the first is 1, and 0 means that there is none."""

    @property
    def in_doubt(self) -> bool:
        """Whether it is not known what became of the last event: reading will tell."""

    @property
    def may_part(self) -> bool:
        """Whether a replay may lead to other points than the recorded ones."""

    def read(self, after: int = 0) -> Iterator[Event]:
        """Yield the events that come after number `after`."""

    def snapshot(self) -> tuple[int, Mapping[str, Any]] | None:
        """Return the newest state that is kept whole, and the number of its last event."""

    def attach(self, state: Callable[[], Mapping[str, Any] | None]) -> None:
        """Tell how to get the present state, for snapshots; None where it must not be kept."""

    def respecify(self, spec: Mapping[str, Any]) -> None:
        """Begin anew, with another specification and without events."""

    def close(self) -> None:
        """End; what was appended stays."""


def pack(event: Event) -> dict[str, Any]:
    """Return an event as a dictionary of strings, numbers and arrays."""
    data = {field.name: getattr(event, field.name) for field in fields(event)}
    for name in _LATER:
        if data.get(name, ...) is None:
            del data[name]
    return {"event": type(event).__name__} | data


def unpack(data: Mapping[str, Any]) -> Event:
    """Return the event of which `pack` made `data`; arrays may have become lists.

    Raises
    ------
    InputError
        If it is none: something is missing, or of a kind that no event has.
    """
    if not isinstance(data, Mapping):
        raise InputError(f"not an event: a {type(data).__name__}")
    values = dict(data)
    kind = values.pop("event", None)
    if not isinstance(kind, str) or kind not in _KINDS:
        raise InputError(f"not an event: its kind is {str(kind)[:80]!r}")
    try:
        for name, value in values.items():
            values[name] = _READ[name](value)
        event: Event = _KINDS[kind](**values)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError(f"not an event {kind}: {error!r}") from error
    return event


def _number(value: Any) -> int:
    if type(value) is not int or not -1 <= value < _MOST:
        raise TypeError(f"{value!r} is not the number of anything")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} is not True or False")
    return value


def _real(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError(f"{value!r} is no finite number")
    return float(value)


def _array(value: Any) -> FloatArray:
    array = np.array(value, dtype=np.float64)
    if array.ndim != 1:
        raise TypeError(f"an array of {array.ndim} dimensions is no point")
    return array


def _deviations(value: Any) -> FloatArray:
    array = _array(value)
    if not array.size or bool(np.any((array < 0.0) | np.isinf(array))):
        raise ValueError("standard deviations are numbers from 0 on")
    return array


def _integers(value: Any) -> IntArray:
    given = np.array(value)
    if given.ndim != 1 or (given.size and given.dtype.kind not in "iu"):
        raise TypeError("numbers of points are integers in a row")
    if any(not NO_POINT <= number < _MOST for number in given.tolist()):
        raise ValueError("there are not so many points")
    return given.astype(np.int64)


def _matrix(value: Any) -> FloatArray:
    array = np.array(value, dtype=np.float64)
    if array.ndim != 2 and array.size:
        raise TypeError(f"an array of {array.ndim} dimensions is no round of points")
    array.setflags(write=False)
    return array


def _check_rows(ids: IntArray, *columns: NDArray[Any]) -> None:
    if any(len(column) != len(ids) for column in columns) or len(set(ids.tolist())) != len(ids):
        raise ValueError("a round has one row for each of its points")


def _or_none(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else read(value)


def _parameters(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError(f"{value!r} is no dictionary")
    return check_all(value)


_LATER: Final = (
    "residuals", "jacobian", "outputs", "slopes", "uncertainty", "uncertainties",
    "output_rows", "slope_rows",
)  # fmt: skip
"""Fields that 0.2.0 to 0.6.0 did not know, and that are left out where there is nothing."""

_MOST: Final = 1 << 53
"""Nothing has a larger number."""

_READ: Final[dict[str, Callable[[Any], Any]]] = {
    "id": _number, "source": _number, "run": _number, "point": _or_none(_number),
    "fills": _number, "kind": _text,
    "reason": _text, "retry": _flag, "counted": _flag, "expired": _flag, "spent": _flag,
    "time": _real, "x": _array, "value": _or_none(_real), "gradient": _or_none(_array),
    "parameters": _parameters, "residuals": _or_none(_array), "jacobian": _or_none(_array),
    "outputs": _or_none(_array), "slopes": _or_none(_array),
    "ids": _integers, "points": _integers, "runs": _integers,
    "kinds": _integers, "wanted": _number, "matrix": _matrix, "values": _array,
    "gradients": _or_none(_matrix), "starts": _matrix,
    "indices": _integers, "steps": _array, "rise": _real, "level": _real,
    "uncertainty": _or_none(_deviations), "uncertainties": _or_none(_deviations),
    "output_rows": _or_none(_matrix), "slope_rows": _or_none(_matrix),
}  # fmt: skip
"""How the fields of events are read."""


def writable(reason: str) -> str:
    """Return a text that can be written; names of files need not be Unicode."""
    return reason.encode("utf-8", "backslashreplace").decode()
