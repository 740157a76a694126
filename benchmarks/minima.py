"""Every minimum once: how many evaluations until all are catalogued, and how often one is listed.

``python -m benchmarks minima [-- --seeds 20 --only GKLS --rules auto,sobol --keep FILE
--seconds 400]``.  One table
of all rules of starts and of peers: evaluations, with a gradient each, until every minimum of a
function is in the catalogue, and until the lowest value is met; some functions under constraints,
and classes of functions of Gaviano, Kvasov, Lera and Sergeyev, a function of them for each seed.
Those from number 100 on are others than those by which the rule was chosen (0 to 31).  Flat minima:
how many are listed after 40 converged runs, with ends compared (as now) and without (as by 0.2.0),
and what that costs.  The known minima are those of tight searches of SciPy from a grid, or of the
generator.

With ``--keep`` what was done is in a file, and not done again by the same version and rule;
``--seconds`` ends a run that is to be continued.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.global_peers import installed, until_lowest
from benchmarks.kept import Kept
from benchmarks.problems.multimodal import (
    CONSTRAINED,
    DISTINCT,
    LOWEST,
    Problem,
    generated,
    known,
)
from benchmarks.report import Section, Table, Target
from benchmarks.searches import PRESENT, RULES, cell, middle, search
from optdriver import MultiStart

Vector = NDArray[np.float64]

CAP = 4000
"""Evaluations in which all minima of a function by name are to be found."""

FIRST = 100
"""The first function of a class."""

RUNS = 40


def quartic(x: Vector) -> tuple[float, Vector]:
    """Return the sum of fourth powers."""
    return float(np.sum(x**4)), 4 * x**3


def powell(x: Vector) -> tuple[float, Vector]:
    """Powell's singular function (1962)."""
    a, b, c, d = x
    f = (a + 10 * b) ** 2 + 5 * (c - d) ** 2 + (b - 2 * c) ** 4 + 10 * (a - d) ** 4
    p, q, r, s = 2 * (a + 10 * b), 10 * (c - d), 4 * (b - 2 * c) ** 3, 40 * (a - d) ** 3
    return float(f), np.array([p + s, 10 * p + r, q - 2 * r, -q - s])


def valley(x: Vector) -> tuple[float, Vector]:
    """Return a quadratic of condition 1e8."""
    return float(0.5e-8 * x[0] ** 2 + 0.5 * x[1] ** 2), np.array([1e-8 * x[0], x[1]])


def line(x: Vector) -> tuple[float, Vector]:
    """Return a function whose minima are a line."""
    t = x[0] - x[1]
    return float(t * t), np.array([2 * t, -2 * t])


def ring(x: Vector) -> tuple[float, Vector]:
    """Return a function whose minima are a circle."""
    t = float(x @ x) - 1.0
    return t * t, 4.0 * t * x


FLAT = [
    Problem("sum of fourth powers", quartic, [(-1.0, 1.3)] * 2, 1),
    Problem("Powell singular", powell, [(-4.0, 5.0)] * 4, 1),
    Problem("valley of condition 1e8", valley, [(-10.0, 13.0)] * 2, 1),
    Problem("line of minima", line, [(-1.0, 1.3)] * 2, 1),
    Problem("circle of minima", ring, [(-2.0, 2.1)] * 2, 1),
]


