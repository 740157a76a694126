"""Standard problems with known answers, written from the papers' statements.

`all_problems` returns every one of them; a module is a collection.
"""

from __future__ import annotations

from dataclasses import replace

from . import hock_schittkowski, mgh, separable, variational
from .best_known import BEST_KNOWN
from .problem import Problem, Vector

__all__ = ["Problem", "Vector", "all_problems", "by_name"]


def all_problems() -> list[Problem]:
    """Return every problem, each with the least value on record for it."""
    return [with_record(problem) for problem in collected()]


def collected() -> list[Problem]:
    """Return every problem as its collection states it."""
    small = mgh.problems() + mgh.bounded() + hock_schittkowski.problems()
    return small + separable.problems() + variational.problems()


def with_record(problem: Problem) -> Problem:
    """Add the minima on record to what the statement gives in closed form."""
    least, *others = BEST_KNOWN[problem.name]
    f_star = least if problem.f_star is None else problem.f_star
    return replace(problem, f_star=f_star, minima=(*problem.minima, *others))


def by_name(name: str) -> Problem:
    """Return the problem called `name`."""
    found = {problem.name: problem for problem in all_problems()}
    if name not in found:
        raise KeyError(f"no problem is called {name!r}; known: {', '.join(found)}")
    return found[name]
