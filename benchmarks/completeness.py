"""Claim: where all minima are said to be known with a probability, they are, as often as that.

``python -m benchmarks completeness [-- --instances 12 --keep FILE --seconds 400]``: functions of
several classes; a multi-start goes on until it says 0.95, or its evaluations are used up.  When it
says 0.5, 0.7, ... for the first time (which is when a user would stop it), it is noted whether all
minima are catalogued.  The estimate was chosen on some classes (of GKLS with five minima on these
functions themselves, else on others of the class), and is held against others.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from benchmarks.global_peers import is_listed
from benchmarks.kept import Kept, add_options
from benchmarks.problems.multimodal import (
    CONSTRAINED,
    DISTINCT,
    Problem,
    bowl,
    generated,
    in_disc,
    known,
    waves,
    wells,
)
from benchmarks.report import Section, Table, Target
from benchmarks.searches import PRESENT, RULES, whole
from optdriver import MultiStart

LEVELS = (0.5, 0.7, 0.8, 0.9, 0.95)
CLAIMED = LEVELS.index(0.9)

Crossing = tuple[int, bool] | None
"""Evaluations until a level was claimed, and whether all minima were known; None: never claimed."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A class of functions, and the most evaluations that are spent on one of them."""

    name: str
    make: Callable[[int], Problem]
    cap: int
    chosen: bool = False
    most: int = 1000


KINDS = [
    Kind(name="bowl", make=lambda k: bowl(1 + k % 4), cap=400, chosen=True, most=4),
    Kind(name="wells n=2", make=lambda k: wells(2, k), cap=1000, chosen=True),
    Kind(name="wells n=3", make=lambda k: wells(3, k), cap=1500, chosen=True),
    Kind(name="waves n=2", make=lambda k: waves(2, k), cap=2500, chosen=True),
    Kind(name="waves n=3", make=lambda k: waves(3, k), cap=3500, chosen=True),
    Kind(name="GKLS D n=2", make=lambda k: generated(2, k), cap=3500, chosen=True),
    Kind(name="GKLS D n=3", make=lambda k: generated(3, k), cap=3500, chosen=True),
    Kind(name="GKLS D n=2, 5 minima", make=lambda k: generated(2, k, minima=5), cap=2000,
         chosen=True),
    Kind(name="GKLS D2 n=3, 5 minima", make=lambda k: generated(3, k, type="D2", minima=5),
         cap=2000, chosen=True),
    Kind(name="named", make=lambda k: DISTINCT[k % 6], cap=1500, chosen=True),
    Kind(name="waves n=1", make=lambda k: waves(1, k), cap=600),
    Kind(name="waves n=4", make=lambda k: waves(4, k), cap=2000),
    Kind(name="wells n=3, 3 wells", make=lambda k: wells(3, k, 3), cap=1000),
    Kind(name="wells n=4", make=lambda k: wells(4, k, 6), cap=2000),
    Kind(name="GKLS ND n=2", make=lambda k: generated(2, k, type="ND"), cap=3500),
    Kind(name="GKLS D n=2, hard", make=lambda k: generated(2, k, level="hard"), cap=3500),
    Kind(name="constrained", make=lambda k: CONSTRAINED[k % 3], cap=500),
    Kind(name="GKLS D n=2 in a disc", make=in_disc, cap=1500),
]  # fmt: skip


def crossings(problem: Problem, cap: int, seed: int, **options: Any) -> list[Crossing]:
    """Drive a multi-start, and return what was so when each level was claimed first."""
    places = known(problem)
    width = np.array([high - low for low, high in problem.bounds])
    if problem.texts:
        options = {**options, "constraints": list(problem.texts)}
    starts = MultiStart(problem.bounds, seed=seed, **options)
    made: list[Crossing] = []
    while starts.nfev < cap and len(made) < len(LEVELS):
        (point,) = starts.ask(1)
        starts.tell(point.id, *problem.function(point.x))
        while len(made) < len(LEVELS) and starts.probability >= LEVELS[len(made)]:
            listed = np.array([minimum.x for minimum in starts.minima])
            made.append((starts.nfev, all(is_listed(x, listed, width) for x in places)))
    return made + [None] * (len(LEVELS) - len(made))


