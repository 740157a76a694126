"""The start rule ``'auto'``: a descent begins only where it may lead to a basin that is not known.

Every evaluated point is kept, samples and the paths of runs alike, with its gradient.  A point is
*linked* to a lower one of another run if nothing speaks against a way down to it: it is within
reach, and the cubic with both values and both slopes along the line between them falls all the way
(Fritsch and Carlson 1980; a line that rises first, or falls so steeply that it must rise again,
crosses a barrier).  By links a point belongs to the basin where the run of the lower one goes, as
in multi-level single linkage (Rinnooy Kan and Timmer 1987), whose critical distance, which shrinks
with the number of samples, is the reach.  So

- a start is evaluated once, as a sample, and a descent begins at once only if it is not linked;
- of those that wait for their turn, that one begins which promises the lowest value: its own, less
  what its slope would take off it as far as a link may reach; one that is lower than all that is
  known does not wait, since it is in no known basin;
- a descent is paused as soon as it is linked, by no more than twice its last step: it would end in
  a minimum that another run is at, or has found, and one whose steps are short beside its link is
  about to end where it is.  A run that waits is gone on with when its link has become longer than
  the reach, when the run that it was to follow ended without a minimum, or when there is nothing
  else to do;
- where descents have taken less than a third of the evaluations of the samples, or so, links are
  doubted: what waits with the longest one goes on, paused descents before samples;
- the next start is, of a few that the sequence offers, the one farthest from all evaluated points
  and from the faces of the box;
- some starts are beside the lowest minimum: `optdriver.multistart.beside`;
- the first step of a descent is no longer than the gap in which it begins, so that it stays there.

The starts are those of the sequence, of which some are passed over: where the k-th one lies does
not depend on what has been told.

References
----------
F. N. Fritsch, R. E. Carlson, "Monotone piecewise cubic interpolation", SIAM Journal on Numerical
Analysis 17 (1980) 238.

A. H. G. Rinnooy Kan, G. T. Timmer, "Stochastic global optimization methods, part II: multi level
methods", Mathematical Programming 39 (1987) 57.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from optdriver import stored
from optdriver.multistart import hops
from optdriver.multistart.cells import Cells
from optdriver.multistart.hops import Hops
from optdriver.multistart.start_rules import critical_distance

Vector = NDArray[np.float64]
Numbers = NDArray[np.int64]

NOBODY: Final = -1
"""The run of a point that was added: no run goes on from it."""

REACH: Final = 1.0
"""The reach of a link, in critical distances."""

FRESH: Final = 8, 2
POOL: Final = 64, 8
"""Starts that the sequence offers at a time, and those that are kept to choose from: with up to
`FEW` variables, and with more, where the widest gaps are the corners of the box."""
FEW: Final = 3

FIRST_STEP: Final = 0.5
"""Length of the first step, in distances to the nearest other point."""

CURVED: Final = 0.5
"""How far the slopes at both ends, by the secant's, may be from those of a parabola, whose sum is
2."""

CONE: Final = 0.5
"""The cosine of the angle between a link and the way down."""

SHARE: Final = 0.7
"""Evaluations of descents, by those of samples, beyond which no other begins before more samples
have shown where it pays most."""

STEPS: Final = 2.0
"""The longest link by which a descent is paused, in lengths of its last step."""

HELD: Final = 3
"""How often a run is held back that steps across a barrier, and by how much it is shortened."""
SHORTER: Final = 0.25

STEEPEST: Final = 9.0
"""A cubic is monotone if the squares of its slopes, by the secant's, have no greater sum (1980)."""

DOUBTED: Final = 0.35
"""Evaluations of descents, by those of samples, up to which those go on that wait, too, though they
are linked: a link may cross a barrier that neither end of it shows."""

PAUSED: Final = 3.0
"""So much longer the link of a paused descent counts among these: what made it begin once was no
chance, and its end is near."""

