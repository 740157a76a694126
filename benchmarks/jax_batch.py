"""Claims: many minimizers of a JAX loss at once, on the device or driven by the host's batch.

``python -m benchmarks jax-batch`` times whole runs, compiled before, from the same starts: SciPy
with a jitted value and gradient one after the other, `optdriver.batch.jax.minimize`, and
`minimize_batch` with `vectorized`. It counts evaluations beside jaxopt's LBFGSB under vmap,
compares every run with the host's minimizer, and measures refilled lanes and memory.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy import optimize

from benchmarks.report import Section, Table, Target
from benchmarks.timing import interleaved, ratio, spread, timed
from optdriver.batch import minimize_batch
from optdriver.batch.jax import minimize
from optdriver.batch.jax.multistart import _engine
from optdriver.batch.jax.options import DeviceOptions
from optdriver.batch.vectorized import vectorized
from optdriver.space.sampling import starts

with warnings.catch_warnings():  # it says that it is no longer maintained
    warnings.simplefilter("ignore", DeprecationWarning)
    import jaxopt

LANES = 256
SEQUENTIAL = 32
ROUNDS = 7
DEVICE_LIMITS = {10: 0.3, 100: 0.5}
HOST_LIMIT = 0.10
JAXOPT_LIMIT = 0.4
NAMES = ("SciPy + jit, in sequence", "device", "host batch + vectorized")
WHERE = "one CPU" if jax.default_backend() == "cpu" else jax.devices()[0].device_kind
TEXT = f"""{LANES} starts of bounded extended Rosenbrock problems, float64, on {WHERE}; everything
is compiled before. Microseconds by evaluation, the objective included: medians (quartiles) over
interleaved runs. The device has its default of lanes. SciPy runs {SEQUENTIAL} of the starts."""

rng = np.random.default_rng(7)
BASIS = np.linalg.qr(rng.normal(size=(10, 10)))[0]
MATRIX = BASIS @ np.diag(np.logspace(0, 4, 10)) @ BASIS.T
VECTOR = 100.0 * rng.normal(size=10)
WELLS = rng.uniform(-4.0, 4.0, (6, 10))


def rosenbrock(x: Any) -> Any:
    a, b = x[::2], x[1::2]
    return jnp.sum(100.0 * (b - a * a) ** 2 + (1.0 - a) ** 2)


def rastrigin(x: Any) -> Any:
    return 10.0 * x.size + jnp.sum(x * x - 10.0 * jnp.cos(2.0 * jnp.pi * x))


def quadratic(x: Any) -> Any:
    return 0.5 * x @ (jnp.asarray(MATRIX, x.dtype) @ x) - jnp.asarray(VECTOR, x.dtype) @ x


def styblinski_tang(x: Any) -> Any:
    return 0.5 * jnp.sum(x**4 - 16.0 * x * x + 5.0 * x)


def wells(x: Any) -> Any:
    distance = jnp.sum((x - jnp.asarray(WELLS, x.dtype)) ** 2, axis=1)
    return 0.01 * jnp.sum(x * x) - jnp.sum(
        jnp.arange(1.0, 7.0, dtype=x.dtype) * jnp.exp(-0.05 * distance)
    )


def rosenbrock_box(n: int) -> Any:
    return np.tile([[-2.0, 0.5], [0.0, 2.0]], (n // 2, 1))


FUNCTIONS = (rosenbrock, rastrigin, quadratic, styblinski_tang, wells)


def problem(x: Any, which: Any) -> Any:
    """Return the value of one of the problems: one function, compiled once."""
    return jax.lax.switch(which, FUNCTIONS, x)


PROBLEMS: dict[str, Any] = {
    "bounded extended Rosenbrock": rosenbrock_box(10),
    "Rastrigin": np.tile([[-5.12, 5.12]], (10, 1)),
    "ill-conditioned quadratic, active bounds": np.tile([[-1.0, 1.0]], (10, 1)),
    "Styblinski-Tang": np.tile([[-5.0, 5.0]], (10, 1)),
    "six Gaussian wells": np.tile([[-5.0, 5.0]], (10, 1)),
}


def speed(n: int, rounds: int) -> dict[str, list[float]]:
    """Return seconds by evaluation of the three ways."""
    box = rosenbrock_box(n)
    x0s = starts("sobol", 0, 0, LANES, *box.T)
    together = vectorized(rosenbrock)
    counts: dict[str, int] = {}
    with jax.enable_x64(True):
        one = jax.jit(jax.value_and_grad(rosenbrock))
        one(x0s[0])

    def sequential() -> None:
        def fun(x: Any) -> tuple[float, Any]:
            f, g = one(x)
            return float(f), np.asarray(g)

        with jax.enable_x64(True):
            runs = [
                optimize.minimize(fun, x0, jac=True, bounds=box, method="L-BFGS-B")
                for x0 in x0s[:SEQUENTIAL]
            ]
        counts[NAMES[0]] = sum(run.nfev for run in runs)

    def device() -> None:
        counts[NAMES[1]] = int(minimize(rosenbrock, box, starts=x0s).nfev.sum())

    def host() -> None:
        counts[NAMES[2]] = int(minimize_batch(together, x0s, box, cautious=False).nfev.sum())

    works = dict(zip(NAMES, (sequential, device, host), strict=True))
    for work in works.values():
        work()
    seconds = interleaved(
        {name: lambda work=work: timed(work, warm=False) for name, work in works.items()}, rounds
    )
    return {name: [t / counts[name] for t in seconds[name]] for name in NAMES}


def jaxopt_evaluations() -> tuple[Table, Target]:
    """Return the evaluations of ours and of jaxopt's to a projected gradient of 1e-5."""
    rows, ours, theirs = [], 0, 0
    solver = jaxopt.LBFGSB(problem, tol=1e-5, maxiter=500)
    run = jax.jit(
        jax.vmap(lambda x, box, which: solver.run(x, box, which), in_axes=(0, None, None))
    )
    for k, (name, box) in enumerate(PROBLEMS.items()):
        x0s = starts("sobol", 0, 0, LANES, *box.T)
        own = minimize(problem, box, starts=x0s, args=(np.int32(k),), ftol=0.0, gtol=1e-5)
        with jax.enable_x64(True):
            found = run(jnp.asarray(x0s), tuple(jnp.asarray(box.T)), np.int32(k))
            error = np.asarray(found.state.error)
            counted = int(np.asarray(found.state.num_fun_eval).sum())
        ours, theirs = ours + int(own.nfev.sum()), theirs + counted
        rows.append(
            (
                name,
                str(int(own.nfev.sum())),
                str(counted),
                f"{np.mean(own.success):.3f}",
                f"{np.mean(error <= 1e-5):.3f}",
            )
        )
    header = ("problem", "device", "jaxopt", "device converged", "jaxopt converged")
    caption = f"Evaluations of {LANES} runs to a projected gradient of 1e-5."
    claim = "evaluations / jaxopt.LBFGSB under vmap, all five problems"
    target = Target(claim=claim, value=ours / theirs, limit=JAXOPT_LIMIT)
    return Table(caption=caption, header=header, rows=rows), target


