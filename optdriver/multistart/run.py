"""One run: a minimizer, and the points of its pending evaluation that are out.

A run is *sampling* while its start is evaluated only to see whether the start rule lets it go on,
and *waiting* when it does not.  It has a minimizer while it is *running*, and still when it was cut
short by the end of all; in the other states only what a row of the report needs.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from optdriver import stored
from optdriver.leastsquares.covariance import Factors
from optdriver.multistart import differences, local, rounded
from optdriver.multistart.barriers import Between
from optdriver.multistart.differences import Pending
from optdriver.multistart.heard import Heard
from optdriver.multistart.local import Minimizer
from optdriver.multistart.paths import Path
from optdriver.multistart.records import Run, fixed
from optdriver.multistart.rounded import Rounded
from optdriver.multistart.steps import Learnt

if TYPE_CHECKING:
    from optdriver.constraints import ConstraintSet
    from optdriver.multistart.options import MultiStartOptions

Vector = NDArray[np.float64]
State = Literal["sampling", "waiting", "running", "converged", "stopped", "failed"]
OPEN: tuple[State, ...] = ("sampling", "waiting", "running")
STATES: tuple[State, ...] = (*OPEN, "converged", "stopped", "failed")


class Noted(Protocol):
    """Which runs have changed, and which have converged: see `optdriver.multistart.report`."""

    stale: set[int]
    converged: list[int]


class Known(Protocol):
    """What is known of all runs."""

    options: MultiStartOptions
    constraints: ConstraintSet | None

    @property
    def report(self) -> Noted:
        """What the report has to be told."""


@dataclass(slots=True)
class Search:
    """The state of one run.

    Attributes
    ----------
    index, start : int
        Number of the run and of its start.
    x0 : ndarray, shape (n,)
        The start.
    state : str
        One of the states above, or how it ended: converged, stopped, failed.
    reason : str
        Why it ended.
    nfev, nfail : int
        Evaluations told, and the failures among them.
    minimizer : LBFGSB, FeasibleMinimizer or None
        There while the run is running, and when it was cut short.
    stencil : Stencil, Directions, Line or None
        The pending finite-difference gradient, where the objective supplies none.
    learnt : Learnt or None
        What its steps are made by, None where they are given; of a run that ended, its noise.
    rounded : Rounded or None
        What is known of the digits of its residuals, where its steps follow that.
    two_sided : bool
        Whether its gradients are differenced on both sides.
    spare : bool
        Whether it was begun beyond `max_num_minimizers`, for a place that would have stayed free.
    followed : bool
        Whether it goes on to its end, though it is in a basin that is known.
    held : int
        How often it has been held back before a barrier.
    heard : Heard
        The noise that was told with its values.
    between : Between, Path or None
        The comparison of its end with a known minimum, of a run whose minimizer has converged.
    slots : dict of int to int
        For each id that is out and still wanted, its slot in the stencil.
    x, f, g : ndarray or None, float, ndarray or None
        Of a waiting run, its start as evaluated; of one that ended, its best iterate (without
        gradient).  None and NaN where there is nothing.
    conditions : dict or None
        Of a run that ended, what `local.conditions` said.
    """

    index: int
    start: int
    x0: Vector
    state: State
    reason: str = ""
    nfev: int = 0
    nfail: int = 0
    minimizer: Minimizer | None = None
    stencil: Pending | None = None
    learnt: Learnt | None = None
    rounded: Rounded | None = None
    two_sided: bool = False
    spare: bool = False
    followed: bool = False
    held: int = 0
    heard: Heard = field(default_factory=Heard)
    between: Between | Path | None = None
    slots: dict[int, int] = field(default_factory=dict)
    x: Vector | None = None
    f: float = math.nan
    g: Vector | None = None
    conditions: dict[str, Any] | None = None


def end(
    search: Search,
    state: State,
    reason: str,
    known: Known,
) -> None:
    """Close a run; ids that are still out are no longer wanted."""
    if (best := _best(search)) is not None and search.minimizer is not None:
        search.x, search.f, _ = best
        search.conditions = _conditions_of(search.minimizer, known)
    search.state, search.reason = state, reason
    at_end: Any = getattr(search.minimizer, "iterate", None)
    if search.rounded is not None and at_end is not None:
        rounded.settle(search.rounded, local.rounding(search.minimizer), at_end[1])
    search.minimizer, search.stencil, search.g, search.between = None, None, None, None
    if search.learnt is not None:
        search.learnt = Learnt(noise=search.learnt.noise, checked=True)
    search.slots.clear()
    known.report.stale.add(search.index)
    if has_end(search):
        known.report.converged.append(search.index)


def _conditions_of(minimizer: Minimizer, known: Known) -> dict[str, Any] | None:
    options = known.options
    return local.conditions(
        minimizer, known.constraints, exact=options.jac, names=options.row_names
    )


def _best(search: Search) -> tuple[Vector, float, Vector | None] | None:
    """Return the best feasible point of a run, with value and gradient."""
    minimizer = search.minimizer
    return minimizer.best if minimizer is not None and local.is_feasible(minimizer) else None


def cut(search: Search, reason: str, known: Known) -> None:
    """Stop an open run; what it needs to go on later is kept."""
    minimizer, g = search.minimizer, search.g
    end(search, "stopped", reason, known)
    search.minimizer, search.g = minimizer, g


def has_end(search: Search) -> bool:
    """Return whether a run has converged to a point."""
    return search.state == "converged" and search.x is not None


def noise(search: Search) -> float:
    """Return the noise of the values of a run, as it was told or measured."""
    digits = 0.0 if search.rounded is None else rounded.spread(search.rounded)
    return max(search.heard.noise, 0.0 if search.learnt is None else search.learnt.noise, digits)


def row(search: Search, whole: Known) -> Run:
    """Return the run as a row of the report."""
    x, f, known = search.x, search.f, search.conditions
    if (best := _best(search)) is not None and search.minimizer is not None:
        x, f, _ = best
        if known is None or search.state in OPEN:
            known = _conditions_of(search.minimizer, whole)
    known = known or {"active": (), "multipliers": {}, "residual": math.nan}
    return Run(
        index=search.index,
        start=search.start,
        x0=fixed(search.x0),
        state="running" if search.state == "sampling" else search.state,
        reason=search.reason,
        nfev=search.nfev,
        nfail=search.nfail,
        x=None if x is None else fixed(x),
        f=None if math.isnan(f) else f,
        active=tuple(known["active"]),
        multipliers=dict(known["multipliers"]),
        bounds=None if known.get("bounds") is None else fixed(known["bounds"]),
        residual=None if math.isnan(known["residual"]) else known["residual"],
        noise=noise(search),
        factors=None if known.get("fit") is None else Factors.from_dict(known["fit"]),
    )


def to_dict(search: Search) -> dict[str, Any]:
    """Return the run as plain values and arrays."""
    minimizer, stencil = search.minimizer, search.stencil
    return {
        "start": search.start,
        "x0": search.x0.copy(),
        "state": search.state,
        "reason": search.reason,
        "nfev": search.nfev,
        "nfail": search.nfail,
        "minimizer": None if minimizer is None else local.to_dict(minimizer),
        "stencil": None if stencil is None else differences.to_dict(stencil),
        "learnt": None if search.learnt is None else search.learnt.to_dict(),
        "rounded": None if search.rounded is None else search.rounded.to_dict(),
        "two_sided": search.two_sided,
        "spare": search.spare,
        "followed": search.followed,
        "held": search.held,
        "heard": search.heard.to_dict(),
        "between": None if search.between is None else search.between.to_dict(),
        "slots": [[id, slot] for id, slot in search.slots.items()],
        "x": None if search.x is None else search.x.copy(),
        "f": search.f,
        "g": None if search.g is None else search.g.copy(),
        "conditions": copy.deepcopy(search.conditions),
    }


def copied(search: Search, constraints: ConstraintSet | None) -> Search:
    """Return an independent copy; what never changes, as conditions, is shared."""
    minimizer, stencil, learnt = search.minimizer, search.stencil, search.learnt
    return replace(
        search,
        minimizer=None if minimizer is None else local.copied(minimizer, constraints),
        stencil=None if stencil is None else differences.from_dict(differences.to_dict(stencil)),
        learnt=None if learnt is None else Learnt.from_dict(learnt.to_dict()),
        rounded=copy.copy(search.rounded),  # its arrays are replaced
        heard=copy.copy(search.heard),
        slots=dict(search.slots),
    )


def from_dict(index: int, data: dict[str, Any], constraints: ConstraintSet | None) -> Search:
    """Return the run of which `to_dict` made `data`."""
    minimizer, stencil, learnt = data["minimizer"], data["stencil"], data.get("learnt")
    between, digits = data.get("between"), data.get("rounded")
    x0 = stored.array("x0", data["x0"], (len(data["x0"]),), finite=True)

    def floats(name: str) -> Vector | None:
        value = data[name]
        return None if value is None else stored.array(name, value, x0.shape, finite=True)

    return Search(
        index=index,
        start=stored.whole("start", data["start"]),
        x0=x0,
        state=stored.one_of("state", data["state"], STATES),
        reason=stored.text("reason", data["reason"]),
        nfev=stored.whole("nfev", data["nfev"]),
        nfail=stored.whole("nfail", data["nfail"]),
        minimizer=None if minimizer is None else local.from_dict(minimizer, constraints),
        stencil=None if stencil is None else differences.from_dict(stencil),
        learnt=None if learnt is None else Learnt.from_dict(learnt),
        rounded=None if digits is None else Rounded.from_dict(digits, x0.size),
        two_sided=stored.flag("two_sided", data["two_sided"]),
        spare=stored.flag("spare", data.get("spare", False)),
        followed=stored.flag("followed", data.get("followed", False)),
        held=stored.whole("held", data.get("held", 0)),
        heard=Heard.from_dict(data.get("heard")),
        between=None if between is None else _comparison(between, x0.size),
        slots={
            stored.whole("id", id): stored.whole("slot", slot, -1) for id, slot in data["slots"]
        },
        x=floats("x"),
        f=float(data["f"]),
        g=floats("g"),
        conditions=_conditions(data["conditions"], x0.size),
    )


def _comparison(data: Any, n: int) -> Between | Path:
    kind = Path if "found" in data else Between
    return kind.from_dict(data, n)


def _conditions(data: Any, n: int) -> dict[str, Any] | None:
    if data is None:
        return None
    if data.get("fit") is not None:
        Factors.from_dict(data["fit"], n)  # checks it
    named, bounds = stored.mapping("multipliers", data["multipliers"]), data.get("bounds")
    if bounds is not None:  # 0.1.0 kept none
        bounds = stored.array("bounds", bounds, (n,), nan=True).tolist()
    return {
        **copy.deepcopy(data),
        "active": [stored.text("active", name) for name in stored.rows("active", data["active"])],
        "multipliers": {name: float(value) for name, value in named.items()},
        "bounds": bounds,
        "residual": float(data["residual"]),
    }