FROM_FACES: Final = 3.0
"""The gap of an offered start is at most so many times its distance from the faces of the box: of a
basin beside a face only a part is left, and half of what a start on a face shows is outside."""

LOOKS: Final = 0.15, 0.25
"""Starts on sides of the box before it is said that all minima are found, by all starts when that
is about to be said: at least, and at most so that there is one for each corner, edge and side."""

OUTER: Final = 1 / 3
"""The coordinates of a start that are within this part of the box from a side are moved onto it."""

PATIENCE: Final = 10
"""Samples put aside in a row before a run goes on all the same, where runs are counted."""


@dataclass(slots=True, eq=False)
class Offers:
    """Starts that have not been used: their numbers, places (in the unit box too), and gaps."""

    number: Numbers
    x: Vector
    unit: Vector
    gap: Vector

    def __len__(self) -> int:
        return len(self.number)

    def only(self, kept: NDArray[Any]) -> Offers:
        """Return some of them."""
        return Offers(self.number[kept], self.x[kept], self.unit[kept], self.gap[kept])

    def and_more(self, others: Offers) -> Offers:
        """Return them and others behind them."""
        if not len(self):
            return others
        pairs = [(getattr(self, name), getattr(others, name)) for name in OFFERED]
        return Offers(*map(np.concatenate, pairs))


OFFERED: Final = ("number", "x", "unit", "gap")

COLUMNS: Final = ("unit", "slope", "f", "gap", "run", "target")

ASIDE, BEGUN = 1, 2
"""How a row waits: as a sample that was put aside, or as the last point of a paused descent."""


@dataclass(slots=True)
class Linkage:
    """What is known of basins; rows are evaluated points, in the unit box.

    Attributes
    ----------
    count : int
        The number of rows; the arrays have room for more.
    unit, slope : ndarray, shape (room, n)
        The points, and their gradients (NaN where there are none).
    f, gap : ndarray, shape (room,)
        Their values (NaN before they are told, and where that failed), and how far it is to the
        nearest lower point that each is linked to.
    run, target : ndarray of int, shape (room,)
        The run that evaluated each, and the row that it is linked to (-1 for none).
    waits : ndarray of int, shape (room,)
        Whether a run waits at each row: `ASIDE`, `BEGUN`, or 0 for none.
    told : int
        How many of the rows have a value.
    samples : int
        How many of the rows are starts.
    row_of : dict of int to int
        For each waiting run, its last row.
    put_aside : int
        How many samples in a row have been put aside.
    offered : Offers
        Starts that the sequence has offered and that have not been used.
    lost : list of int
        Runs that ended without a minimum: who waits for one of them leads again.
    looks, minima, wanted : int
        How many starts on sides of the box have been taken while so many minima are known, of how
        many.
    cells : Cells
        The rows by where they are; made of the rest.
    hops : Hops
        The runs that began beside the lowest minimum, which are no samples.
    """

    count: int
    unit: Vector
    slope: Vector
    f: Vector
    gap: Vector
    run: Numbers
    target: Numbers
    waits: NDArray[np.int8]
    told: int
    samples: int
    row_of: dict[int, int]
    put_aside: int
    offered: Offers
    lost: list[int]
    looks: int
    minima: int
    wanted: int
    cells: Cells
    hops: Hops = field(default_factory=Hops)


def empty(n: int) -> Linkage:
    """Return what is known at the beginning."""
    return Linkage(
        0, np.empty((8, n)), np.empty((8, n)), np.empty(8), np.empty(8),
        np.empty(8, dtype=np.int64), np.empty(8, dtype=np.int64), np.zeros(8, dtype=np.int8),
        0, 0, {}, 0, _no_offers(n), [], 0, 0, 0, Cells(np.empty((0, n))),
    )  # fmt: skip


def _no_offers(n: int) -> Offers:
    none = np.empty((0, n))
    return Offers(np.empty(0, dtype=np.int64), none, none, np.empty(0))


