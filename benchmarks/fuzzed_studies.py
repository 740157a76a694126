"""Whole studies of generated parts: created, driven, closed, opened, verified and compared.

``python -m benchmarks fuzzed-studies -- --studies 10000`` makes studies whose boxes, constraints
(formulas by the rules of the grammar, broken ones too), driver, options, objective and failures are
drawn, under a state of NumPy's errors that is drawn as well.  Objectives are smooth, rough, huge,
tiny, constant or infinite in parts, raise exceptions, and return what no objective should.  Each
study is kept in a file, opened again at a moment that is drawn and at the end, and verified.

What must hold: no exception but the library's own; each point is inside the bounds and satisfies
the constraints; a file can be opened and verified whatever happened before; what was recorded is
there; and a twin in memory that was never closed is asked for the same points to the bit.
"""

from __future__ import annotations

import argparse
import faulthandler
import math
import random
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.fuzz_constraints import formula, met_to_rounding, texts
from benchmarks.report import Section, Table, Target
from optdriver import create_study, load_study
from optdriver.constraints import ConstraintError, parse
from optdriver.errors import OptDriverError
from optdriver.formulas.tape import Tape
from optdriver.numerics import quiet
from optdriver.study import Study

EVALUATIONS = 30
SECONDS = 60.0
"""Processor time that one study may take."""

WIDTHS = [1e-300, 1e-12, 1e-6, 1e-3, 0.1, 1.0, 1.0, 2.0, 10.0, 1e3, 1e6, 1e12, 1e150]
MIDDLES = [0.0, 0.0, 0.3, 1.0, -2.5, 1e3, -1e6, 1e12]
STATES = ["ignore", "warn", "raise"]
HUGE = [1e300, -1e300, 1.7e308, 1e160, 1e-300, 5e-324, -0.0, 1e16]
WRONG: list[Any] = [
    None, "1.0", b"1", [], [1.0, 2.0], {}, object(), 1j, True, np.array([1.0]), np.float32(0.5),
    np.nan, math.inf, -math.inf, 10**400, {"x1": 1.0}, (1.0,), (1.0, None, 2), np.array("x"),
]  # fmt: skip
FIT = "least-squares"
DRIVERS = ["L-BFGS-B"] * 9 + ["Nelder-Mead", "SLSQP", "Powell", "CMA-ES", FIT, FIT]
LIMITS: list[Any] = [
    {"stress": "<= 1", "lift": None}, {"stress": (-0.5, 0.5), "lift": "<= 2.05"},
    {"stress": "== 0.25", "lift": None}, {"stress*x1": ">= -1e3", "lift": None},
    ["stress^2 - radius*lift <= 3", "log(lift) <= 2"],
]  # fmt: skip
"""Limits on outputs."""
LEAVING = ["SLSQP", "trust-constr", "COBYLA", "COBYQA"]
"""Drivers that ask for points outside of constraints, where they may."""


class FaultError(Exception):
    """A property does not hold."""


@dataclass(slots=True)
class Report:
    """What was seen, and what was wrong."""

    seen: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    slowest: float = 0.0


# -- what is drawn ----------------------------------------------------------------------------


def space(chance: random.Random) -> dict[str, Any]:
    """Draw the parameters: one to three free ones, and the fixed ones that formulas name."""
    made: dict[str, Any] = {}
    for name in ["x1", "x2", "größe"][: chance.choice([1, 2, 2, 2, 3])]:
        if chance.random() < 0.08:
            made[name] = {"domain": (1e-9, chance.choice([1e-3, 1.0, 1e6])), "scale": "log"}
            continue
        width = chance.choice(WIDTHS) * chance.uniform(0.5, 2.0)
        middle = chance.choice(MIDDLES)
        made[name] = (middle - chance.random() * width, middle + width)
    for name in ("x2", "größe", "radius", "e"):
        made.setdefault(name, chance.choice([2, 0.5, 1.25, -1.0, 1e-3]))
    if chance.random() < 0.15:  # dependent ones, which every point that is handed out has
        made |= {"double": "2*x1 - radius", "root": "sqrt(abs(double))"}
    return made


def inside(box: dict[str, Any], chance: random.Random) -> dict[str, float]:
    """Draw a point of the box, by name."""
    sides = {
        name: entry["domain"] if isinstance(entry, dict) else entry for name, entry in box.items()
    }
    return {
        name: chance.uniform(*side) if isinstance(side, tuple) else side
        for name, side in sides.items()
        if not isinstance(side, str)
    }


