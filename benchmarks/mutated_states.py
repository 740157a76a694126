r"""States that somebody has tampered with: restored or refused, and driven on.

``python -m benchmarks.mutated_states --count 100000`` takes a state of every kind of object that
can be restored (at several moments of a run), changes something in it (a number, an array, a list,
a key, a type), and restores it.  Either an error of the library comes, or an object that can be
driven for a few evaluations, inside its bounds, with nothing but such errors.  A case that takes
longer than a second, or more memory than 64 MiB beside the object, is a fault.

Under an address sanitizer the kernel is built in a copy of the tree, and the interpreter needs the
libraries of the sanitizer, and of C++ for SciPy, before all others::

    git worktree add ../sanitized && cd ../sanitized
    CFLAGS="-fsanitize=address -fno-omit-frame-pointer" python setup.py build_ext --inplace
    export LD_PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libstdc++.so)"
    export ASAN_OPTIONS=detect_leaks=0:quarantine_size_mb=8 PYTHONMALLOC=malloc
    for seed in $(seq 40); do python -m benchmarks.mutated_states --count 2500 --seed $seed; done

A small quarantine of freed memory keeps the figure of the memory honest.
"""

from __future__ import annotations

import argparse
import copy
import faulthandler
import math
import random
import resource
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from optdriver import (
    LBFGSB,
    CallbackMinimizer,
    FeasibleMinimizer,
    LeastSquares,
    MultiStart,
    create_study,
)
from optdriver.batch import Batch
from optdriver.constraints import ConstraintSet
from optdriver.errors import OptDriverError
from optdriver.population import PopulationDriver, nevergrad_names
from optdriver.space.space import Space
from optdriver.study import Spec, Study

SECONDS = 1.0
MEMORY = 64.0  # MiB
STEPS = 6
BOX = [(-1.5, 2.0), (-1.0, 2.5)]
ROWS = ["x1^2 + x2^2 <= 3", "x1 + x2 >= -1.5"]
NUMBERS = [math.nan, math.inf, -math.inf, 0, -1, 1, 2, 3, 7, 2**31, 2**53, 2**63, 2**64, 10**30]
NUMBERS += [0.5, -0.5, 1e-320, 1e-16, 1e308, -1e308, 1e20, 4.0]
OTHERS = [None, True, "", "x", "nan", [], {}, [1.0], [[0.0]], b"1", "9" * 50, {"version": 1}]


class FaultError(Exception):
    """A property does not hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of object: states to begin with, how one is restored, and driven."""

    states: list[Any]
    restore: Callable[[Any], Any]
    drive: Callable[[Any], None]


def bowl(x: Any) -> tuple[float, Any]:
    """Return value and gradient of something with several minima."""
    f = float(np.sum((x - 0.3) ** 2) + 0.2 * np.sum(np.cos(4.0 * x)))
    return f, 2.0 * (x - 0.3) - 0.8 * np.sin(4.0 * x)


def parts(x: Any) -> tuple[Any, Any]:
    """Return residuals of something with several minima, and their Jacobian."""
    r = np.concatenate([x - 0.3, np.sin(2.0 * x)])
    return r, np.vstack([np.eye(x.size), np.diag(2.0 * np.cos(2.0 * x))])


# -- driving ----------------------------------------------------------------------------------


def check_point(x: Any, low: Any, high: Any) -> None:
    """Raise unless x is a finite point of the box."""
    if not (np.isfinite(x).all() and (low <= x).all() and (x <= high).all()):
        raise FaultError(f"{x} was asked, outside of {low} to {high}")


def fits(made: Any) -> bool:
    """Return whether a minimizer is told residuals."""
    return isinstance(made, LeastSquares) or bool(getattr(made, "fits", False))


