"""The scrambled Sobol sequence of `optdriver.space.sampling`, generated on the device.

Its net (`optdriver.space.sobol.net`) is made on the host, once, and the points on the device.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jax import Array, lax

from optdriver.errors import InputError
from optdriver.space import sobol


def net(seed: int, n: int, number: int) -> sobol.Words:
    """Return the first point and the columns of the first `number` points, as integers."""
    most = 2**sobol.BITS
    if number > most:
        raise InputError(f"a Sobol sequence has {most} points, and {number} are wanted")
    return sobol.net(seed, n, sobol.levels(number))


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
    unit = whole.astype(lower.dtype) * 2.0**-sobol.BITS
    # Not lower + u * (upper - lower): the width of a box can overflow.
    return jnp.asarray(jnp.clip(lower * (1 - unit) + upper * unit, lower, upper))