def constraints(box: dict[str, Any], chance: random.Random) -> list[str]:
    """Draw none to three constraints, most of which one point of the box satisfies."""
    number = chance.choice([0, 0, 0, 1, 1, 2, 3])
    point = inside(box, chance)
    broken = texts(number, chance.randrange(2**32))
    return [
        constraint(point, chance) if chance.random() < 0.95 else next(broken) for _ in range(number)
    ]


def constraint(point: dict[str, float], chance: random.Random) -> str:
    """Draw a formula, and a relation that it satisfies at a point, if it has a value there."""
    kind = chance.randrange(8)
    inner = formula(chance, chance.choice([1, 2, 3]))
    if kind == 0:
        power = chance.choice(["1000", "x2", "-0.5", "99", "(tan(x1)^1000)", "1e-3"])
        inner = f"({inner}*x1-{chance.choice(['1e-400', '1e300', '0.1'])})^{power}"
    elif kind == 1:
        inner = f"{chance.choice(['tan', 'log', 'exp', 'asin', 'erf', 'sinh'])}({inner})"
    elif kind < 5:
        inner = f"{chance.choice(['x1*x1', 'x1', 'x2 + x1', 'x1/3'])} + {inner}"
    value = at(inner, point)
    relation = chance.choice(["<=", "<=", ">=", "<", ">", "<=", ">=", "=="])
    if not math.isfinite(value) or chance.random() < 0.1:
        return f"{inner} {relation} {chance.choice(['0', '1', '-1', '1e6', 'radius', 'x2'])}"
    room = 0.0 if relation == "==" else chance.choice([0.0, 1e-9, 0.1, 1.0]) * max(abs(value), 0.1)
    return f"{inner} {relation} {value + room if '<' in relation else value - room!r}"


def at(text: str, point: dict[str, float]) -> float:
    """Return the value of a formula, NaN where it has none."""
    try:
        (row,) = parse(f"{text} <= 0", tuple(point)).rows()
    except (ConstraintError, ValueError):
        return math.nan
    with np.errstate(all="ignore"):
        return float(Tape([row[1]], tuple(point))(list(point.values()))[0])


def options(free: list[float], chance: random.Random) -> dict[str, Any]:
    """Draw the driver and its parameters."""
    found: dict[str, Any] = {
        "driver": chance.choice(DRIVERS),
        "jac": chance.random() < 0.6,
        "num_parallel": chance.choice([1, 1, 2, 3, 5]),
        "num_initial": chance.choice([1, 1, 2, 3]),
        "seed": chance.randrange(1000),
        "max_iter": chance.choice([5, 20, EVALUATIONS, 100, math.inf]),
    }
    drawn: dict[str, list[Any]] = {
        "retries": [1, 2],
        "max_failures": [1, 2, 10],
        "eps": [1e-9, 1e-3, 1.0],
        "min_val": [-1.0, 0.0, -1e300],
        "max_num_minimizers": [1, 3],
        "start_rule": ["mlsl", "auto"],
        "step_size": [1e-12, 1e-3, 0.1],
        "maxcor": [1, 3, 50],
        "gtol": [0.0, 1e-2, 1.0],
        "f_tol": [0.0, 1e-3],
        "initial_step": [1e-9, 1.0, 1e9],
        "check_grad": [True],
        "sobol_sequence": [False],
        "lease_seconds": [1e-9, 1e9],
        "stop_after_failures": [1, 3],
        "initial_samples": [[free], [free, free]],
        "direction": ["maximize"],
        "max_val": [0.0, 1e300],
        "stop_when": ["all minima likely found"],
        "must_stay_feasible": [False],
    }
    for name in chance.sample(sorted(drawn), chance.choice([0, 1, 2, 4])):
        found[name] = chance.choice(drawn[name])
    if "must_stay_feasible" in found:
        found["driver"] = chance.choice(LEAVING)
    elif found["driver"] == "L-BFGS-B" and chance.random() < 0.2:
        del found["driver"]
        found.pop("start_rule", None)
        found["outputs"] = chance.choice(LIMITS)
    return found


