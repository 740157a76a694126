"""A survey: what values that are noisy say of the minimum, measured round a point.

Differences by coordinates have errors that are those of the stiffest direction: where the floor of
a narrow valley crosses the coordinates its slope is lost in them, far from the minimum.  So where
the values of a run show nothing but noise a parabola is laid through values round its best point,
along directions that are conjugate for it and so long that f rises by the same, some standard
deviations of the noise, on each.  A direction along which it does not is made longer, one along
which it rises by more, shorter, and the other ones are made conjugate to the stiffer ones, so that
a floor is found though the first directions cross it.  As long as the parabola promises more than
half a standard deviation, or its slope is more than its error, the point moves to the minimum of
it, and is surveyed again.

Where gradients are told the parabola is that of gradients at the two points of each direction, and
what they leave unexplained is their own noise; where that is so large that values say more, it is
laid through these.  On the surface of constraints the directions are tangents, and the points are
moved back onto it (`optdriver.multistart.ground`).

The value of a direction's part of the slope is as exact as its own curvature asks for.  What the
parabola may still promise, with three standard deviations of the error of each slope, is the
precision of the end.

References
----------
M. J. D. Powell, "An efficient method for finding the minimum of a function of several variables
without calculating derivatives", The Computer Journal 7 (1964) 155 (conjugate directions).

J. J. More, S. M. Wild, "Estimating derivatives of noisy simulations", ACM Transactions on
Mathematical Software 38 (2012) 19 (steps by noise and curvature).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from optdriver import stored
from optdriver.geometry.factors import LowerUpper
from optdriver.geometry.products import times, transposed_times
from optdriver.multistart import parabola, steps
from optdriver.multistart.ground import Ground, depends, without
from optdriver.multistart.heard import DOUBT
from optdriver.multistart.parabola import Parabola

if TYPE_CHECKING:
    from optdriver.constraints import ConstraintSet

Vector = NDArray[np.float64]
Outcome = Literal["ask", "ended", "given up"]

LARGEST: Final = 30
"""Most variables of which all pairs are looked at."""

MOST: Final = 60
"""The same where that takes about as many values as the run before it."""

ROUNDS: Final = 30
"""So many surveys in a row over which the value falls by no more than noise are given up."""

_VISIBLE: Final = 8.0  # standard deviations of the curvature along a direction, for each 1 + sqrt n
_LONGEST: Final = 4.0  # factor of a length
_LEAST_GROWTH: Final = 1.5
_REACH: Final = 2.0  # longest step, in lengths
_TRIALS: Final = 3
_NEGLIGIBLE: Final = 0.5  # of the noise
_SURE: Final = 3.0  # standard deviations of a slope
_RELEASE: Final = _TRIALS + 1
_RELEASED: Final = 3  # so often
_QUIET: Final = 3  # so many surveys that promise nothing are believed, whatever their lengths
_DOUBT: Final = DOUBT * math.sqrt(2.0)
_ROOM: Final = 0.25  # of a length; with less on one side both points are on the other
_CORNER: Final = 2.0**-10
_HALF: Final = 0.5  # most of the width of the box, and the first of its quarters
_SHRINKS: Final = 6
_PARTS: Final = 11  # a step is halved so often until it is feasible
_LIKELY: Final = 3.0  # of the noise, for each variable: more is promised by what is not seen
_LEFT: Final = 0.2  # of half the width of the box: how far a bound or a row is left for a look
_SURE_OF: Final = 2.0  # of the noise: what gradients may leave open
_CLEAR: Final = 0.25  # of the curvature along a direction: noise of gradients, at most
_CLOSER: Final = 0.5
_CLOSEST: Final = 2.0**-10


@dataclass(slots=True)
class Survey:
    """The pending values round a point.

    Attributes
    ----------
    x : ndarray, shape (n,)
        The point.
    f : float
        Its value.
    noise : float
        Standard deviation of a value.
    basis : ndarray, shape (k, n)
        The directions, one a row, by their lengths; variables that are held have no part in them.
    ends : list of ndarray
        The other points.
    values : list of float
        What was told there, NaN until then, infinite when it failed.
    missing : int
        How many have yet to be told.
    trial : int
        0 where all points round `x` are pending, or which trial of a step is; after the last of
        these, two points for each variable that is held.
    way : ndarray, shape (n,)
        That step.
    gain : float
        What it is to gain.
    growth : float
        Most by which a direction may become longer.
    quiet : int
        Surveys, up to now, that promised nothing.
    level : float
        A value below which f has not fallen by more than noise since.
    rounds : int
        Surveys since then.
    released : int
        How often variables that were held have been let go.
    slope : ndarray, shape (n,)
        The gradient that the last survey of `x` shows.
    promised : float
        What the parabola may still promise, its errors included.
    rows : list of int
        The constraints that hold the point.
    told : bool
        Whether the parabola is laid through gradients, which are told.
    g : ndarray, shape (n,)
        That at `x`; NaN without one.
    slopes : list of ndarray
        Those at the other points.
    share : float
        Which part of the curvature that values need directions have, since gradients show more.
    unexplained : float
        What a parabola left of these when directions were made shorter the last time.
    """

    x: Vector
    f: float
    noise: float
    basis: Vector
    ends: list[Vector]
    values: list[float]
    missing: int
    trial: int
    way: Vector
    gain: float
    growth: float
    quiet: int
    level: float
    rounds: int
    released: int
    slope: Vector
    promised: float
    rows: list[int] = field(default_factory=list)
    told: bool = False
    g: Vector = field(default_factory=lambda: np.zeros(0))
    slopes: list[Vector] = field(default_factory=list)
    share: float = 1.0
    unexplained: float = math.inf


def begin(
    x: Vector,
    f: float,
    g: Vector,
    noise: float,
    curvature: Vector | None,
    lower: Vector,
    upper: Vector,
    rows: ConstraintSet | None = None,
    *,
    told: bool = False,
    corners: bool = False,
) -> Survey | None:
    """Return the first survey of a point, None where nothing varies.

    Variables at a bound that the gradient `g` points across are held there, and rows of constraints
    that are active stay so.  `curvature` is what is known of it by each variable.  `told` says that
    gradients are told; without it, `corners`: also where everything is held, to see whether f falls
    from there.
    """
    ground = Ground(lower, upper, rows)
    held = ((x == lower) & (g >= 0.0)) | ((x == upper) & (g <= 0.0))
    free = np.flatnonzero(~held & (lower < upper)).tolist()
    if not (free or (corners and np.any(lower < upper))):
        return None
    wide = steps.widths(x, lower, upper)
    known = np.zeros(x.size) if curvature is None else curvature
    wanted = _wanted(noise, len(free))
    basis = np.zeros((len(free), x.size))
    for k, i in enumerate(free):
        short = math.sqrt(wanted / known[i]) if known[i] > 0.0 else 0.1 * _HALF * wide[i]
        basis[k, i] = min(short, 0.5 * _HALF * float(wide[i]))
    zeros = np.zeros(x.size)
    made = Survey(
        x.copy(), f, noise, basis, [], [], 0, 0, zeros, 0.0, _LONGEST, 0, f, 0, 0, zeros, math.inf
    )
    made.told = told
    made.g = g.copy() if told else np.full(x.size, math.nan)
    if rows is not None and len(basis):
        _hold_rows(made, _pressing(made, g, ground), ground)
    if len(made.basis):
        outcome = _ask_round(made, ground)
    else:
        made.promised, outcome = 0.0, _ended(made, ground)
    return made if outcome == "ask" else None


def _pressing(survey: Survey, g: Vector, ground: Ground) -> list[int]:
    """Return the rows next to a point that a gradient presses it to; equalities always."""
    near = ground.touching(survey.x, survey.basis)
    while near:
        known = ground.multipliers(survey.x, near, g)
        if known is None:
            return near
        off = [row for row, m in zip(near, known, strict=True) if m < 0.0]
        off = [row for row in off if not ground.is_equality(row)]
        if not off:
            break
        near = [row for row in near if row not in off]
    return near


def _wanted(noise: float, n: int) -> float:
    """Return the curvature, by lengths, that n directions are to have: the errors grow with n."""
    return _VISIBLE * (1.0 + math.sqrt(n)) * noise


# -- which points ------------------------------------------------------------------------------


def _ask_round(survey: Survey, ground: Ground) -> Outcome:
    """Let the points round `x` be pending."""
    if survey.f < survey.level - _DOUBT * survey.noise:
        survey.level, survey.rounds = survey.f, 0
    survey.rounds += 1
    survey.basis = ground.tangent(survey.x, survey.rows, survey.basis)
    for _ in range(_SHRINKS):
        if ground.rows is not None and not _has_room(survey, ground):
            return "given up"
        if not len(survey.basis):
            return _ended(survey, ground)
        sides = _sides(survey, ground)
        ways = [t * survey.basis[k] for k, both in enumerate(sides) for t in both]
        for i, j in [] if survey.told else parabola.pairs(len(sides)):
            share = _share(survey, sides, i, j, ground)
            ways.append(
                share * (sides[i][0] * survey.basis[i]) + share * (sides[j][0] * survey.basis[j])
            )
        if _pend(survey, 0, ways, ground):
            return "ask"
        survey.basis = 0.5 * survey.basis
    return "given up"


def keep(survey: Survey, slot: int, g: Vector | None) -> None:
    """Note the gradient that was told at a point, if gradients are wanted."""
    if survey.told and g is not None:
        survey.slopes[slot] = g.copy()


def _pend(survey: Survey, trial: int, ways: list[Vector], ground: Ground) -> bool:
    """Let the points of these steps be pending; return whether all of them are feasible."""
    ends = [ground.place(survey.x, way, survey.rows) for way in ways]
    known = [end for end in ends if end is not None]
    if len(known) < len(ends):
        return False
    _pend_ends(survey, trial, known)
    return True


def _pend_ends(survey: Survey, trial: int, ends: list[Vector]) -> None:
    survey.trial, survey.ends = trial, ends
    survey.values = [math.nan] * len(ends)
    survey.slopes = [np.full(survey.x.size, math.nan) for _ in ends] if survey.told else []
    survey.missing = len(ends)


def _has_room(survey: Survey, ground: Ground) -> bool:
    """Hold rows that leave no room along a direction; return whether each has some then."""
    for _ in range(survey.x.size + 1):
        tight = [way for way in survey.basis if _reach(survey, way, ground) == 0.0]
        tight = [way for way in tight if _reach(survey, -way, ground) == 0.0]
        if not tight:
            return True
        if not _hold_rows(survey, ground.blocking(survey.x, np.array(tight)), ground):
            return False
    return False


def _sides(survey: Survey, ground: Ground) -> list[tuple[float, float]]:
    """Return where the two points of each direction are, in its lengths: both inside."""
    made = []
    for way in survey.basis:
        up, down = _reach(survey, way, ground), _reach(survey, -way, ground)
        if min(up, down) >= _ROOM:
            made.append((up, -down))
        else:
            far = up if up >= down else -down
            made.append((far, 0.5 * far))
    return made


def _reach(survey: Survey, way: Vector, ground: Ground) -> float:
    """Return how much of a way there is feasible room for, 1 at most."""
    room = _room(survey.x, way, ground.lower, ground.upper)
    if ground.rows is None:
        return room
    for _ in range(_PARTS):
        if room < _CORNER:
            break
        if ground.place(survey.x, room * way, survey.rows) is not None:
            return room
        room *= 0.5
    return 0.0


def _room(x: Vector, way: Vector, lower: Vector, upper: Vector) -> float:
    """Return how much of a way there is room for in the box, 1 at most."""
    room = 1.0
    for i in np.flatnonzero(way).tolist():
        side = upper[i] if way[i] > 0.0 else lower[i]
        room = min(room, float(side - x[i]) / float(way[i]))
    return max(room, 0.0)


def _share(
    survey: Survey, sides: list[tuple[float, float]], i: int, j: int, ground: Ground
) -> float:
    """Return which part of two directions together is inside: all, or half of each."""
    way = sides[i][0] * survey.basis[i] + sides[j][0] * survey.basis[j]
    return 1.0 if _reach(survey, way, ground) == 1.0 else 0.5


# -- what they say -----------------------------------------------------------------------------


def go_on(
    survey: Survey, lower: Vector, upper: Vector, rows: ConstraintSet | None = None
) -> Outcome:
    """Take in what was told: leave the next points in the survey, or end it."""
    ground = Ground(lower, upper, rows)
    if survey.trial == _RELEASE:
        return _after_release(survey, ground)
    if survey.trial:
        return _after_trial(survey, ground)
    if not all(math.isfinite(f) for f in survey.values):
        survey.basis = 0.5 * survey.basis
        return _again(survey, ground)
    return _after_round(survey, ground)


def is_sure(survey: Survey) -> bool:
    """Tell whether an end is known to about the noise, as where f was seen to rise all round it."""
    return survey.promised <= _LIKELY * survey.x.size * survey.noise


def _again(survey: Survey, ground: Ground) -> Outcome:
    if survey.rounds >= ROUNDS or not (len(survey.basis) or ground.rows is not None):
        return "given up"
    if ground.rows is None and (
        min(max(map(abs, both)) for both in _sides(survey, ground)) < _CORNER
    ):
        lengths = np.max(np.abs(survey.basis), axis=0)  # there is room along coordinates
        survey.basis = np.diag(lengths)[lengths > 0.0]
    return _ask_round(survey, ground)


def _after_trial(survey: Survey, ground: Ground) -> Outcome:
    """Move to the end of a step that is no higher than noise makes it, or try half of it."""
    f = survey.values[0]
    allowed = _DOUBT * survey.noise - (0.1 * survey.gain if survey.gain > 10 * survey.noise else 0)
    if math.isfinite(f) and f <= survey.f + allowed:
        survey.x, survey.f = survey.ends[0].copy(), f
        if survey.told:
            survey.g = survey.slopes[0].copy()
        _hold(survey, ground)
        return _again(survey, ground)
    if survey.trial < _TRIALS:
        survey.way, survey.gain = 0.5 * survey.way, 0.5 * survey.gain
        if _try(survey, survey.trial + 1, ground):
            return "ask"
    return _again(survey, ground)


def _try(survey: Survey, trial: int, ground: Ground) -> bool:
    """Let the end of the step be pending; return whether there is one."""
    end = ground.nearest(survey.x, survey.way, survey.rows)
    if end is None or not np.any(end != survey.x):
        return False
    _pend_ends(survey, trial, [end])
    return True


def _hold(survey: Survey, ground: Ground) -> None:
    """Hold variables that the step has brought to a bound, and rows that it has made active.

    One direction goes with each.
    """
    x, outward = survey.x, survey.way
    met = ((x == ground.upper) & (outward > 0.0)) | ((x == ground.lower) & (outward < 0.0))
    for i in np.flatnonzero(met).tolist():
        if np.any(survey.basis[:, i]):
            survey.basis = without(survey.basis, survey.basis[:, i])
            survey.basis[:, i] = 0.0
    if ground.rows is not None and np.any(outward):
        _hold_rows(survey, ground.touching(x, outward[None], outward=True), ground)


def _hold_rows(survey: Survey, wanted: list[int], ground: Ground) -> bool:
    """Hold rows, but those that others hold with them; return whether there is a new one."""
    new = False
    survey.basis = ground.tangent(survey.x, survey.rows, survey.basis)
    for row in wanted:
        if row in survey.rows or not len(survey.basis):
            continue
        slope = ground.slopes(survey.x, [row])[0]
        if depends(survey.basis, slope):
            continue
        survey.basis = without(survey.basis, times(survey.basis, slope))
        survey.rows, new = sorted([*survey.rows, row]), True
    return new


def _held(survey: Survey, ground: Ground) -> list[int]:
    """Return which variables are held at a bound."""
    held = (ground.lower < ground.upper) & ~np.any(survey.basis != 0.0, axis=0)
    if ground.rows is not None:
        held &= ground.at_bounds(survey.x)
    return np.flatnonzero(held).tolist()


def _exits(survey: Survey, ground: Ground) -> list[tuple[int, Vector]] | None:
    """Return the steps by which what is held is left: a variable, or ``-1 - row``, and the step.

    None where one cannot be told.
    """
    wide = steps.widths(survey.x, ground.lower, ground.upper)
    made = []
    for i in _held(survey, ground):
        way = np.zeros(survey.x.size)
        way[i] = (1.0 if survey.x[i] == ground.lower[i] else -1.0) * (_LEFT * _HALF * wide[i])
        made.append((i, ground.tangent(survey.x, survey.rows, way[None])[0]))
    for row in survey.rows:
        if not ground.is_equality(row):
            inward = ground.inward(survey.x, survey.rows, row)
            if inward is None:
                return None
            made.append((-1 - row, _LEFT * inward))
    return made


def _ended(survey: Survey, ground: Ground) -> Outcome:
    """End, or look first whether f falls where what is held leaves its bounds and rows."""
    exits = _exits(survey, ground)
    if exits is None:
        return "given up"
    if not exits or survey.released >= _RELEASED:
        return "ended"
    if survey.told:
        return _released_by_slopes(survey, exits, ground)
    ends = []
    for exit, way in exits:
        others = [row for row in survey.rows if row != -1 - exit]
        for _ in range(_SHRINKS):
            points = [ground.place(survey.x, share * way, others) for share in (1.0, 0.5)]
            if all(point is not None for point in points):
                break
            way = 0.25 * way
        ends += [point for point in points if point is not None]
    if len(ends) < 2 * len(exits):
        return "given up"
    _pend_ends(survey, _RELEASE, ends)
    return "ask"


def _released_by_slopes(survey: Survey, exits: list[tuple[int, Vector]], ground: Ground) -> Outcome:
    """Let go what the gradient says f falls off, and go on; or end."""
    falls = [way for _, way in exits if math.fsum((survey.slope * way).tolist()) < 0.0]
    rows = [-1 - exit for exit, way in exits if any(way is each for each in falls) and exit < 0]
    return _go_off(survey, falls, rows, ground)


def _go_off(survey: Survey, ways: list[Vector], rows: list[int], ground: Ground) -> Outcome:
    """Go on along further directions, off rows that do not hold the point any more; or end."""
    if not ways:
        return "ended"
    survey.basis = np.array([*survey.basis, *(0.5 * way for way in ways)])
    survey.rows = [row for row in survey.rows if row not in rows]
    survey.quiet, survey.growth = 0, _LONGEST
    survey.released += 1
    if rows:  # on a surface that bends there is room along it inside only
        survey.way, survey.gain = 0.5 * np.sum(ways, axis=0), 0.0
        if _try(survey, 1, ground):
            return "ask"
    return _again(survey, ground)


def _after_release(survey: Survey, ground: Ground) -> Outcome:
    """Let go what falls off its bound or row, and go on; or end."""
    rise, exits = [f - survey.f for f in survey.values], _exits(survey, ground)
    falls, rows, ways, slopes = [], [], [], []
    for k, (exit, planned) in enumerate(exits or []):
        far, near = rise[2 * k : 2 * k + 2]
        if not (math.isfinite(far) and math.isfinite(near)):
            continue
        slope = 4.0 * near - far  # of a parabola
        way = planned if ground.rows is None else survey.ends[2 * k] - survey.x
        ways.append(way)
        slopes.append(slope)
        if ground.rows is None:
            survey.slope[exit] = slope / planned[exit]
        if slope < 0.0:
            falls.append(way)
            rows += [-1 - exit] if exit < 0 else []
    if ground.rows is not None:
        known = times(survey.basis, survey.slope).tolist() if len(survey.basis) else []
        survey.slope = _gradient(np.array([*survey.basis, *ways]), [*known, *slopes], survey.slope)
    return _go_off(survey, falls, rows, ground)


def _gradient(basis: Vector, parts: list[float], otherwise: Vector) -> Vector:
    """Return the gradient whose parts along directions are given, where that tells all of it."""
    if len(basis) != otherwise.size:
        return otherwise
    factors = LowerUpper.of(basis)
    return otherwise if factors is None else np.asarray(factors.solve(parts))


def _after_round(survey: Survey, ground: Ground) -> Outcome:
    """Lay the parabola; end, or make the directions conjugate, and step to its minimum."""
    made = _laid(survey, ground)
    wanted = survey.share * _wanted(survey.noise, len(made.slope))
    survey.slope = made.gradient
    shear, found = parabola.conjugate(made.bent, wanted / survey.growth**2)
    longer = [math.sqrt(wanted / d) for d in found]
    ways = [transposed_times(survey.basis, row) for row in shear]
    wide = steps.widths(survey.x, ground.lower, ground.upper)
    longer = [
        min(factor, _HALF / float(np.max(np.abs(way) / wide)))
        for factor, way in zip(longer, ways, strict=True)
    ]
    slope = [
        factor * math.fsum(c * s for c, s in zip(row, made.slope, strict=True))
        for factor, row in zip(longer, shear, strict=True)
    ]
    error = [factor * made.error(row) for factor, row in zip(longer, shear, strict=True)]
    reach = [min(max(-s / wanted, -_REACH), _REACH) for s in slope]
    gain = -math.fsum(s * y + 0.5 * wanted * y * y for s, y in zip(slope, reach, strict=True))
    survey.promised = math.fsum(
        (abs(s) + _SURE * e) ** 2 / (2.0 * wanted) for s, e in zip(slope, error, strict=True)
    )
    if gain <= 2.0 * survey.noise:
        nothing = gain <= _NEGLIGIBLE * survey.noise and (
            survey.promised <= _SURE_OF * survey.noise
            if survey.told
            else all(abs(s) <= _SURE * e for s, e in zip(slope, error, strict=True))
        )
        survey.quiet += nothing
        sure = parabola.is_sure(made.bent, found, longer, wanted)
        if nothing and (sure or survey.quiet >= _QUIET):
            return _ended(survey, ground)
    elif max(found) <= 16.0 * wanted:
        survey.quiet = 0
    if survey.told and max(found) <= 4.0 * wanted and gain <= 2.0 * survey.noise:
        each = max(error) * math.sqrt(2 * len(error) + 1) / wanted  # of one gradient
        if survey.promised > _SURE_OF * survey.noise or each > _CLEAR:
            if not _looks_closer(survey, each):
                return "given up"
            longer = [_CLOSER * factor for factor in longer]
            wanted *= _CLOSER**2
    if max(found) > 4.0 * wanted:
        survey.growth = max(_LEAST_GROWTH, math.sqrt(survey.growth))
    survey.basis = np.array([factor * way for factor, way in zip(longer, ways, strict=True)])
    if gain > 0.25 * survey.noise and max(found) <= 16.0 * wanted:  # else it is no parabola yet
        survey.way = transposed_times(survey.basis, reach)
        survey.gain = gain
        if _try(survey, 1, ground):
            return "ask"
        _hold(survey, ground)
    return _again(survey, ground)


def _looks_closer(survey: Survey, unexplained: float) -> bool:
    """Look at gradients closer by; at values, if that explained no more of gradients; or give up.

    Where f bends more than a parabola less of them is left unexplained closer by, where they are
    noisy more.
    """
    if unexplained < survey.unexplained and survey.share > _CLOSEST:
        survey.share, survey.unexplained = _CLOSER**2 * survey.share, unexplained
        return True
    survey.told, survey.share = False, 1.0  # values say more than gradients of such a noise
    return len(survey.basis) <= LARGEST


def _laid(survey: Survey, ground: Ground) -> Parabola:
    """Return the parabola through what was told."""
    sides = _sides(survey, ground)
    wide = steps.widths(survey.x, ground.lower, ground.upper)
    if survey.told:
        slopes, g = np.array(survey.slopes), survey.g
        points = (survey.x, *survey.ends) if survey.rows else ()
        bases = [ground.tangent(x, survey.rows, survey.basis) for x in points]
        return parabola.through_slopes(survey.basis, sides, g, slopes, wide, bases)
    shares = [_share(survey, sides, i, j, ground) for i, j in parabola.pairs(len(sides))]
    values, noise = survey.values, survey.noise
    return parabola.through_values(survey.basis, sides, shares, survey.f, values, noise, wide)


# -- as data -----------------------------------------------------------------------------------


def to_dict(survey: Survey) -> dict[str, Any]:
    """Return a survey as numbers and arrays."""
    return {
        "x": survey.x.copy(),
        "f": survey.f,
        "noise": survey.noise,
        "basis": survey.basis.copy(),
        "ends": np.array(survey.ends),
        "values": np.array(survey.values),
        "missing": survey.missing,
        "trial": survey.trial,
        "way": survey.way.copy(),
        "gain": survey.gain,
        "growth": survey.growth,
        "quiet": survey.quiet,
        "level": survey.level,
        "rounds": survey.rounds,
        "released": survey.released,
        "slope": survey.slope.copy(),
        "promised": survey.promised,
        "rows": list(survey.rows),
        "told": survey.told,
        "g": survey.g.copy(),
        "slopes": np.array(survey.slopes),
        "share": survey.share,
        "unexplained": survey.unexplained,
    }


def from_dict(data: dict[str, Any]) -> Survey:
    """Return the survey of which `to_dict` made `data`.

    Raises
    ------
    ValueError
        Its parts contradict each other.
    """
    n, k, count = len(data["x"]), len(data["basis"]), len(data["ends"])
    trial = stored.whole("trial", data["trial"], most=_RELEASE)
    wanted = 2 * (n - k) if trial == _RELEASE else 1 if trial else k * (k + 3) // 2
    told = stored.flag("told", data.get("told", False))  # 0.9.0 had none
    if told and not trial:
        wanted = 2 * k
    fits = 1 <= count <= wanted and (count == wanted or trial == _RELEASE)
    if not (k <= n and (k or trial == _RELEASE) and fits):
        raise ValueError(f"a survey of {count} points by {k} directions")
    slopes = data.get("slopes", ())
    if len(slopes) != (count if told else 0):
        raise ValueError(f"a survey of {count} points with {len(slopes)} gradients")
    nothing = np.full(n, math.nan)
    return Survey(
        x=stored.array("x", data["x"], (n,), finite=True),
        f=stored.real("f", data["f"]),
        noise=stored.real("noise", data["noise"], 0.0),
        basis=stored.array("basis", data["basis"], (k, n), finite=True).reshape(k, n),
        ends=list(stored.array("ends", data["ends"], (count, n), finite=True)),
        values=stored.array("values", data["values"], (count,), nan=True).tolist(),
        missing=stored.whole("missing", data["missing"], most=count),
        trial=trial,
        way=stored.array("way", data["way"], (n,), finite=True),
        gain=stored.real("gain", data["gain"]),
        growth=stored.real("growth", data["growth"], 1.0, _LONGEST),
        quiet=stored.whole("quiet", data["quiet"]),
        level=stored.real("level", data["level"]),
        rounds=stored.whole("rounds", data["rounds"], most=ROUNDS),
        released=stored.whole("released", data["released"], most=_RELEASED),
        slope=stored.array("slope", data["slope"], (n,), finite=True),
        promised=stored.real("promised", data["promised"], 0.0),
        rows=[stored.whole("rows", row) for row in data.get("rows", ())],
        told=told,
        g=stored.array("g", data.get("g", nothing), (n,), nan=True),
        slopes=[stored.array("slopes", each, (n,), nan=True) for each in slopes],
        share=stored.real("share", data.get("share", 1.0), _CLOSEST, 1.0),
        unexplained=stored.real("unexplained", data.get("unexplained", math.inf), 0.0),
    )
