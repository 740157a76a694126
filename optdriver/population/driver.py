"""A driver made of another package's ask/tell optimizer."""

from __future__ import annotations

import copy
import math
import operator
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from optdriver import stored
from optdriver.coroutine import constraints as walls
from optdriver.coroutine.state import ReplayWarning
from optdriver.errors import InputError, InputTypeError, ProtocolError, UnknownIdError, say
from optdriver.errors import unknown_option as _unknown_option
from optdriver.multistart import OPTION_NAMES, admission, going_on, told
from optdriver.multistart.admission import Moved
from optdriver.multistart.ledger import FAILED, TOLD, Ledger
from optdriver.multistart.options import check_bounds, check_samples, check_wanted
from optdriver.multistart.records import Evaluation, Fill, Minimum, Point, PointArrays, Run
from optdriver.numerics import PASSING, quiet
from optdriver.population import state as states
from optdriver.population.engines import Engine, checked_options, create_engine
from optdriver.population.state import PopulationState, Row, Vector
from optdriver.reading import real_number, real_vector
from optdriver.undo import Undo, Undoing

if TYPE_CHECKING:
    from optdriver.constraints import ConstraintSet

OPTIONS = tuple(name for name in OPTION_NAMES if name != "method")

CLOSE = 1e-6


class PopulationDriver(Undoing[PopulationState]):
    """CMA-ES, or an optimizer of Nevergrad's, asked and told by ids.

    Parameters
    ----------
    bounds : sequence of (low, high), array of shape (n, 2), or scipy.optimize.Bounds
        The box; finite.  ``low == high`` fixes a variable.
    engine : str
        ``'CMA-ES'``, or a name of Nevergrad's.
    seed : int
    initial_samples : array_like, shape (k, n), optional
        The k-th run begins there: the mean of the first generation, or the first point.
    max_num_minimizers : int or math.inf
        Stop when so many runs have converged; a CMA-ES that has ended begins again, with another
        seed.  Nevergrad's optimizers end with their budget.
    method_options : mapping, optional
        ``population_size`` and ``sigma`` (0.3 of the box) of CMA-ES; ``budget`` (1000) and
        ``num_workers`` (1) of Nevergrad's.
    constraints : ConstraintSet, str, or sequence of str or mappings, optional
        As `optdriver.MultiStart` takes them.  Every asked point satisfies them: a point that the
        optimizer proposes outside is replaced by the nearest feasible one, whose value it is told
        for its own.
    project_starts : bool
        Move initial samples that violate a constraint to the nearest feasible point, see `moved`.
    **others
        The other options of `optdriver.MultiStart`, which mean nothing here.

    Notes
    -----
    What the optimizer sees under constraints is f(P(x)), with P(x) the nearest feasible point.
    Beside drawing again until a point is feasible, and beside telling P(x) as the point drawn,
    CMA-ES takes a half to a tenth of the evaluations this way, and equalities are no case apart.

    `ask` returns no point while CMA-ES waits for the rest of a generation.  The order of the tells
    does not matter within it.
    """

    _ours = (*Undoing._ours, "_engine")  # noqa: SLF001  # our own class

    def __init__(
        self,
        bounds: Any,
        *,
        engine: str,
        seed: int = 0,
        initial_samples: Any = None,
        max_num_minimizers: float = math.inf,
        method_options: Any = None,
        constraints: Any = None,
        project_starts: bool = True,
        **others: Any,
    ) -> None:
        for name in others:
            if name not in OPTIONS:
                raise _unknown_option(f"option of driver {engine}", name, OPTIONS)
        lower, upper = check_bounds(bounds)
        samples = check_samples(initial_samples, lower, upper)
        known = admission.compiled(constraints, lower, upper)
        if known is not None:
            lower, upper = known.lower.copy(), known.upper.copy()
        for i in np.flatnonzero(~(np.isfinite(lower) & np.isfinite(upper))):
            raise InputError(
                f"driver {engine!r} needs a finite box, and variable {i} has the bounds "
                f"({lower[i]}, {upper[i]})"
            )
        self._undo = Undo()
        whole = _count("seed", seed, 0)
        starts = states.feasible_starts(known, whole)
        samples, moved = admission.admit(known, samples, starts, project_starts)
        self._now = PopulationState(
            engine=engine,
            options=checked_options(engine, method_options),
            seed=whole,
            lower=lower,
            upper=upper,
            samples=samples,
            constraints=known,
            moved=moved,
            most=_count("max_num_minimizers", max_num_minimizers, 1),
            ledger=Ledger(),
            catalogue=states.new_catalogue(lower, upper),
        )
        self._engine: Engine | None = None
        if np.any(lower < upper):
            self._new_engine()  # its errors belong here

    # -- what is known ------------------------------------------------------------------------

    @property
    def pending(self) -> tuple[Point, ...]:
        """The points that were asked and have not been told, in the order of their ids."""
        return tuple(self._state.pending.values())

    @property
    def constraints(self) -> ConstraintSet | None:
        """The constraints, or None."""
        return self._state.constraints

    @property
    def moved(self) -> tuple[Moved, ...]:
        """The initial samples that violated a constraint, and where they were moved."""
        return tuple(self._state.moved)

    @property
    def done(self) -> bool:
        """Whether there is nothing more to ask; see `stop_reason`."""
        return self.stop_reason is not None

    @property
    def stop_reason(self) -> str | None:
        """Why there is nothing more to ask, or None."""
        return self._state.ended if self._state.ended is not None else self._state.halted

    @property
    def best(self) -> Evaluation | None:
        """The lowest value told, and where."""
        return self._state.best

    @property
    def minima(self) -> list[Minimum]:
        """The distinct points to which runs have converged, lowest first."""
        return self._state.catalogue.minima()

    @property
    def num_minima(self) -> int:
        """How many there are."""
        return len(self._state.catalogue)

    @property
    def runs(self) -> list[Run]:
        """A row for each run."""
        return [
            Run(
                index=index,
                start=index,
                x0=row.x0.copy(),
                state=cast(Literal["running", "converged", "stopped", "failed"], row.state),
                reason=row.reason,
                nfev=row.nfev,
                nfail=row.nfail,
                x=None if row.x is None else row.x.copy(),
                f=None if math.isnan(row.f) else row.f,
            )
            for index, row in enumerate(self._state.runs)
        ]

    @property
    def nfev(self) -> int:
        """Evaluations told, failures included."""
        return self._state.nfev

    @property
    def nfail(self) -> int:
        """Failed evaluations."""
        return self._state.nfail

    @property
    def failed_in_row(self) -> int:
        """Evaluations that failed since the last one that did not."""
        return self._state.failed_in_row

    @property
    def turns(self) -> int:
        """Runs begun and ended."""
        ended = sum(row.state != "running" for row in self._state.runs)
        return len(self._state.runs) + ended + (self._state.ended is not None)

    # -- ask and tell -------------------------------------------------------------------------

    @quiet
    def ask(self, n: int = 1, *, fill: Fill = False) -> list[Point]:  # noqa: ARG002
        """Return up to `n` new points; fewer while the optimizer waits for what is out.

        That cannot be filled up: a generation has the size that it has.

        Raises
        ------
        InputError
            `n` is not a positive integer.
        """
        check_wanted(n)
        return self._change(PopulationDriver._ask, int(n))

    def ask_arrays(self, n: int = 1, *, fill: Fill = False) -> PointArrays:
        """Return the points that `ask` would return, as columns."""
        points = self.ask(n, fill=fill)
        x = np.array([p.x for p in points]).reshape(len(points), self._state.lower.size)
        return PointArrays(
            [p.id for p in points], [p.run for p in points], [p.kind for p in points], x
        )

    def _ask(self, n: int) -> list[Point]:
        points: list[Point] = []
        try:
            while len(points) < n and not self.done and self._room() > 0:
                points.append(self._issue())
        except Exception as error:  # noqa: BLE001 (whatever another package raises)
            self._break_off(error)
        return points

    def _break_off(self, error: Exception) -> None:
        """End with an exception of the optimizer: what set it off is recorded already."""
        if isinstance(error, PASSING):
            raise error
        state = self._state
        state.ended = f"{state.engine} ended by an error: {type(error).__name__}: {error}"
        if state.runs and state.runs[-1].state == "running":
            row = state.runs[-1]
            row.state, row.reason = "failed" if row.x is None else "stopped", state.ended
        self._clear_run()

    def _clear_run(self) -> None:
        state = self._state
        state.steps, state.points, state.proposals, state.values = [], [], [], []
        state.first = len(state.ledger.status)
        self._engine = None

    def _room(self) -> float:
        state = self._state
        if not np.any(state.lower < state.upper):
            return 0 if state.points else 1
        return self._running().room

    def _issue(self) -> Point:
        state = self._state
        proposal = self._next()
        x = self._admitted(proposal)
        if not state.points:
            state.first = len(state.ledger.status)
            state.runs.append(Row(x0=x.copy()))
        state.steps.append(2 * len(state.points))
        state.points.append(x)
        state.proposals.append(proposal)
        state.values.append(math.nan)
        point = states.new_point(state.ledger.new_id(), len(state.runs) - 1, x)
        state.pending[point.id] = point
        return point

    def _next(self) -> Vector:
        if not np.any(self._state.lower < self._state.upper):
            return self._state.lower.copy()
        return self._to_box(self._running().ask())

    def _admitted(self, proposal: Vector) -> Vector:
        """Return the feasible point that is evaluated for one that the optimizer proposes."""
        state = self._state
        if not walls.has_rows(state.constraints):
            return proposal
        weights = walls.sizes(state.lower, state.upper, proposal)
        found = walls.nearest(state.constraints, proposal, weights)
        if found is None and state.runs and state.points:
            return state.runs[-1].x0.copy()  # it is far from everything feasible
        return states.first_feasible(state) if found is None else found

    @quiet
    def tell(self, id: int, f: float, g: Any = None) -> None:
        """Tell the value at the point called `id`; a gradient is kept with the best point.

        A value that is not finite is a failed evaluation; a gradient that is not is left out.

        Raises
        ------
        InputError
            `f` or `g` cannot be used.  The point stays pending.
        UnknownIdError
            No such point was handed out.
        ProtocolError
            Something else was told for this point before.
        """
        value = real_number("the value", f)
        gradient = None if g is None else real_vector("the gradient", g, self._state.lower.size)
        if gradient is not None:  # no engine needs it
            gradient = gradient.copy() if np.isfinite(gradient).all() else None
        status = TOLD if math.isfinite(value) else FAILED
        self._change(PopulationDriver._settle, id, status, value, gradient)

    def expect_noise(self, id: int, noise: float) -> None:
        """Take note of how exact the next value is: ranks of values have no use for it."""

    def tell_arrays(self, ids: Sequence[int], f: Vector, g: Any = None) -> None:
        """Tell the values, and gradients, at several points, one after the other: see `tell`."""
        gradients = [None] * len(ids) if g is None else g
        for id, value, gradient in zip(ids, f, gradients, strict=True):
            self.tell(id, value, gradient)

    @quiet
    def tell_failure(self, id: int, reason: str = "") -> None:  # noqa: ARG002 (no engine asks why)
        """Tell that the evaluation of the point called `id` failed.

        Raises
        ------
        UnknownIdError
            No such point was handed out.
        ProtocolError
            A value was told for this point before.
        """
        self._change(PopulationDriver._settle, id, FAILED, math.nan, None)

    def _settle(self, id: Any, status: int, f: float, g: Vector | None) -> None:
        state = self._state
        point = self._pending(id)
        if point is None:
            if not state.ledger.same(id, status, f, g):
                before = state.ledger.status[id] == FAILED
                said = "a failure" if before else f"f = {state.ledger.f[id]}"
                raise ProtocolError(
                    f"point {id} was told before, with {said}: each id is told once "
                    "(telling the same again does nothing)"
                )
            return
        running = point.id >= state.first and state.runs[-1].state == "running"
        engine, error = None, None
        if running and np.any(state.lower < state.upper):
            try:
                engine = self._running()
            except Exception as caught:  # noqa: BLE001 (it is looked at once this is booked)
                error = caught
        del state.pending[point.id]
        state.ledger.close(point.id, status, f, g)
        self._count(point, status, f, g)
        if running:
            k = point.id - state.first
            state.steps.append(2 * k + 1)
            state.values[k] = f if status == TOLD else math.nan
            self._go_on(engine, k, error)

    def _go_on(self, engine: Engine | None, k: int, error: Exception | None) -> None:
        """Let the optimizer take the k-th value of its run, and end the run if that is over."""
        state = self._state
        try:
            if error is not None:
                raise error
            if engine is not None:
                engine.tell(k, self._to_unit(state.proposals[k]), state.values[k])
            self._end_run_if_over(engine)
        except Exception as caught:  # noqa: BLE001 (whatever another package raises)
            self._break_off(caught)

    def _pending(self, id: Any) -> Point | None:
        try:
            point = self._state.pending.get(id)
            known = point is not None or 0 <= operator.index(id) < len(self._state.ledger.status)
        except TypeError:
            known = False
        if not known:
            raise UnknownIdError(f"no point with id {id!r} was asked; ids are those of ask()")
        return point

    def _count(self, point: Point, status: int, f: float, g: Vector | None) -> None:
        state, row = self._state, self._state.runs[point.run]
        state.nfev += 1
        row.nfev += 1
        if status == FAILED:
            state.nfail += 1
            state.failed_in_row += 1
            row.nfail += 1
            return
        state.failed_in_row = 0
        if row.x is None or f < row.f:
            row.x, row.f = point.x.copy(), f
        if state.best is None or f < state.best.f:
            kept = None if g is None else states.protected(g)
            state.best = Evaluation(x=point.x, f=f, g=kept, id=point.id, run=point.run)

    def _end_run_if_over(self, engine: Engine | None) -> None:
        state, row = self._state, self._state.runs[-1]
        over = (True, "all variables are fixed") if engine is None else engine.ended
        if over is None:
            return
        converged, row.reason = over
        if row.x is None:
            converged = False
        row.state = "converged" if converged else "failed" if row.x is None else "stopped"
        if converged and row.x is not None:
            state.catalogue.add(row.x, row.f, len(state.runs) - 1, len(state.runs) - 1)
        number = sum(each.state == "converged" for each in state.runs)
        if number >= state.most:
            state.ended = f"{number} run{'s have' if number != 1 else ' has'} converged"
        elif not converged or engine is None:
            state.ended = row.reason
        self._clear_run()

    @quiet
    def add_point(self, x: Any, f: float, g: Any = None) -> None:
        """Add an evaluation that was not asked for: it counts for `best`.

        Raises
        ------
        InputError
            The point is out of bounds, violates a constraint or has the wrong shape, or `f` or `g`
            is not finite.
        """
        state = self._state
        point = states.protected(told.as_point(x, state.lower, state.upper))
        value = real_number("the value", f)
        gradient = None if g is None else real_vector("the gradient", g, state.lower.size)
        admission.check_added(state.constraints, point)
        if not told.is_usable(value, gradient):
            raise InputError(f"only finite values and gradients can be added, not f = {value}")
        kept = None if gradient is None else states.protected(gradient)
        self._change(PopulationDriver._add, Evaluation(x=point, f=value, g=kept, id=None, run=None))

    def _add(self, evaluation: Evaluation) -> None:
        if self._now.best is None or evaluation.f < self._now.best.f:
            self._now.best = evaluation

    def finish(self, reason: str) -> None:
        """Stop from outside: nothing more is asked; points that are out can still be told."""
        self._change(PopulationDriver._halt, str(reason))

    def resume(self) -> None:
        """Take back `finish`."""
        self._change(PopulationDriver._halt, None)

    def _halt(self, reason: str | None) -> None:
        self._now.halted = reason

    def configure(self, **given: Any) -> None:
        """Change `max_num_minimizers`, and add `initial_samples`; the others mean nothing here.

        Raises
        ------
        InputError
            Something else was given, or a value cannot be used; nothing has changed.
        """
        for name in given:
            if name not in (*going_on.CHANGEABLE, going_on.SAMPLES):
                raise _unknown_option("option that can be changed", name, going_on.CHANGEABLE)
        self._change(PopulationDriver._reconfigure, copy.deepcopy(given))

    def _reconfigure(self, given: Mapping[str, Any]) -> None:
        state = self._state
        most = _count("max_num_minimizers", given.get("max_num_minimizers", state.most), 1)
        new = check_samples(given.get(going_on.SAMPLES, ()), state.lower, state.upper)
        starts = states.feasible_starts(state.constraints, state.seed)
        new, moved = admission.admit(state.constraints, new, starts, project_starts=True)
        state.most, state.samples = most, np.concatenate([state.samples, new])
        state.moved.extend(moved)
        converged = sum(row.state == "converged" for row in state.runs)
        unused = len(state.samples) > len(state.runs)
        if state.ended is not None and converged < most:
            last = state.runs[-1].state
            if unused or (last == "converged" and np.any(state.lower < state.upper)):
                state.ended = None

    # -- the engine ---------------------------------------------------------------------------

    def _running(self) -> Engine:
        """Return the engine of the present run, which has gone through its asks and tells."""
        if self._engine is None:
            self._new_engine()
        engine = self._engine
        if engine is None:
            raise ProtocolError("there is no optimizer")
        return engine

    def _new_engine(self) -> None:
        state = self._state
        run = len(state.runs) - (1 if state.points else 0)
        start = self._to_unit(state.samples[run]) if run < len(state.samples) else None
        free = int(np.count_nonzero(state.lower < state.upper))
        # Independent streams for each run, from one seed.
        seed = int(np.random.SeedSequence([state.seed, run]).generate_state(1)[0] % 2**31)
        engine = create_engine(state.engine, start, free, seed, state.options)
        for step in state.steps:
            k = step // 2
            if step % 2:
                engine.tell(k, self._to_unit(state.proposals[k]), state.values[k])
            elif not np.allclose(self._to_box(engine.ask()), state.proposals[k], rtol=CLOSE):
                say(
                    f"{state.engine}, run again through its recorded points, asked others (another "
                    "version of its package?): the recorded ones count",
                    ReplayWarning,
                )
        self._engine = engine

    def _to_box(self, u: Vector) -> Vector:
        state = self._state
        free = state.lower < state.upper
        x = state.lower.copy()
        low, high = state.lower[free], state.upper[free]
        x[free] = np.clip(low * (1.0 - u) + high * u, low, high)
        return x

    def _to_unit(self, x: Vector) -> Vector:
        state = self._state
        free = state.lower < state.upper
        low, high = state.lower[free] / 2, state.upper[free] / 2  # halves: a width can overflow
        return np.asarray((x[free] / 2 - low) / (high - low))

    # -- state as data ------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Return the state as a dict of numbers, strings, lists and arrays."""
        return states.to_dict(self._state)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> PopulationDriver:
        """Return the driver whose `to_dict` gave `data`, lists for arrays or not.

        Raises
        ------
        InputError
            This is no such dict, or it is of another version.
        """
        new = cls.__new__(cls)
        new.__setstate__(data)
        return new

    def copy(self) -> PopulationDriver:
        """Return an independent copy; what a derived class has set besides is shared."""
        new = type(self).from_dict(self.to_dict())
        return stored.hand_on(stored.own(self, self._ours), new)

    __copy__ = copy

    def __deepcopy__(self, memo: dict[int, Any]) -> PopulationDriver:
        return stored.hand_on_copied(stored.own(self, self._ours), self.copy(), self, memo)

    def _data(self) -> dict[str, Any]:
        return states.to_dict(self._state, plain=False)

    def restore(self, data: Mapping[str, Any]) -> None:
        """Go on from a state of `to_dict`."""
        self._engine = None
        self._now = states.from_dict(data)

    def __repr__(self) -> str:
        return f"<PopulationDriver {self._state.engine} nfev={self.nfev} {self.stop_reason or ''}>"


def _count(name: str, value: Any, least: int) -> Any:
    if value == math.inf and name != "seed":
        return math.inf
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise InputTypeError(f"{name} must be an integer of at least {least}, not {value!r}")
    return int(value)
