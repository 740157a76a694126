"""Claims of success that are counted: by method and place, true or false, and what they took."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from benchmarks.kept import Kept, add_options
from benchmarks.report import Section, Table, Target
from optdriver import __version__

RUNS = 40
FALSE = 1e-3
METHODS = ("Nelder-Mead", "Powell", "COBYQA", "COBYLA", "SLSQP", "trust-constr", "TNC")
GRADIENTS = ("SLSQP", "trust-constr", "TNC")
KEPT = ("Nelder-Mead", "Powell")
"""The methods that keep to constraints here, and take none in SciPy."""

Ended = tuple[bool, float, int]
"""Whether success was claimed, how far above the minimum, after how many evaluations."""

Ways = Callable[[str], dict[str, Callable[[int], Ended]]]
"""Who is run at a place: by name, of a seed."""


class Spent(Exception):
    """The evaluations are used up."""


def counted(
    arguments: Sequence[str],
    blank: Section,
    description: str | None,
    *,
    places: Sequence[str],
    ways: Ways,
    noun: str,
    heads: str,
    old: str,
    most: float = FALSE,
) -> Section:
    """Run all, and return the section `blank` with its table and targets.

    Rows with `old` in their names, and those of SciPy, have no target; what is run is called `noun`
    in these, and `heads` in the table. A claim is false where it is `most` or more above.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks {blank.name}", description=description
    )
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--seed", type=int, default=0, help="the first one")
    parser.add_argument("--only", default="", help="rows with this in their names")
    add_options(parser)
    chosen = parser.parse_args(arguments)
    kept = Kept(chosen.keep, chosen.seconds, of=__version__)
    rows, targets = [], []
    for place in places:
        for name, way in ways(place).items():
            if chosen.only not in f"{place} | {name}":
                continue
            ends = []
            for seed in range(chosen.seed, chosen.seed + chosen.runs):
                with np.errstate(all="ignore"):
                    ends.append(kept.get(f"{place} | {name} | {seed}", partial(way, seed)))
            ends = [end for end in ends if end is not None]
            if not ends:
                continue
            claimed = [above for claims, above, _ in ends if claims]
            false = sum(above > most for above in claimed)
            right = sum(above <= most for _, above, _ in ends)
            total = sum(calls for *_, calls in ends)
            worst = f"{max(claimed):.1e}" if claimed else "-"
            rows.append((place, name, *map(str, (len(ends), right, len(claimed), false)), worst,
                         f"{total:,}"))  # fmt: skip
            if not name.startswith("SciPy") and old not in name:
                claim = f"{place}, {name}: false successes in {len(ends)} {noun}"
                targets.append(Target(claim=claim, value=false, limit=0))
    head = ("place", "method", heads, "right", "claims", "false", "worst claim", "evaluations")
    return replace(blank, targets=targets, tables=[Table(header=head, rows=rows)])
