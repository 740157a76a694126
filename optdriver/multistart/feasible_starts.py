"""Starts in a feasible set: the k-th depends on (kind, seed, k, constraints) only.

Where enough points of the sequence are feasible they are taken as they come.  Where they are rare,
points of the sequence are moved onto the set, which piles them up on its boundary; so each walks on
from there (hit and run: a random line, a random point on it, nearer and nearer until it is
feasible).  Of every group those are kept that are farthest from each other and from the starts of
all groups before, the farthest first.

Sources: Smith, Oper. Res. 32 (1984) 1296 (hit and run); Neal, Ann. Statist. 31 (2003) 705 (the
interval that shrinks toward the last point); Gonzalez, Theor. Comput. Sci. 38 (1985) 293 (greedy
maximin).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from optdriver.errors import ConstraintError
from optdriver.geometry.factors import Orthogonal
from optdriver.geometry.products import gram, product, transposed_times
from optdriver.numerics import is_numeric
from optdriver.space.sampling import Kind, Starts, starts

if TYPE_CHECKING:
    from optdriver.constraints import ConstraintSet, Projection

Vector = NDArray[np.float64]
Mask = NDArray[np.bool_]

TESTS = 2**14
"""Points that are tested before feasible ones are called rare."""

NUMBERS = 2**20
"""Coordinates that are tested at most, whatever the number of variables."""

ENOUGH = 64
"""As many feasible ones among them are enough."""

_GROUP, _KEPT = 16, 8
_TRIES = 24
_BARREN = 2
_SMALLER, _SIZES, _OF_EACH = 1e-3, 7, 4  # how small points are, how often, and how many each time
_LARGEST = 1e21  # width of a box: in wider ones rows, scaled for it, hold nothing of ordinary size
_INSETS = (0.02, 0.002)  # widths of the box by which starts keep off its faces
_ON_FACE = 1e-6
_ENOUGH_TRIED = 5  # points that show nothing else
_SAME_PLACE = 1e-6  # widths of the box within which two points were moved to one place
_SAME = 1e-9  # widths of the box within which starts are one
_BLOCK = 1024
_KNOWN = 2**16  # coordinates that are kept of what was drawn
_LENGTHS = (0.3, 0.1)  # of a step along a curved surface, in widths
_STEPS_PER_VARIABLE = 10
_SHRINKS = 12


class FeasibleStarts:
    """The feasible starts of one kind and seed; it keeps only what it can compute again.

    Parameters
    ----------
    constraints : ConstraintSet
        With a finite box.
    kind : {'sobol', 'uniform'}
    seed : int
    off_faces : bool
        Whether starts keep off the faces of the box where the set has an inside.
    patient : bool
        Whether all points of a group are moved, whatever those before have shown: that the set has
        no inside, or that all come to the same places.
    exact : bool
        Whether points that satisfy the rows to rounding only are no starts where others do exactly.
    small : bool
        Whether starts are looked for from points that are small in the box where all others fail.
    """

    def __init__(
        self,
        constraints: ConstraintSet,
        kind: Kind,
        seed: int,
        *,
        off_faces: bool = True,
        patient: bool = False,
        exact: bool = True,
        small: bool = True,
    ) -> None:
        self._off_faces, self._patient, self._exact = off_faces, patient, exact
        self._strict = False  # whether a start satisfies the rows exactly
        self._hollow = False  # whether no point of a group has come off the faces
        self._constraints, self._kind, self._seed = constraints, kind, seed
        self._starts = np.empty((0, constraints.n))
        self._groups = self._barren = 0  # groups made, and those since the last new start
        self._rare: bool | None = None
        self._looks_small = small
        self._tries: list[Projection] = []  # those of the groups without a start
        self._met = np.empty((0, constraints.n))  # feasible points among the tests
        self._drawn = 0, self._met  # points of the sequence, from the first one's number on

    def take(self, sequence: Starts) -> tuple[Vector, Starts]:
        """Return the next feasible start, and the sequence after it.

        Raises
        ------
        ConstraintError
            No feasible point was found at all; the message names the constraint that resists.
        """
        if not self.rare:
            for count, x in self._accepted(sequence.count):
                return x, replace(sequence, count=count)
        found = self._some(sequence.count + 1)
        x = found[sequence.count % len(found)].copy()
        return x, replace(sequence, count=sequence.count + 1)

    def near(self, x: Vector) -> Vector | None:
        """Return a feasible point near one of the box, None if none was found."""
        if self._constraints.is_feasible(x):
            return x
        made = _moved(self._constraints, x)
        hollow = made.feasible and self._constraints.n_equalities > 0
        return made.x if made.strict or hollow else None

    def are_used(self, sequence: Starts) -> bool:
        """Return whether there is no other start: the set is a few points, as far as is known."""
        return self.rare and 0 < len(self._first(sequence.count + 1)) <= sequence.count

    def check(self) -> Vector:
        """Return some feasible points, (k, n).

        Raises
        ------
        ConstraintError
            None was found; the message names the constraint that resists.
        """
        if self.rare:
            return self._some(_KEPT)
        return np.array([x for x, _ in zip(self._accepted_points(), range(_KEPT), strict=False)])

    @property
    def rare(self) -> bool:
        """Whether feasible points of the sequence are too rare to wait for."""
        if self._rare is None:
            self._rare = bool(self._constraints.n_equalities) or self._are_few()
        return self._rare

    def _are_few(self) -> bool:
        tests = max(256, min(TESTS, NUMBERS // self._constraints.n))
        for first, number in _blocks(0, tests, ENOUGH, _BLOCK):
            points = self._points(first, number)
            self._met = np.vstack([self._met, points[screen(self._constraints, points)]])
            if len(self._met) >= ENOUGH:
                return False
        return True

    def _points(self, first: int, number: int) -> Vector:
        """Return points of the sequence; those of the last tests are known."""
        begin, drawn = self._drawn
        if begin <= first and first + number <= begin + len(drawn):
            return drawn[first - begin : first - begin + number]
        lower, upper = self._constraints.lower, self._constraints.upper
        made = starts(self._kind, self._seed, first, number, lower, upper)
        if made.size <= _KNOWN:
            self._drawn = first, made
        return made

    def _accepted(self, first: int) -> Iterator[tuple[int, Vector]]:
        """Yield feasible points of the sequence in order, with how many have been used up."""
        for begin, number in _blocks(first, first + 4 * TESTS, 8, 256):
            points = self._points(begin, number)
            for i in np.flatnonzero(screen(self._constraints, points)):
                if self._constraints.is_feasible(points[i]):
                    yield begin + int(i) + 1, points[i].copy()

    def _accepted_points(self) -> Iterator[Vector]:
        return (x for _, x in self._accepted(0))

    # -- where feasible points are rare ---------------------------------------------------------

    def _some(self, number: int) -> Vector:
        """Return so many starts or more, unless there are no more, but one at least."""
        found = self._first(number)
        if not len(found):
            raise nothing_feasible(self._tries)
        return found

    def _first(self, number: int) -> Vector:
        """Return so many starts or more, unless there are no more."""
        while len(self._starts) < number and self._barren < _BARREN:
            made = self._group(self._groups)
            self._groups += 1
            self._barren = 0 if len(made) else self._barren + 1
            self._starts = np.vstack([self._starts, made])
        if not len(self._starts) and self._looks_small:
            self._looks_small = False
            found = np.array([made.x for made in _small(self._constraints) if made.feasible])
            if len(found):
                width = np.ptp(found, axis=0)
                self._starts = found[spread(found / np.where(width > 0.0, width, 1.0), _KEPT)]
        return self._starts

    def _group(self, group: int) -> Vector:
        """Return a group of starts; none where the numbers do not allow to look for them."""
        try:
            return self._make_group(group)
        except Exception as error:
            if not is_numeric(error):
                raise
            return self._starts[:0]

    def _arrived(self, points: Vector) -> list[Vector]:
        """Return where the points are moved to: off the faces of the box, if that is possible."""
        found = self._insides(points) if self._off_faces and not self._hollow else []
        if found:
            self._strict = self._exact
            return found
        moved = self._all_moved(points)
        if self._exact:
            self._strict = self._strict or any(made.strict for made in moved)
        found = [made.x for made in moved if made.strict or (made.feasible and not self._strict)]
        if not found:
            self._tries += moved
        return found

    def _insides(self, points: Vector) -> list[Vector]:
        """Return where the points are moved to off the faces; given up where none succeeds."""
        found: list[Vector] = []
        for count, x in enumerate(points):
            if count == _ENOUGH_TRIED and not (found or self._patient):
                break
            made = _inside(self._constraints, x)
            if made is not None:
                found.append(made)
        self._hollow = not (found or self._patient)
        return found

    def _all_moved(self, points: Vector) -> list[Projection]:
        """Return where the points are moved to; given up where all come to one place."""
        width, moved = widths(self._constraints), []
        places = list(self._starts[:2])
        for x in points:
            made = _moved(self._constraints, x)
            moved.append(made)
            if made.feasible:
                places.append(made.x)
            if self._patient or len(places) <= _ENOUGH_TRIED:
                continue
            if np.all(np.abs(np.array(places) - places[0]) <= _SAME_PLACE * width):
                break
        return moved

    def _make_group(self, group: int) -> Vector:
        """Return starts far from all before them and from each other, the farthest first."""
        found = self._arrived(self._points(_GROUP * group, _GROUP))
        if not found:
            return self._starts[:0]
        random = np.random.default_rng((self._seed, group, 1))
        met = self._met[_KEPT * group : _KEPT * (group + 1)]
        met = met[[self._constraints.is_feasible(x) for x in met]] if len(met) else met
        ends = walk(
            self._constraints,
            np.array(found),
            random,
            off_faces=self._off_faces,
            exact=self._strict,
        )
        walked = np.vstack([ends, met])
        if len(walked) < _KEPT:
            walked = np.vstack([walked, found])
        off = walked[~on_faces(self._constraints, walked)]
        walked = off if self._off_faces and len(off) >= _KEPT else walked
        width = widths(self._constraints)
        return walked[spread(walked / width, _KEPT, self._starts / width)]


def _blocks(first: int, end: int, number: int, most: int) -> Iterator[tuple[int, int]]:
    """Cut a sequence into blocks, each of twice as many points: often the first ones will do."""
    while first < end:
        number = min(number, end - first)
        yield first, number
        first, number = first + number, min(2 * number, most)


def screen(constraints: ConstraintSet, points: Vector) -> Mask:
    """Return which of the points, (k, n), satisfy the rows, to the last bits."""
    with np.errstate(all="ignore"):
        values = constraints.values_many(points)
    p = constraints.n_inequalities
    below = np.all(values[:, :p] <= 0.0, axis=1)
    return np.asarray(
        below & np.all(np.abs(values[:, p:]) <= 1e-10 * constraints.scales[p:], axis=1)
    )


def widths(constraints: ConstraintSet) -> Vector:
    """Return what a unit is in each variable: the width of the box; 1 where it has none."""
    width = constraints.upper - constraints.lower
    return np.where(np.isfinite(width) & (width > 0.0), width, 1.0)


def restored(constraints: ConstraintSet, x: Vector) -> Vector | None:
    """Return a feasible point near `x`, or None if none was found."""
    made = _moved(constraints, x)
    return made.x if made.feasible else None


def _moved(constraints: ConstraintSet, x: Vector) -> Projection:
    return constraints.project(x, widths(constraints))


def _inside(constraints: ConstraintSet, x: Vector) -> Vector | None:
    """Return a feasible point near `x` that is off the faces of the box, if the set has such."""
    for part in _INSETS:
        made = constraints.project_inside(x, part, widths(constraints))
        if made is not None:
            return made
    return None


def on_faces(constraints: ConstraintSet, points: Vector) -> Mask:
    """Return which of the points, (k, n), lie on a face of the box in a variable that can move."""
    near = _ON_FACE * widths(constraints)
    free = constraints.lower < constraints.upper
    at = (points <= constraints.lower + near) | (points >= constraints.upper - near)
    return np.asarray(np.any(at & free, axis=1))


def nothing_feasible(tries: Sequence[Projection]) -> ConstraintError:
    """Build the error for a set in which none of the `tries` arrived."""
    if not tries:
        return ConstraintError(
            "no point that satisfies all constraints was found: their numbers do not allow to "
            "look for one; nothing has been evaluated"
        )
    best = min(tries, key=lambda made: made.violation)
    return ConstraintError(
        f"no point satisfies all constraints, as far as {len(tries)} searches can tell: "
        f"{best.resisting!r} resists, and is violated by {best.violation:.3g} (scaled) at best; "
        "nothing has been evaluated; if you know a feasible start, give it with the others "
        "(initial_samples=, or x0=)"
    )


def check_not_empty(constraints: ConstraintSet) -> None:
    """Look for one feasible point, as far as the box is finite.

    Raises
    ------
    ConstraintError
        None was found; the message names the constraint that resists.
    """
    if not np.all(np.isfinite(constraints.lower) & np.isfinite(constraints.upper)):
        return
    lower, upper = constraints.lower, constraints.upper
    for first, number in _blocks(0, 256, 16, 256):
        points = starts("sobol", 0, first, number, lower, upper)
        if any(constraints.is_feasible(x) for x in points[screen(constraints, points)]):
            return
    tries: list[Projection] = []
    whole = (_moved(constraints, x) for x in starts("sobol", 0, 0, _TRIES, lower, upper))
    for made in chain(whole, _small(constraints)):
        tries.append(made)
        if made.feasible:
            return
    raise nothing_feasible(tries)


def _small(constraints: ConstraintSet) -> Iterator[Projection]:
    """Yield where points lead that are small in the box: a thousandth of it, a millionth and so on.

    In a huge box a set of ordinary size is not to be seen from points that are spread all over it.
    """
    lower, upper = constraints.lower, constraints.upper
    size = widths(constraints)
    if float(np.max(size)) > _LARGEST:
        return
    for _ in range(_SIZES):
        size = _SMALLER * size
        low, high = (np.clip(side, lower, upper) for side in (-size, size))
        for x in starts("sobol", 0, 0, _OF_EACH, low, high):
            yield constraints.project(x, size)


def spread(points: Vector, number: int, before: Vector | None = None) -> list[int]:
    """Return the indices of points far from each other, greedily the farthest next; none twice.

    Parameters
    ----------
    points : ndarray, shape (k, n)
    number : int
        As many at most.
    before : ndarray, shape (m, n), optional
        Points to keep away from too.
    """
    gap = np.full(len(points), np.inf)
    for x in [] if before is None else before:
        gap = np.minimum(gap, np.linalg.norm(points - x, axis=1))
    chosen: list[int] = []
    while len(chosen) < min(number, len(points)):
        following = int(np.argmax(gap))
        if gap[following] <= _SAME:
            break
        chosen.append(following)
        gap = np.minimum(gap, np.linalg.norm(points - points[chosen[-1]], axis=1))
    return chosen


# -- walking ------------------------------------------------------------------------------------


def walk(
    constraints: ConstraintSet,
    points: Vector,
    random: np.random.Generator,
    *,
    off_faces: bool = True,
    exact: bool = False,
) -> Vector:
    """Return where hit-and-run leads from feasible points, all of them feasible too.

    If `exact` they satisfy the rows exactly, as the `points` do.
    """
    p = constraints.n_inequalities
    if constraints.linear[p:].all():
        ends = _straight(constraints, points, random)
    else:
        ends = _curved(constraints, points, random, off_faces)
    made = [_settled(constraints, end, exact) for end in ends]
    return np.array([x if end is None else end for x, end in zip(points, made, strict=True)])


def _settled(constraints: ConstraintSet, x: Vector, exact: bool) -> Vector | None:
    if constraints.is_feasible(x):
        return x
    made = _moved(constraints, x)
    return made.x if made.strict or (made.feasible and not exact) else None


def _straight(constraints: ConstraintSet, points: Vector, random: np.random.Generator) -> Vector:
    """Walk along straight lines, which stay on linear equalities."""
    along = _along_equalities(constraints, points[0])
    x = points.copy()
    for _ in range(min(_STEPS_PER_VARIABLE * constraints.n, 400)):
        d = product(random.standard_normal(x.shape), along)
        first, last = _chord(constraints, x, d)
        waiting = np.arange(len(x))
        for _ in range(_SHRINKS):
            t = first + (last - first) * random.random(len(x))
            trial = np.clip(x + t[:, None] * d, constraints.lower, constraints.upper)
            held = _holds(constraints, trial[waiting])
            good, waiting = waiting[held], waiting[~held]
            x[good] = trial[good]
            if not len(waiting):
                break
            first, last = np.where(t < 0.0, t, first), np.where(t < 0.0, last, t)
    return x


def _holds(constraints: ConstraintSet, points: Vector) -> Mask:
    """Return where the inequalities hold; the lines stay on the equalities."""
    with np.errstate(all="ignore"):
        values = constraints.values_many(points)[:, : constraints.n_inequalities]
    return np.asarray(np.all(values <= 0.0, axis=1))


def _along_equalities(constraints: ConstraintSet, x: Vector) -> Vector:
    """Return the matrix that turns random numbers into directions along the equalities."""
    width = widths(constraints) * (constraints.lower < constraints.upper)
    rows = constraints.jacobian(x)[constraints.n_inequalities :] * width
    keep = np.eye(constraints.n)
    if len(rows):
        made = Orthogonal(rows, 1e-13)
        across = made.basis[: made.rank]
        keep -= gram(across, np.ones(len(across)))
    return np.asarray(keep * width)


def _chord(constraints: ConstraintSet, x: Vector, d: Vector) -> tuple[Vector, Vector]:
    """Return how far each line runs inside the box, backward and forward."""
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high = (constraints.lower - x) / d, (constraints.upper - x) / d
    back = np.where(d != 0.0, np.minimum(low, high), -np.inf).max(axis=1)
    ahead = np.where(d != 0.0, np.maximum(low, high), np.inf).min(axis=1)
    return np.clip(back, -4.0, 0.0), np.clip(ahead, 0.0, 4.0)


def _curved(
    constraints: ConstraintSet, points: Vector, random: np.random.Generator, off_faces: bool
) -> Vector:
    """Walk along a curved surface: a tangent step, and back onto it."""
    x = points.copy()
    for k in range(len(x)):
        along = _along_equalities(constraints, x[k])
        d = transposed_times(along, random.standard_normal(constraints.n))
        ends = [
            np.clip(x[k] + length * d, constraints.lower, constraints.upper) for length in _LENGTHS
        ]
        made = next(_all_inside(constraints, ends), None) if off_faces else None
        made = restored(constraints, ends[0]) if made is None else made
        x[k] = x[k] if made is None else made
    return x


def _all_inside(constraints: ConstraintSet, points: Sequence[Vector]) -> Iterator[Vector]:
    for x in points:
        made = _inside(constraints, x)
        if made is not None:
            yield made
