"""Convergence tests."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array

from optdriver.batch.jax.state import Lane, Settings
from optdriver.lbfgsb.unit import SMALL_PART, SMALLEST


def projected_gradient_norm(x: Array, g: Array, l: Array, u: Array) -> Array:
    """Return |P(x - g) - x|_inf (Byrd et al. 1995, eq. 6.1)."""
    cut = jnp.where(g < 0, jnp.maximum(x - u, g), jnp.minimum(x - l, g))
    return jnp.max(jnp.abs(cut), initial=0)


def is_stationary(s: Lane, x: Array, g: Array, f: Array, norm: Array, o: Settings) -> Array:
    """Whether the projected gradient is at most gtol, and what it promises is negligible.

    See `optdriver.lbfgsb.stopping.is_stationary`; `norm` is that of the projected gradient.
    """
    size = jnp.abs(g)
    room = jnp.where(g < 0, s.u - x, x - s.l)
    is_near = size > o.gtol
    reach = jnp.where(jnp.isfinite(room), room, jnp.abs(x))
    promise = jnp.where((size == 0) | (room == 0), 0, size * reach)
    near = jnp.sum(jnp.where(is_near, promise, 0))
    far = jnp.sum(jnp.where(is_near, 0, promise))
    scale = jnp.maximum(jnp.abs(f), jnp.abs(s.f_start - f))
    seen = max(o.ftol, 4.0 * float(np.finfo(x.dtype).eps))
    return (norm <= o.gtol) & (near <= seen * scale) & (far <= 100 * o.gtol * scale)


def reduction_is_small(before: Array, after: Array, o: Settings) -> Array:
    """Whether (f_k - f_{k+1}) <= ftol max(|f_k|, |f_{k+1}|, 1); never with a negative ftol."""
    scale = jnp.maximum(jnp.maximum(jnp.abs(before), jnp.abs(after)), 1)
    return (before - after <= o.ftol * scale) & (o.ftol >= 0)


def learn_unit(s: Lane, f: Array, g: Array) -> Array:
    """Return the unit of f, from its first value and gradient, at ``s.xt``.

    See `optdriver.lbfgsb.unit.unit_of`.
    """
    room = jnp.where(g < 0, s.u - s.xt, s.xt - s.l)
    reach = jnp.where(jnp.isfinite(room), room, jnp.maximum(jnp.abs(s.xt), 1))
    size = jnp.maximum(jnp.abs(f), jnp.max(jnp.where(g == 0, 0, jnp.abs(g) * reach), initial=0))
    smallest = SMALLEST if np.finfo(f.dtype).bits >= 64 else 2.0**-40
    least = jnp.maximum(jnp.abs(f), size * SMALL_PART)
    unit = jnp.minimum(size * jnp.maximum(size, SMALL_PART), least)
    part, exponent = jnp.frexp(jnp.clip(unit, smallest, 1))
    return jnp.ldexp(jnp.ones_like(f), exponent - (part == 0.5))


def falls_plainly(s: Lane, x: Array, g: Array, f: Array) -> Array:
    """Whether the gradient plainly objects to an end, as `optdriver.lbfgsb.stopping` has it."""
    size = jnp.maximum(jnp.abs(x), jnp.abs(x - s.xs))
    reach = jnp.minimum(jnp.where(g < 0, s.u - x, x - s.l), size)
    promise = jnp.sum(jnp.where(g == 0, 0, jnp.abs(g) * reach))
    size = 1e-2 * jnp.maximum(jnp.abs(f), 1)  # the unit is 1 here
    return promise > jnp.maximum(size, 1e-4 * jnp.abs(s.f_start - f))


def falls_without_end(s: Lane, stp: Array, after: Array, g: Array) -> Array:
    """Whether a step shows no lower bound, as `optdriver.lbfgsb.stopping` has it."""
    fall = s.f_start - after
    size = jnp.maximum(jnp.abs(s.f_start), jnp.where(s.nit == 0, jnp.maximum(-s.slope0, 1), 1))
    reach = stp * jnp.max(jnp.abs(s.d), initial=0)
    far = reach >= 1e8 * jnp.max(jnp.abs(s.x), initial=1)
    longest = (stp >= jnp.asarray(1e10, stp.dtype)) & (g @ s.d <= 0.5 * s.slope0) & far
    return ((fall >= 1e20 * size) & (s.f - after >= 1e-3 * fall)) | longest
