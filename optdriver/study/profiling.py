"""Intervals of confidence by profile likelihood, as a small driver inside of a study.

Each end of each interval is a machine that is asked and told (`optdriver.leastsquares.profile`):
fits of all other parameters, each of which starts from its neighbour.  Their points are handed out
as suggestions of the kind ``'profile'``, all ends side by side, and what is told there is recorded
as anything else is; so a profile is suspended, killed and gone on with like the study itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from optdriver import stored
from optdriver.errors import InputError, ProtocolError
from optdriver.leastsquares.profile import MOST, XTOL, ProfileEnd, WithinBounds
from optdriver.multistart import stencil, steps
from optdriver.multistart.stencil import BASE, Stencil
from optdriver.multistart.steps import Learnt
from optdriver.space.space import Space
from optdriver.study.events import Profiled
from optdriver.study.tables import Rows

if TYPE_CHECKING:
    from optdriver.constraints import ConstraintSet
    from optdriver.feasible import FeasibleMinimizer

FloatArray = NDArray[np.float64]

PROFILE: Final = "profile"
"""The kind of a point that is wanted for a profile, and of the stop at its end."""

SHORTER: Final = 2.0**-3
"""Where difference points violate constraints on both sides steps are so much shorter."""

SHORTENED: Final = 4
"""So many times."""

Box = tuple[FloatArray, FloatArray]

Wanted = tuple[int, int, FloatArray]
"""Turn, number and place of a point."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ProfileRow:
    """The interval of one parameter.

    Attributes
    ----------
    name : str
    value, low, high : float
        The parameter at the minimum, and the ends; NaN where there is none.
    note : str
        What is to be known of an end: that the bound comes first, say.
    theta, values : ndarray, shape (k,)
        The profile: values of the parameter in order, and what the fits cost there.
    """

    shown: ClassVar = ("name", "value", "low", "high", "note")

    name: str
    value: float
    low: float
    high: float
    note: str
    theta: FloatArray
    values: FloatArray


class UnderConstraints:
    """Fits of all parameters but one under constraints, which no point of them violates."""

    def __init__(self, constraints: ConstraintSet) -> None:
        self._constraints = constraints

    def admits(self, x: FloatArray) -> bool:
        """Return whether a point of the user's parameters satisfies the constraints."""
        return bool(self._constraints.is_feasible(x))

    def begin(
        self, start: FloatArray, lower: FloatArray, upper: FloatArray
    ) -> FeasibleMinimizer | None:
        """Return a fit from the feasible point nearest to `start`, None where there is none."""
        from optdriver.feasible import FeasibleMinimizer  # longer to import than the rest

        try:
            known = self._constraints.within(lower, upper)
            made = FeasibleMinimizer(start, known, residuals=True, xtol=XTOL, maxfun=MOST)
        except InputError:
            return None
        return made if known.is_feasible(made.ask()) else None  # to rounding is not enough

    def to_dict(self, machine: FeasibleMinimizer) -> dict[str, Any]:
        """Return a fit as data, without the constraints."""
        return machine.to_dict(constraints=False)

    def from_dict(self, data: Mapping[str, Any]) -> FeasibleMinimizer:
        """Return the fit of which `to_dict` made `data`."""
        from optdriver.feasible import FeasibleMinimizer

        state = data["state"]
        known = self._constraints.within(state["lower"], state["upper"])
        return FeasibleMinimizer.from_dict(dict(data), known)


@dataclass(slots=True)
class End:
    """One end, and the evaluation that it waits for.

    Attributes
    ----------
    machine : ProfileEnd
    turn : int
        The number of its evaluation; what is told of an earlier one is not wanted any more.
    out : bool
        Whether the points of this have been asked for.
    made : Stencil or None
        Its differences, where no Jacobian is told.
    """

    machine: ProfileEnd
    turn: int = 0
    out: bool = False
    made: Stencil | None = None


