"""Claims: the device engine compiles as fast as a plain L-BFGS under vmap, and costs no more.

``python -m benchmarks device`` compiles `optdriver.batch.jax.minimize` and `optax.lbfgs` under
`jax.vmap` for the same loss (processor time from the function to the program, and the size of it),
and takes 256 starts of the extended Rosenbrock function to a gradient of 1e-5 with both, without
bounds, which optax lacks, and with bounds beside the host's batch.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from time import process_time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.report import Section, Table, Target
from benchmarks.timing import interleaved, ratio, spread
from optdriver.batch import minimize_batch
from optdriver.batch.jax import minimize
from optdriver.batch.jax.multistart import LANES_ON_CPU, _engine
from optdriver.batch.jax.options import DeviceOptions
from optdriver.batch.vectorized import vectorized
from optdriver.space.sampling import starts

LANES = 256
N = 10
BOX = np.tile([[-2.0, 0.5], [0.0, 2.0]], (N // 2, 1))
ROUNDS = 5
GTOL = 1e-5
MOST = 500  # iterations of optax
LIMITS = {"compilation": 1.2, "with bounds": 1.0, "without bounds": 1.5}
WHERE = "one CPU" if jax.default_backend() == "cpu" else jax.devices()[0].device_kind
TEXT = f"""{LANES} starts of the extended Rosenbrock function in {N} variables, float64, on {WHERE};
processor time, medians (quartiles) over interleaved rounds. `optax.lbfgs` (10 pairs, its zoom line
search) runs under `jax.vmap` until the gradient's norm is {GTOL}, ours until its largest component
is."""


def rosenbrock(x: Any) -> Any:
    a, b = x[::2], x[1::2]
    return jnp.sum(100.0 * (b - a * a) ** 2 + (1.0 - a) ** 2)


def descend(x0: Any) -> tuple[Any, Any]:
    """Return where optax's method ends, and its last gradient's norm."""
    method = optax.lbfgs(memory_size=10)
    told = optax.value_and_grad_from_state(rosenbrock)

    def goes_on(now: Any) -> Any:
        _, state, turn = now
        return (turn == 0) | (
            (turn < MOST) & (optax.tree.norm(optax.tree.get(state, "grad")) > GTOL)
        )

    def go_on(now: Any) -> Any:
        x, state, turn = now
        f, g = told(x, state=state)
        step, state = method.update(g, state, x, value=f, grad=g, value_fn=rosenbrock)
        return optax.apply_updates(x, step), state, turn + 1

    x, state, _ = jax.lax.while_loop(goes_on, go_on, (x0, method.init(x0), 0))
    return x, optax.tree.norm(optax.tree.get(state, "grad"))


def equations(jaxpr: Any) -> int:
    """Return how many equations a program has, those of inner ones included."""
    inner = (value for equation in jaxpr.eqns for value in equation.params.values())
    parts = (part for value in inner for part in (value if isinstance(value, tuple) else (value,)))
    programs = (getattr(part, "jaxpr", part) for part in parts)
    return len(jaxpr.eqns) + sum(equations(p) for p in programs if hasattr(p, "eqns"))


def compiled(program: Any, *arguments: Any) -> tuple[float, int, int]:
    """Return the seconds of compiling, and the sizes before and after: equations, instructions."""
    before = process_time()
    traced = program.trace(*arguments)
    made = traced.lower().compile()
    seconds = process_time() - before
    return seconds, equations(traced.jaxpr.jaxpr), made.as_text().count(" = ")


def ours() -> tuple[float, int, int]:
    """Compile the engine for a loss that it has not seen."""

    def loss(x: Any) -> Any:
        return rosenbrock(x)

    settings = DeviceOptions.read(None, {}).settings(np.float64)
    with jax.enable_x64(True):
        engine: Any = _engine(loss, False, settings, LANES_ON_CPU, None)
        box = tuple(jnp.asarray(side) for side in BOX.T)
        begin, number = jnp.zeros((LANES, N)), jnp.asarray([LANES], jnp.int32)
        queue = engine.fill(begin, number, box)
        return compiled(engine.advance, queue, begin, number, box, (), jnp.int32(1))


def theirs() -> tuple[float, int, int]:
    """Compile optax's method."""
    with jax.enable_x64(True):
        return compiled(jax.jit(jax.vmap(lambda x: descend(x))), jnp.zeros((LANES, N)))


