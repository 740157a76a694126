"""Rules of starts beside each other and beside peers, on classes of generated functions.

``python -m benchmarks basins [-- --n 2 --type D --minima 10 --level simple --instances 20]``:
functions of Gaviano, Kvasov, Lera and Sergeyev; evaluations, with a gradient each, until all minima
are catalogued, and until the lowest value is met, which the peers look for, too.  The functions
from number `first` on are others than those by which the rule was chosen (0 to 31).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from benchmarks.global_peers import installed, until_lowest
from benchmarks.problems.multimodal import generated
from benchmarks.report import Section, Table, Target
from benchmarks.searches import RULES, Found, cell, middle, search

CAPS = {2: 4000, 3: 5000, 5: 8000, 10: 8000}


def run(arguments: Sequence[str] = ()) -> Section:
    """Measure, and return the section of the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks basins", description=__doc__)
    parser.add_argument("--n", type=int, default=2, choices=CAPS)
    parser.add_argument("--type", default="D", choices=("D", "ND", "D2"))
    parser.add_argument("--minima", type=int, default=10)
    parser.add_argument("--level", default="simple", choices=("simple", "hard"))
    parser.add_argument("--instances", type=int, default=20)
    parser.add_argument("--first", type=int, default=100)
    parser.add_argument("--rules", default=",".join(RULES))
    parser.add_argument("--no-peers", action="store_true")
    given = parser.parse_args(arguments)
    cap = CAPS[given.n]
    problems = [
        generated(given.n, k, type=given.type, minima=given.minima, level=given.level)
        for k in range(given.first, given.first + given.instances)
    ]
    found: dict[str, list[Found]] = {
        rule: [
            search(problem, problem.places, -1.0, cap, seed, **RULES[rule])
            for seed, problem in enumerate(problems)
        ]
        for rule in given.rules.split(",")
    }
    lowest = {rule: [each.lowest for each in of] for rule, of in found.items()}
    for name in [] if given.no_peers else installed():
        lowest[name] = [
            until_lowest(name, problem, -1.0, cap, seed) for seed, problem in enumerate(problems)
        ]
    every = {rule: [each.all for each in of] for rule, of in found.items()}
    rows = [
        (name, cell(every[name], cap) if name in every else "", cell(counts, cap))
        for name, counts in lowest.items()
    ]
    label = f"{given.type}, n = {given.n}, {given.minima} minima, {given.level}"
    return Section(
        name=f"basins-{given.type}-{given.n}-{given.minima}-{given.level}",
        title=f"All minima of generated functions: {label}",
        text=(
            f"Functions {given.first} to {given.first + given.instances - 1} of the class. "
            "Evaluations, each with a gradient if the method wants one: median [quartiles], in "
            f"brackets how many of {given.instances} did not get there within {cap}."
        ),
        targets=_targets(every, lowest, cap),
        tables=[Table(header=("rule or peer", "all minima", "the lowest"), rows=rows)],
    )


def _targets(
    every: dict[str, list[int | None]], lowest: dict[str, list[int | None]], cap: int
) -> list[Target]:
    if not {"sobol", "auto"} <= every.keys():
        return []
    all_ratio = middle(every["auto"], cap) / middle(every["sobol"], cap)
    best = min(middle(counts, cap) for name, counts in lowest.items() if name != "auto")
    return [
        Target(claim="all minima: auto beside sobol", value=all_ratio, limit=0.35),
        Target(claim="functions of which some are missed", value=every["auto"].count(None),
               limit=0, form="d"),
        Target(claim="the lowest: auto beside the best other", limit=0.8,
               value=middle(lowest["auto"], cap) / best),
    ]  # fmt: skip
