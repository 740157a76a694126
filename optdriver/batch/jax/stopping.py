"""Convergence tests."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array

from optdriver.batch.jax.state import Settings


def projected_gradient_norm(x: Array, g: Array, l: Array, u: Array) -> Array:
    """Return |P(x - g) - x|_inf (Byrd et al. 1995, eq. 6.1)."""
    cut = jnp.where(g < 0, jnp.maximum(x - u, g), jnp.minimum(x - l, g))
    return jnp.max(jnp.abs(cut), initial=0)


def reduction_is_small(before: Array, after: Array, o: Settings) -> Array:
    """Whether (f_k - f_{k+1}) <= ftol max(|f_k|, |f_{k+1}|, 1); never with a negative ftol."""
    scale = jnp.maximum(jnp.maximum(jnp.abs(before), jnp.abs(after)), 1)
    return (before - after <= o.ftol * scale) & (o.ftol >= 0)
