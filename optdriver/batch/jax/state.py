"""The state of one lane: arrays and numbers of JAX, and the options that never change.

The letters are those of Byrd, Lu, Nocedal and Zhu (1995), as in `optdriver.lbfgsb.state`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from optdriver.lbfgsb.codes import DONE, FAILED, START

T = TypeVar("T")


class Settings(NamedTuple):
    """Options of the minimizer, as numbers known when the program is compiled.

    `straight` code has no inner loops, for devices that are slow at those; the other kind skips
    what no lane needs.  `rounding` is the multiple of the rounding of f below which a decrease
    that the model promises cannot be seen, and a step without one means the end; 0 for float64.
    `cautious` lanes learn the unit of f, look at a small reduction once more, and call no end a
    success where f plainly falls.  With `boundless` no variable has a bound.
    """

    maxcor: int
    ftol: float
    gtol: float
    maxfun: int
    maxiter: int
    maxls: int
    initial_step: float
    noise: float
    rounding: float
    straight: bool
    cautious: bool = False
    boundless: bool = False


class Search(NamedTuple):
    """The record of the line search, in the names of Moré and Thuente (1994); all scalars."""

    stp: Array
    stpmax: Array
    stx: Array
    fx: Array
    gx: Array
    sty: Array
    fy: Array
    gy: Array
    stmin: Array
    stmax: Array
    width: Array
    width1: Array
    bracketed: Array
    stage: Array


class Pairs(NamedTuple):
    """The correction pairs, each divided by sqrt(s'y), so that D = I.

    Attributes
    ----------
    w : (2, m, n)
        Y and S, a pair a slot; what stands in an unused slot means nothing.
    ss : (m, m)
        S'S; Y'Y where there is no bound.
    lt : (m, m)
        L': ``lt[j, i]`` is s_i'y_j where pair i is newer than pair j, else 0.  R^-1 where there is
        no bound.
    stamp : (m,)
        The larger, the newer; 0 in an unused slot.
    theta
        B_0 = theta I.
    """

    w: Array
    ss: Array
    lt: Array
    stamp: Array
    theta: Array


class Lane(NamedTuple):
    """One minimizer.

    Attributes
    ----------
    phase, stop
        `Phase` and `Stop` as numbers.
    nit, nfev, nfail, failures
        Iterations; evaluations, failed ones included; failed ones; those in a row, up to now.
    trials
        Evaluations of the present line search.
    hampered, single
        As in `optdriver.lbfgsb.state`.
    l, u : (n,)
        Bounds.
    x, g : (n,), f
        The iterate, its gradient and value.
    f_start, xs
        The first value, and where that was.
    believed
        Whether the iterate has passed the test of the reduction, if the next one passes, too.
    unit
        The unit of f, a power of two: all values and gradients here are multiples of it.
    d, z : (n,)
        Search direction; the point at step 1.
    xt : (n,)
        The pending point; the best one at the end.
    xb, gb : (n,), best_f, best_stp
        The best point evaluated; the step it had, if the present search found it, else -1.
    pgnorm
        Norm of the projected gradient at the iterate.
    slope0
        g'd.
    foreseen
        Decrease that the model promised where the last search with memory failed.
    search, pairs
        Line search and memory.
    """

    phase: Array
    stop: Array
    nit: Array
    nfev: Array
    nfail: Array
    failures: Array
    trials: Array
    hampered: Array
    single: Array
    l: Array
    u: Array
    x: Array
    g: Array
    d: Array
    z: Array
    xt: Array
    xb: Array
    gb: Array
    f: Array
    f_start: Array
    xs: Array
    believed: Array
    unit: Array
    best_f: Array
    best_stp: Array
    pgnorm: Array
    slope0: Array
    foreseen: Array
    search: Search
    pairs: Pairs


def start(x0: Array, lower: Array, upper: Array, settings: Settings) -> Lane:
    """Return a lane that waits for its first evaluation.

    One whose start is not finite, or whose bounds leave nothing, has failed.

    Parameters
    ----------
    x0, lower, upper : (n,)
        The start, moved into the bounds; -inf and inf where there is none.
    settings : Settings
        The options.
    """
    n, m, dtype = x0.size, settings.maxcor, x0.dtype
    sound = jnp.all(jnp.isfinite(x0) & (lower <= upper))
    zero = jnp.zeros((), dtype)
    none = jnp.zeros((), jnp.int32)
    no = jnp.zeros((), bool)
    nothing = jnp.zeros(n, dtype)
    largest = jnp.asarray(jnp.inf, dtype)
    return Lane(
        phase=jnp.where(sound, START, DONE).astype(jnp.int32),
        stop=jnp.where(sound, 0, FAILED).astype(jnp.int32),
        nit=none,
        nfev=none,
        nfail=none,
        failures=none,
        trials=none,
        hampered=no,
        single=~no,
        l=lower.astype(dtype),
        u=upper.astype(dtype),
        x=nothing,
        g=nothing,
        d=nothing,
        z=nothing,
        xt=within(jnp.where(sound, x0, 0), lower, upper).astype(dtype),
        xb=nothing,
        gb=nothing,
        f=largest,
        f_start=largest,
        xs=nothing,
        believed=no,
        unit=zero + 1,
        best_f=largest,
        best_stp=zero - 1,
        pgnorm=largest,
        slope0=zero,
        foreseen=largest,
        search=Search._make([*[zero] * 12, no, none]),
        pairs=Pairs(
            w=jnp.zeros((2, m, n), dtype),
            ss=jnp.zeros((m, m), dtype),
            lt=jnp.zeros((m, m), dtype),
            stamp=jnp.zeros(m, jnp.int32),
            theta=zero + 1,
        ),
    )


def within(x: Array, lower: Array, upper: Array) -> Array:
    """Return the point of the box nearest to x; no infinity."""
    largest = float(np.finfo(x.dtype).max)
    return jnp.minimum(jnp.maximum(x, jnp.maximum(lower, -largest)), jnp.minimum(upper, largest))


def pick(which: Array, new: Any, old: Any) -> Any:
    """Return `new` where `which` is true, else `old`; for records of arrays."""
    return jax.tree.map(lambda a, b: jnp.where(which, a, b), new, old)


def wherever(which: Array, compute: Callable[[], T], otherwise: T, *, straight: bool) -> T:
    """Return ``compute()`` where `which` is true, else `otherwise`.

    Unless `straight`, a loop of one round or none does it.  Under `vmap`, where a condition turns
    into both its branches, such a loop still skips what no lane needs; and it keeps XLA from
    computing the scalars of a lane once more for each component of its vectors.
    """
    if straight:
        new: T = pick(which, lax.optimization_barrier(compute()), otherwise)
        return new
    _, new = lax.while_loop(
        lambda todo: todo[0],
        lambda todo: (jnp.zeros_like(todo[0]), like(compute(), otherwise)),
        (which, otherwise),
    )
    return new


def like(new: Any, old: Any) -> Any:
    """Return `new` in the types of `old`."""
    return jax.tree.map(lambda a, b: jnp.asarray(a, b.dtype), new, old)
