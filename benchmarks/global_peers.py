"""Other packages' global searches: evaluations, gradients alike, until the minima are met.

A call for a value alone, or for a value and a gradient at a point, is one evaluation.  A peer that
has the ends of its local searches listed goes on until all minima are among them: basin hopping
calls back with each, and of shgo the points of its local searches are taken, which is generous.
"""

from __future__ import annotations

import importlib.util
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from benchmarks.problems.multimodal import SAME, Problem

Vector = NDArray[np.float64]

CLOSE = 1e-4
"""The lowest value is met where f is at most so much above it, relative to max(1, |f|)."""

OUTSIDE = 1e-8
"""By how much a constraint is violated where an evaluation counts as infeasible."""

TOLERATED = 1e-6
"""By how much an end of SLSQP may violate a constraint."""

SECONDS = 15.0
"""Processor time after which a peer is given up: triangulations of shgo grow with each round."""


@dataclass(frozen=True, slots=True)
class Found:
    """Evaluations until all minima were catalogued, and until the lowest value; None beyond.

    How many evaluations violated a constraint, and how many minima were catalogued where that were
    not all of them.
    """

    all: int | None
    lowest: int | None
    infeasible: int = 0
    some: int | None = None


def is_listed(x: Vector, listed: Vector, width: Vector) -> bool:
    """Tell whether a minimum is among those that are listed."""
    return bool(listed.size) and bool(np.any(np.all(np.abs(listed - x) <= SAME * width, axis=1)))


def is_outside(problem: Problem, x: Vector) -> bool:
    """Tell whether a point violates a constraint."""
    return any(row(x) < -OUTSIDE for row in problem.rows)


class Enough(Exception):  # it is the good end
    """What was looked for is found, or the evaluations are used up."""


class Counted:
    """A function that counts its evaluations, and ends it all where everything is found.

    Parameters
    ----------
    problem : Problem
    least : float
        The lowest value.
    cap : int
        The most evaluations.
    places : ndarray or None
        The minima that are to be listed; None where only the lowest value is looked for.
    """

    def __init__(self, problem: Problem, least: float, cap: int, places: Vector | None = None):
        self.problem, self.cap, self.count, self.infeasible = problem, cap, 0, 0
        self.limit = least + CLOSE * max(1.0, abs(least))
        self.met: int | None = None
        self.listed: int | None = None
        self.low, self.high = np.array(problem.bounds).T
        self._missing = [] if places is None else list(places)
        self._all = len(self._missing)
        self._last: tuple[Vector, float, Vector] | None = None
        self._end = time.process_time() + SECONDS

    def both(self, x: Any) -> tuple[float, Vector]:
        """Return value and gradient."""
        point = np.array(x, dtype=np.float64)
        if self._last is None or not np.array_equal(self._last[0], point):
            if self.is_over():
                raise Enough
            self.count += 1
            self._last = (point, *self.problem.function(point))
            outside = is_outside(self.problem, point)
            self.infeasible += outside
            if self.met is None and not outside and self._last[1] <= self.limit:
                self.met = self.count
                self._ends()
        return self._last[1], self._last[2]

    def value(self, x: Any) -> float:
        """Return the value."""
        return self.both(x)[0]

    def slope(self, x: Any) -> Vector:
        """Return the gradient."""
        return self.both(x)[1]

    def note(self, x: Any) -> None:
        """Take a point for a minimum that a peer has listed."""
        if self._missing:
            there, width = np.array([x], dtype=np.float64), self.high - self.low
            self._missing = [each for each in self._missing if not is_listed(each, there, width)]
            if not self._missing:
                self.listed = self.count
                self._ends()

    @property
    def some(self) -> int | None:
        """How many minima were listed, if that are not all."""
        return self._all - len(self._missing) if self._missing else None

    def is_over(self) -> bool:
        """Tell whether the evaluations or the time are used up."""
        return self.count >= self.cap or time.process_time() > self._end

    def _ends(self) -> None:
        if self.met is not None and not self._missing:
            raise Enough


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """End what works on its own for too long: that much time of the processor.

    It takes the main thread, and a system that has such a clock.
    """

    def over(*_: Any) -> None:
        raise Enough

    before = signal.signal(signal.SIGVTALRM, over)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.0)
        signal.signal(signal.SIGVTALRM, before)


def _start(counted: Counted, seed: int) -> Vector:
    return np.random.default_rng(seed).uniform(counted.low, counted.high)


def _local(counted: Counted) -> dict[str, Any]:
    """Return the options of the local searches of SciPy's methods."""
    rows = [{"type": "ineq", "fun": row} for row in counted.problem.rows]
    beside = {"method": "SLSQP", "constraints": rows} if rows else {"method": "L-BFGS-B"}
    return {**beside, "jac": counted.slope, "bounds": counted.problem.bounds}


def cma(counted: Counted, seed: int) -> None:
    """Search with pycma and restarts (BIPOP), in the unit box; an augmented Lagrangian for rows."""
    import cma as pycma

    low, width = counted.low, counted.high - counted.low

    def inside(u: Any) -> Vector:
        return np.asarray(low + width * np.clip(u, 0.0, 1.0))

    rows = counted.problem.rows
    search = pycma.fmin2
    kinds: dict[str, Any] = {}
    if rows:
        search = pycma.fmin_con2
        kinds = {"constraints": lambda u: [-float(row(inside(u))) for row in rows]}
    search(
        lambda u: counted.value(inside(u)), (_start(counted, seed) - low) / width, 0.3,
        options={"bounds": [0, 1], "verbose": -9, "seed": seed + 1, "maxfevals": counted.cap},
        restarts=99, bipop=True, **kinds,
    )  # fmt: skip


