"""Every evaluation of a study, in growing arrays: row k belongs to suggestion k."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from optdriver import stored
from optdriver.numerics import row_bytes

FloatArray = NDArray[np.float64]

OPEN, TOLD, FAILED, WAITING = range(4)
STATES: Final = ("open", "told", "failed", "waiting")
KINDS: Final = ("iterate", "difference", "check", "added", "profile")
KIND_CODE: Final = {kind: code for code, kind in enumerate(KINDS)}

_COLUMNS: Final = {
    "value": math.nan,
    "state": np.int8(OPEN),
    "kind": np.int8(0),
    "run": np.int64(-1),
    "attempts": np.int64(1),
    "asked": math.nan,
    "ended": math.nan,
}
"""What a row holds from the beginning, and so the type of its column."""


FEW: Final = 64
"""So many rows, and they are looked up one by one: NumPy would let all other threads go first."""

_TIMES: Final = ("value", "asked", "ended")
_RANGES: Final = {
    "state": (0, len(STATES) - 1),
    "kind": (0, len(KINDS) - 1),
    "run": (-1, 2**53),
    "attempts": (0, 2**53),
}


class Ledger:
    """The columns of all suggestions, filled when they are asked and when they end.

    Attributes
    ----------
    size : int
        Number of rows, which is the next id.
    x, gradient : ndarray, shape (room, n)
        The user's continuous parameters, and the gradients supplied (None before the first one,
        NaN where there is none).
    outputs : ndarray, shape (room, k), or None
        What the objective put out beside its values; None before there was anything.
    uncertainty : ndarray, shape (room,), or None
        Standard deviations of the values that were told with one, NaN where there is none; None
        before the first.
    value, state, kind, run, attempts, asked, ended : ndarray, shape (room,)
        Further columns; `run` is -1 for points that belong to none, times are run times.
    reasons : dict of int to str
        Why an evaluation failed.
    renewals : list of int
        The first row of each further objective, where it was changed on purpose.
    since : int
        The first row of the present objective.
    outside : set of int
        Rows that violate constraints, and so never are the best.
    best : int
        The id of the lowest value of the present objective, -1 while there is none; of the highest
        where `sign` is -1.
    best_value : float
        That value, infinite while there is none.
    """

    __slots__ = (
        "_entered", "_former", "_places", "asked", "attempts", "best", "best_value", "ended",
        "gradient", "kind", "outputs", "outside", "reasons", "renewals", "run", "sign", "since",
        "size", "state", "uncertainty", "value", "x",
    )  # fmt: skip

    def __init__(self, n: int, room: int = 16, *, sign: float = 1.0) -> None:
        self.size = 0
        self.sign = sign
        self.x = np.full((room, n), math.nan)
        self.gradient: FloatArray | None = None
        self.outputs: FloatArray | None = None
        self.uncertainty: FloatArray | None = None
        self.value: FloatArray
        self.state: NDArray[np.int8]
        self.kind: NDArray[np.int8]
        self.run: NDArray[np.int64]
        self.attempts: NDArray[np.int64]
        self.asked: FloatArray
        self.ended: FloatArray
        for name, fill in _COLUMNS.items():
            setattr(self, name, np.full(room, fill))
        self.reasons: dict[int, str] = {}
        self.renewals: list[int] = []
        self.since = 0
        self.outside: set[int] = set()
        self._entered = 0
        self._places: dict[bytes, int] = {}
        self._former: dict[int, int] = {}
        self.best = -1
        self.best_value = sign * math.inf

    def open_row(self, x: FloatArray, kind: str, run: int, time: float) -> int:
        """Enter a new suggestion; return its id."""
        row = self.size
        if row == len(self.value):
            self._grow()
        self.x[row] = x
        self.kind[row] = KIND_CODE[kind]
        self.run[row] = run
        self.asked[row] = time
        self.size = row + 1
        return row

    def renew(self) -> None:
        """Note that the rows that follow are those of another objective."""
        self.renewals.append(self.size)
        self.since = self.size
        self.best, self.best_value = -1, self.sign * math.inf
        self._entered = self.size
        self._places.clear()
        self._former.clear()

    def reopen(self, row: int) -> None:
        """Note that the same point is handed out once more."""
        self.state[row] = OPEN
        self.attempts[row] += 1

    def close(
        self,
        row: int,
        value: float,
        gradient: FloatArray | None,
        time: float,
        outputs: FloatArray | None = None,
    ) -> None:
        """Enter the result of a suggestion."""
        self.value[row] = value
        self.state[row] = TOLD
        self.ended[row] = time
        if gradient is not None:
            self._enter_gradient(row, gradient)
        if outputs is not None:
            self._enter_outputs(row, outputs)
        self._compare(row, value)

    def enter_uncertainty(
        self, row: int | NDArray[np.int64], deviation: float | FloatArray
    ) -> None:
        """Enter standard deviations of values."""
        if self.uncertainty is None:
            self.uncertainty = np.full(len(self.value), math.nan)
        self.uncertainty[row] = deviation

    def uncertainty_of(self, row: int) -> float | None:
        """Return the standard deviation of the value of a row, None where none was told."""
        known = math.nan if self.uncertainty is None else float(self.uncertainty[row])
        return None if math.isnan(known) else known

    def _enter_outputs(self, row: int, outputs: FloatArray) -> None:
        if self.outputs is None:
            self.outputs = np.full((len(self.value), outputs.size), math.nan)
        self.outputs[row] = outputs

    def compare(self, row: int) -> None:
        """Let a row be the best one, if its value is better."""
        self._compare(row, float(self.value[row]))

    def _compare(self, row: int, value: float) -> None:
        if self.sign * value < self.sign * self.best_value and row not in self.outside:
            self.best, self.best_value = row, value
        elif row == self.best and (value != self.best_value or row in self.outside):
            self._find_best()

    def _find_best(self) -> None:
        """Let the lowest row be the best, where that was tried again and has become another."""
        self.best, self.best_value = -1, self.sign * math.inf
        for row in (self.since + np.flatnonzero(self.observed()[self.since :])).tolist():
            self._compare(row, float(self.value[row]))

    def open_rows(
        self, x: FloatArray, kinds: NDArray[np.int64], runs: NDArray[np.int64], time: float
    ) -> int:
        """Enter new suggestions, a row of `x` each; return the id of the first."""
        first, end = self.size, self.size + len(x)
        if end == first:
            return first
        while end > len(self.value):
            self._grow()
        self.x[first:end] = x
        self.kind[first:end] = kinds
        self.run[first:end] = runs
        self.asked[first:end] = time
        self.size = end
        return first

    def close_rows(
        self,
        rows: NDArray[np.int64],
        values: FloatArray,
        gradients: FloatArray | None,
        time: float,
    ) -> None:
        """Enter the results of suggestions, of which there is at least one."""
        self.value[rows] = values
        self.state[rows] = TOLD
        self.ended[rows] = time
        if gradients is not None:
            self._enter_gradient(rows, gradients)
        if self.outside:
            inside = [row not in self.outside for row in rows.tolist()]
            values = np.where(inside, values, self.sign * math.inf)
        listed = values.tolist()
        lowest = listed.index(min(listed) if self.sign > 0.0 else max(listed))
        self._compare(int(rows[lowest]), listed[lowest])
        if self.best >= 0:
            self.compare(self.best)

    def fail(self, row: int, reason: str, time: float) -> None:
        """Enter that the evaluation of a suggestion failed, for good; a value noted stays."""
        self.state[row] = FAILED
        self.ended[row] = time
        self.reasons[row] = reason

    def note(
        self,
        row: int,
        value: float,
        gradient: FloatArray | None,
        time: float,
        outputs: FloatArray | None = None,
    ) -> None:
        """Enter the value of an evaluation that failed since its gradient cannot be used.

        It counts, whether the point is tried again or not, until another value comes.
        """
        if outputs is not None:
            self._enter_outputs(row, outputs)
        self.value[row] = value
        self.ended[row] = time
        if gradient is not None:
            self._enter_gradient(row, gradient)
        self._compare(row, value)

    def wait(self, row: int, reason: str = "") -> None:
        """Enter that a suggestion is to be handed out again, after a failure with `reason`."""
        self.state[row] = WAITING
        if reason:
            self.reasons[row] = reason

    def find(self, x: FloatArray) -> int | None:
        """Return the last row at this very point that was told, None if there is none."""
        return next((row for row in self.rows_at(x) if self.state[row] == TOLD), None)

    def rows_at(self, x: FloatArray) -> list[int]:
        """Return the rows of the present objective at this very point, the last one first."""
        row = self._last_rows().get(x.tobytes())
        rows = []
        while row is not None:
            rows.append(row)
            row = self._former.get(row)
        return rows

    def entered(self, keys: list[bytes]) -> list[int]:
        """Return the places of those points, as `row_bytes` gives them, at which there is a row."""
        places = self._last_rows()
        if places.keys().isdisjoint(keys):
            return []
        return [k for k, key in enumerate(keys) if key in places]

    def _last_rows(self) -> dict[bytes, int]:
        """Return the last row at each point; those before it are in `_former`."""
        first, end = self._entered, self.size
        if first == end:
            return self._places
        few = end - first <= FEW
        keys = (
            [self.x[row].tobytes() for row in range(first, end)]
            if few
            else row_bytes(self.x[first:end])
        )
        for row, key in enumerate(keys, first):
            former = self._places.get(key, -1)
            if former >= row:
                continue  # a call that was broken off has entered it
            if former >= 0:
                self._former[row] = former
            self._places[key] = row
        self._entered = end
        return self._places

    def gradient_of(self, row: int) -> FloatArray | None:
        """Return the gradient of a row, None where there is none that can be used."""
        if self.gradient is None or not np.isfinite(self.gradient[row]).all():
            return None
        gradient: FloatArray = self.gradient[row]
        return gradient

    def observed(self) -> NDArray[np.bool_]:
        """Return which rows have a value, shape (size,); what is tried again may have one."""
        observed: NDArray[np.bool_] = np.isfinite(self.value[: self.size])
        return observed

    def shown(self) -> NDArray[np.intp]:
        """Return the rows that have ended, or have a value and are tried again."""
        state = self.state[: self.size]
        return np.flatnonzero((state == TOLD) | (state == FAILED) | self.observed())

    def present(self) -> slice:
        """Return the rows of the present objective."""
        return slice(self.since, self.size)

    def _enter_gradient(self, row: int | NDArray[np.int64], gradient: FloatArray) -> None:
        if self.gradient is None:
            self.gradient = np.full(self.x.shape, math.nan)
        self.gradient[row] = gradient

    def _grow(self) -> None:
        for name in (*_COLUMNS, "x", "gradient", "outputs", "uncertainty"):
            column = getattr(self, name)
            if column is not None:
                fresh = np.full(column.shape, _COLUMNS.get(name, math.nan), dtype=column.dtype)
                setattr(self, name, np.concatenate([column, fresh]))

    def to_dict(self) -> dict[str, Any]:
        """Return the rows as arrays."""
        data: dict[str, Any] = {name: getattr(self, name)[: self.size].copy() for name in _COLUMNS}
        data["x"] = self.x[: self.size].copy()
        data["gradient"] = None if self.gradient is None else self.gradient[: self.size].copy()
        data["reasons"] = [[row, reason] for row, reason in self.reasons.items()]
        data["best"] = self.best
        if self.outputs is not None:
            data["outputs"] = self.outputs[: self.size].copy()
        if self.uncertainty is not None:
            data["uncertainty"] = self.uncertainty[: self.size].copy()
        if self.renewals:
            data["renewals"] = list(self.renewals)
        if self.outside:
            data["outside"] = sorted(self.outside)
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], n: int, *, sign: float = 1.0) -> Ledger:
        """Return the ledger of which `to_dict` made `data`."""
        size = len(data["value"])
        ledger = cls(n, max(16, size), sign=sign)
        ledger.size = size
        for name in _COLUMNS:
            column = stored.array(name, data[name], (size,), nan=name in _TIMES)
            least, most = _RANGES.get(name, (-math.inf, math.inf))
            if not (np.isnan(column) | ((least <= column) & (column <= most))).all():
                raise ValueError(f"{name!r} holds numbers without a meaning")
            getattr(ledger, name)[:size] = column
        ledger.x[:size] = stored.array("x", data["x"], (size, n), finite=True)
        if data["gradient"] is not None:
            ledger.gradient = np.full(ledger.x.shape, math.nan)
            ledger.gradient[:size] = stored.array("gradient", data["gradient"], (size, n), nan=True)
        if data.get("outputs") is not None:
            width = len(data["outputs"][0]) if size else 0
            ledger.outputs = np.full((len(ledger.value), width), math.nan)
            ledger.outputs[:size] = stored.array(
                "outputs", data["outputs"], (size, width), nan=True
            )
        if data.get("uncertainty") is not None:
            known = stored.array("uncertainty", data["uncertainty"], (size,), nan=True)
            if not (np.isnan(known) | ((known >= 0.0) & np.isfinite(known))).all():
                raise ValueError("a standard deviation is below 0, or infinite")
            ledger.uncertainty = np.full(len(ledger.value), math.nan)
            ledger.uncertainty[:size] = known
        ledger.reasons = {
            stored.whole("row", row): stored.text("reason", reason)
            for row, reason in data["reasons"]
        }
        ledger.renewals = [
            stored.whole("renewals", row, 0, size) for row in data.get("renewals", ())
        ]
        if ledger.renewals != sorted(ledger.renewals):
            raise ValueError("an objective was renewed before a former one")
        ledger.since = ledger.renewals[-1] if ledger.renewals else 0
        ledger.best = stored.whole("best", data["best"], -1, size - 1)
        told = ledger.state[:size] == TOLD
        if not np.isfinite(ledger.value[:size][told]).all():
            raise ValueError("a value that was told is not finite")
        outside = [stored.whole("outside", row, 0, size - 1) for row in data.get("outside", ())]
        ledger.outside = set(outside)
        seen = ledger.observed()
        told[: ledger.since] = seen[: ledger.since] = False
        seen[outside] = False
        settled = seen & (told | (ledger.state[:size] == FAILED))
        if (ledger.best >= 0 and not seen[ledger.best]) or (ledger.best < 0 and settled.any()):
            raise ValueError("its values are not those of its best evaluation")
        ledger._entered = ledger.since
        if ledger.best >= 0:
            ledger.best_value = float(ledger.value[ledger.best])
        for row in np.flatnonzero(seen & ~settled).tolist():  # before 0.11.0 these did not count
            ledger.compare(row)
        return ledger