class Objective:
    """A deterministic function of the point and of the number of the suggestion.

    Of a fit, the residuals are those of the bowl, weighted, with what the objective adds to it.
    """

    def __init__(self, chance: random.Random, free: int, given: dict[str, Any]) -> None:
        self.kind = chance.choice(
            ["bowl", "ripples", "steps", "constant", "cliff", "huge", "noise"]
        )
        self.size = chance.choice([1.0, 1.0, 1e-12, 1e12, 1e-300, 1e300])
        self.middle = np.array([chance.choice(MIDDLES) for _ in range(free)])
        self.trouble = chance.choice([0.0, 0.0, 0.1, 0.3, 1.0])
        self.jac = given["jac"]
        self.fits = given.get("driver") == FIT
        self.outputs = "outputs" in given
        self.rows = chance.choice([1, free, free + 2])
        self.seed = chance.randrange(2**32)

    @quiet
    def values(self, id: int, x: Any) -> tuple[float, Any]:
        """Return value and gradient, finite or not."""
        d = np.clip(x - self.middle, -1e150, 1e150)
        f, g = float(d @ d), 2.0 * d
        if self.kind == "ripples":
            f, g = f + float(np.cos(5.0 * d).sum()), g - 5.0 * np.sin(5.0 * d)
        elif self.kind == "steps":
            f, g = float(np.floor(d).sum()), np.zeros_like(d)
        elif self.kind == "constant":
            f, g = 1.0, np.zeros_like(d)
        elif self.kind == "cliff" and d[0] > 0.0:
            f = math.nan if d[0] > 1.0 else math.inf
        elif self.kind == "huge":
            f, g = random.Random(f"{self.seed} {id}").choice(HUGE), g * 1e150
        elif self.kind == "noise":
            f += random.Random(f"{self.seed} {id}").random()
        return self.size * f, self.size * g

    def tell(self, study: Study, suggestion: Any, f: Any, g: Any) -> None:
        """Tell a value and gradient, or residuals that have this sum and their Jacobian."""
        id, x = suggestion.id, suggestion.x
        if self.outputs:
            study.tell(id, f, g, outputs=self.put(id, x, slopes=g is not None))
        elif not self.fits:
            study.tell(id, f, g)
        elif isinstance(f, float):
            with np.errstate(all="ignore"):
                residuals = np.full(self.rows, np.sqrt(np.abs(f)))
                rows = None if g is None else np.outer(np.arange(self.rows) + 1.0, np.asarray(g))
            study.tell(id, residuals=residuals, jacobian=rows)
        else:
            study.tell(id, residuals=f, jacobian=g)

    @quiet
    def put(self, id: int, x: Any, *, slopes: bool) -> dict[str, Any]:
        """Return what is put out beside the value: bounded and smooth, now and then of no use."""
        chance = random.Random(f"{self.seed} {id} put")
        d = np.clip(x - self.middle, -300.0, 300.0)
        stress, lift = float(np.tanh(d).sum()), 2.0 + 0.1 * float(np.sin(d).sum())
        if chance.random() < 0.2 * self.trouble:
            stress = chance.choice(HUGE + [math.nan])
        if not slopes:
            return {"stress": stress, "lift": lift}
        return {"stress": (stress, 1.0 / np.cosh(d) ** 2), "lift": (lift, 0.1 * np.cos(d))}

    def answer(self, study: Study, suggestion: Any) -> str:
        """Tell the result of a suggestion, or what is none; return what it was."""
        chance = random.Random(f"{self.seed} {suggestion.id} answer")
        f, g = self.values(suggestion.id, suggestion.x)
        if chance.random() < self.trouble:
            kind = chance.choice(["failure", "clear", "wrong", "gradient", "partly"])
            if kind == "failure":
                study.tell_failure(suggestion.id, "failed", worker_died=chance.random() < 0.3)
                return kind
            if kind == "clear":
                study.clear_suggestion(suggestion.id, "cleared")
                return kind
            told = f if kind in ("gradient", "partly") else chance.choice(WRONG)
            slope = [float(chance.choice(HUGE))] * len(g) if kind == "gradient" else None
            try:
                self.tell(study, suggestion, told, slope)
            except OptDriverError:
                self.tell(study, suggestion, f, g if self.jac else None)
            return kind
        self.tell(study, suggestion, f, g if self.jac else None)
        return "told"

    def answer_round(self, study: Study, ids: Any, points: Any) -> None:
        """Tell the results of a round at once, or that all of it failed."""
        told = [self.values(id, x) for id, x in zip(ids.tolist(), points, strict=True)]
        if random.Random(f"{self.seed} {ids[0]} round").random() < 0.5 * self.trouble:
            study.fail_arrays(ids, "failed")
        else:
            slopes = np.array([g for _, g in told]) if self.jac else None
            study.tell_arrays(ids, np.array([f for f, _ in told]), slopes)


