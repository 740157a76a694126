"""Claim: no success is claimed on the floor of a narrow valley that falls on.

``python -m benchmarks valleys`` draws valleys (`benchmarks/problems/valleys.py`), and runs them
through the doors whose ends are doubted, through the rule of 0.5.0 and through SciPy.  ``--runs``
says how many, from ``--seed`` on.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial

import numpy as np

from benchmarks.false_success import End, Way, alone, drive, ended, many, ours, scipys, study
from benchmarks.peers import Vector
from benchmarks.problems.valleys import Valley
from benchmarks.report import Section, Table, Target
from benchmarks.scaled import GAP, PART, Task
from optdriver import LBFGSB

RUNS = 300
TEXT = """Random valleys with curved floors that fall gently between steep walls, from starts up the
walls, in random units; 1,500 evaluations at most. *False* are successes more than 1 per cent of the
value, and 1e-4 of what there was to gain from the start, above the minimum, which is known; *right*
are those that are not. *Neither* claim none: they crawl on, or say that f falls on."""


class Known(Task):
    """A task whose minimum is known, and no other."""

    def judged(self, x: Vector) -> str:
        """Return ``'right'`` or ``'false'``."""
        f = float(self.fun(x / self.units)[0])
        first = float(self.fun(self.start)[0])
        return (
            "right" if f - self.least <= max(PART * abs(f), GAP * (first - self.least)) else "false"
        )


def task(seed: int) -> Known:
    """Return a valley as a task."""
    made = Valley(seed)
    return Known(
        name=f"valley {seed}",
        fun=made.fun,
        start=made.start,
        lower=made.lower,
        upper=made.upper,
        units=made.units,
        unit=made.unit,
        least=made.least,
    )


def before(given: Task) -> End:
    """Run `LBFGSB`, cautious as in 0.5.0."""
    made = LBFGSB(given.x0, given.box, cautious=True)
    made.state.cautious = 4
    return drive(made, given)


WAYS: dict[str, Way] = {
    "SciPy L-BFGS-B": scipys,
    "`LBFGSB`, cautious, 0.5.0": before,
    "`LBFGSB`, cautious": partial(alone, cautious=True),
    "`MultiStart`": many,
    "a study": study,
    "`minimize`": ours,
}


def counted(way: Way, seeds: Sequence[int]) -> tuple[list[str], int]:
    """Return how runs ended, and the evaluations they took."""
    ends, evaluations = [], 0
    for seed in seeds:
        given = task(seed)
        calls = Counted(given)
        ends.append(ended(way, calls))
        evaluations += calls.calls
    return ends, evaluations


class Counted(Known):
    """A task that counts its evaluations."""

    calls: int

    def __init__(self, given: Known) -> None:
        super().__init__(**{name: getattr(given, name) for name in given.__dataclass_fields__})
        object.__setattr__(self, "calls", 0)

    def __call__(self, x: Vector) -> tuple[float, Vector]:
        """Return value and gradient in the units of the task."""
        object.__setattr__(self, "calls", self.calls + 1)
        return super().__call__(x)


def run(arguments: Sequence[str] = ()) -> Section:
    """Run all and return the section of the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks valleys", description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--seed", type=int, default=0, help="the first one")
    parser.add_argument("--only", default="", help="doors with this in their names")
    chosen = parser.parse_args(arguments)
    seeds = range(chosen.seed, chosen.seed + chosen.runs)
    rows, targets = [], []
    with np.errstate(all="ignore"):
        for name, way in WAYS.items():
            if chosen.only not in name:
                continue
            ends, evaluations = counted(way, seeds)
            counts = [ends.count(kind) for kind in ("right", "false", "none")]
            rows.append((name, *map(str, counts), str(evaluations)))
            if not name.startswith("SciPy") and "0.5.0" not in name:
                claim = f"{name}: false successes in {len(ends)} valleys"
                targets.append(Target(claim=claim, value=counts[1], limit=0))
    head = ("interface", "right", "false", "neither", "evaluations")
    return Section(
        name="valleys",
        title="Valleys whose floors fall on",
        text=TEXT,
        targets=targets,
        tables=[Table(header=head, rows=rows)],
    )