def shgo(counted: Counted, seed: int) -> None:
    """Search with SciPy's shgo, by simplices that are refined."""
    del seed
    local = _local(counted)
    del local["bounds"]  # shgo has them
    optimize.shgo(
        counted.value, counted.problem.bounds, iters=10_000, sampling_method="simplicial",
        constraints=local.pop("constraints", ()), callback=counted.note, minimizer_kwargs=local,
        options={"minimize_every_iter": True},
    )  # fmt: skip


def dual_annealing(counted: Counted, seed: int) -> None:
    """Search with SciPy's dual annealing."""
    optimize.dual_annealing(
        counted.value, counted.problem.bounds, rng=seed, maxiter=100_000,
        minimizer_kwargs=_local(counted),
    )  # fmt: skip


def basinhopping(counted: Counted, seed: int) -> None:
    """Search with SciPy's basin hopping, whose steps are a quarter of the box."""
    random = np.random.default_rng(seed)

    def step(x: Vector) -> Vector:
        moved = x + random.uniform(-0.25, 0.25, x.size) * (counted.high - counted.low)
        return np.clip(moved, counted.low, counted.high)

    def ended(x: Vector, f: float, accepted: bool) -> None:
        del f, accepted
        if all(row(x) >= -TOLERATED for row in counted.problem.rows):
            counted.note(x)

    optimize.basinhopping(
        counted.value, _start(counted, seed), niter=100_000, take_step=step, rng=seed,
        callback=ended, minimizer_kwargs=_local(counted),
    )  # fmt: skip


def mlsl_lds(counted: Counted, seed: int) -> None:
    """Search with NLopt's multi-level single linkage on a low-discrepancy sequence."""
    import nlopt

    nlopt.srand(seed + 1)
    low = counted.low
    local, outer = (nlopt.opt(name, low.size) for name in (nlopt.LD_LBFGS, nlopt.GD_MLSL_LDS))
    local.set_ftol_rel(1e-9)
    outer.set_local_optimizer(local)
    for each in (local, outer):
        _nlopt(each, counted)
    outer.optimize(_start(counted, seed))


def isres(counted: Counted, seed: int) -> None:
    """Search with NLopt's evolution strategy, which takes constraints (MLSL takes none)."""
    import nlopt

    nlopt.srand(seed + 1)
    made = nlopt.opt(nlopt.GN_ISRES, counted.low.size)
    _nlopt(made, counted)
    for row in counted.problem.rows:
        made.add_inequality_constraint(lambda x, _, row=row: -float(row(x)), 0.0)
    made.optimize(_start(counted, seed))


def _nlopt(made: Any, counted: Counted) -> None:
    def both(x: Vector, g: Vector) -> float:
        f, slope = counted.both(x)
        if g.size:
            g[:] = slope
        return f

    made.set_min_objective(both)
    made.set_lower_bounds(counted.low)
    made.set_upper_bounds(counted.high)
    made.set_maxeval(counted.cap)


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A search, the package that it needs, whether it lists minima, and what it can be given.

    That is a box, rows, and at most so many variables.  Some do the same with each seed.
    """

    package: str
    search: Callable[[Counted, int], None]
    lists: bool = False
    box: bool = True
    rows: bool = False
    variables: int = 1000
    seeds: bool = True


PEERS = {
    "NLopt MLSL-LDS": Peer(package="nlopt", search=mlsl_lds),
    "NLopt ISRES": Peer(package="nlopt", search=isres, box=False, rows=True),
    "pycma": Peer(package="cma", search=cma, rows=True),
    "shgo": Peer(package="scipy", search=shgo, lists=True, rows=True, variables=9, seeds=False),
    "dual_annealing": Peer(package="scipy", search=dual_annealing),
    "basinhopping": Peer(package="scipy", search=basinhopping, lists=True, rows=True),
}
"""The peers by name."""


def installed(*, rows: bool = False, variables: int = 1) -> list[str]:
    """Return the peers that can be run here: in a box, or under constraints."""
    return [
        name
        for name, peer in PEERS.items()
        if (peer.rows if rows else peer.box)
        and variables <= peer.variables
        and importlib.util.find_spec(peer.package)
    ]


def absent() -> list[str]:
    """Return the peers whose packages are not installed."""
    return [name for name, peer in PEERS.items() if not importlib.util.find_spec(peer.package)]


def version_of(name: str) -> str:
    """Return what a peer's counts are of: the package and its version."""
    package = PEERS[name].package
    return f"{package} {version(package)}"


def search_by(
    name: str, problem: Problem, places: Vector | None, least: float, cap: int, seed: int
) -> Found:
    """Return the evaluations of a peer until it has met what is looked for.

    All minima are looked for if `places` are given and the peer lists minima, and the lowest value.
    """
    peer = PEERS[name]
    counted = Counted(problem, least, cap, places if peer.lists else None)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            with at_most(SECONDS):
                peer.search(counted, seed)
        except Enough:
            pass
        except Exception:  # a peer may turn our exception into one of its own
            if not counted.is_over() and counted.met is None:
                raise
    return Found(counted.listed, counted.met, counted.infeasible, counted.some)