# -- one study --------------------------------------------------------------------------------


@dataclass(slots=True)
class Case:
    """One study: what it is made of, and the choices of whoever drives it."""

    seed: str
    box: dict[str, Any]
    rows: list[str]
    options: dict[str, Any]
    objective: Objective
    reopen: int
    renew: int
    extend: int
    rounds: bool

    @classmethod
    def drawn(cls, seed: str) -> Case:
        """Draw one."""
        chance = random.Random(seed)
        box = space(chance)
        rows = constraints(box, chance)
        free = [
            inside(box, chance)[name]
            for name, entry in box.items()
            if isinstance(entry, tuple | dict)
        ]
        given = options(free, chance)
        rounds = given.get("driver") == "L-BFGS-B" and chance.random() < 0.1
        return cls(
            seed=seed,
            box=box,
            rows=rows,
            options=given,
            objective=Objective(chance, len(free), given),
            reopen=chance.randrange(EVALUATIONS),
            renew=chance.randrange(8 * EVALUATIONS),
            extend=chance.randrange(4 * EVALUATIONS),
            rounds=rounds,
        )

    def create(self, path: Path | None) -> Study:
        """Create the study."""
        # a clock that stands still: leases and times do not depend on the machine
        return create_study(
            self.box, constraints=self.rows, storage=path, clock=lambda: 0.0, **self.options
        )

    def drive(self, study: Study, path: Path | None) -> tuple[Study, list[tuple[int, bytes]]]:
        """Ask and tell in an order that the ids fix; open the file once more on the way."""
        chance = random.Random(f"{self.seed} order")
        asked: list[tuple[int, bytes]] = []
        for k in range(EVALUATIONS):
            if path is not None and k == self.reopen:
                study.close()
                study = load_study(path, clock=lambda: 0.0)
            if k == self.renew:
                study.reevaluate()
            if k == self.extend:
                study.set_parameters(max_iter=100, num_parallel=4)
            if self.rounds:
                ids, points = study.ask_arrays(4)
                for id, x in zip(ids.tolist(), points, strict=True):
                    check_place(study, x)
                    asked.append((id, x.tobytes()))
                if len(ids):
                    self.objective.answer_round(study, ids, points)
                elif study.is_done():
                    break
                continue
            while (suggestion := study.ask()) is not None:
                check_place(study, suggestion.x)
                check_dependent(suggestion.params)
                asked.append((suggestion.id, suggestion.x.tobytes()))
            opened = study.open_suggestions
            if not opened:
                if study.stop_kind == "failures":
                    study.resume()
                if study.is_done():
                    break
                continue
            chosen = chance.choice(opened)
            self.objective.answer(study, chosen)
        return study, asked


def check_dependent(params: dict[str, Any]) -> None:
    """Raise unless the dependent parameters, if there are some, follow from the others."""
    if "double" in params:
        double = 2.0 * params["x1"] - params["radius"]
        if (params["double"], params["root"]) != (double, math.sqrt(abs(double))):
            raise FaultError(f"handed out {params}")


def check_place(study: Study, x: Any) -> None:
    """Raise unless a point is in the bounds and satisfies the constraints."""
    known = study.space
    if not (np.isfinite(x).all() and (known.lower <= x).all() and (x <= known.upper).all()):
        raise FaultError(f"asked {x} outside of {known.lower} to {known.upper}")
    compiled = study.spec.compiled
    if compiled is None or not study.parameters["must_stay_feasible"]:
        return
    with np.errstate(all="ignore"):
        rows = compiled.values(x)[: compiled.n_inequalities]
        inner, y = study.spec.inner_constraints().rescaled(known.scale), known.to_driver(x)
        inside = (rows <= 0.0).all() and inner.is_feasible(y, 1e-9)
        if not (inside or met_to_rounding(inner, y)):
            raise FaultError(f"asked {x}, which violates a constraint: {compiled.values(x)}")


def recorded(study: Study) -> list[Any]:
    """Return what must survive: all evaluations, the best one, what is open, why it stopped."""
    best = study.best
    return [
        repr(study.get_observation_data()),
        None if best is None else (best.value, sorted(best.params.items())),
        [(one.id, one.x.tobytes()) for one in study.open_suggestions],
        study.num_evaluations,
        study.stop_kind,
    ]


