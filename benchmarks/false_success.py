"""Claim: success is claimed only where little is left to gain, in whatever units the problem comes.

``python -m benchmarks false-success`` draws standard problems, gives every variable and the
objective another unit, and runs them through every interface and through SciPy.  ``--runs`` says
how many of each kind of units (250, so 1,000 for an interface); with ``--keep FILE`` what was done
is kept there and not done again, and ``--seconds`` ends a run that is to be continued.  With
``--unseen`` the problems are those on which no threshold was chosen.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from itertools import islice, zip_longest
from typing import Any

import numpy as np
import scipy.optimize

from benchmarks.kept import add_options
from benchmarks.peers import Vector
from benchmarks.report import Section, Table, Target
from benchmarks.scaled import UNITS, Task, tasks
from optdriver import (
    LBFGSB,
    Interval,
    MultiStart,
    create_study,
    minimize,
    scipy_feasible_method,
    scipy_method,
)
from optdriver.batch import Batch
from optdriver.feasible import FeasibleMinimizer

RUNS = 250
MOST = 1500  # evaluations
TEXT = """Standard problems (of `benchmarks/problems`, with 20 variables at most, and the inequality
problems of Hock and Schittkowski with five) with random units: each variable times 1e-12 to 1e12,
the objective times 1e-15 to 1e15, the box with it; 1,500 evaluations at most. A success is *false*
if, from its point and in the problem's own units, SciPy at tight tolerances gains more than 1 per
cent of the value and more than 1e-4 of what there was to gain from the start. It is called *flat*,
and is not counted as false, where the gradient, followed as far as each variable is from 0 or from
its start, promises less than a thousandth of that: exponential plateaus (HS25 at its start,
Osborne 2), which no test of gradients can tell from a minimum. A cell has false + flat /
successes. `LBFGSB`, `scipy_method`, `Batch` and the JAX engine keep SciPy's test of the reduction
of `f`, whose unit is 1, unless they are told to be cautious: their false ends are SciPy's, and no
target."""

UNSEEN = """As *False successes, in whatever units*, but with problems on which no threshold was
chosen (`benchmarks/problems/unseen.py`): functions of CUTE, and fits of random data by six models,
from starts within a factor of 2, and of 10, of the truth, in boxes as wide."""

End = tuple[Vector, bool]
Way = Callable[[Task], End]

# -- the interfaces: each returns a point, and whether success was claimed ------------------------


def drive(opt: Any, task: Task) -> End:
    """Drive a minimizer to its end."""
    for _ in range(MOST):
        if opt.done:
            break
        opt.tell(*task(opt.ask()))
    return opt.result.x, bool(opt.result.success)


def scipys(task: Task, method: Any = "L-BFGS-B") -> End:
    """Run `scipy.optimize.minimize`, with a method of its own or ours."""
    run: Any = scipy.optimize.minimize
    found = run(task, task.x0, jac=True, bounds=task.box, method=method)
    return found.x, bool(found.success)


def scipys_values(task: Task, method: str) -> End:
    """Run a method of SciPy's that takes values alone."""
    run: Any = scipy.optimize.minimize
    options = {"maxfev": MOST}
    value = lambda x: task(x)[0]  # noqa: E731
    found = run(value, task.x0, bounds=task.box, method=method, options=options)
    return found.x, bool(found.success)


def alone(task: Task, cautious: bool = False) -> End:
    """Run `LBFGSB`."""
    return drive(LBFGSB(task.x0, task.box, cautious=cautious), task)


def batch(task: Task, cautious: bool = False) -> End:
    """Run `Batch`, with two starts that are the same."""
    made = Batch([task.x0, task.x0], task.box, maxfun=MOST, cautious=cautious)
    while not made.done:
        rows = [task(x) for x in made.ask()]
        made.tell([f for f, _ in rows], [g for _, g in rows])
    return made.result.x[0], bool(made.result.success[0])


def many(task: Task, jac: bool = True) -> End:
    """Run `MultiStart`, in the units of the task."""
    made = MultiStart(
        task.box, max_num_minimizers=1, initial_samples=[task.x0], maxfun=MOST, jac=jac
    )
    while not made.done and len(made.runs) < 2 and made.nfev < MOST:
        for point in made.ask(1):
            f, g = task(point.x)
            made.tell(point.id, f, g if jac else None)
    run = made.runs[0]
    return (task.x0 if run.x is None else run.x), run.state == "converged"


def study(task: Task, driver: str = "L-BFGS-B", jac: bool = True) -> End:
    """Run a study."""
    names = [f"x{i + 1}" for i in range(task.n)]
    made = create_study(
        {name: tuple(side) for name, side in zip(names, task.box.tolist(), strict=True)},
        constraints=task.constraints,
        driver=driver,
    )
    limits = {"max_iter": MOST, "max_num_minimizers": 1}
    made.set_parameters(jac=jac, initial_samples=[task.x0.tolist()], **limits)
    while (asked := made.ask()) is not None and len(made.runs) < 2:
        x = np.array([asked.params[name] for name in names])
        f, g = task(x)
        made.tell(asked.id, f, dict(zip(names, g.tolist(), strict=True)) if jac else None)
    run = made.runs[0]
    x = task.x0 if run.params is None else np.array([run.params[name] for name in names])
    return x, run.state == "converged"


