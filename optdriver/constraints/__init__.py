"""Constraints: texts and functions as rows c(x) <= 0 and e(x) = 0 with exact derivatives.

A text is parsed by a whitelist and never executed. What is feasible is decided by the formula
exactly as written, in floating point; derivatives come from reverse sweeps over its operations,
once for each form of term.
"""

from optdriver.constraints.constraint_set import ConstraintSet
from optdriver.constraints.projection import Projection
from optdriver.constraints.rows import Note
from optdriver.errors import ConstraintError, ConstraintWarning
from optdriver.formulas.parser import ParsedConstraint, parse
from optdriver.geometry.least_distance import LeastDistance, least_distance
from optdriver.moved import stand_in

stand_in(__name__, "optdriver.formulas", ("parser", "syntax", "tape"))

__all__ = [
    "ConstraintError",
    "ConstraintSet",
    "ConstraintWarning",
    "LeastDistance",
    "Note",
    "ParsedConstraint",
    "Projection",
    "least_distance",
    "parse",
]
