"""Many starts through few lanes: a lane that is done leaves its result and takes the next start.

Everything is in arrays with one leading axis that can be cut into as many parts as there are
devices: each works through a queue of its own, and none waits for another.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from optdriver.batch.jax.state import Lane, Settings, pick, start
from optdriver.batch.jax.step import step
from optdriver.lbfgsb.codes import DONE

Evaluate = Callable[[Array], tuple[Array, Array]]


class Queue(NamedTuple):
    """The lanes of one device, and the starts that they work through.

    Attributes
    ----------
    lanes : Lane, with a leading axis of L lanes
        The minimizers.
    holds : (L,)
        Which start each works on; T where none is left.
    following : (1,)
        The next start to hand out.
    rounds, filled, busy : (1,)
        Rounds; those of them that began with starts left to hand out; lanes at work in these.
    reals : (T, 2n + 1)
        Best point, gradient and value, by start.
    counts : (T, 4)
        Evaluations, iterations, failed evaluations, reason of stopping.
    """

    lanes: Lane
    holds: Array
    following: Array
    rounds: Array
    filled: Array
    busy: Array
    reals: Array
    counts: Array


def fill(starts: Array, number: Array, box: tuple[Array, Array], size: int, o: Settings) -> Queue:
    """Return a queue with its first starts in its lanes.

    Parameters
    ----------
    starts : (T, n)
        The starts, of which the first `number`, (1,), count.
    box : lower, upper
        Bounds.
    size : int
        Number of lanes.
    o : Settings
        The options.
    """
    total, n = starts.shape
    place = jnp.arange(size)
    lanes = jax.vmap(lambda x: start(x, *box, o))(starts[jnp.minimum(place, total - 1)])
    idle = place >= number[0]
    nothing = jnp.zeros(1, jnp.int32)
    return Queue(
        lanes=lanes._replace(phase=jnp.where(idle, DONE, lanes.phase)),
        holds=jnp.where(idle, total, place).astype(jnp.int32),
        following=jnp.minimum(number, size).astype(jnp.int32),
        rounds=nothing,
        filled=nothing,
        busy=nothing,
        reals=jnp.concatenate([starts, jnp.full((total, n + 1), jnp.nan, starts.dtype)], axis=1),
        counts=jnp.zeros((total, 4), jnp.int32),
    )


def advance(
    queue: Queue,
    starts: Array,
    number: Array,
    box: tuple[Array, Array],
    evaluate: Evaluate,
    limit: Array,
    o: Settings,
) -> Queue:
    """Go on for at most `limit` rounds: in each, one evaluation for each lane at work."""
    total = starts.shape[0]

    def goes_on(todo: tuple[Queue, Array]) -> Array:
        return (todo[1] < limit) & jnp.any(todo[0].holds < total)

    def round_(todo: tuple[Queue, Array]) -> tuple[Queue, Array]:
        q, turn = todo
        left = (q.following < number).astype(jnp.int32)
        q = q._replace(
            rounds=q.rounds + 1,
            filled=q.filled + left,
            busy=q.busy + left * jnp.sum(q.lanes.phase != DONE, dtype=jnp.int32),
        )
        values, gradients = jax.vmap(evaluate)(q.lanes.xt)
        lanes = jax.vmap(lambda s, f, g: step(s, f, g, o))(q.lanes, values, gradients)
        q = q._replace(lanes=lanes)
        done = (lanes.phase == DONE) & (q.holds < total)
        q = lax.cond(
            jnp.any(done), lambda q: take_next(q, done, starts, number, box, o), lambda q: q, q
        )
        return q, turn + 1

    return lax.while_loop(goes_on, round_, (queue, jnp.zeros((), jnp.int32)))[0]


def take_next(
    q: Queue, done: Array, starts: Array, number: Array, box: tuple[Array, Array], o: Settings
) -> Queue:
    """Write down the results of the lanes that are `done`, and give them the next starts."""
    total = starts.shape[0]
    q = keep(q, done, total)
    place = q.following + jnp.cumsum(done, dtype=jnp.int32) - 1
    takes = done & (place < number)
    fresh = jax.vmap(lambda x: start(x, *box, o))(starts[jnp.minimum(place, total - 1)])
    pairs = q.lanes.pairs._replace(  # what stands in a slot without a stamp means nothing
        stamp=jnp.where(takes[:, None], 0, q.lanes.pairs.stamp),
        theta=jnp.where(takes, 1, q.lanes.pairs.theta),
    )
    lanes: Lane = jax.vmap(pick)(takes, fresh._replace(pairs=pairs), q.lanes._replace(pairs=pairs))
    return q._replace(
        lanes=lanes,
        holds=jnp.where(takes, place, jnp.where(done, total, q.holds)),
        following=q.following + jnp.sum(takes, dtype=jnp.int32),
    )


def keep(q: Queue, which: Array, total: int) -> Queue:
    """Write down the best points of the lanes `which`."""
    s = q.lanes
    seen = s.best_f < jnp.inf
    row = jnp.where(which, q.holds, total)
    value = jnp.where(seen, s.best_f * s.unit, jnp.nan)[:, None]
    gradient = jnp.where(seen[:, None], s.gb * s.unit[:, None], jnp.nan)
    best = jnp.concatenate([jnp.where(seen[:, None], s.xb, s.xt), gradient, value], axis=1)
    counts = jnp.stack([s.nfev, s.nit, s.nfail, s.stop], axis=1)
    return q._replace(
        reals=q.reals.at[row].set(best, mode="drop"),
        counts=q.counts.at[row].set(counts, mode="drop"),
    )
