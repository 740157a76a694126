"""The feasible point nearest to a given one, under the exact constraints.

Weighted least distance ``|D^-1 (z - x)|``: restoration first, which gives a bound on the distance,
then the interior-point solver inside that bound; and, when neither arrives, restoration from other
points of the box.  No evaluation of the objective is spent here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optdriver.feasible import interior
from optdriver.feasible.crossover import cross_over
from optdriver.feasible.models import QuadraticModel
from optdriver.feasible.region import Region
from optdriver.feasible.restoration import restore
from optdriver.feasible.trial import BARRIERS, Local, subproblem
from optdriver.feasible.types import Vector

LONG = 60  # Newton steps for a point that may be far away
OTHER_POINTS = 24


@dataclass(frozen=True, kw_only=True)
class Moved:
    """A feasible point, and how far it is from the wanted one (``|D^-1 (z - x)|``)."""

    point: Vector
    distance: float


def nearest_feasible(region: Region, wanted: Vector, tolerance: float = 0.0) -> Moved | None:
    """Return the nearest feasible point that can be found, or None.

    Parameters
    ----------
    region : Region
    wanted : ndarray, shape (n,)
        May be outside of the box.
    tolerance : float
        Scaled violation accepted, 0 where the set has an interior.
    """
    clipped = region.clip(wanted)
    if region.is_feasible(clipped):
        return _moved(region, clipped, wanted)
    found = restore(region, clipped, LONG, tolerance)
    if found is None:
        found = _from_elsewhere(region, clipped, tolerance)
    reach = 4.0 if found is None else _size(region, found - clipped)
    candidates = [
        found,
        *(
            _least_distance(region, clipped, wanted, 1.01 * reach, tolerance, barrier)
            for barrier in BARRIERS
        ),
    ]
    moved = [_moved(region, point, wanted) for point in candidates if point is not None]
    return min(moved, key=lambda each: each.distance) if moved else None


def _moved(region: Region, point: Vector, wanted: Vector) -> Moved:
    distance = float(np.linalg.norm((point - wanted) / region.scale))
    return Moved(point=point, distance=distance)


def _size(region: Region, d: Vector) -> float:
    return float(np.max(np.abs(d) / region.scale, initial=0.0))


def _least_distance(
    region: Region,
    x: Vector,
    wanted: Vector,
    reach: float,
    tolerance: float,
    barrier: float,
) -> Vector | None:
    """Solve for the nearest point within `reach` of `x`."""
    gradient = (x - wanted) / region.scale
    local = Local(region=region, x=x, gradient=gradient, delta=reach, tolerance=tolerance)
    model = QuadraticModel(theta=1.0, vectors=np.zeros((region.n, 0)), signs=np.zeros(0))
    problem = subproblem(local, model)
    if problem is None:
        return None
    solution = interior.solve(problem, barrier)
    return restore(region, local.point(cross_over(problem, solution)), tolerance=tolerance)


def _from_elsewhere(region: Region, x: Vector, tolerance: float) -> Vector | None:
    """Restore from points around `x`, wider and wider; keep the nearest that arrives."""
    for k in range(OTHER_POINTS):
        angles = np.sin(np.arange(1, region.n + 1) * (1.0 + 0.7548776662 * (k + 1)) * 7.0)
        width = 0.05 * 1.4**k
        start = region.clip(x + width * angles * region.scale)
        found = restore(region, start, LONG, tolerance)
        if found is not None:
            return found
    return None