def reach(known: Linkage) -> float:
    """Return how long a link may be now."""
    return REACH * critical_distance(known.samples, known.unit.shape[1])


def add(known: Linkage, run: int, unit: Vector, f: float, slope: Vector | None) -> int:
    """Enter an evaluated point and its links; return its row."""
    row = place(known, run, unit)
    settle(known, row, f, slope)
    return row


def place(known: Linkage, run: int, unit: Vector) -> int:
    """Enter a point that is to be evaluated; return its row."""
    row = known.count
    if row == len(known.f):
        for name in (*COLUMNS, "waits"):
            column = getattr(known, name)
            setattr(known, name, np.concatenate([column, np.zeros_like(column)]))
    known.unit[row], known.run[row] = unit, run
    known.f[row] = known.slope[row] = math.nan
    known.gap[row], known.target[row] = math.inf, -1
    known.count += 1
    known.cells.added(known.unit[: known.count])
    crowd(known, unit)
    return row


def settle(known: Linkage, row: int, f: float, slope: Vector | None) -> None:
    """Enter what was told for a point, and its links."""
    run = known.run[row]
    known.f[row] = f
    known.told += not math.isnan(f)
    known.hops.told += run in known.hops.base and not math.isnan(f)
    if slope is not None:
        known.slope[row] = slope
    rows, away, distance = _within(known, known.unit[row], reach(known))
    other = (known.run[rows] != run) & (distance <= reach(known))
    rise = f - known.f[rows]  # NaN where nothing has been told
    lower = np.flatnonzero(other & (rise > 0.0) & (known.run[rows] != NOBODY))
    falls = lower[_falls(known.slope[row], known.slope[rows[lower]], -away[lower], -rise[lower])]
    if falls.size:
        nearest = falls[np.argmin(distance[falls])]
        known.gap[row], known.target[row] = distance[nearest], rows[nearest]
    if run != NOBODY:
        higher = np.flatnonzero(other & (rise < 0.0) & (distance < known.gap[rows]))
        above = known.slope[rows[higher]]
        falls = higher[_falls(above, known.slope[row], away[higher], rise[higher])]
        known.gap[rows[falls]], known.target[rows[falls]] = distance[falls], row


def _within(known: Linkage, unit: Vector, radius: float) -> tuple[NDArray[np.intp], Vector, Vector]:
    """Return the rows in a ball, and maybe others, their steps to its centre, and distances."""
    points = known.unit[: known.count]
    rows = known.cells.within(points, unit, radius)
    away = unit - points[rows]
    return rows, away, np.sqrt(np.einsum("ij,ij->i", away, away))


def _falls(above: Vector, below: Vector, step: Vector, rise: Vector) -> NDArray[np.bool_]:
    """Tell where nothing speaks against a way down along steps, with the slopes at both ends.

    What a slope that is not known would be on a parabola is taken for it.
    """
    slope = np.sum(above * step, axis=-1)
    begins, ends = slope / rise, np.sum(below * step, axis=-1) / rise
    begins = np.where(np.isnan(begins), np.where(np.isnan(ends), 1.0, 2.0 - ends), begins)
    ends = np.where(np.isnan(ends), 2.0 - begins, ends)
    fine = (begins >= 0.0) & (ends >= -CURVED / 5) & (np.abs(begins + ends - 2.0) <= CURVED)
    size = np.sqrt(np.sum(above * above, axis=-1) * np.sum(step * step, axis=-1))
    made: NDArray[np.bool_] = fine & (np.isnan(size) | (-slope >= CONE * size))
    return made


def crosses(above: Vector, below: Vector, step: Vector, rise: float) -> bool:
    """Tell whether f falls at both ends of a step downwards, but not on a cubic all the way."""
    begins, ends = float(above @ step) / rise, float(below @ step) / rise
    return begins > 0.0 and ends > 0.0 and begins * begins + ends * ends > STEEPEST


