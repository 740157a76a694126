"""Parameters of types narrower than float64: which numbers they can be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from optdriver.space.nodes import Leaf, Vector
from optdriver.space.pytree import Structure


def representable(structure: Structure, kind_of: Callable[[Leaf], Any]) -> tuple[Vector, Vector]:
    """Return the box with its sides moved inwards to numbers of the types of the parameters.

    Points are rounded to those types when they are handed over, which then cannot leave the box.
    """
    lower, upper = structure.lower.copy(), structure.upper.copy()
    for leaf in structure.leaves:
        part = slice(leaf.first, leaf.first + leaf.size)
        kind = kind_of(leaf)
        if kind == np.float64:
            continue
        low, high = lower[part], upper[part]
        up, down = _rounded(low, kind, np.inf), _rounded(high, kind, -np.inf)
        fits = up <= down
        near = low.astype(kind).astype(np.float64)
        lower[part], upper[part] = np.where(fits, up, near), np.where(fits, down, near)
    return lower, upper


def _rounded(side: Vector, kind: Any, towards: float) -> Vector:
    """Round each number to the type, to the nearest one that is not on the wrong side."""
    near = side.astype(kind)
    wrong = near.astype(np.float64) < side if towards > 0 else near.astype(np.float64) > side
    return np.where(wrong, np.nextafter(near, kind.type(towards)), near).astype(np.float64)


def narrow_parts(structure: Structure) -> list[tuple[slice, Any, float]]:
    """Return the parts of the vector that are of narrower types, with these and their spacing.

    The spacing is that of numbers at 1, relative to it.
    """
    found = []
    for leaf in structure.leaves:
        if leaf.dtype is not None and leaf.dtype.itemsize < 8:
            one, more = leaf.dtype.type(1.0), leaf.dtype.type(2.0)
            spacing = float(np.nextafter(one, more)) - 1.0
            found.append((slice(leaf.first, leaf.first + leaf.size), leaf.dtype, spacing))
    return found