@dataclass(slots=True)
class Profiling:
    """A profile under way, or one that is complete.

    Attributes
    ----------
    wanted : Profiled
        The event with which it began.
    ends : list of End
        The lower and the upper one of each parameter.
    jac : bool
        Whether Jacobians are told.
    stop : tuple of str or None
        Kind and reason of what had stopped the study before.
    """

    wanted: Profiled
    ends: list[End]
    jac: bool
    stop: tuple[str, str] | None
    fits: UnderConstraints | WithinBounds
    done: bool = field(default=False)

    def ask(self, space: Space, box: Box) -> list[Wanted]:
        """Return the points of all ends that wait for nothing; `box` holds their differences."""
        found: list[Wanted] = []
        for number, end in enumerate(self.ends):
            if end.out or not self._is_ready(end, space, box):
                continue
            end.out, x = True, end.machine.ask()
            if end.made is None:
                found.append((end.turn, self._number(number, BASE), space.rounded(x)))
                continue
            for slot in range(BASE, len(end.made.values)):
                place = space.rounded(stencil.point(end.made, slot))
                found.append((end.turn, self._number(number, slot), place))
        return found

    def _is_ready(self, end: End, space: Space, box: Box) -> bool:
        """Plan what an end wants; return whether there is anything.

        A point that violates a constraint where it is rounded, or that has no differences that do
        not, has failed.
        """
        while not end.machine.done:
            x = end.machine.ask()
            end.made = None if self.jac else self._planned(end, x, space, box)
            asked = space.rounded(x)
            admitted = np.array_equal(asked, x) or self.fits.admits(asked)
            if admitted and (self.jac or end.made is not None):
                return True
            end.machine.tell_failure("no feasible point beside it, to rounding")
            self._next(end)
        return False

    def _planned(self, end: End, x: FloatArray, space: Space, box: Box) -> Stencil | None:
        """Return the differences at a point, without those that violate constraints."""
        lower, upper = (side.copy() for side in box)
        held = end.machine.index
        lower[held] = upper[held] = x[held]
        rule = steps.wanted(Learnt(), x, lower, upper, True)
        for _ in range(SHORTENED):
            made = stencil.plan(x, lower, upper, rule, True)
            slots = range(len(made.values))
            kept = [k for k in slots if self.fits.admits(space.rounded(stencil.point(made, k)))]
            if len({made.coordinate[k] for k in kept}) == len(set(made.coordinate)):
                made.coordinate = [made.coordinate[k] for k in kept]
                made.moved = [made.moved[k] for k in kept]
                made.values = [made.values[k] for k in kept]
                made.missing = len(kept) + 1
                return made
            rule = SHORTER * rule
        return None

    def _number(self, end: int, slot: int) -> int:
        return (slot + 1) * len(self.ends) + end

    def _end(self, number: int, turn: int) -> tuple[End, int] | None:
        """Return the end and the slot that a point belongs to, None if it is not wanted."""
        slot, which = divmod(number, len(self.ends))
        end = self.ends[which]
        wanted = end.out and end.turn == turn and not end.machine.done
        return (end, slot - 1) if wanted else None

    def tell(self, number: int, turn: int, r: FloatArray, jacobian: FloatArray | None) -> None:
        """Take residuals, (m,), and their Jacobian by the user's parameters, (m, n)."""
        found = self._end(number, turn)
        if found is None:
            return
        end, slot = found
        if end.made is None:
            if jacobian is None:
                raise ProtocolError("the events do not fit this study: a profile has no Jacobian")
            self._go_on(end, r, jacobian)
            return
        end.made.vectors[slot] = r
        if stencil.record(end.made, slot, 0.0):  # that it is there
            self._go_on(end, *stencil.jacobian(end.made))

    def fail(self, number: int, turn: int, reason: str) -> None:
        """Take a failure; at a difference point that is one of its iterate."""
        found = self._end(number, turn)
        if found is not None:
            end, _ = found
            end.machine.tell_failure(reason)
            self._next(end)

    def _go_on(self, end: End, r: FloatArray, jacobian: FloatArray) -> None:
        end.machine.tell(r, jacobian)
        self._next(end)

    def _next(self, end: End) -> None:
        end.turn, end.out, end.made = end.turn + 1, False, None
        self.done = all(each.machine.done for each in self.ends)

    def rows(self, space: Space) -> Rows[ProfileRow]:
        """Return the intervals as a table."""
        pairs = zip(self.ends[::2], self.ends[1::2], strict=True)
        indices = self.wanted.indices.tolist()
        return Rows(
            self._row(space.free[i], float(self.wanted.x[i]), low.machine, high.machine)
            for i, (low, high) in zip(indices, pairs, strict=True)
        )

    @staticmethod
    def _row(name: str, value: float, low: ProfileEnd, high: ProfileEnd) -> ProfileRow:
        theta = np.array(low.theta + high.theta[1:])
        order = np.argsort(theta)
        notes = [f"{what}: {end.note}" for what, end in (("low", low), ("high", high)) if end.note]
        return ProfileRow(
            name=name,
            value=value,
            low=low.end,
            high=high.end,
            note="; ".join(notes),
            theta=theta[order],
            values=np.array(low.values + high.values[1:])[order],
        )

    def to_dict(self) -> dict[str, Any]:
        """Return it as strings, numbers and arrays."""
        wanted = self.wanted
        return {
            "indices": wanted.indices.copy(),
            "x": wanted.x.copy(),
            "value": wanted.value,
            "steps": wanted.steps.copy(),
            "rise": wanted.rise,
            "level": wanted.level,
            "time": wanted.time,
            "jac": self.jac,
            "stop": None if self.stop is None else list(self.stop),
            "ends": [
                {
                    "machine": end.machine.to_dict(),
                    "turn": end.turn,
                    "out": end.out,
                    "made": None if end.made is None else stencil.to_dict(end.made),
                }
                for end in self.ends
            ],
        }

    @classmethod
    def from_dict(
        cls, data: Mapping[str, Any], n: int, fits: UnderConstraints | WithinBounds
    ) -> Profiling:
        """Return the profile of which `to_dict` made `data`, of a study of `n` parameters."""
        count = len(data["indices"])
        wanted = Profiled(
            indices=stored.array("indices", data["indices"], (count,)).astype(np.int64),
            x=stored.array("x", data["x"], (n,), finite=True),
            value=stored.real("value", data["value"]),
            steps=stored.array("steps", data["steps"], (count,), finite=True),
            rise=stored.real("rise", data["rise"], 0.0),
            level=stored.real("level", data["level"], 0.0, 1.0),
            time=stored.real("time", data["time"]),
        )
        ends = [
            End(
                ProfileEnd.from_dict(each["machine"], fits),
                stored.whole("turn", each["turn"]),
                stored.flag("out", each["out"]),
                None if each["made"] is None else stencil.from_dict(each["made"]),
            )
            for each in stored.rows("ends", data["ends"])
        ]
        if len(ends) != 2 * count or not count or any(i >= n for i in wanted.indices.tolist()):
            raise ValueError("a profile with another number of ends")
        stop = data["stop"]
        if stop is not None:
            kind, reason = stored.rows("stop", stop)
            stop = stored.text("stop", kind), stored.text("stop", reason)
        made = cls(wanted, ends, stored.flag("jac", data["jac"]), stop, fits)
        made.done = all(end.machine.done for end in ends)
        return made