def leads(known: Linkage, row: int) -> bool:
    """Return whether no link within reach leads from a row to a lower one."""
    return bool(known.gap[row] > reach(known))


def is_afar(known: Linkage, row: int, step: float) -> bool:
    """Return whether a row's link is too long for a descent that has come there by a `step`."""
    return bool(known.gap[row] > STEPS * step)


def may_begin(known: Linkage, cost: int, runs: int) -> bool:
    """Return whether one more descent may begin; the first ones, so many `runs`, may in any case.

    `cost` is how many evaluations a point of a path takes: more than one with differences.
    """
    return _descents(known, cost) <= SHARE * known.samples or known.samples <= runs


def may_doubt(known: Linkage, cost: int) -> bool:
    """Return whether descents have taken so little that links may be doubted."""
    return _descents(known, cost) <= DOUBTED * known.samples


def _descents(known: Linkage, cost: int) -> int:
    return cost * (known.told - known.samples - known.hops.told)


def is_lowest(known: Linkage, row: int) -> bool:
    """Return whether no value is known that is lower than that of a row."""
    return not bool(np.any(known.f[: known.count] < known.f[row]))


def put_aside(known: Linkage, run: int, row: int, *, counted: bool) -> None:
    """Let the run of a sample wait; it is `counted` as put aside if it does not lead."""
    known.row_of[run] = row
    known.waits[row] = ASIDE
    known.put_aside += counted


def pause(known: Linkage, run: int, row: int) -> None:
    """Let a descent wait, the last point of which is a row."""
    known.row_of[run] = row
    known.waits[row] = BEGUN


def release(known: Linkage, run: int) -> None:
    """Let a run wait no longer."""
    known.waits[known.row_of.pop(run)] = 0
    known.put_aside = 0


def note_paused(known: Linkage, runs: Iterable[int]) -> None:
    """Note which of the runs that wait have begun to descend, in what was restored."""
    for run in runs:
        if run in known.row_of:
            known.waits[known.row_of[run]] = BEGUN


def followed(known: Linkage, row: int) -> int:
    """Return the run that a row's links lead to, -1 if there is none."""
    seen = set()
    while True:
        row = int(known.target[row])
        if row < 0:
            return NOBODY
        run = int(known.run[row])
        if run not in known.row_of:
            return run
        if run in seen:
            return NOBODY
        seen.add(run)
        row = known.row_of[run]


def _all_followed(known: Linkage, runs: Numbers, rows: Numbers) -> Numbers:
    """Return what `followed` does, for all runs that wait and their last rows at once."""
    last = np.full(2 + int(runs.max()), -1)  # the last place is that of the runs behind
    last[runs] = rows
    ends = known.target[rows]
    for _ in range(len(rows)):  # a chain has no more links, or it has no end
        run = np.where(ends >= 0, known.run[ends], NOBODY)
        on = last[np.clip(run, -1, len(last) - 1)]
        if not np.any(on >= 0):
            return run
        ends = np.where(on >= 0, known.target[on], ends)
    return np.where(on >= 0, NOBODY, run)


def followers(known: Linkage) -> int:
    """Return how many samples, or descents from them, wait that are linked within reach."""
    rows = np.flatnonzero(known.waits[: known.count])
    if known.hops.base:
        rows = rows[~np.isin(known.run[rows], list(known.hops.base))]
    return int(np.count_nonzero(known.gap[rows] <= reach(known)))