def drive_minimizer(made: Any) -> None:
    """Ask and tell, with a failure now and then."""
    if isinstance(made, LBFGSB):
        low, high = made.state.vector("l").copy(), made.state.vector("u").copy()
    else:
        low, high = made.bounds
    for k in range(STEPS):
        if made.done:
            break
        x = made.ask()
        check_point(x, low, high)
        f, g = parts(x) if fits(made) else bowl(x)
        if k == 2:
            made.tell_failure("now and then")
        elif "g" in getattr(made, "needs", "g"):
            made.tell(f, g)
        else:
            made.tell(f)
    _ = made.result
    type(made).from_dict(made.to_dict())


def drive_multistart(made: Any) -> None:
    """Ask and tell, those that are pending first."""
    low, high = (np.array(made.to_dict()[side]) for side in ("lower", "upper"))
    points = [*made.pending, *made.ask(3)]
    for k in range(STEPS):
        if not points:
            break
        point = points.pop()
        check_point(point.x, low, high)
        f, g = bowl(point.x)
        if k == 3:
            made.tell_failure(point.id, "now and then")
        else:
            made.tell(point.id, f, g)
        points += made.ask(1)
    _ = made.runs, made.minima, made.best, made.turns, repr(made)
    type(made).from_dict(made.to_dict())


def drive_batch(made: Any) -> None:
    """Ask and tell all lanes."""
    data = made.to_dict()
    box = [np.broadcast_to(data[side], data["records"]["x"].shape) for side in ("lower", "upper")]
    for _ in range(STEPS):
        if made.done:
            break
        x = made.ask()
        check_point(x, *(side[made.lanes] for side in box))
        values = [bowl(row) for row in x]
        made.tell(np.array([f for f, _ in values]), np.array([g for _, g in values]))
    _ = made.result
    Batch.from_dict(made.to_dict())


def drive_study(study: Study) -> None:
    """Ask and tell, and look at everything."""
    for suggestion in study.open_suggestions:
        tell(study, suggestion)
    for k in range(STEPS):
        suggestion = study.ask()
        if suggestion is None:
            break
        if k == 3:
            study.tell_failure(suggestion.id, "now and then")
        else:
            tell(study, suggestion)
    _ = study.info(), study.runs, study.minima, study.best, study.history, repr(study)
    study.is_done()
    Study.from_dict(study.to_dict())


def drive_constraints(made: ConstraintSet) -> None:
    """Look at one point."""
    x = np.zeros(made.n)
    made.values(x), made.jacobian(x), made.hessian(x, np.ones(len(made))), made.project(x)


def drive_space(made: Space) -> None:
    """Go there and back."""
    made.to_driver(made.to_user(np.zeros(made.size)))
    _ = made.to_dict(), repr(made)


def nothing(_made: Any) -> None:
    """Nothing can be driven."""


# -- states -----------------------------------------------------------------------------------


def moments(made: Any, step: Callable[[Any], None], at: tuple[int, ...]) -> list[Any]:
    """Return the states of an object at some moments."""
    found = []
    for k in range(max(at) + 1):
        if k in at:
            found.append(made.to_dict())
        step(made)
    return found


def step_minimizer(made: Any) -> None:
    """Do one evaluation."""
    if fits(made):
        if not made.done:
            made.tell(*parts(made.ask()))
    elif not made.done:
        f, g = bowl(made.ask())
        made.tell(f, g) if "g" in getattr(made, "needs", "g") else made.tell(f)


def step_driver(made: Any) -> None:
    """Do one evaluation, and leave another pending."""
    for point in made.ask(2)[:1]:
        made.tell(point.id, *bowl(point.x))


def step_batch(made: Batch) -> None:
    """Do one round."""
    if not made.done:
        values = [bowl(row) for row in made.ask()]
        made.tell([f for f, _ in values], [g for _, g in values])


def step_study(study: Study) -> None:
    """Do one evaluation, and leave another pending."""
    for suggestion in study.ask(2)[:1]:
        tell(study, suggestion)