def begin(
    event: Profiled,
    bounds: Box,
    *,
    jac: bool,
    stop: tuple[str, str] | None,
    fits: UnderConstraints | WithinBounds,
) -> Profiling:
    """Return the profile that begins with an event, in a box."""
    n = event.x.size
    indices = event.indices.tolist()
    if bounds[0].size != n or event.steps.size != len(indices) or not indices:
        raise ProtocolError("the events do not fit this study: a profile of other parameters")
    if not all(0 <= i < n for i in indices):
        raise ProtocolError("the events do not fit this study: a profile of other parameters")
    if not (np.all(bounds[0] <= event.x) and np.all(event.x <= bounds[1])):
        raise ProtocolError("the events do not fit this study: a profile out of bounds")
    ends = [
        End(
            ProfileEnd(
                event.x,
                event.value,
                index=i,
                step=step,
                side=side,
                rise=event.rise,
                bounds=(bounds[0].copy(), bounds[1].copy()),
                fits=fits,
            )
        )
        for i, step in zip(indices, event.steps.tolist(), strict=True)
        for side in (-1, 1)
    ]
    made = Profiling(event, ends, jac, stop, fits)
    made.done = all(end.machine.done for end in ends)
    return made


def is_same(known: Profiling | None, event: Profiled) -> bool:
    """Return whether a profile is the one that an event asks for."""
    return known is not None and all(
        np.array_equal(getattr(known.wanted, name), getattr(event, name))
        for name in ("indices", "x", "value", "rise", "level", "steps")
    )