def loss_of(task: Task) -> Callable[[Any], Any]:
    """Return the objective as a loss that JAX traces, with its own gradient."""
    return _loss(lambda: task, task.n)


def _loss(current: Callable[[], Task], n: int) -> Callable[[Any], Any]:
    import jax

    jax.config.update("jax_enable_x64", True)  # callbacks look there

    def told(x: Any) -> tuple[Any, Any]:
        f, g = current()(np.asarray(x))
        return np.asarray(f, dtype=x.dtype), np.asarray(g, dtype=x.dtype)

    def both(x: Any) -> Any:
        shapes = (jax.ShapeDtypeStruct((), x.dtype), jax.ShapeDtypeStruct((n,), x.dtype))
        return jax.pure_callback(told, shapes, x, vmap_method="sequential")

    @jax.custom_vjp
    def loss(x: Any) -> Any:
        return both(x)[0]

    loss.defvjp(both, lambda g, cotangent: (cotangent * g,))
    return loss  # type: ignore[no-any-return]  # JAX's own type


def ours(task: Task, method: str = "L-BFGS-B", engine: str | None = None) -> End:
    """Run `minimize`, constraints as texts."""
    names = [f"x{i + 1}" for i in range(task.n)]
    vector = loss_of(task)

    def loss(**parameters: Any) -> Any:
        import jax.numpy as jnp

        return vector(jnp.stack([parameters[name] for name in names]))

    found = minimize(
        loss,
        {name: Interval(*side) for name, side in zip(names, task.box.tolist(), strict=True)},
        method,
        x0=task.x0,
        n_iter=1,
        x64=True,
        constraints=task.constraints or None,
        options={_limit(method): MOST} if _limit(method) else None,
        engine=engine,
        progress=False,
    )
    return np.array([float(found.x[name]) for name in names]), bool(found.success)


def _limit(method: str) -> str:
    return {"L-BFGS-B": "maxfun", "TNC": "maxfun", "SLSQP": "", "trust-constr": "maxiter"}.get(
        method, "maxfev"
    )


_now: list[Task] = []


@lru_cache(maxsize=32)
def _device_loss(n: int) -> Callable[[Any], Any]:
    """Return a loss of n variables that evaluates the task of the moment: compiled once."""
    return _loss(lambda: _now[0], n)


def device(task: Task, cautious: bool = False) -> End:
    """Run the engine for devices."""
    from optdriver.batch import jax as engine

    _now[:] = [task]
    found = engine.minimize(
        _device_loss(task.n),
        task.box,
        starts=task.x0[None],
        lanes=1,
        maxfun=MOST,
        cautious=cautious,
    )
    return np.array(found.x[0]), bool(found.success[0])


def feasible(task: Task) -> End:
    """Run `FeasibleMinimizer`."""
    return drive(FeasibleMinimizer(task.x0, task.constraints, task.box, maxfun=MOST), task)


def rows_of(task: Task) -> Any:
    """Return the constraints as SciPy takes them, scaled."""
    return scipy.optimize.NonlinearConstraint(
        lambda x: task.rows.values(x / task.units),
        -np.inf,
        0.0,
        jac=lambda x: task.rows.jacobian(x / task.units) / task.units,
    )


def slsqp(task: Task, method: Any = "SLSQP") -> End:
    """Run SciPy's SLSQP, or our method for `scipy.optimize.minimize`."""
    run: Any = scipy.optimize.minimize
    given = task.constraints
    if method == "SLSQP":  # which fails where there are no rows, but bounds alone
        given = rows_of(task) if task.rows.values(task.x0 / task.units).size else ()
    found = run(task, task.x0, jac=True, bounds=task.box, constraints=given, method=method)
    above = float(np.max(task.rows.values(found.x / task.units), initial=0.0))
    return found.x, bool(found.success) and above <= 1e-6


BOUNDED: dict[str, Way] = {
    "SciPy L-BFGS-B": scipys,
    "SciPy SLSQP": partial(scipys, method="SLSQP"),
    "SciPy Nelder-Mead": partial(scipys_values, method="Nelder-Mead"),
    "SciPy Powell": partial(scipys_values, method="Powell"),
    "`scipy_method`": partial(scipys, method=scipy_method),
    "`LBFGSB`": alone,
    "`LBFGSB`, cautious": partial(alone, cautious=True),
    "`Batch`": batch,
    "`Batch`, cautious": partial(batch, cautious=True),
    "`MultiStart`": many,
    "`MultiStart`, differences": partial(many, jac=False),
    "a study": study,
    "a study, differences": partial(study, jac=False),
    "a study, SLSQP": partial(study, driver="SLSQP"),
    "a study, Nelder-Mead": partial(study, driver="Nelder-Mead", jac=False),
    "`minimize`": ours,
    **{
        f"`minimize`, {method}": partial(ours, method=method)
        for method in ("SLSQP", "TNC", "trust-constr", "Nelder-Mead", "Powell", "COBYQA")
    },
    "`minimize`, device": partial(ours, engine="device"),
    "the JAX engine": device,
    "the JAX engine, cautious": partial(device, cautious=True),
}
CONSTRAINED: dict[str, Way] = {
    "SciPy SLSQP": slsqp,
    "`scipy_feasible_method`": partial(slsqp, method=scipy_feasible_method),
    "`FeasibleMinimizer`": feasible,
    "a study": study,
    "a study, differences": partial(study, jac=False),
    "`minimize`": ours,
}
SCIPYS = (
    "`LBFGSB`",
    "`Batch`",
    "`scipy_method`",
    "the JAX engine",
    "the JAX engine, cautious",
)
"""The interfaces that keep SciPy's test of the reduction of f."""