def tell(study: Study, suggestion: Any) -> None:
    """Tell the value, the gradient where the study takes one, or residuals."""
    if study.spec.driver == "least-squares":
        residuals, jacobian = parts(suggestion.x)
        study.tell(suggestion.id, residuals=residuals, jacobian=jacobian)
        return
    f, g = bowl(suggestion.x)
    study.tell(suggestion.id, f, g) if study.parameters["jac"] else study.tell(suggestion.id, f)


def kinds() -> dict[str, Kind]:
    """Return all kinds of objects that can be restored."""

    def of(cls: Any, states: list[Any], drive: Callable[[Any], None]) -> Kind:
        return Kind(states=states, restore=cls.from_dict, drive=drive)

    x0 = [1.0, -0.5]
    space = {"x1": BOX[0], "x2": BOX[1]}
    studies = [
        create_study(space, num_parallel=3, seed=2, jac=jac, constraints=rows)
        for jac, rows in ((True, []), (False, []), (True, ROWS))
    ]
    studies.append(create_study(space, driver="least-squares", jac=True, num_parallel=2, seed=2))
    starts = [
        MultiStart(BOX, num_initial=2, **options)
        for options in (
            {},
            {"jac": False},
            {"start_rule": "mlsl"},
            {"start_rule": "auto"},
            {"constraints": ROWS},
            {"method": "Nelder-Mead"},
        )
    ]
    callbacks = [CallbackMinimizer(m, x0, BOX) for m in ("SLSQP", "Nelder-Mead")]
    cma = PopulationDriver(BOX, engine="CMA-ES")
    feasible = [
        FeasibleMinimizer(x0, ROWS, BOX),
        FeasibleMinimizer(x0, ROWS, BOX, residuals=True, loss="cauchy"),
    ]
    within = [s for made in feasible for s in moments(made, step_minimizer, (0, 2, 5))]
    fitting = [LeastSquares(x0, BOX), LeastSquares(x0, loss="cauchy")]
    batch = Batch(np.random.default_rng(1).uniform(-1, 1, (5, 2)), BOX, lanes=3)
    plain = [LBFGSB(x0, BOX), LBFGSB(x0), LBFGSB([0.4] * 5, [(0, 1)] * 5, maxcor=2)]
    minimizers = [s for made in plain for s in moments(made, step_minimizer, (0, 1, 4, 7))]
    multi = [s for made in starts for s in moments(made, step_driver, (0, 3, 14))]
    suspended = [s for made in callbacks for s in moments(made, step_minimizer, (0, 5))]
    fitted = [s for made in fitting for s in moments(made, step_minimizer, (0, 1, 4))]
    kept = [s for study in studies for s in moments(study, step_study, (0, 4, 12))]
    return {
        "LBFGSB": of(LBFGSB, minimizers, drive_minimizer),
        "MultiStart": of(MultiStart, multi, drive_multistart),
        "FeasibleMinimizer": of(FeasibleMinimizer, within, drive_minimizer),
        "LeastSquares": of(LeastSquares, fitted, drive_minimizer),
        "CallbackMinimizer": of(CallbackMinimizer, suspended, drive_minimizer),
        "Batch": of(Batch, moments(batch, step_batch, (0, 4, 9)), drive_batch),
        "PopulationDriver": of(
            PopulationDriver, moments(cma, step_driver, (0, 5, 30)), drive_multistart
        ),
        "Study": of(Study, kept, drive_study),
        "ConstraintSet": of(
            ConstraintSet, [ConstraintSet(ROWS, ["x1", "x2"], BOX).to_dict()], drive_constraints
        ),
        "Space": of(Space, [studies[0].space.to_dict()], drive_space),
        "Spec": of(Spec, [study.spec.to_dict() for study in studies], nothing),
    }


# -- mutations --------------------------------------------------------------------------------


