"""A whole multi-start on the device: starts in, minima out."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from numpy.typing import NDArray

from optdriver.batch.jax import sobol
from optdriver.batch.jax.options import DeviceOptions
from optdriver.batch.jax.precision import precision, read_dtype
from optdriver.batch.jax.refill import Queue, advance, fill, keep
from optdriver.batch.jax.solver import message, succeeded
from optdriver.batch.jax.state import Settings
from optdriver.batch.jax.step import ROUNDING
from optdriver.errors import InputError, InputTypeError
from optdriver.lbfgsb.codes import DONE, HALTED, Stop
from optdriver.lbfgsb.options import check_integer, read_bounds
from optdriver.objectives.widths import in_one_precision
from optdriver.reading import real_array
from optdriver.space import sampling

ROUNDS = 64
"""Rounds between two looks from the host: for progress, and for Ctrl-C."""

LANES, LANES_ON_CPU = 256, 32
"""Minimizers at a time, if nothing is said: in all, and for each device where it is a CPU."""

Floats = NDArray[Any]
Integers = NDArray[np.int32]


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a multi-start has come: starts `done` of `total`, and rounds."""

    done: int
    total: int
    rounds: int


@dataclass(frozen=True, kw_only=True)
class Minima:
    """What the minimizers found, by start.

    Attributes
    ----------
    x, jac : (total, n) arrays
        Best points evaluated, and the gradients there.
    fun : (total,) array
        Their values; NaN where no evaluation succeeded.  After a run in float32 these are, like
        the gradients, of float64.
    nfev, nit, nfail : (total,) arrays of int
        Evaluations, failed ones included; iterations; failed evaluations.
    stop : (total,) array of int
        Why each ended: `Stop` as a number, or 8, of which `message` tells the meaning.
    starts : (total, n) array
        Where they began.
    lanes, rounds : int
        Minimizers at a time; rounds of evaluations, of the device that was last.
    occupancy : float
        Share of the lanes that were at work, as long as there were starts to hand out; 1 where
        there never were.
    """

    x: Floats
    fun: Floats
    jac: Floats
    nfev: Integers
    nit: Integers
    nfail: Integers
    stop: Integers
    starts: Floats
    lanes: int
    rounds: int
    occupancy: float

    @property
    def success(self) -> NDArray[np.bool_]:
        """Whether each ended at a point that passes a convergence test."""
        return np.asarray(succeeded(self.stop))

    @property
    def status(self) -> Integers:
        """The status numbers that SciPy gives to these endings."""
        known = {int(stop): stop.status for stop in Stop} | {ROUNDING: 0}
        return np.array([known[int(stop)] for stop in self.stop], dtype=np.int32)

    @property
    def message(self) -> list[str]:
        """In words why each ended."""
        return [message(stop) for stop in self.stop]

    @property
    def best(self) -> int | None:
        """The start that led to the lowest value; None if no evaluation has succeeded."""
        return None if np.isnan(self.fun).all() else int(np.nanargmin(self.fun))


class Engine(NamedTuple):
    """The compiled parts of a multi-start."""

    fill: Callable[..., Queue]
    advance: Callable[..., Queue]
    finish: Callable[..., Queue]


