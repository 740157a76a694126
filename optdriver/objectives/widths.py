"""What JAX traces, traced once, and free of the widths of numbers that JAX remembers.

JAX keeps what it has made of a NumPy array that a function captures, in 32 bits or in 64, for as
long as anything lives that was traced with it, and hands it to whoever captures the same array,
whatever the width there is.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np


def traced_once(function: Callable[..., Any], *like: Any) -> Callable[..., Any]:
    """Return a function of JAX that does what another one does, which is called here and no more.

    Parameters
    ----------
    function : callable
        Returns an array.
    *like : array or jax.ShapeDtypeStruct
        Of the shapes and types that the arguments have.
    """
    core = import_module("jax.extend.core")
    made = import_module("jax").make_jaxpr(function)(*like)
    _check(made)
    run = core.jaxpr_as_fun(_owned(core.ClosedJaxpr, made))
    return lambda *arguments: run(*arguments)[0]


def _owned(closed: type[Any], value: Any) -> Any:
    """Return what was traced with arrays of NumPy's that nobody else has; they are not copied.

    `value` is a traced function or anything among the parameters of one of its steps, which may
    be traced functions with arrays of their own; `closed` is the class of these.
    """
    if type(value) is tuple:
        return tuple(_owned(closed, part) for part in value)
    if not isinstance(value, closed):
        return value
    steps = [
        step.replace(params={name: _owned(closed, part) for name, part in step.params.items()})
        for step in value.jaxpr.eqns
    ]
    captured = [
        each.view(np.ndarray) if isinstance(each, np.ndarray) else each for each in value.consts
    ]
    return closed(value.jaxpr.replace(eqns=steps), captured)


def _check(made: Any) -> None:
    """Refuse what was traced with an array in another width than its steps have it.

    Other faults, if there are any, are found by whoever compiles it.
    """
    check = getattr(import_module("jax.extend.core"), "check_jaxpr", None)
    if check is None:  # in versions that remember no arrays
        return
    try:
        check(made.jaxpr)
    except Exception as error:
        if widths_clash(str(error)):
            raise TypeError("an array in 32 bits meets one in 64 where they are one") from error


def widths_clash(said: str) -> bool:
    """Return whether an error of JAX's is about numbers of two widths."""
    return "32" in said and "64" in said


def in_one_precision(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call what JAX compiles, once more without its caches where widths of numbers clash.

    They do where the caller's own functions have captured what the function captures.
    """
    try:
        return function(*arguments)
    except (TypeError, ValueError, RuntimeError) as error:
        if not widths_clash(str(error)):
            raise
    import_module("jax").clear_caches()
    gc.collect()  # what was traced is a circle
    return function(*arguments)
