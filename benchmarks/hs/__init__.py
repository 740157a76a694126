"""The problems of Hock and Schittkowski that have constraints other than bounds.

W. Hock, K. Schittkowski, Test Examples for Nonlinear Programming Codes, Lecture Notes in Economics
and Mathematical Systems 187, Springer, 1981.  Objectives and constraints are texts; a few
constraints that no text states are functions.  Problem 67 is left out: its functions are the
outcome of a loop whose length depends on x.
"""

from __future__ import annotations

from benchmarks.hs import equality, equality_large, inequality, inequality_large
from benchmarks.hs.problem import Formulas, Objective, Problem

INEQUALITIES: tuple[Problem, ...] = (*inequality.PROBLEMS, *inequality_large.PROBLEMS)
EQUALITIES: tuple[Problem, ...] = (*equality.PROBLEMS, *equality_large.PROBLEMS)

__all__ = ["EQUALITIES", "INEQUALITIES", "Formulas", "Objective", "Problem"]