def row(name: str, rule: str, found: Sequence[Sequence[Crossing]]) -> tuple[str, ...]:
    """Return a row of the table: how often a claim was made, and true."""
    made = [[each[k] for each in found if each[k] is not None] for k in range(len(LEVELS))]
    cells = [f"{_true(level)} of {len(level)}" for level in made]
    spent = [each[0] for each in made[CLAIMED] if each is not None]
    return (name, rule, str(len(found)), *cells, f"{median(spent):.0f}" if spent else "")


def _true(claims: Sequence[Crossing]) -> int:
    return sum(claim is not None and claim[1] for claim in claims)


def share(found: Sequence[Sequence[Crossing]], level: int) -> float:
    """Return the part of the claims at a level that were true; 1 of none."""
    claims = [each[level] for each in found if each[level] is not None]
    return _true(claims) / len(claims) if claims else 1.0


def claims(
    kinds: Sequence[Kind], rules: Sequence[str], first: int, instances: int, kept: Kept
) -> dict[tuple[str, str], list[list[Crossing]]]:
    """Return what was claimed of each class with each rule, of as many functions as there is time.

    One function of each class after the other, so that a run that is broken off has seen all.
    """
    found: dict[tuple[str, str], list[list[Crossing]]] = {
        (kind.name, rule): [] for kind in kinds for rule in rules
    }
    for k in range(instances):
        for kind in [each for each in kinds if k < each.most]:
            for rule in rules:

                def make(kind: Kind = kind, k: int = first + k, rule: str = rule) -> list[Crossing]:
                    problem = whole(kind.make(k), f"{kind.name} {k}", kept)
                    return crossings(problem, kind.cap, k, **RULES[rule])

                made = kept.get(f"{kind.name} {rule} {first + k}", make)
                if made is not None:
                    found[kind.name, rule].append(made)
    return found


def run(arguments: Sequence[str] = ()) -> Section:
    """Measure, and return the section of the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks completeness", description=__doc__)
    parser.add_argument("--instances", type=int, default=12)
    parser.add_argument("--first", type=int, default=100)
    parser.add_argument("--rules", default="auto,mlsl,sobol")
    parser.add_argument("--only", default="", help="classes whose names contain it")
    add_options(parser)
    given = parser.parse_args(arguments)
    kept = Kept(given.keep, given.seconds, of=PRESENT)
    kinds = [kind for kind in KINDS if given.only in kind.name]
    rules = given.rules.split(",")
    found = claims(kinds, rules, given.first, given.instances, kept)
    rows = [
        row(kind.name + " *" * kind.chosen, rule, found[kind.name, rule])
        for rule in rules
        for kind in kinds
        if found[kind.name, rule]
    ]
    both: dict[tuple[str, bool], list[list[Crossing]]] = {}
    for rule in rules:
        for kind in kinds:
            both.setdefault((rule, kind.chosen), []).extend(found[kind.name, rule])
    for (rule, chosen), each in both.items():
        if each:
            rows.append(row("all classes *" if chosen else "all others", rule, each))
    header = ("class", "rule", "functions", *(f"claimed {p}" for p in LEVELS), "evaluations at 0.9")
    left = f"  {kept.missing} functions are not done yet." * bool(kept.missing)
    return Section(
        name="completeness",
        title="All minima likely found: claimed and true",
        text=(
            f"Functions {given.first} and on of each class. For each probability that is claimed: "
            "of how many functions all minima were known when it was claimed first, of those of "
            "which it was claimed within the evaluations; and the median evaluations until 0.9. "
            "The estimate was chosen on functions below 100 of the classes marked * (of those with "
            f"five minima on 200 and on), and on none of the others.{left}"
        ),
        targets=[
            Target(claim=f"true of what is claimed with 0.9, {rule}, {name}", limit=0.9,
                   at_least=True, value=share(both[rule, chosen], CLAIMED))
            for rule in rules if rule == "auto"
            for chosen, name in ((True, "classes it was chosen on"), (False, "others"))
            if both.get((rule, chosen))
        ],
        tables=[Table(header=header, rows=rows)],
    )  # fmt: skip