def agreement(count: int) -> tuple[Table, list[Target]]:
    """Compare every run on the device with the host's from the same start."""
    rows, shares, ratios = [], [], []
    for k, (name, box) in enumerate(PROBLEMS.items()):
        x0s, which = starts("sobol", 1, 0, count, *box.T), (np.int32(k),)
        device = minimize(problem, box, starts=x0s, args=which)
        host = minimize_batch(vectorized(problem, args=which), x0s, box, cautious=False)
        single = minimize(problem, box, starts=x0s, args=which, dtype="float32")
        scale = np.maximum(1.0, np.abs(host.fun))
        same = np.abs(device.fun - host.fun) <= 1e-8 * scale
        close = np.abs(single.fun - host.fun) <= 1e-5 * scale
        shares.append(same.mean())
        ratios.append(device.nfev.sum() / host.nfev.sum())
        rows.append(
            (
                name,
                f"{same.mean():.4f}",
                f"{np.mean(device.nfev == host.nfev):.3f}",
                f"{device.nfev.sum()}/{host.nfev.sum()}",
                f"{close.mean():.4f}",
                str(single.nfev.sum()),
            )
        )
    header = (
        "problem", "same minimum to 1e-8", "same number of evaluations",
        "evaluations, device/host", "float32: within 1e-5", "float32: evaluations",
    )  # fmt: skip
    caption = f"Device and host from the same {count} starts."
    return Table(caption=caption, header=header, rows=rows), [
        Target(claim="least share of equal minima", value=min(shares), limit=0.99, at_least=True),
        Target(
            claim="most evaluations, device / host, either way round",
            value=max(max(r, 1 / r) for r in ratios),
            limit=1.1,
        ),
    ]


