"""Many minimizers as one thing to ask and tell."""

from __future__ import annotations

import dataclasses
import functools
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Concatenate, ParamSpec, TypeVar, Unpack

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult

from optdriver import stored
from optdriver.batch import reading
from optdriver.batch.records import Records
from optdriver.errors import InputError, ProtocolError, say
from optdriver.lbfgsb import Phase, State, Stop, advance_lanes, compiled, machine
from optdriver.lbfgsb.minimizer import LARGE, say_interpreted, set_up
from optdriver.lbfgsb.options import OptionArguments, Options, Vector, check_integer
from optdriver.lbfgsb.state import from_dict

VERSION = 1

OWN = ("maxfun", "maxiter", "maxls", "ftol", "gtol", "initial_step", "noise", "cautious")
"""What a state has from the options."""

Indices = NDArray[np.intp]
P = ParamSpec("P")
R = TypeVar("R")


def alone(
    method: Callable[Concatenate[Batch, P], R],
) -> Callable[Concatenate[Batch, P], R]:
    """Let one call at a time into a batch, and settle first what an interrupt has left.

    The kernel works on the states without the interpreter's lock.  Entering is one operation of a
    dict, and so is leaving; where an interrupt comes before it, the same thread goes on.
    """

    @functools.wraps(method)
    def entered(self: Batch, /, *args: P.args, **kwargs: P.kwargs) -> R:
        inside, me = self._inside, threading.get_ident()
        try:
            if inside.setdefault("call", me) != me:
                raise ProtocolError(f"{method.__name__}: another thread is calling this batch")
            self._recover()
            return method(self, *args, **kwargs)
        finally:
            if "call" in inside and inside["call"] == me:  # nothing here lets an interrupt in
                del inside["call"]

    return entered


