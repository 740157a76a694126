"""The state of a population driver: what was asked and told, in its order, and nothing that runs.

An engine is not stored: it is made again from its seed and goes through the asks and tells of the
present run, which costs its own time for each and no evaluation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from optdriver import stored
from optdriver.coroutine import constraints as walls
from optdriver.errors import InputError
from optdriver.multistart import admission
from optdriver.multistart.admission import Moved
from optdriver.multistart.catalogue import Catalogue
from optdriver.multistart.ledger import OPEN, Ledger
from optdriver.multistart.records import Evaluation, Point
from optdriver.population.engines import checked_options

if TYPE_CHECKING:
    from optdriver.constraints import ConstraintSet
    from optdriver.multistart.feasible_starts import FeasibleStarts

Vector = NDArray[np.float64]
Data = dict[str, Any]

VERSION = 1


@dataclass(slots=True)
class Row:
    """One run: where it began, how it goes or went, and its best point."""

    x0: Vector
    state: str = "running"
    reason: str = ""
    nfev: int = 0
    nfail: int = 0
    x: Vector | None = None
    f: float = math.nan


@dataclass(slots=True)
class PopulationState:
    """Everything that the next point depends on.

    Attributes
    ----------
    engine : str
        Name of the optimizer.
    options : dict
        Its options.
    seed : int
    lower, upper : ndarray, shape (n,)
    samples : ndarray, shape (k, n)
        Starts given by the user, one a run.
    most : float
        How many runs may converge.
    runs : list of Row
        One after the other; only the last can be running.
    first : int
        The id of the first point of the last run.
    steps : list of int
        Since then, ``2 k`` for the ask of its k-th point and ``2 k + 1`` for the tell.
    points, proposals, values : lists
        Of the last run, by k: what was asked; what the optimizer had proposed, which differs where
        that violated a constraint; and what was told, NaN where nothing, or a failure, was.
    constraints : ConstraintSet or None
    moved : list of Moved
        The samples that violated a constraint and were moved.
    pending, ledger, catalogue, best, nfev, nfail, failed_in_row, ended, halted
        As those of a multi-start.
    """

    engine: str
    options: Data
    seed: int
    lower: Vector
    upper: Vector
    samples: Vector
    most: float
    ledger: Ledger
    catalogue: Catalogue
    runs: list[Row] = field(default_factory=list)
    first: int = 0
    steps: list[int] = field(default_factory=list)
    points: list[Vector] = field(default_factory=list)
    proposals: list[Vector] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    pending: dict[int, Point] = field(default_factory=dict)
    best: Evaluation | None = None
    nfev: int = 0
    nfail: int = 0
    failed_in_row: int = 0
    ended: str | None = None
    halted: str | None = None
    constraints: ConstraintSet | None = None
    moved: list[Moved] = field(default_factory=list)


_PLAIN = ("engine", "seed", "first", "nfev", "nfail", "failed_in_row", "ended", "halted")
_COUNTS = ("first", "nfev", "nfail", "failed_in_row")
_ROW = ("state", "reason", "nfev", "nfail", "f")


def to_dict(state: PopulationState, *, plain: bool = True) -> Data:
    """Return the state as numbers, strings and arrays; nothing is shared with it.

    The exception are the constraints, which ``plain=False`` hands over as they are.
    """
    n, constraints = state.lower.size, state.constraints
    best = state.best
    return {
        "version": VERSION,
        **{name: getattr(state, name) for name in _PLAIN},
        "options": dict(state.options),
        "most": None if state.most == math.inf else state.most,
        "lower": state.lower.copy(),
        "upper": state.upper.copy(),
        "samples": state.samples.copy(),
        "ledger": state.ledger.to_dict(),
        "minima": state.catalogue.to_dict(),
        "runs": [_row_to_dict(row) for row in state.runs],
        "steps": np.array(state.steps, dtype=np.int64),
        "points": np.array(state.points, dtype=np.float64).reshape(-1, n),
        "proposals": np.array(state.proposals, dtype=np.float64).reshape(-1, n)
        if walls.has_rows(constraints)
        else None,
        "constraints": constraints.to_dict() if plain and constraints is not None else constraints,
        "moved": [moved.to_dict() for moved in state.moved],
        "values": np.array(state.values, dtype=np.float64),
        "pending": [[p.id, p.run, p.x.tolist()] for p in state.pending.values()],
        "best": None
        if best is None
        else {
            "x": best.x.copy(),
            "f": best.f,
            "g": None if best.g is None else best.g.copy(),
            "id": best.id,
            "run": best.run,
        },
    }


def from_dict(data: Mapping[str, Any]) -> PopulationState:
    """Return the state of which `to_dict` made `data`; arrays may have become lists.

    Raises
    ------
    InputError
        This is no such dict, or one of another version.
    """
    stored.check_version(data, VERSION, what="a stored driver")
    with stored.restoring("driver"):
        state = _read(data)
        _check(state)
    return state


def _read(data: Mapping[str, Any]) -> PopulationState:
    lower, upper = stored.box(data["lower"], data["upper"])
    if not np.isfinite([lower, upper]).all():
        raise ValueError("its box is not finite")
    data = {"failed_in_row": 0, **data}  # 0.1.0 did not count them
    n, samples, points = lower.size, data["samples"], data["points"]
    proposals = data.get("proposals")  # only under constraints they are others
    proposals = points if proposals is None else proposals
    engine = stored.text("engine", data["engine"])
    state = PopulationState(
        engine=engine,
        options=checked_options(engine, stored.mapping("options", data["options"])),
        seed=stored.whole("seed", data["seed"], most=2**64),
        lower=lower,
        upper=upper,
        samples=stored.array("samples", samples, (len(samples), n), finite=True),
        most=math.inf if data["most"] is None else stored.whole("most", data["most"], 1),
        ledger=Ledger.from_dict(data["ledger"]),
        catalogue=new_catalogue(lower, upper),
        runs=[_row_from_dict(row, lower, upper) for row in data["runs"]],
        steps=[stored.whole("step", step) for step in data["steps"]],
        points=list(stored.array("points", points, (len(points), n), finite=True)),
        proposals=list(stored.array("proposals", proposals, (len(points), n), finite=True)),
        constraints=admission.read(data.get("constraints")),
        moved=[Moved.from_dict(moved) for moved in data.get("moved", ())],
        values=stored.array("values", data["values"], (len(points),), nan=True).tolist(),
        pending={
            stored.whole("id", id): new_point(id, stored.whole("run", run), x)
            for id, run, x in data["pending"]
        },
        ended=_reason("ended", data["ended"]),
        halted=_reason("halted", data["halted"]),
    )
    for name in _COUNTS:
        setattr(state, name, stored.whole(name, data[name]))
    state.catalogue.load(data["minima"])
    if (best := data["best"]) is not None:
        g = None if best["g"] is None else stored.array("g", best["g"], (n,), finite=True)
        id, run = (
            None if best[name] is None else stored.whole(name, best[name]) for name in ("id", "run")
        )
        x = protected(stored.inside("best", best["x"], lower, upper))
        state.best = Evaluation(x=x, f=stored.real("f", best["f"]), g=g, id=id, run=run)
    return state


def _reason(name: str, value: Any) -> str | None:
    return None if value is None else stored.text(name, value)


def _check(state: PopulationState) -> None:
    """Refuse a state whose parts contradict each other."""
    status, count, low, high = state.ledger.status, len(state.points), state.lower, state.upper
    if state.constraints is not None and state.constraints.n != low.size:
        raise ValueError("its constraints are those of other variables")
    for x in (*state.samples, *state.points, *state.proposals):
        stored.inside("points", x, low, high)
    for id, point in state.pending.items():
        stored.inside("pending", point.x, low, high)
        if id >= len(status) or status[id] != OPEN or point.run >= len(state.runs):
            raise ValueError(f"point {id} was told, or belongs to nothing")
    if status.count(OPEN) != len(state.pending) or state.first + count != len(status):
        raise ValueError("its points are not those of its ids")
    running = [row.state == "running" for row in state.runs]
    if any(running[:-1]) or (count > 0) != (bool(running) and running[-1]):
        raise ValueError("its runs do not follow each other")
    asked, told = 0, set[int]()
    for step in state.steps:
        k = step // 2
        if step % 2:
            if k >= asked or k in told or status[state.first + k] == OPEN:
                raise ValueError(f"point {k} was told before it was asked, or twice")
            told.add(k)
        elif k != asked:
            raise ValueError(f"point {k} was asked out of turn")
        else:
            asked += 1
    if asked != count or len(told) != sum(status[state.first + k] != OPEN for k in range(count)):
        raise ValueError("its steps are not those of its points")
    if not state.nfail <= state.nfev:
        raise ValueError("its counters contradict each other")


def feasible_starts(constraints: ConstraintSet | None, seed: int) -> FeasibleStarts | None:
    """Return where feasible points come from; None where the box is all."""
    if not walls.has_rows(constraints):
        return None
    from optdriver.multistart.feasible_starts import FeasibleStarts

    return FeasibleStarts(constraints, "sobol", seed)


def first_feasible(state: PopulationState) -> Vector:
    """Return a feasible point, of a set of which a run has not found one itself."""
    starts = feasible_starts(state.constraints, state.seed)
    if starts is None:
        raise InputError("there are no constraints")
    return np.array(starts.check()[0])


def new_catalogue(lower: Vector, upper: Vector) -> Catalogue:
    """Return an empty catalogue, with the tolerances that a multi-start has by default."""
    return Catalogue(lower, upper, 1e-3, 1e-4)


def new_point(id: int, run: int, x: Any) -> Point:
    """Return a point of a run."""
    return Point(id=id, run=run, x=protected(x), kind="iterate")


def protected(x: Any) -> Vector:
    """Return a read-only copy of x."""
    vector = floats(x)
    vector.setflags(write=False)
    return vector


def floats(values: Any) -> Vector:
    """Return a fresh array of floats."""
    return np.array(values, dtype=np.float64)


def _row_to_dict(row: Row) -> Data:
    x = None if row.x is None else row.x.copy()
    return {"x0": row.x0.copy(), "x": x, **{name: getattr(row, name) for name in _ROW}}


def _row_from_dict(data: Mapping[str, Any], low: Vector, high: Vector) -> Row:
    return Row(
        x0=stored.inside("x0", data["x0"], low, high),
        x=None if data["x"] is None else stored.inside("x", data["x"], low, high),
        state=stored.one_of("state", data["state"], ("running", "converged", "stopped", "failed")),
        reason=stored.text("reason", data["reason"]),
        nfev=stored.whole("nfev", data["nfev"]),
        nfail=stored.whole("nfail", data["nfail"]),
        f=float(data["f"]),
    )
