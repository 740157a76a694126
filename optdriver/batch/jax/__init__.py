"""L-BFGS-B in JAX: many minimizers at once on a CPU, on a GPU, on several.

`LBFGSB` is one minimizer as pure functions, for `jit`, `vmap` and `grad`; `minimize` is a whole
multi-start on the device, every lane at work until the last starts.
"""

from __future__ import annotations

from importlib.util import find_spec

from optdriver.errors import missing_extra

if find_spec("jax") is None:
    raise missing_extra("optdriver.batch.jax", "jax", "jax")

from optdriver.batch.jax.bounds import Bounds
from optdriver.batch.jax.multistart import Minima, Progress, minimize
from optdriver.batch.jax.solver import LBFGSB, Result, State, message

__all__ = ["LBFGSB", "Bounds", "Minima", "Progress", "Result", "State", "message", "minimize"]
