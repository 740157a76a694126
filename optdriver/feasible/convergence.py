"""Whether a run has converged: the tests, and the unit of f that they are relative to.

No unit of the variables or of f passes them by itself.  The residual is a length in the variables'
own units, of at most the distance to what holds the step; so beside it stands what f could still
fall by, to first order, along it.  What is small of f is measured by f, so that a cost is the same
in dollars and in millions; by its size at the start where its minimum is about 0; and never by a
large value that the start happened to have, which may be a bad one (an epigraph may begin at 1e80).
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from optdriver.feasible import trust
from optdriver.feasible.criticality import Criticality, beyond_rounding, without_rounding
from optdriver.feasible.region import Region
from optdriver.feasible.state import State
from optdriver.feasible.types import Vector
from optdriver.geometry import optimality
from optdriver.geometry.products import dot, norm
from optdriver.numerics import OFF_BY, RESOLVED

RULE_BEFORE = 2
PART_OF_FIRST = 2.0**-8  # of the size of f at the start
PART_OF_VALUE = 2.0**-4  # of |f|
SMALLEST, LARGEST = 2.0**-200, 2.0**400  # the sizes of f that are told apart
SMALLEST_OF_ALL = 2.0**-1000  # and the smallest one in runs of rule 8
WITH_SMALL_VALUES = 8
WITH_ROUNDING = 9
WITH_UNMOVED = 10
NEGLIGIBLE = 1e-9  # of f: rows are kept to this part of their gradient
FAR = 100.0  # times gtol, of f
ON_SURFACES = 1e-2  # the same where there are equalities, and in the second version
PLAIN = 1e-4  # of f: a fall that a model's promise does not outweigh
UNMOVED = 2.0**-30  # of the way to a bound
AS_STALLED = 100.0  # times gtol: a residual beyond is no rounding


def first_unit(f: float, change: float, least: float = SMALLEST) -> float:
    """Return the unit of f that a start tells, a power of two of at most 1.

    Parameters
    ----------
    f : float
        The first value.
    change : float
        What f changes by, to first order, where each variable is moved by its size.
    least : float
        The smallest size of f that is told from 0.
    """
    return min(1.0, PART_OF_FIRST * power_of_two(max(abs(f), change), least))


def first_change(scale: Vector, g: Vector) -> float:
    """Return what f changes by, to first order, where each variable is moved by its size."""
    return norm(scale * g)


def size(state: State) -> float:
    """Return the size of f at the start, a power of two: the models are those of f divided by it.

    They hold square roots of what is in the unit of f, whose last bits an odd power would change.
    """
    if state.rule == 1:
        return 1.0
    return power_of_two(max(abs(state.first_f), state.first_change), least_size(state))


def least_size(state: State) -> float:
    """Return the smallest size of f that is told from 0."""
    return SMALLEST if state.rule < WITH_SMALL_VALUES else SMALLEST_OF_ALL


def unit_at(state: State, f: float) -> float:
    """Return the unit of f where its value is `f`: gtol times it is a small slope."""
    if state.rule == 1:
        return 1.0
    return max(state.unit, PART_OF_VALUE * power_of_two(abs(f), least_size(state)))


def is_optimal(state: State, at: Criticality) -> bool:
    """Return whether the first-order conditions hold at the iterate, in any units."""
    gtol = state.options.gtol
    if at.residual > max(unit_at(state, state.f) * gtol, at.floor):
        return False
    if state.rule == 1:
        return True
    f = scale(state)
    near = max(state.options.ftol, NEGLIGIBLE) * f
    return at.near <= near and at.far <= FAR * gtol * f


def is_optimal_to_rounding(state: State, region: Region, at: Criticality) -> bool:
    """Return whether the conditions hold where no step leads on, but for rounding of slopes.

    Beyond a huge distance to a bound its promise is no small part of f.
    """
    if state.rule < WITH_ROUNDING:
        return False
    return is_optimal(state, without_rounding(region, state.x, state.g, at))


def falls(state: State, region: Region, at: Criticality) -> bool:
    """Return whether the gradient says that f still falls plainly.

    That is by more than a ten-thousandth of it, were every variable moved along d by its own size,
    or as far as it has come, within its bounds.  In a narrow valley the model knows the walls
    before the floor.  Along equalities, which hold to rounding only, gradients by differences are
    too coarse to object to less than a hundredth.  A variable that began at 0 and has not come
    2^-30 of the way to its bound has no size yet: all of that way counts.
    """
    coarse = len(region.equalities) > 0 or state.rule <= RULE_BEFORE
    least = (ON_SURFACES if coarse else PLAIN) * scale(state)
    fall, unmoved = optimality.fall(at.left, at.room, state.x, state.x0, UNMOVED)
    if fall > least:
        return True
    if state.rule < WITH_UNMOVED or not unmoved:
        return False
    size = np.maximum(np.abs(state.x), np.abs(state.x - state.x0))
    rest = np.isfinite(at.room) & (size < UNMOVED * at.room)
    return dot(beyond_rounding(region, state.x, state.g, at)[rest], at.room[rest]) > least


def small_change(state: State, *values: float) -> float:
    """Return the change between values that is small: by ftol, or since they resolve no smaller.

    None is if ftol is 0, nor in a fit.
    """
    ftol = state.options.ftol
    if state.rule == 1 or ftol == 0.0 or state.fit is not None:
        return -1.0
    size = max(abs(value) for value in values)
    return max(ftol * max(size, state.unit), RESOLVED * state.spacing * size)


def rounding(state: State) -> float:
    """Return what a value may be off by, relative to it."""
    return max(trust.ROUNDING, OFF_BY * state.spacing)


def is_settled(state: State) -> bool:
    """Return whether a small change of f is followed by the model's promise of another."""
    return state.settled and _promises(state, small_change(state, state.f))


def is_drowned(state: State) -> bool:
    """Return whether what is left to gain at a stalled iterate cannot be seen in f."""
    if state.rule == 1 or state.residual > AS_STALLED * state.options.gtol * unit_at(
        state, state.f
    ):
        return False
    seen = rounding(state) * abs(state.f)
    return _promises(state, max(small_change(state, state.f), seen))


def _promises(state: State, small: float) -> bool:
    """Return whether the model promises no more than `small`, and the gradient agrees."""
    return state.promise <= small and not state.falls


def scale(state: State) -> float:
    """Return what f is measured by at the iterate: its value, or its unit where that is more."""
    return max(abs(state.f), state.unit)


@lru_cache(maxsize=1024)  # of a run few are asked for, again and again
def power_of_two(size: float, least: float = SMALLEST) -> float:
    """Return the power of two in (size/2, size], the smallest one for 0."""
    if not least < size < LARGEST:
        size = min(max(size, least), LARGEST)
    return math.ldexp(1.0, math.frexp(size)[1] - 1)
