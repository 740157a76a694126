"""Bounds as they may be given, read into two flat vectors."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree

from optdriver.errors import InputError, InputTypeError
from optdriver.lbfgsb.options import read_bounds


class Bounds(NamedTuple):
    """Lower and upper bounds, each a number for all or a pytree like x; None for none."""

    lower: Any = None
    upper: Any = None


def read(bounds: Any, x0: Any, flat: Array) -> tuple[Array, Array]:
    """Return lower and upper bounds as vectors, infinite where there is none.

    Parameters
    ----------
    bounds : None, Bounds, (n, 2) array, sequence of pairs or scipy.optimize.Bounds
        As in `LBFGSB.run`; the values may be traced.
    x0 : pytree
        The start.
    flat : (n,)
        The same as a vector.

    Raises
    ------
    InputError
        If the shape is wrong, or, where the values are known, a bound is NaN or exceeds the other.
        Where they are not known, such a run fails without an evaluation.
    """
    if isinstance(bounds, Bounds):
        lower = _side(bounds.lower, -jnp.inf, x0, flat, "lower")
        upper = _side(bounds.upper, jnp.inf, x0, flat, "upper")
    elif isinstance(bounds, jax.Array):
        if bounds.shape != (flat.size, 2):
            raise InputError(
                f"bounds has shape {bounds.shape}; expected ({flat.size}, 2): pairs (lower, upper)"
            )
        lower, upper = bounds[:, 0].astype(flat.dtype), bounds[:, 1].astype(flat.dtype)
    else:
        low, high = read_bounds(bounds, flat.size)
        lower, upper = jnp.asarray(low, flat.dtype), jnp.asarray(high, flat.dtype)
    _check(lower, upper)
    return lower, upper


def _side(side: Any, none: float, x0: Any, flat: Array, name: str) -> Array:
    """Return one side of the box as a vector."""
    if side is None:
        return jnp.full_like(flat, none)
    given: Any = jax.tree.structure(side)
    wanted: Any = jax.tree.structure(x0)
    if given == jax.tree.structure(0) and jnp.ndim(side) == 0:
        return jnp.full_like(flat, side)
    if given != wanted:
        raise InputTypeError(
            f"the {name} bounds are {given}; expected one number, or a pytree like x0, which is "
            f"{wanted}"
        )
    try:
        whole = jax.tree.map(lambda b, x: jnp.broadcast_to(b, jnp.shape(x)), side, x0)
    except ValueError as error:
        raise InputError(f"the {name} bounds have other shapes than x0: {error}") from error
    return ravel_pytree(whole)[0].astype(flat.dtype)


def _check(lower: Array, upper: Array) -> None:
    """Raise if bounds whose values are known are crossed."""
    if isinstance(lower, jax.core.Tracer) or isinstance(upper, jax.core.Tracer):
        return
    read_bounds(np.stack([np.asarray(lower), np.asarray(upper)], axis=1), lower.size)