def check(case: Case, path: Path) -> str:
    """Do all with one study; return what came of it."""
    try:
        study = case.create(path)
    except OptDriverError as error:
        if path.exists():
            raise FaultError(f"refused ({error!r:.80}), and left a file") from error
        return f"refused: {type(error).__name__}"
    try:
        study, asked = case.drive(study, path)
    except ConstraintError:
        if study.num_evaluations:
            raise
        study.close()  # nothing is feasible, as the first ask has found out: the file can be read
        with load_study(path, read_only=True) as again:
            again.verify()
        return "asked: ConstraintError"
    look(study)
    before = recorded(study)
    study.verify()
    study.close()
    with load_study(path, clock=lambda: 0.0) as again:
        if recorded(again) != before:
            raise FaultError(f"opened with {recorded(again)}, closed with {before}")
        again.verify()
        look(again)
        one = again.ask()
        if one is not None:
            case.objective.answer(again, one)
    _, alone = case.drive(case.create(None), None)
    if alone != asked:
        first = next(
            (k for k, pair in enumerate(zip(asked, alone, strict=False)) if pair[0] != pair[1]),
            min(len(asked), len(alone)),
        )
        raise FaultError(
            f"{len(asked)} points, {len(alone)} of the twin; they differ at {first}, "
            f"and the file was opened at {case.reopen}"
        )
    return f"driven: {study.stop_kind}"


def look(study: Study) -> None:
    """Look at everything that a study shows."""
    _ = study.info(), study.runs, study.minima, study.best, study.history, repr(study)
    _ = study.get_state(), study.describe(), study.how_to_go_on(), study.is_done()


# -- the run ----------------------------------------------------------------------------------


def fuzz(studies: int, seed: int = 1, first: int = 0, seconds: float = math.inf) -> Report:
    """Check studies, until `seconds` of processor time are spent."""
    report, begun = Report(), time.process_time()
    with tempfile.TemporaryDirectory() as directory:
        for k in range(first, first + studies):
            if time.process_time() - begun > seconds:
                break
            faulthandler.dump_traceback_later(900.0, exit=True)
            path = Path(directory) / f"{k}.db"
            _one(f"{seed} {k}", path, report)
            for left in Path(directory).iterdir():
                left.unlink()
    faulthandler.cancel_dump_traceback_later()
    return report


def _one(seed: str, path: Path, report: Report) -> None:
    chance = random.Random(f"{seed} errors")
    names = ("divide", "over", "under", "invalid")
    before = time.process_time()
    try:
        with (
            np.errstate(**{name: chance.choice(STATES) for name in names}),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            case = Case.drawn(seed)
            outcome = check(case, path)
    except Exception as error:  # noqa: BLE001 (each is a fault)
        outcome = "fault"
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{place.filename.rsplit('/', 1)[-1]}:{place.lineno}"
        report.faults.append(f"{seed}: {type(error).__name__}: {error!s:.300} at {where}")
    taken = time.process_time() - before
    report.slowest = max(report.slowest, taken)
    if taken > SECONDS:
        report.faults.append(f"{seed}: {taken:.1f} s")
    report.seen[outcome] += 1


TEXT = """Studies of drawn parts (boxes from 1e-300 to 1e150 wide, formulas as constraints, drivers,
options, objectives that are smooth, rough, huge, tiny, infinite, or return what none should,
failures, limits on outputs, and a drawn state of NumPy's errors) are created in a file, driven,
closed and opened, verified, and compared with a twin in memory that was never closed."""


def run(arguments: Sequence[str] = ()) -> Section:
    """Fuzz, and return the section of the results."""
    parser = argparse.ArgumentParser(prog="fuzzed-studies", description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first study")
    parser.add_argument("--seconds", type=float, default=math.inf, help="of processor time at most")
    given = parser.parse_args(list(arguments))
    report = fuzz(given.studies, given.seed, given.first, given.seconds)
    for fault in report.faults:
        print(fault, file=sys.stderr)
    return Section(
        name="fuzzed-studies",
        title="Studies of drawn parts",
        text=TEXT,
        targets=[
            Target(claim="studies", value=report.seen.total(), limit=1, at_least=True, form="d"),
            Target(claim="faults", value=len(report.faults), limit=0, form="d"),
            Target(
                claim="slowest study, seconds of processor", value=report.slowest, limit=SECONDS
            ),
        ],
        tables=[
            Table(
                header=("outcome", "studies"),
                rows=[(what, str(number)) for what, number in sorted(report.seen.items())],
            )
        ],
        packages=("sympy",),
    )
