"""A survey: what values that are noisy say of the minimum, measured round a point by values alone.

Differences by coordinates have errors that are those of the stiffest direction: where the floor of
a narrow valley crosses the coordinates its slope is lost in them, far from the minimum.  So where
the values of a run show nothing but noise a parabola is laid through values round its best point,
along directions that are conjugate for it and so long that f rises by the same, some standard
deviations of the noise, on each.  A direction along which it does not is made longer, one along
which it rises by more, shorter, and the other ones are made conjugate to the stiffer ones, so that
a floor is found though the first directions cross it.  As long as the parabola promises more than
half a standard deviation, or its slope is more than its error, the point moves to the minimum of
it, and is surveyed again.

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
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from optdriver import stored
from optdriver.geometry.factors import LowerUpper
from optdriver.geometry.products import transposed_times
from optdriver.multistart import steps
from optdriver.multistart.heard import DOUBT

Vector = NDArray[np.float64]
Rows = list[list[float]]
Outcome = Literal["ask", "ended", "given up"]

LARGEST: Final = 30
"""Most variables of which all pairs are looked at."""

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


def begin(
    x: Vector,
    f: float,
    g: Vector,
    noise: float,
    curvature: Vector | None,
    lower: Vector,
    upper: Vector,
) -> Survey | None:
    """Return the first survey of a point, None where nothing varies.

    Variables at a bound that the gradient `g` points across are held there.  `curvature` is what is
    known of it by each variable.
    """
    held = ((x == lower) & (g >= 0.0)) | ((x == upper) & (g <= 0.0))
    free = np.flatnonzero(~held & (lower < upper)).tolist()
    if not free:
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
    _ask_round(made, lower, upper)
    return made


def _wanted(noise: float, n: int) -> float:
    """Return the curvature, by lengths, that n directions are to have: the errors grow with n."""
    return _VISIBLE * (1.0 + math.sqrt(n)) * noise


# -- which points ------------------------------------------------------------------------------


def _ask_round(survey: Survey, lower: Vector, upper: Vector) -> None:
    """Let the points round `x` be pending."""
    if survey.f < survey.level - _DOUBT * survey.noise:
        survey.level, survey.rounds = survey.f, 0
    survey.rounds += 1
    sides = _sides(survey, lower, upper)
    ways = [t * survey.basis[k] for k, both in enumerate(sides) for t in both]
    for i, j in _pairs(len(sides)):
        share = _share(survey, sides, i, j, lower, upper)
        ways.append(
            share * (sides[i][0] * survey.basis[i]) + share * (sides[j][0] * survey.basis[j])
        )
    _pend(survey, 0, ways, lower, upper)


def _pend(survey: Survey, trial: int, ways: list[Vector], lower: Vector, upper: Vector) -> None:
    survey.trial = trial
    survey.ends = [np.minimum(np.maximum(survey.x + way, lower), upper) for way in ways]
    survey.values = [math.nan] * len(ways)
    survey.missing = len(ways)


def _pairs(n: int) -> list[tuple[int, int]]:
    return [(i, j) for i in range(n) for j in range(i)]


def _sides(survey: Survey, lower: Vector, upper: Vector) -> list[tuple[float, float]]:
    """Return where the two points of each direction are, in its lengths: both inside the box."""
    made = []
    for way in survey.basis:
        up, down = _room(survey.x, way, lower, upper), _room(survey.x, -way, lower, upper)
        if min(up, down) >= _ROOM:
            made.append((up, -down))
        else:
            far = up if up >= down else -down
            made.append((far, 0.5 * far))
    return made


def _room(x: Vector, way: Vector, lower: Vector, upper: Vector) -> float:
    """Return how much of a way there is room for, 1 at most."""
    room = 1.0
    for i in np.flatnonzero(way).tolist():
        side = upper[i] if way[i] > 0.0 else lower[i]
        room = min(room, float(side - x[i]) / float(way[i]))
    return max(room, 0.0)


def _share(
    survey: Survey,
    sides: list[tuple[float, float]],
    i: int,
    j: int,
    lower: Vector,
    upper: Vector,
) -> float:
    """Return which part of two directions together is inside the box: all, or half of each."""
    way = sides[i][0] * survey.basis[i] + sides[j][0] * survey.basis[j]
    return 1.0 if _room(survey.x, way, lower, upper) == 1.0 else 0.5


# -- what they say -----------------------------------------------------------------------------


def go_on(survey: Survey, lower: Vector, upper: Vector) -> Outcome:
    """Take in what was told: leave the next points in the survey, or end it."""
    if survey.trial == _RELEASE:
        return _after_release(survey, lower, upper)
    if survey.trial:
        return _after_trial(survey, lower, upper)
    if not all(math.isfinite(f) for f in survey.values):
        survey.basis = 0.5 * survey.basis
        return _again(survey, lower, upper)
    return _after_round(survey, lower, upper)


def _again(survey: Survey, lower: Vector, upper: Vector) -> Outcome:
    if survey.rounds >= ROUNDS or not len(survey.basis):
        return "given up"
    if min(max(map(abs, both)) for both in _sides(survey, lower, upper)) < _CORNER:
        lengths = np.max(np.abs(survey.basis), axis=0)  # there is room along coordinates
        survey.basis = np.diag(lengths)[lengths > 0.0]
    _ask_round(survey, lower, upper)
    return "ask"


def _after_trial(survey: Survey, lower: Vector, upper: Vector) -> Outcome:
    """Move to the end of a step that is no higher than noise makes it, or try half of it."""
    f = survey.values[0]
    allowed = _DOUBT * survey.noise - (0.1 * survey.gain if survey.gain > 10 * survey.noise else 0)
    if math.isfinite(f) and f <= survey.f + allowed:
        survey.x, survey.f = survey.ends[0].copy(), f
        _hold(survey, lower, upper)
        return _again(survey, lower, upper)
    if survey.trial < _TRIALS:
        survey.way, survey.gain = 0.5 * survey.way, 0.5 * survey.gain
        _pend(survey, survey.trial + 1, [survey.way], lower, upper)
        return "ask"
    return _again(survey, lower, upper)


def _hold(survey: Survey, lower: Vector, upper: Vector) -> None:
    """Hold variables that the step has brought to a bound; one direction goes with each."""
    x, outward = survey.x, survey.way
    met = ((x == upper) & (outward > 0.0)) | ((x == lower) & (outward < 0.0))
    for i in np.flatnonzero(met).tolist():
        parts = np.abs(survey.basis[:, i])
        if not parts.any():
            continue
        gone = int(np.argmax(parts))
        kept = [row for k, row in enumerate(survey.basis) if k != gone]
        ratio = [row[i] / survey.basis[gone, i] for row in kept]
        made = [row - r * survey.basis[gone] for row, r in zip(kept, ratio, strict=True)]
        survey.basis = np.array(made).reshape(len(made), x.size)
        survey.basis[:, i] = 0.0


def _held(survey: Survey, lower: Vector, upper: Vector) -> list[tuple[int, float]]:
    """Return which variables are held at a bound, and a length off it for each."""
    held = (lower < upper) & ~np.any(survey.basis != 0.0, axis=0)
    inward = np.where(survey.x == lower, 1.0, -1.0) * steps.widths(survey.x, lower, upper)
    return [(i, 0.2 * _HALF * float(inward[i])) for i in np.flatnonzero(held).tolist()]


def _ended(survey: Survey, lower: Vector, upper: Vector) -> Outcome:
    """End, or look first whether f falls where variables that are held leave their bounds."""
    ways = []
    for i, length in _held(survey, lower, upper):
        for share in (1.0, 0.5):
            ways.append(np.zeros(survey.x.size))
            ways[-1][i] = share * length
    if not ways or survey.released >= _RELEASED:
        return "ended"
    _pend(survey, _RELEASE, ways, lower, upper)
    return "ask"


def _after_release(survey: Survey, lower: Vector, upper: Vector) -> Outcome:
    """Let go what falls off its bound, and go on; or end."""
    rise, basis = [f - survey.f for f in survey.values], list(survey.basis)
    for k, (i, length) in enumerate(_held(survey, lower, upper)):
        far, near = rise[2 * k : 2 * k + 2]
        if not (math.isfinite(far) and math.isfinite(near)):
            continue
        slope = 4.0 * near - far  # of a parabola
        survey.slope[i] = slope / length
        if slope < 0.0:
            basis.append(np.zeros(survey.x.size))
            basis[-1][i] = 0.5 * length
    if len(basis) == len(survey.basis):
        return "ended"
    survey.basis, survey.quiet, survey.growth = np.array(basis), 0, _LONGEST
    survey.released += 1
    return _again(survey, lower, upper)


def _after_round(survey: Survey, lower: Vector, upper: Vector) -> Outcome:
    """Lay the parabola; end, or make the directions conjugate, and step to its minimum."""
    a, bent = _parabola(survey, lower, upper)
    wanted = _wanted(survey.noise, len(a))
    survey.slope = _gradient(survey, a)
    shear, found = _conjugate(bent, wanted / survey.growth**2)
    longer = [math.sqrt(wanted / d) for d in found]
    ways = [transposed_times(survey.basis, row) for row in shear]
    wide = steps.widths(survey.x, lower, upper)
    longer = [
        min(factor, _HALF / float(np.max(np.abs(way) / wide)))
        for factor, way in zip(longer, ways, strict=True)
    ]
    slope = [
        factor * math.fsum(c * s for c, s in zip(row, a, strict=True))
        for factor, row in zip(longer, shear, strict=True)
    ]
    error = [
        factor * math.sqrt(0.5 * math.fsum(c * c for c in row)) * survey.noise
        for factor, row in zip(longer, shear, strict=True)
    ]
    reach = [min(max(-s / wanted, -_REACH), _REACH) for s in slope]
    gain = -math.fsum(s * y + 0.5 * wanted * y * y for s, y in zip(slope, reach, strict=True))
    survey.promised = math.fsum(
        (abs(s) + _SURE * e) ** 2 / (2.0 * wanted) for s, e in zip(slope, error, strict=True)
    )
    if gain <= 2.0 * survey.noise:
        nothing = gain <= _NEGLIGIBLE * survey.noise and all(
            abs(s) <= _SURE * e for s, e in zip(slope, error, strict=True)
        )
        survey.quiet += nothing
        if nothing and (_is_sure(bent, found, longer, wanted) or survey.quiet >= _QUIET):
            return _ended(survey, lower, upper)
    elif max(found) <= 16.0 * wanted:
        survey.quiet = 0
    if max(found) > 4.0 * wanted:
        survey.growth = max(_LEAST_GROWTH, math.sqrt(survey.growth))
    survey.basis = np.array([factor * way for factor, way in zip(longer, ways, strict=True)])
    if gain > 0.25 * survey.noise and max(found) <= 16.0 * wanted:  # else it is no parabola yet
        survey.way = transposed_times(survey.basis, reach)
        survey.gain = gain
        _pend(survey, 1, [survey.way], lower, upper)
        if np.any(survey.ends[0] != survey.x):
            return "ask"
        _hold(survey, lower, upper)
    return _again(survey, lower, upper)


def _is_sure(bent: Rows, found: list[float], longer: list[float], wanted: float) -> bool:
    """Tell whether f was seen to rise on every direction, in lengths that are right for it."""
    n = len(bent)
    return (
        all(0.25 * wanted <= d <= 4.0 * wanted for d in found)
        and all(0.25 * wanted <= bent[k][k] <= 4.0 * wanted for k in range(n))
        and all(abs(bent[i][j]) < 0.5 * wanted for i, j in _pairs(n))
        and max(longer) <= 1.6
    )


def _parabola(survey: Survey, lower: Vector, upper: Vector) -> tuple[list[float], Rows]:
    """Return slopes and curvatures in the directions, by their lengths."""
    sides = _sides(survey, lower, upper)
    n, rise = len(sides), [f - survey.f for f in survey.values]
    a, bent = [0.0] * n, [[0.0] * n for _ in range(n)]
    for k, (s, t) in enumerate(sides):
        here, there = rise[2 * k] / s, rise[2 * k + 1] / t
        bent[k][k] = 2.0 * (here - there) / (s - t)
        a[k] = here - 0.5 * bent[k][k] * s
    for slot, (i, j) in enumerate(_pairs(n), start=2 * n):
        share = _share(survey, sides, i, j, lower, upper)
        s, t = share * sides[i][0], share * sides[j][0]
        known = a[i] * s + a[j] * t + 0.5 * bent[i][i] * s * s + 0.5 * bent[j][j] * t * t
        bent[i][j] = bent[j][i] = (rise[slot] - known) / (s * t)
    return a, bent


def _conjugate(bent: Rows, least: float) -> tuple[Rows, list[float]]:
    """Return combinations of the directions that are conjugate, and the curvature along each.

    Pivots of Cholesky's factorisation, the largest first.  Where `least` is more than what is left,
    the rest stays as it is, with the size of what is seen there, and no less than that.
    """
    n = len(bent)
    left, rest = list(range(n)), [row[:] for row in bent]
    shear = [[float(i == k) for i in range(n)] for k in range(n)]
    found = [0.0] * n
    while left:
        k = max(left, key=lambda i: rest[i][i])
        if rest[k][k] <= least:
            for i in left:
                found[i] = max(least, *(abs(rest[i][j]) for j in left))
            break
        left.remove(k)
        found[k] = rest[k][k]
        for i in left:
            part = rest[i][k] / rest[k][k]
            shear[i] = [c - part * d for c, d in zip(shear[i], shear[k], strict=True)]
            for j in left:
                rest[i][j] -= part * rest[k][j]
    return shear, found


def _gradient(survey: Survey, a: list[float]) -> Vector:
    """Return the gradient whose parts along the directions are `a`; 0 for what is held."""
    basis = survey.basis
    free = np.flatnonzero(np.any(basis != 0.0, axis=0))
    factors, g = LowerUpper.of(basis[:, free]), np.zeros(survey.x.size)
    if factors is not None:
        g[free] = factors.solve(a)
    return g


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
    if not 1 <= k <= n or not 1 <= count <= wanted or (count < wanted and trial != _RELEASE):
        raise ValueError(f"a survey of {count} points by {k} directions")
    return Survey(
        x=stored.array("x", data["x"], (n,), finite=True),
        f=stored.real("f", data["f"]),
        noise=stored.real("noise", data["noise"], 0.0),
        basis=stored.array("basis", data["basis"], (k, n), finite=True),
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
    )