class Batch:
    """Many minimizers, each of them an `LBFGSB`, asked and told together.

    The lanes do not know of each other: every one takes the points, to the bit, that an `LBFGSB`
    with its start, bounds and options would take, whatever the others do and whenever it began.

    Parameters
    ----------
    x0s : (N, n) array_like, optional
        The starts, a row each; moved into the bounds where they lie outside.
    bounds : optional
        As in `LBFGSB`, shared by all starts; or an own pair for every variable of every start:
        an (N, n, 2) array, or a `scipy.optimize.Bounds` of (N, n) arrays.
    lanes : int, optional
        How many minimizers run at a time; the next start takes the place of one that has ended.
        Without it all of them.
    total : int, optional
        Number of starts in all: those missing in `x0s` are drawn from the Sobol sequence of the
        (shared, finite) bounds.
    seed : int
        Seed of that sequence.
    **options
        Those of `LBFGSB`, for each minimizer: maxcor, ftol, gtol, maxfun, maxiter, maxls,
        initial_step, noise.

    Raises
    ------
    InputError
        If the starts, the bounds or an option cannot be used.

    Notes
    -----
    Like an `LBFGSB`, a batch can be pickled, copied or turned into a dict between any two calls,
    and what comes back goes on with the same bits.  A lane takes some ``8 (10 n + 2 n maxcor + 5
    maxcor^2)`` bytes while it runs; of a start that waits or has ended ``16 n`` are kept.

    Examples
    --------
    >>> batch = Batch([[-1.0, 3.0], [0.5, 0.5]], bounds=[(0, 1), (None, None)])
    >>> while not batch.done:
    ...     x = batch.ask()
    ...     batch.tell(((x - 2) ** 2).sum(axis=1), 2 * (x - 2))
    >>> batch.result.x
    array([[1., 2.],
           [1., 2.]])
    """

    __slots__ = (
        "_begun",
        "_bounds",
        "_ended",
        "_inside",
        "_lanes",
        "_limit",
        "_options",
        "_points",
        "_reasons",
        "_records",
        "_said",
        "_sides",
        "_states",
        "_unsettled",
    )

    def __init__(
        self,
        x0s: Any = None,
        bounds: Any = None,
        *,
        lanes: int | None = None,
        total: int | None = None,
        seed: int = 0,
        **options: Unpack[OptionArguments],
    ) -> None:
        checked = Options.read(options)
        if lanes is not None:
            check_integer("lanes", lanes, 1)
        x, lower, upper = reading.read_problem(x0s, bounds, total, seed)
        if x.shape[1] >= LARGE and not compiled():
            say_interpreted()
        self._lay_out(checked, Records.of(x), (lower, upper), len(x) if lanes is None else lanes)
        self._refill()

    def _lay_out(
        self, options: Options, records: Records, bounds: tuple[Vector, Vector], most: int
    ) -> None:
        """Make these the batch's, with no run that has begun."""
        count, n = records.x.shape
        self._options = options
        self._records = records
        self._bounds = bounds
        self._sides = sum(np.isfinite(side).sum(axis=1) for side in bounds)
        self._limit = min(int(most), max(count, 1))
        self._begun = 0
        self._lanes: Indices = np.zeros(0, dtype=np.intp)
        self._states: tuple[State, ...] = ()
        self._points: Vector = np.empty((min(self._limit, count), n))
        self._reasons: dict[int, str] = {}
        self._ended: tuple[tuple[int, State], ...] = ()
        self._inside: dict[str, int] = {}
        self._unsettled = self._said = False

    @alone
    def ask(self) -> Vector:
        """Return the points to evaluate next, the same until they are told.

        Returns
        -------
        (k, n) array
            A copy; a row for each lane that runs, in the order of `lanes`, inside its bounds.

        Raises
        ------
        ProtocolError
            If all runs have ended.
        """
        self._check_open("ask")
        return self._points[: len(self._states)].copy()

    @alone
    def tell(self, f: Any, g: Any) -> None:
        """Tell the values and gradients at the points that `ask` gives.

        Where a value, or a component of a gradient, is not finite, the evaluation of that lane has
        failed: its step goes back, see `advance_failure`; the others take no notice.

        Parameters
        ----------
        f : (k,) array_like
            Values.  float32 is taken, with a warning, as are other kinds of real numbers.
        g : (k, n) array_like
            Gradients.

        Raises
        ------
        ProtocolError
            If all runs have ended, or another thread is calling this batch.
        InputError
            If `f` or `g` has another shape, or holds no real numbers; nothing is changed.
        """
        self._check_open("tell")
        k = len(self._states)
        values, gradients, coarse = reading.read_evaluation(f, g, k, self.n)
        if coarse and not self._said:
            self._say_coarse()
        self._unsettled = True
        states = self._states
        if not compiled():  # then an interrupt can come in between
            states = tuple(state.copy() for state in states)
        ended = advance_lanes(states, values, gradients, self._points[:k])
        self._states = states
        self._settle(ended)

    @alone
    def halt(self, reason: str = "", lanes: Iterable[int] | None = None) -> None:
        """End runs from outside, without success; what was evaluated stays in `result`.

        Parameters
        ----------
        reason : str, optional
            Kept for the message.
        lanes : iterable of int, optional
            Indices of the starts whose runs are to end, those that have not begun too; without
            it, all of them.

        Raises
        ------
        ProtocolError
            If one of these runs has ended already.
        InputError
            If `lanes` does not hold whole numbers.
        """
        self._check_open("halt")
        running = np.flatnonzero(self._records.stop == Stop.RUNNING)
        chosen = set(running.tolist() if lanes is None else reading.read_lanes(lanes))
        wrong = chosen - set(running.tolist())
        if wrong:
            raise ProtocolError(
                f"halt: the run of start {min(wrong)} has ended, or there is no such start"
            )
        places = [place for place, lane in enumerate(self._lanes) if int(lane) in chosen]
        self._unsettled = True
        for place in places:
            machine.halt(self._states[place])
        for lane in chosen:
            self._records.stop[lane] = Stop.HALTED
            if reason:
                self._reasons[lane] = str(reason)
        self._settle(places)

    def _check_open(self, call: str) -> None:
        if not self._states:
            raise ProtocolError(f"{call}: all {len(self._records.x)} runs have ended")

    def _say_coarse(self) -> None:
        self._said = True
        say(
            "values or gradients came as float32: they are taken, but differences below 1e-7 of "
            "them are rounding; return float64 if you can (in JAX: jax_enable_x64)",
            RuntimeWarning,
        )

    def _settle(self, places: list[int]) -> None:
        """Do what is to be done after states have moved, those at `places` to their end."""
        self._ended = tuple((int(self._lanes[p]), self._states[p]) for p in places)
        if places:
            self._retire(places)
            self._refill()
        self._unsettled = False

    def _recover(self) -> None:
        """Settle what an interrupt (Ctrl-C arrives when the kernel returns) has left unsettled."""
        if self._unsettled:
            self._settle([p for p, s in enumerate(self._states) if s.phase == Phase.DONE])
            self._refill()
            for point, state in zip(self._points, self._states, strict=False):
                point[:] = state.vector("xt")

    def _look(self) -> None:
        """Settle what an interrupt has left, unless a call of another thread is at it."""
        me = threading.get_ident()
        if self._unsettled and self._inside.get("call", me) == me:
            self._recover()

    def _retire(self, places: list[int]) -> None:
        """Record the runs at these places and close the ranks."""
        for place in places:
            self._records.write(int(self._lanes[place]), self._states[place])
        k = len(self._states)
        stay = np.ones(k, dtype=bool)
        stay[places] = False
        states = tuple(s for s, stays in zip(self._states, stay, strict=True) if stays)
        self._points[: len(states)] = self._points[:k][stay]
        self._states, self._lanes = states, self._lanes[stay]

    def _refill(self) -> None:
        """Begin with the next starts, as many as there is room for."""
        while self._begun < len(self._records.x) and len(self._states) < self._limit:
            k = len(self._states)
            first, last = self._begun, self._begun + self._limit - k
            next_ones = first + np.flatnonzero(self._records.stop[first:last] == Stop.RUNNING)
            self._points[k : k + next_ones.size] = self._records.x[next_ones]
            states = self._states + tuple(self._new(int(lane)) for lane in next_ones)
            lanes = np.concatenate([self._lanes, next_ones])
            last = min(last, len(self._records.x))
            self._states, self._lanes, self._begun = states, lanes, last

    def _new(self, lane: int) -> State:
        """Return the state of a run that begins."""
        lower, upper = self._bounds
        row = lane if len(lower) > 1 else 0
        x, sides = self._records.x[lane], int(self._sides[row])
        return set_up(x, lower[row], upper[row], sides, self._options)

    @property
    def n(self) -> int:
        """Number of variables."""
        return int(self._records.x.shape[1])

    @property
    def done(self) -> bool:
        """Whether all runs have ended."""
        self._look()
        return not self._states

    @property
    def lanes(self) -> Indices:
        """The indices of the starts whose runs are under way, in the order of `ask`."""
        self._look()
        return self._lanes.copy()

    @property
    def states(self) -> tuple[State, ...]:
        """The states of these runs, to look at."""
        self._look()
        return self._states

    @property
    def ended(self) -> tuple[tuple[int, State], ...]:
        """Index and last state of the runs that the last `tell` (or `halt`) has ended."""
        return self._ended

    @property
    def waiting(self) -> int:
        """How many starts have not begun."""
        return int(np.count_nonzero(self._records.stop[self._begun :] == Stop.RUNNING))

    @property
    def nfev(self) -> int:
        """Evaluations told, failed ones included."""
        self._look()
        return int(self._records.nfev.sum()) + sum(state.nfev for state in self._states)

    @property
    @alone
    def result(self) -> OptimizeResult:
        """How the runs stand or ended, in arrays with a row for each start.

        Returns
        -------
        scipy.optimize.OptimizeResult
            x (N, n), fun (N,) and jac (N, n) of the best evaluation of each run (the start and
            NaN where there is none); nfev, nit, nfail, status, success, stop (`Stop` as a number),
            each (N,); message, a list; and best, the index of the lowest fun, or None.
        """
        return self._present().result(self._reasons)

    def _present(self) -> Records:
        """Return records that know the runs under way too."""
        records = Records(**self._records.to_dict())
        for lane, state in zip(self._lanes, self._states, strict=True):
            records.write(int(lane), state)
        return records

    def copy(self) -> Batch:
        """Return an independent copy that goes on in the same way.

        What a derived class has set besides is shared.
        """
        new = type(self).from_dict(self.to_dict())
        return stored.hand_on(stored.own(self, Batch.__slots__), new)

    __copy__ = copy

    def __deepcopy__(self, memo: dict[int, Any]) -> Batch:
        return stored.hand_on_copied(stored.own(self, Batch.__slots__), self.copy(), self, memo)

    @alone
    def to_dict(self) -> dict[str, Any]:
        """Return the whole state: a version, numbers, strings and arrays; nothing else."""
        lower, upper = self._bounds
        return {
            "version": VERSION,
            "n": self.n,
            "options": dataclasses.asdict(self._options),
            "limit": self._limit,
            "begun": self._begun,
            "lower": lower.copy(),
            "upper": upper.copy(),
            "records": self._records.to_dict(),
            "lanes": self._lanes.copy(),
            "states": [state.to_dict() for state in self._states],
            "reasons": [[lane, reason] for lane, reason in self._reasons.items()],
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Batch:
        """Rebuild a batch from `to_dict`; arrays may have become lists on the way.

        Raises
        ------
        InputError
            If the dict is not one of `to_dict`, or of a later version.
        """
        self = cls.__new__(cls)
        try:
            if fields["version"] != VERSION:
                raise InputError(
                    f"this batch was stored with version {fields['version']!r} of the format; "
                    f"this optdriver reads version {VERSION}"
                )
            self._restore(fields)
        except InputError:
            raise
        except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise InputError(f"this is no stored Batch: {error!r}") from error
        return self

    def _restore(self, fields: Mapping[str, Any]) -> None:
        n = stored.whole("n", fields["n"])
        options = Options.read(fields["options"])
        records = Records.from_dict(fields["records"], n)
        bounds = reading.stored_bounds(fields["lower"], fields["upper"], records.x.shape)
        if not ((bounds[0] <= records.x) & (records.x <= bounds[1])).all():
            raise ValueError("a start or a best point is not inside the bounds")
        self._lay_out(options, records, bounds, stored.whole("limit", fields["limit"]))
        self._begun = stored.whole("begun", fields["begun"])
        self._states = tuple(from_dict(state) for state in fields["states"])
        self._lanes = stored.counts("lanes", fields["lanes"], len(self._states))
        self._reasons = {
            stored.whole("lane", lane): stored.text("reason", reason)
            for lane, reason in fields["reasons"]
        }
        self._check_lanes()
        self._unsettled = True
        self._recover()

    def _check_lanes(self) -> None:
        """Raise unless the runs under way can be advanced; the kernel does not look."""
        count, lanes = len(self._records.x), self._lanes
        if len(set(lanes.tolist())) != lanes.size:
            raise ValueError(f"a lane is there twice: {lanes}")
        if lanes.size > self._limit or not (lanes < self._begun).all():
            raise ValueError(f"the lanes are {lanes}")
        if not (0 <= self._begun <= count and (self._records.stop[lanes] == Stop.RUNNING).all()):
            raise ValueError(f"{self._begun} runs of {count} have begun")
        for lane, state in zip(lanes, self._states, strict=True):
            self._check_state(self._new(int(lane)), state)
        running = int(np.count_nonzero(self._records.stop[: self._begun] == Stop.RUNNING))
        if running != lanes.size or (self._limit < 1 and count):
            raise ValueError(f"{lanes.size} of {running} runs are under way, {self._limit} at most")
        if not set(self._reasons) <= set(range(count)):
            raise ValueError(f"the reasons are those of {list(self._reasons)}")

    @staticmethod
    def _check_state(new: State, state: State) -> None:
        """Raise unless a run under way is one that began as `new` does."""
        same = ("n", "m", *OWN)
        if any(getattr(new, name) != getattr(state, name) for name in same) or any(
            not np.array_equal(new.vector(side), state.vector(side)) for side in ("l", "u")
        ):
            raise ValueError("a state has other bounds or options than the batch")
        if state.phase == Phase.DONE:
            raise ValueError("a state under way has ended")

    def __reduce__(self) -> tuple[Any, ...]:
        beside = stored.pickled_beside(self, Batch.__slots__)
        return type(self).from_dict, (self.to_dict(),), beside

    def __repr__(self) -> str:
        return (
            f"<Batch n={self.n} starts={len(self._records.x)} running={len(self._states)} "
            f"waiting={self.waiting} nfev={self.nfev}>"
        )
