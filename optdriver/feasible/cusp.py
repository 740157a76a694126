"""Whether a run that stalled has come to a cusp: a minimum that has no multipliers.

At the tip of ``0 <= y <= (1 - x)^3`` the gradients of the row and of the side are each other's
negative.  They balance each other and no gradient of f (Fritz John's conditions hold with none of
f), so that what Karush, Kuhn and Tucker ask for cannot be had, though nothing feasible lies beyond.
The end counts as a minimum if both are seen:

1. No step leads away from all active rows and sides at once, to first order: the qualification of
   Mangasarian and Fromovitz fails, without which a minimum need not have multipliers.
2. No step on the exact set reduces f to first order.  Points are moved by r the ways that reduce f
   and restored, for r over four decades; whatever is feasible near there must not be lower, and
   what does not become feasible must come back all the same: else it has only lost its way.
   Where the gradient of a row vanishes, as at the end of a horn ``y^2 <= (1 - x)^3``, this takes
   many steps, and only the larger radii are so asked.

All is in u = x / D, D the sizes of the variables, at most the widths of their box.  What f may
still fall by is compared with f itself: a cusp is reached to rounding of rows, of which its tip is
the root of the order, never exactly.

Source: Mangasarian, Fromovitz, J. Math. Anal. Appl. 17 (1967) 37.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from optdriver.constraints.restoration import descend
from optdriver.feasible.criticality import Criticality
from optdriver.feasible.region import Region
from optdriver.feasible.types import Indices, Mask, Vector
from optdriver.geometry.elementary import cosines
from optdriver.geometry.factors import Orthogonal
from optdriver.geometry.least_distance import least_distance
from optdriver.geometry.matrices import finite, row_norms
from optdriver.geometry.products import dot, largest, largest_size, norm, times, transposed_times
from optdriver.numerics import is_numeric

ACTIVE = 1e-8  # scaled rows closer to zero than this, and sides in sizes of the variables
VANISHING = 1e-6  # of the gradient of a scaled row
NOTHING = 1e-10  # of the same, where a multiplier says nothing
INWARD = 1e4  # no shorter step leads away from all active rows by a unit of each
RADII = (0.3, 1e-1, 3e-2, 1e-2, 1e-3, 1e-4)
SLOPE = 1e-6  # of the gradient, what counts as a slope of first order
MISSED = 1e-8  # of f, or of what it changes by in a size of the variables: nearer is at the tip
CLOSE = 1e-6  # of the same: the tip is near, and to be asked
OTHER_WAYS = 4
NARROW = 1e-15
STEPS = 30
STEPS_FLAT = 100  # where a gradient vanishes: Newton's steps halve the way there at best
BACK = 0.35  # of the way, within which what is not restored must have come back
COARSE = 1e-2  # from smaller radii violations of high order drown, and little comes back
COARSE_FLAT = 0.05  # the same there: a tip of third order is met to its root
BACK_FLAT = 0.03  # of the way where a gradient vanishes: Newton's steps are slow, and less sure
LARGEST = 60  # variables: each way costs a restoration


@dataclass(frozen=True, kw_only=True)
class _Active:
    """The active rows and sides in u, inequalities as unit rows of ``A u <= 0``."""

    rows: Indices
    sides: Mask
    size: Vector
    inequalities: Vector
    equalities: Vector
    flat: bool


@dataclass(frozen=True, kw_only=True)
class Cusp:
    """What was found near a cusp.

    Attributes
    ----------
    slope : float
        The steepest descent, in the unit of f.
    tip : ndarray, shape (n,), or None
        A feasible point close by that is still lower, to first order: the tip itself.
    fall : float
        What f falls by on the way there.
    """

    slope: float
    tip: Vector | None = None
    fall: float = 0.0


def cusp_near(
    region: Region,
    x: Vector,
    g: Vector,
    scale: float,
    tolerance: float = 0.0,
    *,
    patient: bool = True,
    fine: bool = True,
) -> Cusp | None:
    """Return what is known of the cusp at or near `x`; None if it cannot be shown to be one.

    Parameters
    ----------
    region : Region
    x, g : ndarray, shape (n,)
        A feasible point, and the gradient there.
    scale : float
        What f is measured by there, as |f|.
    tolerance : float
        Scaled violation of inequalities that is accepted.
    patient : bool
        Whether a restoration may take more steps where a gradient vanishes.
    fine : bool
        Whether rows and sides on the way to which f changes plainly are none that it is at.  In a
        huge box the sizes of the variables say nothing of what is near.
    """
    if region.n > LARGEST or any(region.work.costs):
        return None
    try:
        near = ACTIVE
        if fine:
            near = min(near, CLOSE * scale / max(norm(region.scale * g), scale))
        active = _active(region, x, near)
        if active is None or not (active.flat or _contradict(active)):
            return None
        flat = active.flat and patient
        return _search(region, x, g, active, scale, tolerance, STEPS_FLAT if flat else STEPS)
    except Exception as error:
        if not is_numeric(error):
            raise
        return None


def without_multipliers(region: Region, x: Vector, at: Criticality, slope: float) -> Criticality:
    """Return what is said of a cusp: the steepest descent as residual, and no multipliers."""
    active = _active(region, x)
    if active is None:
        return at
    return replace(
        at,
        residual=slope,
        multipliers=np.zeros(len(at.multipliers)),
        bound_multipliers=np.zeros(region.n),
        pinned=active.sides,
        cusps=active.rows,
    )


def without_vanishing(region: Region, x: Vector, at: Criticality) -> Criticality:
    """Return what is said of a point where a row's gradient is rounding: no multiplier of it.

    The row is a cusp there, which first-order conditions hold at by a multiplier without meaning.
    """
    if region.large or not largest(at.multipliers) > 0.0:
        return at
    jac, _ = region.linearised(x)
    if not finite(jac):
        return at
    lengths = np.full(len(at.multipliers), np.inf)
    lengths[region.inequalities] = row_norms(jac * region.scale)
    rows = np.flatnonzero((lengths <= NOTHING) & (at.multipliers > 0.0))
    if not len(rows):
        return at
    multipliers = at.multipliers.copy()
    multipliers[rows] = 0.0
    return replace(at, multipliers=multipliers, cusps=np.union1d(at.cusps, rows))


def _active(region: Region, x: Vector, close: float = ACTIVE) -> _Active | None:
    """Return what is active at x; None where nothing is, or has no gradient, or is a kink."""
    c, _ = region.values(x)
    jac, eq = region.linearised(x)
    width = region.upper - region.lower
    size = np.where((width > 0.0) & (width < region.scale), width, region.scale)
    near = c >= -close
    rows = np.concatenate([region.inequalities[near], region.equalities])
    if not (len(rows) and finite(jac, eq)) or _kinked(region, rows):
        return None
    at, other = jac[near] * size, eq * size
    low, high = x <= region.lower + close * size, x >= region.upper - close * size
    eye = np.eye(region.n)
    flat = [row_norms(each) <= VANISHING for each in (at, other)]
    return _Active(
        rows=rows,
        sides=(low | high) & region.free,
        size=np.where(region.free, size, 0.0),
        inequalities=np.vstack([_unit(at), -eye[low & region.free], eye[high & region.free]]),
        equalities=_unit(other),
        flat=bool(flat[0].any() or flat[1].any()),
    )


def _kinked(region: Region, rows: Indices) -> bool:
    """Say whether an active row has a kink or is a union: its gradient is not all there is."""
    smooth = getattr(region.constraints, "smooth", None)
    unions = getattr(region.constraints, "unions", None)
    kinked = smooth is not None and not all(bool(smooth[row]) for row in rows)
    return kinked or (unions is not None and any(bool(unions[row]) for row in rows))


def _unit(rows: Vector) -> Vector:
    """Return the rows at unit length; those that vanish stay as they are."""
    lengths = row_norms(rows)
    return np.asarray(rows / np.where(lengths > VANISHING, lengths, 1.0)[:, None])


def _contradict(active: _Active) -> bool:
    """Say whether no step leads away from all active rows and sides along the equalities."""
    free = active.size > 0.0
    a, e = active.inequalities[:, free], active.equalities[:, free]
    if len(e) and Orthogonal(e, 1e-10).rank < len(e):
        return True
    unlimited = np.full(int(free.sum()), np.inf)
    found = least_distance(a, np.full(len(a), -1.0), e, np.zeros(len(e)), -unlimited, unlimited)
    return not found.feasible or largest_size(found.d) > INWARD


def _search(
    region: Region,
    x: Vector,
    g: Vector,
    active: _Active,
    scale: float,
    tolerance: float,
    steps: int,
) -> Cusp | None:
    """Look for feasible points near x; None if f falls to one of them, to first order."""
    slope = active.size * g
    steepness = norm(slope)
    if not 0.0 < steepness < np.inf:
        return None
    found, missed = Cusp(slope=0.0), min(steepness, scale)
    for radius in RADII:
        small = SLOPE * steepness * radius + CLOSE * missed
        lost = steepness * radius * (BACK_FLAT if active.flat else BACK)
        if radius < (COARSE_FLAT if steps == STEPS_FLAT else 0.0 if active.flat else COARSE):
            lost = np.inf
        for way in _ways(active, slope / steepness):
            wish = region.clip(x + radius * active.size * way)
            made = descend(region, wish, steps, tolerance, NARROW)
            u = _moved(active, made.x - x)
            if largest_size(u) > 2.0 * radius:
                continue  # it is another place
            fall = -dot(slope, u)
            if fall > (small if made.feasible else lost):
                return None
            if made.feasible:
                found = replace(found, slope=max(found.slope, fall / radius))
            if made.feasible and fall > max(found.fall, MISSED * missed):
                found = replace(found, tip=made.x, fall=fall)
    return found


def _moved(active: _Active, step: Vector) -> Vector:
    """Return the step in u; a variable that cannot move has no size."""
    free = active.size > 0.0
    return np.asarray(np.where(free, step, 0.0) / np.where(free, active.size, 1.0))


def _ways(active: _Active, slope: Vector) -> Iterator[Vector]:
    """Yield ways that reduce f, of size 1: down, down along the active rows, and beside these."""
    rows = np.vstack([active.inequalities, active.equalities])
    made = Orthogonal(rows, VANISHING)
    basis = made.basis[: made.rank]
    along = -slope + transposed_times(basis, times(basis, slope))
    down = [-slope] + ([along] if norm(along) > SLOPE else [])
    yield from (way / largest_size(way) for way in down)
    for k in range(OTHER_WAYS):
        beside = cosines(1.0 + (k + 2) * np.arange(1, len(slope) + 1, dtype=float))
        way = down[k % len(down)] / norm(down[k % len(down)]) + beside / norm(beside)
        if dot(way, slope) < 0.0:
            yield way / largest_size(way)
