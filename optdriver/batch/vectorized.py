"""A loss of JAX for one point, made into an objective for a stack of points."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optdriver.errors import InputError, InputTypeError, missing_extra

Floats = NDArray[np.float64]


def vectorized(
    loss: Callable[..., Any], *, args: tuple[Any, ...] = (), value_and_grad: bool = False
) -> Callable[[Any], tuple[Floats, Floats]]:
    """Return ``fun(X) -> (f, G)`` for a JAX loss: values and gradients at all rows of X at once.

    Parameters
    ----------
    loss : callable
        ``loss(x, *args) -> scalar`` for one point, (n,); traceable by JAX.
    args : tuple, optional
        Parameters of the loss.
    value_and_grad : bool, optional
        True if it returns ``(value, gradient)``.

    Returns
    -------
    callable
        Takes an (k, n) array and returns values, (k,), and gradients, (k, n), as arrays of NumPy
        that may be written to.  It computes in float64, whatever ``jax_enable_x64`` says.

    Raises
    ------
    MissingExtraError
        If JAX is not installed.
    InputError
        From the objective: if X has not two axes, or the loss gives no scalar.

    Notes
    -----
    X is padded to the next power of two of rows, with its first one, so that JAX compiles for
    log2(k) sizes and not for every k.
    """
    if not callable(loss):
        raise InputTypeError(f"loss is {loss!r}; expected a function loss(x, *args) of JAX")
    if find_spec("jax") is None:
        raise missing_extra("vectorized", "jax", "jax")
    import jax

    from optdriver.batch.jax.precision import precision

    gradient = loss if value_and_grad else jax.value_and_grad(loss)
    compiled = jax.jit(jax.vmap(lambda x, args: gradient(x, *args), in_axes=(0, None)))

    def fun(points: Any) -> tuple[Floats, Floats]:
        rows = np.asarray(points, dtype=np.float64)
        if rows.ndim != 2:
            raise InputError(f"X has shape {rows.shape}; expected (k, n), one point a row")
        k = len(rows)
        if k == 0:
            return np.empty(0), np.empty(rows.shape)
        wanted = 1 << (k - 1).bit_length()
        if wanted > k:
            rows = np.concatenate([rows, np.repeat(rows[:1], wanted - k, axis=0)])
        with precision("float64"):
            f, g = compiled(rows, args)
        if f.shape != (wanted,) or g.shape != rows.shape:
            raise InputError(
                f"the loss gave values of shape {f.shape[1:]} and gradients of {g.shape[1:]}; "
                f"expected a scalar and {rows.shape[1:]}"
            )
        return np.array(f[:k], dtype=np.float64), np.array(g[:k], dtype=np.float64)

    return fun