def listed(problem: Problem, seed: int, **options: Any) -> tuple[int, int]:
    """Return how many minima are listed after some runs, and the evaluations."""
    starts = MultiStart(problem.bounds, max_num_minimizers=RUNS, seed=seed, **options)
    while not starts.done:
        (point,) = starts.ask(1)
        starts.tell(point.id, *problem.function(point.x))
    return len(starts.minima), starts.nfev


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What a row is about: a problem for each seed, and the most evaluations for one of them."""

    name: str
    make: Callable[[int], Problem]
    cap: int = CAP
    every: bool = True


def _class(n: int, cap: int, *, type: str = "D", minima: int = 10, level: str = "simple") -> Kind:
    hard = ", hard" * (level == "hard")

    def make(seed: int) -> Problem:
        return generated(n, FIRST + seed, type=type, minima=minima, level=level)

    return Kind(name=f"GKLS {type} n={n}, {minima} minima{hard}", make=make, cap=cap)


def _named(problem: Problem, *, every: bool = True) -> Kind:
    @cache
    def whole() -> Problem:
        return replace(problem, places=known(problem)) if every else problem

    def make(seed: int) -> Problem:
        del seed
        return whole()

    return Kind(name=problem.name, make=make, every=every)


CONSTRAINED_KINDS = [_named(problem) for problem in CONSTRAINED]
"""Which the peers cannot be given."""

KINDS = [
    _class(2, 4000),
    _class(3, 5000),
    _class(2, 4000, type="ND"),
    _class(3, 5000, type="ND"),
    _class(2, 4000, level="hard"),
    _class(3, 5000, level="hard"),
    _class(2, 8000, minima=30),
    _class(5, 8000),
    _class(10, 8000),
    *map(_named, DISTINCT),
    *CONSTRAINED_KINDS,
    *(_named(problem, every=False) for problem in LOWEST),
]

Counts = dict[tuple[str, str], list[int | None]]
"""Evaluations for each function or class, and each rule or peer; None beyond the cap."""


def by_rule(kind: Kind, rule: str, seed: int) -> list[int | None]:
    """Return evaluations until all minima, and until the lowest value."""
    problem = kind.make(seed)
    places = known(problem) if kind.every else None
    found = search(problem, places, _least(problem), kind.cap, seed, **RULES[rule])
    return [found.all, found.lowest]


def by_peer(kind: Kind, peer: str, seed: int) -> list[int | None]:
    """Return evaluations of a peer until the lowest value."""
    problem = kind.make(seed)
    return [until_lowest(peer, problem, _least(problem), kind.cap, seed)]


def _least(problem: Problem) -> float:
    if problem.least is not None:
        return problem.least
    return min(problem.function(x)[0] for x in known(problem))


def columns() -> list[str]:
    """Return the names of all rules, and of the peers that are installed."""
    return [*RULES, *installed()]


def counted(
    kinds: Sequence[Kind], seeds: int, kept: Kept, names: Sequence[str] | None = None
) -> tuple[Counts, Counts]:
    """Return evaluations until all minima and until the lowest value, of what there is time for.

    Of all rules and peers, or those with such `names`.
    """
    names = columns() if names is None else names
    every: Counts = {}
    lowest: Counts = {}
    for seed in range(seeds):
        for kind in kinds:
            for rule in [each for each in RULES if each in names]:
                made = kept.get(f"{kind.name}|{rule}|{seed}", partial(by_rule, kind, rule, seed))
                if made is not None:
                    every.setdefault((kind.name, rule), []).append(made[0])
                    lowest.setdefault((kind.name, rule), []).append(made[1])
            peers = [] if kind in CONSTRAINED_KINDS else installed()
            for peer in [each for each in peers if each in names]:
                made = kept.get(f"{kind.name}|{peer}|{seed}", partial(by_peer, kind, peer, seed))
                if made is not None:
                    lowest.setdefault((kind.name, peer), []).append(made[0])
    return every, lowest


def table(
    kinds: Sequence[Kind], every: Counts, lowest: Counts, names: Sequence[str] | None = None
) -> Table:
    """Return the one table: two rows a function or class, a column for each rule and peer."""
    names = columns() if names is None else names
    rows = []
    for kind in kinds:
        for label, counts in (("all", every), ("lowest", lowest)):
            cells = [counts.get((kind.name, name), []) for name in names]
            if any(cells) and (kind.every or counts is lowest):
                made = [cell(each, kind.cap) if each else "" for each in cells]
                number = max(map(len, cells))
                rows.append((kind.name, label, f"{number}, {kind.cap}", *made))
    return Table(header=("function or class", "until", "seeds, at most", *names), rows=rows)


def targets(kinds: Sequence[Kind], every: Counts, lowest: Counts) -> list[Target]:
    """Return what is claimed of the rule auto for classes and functions that were looked at."""
    made: list[Target] = []
    for kind in kinds:
        auto, sobol = every.get((kind.name, "auto")), every.get((kind.name, "sobol"))
        if kind.every and auto and sobol:
            made += [
                Target(claim=f"{kind.name}, all minima: auto beside sobol", limit=0.35,
                       value=middle(auto, kind.cap) / middle(sobol, kind.cap)),
                Target(claim=f"{kind.name}, of which some are missed", value=auto.count(None),
                       limit=0, form="d"),
            ]  # fmt: skip
        others = [
            middle(counts, kind.cap)
            for (name, rule), counts in lowest.items()
            if name == kind.name and rule != "auto"
        ]
        if others and (kind.name, "auto") in lowest:
            best = middle(lowest[kind.name, "auto"], kind.cap) / min(others)
            made.append(
                Target(
                    claim=f"{kind.name}, the lowest: auto beside the best", value=best, limit=0.8
                )
            )
    return made


def flat(seeds: int, only: str, kept: Kept) -> tuple[list[tuple[str, ...]], int]:
    """Return rows of flat functions, and the most minima that are listed for one of them now."""
    rows: list[tuple[str, ...]] = []
    worst = 0
    for problem in FLAT:
        if only not in problem.name:
            continue
        both = []
        for rule in (2, 10):
            counts = [
                kept.get(f"{problem.name}|{rule}|{seed}",
                         partial(listed, problem, seed, convergence_rule=rule))
                for seed in range(seeds)
            ]  # fmt: skip
            both.append([each for each in counts if each is not None])
        if all(both):
            worst = max(worst, *(count for count, _ in both[1]))
            number = [f"{median(k for k, _ in each):.0f}" for each in both]
            spent = [f"{median(n for _, n in each):.0f}" for each in both]
            rows.append((problem.name, *number, *spent))
    return rows, worst


def run(arguments: Sequence[str] = ()) -> Section:
    """Measure, and return the section of the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks minima", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--only", default="", help="functions and classes whose names contain it")
    parser.add_argument("--rules", default="", help="rules and peers by name; all without it")
    parser.add_argument("--part", choices=("distinct", "flat"))
    parser.add_argument("--keep", type=Path, help="file of what was done, to go on with")
    parser.add_argument("--seconds", type=float, default=float("inf"))
    given = parser.parse_args(arguments)
    kept = Kept(given.keep, given.seconds, of=PRESENT)
    kinds = [kind for kind in KINDS if given.only in kind.name and given.part != "flat"]
    names = given.rules.split(",") if given.rules else columns()
    every, lowest = counted(kinds, given.seeds, kept, names)
    rows, worst = ([], 0) if given.part == "distinct" else flat(given.seeds, given.only, kept)
    tables = [
        table(kinds, every, lowest, names),
        Table(
            header=("flat function", "listed before", "now", "evaluations before", "now"),
            rows=rows,
        ),
    ]
    left = f" {kept.missing} searches are not done yet." * bool(kept.missing)
    return Section(
        name="minima",
        title="Every minimum, once",
        text=(
            "Evaluations, each with a gradient if the method wants one, until all minima are "
            "catalogued, and until the lowest value is met: median [quartiles], in brackets how "
            "many did not get there within the evaluations that are allowed (which count for "
            "those). Of a class each seed is another function. Then what the catalogue lists for "
            f"one flat minimum after {RUNS} converged runs, without and with the comparison of "
            f"ends.{left}"
        ),
        targets=[
            *targets(kinds, every, lowest),
            *[Target(claim="minima listed for a flat one", value=worst, limit=1, form="d")]
            * bool(rows),
        ],
        tables=[each for each in tables if each.rows],
        packages=("nlopt", "cma"),
    )