def next_waiting(
    known: Linkage, *, leaders: bool, anyway: bool, by_slope: bool = False
) -> tuple[int, bool] | None:
    """Take a run from those that wait: the lowest that leads, or else none.

    The lowest is the one that promises the lowest value, if that is to be told `by_slope`.
    Without `leaders` it is none, but with `anyway`, and then the one with the longest link if none
    leads.  What is returned beside the run is whether it leads.
    """
    if not known.row_of or not (leaders or anyway):
        return None
    rows = np.flatnonzero(known.waits[: known.count])
    runs, free = known.run[rows], known.gap[rows] > reach(known)
    if known.lost:
        free |= np.isin(_all_followed(known, runs, rows), [NOBODY, *known.lost])
    if free.any():
        leading = rows[free]
        run = _first(_promised(known, leading) if by_slope else known.f[leading], runs[free])
    elif anyway:
        run = _first(-known.gap[rows], runs)
    else:
        return None
    release(known, run)
    return run, bool(free.any())


def _promised(known: Linkage, rows: NDArray[np.intp]) -> Vector:
    """Return the values to which the slopes at rows would lead as far as a link may reach."""
    slope = known.slope[rows]
    with np.errstate(over="ignore"):
        steep = np.sqrt(np.einsum("ij,ij->i", slope, slope))
    made: Vector = known.f[rows] - np.where(np.isnan(steep), 0.0, steep) * reach(known)
    return made


def _first(values: Vector, runs: Numbers) -> int:
    """Return the run with the least value, of equal ones the first."""
    return int(runs[values == values.min()].min())


def most_doubtful(known: Linkage) -> int | None:
    """Take the run from those that wait whose link is the longest; None if none waits."""
    rows = np.flatnonzero(known.waits[: known.count])
    if not rows.size:
        return None
    longest = known.gap[rows] * np.where(known.waits[rows] == BEGUN, PAUSED, 1.0)
    run = _first(-longest, known.run[rows])
    release(known, run)
    return run


def fresh(known: Linkage) -> int:
    """Return how many starts the sequence is to offer at a time."""
    return FRESH[known.unit.shape[1] > FEW]


def offer(known: Linkage, first: int, x: Vector, unit: Vector, *, from_faces: bool) -> None:
    """Take offered starts, the number of the first of which is given, shape (k, n).

    Their gaps are no larger than their distances `from_faces` let them be, if that is wanted.
    """
    gap = known.cells.gaps(known.unit[: known.count], unit)
    if from_faces:
        gap = np.minimum(gap, FROM_FACES * np.minimum(unit, 1.0 - unit).min(axis=1))
    new = Offers(np.arange(first, first + len(x)), x, unit, gap)
    known.offered = known.offered.and_more(new)


def choose(known: Linkage) -> tuple[int, Vector]:
    """Take number and place of the offered start that is farthest from all points.

    Those that are nearest to them are forgotten.
    """
    offered = known.offered
    order = np.lexsort((offered.number, -offered.gap))
    best, kept = int(order[0]), POOL[offered.unit.shape[1] > FEW]
    number, x, unit = int(offered.number[best]), offered.x[best].copy(), offered.unit[best]
    rest = order[1 : kept + 1] if len(order) > kept + 1 else np.arange(len(order)) != best
    known.offered = offered.only(rest)
    crowd(known, unit)
    return number, x


def has_looked(known: Linkage, minima: int) -> bool:
    """Tell whether enough starts on sides have been taken since so many minima are known."""
    return known.minima == minima and known.looks >= known.wanted


def look(known: Linkage, unit: Vector, minima: int) -> tuple[int, bool]:
    """Return which of some places, shape (k, n), is on sides and the farthest from all starts.

    And whether it is, and is none of them: where a path has only come by, nothing is known.  It
    counts as a look that is taken while so many `minima` are known.
    """
    if known.minima != minima:
        known.looks, known.minima, known.wanted = 0, minima, _looks_wanted(known)
    known.looks += 1
    starts = known.unit[np.unique(known.run[: known.count], return_index=True)[1]]
    gaps = Cells(starts).gaps(starts, unit)
    gaps[~np.any((unit <= 0.0) | (unit >= 1.0), axis=1)] = 0.0
    best = int(np.argmax(gaps))
    return best, bool(gaps[best] > 0.0)


