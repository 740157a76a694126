"""The whole state of a multi-start: records, arrays and numbers, and how they become a dict."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from itertools import repeat
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from optdriver import stored
from optdriver.coroutine.constraints import is_admitted
from optdriver.errors import InputError, InputTypeError
from optdriver.multistart import admission, heard, linkage, local, soundness, start_rules
from optdriver.multistart import run as runs
from optdriver.multistart.admission import Moved
from optdriver.multistart.catalogue import Catalogue
from optdriver.multistart.ledger import Ledger
from optdriver.multistart.linkage import Linkage
from optdriver.multistart.options import MultiStartOptions, start_limit
from optdriver.multistart.records import Evaluation, Point, PointArrays, PointKind
from optdriver.multistart.report import Report
from optdriver.multistart.run import Search
from optdriver.multistart.start_rules import Samples
from optdriver.outstanding import Outstanding
from optdriver.space.sampling import Starts

if TYPE_CHECKING:
    from optdriver.constraints import ConstraintSet
    from optdriver.multistart.feasible_starts import FeasibleStarts

Vector = NDArray[np.float64]

VERSION = 1


@dataclass(slots=True)
class MultiStartState:
    """What `MultiStart` knows.

    Attributes
    ----------
    options, lower, upper, bounds, initial_samples
        What it was given, the samples as they were moved; the bounds also as pairs.
    constraints : ConstraintSet or None
        The constraints, whose box `lower` and `upper` are.
    moved : list of Moved
        The initial samples that were moved onto the feasible set.
    start_limit : float
        How many starts there are.
    next_start : int
        Starts taken so far, the user's and those of the sequence.
    sample_starts : list of int
        Which of these were the user's; the k-th took the k-th initial sample.
    sequence : Starts
        The starts that come after the user's.
    runs : list of Search
        All runs in the order of opening.
    live, converged, stopped : int
        How many runs have a point out or to be asked, have converged, have stopped otherwise
        (failed ones not counted).
    extra : list of int
        The live runs beyond `num_initial`, oldest first.
    ready, spare : deque of (run, slot)
        Points to be asked, first come, first served: those of the first `num_initial` live runs,
        and those of the extra ones.
    out : Outstanding of Point
        Asked and not told.
    ledger, catalogue, samples, linkage, best
        What was told.
    nfev, nfail : int
        Evaluations told, failures included, and the failures among them.
    failed_in_row : int
        Iterates that failed, over all runs, since the last one that got its gradient.
    noise : float
        The largest standard deviation that was told with a value.
    residuals : int
        How many residuals are told at each point, 0 before the first, or where values are told.
    ended, halted : str or None
        Why it has come to its end, and why it was stopped from outside.
    feasible_starts : FeasibleStarts or None
        Where the starts after the user's come from under constraints; computed from the rest.
    report : Report
        Rows of the runs; computed from them.
    """

    options: MultiStartOptions
    lower: Vector
    upper: Vector
    bounds: Vector
    initial_samples: Vector
    constraints: ConstraintSet | None
    moved: list[Moved]
    start_limit: float
    next_start: int
    sample_starts: list[int]
    sequence: Starts
    runs: list[Search]
    live: int
    converged: int
    stopped: int
    extra: list[int]
    ready: deque[tuple[int, int]]
    spare: deque[tuple[int, int]]
    out: Outstanding[Point, PointArrays]
    ledger: Ledger
    catalogue: Catalogue
    samples: Samples
    linkage: Linkage
    best: Evaluation | None
    nfev: int
    nfail: int
    failed_in_row: int
    residuals: int
    ended: str | None
    halted: str | None
    feasible_starts: FeasibleStarts | None
    noise: float = 0.0
    report: Report = field(default_factory=Report)

    @property
    def pending(self) -> dict[int, Point]:
        """What is asked and not told, by id."""
        return self.out.by_id

    @property
    def sampled(self) -> bool:
        """Whether starts are evaluated before it is decided if a minimizer begins there."""
        return self.options.start_rule in ("mlsl", "auto") and self.start_limit == math.inf

    @property
    def linked(self) -> bool:
        """Whether starts and runs are judged by what is known of basins."""
        return self.options.start_rule == "auto" and self.start_limit == math.inf

    @property
    def leaves(self) -> bool:
        """Whether points that violate constraints may be asked."""
        return not self.options.must_stay_feasible and local.may_leave(
            self.options.method, self.constraints
        )

    def counts(self, x: Vector, kind: str) -> bool:
        """Return whether a point is feasible, to the tolerance, so that it can be the best."""
        constraints = self.constraints
        return constraints is None or not self.leaves or is_admitted(constraints, x, kind)


def begin(
    options: MultiStartOptions,
    lower: Vector,
    upper: Vector,
    initial_samples: Vector,
    constraints: ConstraintSet | None = None,
) -> MultiStartState:
    """Return the state before anything was asked."""
    if constraints is not None:
        constraints = constraints.by_rule(options.constraint_rule)
    return MultiStartState(
        options=options,
        lower=lower,
        upper=upper,
        bounds=np.column_stack([lower, upper]),
        initial_samples=initial_samples,
        constraints=constraints,
        moved=[],
        start_limit=start_limit(options, initial_samples, lower, upper),
        next_start=0,
        sample_starts=[],
        sequence=Starts(kind=options.sequence, seed=options.seed),
        runs=[],
        live=0,
        converged=0,
        stopped=0,
        extra=[],
        ready=deque(),
        spare=deque(),
        out=Outstanding(),
        ledger=Ledger(),
        catalogue=Catalogue(lower, upper, options.x_tolerance, options.f_tolerance),
        samples=start_rules.empty(int(np.count_nonzero(lower < upper))),
        linkage=linkage.empty(int(np.count_nonzero(lower < upper))),
        best=None,
        nfev=0,
        nfail=0,
        failed_in_row=0,
        residuals=0,
        ended=None,
        halted=None,
        feasible_starts=admission.sequence_of(constraints, options),
    )


_COUNTS = ("next_start", "live", "converged", "stopped", "nfev", "nfail")
_LATER_COUNTS = ("failed_in_row", "residuals")
"""Those that 0.1.0 or 0.2.0 did not know."""
_REASONS = ("ended", "halted")


def to_dict(state: MultiStartState, *, plain: bool = True) -> dict[str, Any]:
    """Return the state as plain values and arrays; nothing is shared with it.

    The exception are the constraints, which ``plain=False`` hands over as they are.
    """
    constraints = state.constraints
    return {
        "version": VERSION,
        "options": state.options.to_dict(),
        "lower": state.lower.copy(),
        "upper": state.upper.copy(),
        "initial_samples": state.initial_samples.copy(),
        "constraints": constraints.to_dict() if plain and constraints is not None else constraints,
        "moved": [moved.to_dict() for moved in state.moved],
        "sample_starts": list(state.sample_starts),
        "sequence": asdict(state.sequence),
        "runs": [runs.to_dict(search) for search in state.runs],
        "extra": list(state.extra),
        "ready": [[run, slot] for run, slot in state.ready],
        "spare": [[run, slot] for run, slot in state.spare],
        "pending": [_point_to_dict(point) for point in state.pending.values()],
        "ledger": state.ledger.to_dict(),
        "minima": state.catalogue.to_dict(),
        "samples": start_rules.to_dict(state.samples),
        "linkage": linkage.to_dict(state.linkage),
        "best": None if state.best is None else _evaluation_to_dict(state.best),
        "noise": state.noise,
        **{name: getattr(state, name) for name in _COUNTS + _LATER_COUNTS + _REASONS},
    }


def copied(state: MultiStartState) -> MultiStartState:
    """Return an independent copy; what never changes is shared."""
    new = begin(state.options, state.lower, state.upper, state.initial_samples, state.constraints)
    new.moved, new.sequence, new.best = list(state.moved), state.sequence, state.best
    new.runs = [runs.copied(search, state.constraints) for search in state.runs]
    new.report = Report(new.runs)
    new.extra, new.sample_starts = list(state.extra), list(state.sample_starts)
    new.ready, new.spare = deque(state.ready), deque(state.spare)
    new.out = Outstanding(dict(state.pending))
    new.ledger = state.ledger.copy()
    new.catalogue.load(state.catalogue.to_dict())
    new.samples = start_rules.from_dict(
        start_rules.to_dict(state.samples), state.samples.unit.shape[1]
    )
    new.linkage = _linkage(new, linkage.to_dict(state.linkage))
    for name in _COUNTS + _LATER_COUNTS + _REASONS:
        setattr(new, name, getattr(state, name))
    hear(new, state.noise)
    return new


def hear(state: MultiStartState, noise: float) -> None:
    """Note a standard deviation that was told: ends that differ by it may be one."""
    if noise > state.noise:
        state.noise = noise
        state.catalogue.allowance = heard.DOUBT * math.sqrt(2.0) * noise


def _linkage(state: MultiStartState, data: dict[str, Any]) -> Linkage:
    n = state.linkage.unit.shape[1]
    made = linkage.from_dict(data, n, lambda x: unit_coordinates(state, x))
    linkage.note_paused(made, (run.index for run in state.runs if run.minimizer is not None))
    return made


def from_dict(data: Mapping[str, Any]) -> MultiStartState:
    """Return the state of which `to_dict` made `data`; arrays may have become lists."""
    if not isinstance(data, Mapping) or "version" not in data:
        raise InputTypeError(f"expected the dict that to_dict() gives, not {type(data).__name__}")
    if data["version"] != VERSION:
        raise InputError(
            f"this state has version {data['version']!r}, and version {VERSION} is expected: "
            "it was written by another release of optdriver"
        )
    with stored.restoring("multi-start"):
        state = _read(data)
        soundness.check(state)
    return state


def _read(data: Mapping[str, Any]) -> MultiStartState:
    lower, upper = stored.box(data["lower"], data["upper"])
    count = len(data["initial_samples"])
    samples = stored.array("samples", data["initial_samples"], (count, lower.size), finite=True)
    options = MultiStartOptions.from_dict(data["options"])
    state = begin(options, lower, upper, samples, admission.read(data["constraints"]))
    state.moved = [Moved.from_dict(moved) for moved in data["moved"]]
    state.sequence = _sequence(stored.mapping("sequence", data["sequence"]), options)
    state.runs = [
        runs.from_dict(index, row, state.constraints) for index, row in enumerate(data["runs"])
    ]
    state.report = Report(state.runs)
    state.extra = [stored.whole("extra", run) for run in data["extra"]]
    state.ready, state.spare = (
        deque(
            (stored.whole("run", run), stored.whole("slot", slot, -1)) for run, slot in data[name]
        )
        for name in ("ready", "spare")
    )
    for point in map(_point_from_dict, data["pending"]):
        state.pending[point.id] = point
    state.ledger = Ledger.from_dict(data["ledger"])
    state.catalogue.load(data["minima"])
    state.samples = start_rules.from_dict(data["samples"], state.samples.unit.shape[1])
    if "linkage" in data:  # 0.3.0 had no such rule
        state.linkage = _linkage(state, stored.mapping("linkage", data["linkage"]))
    state.best = None if data["best"] is None else _evaluation_from_dict(data["best"])
    for name in _COUNTS:
        setattr(state, name, stored.whole(name, data[name]))
    for name in _LATER_COUNTS:
        setattr(state, name, stored.whole(name, data.get(name, 0)))
    for name in _REASONS:
        setattr(state, name, None if data[name] is None else stored.text(name, data[name]))
    hear(state, stored.real("noise", data.get("noise", 0.0), 0.0, stored.FINITE))
    used = data.get("sample_starts")  # at first they were the first ones
    first = list(range(min(state.next_start, len(samples))))
    state.sample_starts = first if used is None else [stored.whole("start", k) for k in used]
    return state


def _queue(data: Any) -> deque[tuple[int, int]]:
    return deque((stored.whole("run", run), stored.whole("slot", slot, -1)) for run, slot in data)


def _sequence(data: dict[str, Any], options: MultiStartOptions) -> Starts:
    """Return the sequence of starts, which is that of the options."""
    made = Starts(**data)
    stored.whole("count", made.count, most=2**40)
    if (made.kind, made.seed) != (options.sequence, options.seed):
        raise ValueError("its sequence of starts is not that of its options")
    return made


def read_only(x: Vector) -> Vector:
    """Return `x`, from now on protected."""
    x.setflags(write=False)
    return x


def _floats(values: Any) -> Vector:
    return np.array(values, dtype=np.float64)


def _point_to_dict(point: Point) -> dict[str, Any]:
    return {"id": point.id, "run": point.run, "x": point.x.copy(), "kind": point.kind}


def _point_from_dict(data: Mapping[str, Any]) -> Point:
    x = read_only(_floats(data["x"]))
    kind: PointKind = stored.one_of("kind", data["kind"], ("iterate", "difference"))
    id, run = stored.whole("id", data["id"]), stored.whole("run", data["run"])
    return Point(id=id, run=run, x=x, kind=kind)


def _evaluation_to_dict(best: Evaluation) -> dict[str, Any]:
    g = None if best.g is None else best.g.copy()
    return {"x": best.x.copy(), "f": best.f, "g": g, "id": best.id, "run": best.run}


def _evaluation_from_dict(data: Mapping[str, Any]) -> Evaluation:
    x, g = data["x"], data["g"]
    g = None if g is None else read_only(stored.array("g", g, (len(x),), finite=True))
    id, run = (
        None if data[name] is None else stored.whole(name, data[name]) for name in ("id", "run")
    )
    x = read_only(stored.array("x", x, (len(x),), finite=True))
    return Evaluation(x=x, f=stored.real("f", data["f"]), g=g, id=id, run=run)


def drop_ready(state: MultiStartState, run: int) -> None:
    """Forget the points of a run that have not been asked."""
    state.ready = deque(entry for entry in state.ready if entry[0] != run)
    state.spare = deque(entry for entry in state.spare if entry[0] != run)


def line_up(state: MultiStartState, search: Search, slots: Iterable[int]) -> None:
    """Let points of a run be asked, after those that wait already."""
    queue = state.spare if search.index in state.extra else state.ready
    queue.extend(zip(repeat(search.index), slots, strict=False))


def unit_coordinates(state: MultiStartState, x: Vector) -> Vector:
    """Return the free coordinates of `x`, shape (..., n), the box taken as the unit box."""
    free = state.lower < state.upper
    low, high = state.lower[free], state.upper[free]
    with np.errstate(over="ignore"):
        part = np.where(np.isfinite(high - low), 1.0, 0.5)  # half of the least width is none
    unit: Vector = (x[..., free] * part - low * part) / (high * part - low * part)
    return unit