def compilation(rounds: int) -> tuple[Table, Target]:
    """Compare the compilations."""
    sizes: dict[str, tuple[int, int]] = {}

    def seconds(name: str, work: Callable[[], tuple[float, int, int]]) -> Callable[[], float]:
        def measure() -> float:
            jax.clear_caches()
            taken, *sizes[name] = work()  # type: ignore[assignment]
            return taken

        return measure

    works = {"device engine": ours, "optax.lbfgs": theirs}
    found = interleaved({name: seconds(name, work) for name, work in works.items()}, rounds)
    rows = [(name, spread(found[name]), *(f"{size:,}" for size in sizes[name])) for name in works]
    part = ratio(found["device engine"], found["optax.lbfgs"])
    header = ("", "seconds", "equations", "instructions after optimisation")
    limit = LIMITS["compilation"]
    return Table(caption="Compilation.", header=header, rows=rows), Target(
        claim="compilation / optax.lbfgs under vmap", value=part, limit=limit
    )


def runs(rounds: int) -> tuple[Table, list[Target]]:
    """Compare whole runs, compiled before."""
    x0s = starts("sobol", 0, 0, LANES, *BOX.T)
    together, stop = vectorized(rosenbrock), {"ftol": 0.0, "gtol": GTOL}
    with jax.enable_x64(True):
        many = jax.jit(jax.vmap(descend))

    def by_optax() -> float:
        with jax.enable_x64(True):
            _, norms = many(jnp.asarray(x0s))
            return float(np.mean(np.asarray(norms) <= GTOL))

    def on_device(box: Any) -> float:
        return float(minimize(rosenbrock, box, starts=x0s, **stop).success.mean())

    works: dict[str, Callable[[], float]] = {
        "device, with bounds": lambda: on_device(BOX),
        "host batch, with bounds": lambda: minimize_batch(
            together, x0s, BOX, **stop
        ).success.mean(),
        "device, without bounds": lambda: on_device(np.tile([[-np.inf, np.inf]], (N, 1))),
        "optax.lbfgs, without bounds": by_optax,
    }
    converged = {name: work() for name, work in works.items()}

    def seconds(work: Callable[[], float]) -> Callable[[], float]:
        def measure() -> float:
            before = process_time()
            work()
            return process_time() - before

        return measure

    found = interleaved({name: seconds(work) for name, work in works.items()}, rounds)
    rows = [(name, spread(found[name], 1e3), f"{converged[name]:.3f}") for name in works]
    names = list(works)
    targets = [
        Target(
            claim=f"whole runs {what}, device / {other}",
            value=ratio(found[a], found[b]),
            limit=LIMITS[what],
        )
        for what, a, b, other in (
            ("with bounds", *names[:2], "host batch"),
            ("without bounds", *names[2:], "optax.lbfgs under vmap"),
        )
    ]
    header = ("", "milliseconds", "converged")
    return Table(caption=f"{LANES} runs, compiled before.", header=header, rows=rows), targets


def run(arguments: Sequence[str] = ()) -> Section:
    """Measure and return the section of the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks device", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    rounds = max(parser.parse_args(arguments).rounds, 2)
    sizes, size = compilation(rounds)
    times, claims = runs(rounds)
    return Section(
        name="device",
        title="The device engine beside optax",
        text=TEXT,
        targets=[size, *claims],
        tables=[sizes, times],
        packages=("jax", "optax"),
    )