def ended(way: Way, task: Task) -> str:
    """Return ``'none'`` where an interface claimed no success, or how the success is judged."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            x, success = way(task)
        except (ValueError, RuntimeError, ArithmeticError):
            return "none"  # it gave up
        return task.judged(x) if success else "none"


# -- counting -------------------------------------------------------------------------------------

Ends = dict[str, list[str]]
"""How tasks ended, in their order, by what was run."""


def named(where: str, name: str, kind: str) -> str:
    """Return the key of what was run."""
    return f"{where} | {name} | {kind}"


def chosen_ways(pattern: str) -> Iterator[tuple[str, str, Way]]:
    """Yield what is to be run: within bounds or under constraints, whose name has `pattern`."""
    for where, ways in (("bounds", BOUNDED), ("constraints", CONSTRAINED)):
        for name, way in ways.items():
            if pattern in f"{where} | {name}":
                yield where, name, way


def complete(
    ends: Ends, runs: dict[str, int], pattern: str, seconds: float, *, unseen: bool = False
) -> None:
    """Run what is missing in `ends`, as long as there is time: a run of each kind in turn."""
    until = time.monotonic() + seconds
    ways, missing = [], []
    for where, name, way in chosen_ways(pattern):
        for kind in UNITS:
            done = ends.setdefault(named(where, name, kind), [])
            made = tasks(kind, under_constraints=where == "constraints", unseen=unseen)
            ways.append((way, done))
            missing.append(islice(made, len(done), runs[where]))
    for turn in zip_longest(*missing):
        for (way, done), task in zip(ways, turn, strict=True):
            if time.monotonic() > until:
                return
            if task is not None:
                done.append(ended(way, task))


def table(ends: Ends, where: str, caption: str) -> Table:
    """Return false and flat successes of all, a row an interface."""
    rows = []
    for name in BOUNDED if where == "bounds" else CONSTRAINED:
        cells, number = [], 0
        for kind in UNITS:
            found = ends.get(named(where, name, kind), [])
            number += len(found)
            claimed = len(found) - found.count("none")
            cells.append(f"{found.count('false')} + {found.count('flat')} / {claimed}")
        if number:
            rows.append((name, *cells, str(number)))
    head = ("interface", *(f"units of {k}" if k != "as stated" else k for k in UNITS), "runs")
    return Table(header=head, rows=rows, caption=f"{caption}: false + flat / successes.")


def targets(ends: Ends) -> list[Target]:
    """Return that no interface of ours has claimed success falsely."""
    made = []
    for where, name, _ in chosen_ways(""):
        found = [end for kind in UNITS for end in ends.get(named(where, name, kind), [])]
        if found and not name.startswith("SciPy") and name not in SCIPYS:
            claim = f"{where}, {name}: false successes in {len(found)} runs"
            made.append(Target(claim=claim, value=found.count("false"), limit=0))
    return made


def run(arguments: Sequence[str] = ()) -> Section:
    """Run all and return the section of the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks false-success", description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS, help="of each kind of units")
    parser.add_argument("--constrained", type=int, help="the same under constraints")
    parser.add_argument("--only", default="", help="interfaces with this in their names")
    add_options(parser)
    parser.add_argument("--unseen", action="store_true", help="problems not tuned on, in bounds")
    chosen = parser.parse_args(arguments)
    few = chosen.runs if chosen.constrained is None else chosen.constrained
    few = 0 if chosen.unseen else few
    ends: Ends = {}
    if chosen.keep and chosen.keep.exists():
        ends = json.loads(chosen.keep.read_text())
    runs = {"bounds": chosen.runs, "constraints": few}
    complete(ends, runs, chosen.only, chosen.seconds, unseen=chosen.unseen)
    if chosen.keep:
        chosen.keep.write_text(json.dumps(ends))
    tables = table(ends, "bounds", "Within bounds"), table(ends, "constraints", "Under constraints")
    return Section(
        name="false-success-unseen" if chosen.unseen else "false-success",
        title=f"False successes, in whatever units{', problems not tuned on' * chosen.unseen}",
        text=UNSEEN if chosen.unseen else TEXT,
        targets=targets(ends),
        tables=[made for made in tables if made.rows],
    )
