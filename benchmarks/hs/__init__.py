"""The problems of Hock and Schittkowski that have constraints other than bounds: all of them.

W. Hock, K. Schittkowski, Test Examples for Nonlinear Programming Codes, Lecture Notes in Economics
and Mathematical Systems 187, Springer, 1981.  Objectives and constraints are texts; the constraint
of problems 88 to 92, a double sum over thirty roots of a transcendental equation, is a function.
The numbers 58, 82, 94 and 115 are not there.
"""

from __future__ import annotations

from benchmarks.hs import equality, equality_large, inequality, inequality_large
from benchmarks.hs.problem import Formulas, Objective, Problem

INEQUALITIES: tuple[Problem, ...] = (*inequality.PROBLEMS, *inequality_large.PROBLEMS)
EQUALITIES: tuple[Problem, ...] = (*equality.PROBLEMS, *equality_large.PROBLEMS)

__all__ = ["EQUALITIES", "INEQUALITIES", "Formulas", "Objective", "Problem"]
