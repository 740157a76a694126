"""Every minimum once: how many evaluations until all are catalogued, and how often one is listed.

``python -m benchmarks minima [-- --seeds 10 --only GKLS --rules auto,sobol --keep FILE
--seconds 400]``.  One table of all rules of starts and of peers: evaluations, with a gradient each,
until every minimum of a function is in the catalogue, and until the lowest value is met; how many
minima are listed where hardly anybody finds all; and, under constraints, how many evaluations
violated one.  Classes of functions of Gaviano, Kvasov, Lera and Sergeyev, a function of them for
each seed, are those from number 100 on, others than those by which the rule was chosen (0 to 31).
Flat minima: how many are listed after 40 converged runs, with ends compared (as now) and without
(as by 0.2.0), and what that costs.  The known minima are those of tight searches of SciPy from a
grid, or of the generator.

With ``--keep`` what was done is in a file, and not done again by the same version and rule, or by
the same version of a peer's package; ``--seconds`` ends a run that is to be continued.  Peers that
are not installed (``pip install nlopt cma``) are left out, and named.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.global_peers import (
    OUTSIDE,
    PEERS,
    SECONDS,
    Found,
    absent,
    installed,
    search_by,
    version_of,
)
from benchmarks.kept import Kept, add_options
from benchmarks.problems.multimodal import (
    CONSTRAINED,
    DISTINCT,
    LOWEST,
    Problem,
    generated,
    in_disc,
    known,
)
from benchmarks.report import Section, Table, Target
from benchmarks.searches import PRESENT, RULES, cell, middle, search, whole
from optdriver import MultiStart

Vector = NDArray[np.float64]

CAP = 4000
"""Evaluations in which all minima of a function by name are to be found."""

FIRST = 100
"""The first function of a class."""

RUNS = 40

TEXT = f"""Evaluations, each with a gradient if the method wants one, until all minima are
catalogued, and until the lowest value is met: median [quartiles], in brackets how many did not get
there within the evaluations that are allowed (which count for those). Of peers that list no minima
only the lowest value is asked for; a value without a gradient is an evaluation, too. Peers that
work on their own for more than {SECONDS:.0f} seconds of the processor are given up (shgo, which is
not asked with more than nine variables). Where every rule and peer misses some minima in more than
half of the searches, how many are listed at the end; under constraints, how many evaluations
violate one by more than {OUTSIDE:g}: medians. Of a class each seed is another function; of a
function by name other starts (shgo has none; the middle of a box is among its first points, which
is the lowest minimum of Rastrigin 25). The second table has auto's medians divided by those of
others, of the seeds that both have seen. Then what the catalogue lists for one flat minimum after
{RUNS} converged runs, without and with the comparison of ends."""


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
    """What a row is about: a problem for each seed, and the most evaluations for one of them.

    `most` seeds are looked at, since a search of thousands of evaluations takes its time.  Of a
    function by name the problems are alike.
    """

    name: str
    make: Callable[[int], Problem]
    cap: int = CAP
    every: bool = True
    most: int = 10
    rows: bool = False
    variables: int = 2
    alike: bool = False


def _class(
    n: int, cap: int, *, type: str = "D", minima: int = 10, level: str = "simple", most: int = 10
) -> Kind:
    hard = ", hard" * (level == "hard")

    def make(seed: int) -> Problem:
        return generated(n, FIRST + seed, type=type, minima=minima, level=level)

    name = f"GKLS {type} n={n}, {minima} minima{hard}"
    return Kind(name=name, make=make, cap=cap, most=most, variables=n)


def _named(problem: Problem, *, every: bool = True, cap: int = CAP) -> Kind:
    return Kind(name=problem.name, make=lambda _: problem, cap=cap, every=every, alike=True,
                rows=bool(problem.rows), variables=len(problem.bounds))  # fmt: skip


KINDS = [
    _class(2, 4000),
    _class(3, 5000),
    _class(2, 4000, type="ND"),
    _class(3, 5000, type="ND"),
    _class(2, 4000, level="hard"),
    _class(3, 5000, level="hard"),
    *map(_named, DISTINCT),
    *map(_named, CONSTRAINED),
    Kind(name="GKLS D n=2 in a disc", make=lambda k: in_disc(FIRST + k), cap=2000, rows=True),
    *(_named(problem, every=False, cap=3000) for problem in LOWEST),
    _class(2, 3000, minima=100, most=5),
    _class(3, 3000, minima=100, most=5),
    _class(5, 8000, most=3),
    _class(5, 3000, type="ND", most=3),
    _class(5, 3000, level="hard", most=3),
    _class(5, 3000, minima=100, most=3),
]
"""All functions and classes; those that take long come last."""

Counts = dict[tuple[str, str], list[Found]]
"""What was found of each function or class by each rule or peer, a search for each seed."""

Made = list[int | None]
"""The same as a line of the file that is kept: `Found`, but where all are listed, how many."""


def found_by(name: str, kind: Kind, seed: int, kept: Kept) -> Made:
    """Return what a rule or a peer finds."""
    problem = kind.make(seed)
    if kind.every:
        problem = whole(problem, kind.name if kind.alike else f"{kind.name} {seed}", kept)
    places, least = problem.places if kind.every else None, problem.least
    if least is None:
        least = min(problem.function(x)[0] for x in known(problem))
    if name in RULES:
        found = search(problem, places, least, kind.cap, seed, **RULES[name])
    else:
        found = search_by(name, problem, places, least, kind.cap, seed)
    some = found.some if found.all is None or places is None else len(places)
    return [found.all, found.lowest, found.infeasible, some]


def columns() -> list[str]:
    """Return the names of all rules, and of the peers that are installed."""
    peers = [*installed(), *installed(rows=True)]
    return [*RULES, *(name for name in PEERS if name in peers)]


def counted(
    kinds: Sequence[Kind], seeds: int, kept: Kept, names: Sequence[str] | None = None
) -> Counts:
    """Return what rules and peers find, as far as there is time.

    Of all rules and peers, or those with such `names`.
    """
    names = columns() if names is None else names
    counts: Counts = {}
    for seed in range(seeds):
        for kind in [each for each in kinds if seed < each.most]:
            for name in [*RULES, *installed(rows=kind.rows, variables=kind.variables)]:
                if name not in names or (seed and kind.alike and not _seeded(name)):
                    continue
                of = None if name in RULES else version_of(name)
                make = partial(found_by, name, kind, seed, kept)
                made = kept.get(f"{kind.name}|{name}|{seed}", make, of)
                if made is not None:
                    counts.setdefault((kind.name, name), []).append(Found(*made))
    return counts


def _seeded(name: str) -> bool:
    return name in RULES or PEERS[name].seeds


def lists(name: str) -> bool:
    """Tell whether a rule or peer lists minima."""
    return name in RULES or PEERS[name].lists


def table(kinds: Sequence[Kind], counts: Counts, names: Sequence[str] | None = None) -> Table:
    """Return the one table: a column for each rule and peer, some rows a function or class."""
    names = columns() if names is None else names
    rows = []
    for kind in kinds:
        found = [counts.get((kind.name, name), []) for name in names]
        numbers = {len(each) for each in found if each}
        if not numbers:
            continue
        number = " to ".join(map(str, sorted({min(numbers), max(numbers)})))
        for label, cells in _cells(kind, names, found).items():
            rows.append((kind.name, label, f"{number}, {kind.cap}", *cells))
    return Table(header=("function or class", "until", "seeds, at most", *names), rows=rows)


def _cells(
    kind: Kind, names: Sequence[str], found: Sequence[Sequence[Found]]
) -> dict[str, list[str]]:
    """Return the cells of the rows of a function or class, by what they say."""
    listing = [each if lists(name) else [] for name, each in zip(names, found, strict=True)]
    made = {}
    if kind.every:
        made["all"] = [_cell([one.all for one in each], kind.cap) for each in listing]
        if all(sum(one.all is None for one in each) * 2 > len(each) for each in listing if each):
            made["listed at the end"] = [_middle([one.some for one in each]) for each in listing]
    made["lowest"] = [_cell([one.lowest for one in each], kind.cap) for each in found]
    if kind.rows:
        made["infeasible"] = [_middle([one.infeasible for one in each]) for each in found]
    return made


def _cell(counts: Sequence[int | None], cap: int) -> str:
    return cell(counts, cap) if counts else ""


def _middle(numbers: Sequence[int | None]) -> str:
    have = [number for number in numbers if number is not None]
    return f"{median(have):.0f}" if have else ""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """How the rule auto compares on a function or class: medians of evaluations, and whose.

    NaN where nobody found all, or nobody else was asked.
    """

    name: str
    sobol: float
    all: float
    first: str
    missed: int
    lowest: float
    nearest: str
    infeasible: int

    def row(self) -> tuple[str, ...]:
        """Return the row of a table."""
        numbers = [f"{each:.2f}" if np.isfinite(each) else ""
                   for each in (self.sobol, self.all, self.lowest)]  # fmt: skip
        return (self.name, *numbers[:2], self.first, str(self.missed), numbers[2], self.nearest)


def verdicts(kinds: Sequence[Kind], counts: Counts) -> list[Verdict]:
    """Return how auto compares with others, on each function or class that was looked at."""
    made = []
    for kind in kinds:
        found = {name: each for (what, name), each in counts.items() if what == kind.name}
        auto = found.pop("auto", [])
        if not auto:
            continue
        every = {name: each for name, each in found.items() if lists(name)} if kind.every else {}
        sobol = {name: each for name, each in every.items() if name == "sobol"}
        all, first = _beside(kind, auto, every, attrgetter("all"))
        lowest, nearest = _beside(kind, auto, found, attrgetter("lowest"))
        made.append(
            Verdict(
                name=kind.name,
                sobol=_beside(kind, auto, sobol, attrgetter("all"))[0],
                all=all,
                first=first,
                missed=sum(one.all is None for one in auto) * kind.every,
                lowest=lowest,
                nearest=nearest,
                infeasible=sum(one.infeasible for one in auto),
            )
        )
    return made


def _beside(
    kind: Kind,
    auto: Sequence[Found],
    others: dict[str, list[Found]],
    of: Callable[[Found], int | None],
) -> tuple[float, str]:
    """Return auto's evaluations beside the fewest of others, and whose these are.

    Of the seeds that both have seen; where both are beyond the cap there is nothing to compare.
    """
    best, whose = float("nan"), ""
    for name, each in others.items():
        number = len(auto) if kind.alike and not _seeded(name) else min(len(auto), len(each))
        own = middle([of(one) for one in auto[:number]], kind.cap)
        other = middle([of(one) for one in each[:number]], kind.cap)
        if min(own, other) < kind.cap and not own / other <= best:
            best, whose = own / other, name
    return best, whose


def targets(made: Sequence[Verdict]) -> list[Target]:
    """Return what is claimed of the rule auto, of all functions and classes together."""
    return [
        Target(claim="functions and classes: all minima with more than 0.35 of sobol's",
               value=sum(each.sobol > 0.35 for each in made), limit=0, form="d"),
        Target(claim="of which auto misses some", limit=0, form="d",
               value=sum(each.missed > 0 for each in made)),
        Target(claim="of which another one lists all with fewer", limit=0, form="d",
               value=sum(each.all > 1.0 for each in made)),
        Target(claim="the lowest with more than 0.8 of the best other's", limit=0, form="d",
               value=sum(each.lowest > 0.8 for each in made)),
        Target(claim="infeasible evaluations of auto", limit=0, form="d",
               value=sum(each.infeasible for each in made)),
    ]  # fmt: skip


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
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--only", default="", help="functions and classes whose names contain it")
    parser.add_argument("--rules", default="", help="rules and peers by name; all without it")
    parser.add_argument("--part", choices=("distinct", "flat"))
    add_options(parser)
    given = parser.parse_args(arguments)
    kept = Kept(given.keep, given.seconds, of=PRESENT)
    kinds = [kind for kind in KINDS if given.only in kind.name and given.part != "flat"]
    names = given.rules.split(",") if given.rules else columns()
    counts = counted(kinds, given.seeds, kept, names)
    rows, worst = ([], 0) if given.part == "distinct" else flat(given.seeds, given.only, kept)
    compared = verdicts(kinds, counts)
    tables = [
        table(kinds, counts, names),
        Table(
            header=(
                "auto beside",
                "all: sobol",
                "the best other",
                "which is",
                "missed",
                "lowest: the best other",
                "which is",
            ),
            rows=[each.row() for each in compared],
        ),
        Table(
            header=("flat function", "listed before", "now", "evaluations before", "now"),
            rows=rows,
        ),
    ]
    left = f" {kept.missing} searches are not done yet." * bool(kept.missing)
    away = " Not installed: " + ", ".join(absent()) + "." if absent() else ""
    return Section(
        name="minima",
        title="Every minimum, once",
        text=TEXT + left + away,
        targets=[
            *targets(compared),
            *[Target(claim="minima listed for a flat one", value=worst, limit=1, form="d")]
            * bool(rows),
        ],
        tables=[each for each in tables if each.rows],
        packages=("nlopt", "cma"),
    )