def _looks_wanted(known: Linkage) -> int:
    """Return how many starts on sides are to be taken: of one variable the two ends."""
    n = known.unit.shape[1]
    if n == 1:
        return 2
    least, most = (part * known.samples for part in LOOKS)
    return math.ceil(max(least, min(math.pow(3.0, min(n, 99)) - 1.0, most)))


def crowd(known: Linkage, unit: Vector) -> None:
    """Let offered starts know of one more point."""
    offered = known.offered
    if len(offered):
        away = offered.unit - unit
        offered.gap = np.minimum(offered.gap, np.sqrt(np.einsum("ij,ij->i", away, away)))


def nearest(known: Linkage, unit: Vector, run: int) -> float:
    """Return the distance to the nearest row of another run, or the reach if that is less."""
    rows, _, distance = _within(known, unit, reach(known))
    return float(np.min(distance[known.run[rows] != run], initial=reach(known)))


def to_dict(known: Linkage) -> dict[str, Any]:
    """Return what is known as numbers and arrays."""
    columns = {name: getattr(known, name)[: known.count].copy() for name in COLUMNS}
    return {
        **columns,
        "samples": known.samples,
        "waiting": [[run, row] for run, row in known.row_of.items()],
        "put_aside": known.put_aside,
        "lost": list(known.lost),
        "looks": [known.looks, known.minima, known.wanted],
        "hops": hops.to_dict(known.hops),
        "offered": [
            [int(number), x.copy(), float(gap)]
            for number, x, gap in zip(
                known.offered.number, known.offered.x, known.offered.gap, strict=True
            )
        ],
    }


def from_dict(data: dict[str, Any], n: int, unit_of: Callable[[Vector], Vector]) -> Linkage:
    """Return what `to_dict` made `data` of; `unit_of` takes a start into the unit box."""
    count = len(data["f"])
    known = empty(n)
    known.count = count
    if count:
        known.unit = stored.array("unit", data["unit"], (count, n), finite=True)
        known.slope = stored.array("slope", data["slope"], (count, n), nan=True)
        known.f = stored.array("f", data["f"], (count,), nan=True)
        known.gap = stored.array("gap", data["gap"], (count,))
        known.run = _whole("run", data["run"], count)
        known.target = _whole("target", data["target"], count)
        if np.any(known.target >= count):
            raise ValueError("a link to a row that is not there")
    known.told = int(np.count_nonzero(~np.isnan(known.f[:count])))
    known.waits = np.zeros(len(known.f), dtype=np.int8)
    known.samples = stored.whole("samples", data["samples"], most=count)
    known.row_of = {
        stored.whole("run", run): stored.whole("row", row, most=count - 1)
        for run, row in data["waiting"]
    }
    if any(known.run[row] != run for run, row in known.row_of.items()):
        raise ValueError("a run waits at a row of another one")
    known.waits[list(known.row_of.values())] = ASIDE
    known.put_aside = stored.whole("put_aside", data["put_aside"])
    known.lost = [stored.whole("lost", run) for run in data["lost"]]
    looked = data.get("looks", (0, 0, 0))  # 0.10.0 and before had none
    known.looks, known.minima, known.wanted = (stored.whole("looks", each) for each in looked)
    known.hops = hops.from_dict(data.get("hops"))
    known.cells = Cells(known.unit[:count])
    if data["offered"]:
        numbers, places, gaps = zip(*data["offered"], strict=True)
        x = np.array(places, dtype=np.float64)
        whole = np.array([stored.whole("number", number) for number in numbers])
        known.offered = Offers(whole, x, unit_of(x), np.array(gaps, dtype=np.float64))
    return known


def _whole(name: str, values: Any, count: int) -> Numbers:
    made = np.array([stored.whole(name, int(value), -1) for value in values], dtype=np.int64)
    if made.size != count:
        raise ValueError(f"{made.size} numbers '{name}' for {count} rows")
    return made
