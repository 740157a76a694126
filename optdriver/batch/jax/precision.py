"""Float64 for the length of a block, whatever JAX is set to."""

from __future__ import annotations

import importlib
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import jax
import numpy as np

from optdriver.errors import InputError


def precision(dtype: Any) -> AbstractContextManager[Any]:
    """Return a context in which JAX has numbers of this kind: float64, or float32.

    It holds for the calling thread, and JAX is as it was afterwards.
    """
    if read_dtype(dtype) == np.float32:
        return nullcontext()
    enable: Any = getattr(jax, "enable_x64", None)
    if enable is None:  # JAX before 0.8
        enable = importlib.import_module("jax.experimental").enable_x64
    context: AbstractContextManager[Any] = enable(True)
    return context


def read_dtype(dtype: Any) -> np.dtype[Any]:
    """Return float32 or float64; raise `InputError` for anything else."""
    try:
        read = np.dtype(dtype)
    except TypeError:
        read = None
    if read not in (np.float32, np.float64):
        raise InputError(f"dtype is {dtype!r}; expected 'float64' or 'float32'")
    return np.dtype(np.float32) if read == np.float32 else np.dtype(np.float64)
