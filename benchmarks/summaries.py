"""Claim: what a study says about itself costs next to nothing, however long it has run.

``python -m benchmarks summaries`` lets a study of ten parameters run to so many evaluations, and
then looks at ``info()``, ``minima`` and ``runs`` after each of some further rounds.  The minimizers
find thousands of minima (Rastrigin's function), or few (the chained Rosenbrock function).
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Sequence
from time import process_time
from typing import Any

import numpy as np

from benchmarks.peers import Vector
from benchmarks.report import Section, Table, Target
from benchmarks.rounds import Rosenbrock
from benchmarks.timing import spread

EVALUATIONS = 200_000
PLACES = 64
LOOKS = 9
BOX = {f"x{i}": (-5.0, 5.0) for i in range(1, 11)}
SEEN: dict[str, Callable[[Any], Any]] = {
    "info()": lambda study: study.info(),
    "minima": lambda study: study.minima,
    "runs": lambda study: study.runs,
}


def rastrigin(x: Vector) -> tuple[Vector, Vector]:
    """Return values and gradients at many points."""
    angle = 2.0 * np.pi * x
    return (x**2 - 10.0 * np.cos(angle)).sum(axis=1), 2.0 * x + 20.0 * np.pi * np.sin(angle)


OBJECTIVES = {"many minima": rastrigin, "few minima": Rosenbrock()}


def advance(study: Any, objective: Any, evaluations: int) -> None:
    """Evaluate in rounds until there are so many evaluations."""
    while study.num_evaluations < evaluations:
        ids, x = study.ask_arrays()
        study.tell_arrays(ids, *objective(x))


def looked_at(objective: Any, evaluations: int) -> tuple[Any, dict[str, list[float]]]:
    """Return a study, and the milliseconds of each look at it, a round between two."""
    from optdriver import create_study

    study = create_study(
        BOX, jac=True, num_initial=PLACES, num_parallel=PLACES, max_num_minimizers=10**6
    )
    advance(study, objective, evaluations)
    found: dict[str, list[float]] = {name: [] for name in SEEN}
    for _ in range(LOOKS):
        advance(study, objective, study.num_evaluations + 1)
        for name, look in SEEN.items():
            before = process_time()
            look(study)
            found[name].append(1e3 * (process_time() - before))
    return study, found


def run(arguments: Sequence[str] = ()) -> Section:
    """Measure and return the section of the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks summaries", description=__doc__)
    parser.add_argument("--evaluations", type=int, default=EVALUATIONS)
    given = parser.parse_args(arguments)
    rows, slowest = [], 0.0
    for name, objective in OBJECTIVES.items():
        study, found = looked_at(objective, given.evaluations)
        slowest = max(slowest, *map(statistics.median, found.values()))
        times = (spread(found[what]) for what in SEEN)
        rows.append((name, f"{len(study.runs):,}", f"{len(study.minima):,}", *times))
    return Section(
        name="summaries",
        title="What a study says about itself",
        text=f"""Milliseconds of processor time, medians (quartiles) of {LOOKS} looks, with a round
of {PLACES} evaluations between two, at a study in memory of {given.evaluations:,} evaluations.""",
        targets=[Target(claim="slowest, milliseconds", value=slowest, limit=5.0)],
        tables=[Table(header=("ten parameters", "minimizers", "minima", *SEEN), rows=rows)],
    )
