"""Starts that satisfy the constraints, spread over the whole feasible set.

Points of a Sobol sequence are accepted as they come while enough of them are feasible.  Where the
region is a small part of the box, points are projected onto it, each walks from there by hit and
run on the exact constraints (projection alone piles points on the boundary), and greedy maximin
puts what was found in order, the most spread first.  The k-th start depends on the constraints,
the seed and k, not on how many are asked for.

Sources: Smith, Oper. Res. 32 (1984) 1296 (hit and run); Neal, Ann. Statist. 31 (2003) 705 (the
interval that shrinks toward the last point); Gonzalez, Theor. Comput. Sci. 38 (1985) 293 (greedy
maximin).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import qmc

from optdriver.errors import InputError
from optdriver.feasible.region import TOLERANCE, Region
from optdriver.feasible.restoration import restore
from optdriver.feasible.types import Mask, Vector

TESTS = 2**14
BLOCK = 2**10
ENOUGH = 2**8  # feasible ones among the tests: then points are taken as they come
SEEDS = 2**7  # points to walk from
POOL = 2**9  # starts at most where the region is small
STEPS_PER_VARIABLE = 10
MOST_STEPS = 200
SHRINKAGES = 40
HALF_WIDTH = 10.0  # of the box that stands for an infinite one, in units of scale
RESTORING = 30
SURFACE_STEPS = 6


@dataclass(frozen=True, kw_only=True)
class Starts:
    """Feasible points in the order in which they should be used.

    Attributes
    ----------
    points : ndarray, shape (k, n)
    fraction : float
        Part of the tested points of the box that were feasible.
    """

    points: Vector
    fraction: float


def feasible_starts(region: Region, count: int, seed: int = 0) -> Starts:
    """Return `count` feasible starts, or as many as there are.

    Parameters
    ----------
    region : Region
    count : int
    seed : int
        Of the Sobol sequence and of the walks.

    Raises
    ------
    InputError
        No feasible point was found; the message names the constraint that resists.
    """
    lower, upper = _box(region)
    sobol = qmc.Sobol(region.n, scramble=True, rng=np.random.default_rng([seed, 1]))
    accepted, tested = _screened(region, sobol, lower, upper)
    fraction = len(accepted) / tested
    if len(accepted) >= min(ENOUGH, max(count, 1)) and fraction * TESTS >= ENOUGH:
        more = _more(region, sobol, lower, upper, accepted, count)
        return Starts(points=more[:count], fraction=fraction)
    seeds = _seeds(region, seed, lower, upper, accepted)
    if not len(seeds):
        raise InputError(_nothing(region, lower, upper))
    pool = _pool(region, seeds, seed, lower, upper)
    return Starts(points=_spread(pool, lower, upper)[:count], fraction=fraction)


def _box(region: Region) -> tuple[Vector, Vector]:
    """Return a finite box to sample in."""
    middle = np.where(
        np.isfinite(region.lower),
        region.lower + HALF_WIDTH * region.scale,
        np.where(np.isfinite(region.upper), region.upper - HALF_WIDTH * region.scale, 0.0),
    )
    lower = np.where(np.isfinite(region.lower), region.lower, middle - HALF_WIDTH * region.scale)
    upper = np.where(np.isfinite(region.upper), region.upper, middle + HALF_WIDTH * region.scale)
    return lower, upper


def _feasible(region: Region, points: Vector) -> Mask:
    """Say which points are feasible; those of many that look so are tested one by one."""
    if not len(points):
        return np.zeros(0, dtype=bool)
    many = getattr(region.constraints, "values_many", None)
    inside = np.all((points >= region.lower) & (points <= region.upper), axis=1)
    if many is not None and len(region.inequalities):
        with np.errstate(all="ignore"):
            rows = many(points)[:, region.inequalities]
        inside &= np.all(rows <= 1e-9, axis=1)
    for index in np.flatnonzero(inside):
        inside[index] = region.is_feasible(points[index])
    return np.asarray(inside)


def _screened(region: Region, sobol: qmc.Sobol, lower: Vector, upper: Vector) -> tuple[Vector, int]:
    """Test points of the box; stop early where hardly any can be feasible."""
    found = [np.zeros((0, region.n))]
    tested = 0
    while tested < TESTS:
        points = lower + sobol.random(BLOCK) * (upper - lower)
        tested += BLOCK
        found.append(points[_feasible(region, points)])
        if sum(map(len, found)) >= ENOUGH or len(region.equalities):
            break
    return np.vstack(found), tested


def _more(
    region: Region,
    sobol: qmc.Sobol,
    lower: Vector,
    upper: Vector,
    accepted: Vector,
    count: int,
) -> Vector:
    """Go on with the sequence until there are `count` points."""
    while len(accepted) < count:
        points = lower + sobol.random(BLOCK) * (upper - lower)
        accepted = np.vstack([accepted, points[_feasible(region, points)]])
    return accepted


def _seeds(region: Region, seed: int, lower: Vector, upper: Vector, accepted: Vector) -> Vector:
    """Return accepted and projected points; where there is no interior, nearly feasible ones."""
    sobol = qmc.Sobol(region.n, scramble=True, rng=np.random.default_rng([seed, 2]))
    wanted = lower + sobol.random(SEEDS) * (upper - lower)
    for tolerance in (0.0, TOLERANCE):
        moved = [restore(region, point, RESTORING, tolerance) for point in wanted]
        kept = [point for point in moved if point is not None]
        if kept or len(accepted):
            return np.vstack([accepted[:SEEDS], *kept])
    return np.zeros((0, region.n))


def _nothing(region: Region, lower: Vector, upper: Vector) -> str:
    """Say which constraint resists: the one that is violated most where all are violated least."""
    sobol = qmc.Sobol(region.n, scramble=True, rng=np.random.default_rng(0))
    points = lower + sobol.random(BLOCK) * (upper - lower)
    worst = [region.violation(point) for point in points]
    best = int(np.argmin([max(each) for each in worst]))
    c, e = region.values(points[best])
    rows = np.concatenate([region.inequalities, region.equalities])
    sizes = np.concatenate([np.maximum(c, 0.0), np.abs(e)])
    name = region.constraints.names[int(rows[int(np.argmax(np.nan_to_num(sizes, nan=np.inf)))])]
    return (
        f"no point was found that satisfies all constraints; {name!r} resists: it is violated by "
        f"{float(np.max(sizes)):.3g} (scaled) where all are violated least"
    )


def _pool(region: Region, seeds: Vector, seed: int, lower: Vector, upper: Vector) -> Vector:
    """Walk from the seeds; return the seeds and where the walks led."""
    rng = np.random.default_rng([seed, 3])
    if len(region.equalities):
        return _on_surface(region, seeds, rng, lower, upper)
    steps = min(STEPS_PER_VARIABLE * region.n, MOST_STEPS)
    walkers, met = seeds.copy(), []
    for step in range(steps):
        walkers = _hit_and_run(region, walkers, rng, lower, upper)
        if step in (steps // 3, 2 * steps // 3, steps - 1):
            met.append(walkers.copy())
    return np.vstack(met)[: 4 * POOL]


def _hit_and_run(
    region: Region, x: Vector, rng: np.random.Generator, lower: Vector, upper: Vector
) -> Vector:
    """Move every walker to a random feasible point of a random line through it."""
    directions = rng.standard_normal(x.shape) * (upper - lower)
    with np.errstate(divide="ignore", invalid="ignore"):
        to_lower, to_upper = (lower - x) / directions, (upper - x) / directions
    still = directions == 0.0
    near = np.where(still, -np.inf, np.minimum(to_lower, to_upper)).max(axis=1)
    far = np.where(still, np.inf, np.maximum(to_lower, to_upper)).min(axis=1)
    moved, waiting = x.copy(), np.arange(len(x))
    for _ in range(SHRINKAGES):
        lengths = near[waiting] + rng.random(len(waiting)) * (far - near)[waiting]
        trial = x[waiting] + lengths[:, None] * directions[waiting]
        good = _feasible(region, trial)
        moved[waiting[good]] = trial[good]
        bad, lengths = waiting[~good], lengths[~good]
        near[bad] = np.where(lengths < 0.0, lengths, near[bad])
        far[bad] = np.where(lengths >= 0.0, lengths, far[bad])
        waiting = bad
        if not len(waiting):
            break
    return moved


def _on_surface(
    region: Region, seeds: Vector, rng: np.random.Generator, lower: Vector, upper: Vector
) -> Vector:
    """Walk on the equalities: a random step of random length, restored."""
    met = [seeds]
    walkers = seeds.copy()
    for _ in range(SURFACE_STEPS):
        steps = rng.standard_normal(walkers.shape) * (upper - lower) * rng.random((len(walkers), 1))
        for index, trial in enumerate(np.clip(walkers + 0.5 * steps, lower, upper)):
            moved = restore(region, trial, RESTORING)
            if moved is not None:
                walkers[index] = moved
        met.append(walkers.copy())
    return np.vstack(met)[: 4 * POOL]


def _spread(points: Vector, lower: Vector, upper: Vector) -> Vector:
    """Order points so that each is as far as can be from those before it."""
    width = np.where(upper > lower, upper - lower, 1.0)
    scaled = (points - lower) / width
    chosen = [0]
    distance = np.linalg.norm(scaled - scaled[0], axis=1)
    while len(chosen) < min(POOL, len(points)):
        following = int(np.argmax(distance))
        if distance[following] <= 1e-12:
            break
        chosen.append(following)
        distance = np.minimum(distance, np.linalg.norm(scaled - scaled[following], axis=1))
    return np.asarray(points[chosen])
