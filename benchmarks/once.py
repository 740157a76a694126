"""Claim: no point of a study is evaluated twice, with many places either.

``python -m benchmarks once`` runs studies with 8 and with 64 places, with the memory of before
(`memory_rule=1`: values only) and with that of now (2: points that are open, or failed for good,
too), and counts the evaluations, and those among them at a point that another suggestion was at, to
the bit.  Durations are simulated: 0.8 to 1.2 units of time each.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

import optdriver
from benchmarks.crashes import NAMES, evaluate, region
from benchmarks.problems.multimodal import ackley, rastrigin
from benchmarks.report import Section, Table, Target

SEEDS = 3
PLACES = (8, 64)
TEXT = """Studies with `jac=True` (*differences*: without) until 20 minimizers have converged or
600 evaluations are used up, sums over three seeds. *Rule 1*: what optdriver 0.12.0 does; *rule 2*:
that of now. *Twice*: evaluations at a point at which another suggestion of the same study was, to
the bit. *Rim*: the problem of `crashes`, of whose box half fails. *Time*: simulated, 0.8 to 1.2 an
evaluation."""

Told = tuple[float, NDArray[np.float64]] | None


def crashing(shape: str, seed: int) -> Callable[[NDArray[np.float64]], Told]:
    """Six parameters, of whose box half fails."""
    crashes = region(shape, 0.5, seed)
    return lambda x: None if crashes(x) else evaluate(x)


def box(width: float, n: int) -> dict[str, tuple[float, float]]:
    """Return bounds."""
    return {f"x{i}": (-width, width) for i in range(n)}


def problems(seed: int) -> dict[str, tuple[dict[str, Any], Any]]:
    """Return bounds and objective of each problem."""
    six = dict.fromkeys(NAMES, (-2.0, 2.0))
    return {
        "Rastrigin 2": (box(1.5, 2), rastrigin),
        "Ackley 3": (box(5.0, 3), ackley),
        "rim": (six, crashing("rim", seed)),
    }


SETTINGS: dict[str, dict[str, Any]] = {
    "sobol": {"jac": True},
    "mlsl": {"jac": True, "start_rule": "mlsl"},
    "auto": {"jac": True, "start_rule": "auto"},
    "differences": {},
    "Nelder-Mead": {"driver": "Nelder-Mead"},
}

CASES = (
    *(("Rastrigin 2", setting) for setting in SETTINGS),
    ("Ackley 3", "sobol"),
    ("Ackley 3", "auto"),
    ("rim", "sobol"),
    ("rim", "auto"),
    ("rim", "differences"),
)
HEADER = (
    "", "starts or method", "places", "evaluations, rule 1", "rule 2", "twice, rule 1", "rule 2",
    "converged, rule 1", "rule 2", "time, rule 1", "rule 2",
)  # fmt: skip


def played(study: Any, objective: Callable[[NDArray[np.float64]], Told], seed: int) -> float:
    """Run a study in simulated time; return how long that took."""
    random = np.random.default_rng(seed)
    ends: list[tuple[float, int, NDArray[np.float64]]] = []
    now = 0.0
    while True:
        while (suggestion := study.ask()) is not None:
            duration = random.uniform(0.8, 1.2)
            heapq.heappush(ends, (now + duration, suggestion.id, suggestion.x))
        if not ends:
            return now
        now, id, x = heapq.heappop(ends)
        told = objective(x)
        if told is None:
            study.tell_failure(id, "it broke")
        else:
            study.tell(id, told[0], told[1] if study.parameters["jac"] else None)


def counted(problem: str, setting: str, places: int, rule: int, seed: int) -> NDArray[np.float64]:
    """Return evaluations, those at a point that was there, minimizers that converged, and time."""
    bounds, objective = problems(seed)[problem]
    study = optdriver.create_study(
        bounds,
        num_parallel=places,
        num_initial=8,
        max_num_minimizers=20,
        max_iter=600,
        seed=seed,
        memory_rule=rule,
        stop_after_failures=600,
        **SETTINGS[setting],
    )
    time = played(study, objective, seed)
    points = [x.tobytes() for x in study.history.x]
    converged = sum(row.state == "converged" for row in study.runs)
    return np.array([len(points), len(points) - len(set(points)), converged, time])


def run(options: Sequence[str]) -> Section:
    """Count; one number is how many seeds."""
    seeds = int(options[0]) if options else SEEDS
    rows, twice = [], 0.0
    for problem, setting in CASES:
        for places in PLACES:
            both = [
                sum(counted(problem, setting, places, rule, seed) for seed in range(seeds))
                for rule in (1, 2)
            ]
            twice += both[1][1]
            numbers = [f"{each:.0f}" for pair in zip(*both, strict=True) for each in pair]
            rows.append((problem, setting, str(places), *numbers))
    return Section(
        name="once",
        title="A point is evaluated once",
        text=TEXT,
        targets=[Target(claim="evaluated twice, rule 2", value=twice, limit=0.0)],
        tables=[Table(header=HEADER, rows=rows)],
    )