def refilling(count: int) -> tuple[Table, list[Target]]:
    """Send many starts through few lanes, and compare the set of minima with the host's."""
    box = PROBLEMS["Styblinski-Tang"]
    device = minimize(styblinski_tang, box, total=count, lanes=LANES)
    loss = vectorized(styblinski_tang)
    host = minimize_batch(loss, device.starts, box, lanes=LANES, cautious=False)
    sets = [{tuple(x) for x in np.round(result.x, 2) + 0.0} for result in (device, host)]
    rows = [
        (
            str(count),
            str(device.rounds),
            f"{device.occupancy:.4f}",
            str(len(sets[0])),
            str(len(sets[1])),
            str(len(sets[0] ^ sets[1])),
        )
    ]
    header = ("starts", "rounds", "lanes at work", "minima", "host's minima", "not in both")
    caption = f"Styblinski-Tang, n = 10, through {LANES} lanes."
    return Table(caption=caption, header=header, rows=rows), [
        Target(claim="lanes at work", value=device.occupancy, limit=0.95, at_least=True),
        Target(claim="minima not in both sets", value=len(sets[0] ^ sets[1]), limit=0),
    ]


def memory() -> Table:
    """Return what lanes take, and what a round takes beside, as XLA plans it."""
    rows = []
    n, kind = 100, np.float64
    settings = DeviceOptions.read(None, {}).settings(kind)
    stated = 8 * ((2 * settings.maxcor + 9) * n + 2 * settings.maxcor**2 + 35)
    for lanes in (256, 4096):
        with jax.enable_x64(True):
            engine: Any = _engine(rosenbrock, False, settings, lanes, None)
            box = tuple(jnp.asarray(side) for side in rosenbrock_box(n).T)
            begin, number = jnp.zeros((lanes, n)), jnp.asarray([lanes], jnp.int32)
            queue = engine.fill(begin, number, box)
            size = sum(leaf.nbytes for leaf in jax.tree.leaves(queue.lanes))
            plan = engine.advance.lower(queue, begin, number, box, (), jnp.int32(1)).compile()
            beside = plan.memory_analysis().temp_size_in_bytes
        rows.append(
            (
                str(lanes),
                f"{size / 2**20:.1f}",
                f"{stated * lanes / 2**20:.1f}",
                f"{beside / 2**20:.1f}",
            )
        )
    header = ("lanes", "lanes, MiB", "as stated, MiB", "beside them in a round, MiB")
    return Table(caption="Memory at n = 100, maxcor = 10, float64.", header=header, rows=rows)


def speed_results(rounds: int) -> tuple[Table, list[Target]]:
    """Return the table of times, and the claims about them."""
    rows, targets = [], []
    for n, limit in DEVICE_LIMITS.items():
        cost = speed(n, rounds)
        scipy, device, host = NAMES
        values = ratio(cost[device], cost[scipy]), ratio(cost[host], cost[scipy])
        limits = limit, HOST_LIMIT
        rows.append(
            (str(n), *(spread(cost[name], 1e6) for name in NAMES), *(f"{v:.3f}" for v in values))
        )
        targets += [
            Target(claim=f"{name} / SciPy + jit, N = {LANES}, n = {n}", value=value, limit=most)
            for name, value, most in zip((device, host), values, limits, strict=True)
        ]
    header = ("n", *NAMES, "device / SciPy", "host batch / SciPy")
    return Table(caption="Microseconds by evaluation.", header=header, rows=rows), targets


def run(arguments: Sequence[str] = ()) -> Section:
    """Measure and return the section of the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks jax-batch", description=__doc__)
    parser.add_argument("--quick", type=int, default=1, help="divide rounds and starts by this")
    quick = parser.parse_args(arguments).quick
    times, targets = speed_results(max(ROUNDS // quick, 2))
    counted, evaluations = jaxopt_evaluations()
    compared, equal = agreement(max(1000 // quick, 20))
    refilled, busy = refilling(max(10000 // quick, 2 * LANES))
    return Section(
        name="jax-batch",
        title="Many minimizers of a JAX loss",
        text=TEXT,
        targets=[*targets, evaluations, *equal, *busy],
        tables=[times, counted, compared, refilled, memory()],
    )