def minimize(
    fun: Callable[..., Any],
    bounds: Any,
    *,
    starts: Any = None,
    total: int | None = None,
    lanes: int | None = None,
    seed: int = 0,
    args: tuple[Any, ...] = (),
    dtype: Any = "float64",
    value_and_grad: bool = False,
    mesh: Mesh | None = None,
    callback: Callable[[Progress], Any] | None = None,
    straight: bool | None = None,
    **options: Any,
) -> Minima:
    """Minimize from many starts, on the device; a lane that is done takes the next start.

    Parameters
    ----------
    fun : callable
        ``fun(x, *args) -> scalar`` for one point, (n,); traceable by JAX.
    bounds : sequence of pairs, (n, 2) array or scipy.optimize.Bounds
        Infinite, or None in a pair, where there is none; then `starts` are needed.
    starts : (total, n) array_like, optional
        By default the points of the scrambled Sobol sequence that `optdriver.space.sampling`
        gives for `seed`, generated on the device.  One that is not finite fails, and disturbs no
        other.
    total : int, optional
        Number of starts; by default all of `starts`, or 256, or as many as `lanes` says.
    lanes : int, optional
        Minimizers at a time, over all devices.  By default 256; on CPUs, whose caches hold no
        more, and where lanes that wait for the slowest one cost time, 32 for each device.
    seed : int, optional
        Seed of the sequence.
    args : tuple, optional
        Parameters of `fun`; new values do not make JAX compile again.
    dtype : {'float64', 'float32'}, optional
        Precision, whatever ``jax_enable_x64`` says.
    value_and_grad : bool, optional
        True if `fun` returns ``(value, gradient)``.
    mesh : jax.sharding.Mesh, optional
        Devices among which lanes and starts are divided.
    callback : callable, optional
        Called with `Progress` every now and then.  If it returns True or raises StopIteration,
        what is not done has been halted.
    straight, **options
        As for `LBFGSB`.

    Returns
    -------
    Minima
        Arrays over the starts.

    Raises
    ------
    InputError
        If an argument cannot be used.

    Notes
    -----
    A lane holds (2 maxcor + 9) n + 2 maxcor^2 + 35 numbers or so, a start 3n + 1 and four
    counters; a round works in three to four times the memory of its lanes beside it.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from optdriver.batch.jax import minimize
    >>> found = minimize(lambda x: jnp.sum(x**4 - x**2), [(-2, 2), (-2, 2)], total=64)
    >>> print(round(found.fun[found.best], 6), found.success.all())
    -0.5 True
    """
    if not callable(fun):
        raise InputTypeError(f"fun is {fun!r}; expected a function fun(x, *args) of JAX")
    kind = read_dtype(dtype)
    chosen = DeviceOptions.read(straight, options)
    if lanes is not None:
        check_integer("lanes", lanes, 1)
    given = None if starts is None else _read_starts(starts)
    lower, upper = _read_box(bounds, given)
    count = _read_total(total, given, lanes or LANES)
    parts = 1 if mesh is None else mesh.size
    if lanes is None:
        lanes = LANES if jax.default_backend() != "cpu" else LANES_ON_CPU * parts
    size = -(-min(lanes, count) // parts)
    rows = -(-count // parts)
    numbers = np.clip(count - rows * np.arange(parts), 0, rows).astype(np.int32)
    with precision(kind):
        box = jnp.asarray(lower, kind), jnp.asarray(upper, kind)
        if given is None:
            sampling.check_box(lower, upper)
            begin = _sobol(seed, rows * parts, box, mesh)
        else:
            begin = _upload(given[:count], rows * parts, kind, mesh)
        settings = chosen.settings(kind, boundless=bool(np.isinf([lower, upper]).all()))
        engine = _engine(fun, value_and_grad, settings, size, mesh)
        each = jnp.asarray(numbers)
        queue = in_one_precision(_drive, engine, begin, each, box, args, count, callback)
    return _collect(queue, begin, fun, args, value_and_grad, count, size * parts, kind)


def _read_starts(starts: Any) -> NDArray[np.float64]:
    array = real_array("starts", starts)
    if array.ndim != 2 or not array.size:
        raise InputError(f"starts has shape {array.shape}; expected (total, n), one start a row")
    return array


def _read_box(bounds: Any, starts: Any) -> tuple[Floats, Floats]:
    """Return the bounds as two vectors."""
    if starts is not None:
        return read_bounds(bounds, starts.shape[1])
    if bounds is None:
        raise InputError("without bounds there is no box to draw from: give bounds, or starts")
    lower = getattr(bounds, "lb", None)
    return read_bounds(bounds, len(bounds) if lower is None else np.size(lower))


def _read_total(total: int | None, starts: Any, lanes: int) -> int:
    """Return the number of starts."""
    known = lanes if starts is None else len(starts)
    if total is None:
        return known
    check_integer("total", total, 1)
    if starts is not None and total > known:
        raise InputError(f"total is {total}, but starts has {known} rows")
    return int(total)


def _sobol(seed: int, number: int, box: tuple[Array, Array], mesh: Mesh | None) -> Array:
    """Return the starts of the Sobol sequence, made on the device.

    Where there are more variables than the sequence has dimensions, they are made on the host.
    """
    check_integer("seed", seed, 0)
    if box[0].size > sampling.MAX_SOBOL_DIMENSION:
        lower, upper = (np.asarray(side, dtype=np.float64) for side in box)
        made = sampling.starts("sobol", int(seed), 0, number, lower, upper)
        return _upload(made, number, box[0].dtype, mesh)
    rows = sobol.net(int(seed), box[0].size, number)
    return _points(mesh)(rows, number, *box)


@lru_cache(maxsize=8)
def _points(mesh: Mesh | None) -> Callable[..., Array]:
    where: dict[str, Any] = {} if mesh is None else {"out_shardings": _divided(mesh)}
    make: Callable[..., Array] = jax.jit(sobol.points, static_argnums=1, **where)
    return make


def _divided(mesh: Mesh) -> NamedSharding:
    """Return the sharding of an array whose leading axis is divided among the devices."""
    return NamedSharding(mesh, PartitionSpec(mesh.axis_names))


def _upload(starts: Floats, rows: int, kind: Any, mesh: Mesh | None) -> Array:
    """Return the user's starts on the device, with some more rows to make the parts equal."""
    padded = np.concatenate([starts, np.repeat(starts[-1:], rows - len(starts), axis=0)])
    array = jnp.asarray(padded, kind)
    return array if mesh is None else jax.device_put(array, _divided(mesh))


@lru_cache(maxsize=32)
def _engine(
    fun: Callable[..., Any], value_and_grad: bool, o: Settings, size: int, mesh: Mesh | None
) -> Engine:
    """Return the compiled parts for an objective; kept for the next call."""
    gradient = fun if value_and_grad else jax.value_and_grad(fun)

    def filled(starts: Array, number: Array, box: Any) -> Queue:
        return fill(starts, number, box, size, o)

    def advanced(
        q: Queue, starts: Array, number: Array, box: Any, args: Any, limit: Array
    ) -> Queue:
        return advance(q, starts, number, box, lambda x: gradient(x, *args), limit, o)

    def finished(q: Queue) -> Queue:
        """Halt the lanes at work."""
        total = q.reals.shape[0]
        stop = jnp.where(q.lanes.stop == 0, HALTED, q.lanes.stop)
        return keep(q._replace(lanes=q.lanes._replace(stop=stop)), q.holds < total, total)

    quick = compiler_options()
    if mesh is None:
        go = jax.jit(advanced, donate_argnums=0, compiler_options=quick)
        return Engine(jax.jit(filled), go, jax.jit(finished))
    part, whole = PartitionSpec(mesh.axis_names), PartitionSpec()
    ways: dict[str, Any] = {"mesh": mesh, "out_specs": part, "check_vma": False}
    spread = jax.shard_map(filled, in_specs=(part, part, whole), **ways)
    each = jax.shard_map(advanced, in_specs=(part, part, part, whole, whole, whole), **ways)
    end = jax.shard_map(finished, in_specs=(part,), **ways)
    go = jax.jit(each, donate_argnums=0, compiler_options=quick)
    return Engine(jax.jit(spread), go, jax.jit(end))


@lru_cache(maxsize=1)
def compiler_options() -> dict[str, Any] | None:
    """Return with which options XLA compiles the program of a round; None where it has its own.

    Without its newer emitters of fused loops, on CPUs, that takes two thirds of the time, and the
    program is no slower (`python -m benchmarks device`).  Not where the user has set the flag, or
    XLA does not know it.
    """
    name = "xla_cpu_use_fusion_emitters"
    if jax.default_backend() != "cpu" or name in os.environ.get("XLA_FLAGS", ""):
        return None
    options: dict[str, Any] = {name: False}
    try:
        jax.jit(lambda: jnp.zeros(()), compiler_options=options)()
    except jax.errors.JaxRuntimeError:
        return None
    return options


def _drive(
    engine: Engine,
    starts: Array,
    number: Array,
    box: Any,
    args: Any,
    count: int,
    callback: Callable[[Progress], Any] | None,
) -> Queue:
    """Run to the end, with a look from the host every `ROUNDS` rounds."""
    queue = engine.fill(starts, number, box)
    limit = jnp.asarray(ROUNDS, jnp.int32)
    working = True
    while working:
        queue = engine.advance(queue, starts, number, box, args, limit)
        at_work = int(np.count_nonzero(np.asarray(queue.lanes.phase) != DONE))
        handed_out = int(np.asarray(queue.following).sum())
        working = at_work > 0
        if callback is not None:
            rounds = int(np.asarray(queue.rounds).max())
            if _stops(callback, Progress(done=handed_out - at_work, total=count, rounds=rounds)):
                break
    return engine.finish(queue)


def _stops(callback: Callable[[Progress], Any], progress: Progress) -> bool:
    try:
        return bool(callback(progress))
    except StopIteration:
        return True


def _collect(
    queue: Queue,
    starts: Array,
    fun: Callable[..., Any],
    args: Any,
    value_and_grad: bool,
    count: int,
    lanes: int,
    kind: Any,
) -> Minima:
    """Return the results, copied from the device."""
    reals = np.array(queue.reals)[:count]
    counts = np.array(queue.counts)[:count]
    n = starts.shape[1]
    x, gradient, value = reals[:, :n], reals[:, n : 2 * n], reals[:, 2 * n]
    if kind == np.float32:
        value, gradient = _values(fun, value_and_grad, x, args, lanes)
        unseen = np.isnan(reals[:, 2 * n])
        value[unseen], gradient[unseen] = np.nan, np.nan
    filled = int(np.asarray(queue.filled).sum())
    per_device = lanes // len(np.asarray(queue.filled))
    busy = float(np.asarray(queue.busy, dtype=float).sum())
    stop = np.where((counts[:, 0] == 0) & (counts[:, 3] == 0), HALTED, counts[:, 3])
    return Minima(
        x=np.ascontiguousarray(x),
        fun=np.ascontiguousarray(value),
        jac=np.ascontiguousarray(gradient),
        nfev=counts[:, 0].copy(),
        nit=counts[:, 1].copy(),
        nfail=counts[:, 2].copy(),
        stop=stop.astype(np.int32),
        starts=np.array(starts)[:count],
        lanes=lanes,
        rounds=int(np.asarray(queue.rounds).max()),
        occupancy=busy / (filled * per_device) if filled else 1.0,
    )


def _values(
    fun: Callable[..., Any], value_and_grad: bool, x: Floats, args: Any, lanes: int
) -> tuple[Floats, Floats]:
    """Return values and gradients at the points found, in float64, so many at a time."""
    with precision("float64"):
        gradient = fun if value_and_grad else jax.value_and_grad(fun)
        evaluate = jax.jit(
            lambda x: jax.lax.map(lambda row: gradient(row, *args), x, batch_size=lanes)
        )
        value, slope = in_one_precision(evaluate, jnp.asarray(x, jnp.float64))
        return np.array(value, dtype=np.float64), np.array(slope, dtype=np.float64)
