"""The scrambled Sobol sequence of `optdriver.sampling`, generated on the device.

A scrambled Sobol sequence is a digital net: point k is, bit by bit, the first point and a sum of
columns, one for each bit set in the Gray code of k.  The columns are read off SciPy's points at
the powers of two, so that the sequence is the same as on the host.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from numpy.typing import NDArray

from optdriver.errors import InputError
from optdriver.sampling import MAX_SOBOL_COUNT

BITS = 30  # of SciPy's sequence


@lru_cache(maxsize=8)
def net(seed: int, n: int, levels: int) -> NDArray[np.uint32]:
    """Return the first point and the columns of `levels` bits, (1 + levels, n), as integers."""
    from scipy.stats import qmc  # here, since it takes as long to import as all the rest

    engine = qmc.Sobol(n, scramble=True, rng=seed)
    points, at = [engine.random(1)], 1
    for level in range(levels):
        engine.fast_forward(2**level - at)
        points.append(engine.random(1))
        at = 2**level + 1
    whole = np.concatenate(points) * 2.0**BITS
    rows = whole.astype(np.uint32)
    # point 2^j is the first one and the columns j and j - 1
    rows[1:] ^= rows[0]
    rows[1:] = np.bitwise_xor.accumulate(rows[1:], axis=0)
    rows.setflags(write=False)
    return rows


def levels(number: int) -> int:
    """Return the bits that the indices of so many points have."""
    if number > MAX_SOBOL_COUNT:
        raise InputError(f"a Sobol sequence has {MAX_SOBOL_COUNT} points, and {number} are wanted")
    return max(number - 1, 1).bit_length()


def points(rows: Any, number: int, lower: Array, upper: Array) -> Array:
    """Return the first points of a net in a box.

    Parameters
    ----------
    rows : (1 + levels, n) array of uint32
        See `net`.
    number : int
        Points wanted.
    lower, upper : (n,)
        The box.
    """
    index = lax.iota(jnp.uint32, number)
    gray = index ^ (index >> 1)
    rows = jnp.asarray(rows)

    def add(level: Array, whole: Array) -> Array:
        bit = (gray >> level.astype(jnp.uint32)) & 1
        return jnp.bitwise_xor(whole, bit[:, None] * rows[level + 1])

    whole = jnp.broadcast_to(rows[0], (number, rows.shape[1]))
    whole = lax.fori_loop(0, rows.shape[0] - 1, add, whole)
    unit = whole.astype(lower.dtype) * 2.0**-BITS
    # Not lower + u * (upper - lower): the width of a box can overflow.
    return jnp.asarray(jnp.clip(lower * (1 - unit) + upper * unit, lower, upper))