def places(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the paths to everything in a state."""
    items: Any = ()
    if isinstance(data, dict):
        items = data.items()
    elif isinstance(data, list):
        items = enumerate(data)
    for key, value in items:
        yield (*path, key)
        yield from places(value, (*path, key))


def mutated(data: Any, rng: random.Random) -> Any:
    """Return a copy of a state in which one to three things are otherwise."""
    made = copy.deepcopy(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        found = list(places(made))
        if not found:
            return rng.choice(OTHERS)
        *way, last = rng.choice(found)
        holder = made
        for key in way:
            holder = holder[key]
        holder[last] = changed(holder[last], rng)
        if rng.random() < 0.05:
            del holder[last]
    return made


def changed(value: Any, rng: random.Random) -> Any:
    """Return something else instead of a value."""
    if rng.random() < 0.1:
        return rng.choice([*NUMBERS, *OTHERS])
    if isinstance(value, np.ndarray):
        return changed_array(value, rng)
    if isinstance(value, list) and value:
        order = rng.sample(value, len(value))
        return rng.choice([value[:-1], value[1:], value + value[:1], order, []])
    if isinstance(value, (bool, int, float, np.number)):
        near = [value + 1, value - 1, -value, 2 * value]
        return rng.choice([*NUMBERS, *near])
    if isinstance(value, str):
        return rng.choice([value + "x", value[:-1], "", value.upper(), "running", "done", "("])
    return rng.choice([*NUMBERS, *OTHERS])


def changed_array(value: Any, rng: random.Random) -> Any:
    """Return another array instead of one."""
    way = rng.random()
    if value.size and way < 0.6:
        made = value.astype(np.float64)
        made.flat[rng.randrange(made.size)] = float(rng.choice(NUMBERS))
        return made if value.dtype.kind == "f" or rng.random() < 0.5 else made.tolist()
    if way < 0.8:
        return rng.choice(
            [value[:-1], value.T, value.ravel(), value[None], value[:0], value.astype(float) * -1e9]
        )
    return rng.choice([value.astype(object), value.astype(str), value.tolist(), value.astype(bool)])


# -- the run ----------------------------------------------------------------------------------


def check(kind: Kind, rng: random.Random) -> str:
    """Restore and drive one mutated state; return what came of it."""
    data = mutated(rng.choice(kind.states), rng)
    try:
        made = kind.restore(data)
    except OptDriverError:
        return "refused"
    try:
        kind.drive(made)
    except OptDriverError:
        return "driven to an error"
    return "driven"


def peak() -> float:
    """Return the largest size that this process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0


def run(count: int, seed: int = 1, only: str = "") -> tuple[Counter[Any], list[str]]:
    """Check `count` mutated states, of all kinds in turn; return what came, and the faults."""
    seen: Counter[Any] = Counter()
    faults: list[str] = []
    chosen = {name: kind for name, kind in kinds().items() if only in name}
    names = list(chosen)
    nevergrad_names()  # an unknown name imports the package, which takes longer
    for k in range(count):
        name = names[k % len(names)]
        faulthandler.dump_traceback_later(60.0, exit=True)
        before, begun = peak(), time.process_time()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                outcome = check(chosen[name], random.Random(f"{seed} {k}"))
        except Exception as error:  # noqa: BLE001 (each is a fault)
            outcome = "fault"
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{place.filename.rsplit('/', 1)[-1]}:{place.lineno}"
            faults.append(f"{name} {seed} {k}: {error!r:.160} at {where}")
        taken, grown = time.process_time() - begun, peak() - before
        if taken > SECONDS or grown > MEMORY:
            faults.append(f"{name} {seed} {k}: {taken:.2f} s, {grown:.0f} MiB")
        seen[name, outcome] += 1
    faulthandler.cancel_dump_traceback_later()
    return seen, faults


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="part of the name of a kind")
    given = parser.parse_args()
    seen, faults = run(given.count, given.seed, given.only)
    for (name, outcome), number in sorted(seen.items()):
        print(f"{name:20} {outcome:20} {number}")
    for fault in faults[:40]:
        print(fault)
    print(f"{given.count} states, {len(faults)} faults, {peak():.0f} MiB at most")
    raise SystemExit(bool(faults))


if __name__ == "__main__":
    main()
