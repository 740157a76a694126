"""Claim: a study of a vectorized objective costs little more than the minimizers in it.

``python -m benchmarks rounds`` has 256 minimizers of ten parameters evaluated in rounds, by
``Study.ask_arrays`` and ``tell_arrays`` in memory and in a file, beside the bare batch of the same
minimizers on the host (`optdriver.batch.Batch`) and beside a study asked and told one by one. The
objective's own time is subtracted.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np

from benchmarks.peers import Vector
from benchmarks.report import Section, Table, Target
from benchmarks.timing import interleaved, ratio, spread

PARAMETERS = 10
LANES = 256
STARTS = 2048
EVALUATIONS = 60_000
SINGLE = 4_000
ROUNDS = 5
BOX = {f"x{i}": (-2.0, 2.0) for i in range(1, PARAMETERS + 1)}
TEXT = f"""Microseconds of processor time an evaluation, and evaluations a second of elapsed time,
without the objective's (the chained Rosenbrock function of {PARAMETERS} parameters), medians
(quartiles) over interleaved rounds of {EVALUATIONS:,} evaluations by {LANES} minimizers at a time,
which begin anew where one ends; one by one {SINGLE:,}. What is imported late is imported before."""


class Rosenbrock:
    """The chained function at many points, timing itself."""

    def __init__(self) -> None:
        self.used = self.elapsed = 0.0

    def __call__(self, x: Vector) -> tuple[Vector, Vector]:
        """Return values and gradients."""
        used, elapsed = process_time(), perf_counter()
        away = x[:, 1:] - x[:, :-1] ** 2
        f = (100.0 * away**2 + (1.0 - x[:, :-1]) ** 2).sum(axis=1)
        g = np.zeros_like(x)
        g[:, :-1] = -400.0 * x[:, :-1] * away - 2.0 * (1.0 - x[:, :-1])
        g[:, 1:] += 200.0 * away
        self.used += process_time() - used
        self.elapsed += perf_counter() - elapsed
        return f, g


def bare(objective: Rosenbrock, evaluations: int) -> Callable[[], int]:
    """Return the work of the batch alone."""
    from optdriver.batch import Batch

    batch = Batch(None, list(BOX.values()), lanes=LANES, total=STARTS)

    def work() -> int:
        while batch.nfev < evaluations:
            batch.tell(*objective(batch.ask()))
        return batch.nfev

    return work


def study_of(path: Path | None) -> Any:
    """Return the study, kept at `path` or in memory."""
    from optdriver import create_study

    return create_study(
        BOX,
        jac=True,
        num_initial=LANES,
        num_parallel=LANES,
        max_num_minimizers=STARTS,
        storage=path,
    )


def in_rounds(path: Path | None, objective: Rosenbrock, evaluations: int) -> Callable[[], int]:
    """Return the work of a study in rounds."""
    study = study_of(path)

    def work() -> int:
        told = 0
        while told < evaluations:
            ids, x = study.ask_arrays()
            study.tell_arrays(ids, *objective(x))
            told += len(ids)
        return told

    return work


def one_by_one(path: Path | None, objective: Rosenbrock, evaluations: int) -> Callable[[], int]:
    """Return the work of the same study, one evaluation after the other."""
    study = study_of(path)

    def work() -> int:
        for _ in range(evaluations):
            suggestion = study.ask()
            f, g = objective(suggestion.x[None])
            study.tell(suggestion.id, f[0], g[0])
        return evaluations

    return work


def measured(make: Callable[[Rosenbrock, int], Callable[[], int]], evaluations: int) -> list[float]:
    """Return microseconds of processor time an evaluation, and evaluations a second."""
    objective = Rosenbrock()
    work = make(objective, evaluations)
    used, elapsed = process_time(), perf_counter()
    done = work()
    used, elapsed = process_time() - used, perf_counter() - elapsed
    return [1e6 * (used - objective.used) / done, done / (elapsed - objective.elapsed)]


def works(directory: Path, evaluations: int, single: int) -> dict[str, Callable[[], list[float]]]:
    """Return the measurements by their names."""
    files = iter(range(10**6))

    def kept(make: Any, count: int) -> list[float]:
        path = directory / f"{next(files)}.db"
        return measured(lambda *given: make(path, *given), count)

    def in_memory(make: Any, count: int) -> list[float]:
        return measured(lambda *given: make(None, *given), count)

    return {
        "bare batch": lambda: measured(bare, evaluations),
        "study, rounds in memory": lambda: in_memory(in_rounds, evaluations),
        "study, rounds in a file": lambda: kept(in_rounds, evaluations),
        "study, one by one in memory": lambda: in_memory(one_by_one, single),
        "study, one by one in a file": lambda: kept(one_by_one, single),
    }


def run(arguments: Sequence[str] = ()) -> Section:
    """Measure and return the section of the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks rounds", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--evaluations", type=int, default=EVALUATIONS)
    given = parser.parse_args(arguments)
    single = min(SINGLE, given.evaluations)
    with tempfile.TemporaryDirectory() as name:
        for warm in works(Path(name), 2 * LANES, 2).values():
            warm()
    with tempfile.TemporaryDirectory() as name:
        found = interleaved(works(Path(name), given.evaluations, single), given.rounds)
    used = {name: [pair[0] for pair in pairs] for name, pairs in found.items()}
    rate = {name: [pair[1] for pair in pairs] for name, pairs in found.items()}
    alone, memory, file, *_ = used
    return Section(
        name="rounds",
        title="A study in rounds",
        text=TEXT,
        targets=[
            Target(
                claim="processor time in memory, over the bare batch",
                value=ratio(used[memory], used[alone]),
                limit=3.0,
            ),
            Target(
                claim="evaluations a second in a file",
                value=statistics.median(rate[file]),
                limit=50_000,
                at_least=True,
                form=",.0f",
            ),
        ],
        tables=[
            Table(
                header=("ten parameters, 256 minimizers", "microseconds", "evaluations a second"),
                rows=[(name, spread(used[name]), spread(rate[name], form=",.0f")) for name in used],
            )
        ],
    )
